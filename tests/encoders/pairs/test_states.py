"""States of pairs: as open_clip's own modules compute them, and the heat maps they give."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import open_clip
import pytest
import torch
import torch.nn.functional as F  # noqa: N812  torch's own convention
from open_clip.model import _build_vision_tower
from PIL import Image

from encoders import ImageFeatures, load_encoder
from encoders.checkpoint.foreign_tokenizer import TOKENIZER, ForeignTokenizer
from encoders.errors import CheckpointError
from encoders.pairs.description import read_pair
from encoders.pairs.encoder import PairEncoder
from encoders.pairs.importing import import_pair
from encoders.pairs.known import KNOWN
from encoders.pairs.open_clip_halves import PlainImages, TransformerTexts, image_half, text_half
from encoders.pairs.towers import PairTowers, as_regions, averaged, joined

TEXTS = ["a photo of a cat", "two dogs", ""]


def towers_and_model(directory: Path, architecture: str) -> tuple[PairTowers, Any]:
    """A pair in ONNX Runtime, and in torch."""
    return PairTowers(directory), open_clip.create_model(architecture, pretrained=None).eval()


def normal(pixels: Any, towers: PairTowers) -> torch.Tensor:
    """Pixels as the image encoder takes them."""
    settings = towers.description.image
    return torch.from_numpy(((pixels / 255 - settings.mean) / settings.std).transpose(0, 3, 1, 2)).float()


def oracle(model: Any, architecture: str, x: torch.Tensor) -> torch.Tensor:
    """The regions of pictures, written anew from open_clip's modules."""
    visual = model.visual
    if architecture == "tiny-vit":
        *layers, last = visual.transformer.resblocks
        tokens = visual._embeds(x)
        for layer in layers:
            tokens = layer(tokens)
        values = last.attn.in_proj_weight[64:] @ last.ln_1(tokens).transpose(1, 2) + last.attn.in_proj_bias[64:, None]
        tokens = tokens + last.attn.out_proj(values.transpose(1, 2))
        tokens = tokens + last.mlp(last.ln_2(tokens))
        return (visual.ln_post(tokens) @ visual.proj)[:, 1:]
    if architecture == "tiny-cnn":
        for stage in (visual.stem, visual.layer1, visual.layer2, visual.layer3, visual.layer4):
            x = stage(x)
        places = [visual.attnpool.c_proj(visual.attnpool.v_proj(x[:, :, i, j])) for i in range(2) for j in range(2)]
        return torch.stack(places, 1)
    features = visual.trunk.forward_features(x)
    if architecture == "tiny-timm-cnn":
        norm = visual.trunk.head.norm
        places = features.flatten(2).transpose(1, 2)
        return visual.head(F.layer_norm(places, places.shape[2:], norm.weight, norm.bias, norm.eps))
    pool = visual.trunk.attn_pool
    value = pool.kv(features).chunk(2, -1)[1]
    value = pool.proj(value)
    return visual.trunk.head(visual.trunk.fc_norm(value + pool.mlp(pool.norm(value))))[:, -100:]


@torch.no_grad()
@pytest.mark.parametrize("architecture", ["tiny-vit", "tiny-cnn", "tiny-map", "tiny-timm-cnn"], indirect=True)
def test_regions_and_token_states_are_torchs(pair: Path, architecture: str) -> None:
    """Transformers and CNNs, open_clip's own and timm's, to a thousandth; vectors stay the same beside them."""
    towers, model = towers_and_model(pair, architecture)
    size = towers.description.image.size
    pixels = np.random.default_rng(0).integers(0, 256, (3, size, size, 3), np.uint8)
    vectors, regions = towers.image_states(pixels)
    expected = oracle(model, architecture, normal(pixels, towers)).numpy()
    np.testing.assert_allclose(regions, expected, atol=1e-3)
    np.testing.assert_allclose(vectors, towers.image_vectors(pixels), atol=1e-6)
    tokens = towers.tokenizer(TEXTS)
    ids = open_clip.get_tokenizer(architecture)(TEXTS)
    captured: list[torch.Tensor] = []
    handle = model.ln_final.register_forward_hook(lambda *arguments: captured.append(arguments[2]))
    model.encode_text(ids)
    handle.remove()
    vectors, found = towers.text_states(tokens)
    np.testing.assert_allclose(found, (captured[0] @ model.text_projection).numpy()[:, : found.shape[1]], atol=1e-3)
    ends = tokens.attended.sum(1) - 2
    last = found[np.arange(len(TEXTS)), ends]
    np.testing.assert_allclose(last / np.linalg.norm(last, axis=1, keepdims=True), vectors, atol=1e-3)


@pytest.mark.parametrize("architecture", ["tiny-attentional"], indirect=True)
def test_an_encoder_whose_pool_hides_the_patches_has_no_regions(architecture: str) -> None:
    """Its sentences have states all the same."""
    model = open_clip.create_model(architecture, pretrained=None).eval()
    assert isinstance(image_half(model, torch.rand(2, 3, 32, 32)), PlainImages)
    assert isinstance(text_half(model, torch.zeros(2, 16, dtype=torch.int64)), TransformerTexts)


@pytest.mark.parametrize("architecture", ["tiny-vit"], indirect=True)
class TestHeatMaps:
    """With one architecture: what is computed from regions is the same for all."""

    def test_a_words_weights_follow_its_cosines(self, pair: Path, architecture: str) -> None:
        """Each word's grid sums to 1, and is in the order of the cosines of the word alone with the regions."""
        towers, model = towers_and_model(pair, architecture)
        encoder = load_encoder(pair, device="cpu")
        assert isinstance(encoder, PairEncoder)
        assert encoder.has_regions
        picture = Image.effect_noise((90, 40), 80).convert("RGB")
        regions = encoder.regions(picture)
        assert regions.shape == (16, 24)
        found = encoder.attend("two dogs, running", ImageFeatures(np.zeros((1, 24), np.float32), regions[None]))
        assert found.words == ("two", "dogs", ",", "running")
        np.testing.assert_allclose(found.weights.sum((1, 2)), 1, atol=1e-5)
        squashed = np.asarray(picture.resize((32, 32), Image.Resampling.BICUBIC))[None]
        with torch.no_grad():
            expected = F.normalize(oracle(model, architecture, normal(squashed, towers))[0], dim=-1)
            word = model.encode_text(open_clip.get_tokenizer(architecture)(["dogs"]), normalize=True)[0]
        np.testing.assert_array_equal(np.argsort(found.weights[1].ravel()), np.argsort((expected @ word).numpy()))

    def test_states_of_others_are_used_as_far_as_they_go(
        self, immich: Path, pair: Path, tmp_path: Path, architecture: str
    ) -> None:
        """Hidden states are not in the space of the vectors: a reranker can be trained on them, but no heat map is."""
        del architecture
        for ours, theirs in (("image", "visual"), ("text", "textual")):
            model = onnx.load(pair / f"{ours}.onnx")
            states = model.graph.output[1]
            for node in model.graph.node:
                node.output[:] = ["last_hidden_state" if name == states.name else name for name in node.output]
            states.name = "last_hidden_state"
            onnx.save(model, immich / theirs / "model.onnx")
        import_pair(immich, tmp_path / "pair", name="pair")
        description = read_pair(tmp_path / "pair")
        assert not description.has_heat_maps
        assert description.regions is not None
        assert description.tokens is not None
        assert (description.regions.output, description.regions.width) == ("last_hidden_state", 24)
        assert not load_encoder(tmp_path / "pair", device="cpu").has_regions

    def test_a_tokenizer_knows_which_token_belongs_to_which_word(self, pair: Path, architecture: str) -> None:
        """A word of several pieces is one; the sentence's own column, markers and padding are none."""
        del architecture
        tokenizer = ForeignTokenizer(pair / TOKENIZER, context=16, canonical=False)
        words, owners = tokenizer.words("An untranslatablish  café!")
        assert words == ("An", "untranslatablish", "café", "!")
        assert owners[0] == 0
        assert owners[1:].count(1) > 1
        assert sorted(owners) == list(owners)
        tokens = tokenizer(["An untranslatablish  café!", "a cat", ""])
        assert tokens.mask.sum(1).tolist() == [len(owners), 2, 1]
        assert not tokens.mask[:, 0].any()
        assert tokens.attended.sum(1).tolist() == [len(owners) + 3, 5, 3]


def test_a_pairs_states_become_a_grid() -> None:
    """Of a map, or of patches after markers; anything else is refused."""
    patches = np.arange(2 * 9 * 4, dtype=np.float32).reshape(2, 9, 4)
    np.testing.assert_array_equal(as_regions(np.pad(patches, ((0, 0), (1, 0), (0, 0)))), patches)
    np.testing.assert_array_equal(as_regions(patches.transpose(0, 2, 1).reshape(2, 4, 3, 3)), patches)
    for shape in ((2, 0, 4), (2, 4), (2, 25 + 9, 4)):
        with pytest.raises(CheckpointError, match="no square grid"):
            as_regions(np.zeros(shape, np.float32))


def test_fine_grids_are_averaged() -> None:
    """To at most so many in a row, by a loop over cells; joined to their vectors, both have one width."""
    grid = np.random.default_rng(0).normal(size=(1, 25, 3)).astype(np.float32)
    cells = grid.reshape(5, 5, 3)
    parts = ([0, 1], [2, 3], [4, 4])
    expected = [cells[rows][:, columns].mean((0, 1)) for rows in parts for columns in parts]
    np.testing.assert_allclose(averaged(grid, 4)[0], expected, atol=1e-6)
    np.testing.assert_array_equal(averaged(grid, 5), grid)
    both = joined(np.ones((1, 5), np.float32), grid)
    assert both.shape == (1, 26, 5)
    np.testing.assert_array_equal(both[:, 1:, :3], grid)
    assert not both[:, 1:, 3:].any()


class Pictures(torch.nn.Module):
    """The image encoder of an architecture, at random weights."""

    def __init__(self, architecture: str) -> None:
        super().__init__()
        settings = open_clip.get_model_config(architecture)
        self.visual = _build_vision_tower(settings["embed_dim"], settings["vision_cfg"]).eval()
        self.size = int(settings["vision_cfg"]["image_size"])

    def encode_image(self, pixels: torch.Tensor) -> torch.Tensor:
        """Encode a batch, as open_clip's models do."""
        vectors: torch.Tensor = self.visual(pixels)
        return vectors


@pytest.mark.slow
@pytest.mark.parametrize("source", [pair.source for pair in KNOWN])
def test_every_known_pair_has_regions(source: str) -> None:
    """Their image encoders at random weights, in torch."""
    model = Pictures(source.removeprefix("open_clip:").partition("/")[0])
    assert not isinstance(image_half(model, torch.rand(1, 3, model.size, model.size)), PlainImages)
