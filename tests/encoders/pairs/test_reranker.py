"""A reranker trained on a pair: it learns, runs without torch, and is refused where it cannot be."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from encoders import load_encoder
from encoders.checkpoint.files import read_checkpoint
from encoders.datasets import Dataset
from encoders.errors import CheckpointError, TrainingError
from encoders.export import write_graphs
from encoders.pairs.description import read_pair
from encoders.pairs.importing import import_pair
from encoders.pairs.reranked import RerankedPair
from encoders.pairs.towers import PairTowers
from encoders.pairs.training import on_pair, start_on_pair
from encoders.training import TrainConfig, TrainResult, train
from tests.encoders.conftest import painted_pictures

CONFIG = on_pair(
    TrainConfig(
        epochs=12,
        batch_size=14,
        learning_rate=3e-3,
        views=1,
        hard_negatives=6,
        average=0.8,
        patience=12,
        region_dropout=0.0,
        device="cpu",
    )
)


def open_picture(path: Path) -> Image.Image:
    """Open a painted picture."""
    with Image.open(path) as image:
        return image.convert("RGB")


def run(pair: Path, pictures: Dataset, out: Path, *, resume: bool = False, config: TrainConfig = CONFIG) -> TrainResult:
    """Train a reranker on a pair."""
    start, frozen = start_on_pair(pair)
    return train(
        replace(start, name="reranked"),
        [pictures.select("train")],
        [pictures.select("dev")],
        out,
        config=config,
        open_picture=open_picture,
        resume=resume,
        frozen=frozen,
    )


Trained = tuple[Path, Dataset, TrainResult]


@pytest.fixture(scope="session")
def trained(pair: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """The folder of a trained model, its pictures, and the result of the run."""
    folder = tmp_path_factory.mktemp("trained")
    pictures = painted_pictures(folder)
    result = run(pair, pictures, folder / "out")
    assert write_graphs(result.model)
    return result.model, pictures, result


@pytest.mark.parametrize("architecture", ["tiny-vit"], indirect=True)
@pytest.mark.usefixtures("architecture")
class TestReranker:
    """With one architecture: what is trained takes the states of all in one form."""

    def test_reranking_beats_the_vectors(self, trained: Trained) -> None:
        """Of a pair at random weights, whose vectors know nothing; and the probability knows who is described."""
        model, pictures, result = trained
        for direction in ("t2i", "i2t"):
            assert result.metrics[f"reranked_{direction}_r5"] > result.metrics[f"retrieval_{direction}_r5"] + 10
        encoder = load_encoder(model, device="cpu")
        held_out = pictures.select("dev").examples
        images = encoder.encode_images(np.stack([encoder.prepare(open_picture(e.image)) for e in held_out]))
        right, wrong = [], []
        for row, example in enumerate(held_out):
            found = encoder.match_images(encoder.encode_texts([example.captions[0]]), images).probabilities
            right.append(found[row])
            wrong += np.delete(found, row).tolist()
        assert np.mean(right) > 2 * np.mean(wrong)

    def test_vectors_are_those_of_the_pair_and_the_rest_is_torchs(self, trained: Trained, pair: Path) -> None:
        """Regions and scores in ONNX Runtime are those of the checkpoint in torch to a thousandth."""
        model, pictures, _ = trained
        encoder, alone = load_encoder(model, device="cpu"), load_encoder(pair, device="cpu")
        assert isinstance(encoder, RerankedPair)
        assert (encoder.name, encoder.dimension) == ("reranked", alone.dimension)
        assert encoder.encode_images(np.zeros((0, 32, 32, 3), np.uint8)).regions.shape == (0, 16, 128)
        texts = ["red over blue", "a white wall", ""]
        pixels = np.stack([encoder.prepare(open_picture(example.image)) for example in pictures.examples[:3]])
        np.testing.assert_array_equal(pixels[0], alone.prepare(open_picture(pictures.examples[0].image)))
        images, sentences = encoder.encode_images(pixels), encoder.encode_texts(texts)
        np.testing.assert_allclose(images.vectors, alone.encode_images(pixels).vectors, atol=1e-5)
        np.testing.assert_allclose(sentences.vectors, alone.encode_texts(texts).vectors, atol=1e-5)
        assert [len(tokens) for tokens in sentences.tokens] == [3, 3, 1]
        network, towers = read_checkpoint(model).model.eval(), PairTowers(pair)
        with torch.no_grad():
            expected = network.image(torch.from_numpy(towers.image_activations(pixels)))
            tokens = towers.tokenizer(texts)
            mask = torch.from_numpy(tokens.mask)
            states = network.text(torch.from_numpy(towers.text_activations(tokens)), mask, mask).states
            logits = network.reranker(expected.states, states[:1], mask[:1]).logit
        np.testing.assert_allclose(images.regions, expected.states.numpy(), atol=1e-3)
        np.testing.assert_allclose(sentences.tokens[0], states[0][mask[0]].numpy(), atol=1e-3)
        found, _ = encoder._matches(sentences.tokens[:1], images.regions)
        np.testing.assert_allclose(found, logits.numpy(), atol=1e-2)

    def test_a_heat_map_is_of_the_whole_picture(self, trained: Trained) -> None:
        """Its regions are computed from a wide picture pressed into a square, not from its middle."""
        encoder = load_encoder(trained[0], device="cpu", lazy=True)
        assert encoder.has_regions
        assert not encoder.stores_regions
        wide = Image.new("RGB", (160, 40))
        for column, example in enumerate(trained[1].examples[:4]):
            wide.paste(open_picture(example.image), (40 * column, 0))
        regions = encoder.regions(wide)
        squashed = wide.resize((32, 32), Image.Resampling.BICUBIC)
        np.testing.assert_allclose(regions, encoder.regions(squashed), atol=1e-5)
        middle = encoder.encode_images(encoder.prepare(wide)[None])
        assert np.abs(regions - middle.regions[0]).max() > 0.01
        found = encoder.attend("red over blue", replace(middle, regions=regions[None]))
        assert found.words == ("red", "over", "blue")
        assert found.weights.shape == (3, 4, 4)
        np.testing.assert_allclose(found.weights.sum((1, 2)), 1, atol=1e-4)

    def test_it_runs_without_torch(self, trained: Trained) -> None:
        """In a process that imports none."""
        program = (
            "import sys; from pathlib import Path; from encoders import load_encoder; "
            "encoder = load_encoder(Path(sys.argv[1]), device='cpu'); encoder.encode_texts(['red over blue']); "
            "assert 'torch' not in sys.modules"
        )
        subprocess.run([sys.executable, "-c", program, trained[0]], check=True, cwd=Path(__file__).parents[3])

    def test_a_resumed_run_follows_the_same_curve(self, trained: Trained, pair: Path, tmp_path: Path) -> None:
        """Stopped and resumed, it ends with the same weights; with another pair it does not go on."""
        _, pictures, _ = trained
        config = replace(CONFIG, epochs=2)
        run(pair, pictures, tmp_path / "whole", config=config)
        start, frozen = start_on_pair(pair)

        def stop(phase: str, _done: int, _total: int) -> None:
            if phase.startswith("epoch 2"):
                raise KeyboardInterrupt

        parts = [pictures.select("train")], [pictures.select("dev")]
        options: dict[str, Any] = {"config": config, "open_picture": open_picture, "frozen": frozen}
        with pytest.raises(KeyboardInterrupt):
            train(replace(start, name="reranked"), *parts, tmp_path / "parted", progress=stop, **options)
        run(pair, pictures, tmp_path / "parted", resume=True, config=config)
        files = [(tmp_path / name / "model" / "model.safetensors").read_bytes() for name in ("whole", "parted")]
        assert files[0] == files[1]
        shutil.copytree(pair, tmp_path / "other")
        description = tmp_path / "other" / "model.json"
        description.write_text(json.dumps(json.loads(description.read_text()) | {"name": "other"}))
        with pytest.raises(TrainingError, match="was started from another model; resume with the same one"):
            run(tmp_path / "other", pictures, tmp_path / "parted", resume=True, config=config)

    def test_a_reranker_on_another_pair_is_refused(self, trained: Trained, tmp_path: Path) -> None:
        """And so is one whose pair is damaged."""
        shutil.copytree(trained[0], tmp_path / "model")
        description = tmp_path / "model" / "pair" / "model.json"
        document = json.loads(description.read_text())
        description.write_text(json.dumps(document | {"name": "other"}))
        with pytest.raises(CheckpointError, match="the reranker belongs to another pair"):
            load_encoder(tmp_path / "model", device="cpu")
        (tmp_path / "model" / "pair" / "image.onnx").unlink()
        with pytest.raises(CheckpointError, match=r"image\.onnx is missing"):
            load_encoder(tmp_path / "model", device="cpu")

    def test_only_a_pair_with_states_can_be_trained_on(self, immich: Path, tmp_path: Path) -> None:
        """Anything else is refused with one sentence."""
        import_pair(immich, tmp_path / "pair", name="plain")
        description = read_pair(tmp_path / "pair")
        assert (description.regions, description.tokens) == (None, None)
        with pytest.raises(TrainingError, match="model plain has vectors only: without states"):
            start_on_pair(tmp_path / "pair")
        with pytest.raises(CheckpointError, match=r"model\.json cannot be read"):
            start_on_pair(immich)
