"""Pretrained pairs: exported, imported in both foreign forms, and as open_clip itself computes them."""

from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import open_clip
import pytest
import torch
from onnx import numpy_helper
from PIL import Image

from encoders import EncodersError, load_encoder
from encoders.checkpoint.onnx_file import external_files
from encoders.errors import BackboneError, CheckpointError
from encoders.pairs.description import verify
from encoders.pairs.encoder import PairEncoder
from encoders.pairs.from_open_clip import export_open_clip
from encoders.pairs.importing import import_pair, new_pair
from encoders.pairs.sources import find_pair, obtain

TEXTS = ["a photo of a cat", "Two DOGS, running… 3 times!", "", "it's a café in Zürich", "word " * 40]


def pictures() -> list[Image.Image]:
    """Pictures of noise: wide, tall, square, smaller than the input."""
    rng = np.random.default_rng(0)
    sizes = ((200, 120), (77, 300), (64, 64), (20, 30))
    return [Image.fromarray(rng.integers(0, 256, (height, width, 3), np.uint8)) for width, height in sizes]


@torch.no_grad()
def by_open_clip(architecture: str) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """The vectors of the pictures and of the texts, by open_clip's own preprocessing and tokenizer."""
    model, _, prepare = open_clip.create_model_and_transforms(architecture, pretrained=None)
    torch.manual_seed(0)
    model = open_clip.create_model(architecture, pretrained=None).eval()
    batch = torch.stack([prepare(picture) for picture in pictures()])
    tokens = open_clip.get_tokenizer(architecture)(TEXTS)
    images, texts = model.encode_image(batch, normalize=True), model.encode_text(tokens, normalize=True)
    return images.numpy(), texts.numpy()


def check(directory: Path, architecture: str) -> None:
    """The encoder's vectors are open_clip's."""
    encoder = load_encoder(directory, device="cpu")
    assert isinstance(encoder, PairEncoder)
    images, texts = by_open_clip(architecture)
    found = encoder.encode_images(np.stack([encoder.prepare(picture) for picture in pictures()]))
    np.testing.assert_allclose(found.vectors, images, atol=1e-3)
    np.testing.assert_allclose(encoder.encode_texts(TEXTS).vectors, texts, atol=1e-3)
    np.testing.assert_allclose(encoder.encode_texts(TEXTS[1:2]).vectors, texts[1:2], atol=1e-3)


def test_an_exported_pair_has_open_clips_vectors(pair: Path, architecture: str) -> None:
    """Pictures of any shape and sentences of any length, to a thousandth."""
    check(pair, architecture)


@pytest.mark.parametrize("form", ["immich", "transformers_js"])
def test_both_foreign_forms_are_imported(
    form: str, request: pytest.FixtureRequest, tmp_path: Path, architecture: str
) -> None:
    """With open_clip's vectors again."""
    import_pair(request.getfixturevalue(form), tmp_path / "pair", name="pair")
    check(tmp_path / "pair", architecture)


def test_a_pair_without_states_has_neither_regions_nor_a_heat_map(immich: Path, tmp_path: Path) -> None:
    """And no probability, if its training had no bias."""
    import_pair(immich, tmp_path / "pair", name="pair")
    encoder = load_encoder(tmp_path / "pair", device="cpu")
    images = encoder.encode_images(np.zeros((2, encoder.input_size, encoder.input_size, 3), np.uint8))
    assert images.regions.shape == (2, 0, 1)
    assert (encoder.matches, encoder.has_regions, encoder.stores_regions) == (False, False, False)
    with pytest.raises(EncodersError, match="has no regions"):
        encoder.attend("a cat", images.take([0]))
    with pytest.raises(EncodersError, match="has no regions"):
        encoder.regions(pictures()[0])
    assert encoder.encode_images(np.zeros((0, encoder.input_size, encoder.input_size, 3), np.uint8)).vectors.shape == (
        0,
        24,
    )


def test_a_pair_is_named_before_it_is_loaded(pair: Path) -> None:
    """As other models are."""
    lazy, loaded = (load_encoder(pair, device="cpu", lazy=lazy) for lazy in (True, False))
    assert (lazy.name, lazy.fingerprint) == (loaded.name, loaded.fingerprint)
    assert lazy.dimension == loaded.dimension == 24
    with pytest.raises(EncodersError, match="a pretrained pair does not run on 'cuda'"):
        load_encoder(pair, device="cuda")


def damage_half(folder: Path) -> None:
    """Remove a half."""
    (folder / "textual" / "model.onnx").unlink()


def damage_cut(folder: Path) -> None:
    """Cut a half short."""
    file = folder / "visual" / "model.onnx"
    file.write_bytes(file.read_bytes()[:-5000])


def damage_empty(folder: Path) -> None:
    """Leave nothing of a half."""
    (folder / "visual" / "model.onnx").write_bytes(b"")


def damage_garbage(folder: Path) -> None:
    """Replace a half by something else."""
    (folder / "visual" / "model.onnx").write_bytes(b"PK\x03\x04 not a model" * 100)


def damage_zeros(folder: Path) -> None:
    """As a download that reserved its space first leaves a file."""
    (folder / "visual" / "model.onnx").write_bytes(bytes(5000))


def damage_tokenizer(folder: Path) -> None:
    """Give the tokenizer a token beyond the text half's vocabulary."""
    document = json.loads((folder / "textual" / "tokenizer.json").read_text())
    document["added_tokens"].append(document["added_tokens"][-1] | {"id": 60_000, "content": "<extra>"})
    document["model"]["vocab"]["<extra>"] = 60_000
    (folder / "textual" / "tokenizer.json").write_text(json.dumps(document))


def damage_nan(folder: Path) -> None:
    """Make weights of the image half NaN."""
    model = onnx.load(folder / "visual" / "model.onnx")
    for tensor in model.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT:
            values = np.full_like(numpy_helper.to_array(tensor), np.nan)
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    onnx.save(model, folder / "visual" / "model.onnx")


def damage_outside(folder: Path) -> None:
    """Keep weights in a file outside the folder."""
    model = onnx.load(folder / "visual" / "model.onnx")
    onnx.save(
        model, folder / "visual" / "model.onnx", save_as_external_data=True, location="weights.bin", size_threshold=512
    )
    model = onnx.load(folder / "visual" / "model.onnx", load_external_data=False)
    (folder / "visual" / "weights.bin").rename(folder / "weights.bin")
    for tensor in model.graph.initializer:
        for entry in tensor.external_data:
            entry.value = "../weights.bin" if entry.key == "location" else entry.value
    (folder / "visual" / "model.onnx").write_bytes(model.SerializeToString())


def damage_settings(folder: Path) -> None:
    """Preprocess as nobody does."""
    file = folder / "visual" / "preprocess_cfg.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"resize_mode": "seam carving"}))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (damage_half, "model.onnx is missing: a pair has both halves"),
        (damage_cut, "is not a complete ONNX file"),
        (damage_empty, "is empty; fetch it again"),
        (damage_garbage, "is not a complete ONNX file"),
        (damage_zeros, "is not a complete ONNX file"),
        (damage_tokenizer, "the tokenizer does not fit the text half"),
        (damage_nan, "a vector is not finite"),
        (damage_outside, "keeps weights outside its folder"),
        (damage_settings, "no preprocessing that crosslook knows"),
    ],
)
def test_a_damaged_folder_is_refused_and_nothing_is_left(
    damage: Any, message: str, immich: Path, tmp_path: Path
) -> None:
    """Each with one sentence."""
    damage(immich)
    with pytest.raises(CheckpointError, match=message) as raised:
        import_pair(immich, tmp_path / "models" / "pair", name="pair")
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "models").exists() or not list((tmp_path / "models").iterdir())


@pytest.mark.parametrize("name", ["visual/model.onnx", "visual/weights.bin"])
def test_a_file_larger_than_any_model_is_refused(
    immich: Path, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before it is read or copied."""

    def small_only(path: Path) -> str:
        assert path.stat().st_size < 1_000_000_000
        return "0"

    monkeypatch.setattr("encoders.pairs.sources.digest", small_only)
    if name.endswith(".bin"):
        path = immich / "visual" / "model.onnx"
        onnx.save(onnx.load(path), path, save_as_external_data=True, location="weights.bin", size_threshold=512)
    os.truncate(immich / name, 40_000_000_000)
    with pytest.raises(CheckpointError, match=f"{name} has 40 GB, more than any model crosslook knows"):
        obtain(f"onnx:{immich}", tmp_path / "models")
    assert not (tmp_path / "models").exists()


def test_a_pair_that_two_processes_make_is_made_once(pair: Path, tmp_path: Path) -> None:
    """The slower one takes the faster one's."""
    with new_pair(tmp_path / "models" / "pair") as folder:
        shutil.copytree(pair, folder, dirs_exist_ok=True)
        shutil.copytree(pair, tmp_path / "models" / "pair")
    verify(tmp_path / "models" / "pair")
    assert [path.name for path in (tmp_path / "models").iterdir()] == ["pair"]


def test_a_full_disk_leaves_nothing_behind(immich: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the file that did not fit."""

    def fill(_: Path, target: Path) -> None:
        target.write_bytes(b"the first bytes")
        raise OSError(errno.ENOSPC, "No space left on device", str(target))

    monkeypatch.setattr("encoders.pairs.importing.shutil.copyfile", fill)
    with pytest.raises(CheckpointError, match=r"tokenizer\.json: No space left on device"):
        import_pair(immich, tmp_path / "models" / "pair", name="pair")
    assert list((tmp_path / "models").iterdir()) == []


def test_halves_of_two_models_are_refused(immich: Path, tmp_path: Path) -> None:
    """Vectors of different lengths give them away."""
    model = onnx.load(immich / "textual" / "model.onnx")
    output = model.graph.output[0].name
    model.graph.node.append(onnx.helper.make_node("Concat", [output, output], ["twice"], axis=1))
    del model.graph.output[:]
    model.graph.output.append(onnx.helper.make_tensor_value_info("twice", onnx.TensorProto.FLOAT, ["batch", 48]))
    onnx.save(model, immich / "textual" / "model.onnx")
    with pytest.raises(CheckpointError, match="the halves belong to two models: pictures have vectors of 24"):
        import_pair(immich, tmp_path / "pair", name="pair")


def test_weights_in_a_file_beside_a_half_are_copied(immich: Path, tmp_path: Path, architecture: str) -> None:
    """As ONNX does with large models."""
    path = immich / "visual" / "model.onnx"
    onnx.save(onnx.load(path), path, save_as_external_data=True, location="model.onnx.data", size_threshold=512)
    assert external_files(np.fromfile(path, np.uint8), path) == {"model.onnx.data"}
    import_pair(immich, tmp_path / "pair", name="pair")
    shutil.rmtree(immich)
    check(tmp_path / "pair", architecture)


def test_a_damaged_pair_is_refused(pair: Path, tmp_path: Path) -> None:
    """A file that is cut short or missing is named."""
    shutil.copytree(pair, tmp_path / "pair")
    file = tmp_path / "pair" / "text.onnx"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(CheckpointError, match=r"text\.onnx is cut short or altered"):
        load_encoder(tmp_path / "pair", device="cpu")
    file.unlink()
    with pytest.raises(CheckpointError, match=r"text\.onnx is missing"):
        load_encoder(tmp_path / "pair", device="cpu")


@pytest.mark.parametrize(
    ("part", "change", "message"),
    [
        (None, {"scale": "1", "bias": 2.0}, "cannot be read"),
        (None, {"bias": float("nan")}, "cannot be read"),
        ("image", {"size": "large"}, "cannot be read"),
        ("image", {"resize": "seam carving"}, "cannot be read"),
        ("image", {"interpolation": "lanczos"}, "cannot be read"),
        ("image", {"std": [1, 0, 1]}, "cannot be read"),
        ("text", {"context": 0}, "cannot be read"),
        ("text", {"pad": "none"}, "cannot be read"),
        ("regions", {"output": "nothing"}, "has no output 'nothing'"),
        ("files", {"../secret": [6, "0"]}, "lists a file outside its folder"),
    ],
)
def test_an_altered_description_is_refused(
    part: str | None, change: dict[str, Any], message: str, pair: Path, tmp_path: Path
) -> None:
    """With one sentence, whichever value was altered; a file elsewhere is not opened."""
    (tmp_path / "secret").write_bytes(b"secret")
    shutil.copytree(pair, tmp_path / "pair")
    document = json.loads((pair / "model.json").read_text())
    document |= change if part is None else {part: document[part] | change}
    (tmp_path / "pair" / "model.json").write_text(json.dumps(document))
    with pytest.raises(CheckpointError, match=message):
        load_encoder(tmp_path / "pair", device="cpu").regions(pictures()[0])


def test_no_sentences_have_no_vectors(pair: Path) -> None:
    """As no pictures have none."""
    assert load_encoder(pair, device="cpu").encode_texts([]).vectors.shape == (0, 24)


def test_unknown_names_are_refused(tmp_path: Path) -> None:
    """Of architectures and of weights; the message lists what there is."""
    with pytest.raises(BackboneError, match="open_clip has no architecture 'ViT-Z'"):
        export_open_clip("ViT-Z", "openai", tmp_path / "pair", name="pair")
    with pytest.raises(BackboneError, match="RN50 has no weights 'nothing'; it has: openai"):
        export_open_clip("RN50", "nothing", tmp_path / "pair", name="pair")


def test_a_pair_is_found_by_its_folder_or_its_name(pair: Path, architecture: str, tmp_path: Path) -> None:
    """An unknown name and one that two have are refused; the message says which there are."""
    assert find_pair(str(pair), tmp_path) == pair
    with pytest.raises(EncodersError, match=r"nothing is no pretrained pair; .* added before: none"):
        find_pair("nothing", tmp_path / "empty")
    shutil.copytree(pair, tmp_path / "one")
    assert find_pair(architecture, tmp_path) == tmp_path / "one"
    shutil.copytree(pair, tmp_path / "two")
    with pytest.raises(EncodersError, match=f"several pairs are called '{architecture}'; name one's folder: "):
        find_pair(architecture, tmp_path)
    with pytest.raises(EncodersError, match=f"added before: {architecture}$"):
        find_pair("nothing", tmp_path)
    (tmp_path / "one" / "text.onnx").unlink()
    assert find_pair(architecture, tmp_path) == tmp_path / "two"


def test_weights_in_a_sparse_constant_are_found_too(tmp_path: Path) -> None:
    """An attribute can hold a sparse tensor, whose values can lie in any file."""
    values = onnx.TensorProto(data_type=onnx.TensorProto.FLOAT, dims=[1], data_location=onnx.TensorProto.EXTERNAL)
    values.external_data.add(key="location", value="../secret")
    sparse = onnx.SparseTensorProto(values=values, dims=[4])
    node = onnx.NodeProto(op_type="Constant", output=["x"])
    node.attribute.add(name="sparse_value", type=onnx.AttributeProto.SPARSE_TENSOR).sparse_tensor.CopyFrom(sparse)
    model = onnx.ModelProto(graph=onnx.GraphProto(node=[node]))
    assert external_files(np.frombuffer(model.SerializeToString(), np.uint8), tmp_path) == {"../secret"}


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("preprocessor_config.json", {"size": {"shortest_edge": 48}}, "resized to one size and cropped to another"),
        ("preprocessor_config.json", {"do_normalize": False}, "not normalised in the usual way"),
        ("preprocessor_config.json", {"rescale_factor": 1.0}, "not normalised in the usual way"),
        ("preprocessor_config.json", {"resample": [3]}, "a setting is malformed"),
        ("preprocessor_config.json", {"image_mean": [0.5]}, "no preprocessing that crosslook knows"),
        ("config.json", {"text_config": None}, "a setting is malformed"),
        ("tokenizer.json", {"added_tokens": None}, "a setting is malformed"),
    ],
)
def test_settings_that_crosslook_does_not_know_are_refused(
    file: str, change: dict[str, Any], message: str, transformers_js: Path, tmp_path: Path
) -> None:
    """Instead of vectors that are a little wrong."""
    path = transformers_js / file
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(CheckpointError, match=message):
        import_pair(transformers_js, tmp_path / "pair", name="pair")


def test_pretrained_weights_get_their_own_activation(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """OpenAI's were trained with QuickGELU, which an architecture's name does not say."""
    asked: dict[str, Any] = {}

    def create(name: str, **options: Any) -> Any:
        asked[f"{name}/{options['pretrained']}"] = options["force_quick_gelu"]
        raise RuntimeError("no network")

    monkeypatch.setattr(open_clip, "create_model", create)
    for tag in ("openai", "laion2b_s34b_b79k"):
        with pytest.raises(BackboneError, match=r"cannot be fetched \(RuntimeError: no network\)"):
            export_open_clip("ViT-B-32", tag, tmp_path / "pair", name="pair")
    assert asked == {"ViT-B-32/openai": True, "ViT-B-32/laion2b_s34b_b79k": False}


def test_a_source_becomes_one_model_until_it_changes(immich: Path, tmp_path: Path, pair: Path) -> None:
    """A damaged model is imported again; a folder of the same name is another model; so is one that changed."""
    models = tmp_path / "models"
    first = obtain(f"onnx:{immich}", models)
    assert obtain(f"onnx:{immich}", models) == first
    (first / "text.onnx").write_bytes(b"damaged")
    assert obtain(f"onnx:{immich}", models) == first
    assert load_encoder(first, device="cpu").encode_texts(["a cat"]).vectors.shape == (1, 24)
    shutil.copytree(immich, tmp_path / "elsewhere" / immich.name)
    tokenizer = tmp_path / "elsewhere" / immich.name / "textual" / "tokenizer.json"
    tokenizer.write_text(json.dumps(json.loads(tokenizer.read_text())))
    second = obtain(f"onnx:{tmp_path / 'elsewhere' / immich.name}", models)
    assert second != first
    assert first.is_dir()
    altered = (second / "image.onnx").read_bytes()
    (second / "image.onnx").write_bytes(altered[:-1] + bytes([altered[-1] ^ 1]))
    with pytest.raises(CheckpointError, match=r"image\.onnx was altered"):
        verify(second)
    verify(pair)
