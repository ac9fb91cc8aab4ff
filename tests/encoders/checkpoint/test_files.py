"""Writing models, and reading or refusing them."""

from __future__ import annotations

import gc
import hashlib
import io
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from encoders import load_encoder
from encoders.checkpoint.description import read_description
from encoders.checkpoint.files import Checkpoint, read_checkpoint, write_checkpoint
from encoders.checkpoint.tokenizer import Tokenizer
from encoders.checkpoint.weights import Array, pack_weights, unpack_weights
from encoders.errors import CheckpointError
from tests.encoders.conftest import WORDS, tiny_checkpoint


def change(directory: Path, **values: object) -> None:
    """Alter the description."""
    file = directory / "model.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


def test_a_round_trip_keeps_the_model_to_half_precision(checkpoint: Checkpoint, model_directory: Path) -> None:
    """Architecture, vocabulary, calibration, metadata and weights come back."""
    loaded = read_checkpoint(model_directory)
    assert loaded.model.config == checkpoint.model.config
    assert isinstance(loaded.tokenizer, Tokenizer)
    assert loaded.tokenizer.vocabulary == ("[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS)
    assert loaded.calibration == checkpoint.calibration
    assert loaded.metadata == checkpoint.metadata
    for name, value in checkpoint.model.state_dict().items():
        torch.testing.assert_close(loaded.model.state_dict()[name], value, atol=1e-3, rtol=1e-3)


def test_the_fingerprint_follows_the_content(checkpoint: Checkpoint, model_directory: Path, tmp_path: Path) -> None:
    """The same model has the same fingerprint anywhere; another calibration or weight has another."""
    first = read_description(model_directory).fingerprint
    assert len(first) == 64
    assert write_checkpoint(checkpoint, tmp_path / "copy") == first
    change(tmp_path / "copy", name="other")
    assert read_description(tmp_path / "copy").fingerprint != first
    with torch.no_grad():
        checkpoint.model.log_scale.add_(1)
    assert write_checkpoint(checkpoint, tmp_path / "third") != first


@pytest.mark.parametrize("file", ["model.safetensors", "model.json"])
def test_a_missing_file_is_named(model_directory: Path, file: str) -> None:
    """A directory without it is not a model."""
    (model_directory / file).unlink()
    with pytest.raises(CheckpointError, match=rf"is not a model: {file} is missing"):
        load_encoder(model_directory)


@pytest.mark.parametrize("keep", [0, 100, -1])
def test_weights_cut_short_are_refused(model_directory: Path, keep: int) -> None:
    """An interrupted download never loads."""
    file = model_directory / "model.safetensors"
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(CheckpointError, match=r"model\.safetensors is cut short or altered.*copy the model again"):
        load_encoder(model_directory)


def test_altered_weights_are_refused(model_directory: Path) -> None:
    """A single changed bit is detected."""
    file = model_directory / "model.safetensors"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    with pytest.raises(CheckpointError, match="altered"):
        load_encoder(model_directory)


def test_a_description_cut_short_is_refused(model_directory: Path) -> None:
    """Half a JSON document is not JSON."""
    file = model_directory / "model.json"
    file.write_text(file.read_text()[:200])
    with pytest.raises(CheckpointError, match=r"model\.json cannot be read"):
        load_encoder(model_directory)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"format": "other"}, "does not describe a crosslook model"),
        ({"version": 4}, "format version 4; this crosslook reads up to 3"),
        ({"architecture": None}, "a key is missing or malformed"),
        ({"calibration": {"slope": 1}}, "a key is missing or malformed"),
        ({"vocabulary": ["a"]}, "a vocabulary begins with"),
    ],
)
def test_unusable_descriptions_are_refused(model_directory: Path, values: dict[str, object], words: str) -> None:
    """Foreign, newer and damaged descriptions have different messages."""
    change(model_directory, **values)
    with pytest.raises(CheckpointError, match=words):
        load_encoder(model_directory)


def test_weights_of_another_architecture_are_refused(model_directory: Path) -> None:
    """A description with another size than the weights is refused when the part loads."""
    document = json.loads((model_directory / "model.json").read_text())
    change(model_directory, architecture=document["architecture"] | {"dimension": 32})
    with pytest.raises(CheckpointError, match=r"its weights do not fit model\.json"):
        load_encoder(model_directory).encode_texts(["a red wall"])


class Touch:
    """Creates a file when it is unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.file,)


def test_reading_runs_nothing_from_the_file(model_directory: Path, tmp_path: Path) -> None:
    """A pickle in place of the weights is refused, even with the right checksum."""
    weights, trace = model_directory / "model.safetensors", tmp_path / "it ran"
    torch.save({"weights": Touch(trace)}, weights)
    change(model_directory, weights_sha256=hashlib.sha256(weights.read_bytes()).hexdigest())
    with pytest.raises(CheckpointError, match=r"its weights do not fit model\.json"):
        load_encoder(model_directory).encode_texts(["a red wall"])
    assert not trace.exists()
    torch.load(io.BytesIO(weights.read_bytes()), weights_only=False)
    assert trace.exists()


def test_no_temporary_file_remains(model_directory: Path) -> None:
    """Only the two final files are left."""
    assert sorted(p.name for p in model_directory.iterdir()) == ["model.json", "model.safetensors"]


def test_large_matrices_are_stored_in_a_byte_per_value() -> None:
    """They are restored to within half a step of their block of 32; small tensors and integers exactly."""
    rng = np.random.default_rng(0)
    columns = np.logspace(-3, 3, 256)  # within a row, blocks differ by much
    weights: dict[str, Array] = {
        "large": (rng.normal(size=(300, 256)) * np.logspace(-4, 2, 300)[:, None] * columns).astype(np.float32),
        "convolution": rng.normal(size=(64, 1030, 1, 1)).astype(np.float32),
        "small": rng.normal(size=(4, 4)).astype(np.float16).astype(np.float32),
        "count": np.array(7),
    }
    packed = pack_weights(weights)
    assert packed["large"].dtype == packed["convolution"].dtype == np.int8
    restored = unpack_weights(packed)
    assert restored.keys() == weights.keys()
    np.testing.assert_array_equal(restored["small"], weights["small"])
    assert restored["count"] == 7
    for name in ("large", "convolution"):
        assert restored[name].shape == weights[name].shape
        for start in range(0, weights[name].shape[1], 32):
            block, stored = (x[name].reshape(len(x[name]), -1)[:, start : start + 32] for x in (weights, restored))
            step = np.abs(block).max(1) / 127
            assert (np.abs(stored - block).max(1) <= 0.51 * step).all()


def test_a_model_of_version_2_still_loads(tmp_path: Path) -> None:
    """Its large matrices have one scale per row."""
    checkpoint = tiny_checkpoint(text_feed_forward=5000)
    directory = tmp_path / "model"
    write_checkpoint(checkpoint, directory)
    packed = load_file(directory / "model.safetensors")
    name = "text.tower.layers.0.linear1.weight"
    value = checkpoint.model.state_dict()[name]
    scale = value.abs().amax(1) / 127
    del packed[f"{name}.scales"]
    packed |= {name: (value / scale[:, None]).round().to(torch.int8), f"{name}.row_scale": scale}
    save_file(packed, directory / "model.safetensors")
    document = json.loads((directory / "model.json").read_text())
    digest = hashlib.sha256((directory / "model.safetensors").read_bytes()).hexdigest()
    (directory / "model.json").write_text(json.dumps(document | {"version": 2, "weights_sha256": digest}))
    loaded = read_checkpoint(directory).model.state_dict()[name]
    assert bool(((loaded - value).abs() <= 0.51 * scale[:, None]).all())


def test_a_model_of_version_1_still_loads(tmp_path: Path) -> None:
    """Its one head per tower becomes two; vectors, states and scores are unchanged."""
    checkpoint = tiny_checkpoint(querybank=3)
    model = checkpoint.model
    model.image.local.norm.load_state_dict(model.image.pool.norm.state_dict())
    model.text.local.norm.load_state_dict(model.text.pool.norm.state_dict())
    write_checkpoint(checkpoint, tmp_path / "new")
    old_names = {"pool.norm": "head.norm", "pool.value": "head.value", "pool.weigh": "head.weigh"}
    weights: dict[str, torch.Tensor] = {}
    for name, value in load_file(tmp_path / "new" / "model.safetensors").items():
        if ".local.norm" in name or name.startswith(("reranker.picture", "reranker.sentence", "reranker.log_scale")):
            continue
        old = name.replace("local.project", "head.local").replace(".scale", ".gone")
        for new, previous in old_names.items():
            old = old.replace(new, previous) if not old.startswith("reranker") else old
        weights[old] = value
    (tmp_path / "old").mkdir()
    save_file({k: v for k, v in weights.items() if "gone" not in k}, tmp_path / "old" / "model.safetensors")
    document = json.loads((tmp_path / "new" / "model.json").read_text())
    digest = hashlib.sha256((tmp_path / "old" / "model.safetensors").read_bytes()).hexdigest()
    document |= {"version": 1, "weights_sha256": digest}
    for new in ("class_names", "word_counts"):
        del document[new]
    (tmp_path / "old" / "model.json").write_text(json.dumps(document))
    pixels = np.random.default_rng(0).integers(0, 255, (2, 32, 32, 3), np.uint8)
    current, version_1 = (load_encoder(tmp_path / name, device="cpu") for name in ("new", "old"))
    images, text = current.encode_images(pixels), current.encode_texts(["a red wall"])
    np.testing.assert_array_equal(version_1.encode_images(pixels).regions, images.regions)
    np.testing.assert_array_equal(version_1.encode_images(pixels).vectors, images.vectors)
    np.testing.assert_array_equal(version_1.encode_texts(["a red wall"]).vectors, text.vectors)
    np.testing.assert_allclose(version_1.match_images(text, images).scores, current.match_images(text, images).scores)
    assert read_checkpoint(tmp_path / "old").calibration == checkpoint.calibration


def other_checkpoint() -> Checkpoint:
    """The tiny model with other weights."""
    checkpoint = tiny_checkpoint()
    with torch.no_grad():
        for parameter in checkpoint.model.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(7)))
    return checkpoint


@pytest.mark.parametrize("workers", [1, 2])
def test_a_model_retrained_in_place_is_not_mixed_with_its_old_parts(model_directory: Path, workers: int) -> None:
    """Parts loaded after the files were replaced belong to the fingerprint."""
    pixels = np.random.default_rng(0).integers(0, 255, (3, 32, 32, 3), np.uint8)
    untouched, encoder = (load_encoder(model_directory, device="cpu", workers=workers) for _ in range(2))
    expected = untouched.encode_images(pixels)
    scores = untouched.match_images(untouched.encode_texts(["a red wall"]), expected).scores
    text = encoder.encode_texts(["a red wall"])  # loads only this part
    write_checkpoint(other_checkpoint(), model_directory)
    images = encoder.encode_images(pixels)
    np.testing.assert_allclose(images.vectors, expected.vectors, atol=1e-5)
    np.testing.assert_allclose(encoder.match_images(text, images).scores, scores, atol=1e-4)
    retrained = load_encoder(model_directory, device="cpu", workers=workers)
    assert retrained.fingerprint != encoder.fingerprint
    assert np.abs(retrained.encode_images(pixels).vectors - expected.vectors).max() > 0.1


def test_weights_overwritten_in_place_are_refused(model_directory: Path, tmp_path: Path) -> None:
    """Copying over the open file would change the weights behind the old fingerprint."""
    encoder = load_encoder(model_directory, device="cpu")
    write_checkpoint(other_checkpoint(), tmp_path / "other")
    for name in ("model.safetensors", "model.json"):
        (model_directory / name).write_bytes((tmp_path / "other" / name).read_bytes())
    with pytest.raises(CheckpointError, match=r"model\.safetensors was overwritten while in use; start again"):
        encoder.encode_texts(["a red wall"])


def test_without_dev_fd_a_replaced_file_is_refused(model_directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On such systems the open file has no path, and parts of two models could be mixed."""
    exists = Path.exists
    monkeypatch.setattr(Path, "exists", lambda self: "/dev/fd" not in str(self) and exists(self))
    encoder = load_encoder(model_directory, device="cpu")
    encoder.encode_texts(["a red wall"])
    write_checkpoint(other_checkpoint(), model_directory)
    with pytest.raises(CheckpointError, match=r"model\.safetensors was replaced while in use; start again"):
        encoder.encode_images(np.zeros((1, 32, 32, 3), np.uint8))


def test_the_weights_file_is_closed_with_the_model(model_directory: Path) -> None:
    """Its descriptor is released when the description is."""
    description = read_description(model_directory)
    descriptor = description.weights._descriptor
    os.fstat(descriptor)
    del description
    gc.collect()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


def test_both_files_are_flushed_before_they_are_renamed(
    model_directory: Path, checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a power cut, no name refers to a file without its bytes."""
    flushed: list[int] = []
    renamed: list[tuple[str, bool]] = []
    fsync, replace = os.fsync, Path.replace

    def note_flush(descriptor: int) -> None:
        fsync(descriptor)
        flushed.append(os.fstat(descriptor).st_ino)

    def note_rename(self: Path, target: Path) -> Path:
        renamed.append((target.name, self.stat().st_ino in flushed))
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", note_flush)
    monkeypatch.setattr(Path, "replace", note_rename)
    write_checkpoint(checkpoint, model_directory)
    assert renamed == [("model.safetensors", True), ("model.json", True)]


@pytest.mark.parametrize("text", ["[" * 100_000, '{"format": ' + "7" * 5_000 + "}"])
def test_a_description_that_python_cannot_parse_is_refused(model_directory: Path, text: str) -> None:
    """Deep nesting and numbers beyond the limit of `int` count as damage."""
    (model_directory / "model.json").write_text(text)
    with pytest.raises(CheckpointError, match=r"model\.json cannot be read"):
        load_encoder(model_directory)


def test_a_pair_is_copied_once_where_links_are_impossible(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model is written after each good epoch, its pair only if it changed."""
    (tmp_path / "pair").mkdir()
    (tmp_path / "pair" / "image.onnx").write_bytes(b"one")
    copied = []

    def copy(source: Path, target: Path) -> None:
        copied.append(source.name)
        shutil.copystat(source, shutil.copyfile(source, target))

    def refuse(*_: object) -> None:
        raise OSError("another disk")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    monkeypatch.setattr("encoders.checkpoint.files.shutil.copy2", copy)
    checkpoint = replace(tiny_checkpoint(), pair=tmp_path / "pair")
    for _ in range(2):
        write_checkpoint(checkpoint, tmp_path / "model")
    assert copied == ["image.onnx"]
    (tmp_path / "pair" / "image.onnx").write_bytes(b"another")
    write_checkpoint(checkpoint, tmp_path / "model")
    assert [path.read_bytes() for path in (tmp_path / "model" / "pair").iterdir()] == [b"another"]
