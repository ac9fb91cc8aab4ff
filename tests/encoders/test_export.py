"""Graphs for ONNX Runtime: written, checked, and in agreement with torch."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from encoders import BASE_MODEL, Pixels, load_encoder
from encoders.checkpoint import weights
from encoders.checkpoint.description import read_description
from encoders.checkpoint.files import read_checkpoint, write_checkpoint
from encoders.checkpoint.graphs import remove_graphs
from encoders.errors import CheckpointError
from encoders.export import write_graphs
from encoders.inference.encoder import ModelEncoder
from encoders.inference.graph_parts import GraphParts
from encoders.inference.torch_parts import TorchParts
from tests.encoders.conftest import tiny_checkpoint, use_tiny_backbone

ROOT = Path(__file__).parents[2]
TEXTS = ["a red wall", "the blue door is over a white wall", "green", "a", "wall " * 30]


@pytest.fixture(scope="module", params=["shared layers", "split layers, classes, hubness"])
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two models with graphs; small matrices and convolutions are packed as large ones are, rows of odd lengths too."""
    directory = tmp_path_factory.mktemp("models") / "model"
    settings: dict[str, object] = {}
    if request.param != "shared layers":
        settings = {"image_split": 2, "text_split": 1, "classes": 5, "class_dimension": 4, "querybank": 3}
    with pytest.MonkeyPatch.context() as patch:
        use_tiny_backbone(patch)
        patch.setattr(weights, "LARGE", 64)
        write_checkpoint(tiny_checkpoint(**settings), directory)
        assert write_graphs(directory)
    return directory


def pixels(count: int, size: int = 32) -> Pixels:
    """Random pictures."""
    return np.random.default_rng(0).integers(0, 255, (count, size, size, 3), np.uint8)


def in_torch(directory: Path) -> ModelEncoder:
    """The model as torch runs it."""
    description = read_description(directory)
    return ModelEncoder(directory, description, TorchParts(description, "cpu", precision="float32"))


def test_it_agrees_with_torch(exported: Path) -> None:
    """Vectors, states, scores and attention, for sentences of all lengths, alone and in batches."""
    encoder, torch_encoder = load_encoder(exported, device="cpu"), in_torch(exported)
    assert isinstance(encoder, ModelEncoder)
    assert isinstance(encoder._parts, GraphParts)
    texts, expected = encoder.encode_texts(TEXTS), torch_encoder.encode_texts(TEXTS)
    np.testing.assert_allclose(texts.vectors, expected.vectors, atol=1e-5)
    for sentence, states, torch_states in zip(TEXTS, texts.tokens, expected.tokens, strict=True):
        np.testing.assert_allclose(states, torch_states, atol=1e-5)
        np.testing.assert_allclose(encoder.encode_texts([sentence]).tokens[0], torch_states, atol=1e-5)
    pictures = encoder.encode_images(pixels(GraphParts.image_batch + 3))
    in_torch_ = torch_encoder.encode_images(pixels(GraphParts.image_batch + 3))
    np.testing.assert_allclose(pictures.vectors, in_torch_.vectors, atol=1e-5)
    np.testing.assert_allclose(pictures.regions, in_torch_.regions, atol=1e-5)
    for row in range(len(TEXTS)):
        one, other = (e.match_images(e.query(texts.take([row])), pictures) for e in (encoder, torch_encoder))
        np.testing.assert_allclose(one.scores, other.scores, atol=1e-4)
        np.testing.assert_allclose(one.probabilities, other.probabilities, atol=1e-4)
    one, other = (e.match_captions(pictures.take([0]), texts) for e in (encoder, torch_encoder))
    np.testing.assert_allclose(one.scores, other.scores, atol=1e-4)
    maps = [e.attend(TEXTS[1], pictures.take([0])).weights for e in (encoder, torch_encoder)]
    np.testing.assert_allclose(maps[0], maps[1], atol=1e-5)


def test_no_pictures_have_no_features(exported: Path) -> None:
    """But arrays of the right width."""
    encoder = load_encoder(exported, device="cpu")
    assert encoder.encode_images(pixels(0)).vectors.shape == (0, encoder.dimension)


def test_threads_share_one_model(exported: Path) -> None:
    """Each part is loaded once, and threads at the same time get the same vectors."""
    encoder = load_encoder(exported, device="cpu", workers=2)
    pictures = encoder.encode_images(pixels(7))
    with ThreadPoolExecutor(4) as pool:
        for single, vector in zip(pool.map(encoder.encode_images, pixels(7)[:, None]), pictures.vectors, strict=True):
            np.testing.assert_allclose(single.vectors[0], vector, atol=1e-5)


def test_the_graphs_hold_no_weights(exported: Path) -> None:
    """They refer to those of the model, and stay small."""
    for part in ("image", "text", "reranker"):
        graph = (exported / f"{part}.onnx").read_bytes()
        assert b"model.safetensors" in graph
        assert len(graph) < 200_000


@pytest.mark.slow
def test_a_model_in_use_loads_no_torch(exported: Path) -> None:
    """Nor anything else that only training needs."""
    program = """
import sys
from pathlib import Path
import numpy as np
from encoders import load_encoder
encoder = load_encoder(Path(sys.argv[1]), device="cpu")
images = encoder.encode_images(np.zeros((1, encoder.input_size, encoder.input_size, 3), np.uint8))
encoder.match_images(encoder.query(encoder.encode_texts(["a red wall"])), images)
print(sorted({"torch", "torchvision", "timm", "onnx", "matplotlib"} & set(sys.modules)))
"""
    run = subprocess.run(
        [sys.executable, "-c", program, str(exported)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert run.stdout == "[]\n"


def test_damaged_graphs_are_refused(exported: Path, tmp_path: Path) -> None:
    """Cut short, missing, or of another model: each is named."""
    for name, damage, message in (
        ("text.onnx", lambda file: file.write_bytes(file.read_bytes()[:-9]), r"text\.onnx is cut short or altered"),
        ("image.onnx", Path.unlink, r"image\.onnx is missing"),
        ("graphs.json", lambda file: file.write_text("{"), r"graphs\.json cannot be read"),
    ):
        shutil.copytree(exported, tmp_path / name)
        damage(tmp_path / name / name)
        with pytest.raises(CheckpointError, match=message):
            load_encoder(tmp_path / name, device="cpu")
    shutil.copytree(exported, tmp_path / "other")
    document = json.loads((tmp_path / "other" / "graphs.json").read_text())
    (tmp_path / "other" / "graphs.json").write_text(json.dumps(document | {"weights_sha256": "0" * 64}))
    with pytest.raises(CheckpointError, match=r"graphs\.json belongs to other weights"):
        load_encoder(tmp_path / "other", device="cpu")


def test_new_weights_need_new_graphs(exported: Path, tmp_path: Path) -> None:
    """A model written over another one has no graphs until its own are written."""
    shutil.copytree(exported, tmp_path / "model")
    write_checkpoint(read_checkpoint(exported), tmp_path / "model")
    assert not list((tmp_path / "model").glob("*.onnx"))
    encoder = load_encoder(tmp_path / "model", device="cpu")
    assert isinstance(encoder, ModelEncoder)
    assert isinstance(encoder._parts, TorchParts)


def test_parts_that_load_after_a_replacement_are_those_of_the_old_model(exported: Path, tmp_path: Path) -> None:
    """They take their weights from the file that is still open, whoever has its name now."""
    directory = tmp_path / "model"
    shutil.copytree(exported, directory)
    untouched, encoder = load_encoder(exported, device="cpu"), load_encoder(directory, device="cpu")
    texts = encoder.encode_texts(TEXTS)  # loads only this part
    other = read_checkpoint(exported)
    with torch.no_grad():
        for parameter in other.model.parameters():
            parameter.add_(0.3)
    write_checkpoint(other, directory)
    pictures, expected = (each.encode_images(pixels(3)) for each in (encoder, untouched))
    np.testing.assert_allclose(pictures.vectors, expected.vectors, atol=1e-6)
    one, two = (each.match_images(each.query(texts.take([0])), pictures).scores for each in (encoder, untouched))
    np.testing.assert_allclose(one, two, atol=1e-5)
    assert np.abs(load_encoder(directory, device="cpu").encode_images(pixels(3)).vectors - pictures.vectors).max() > 0.1


def test_graphs_of_a_later_version_are_left_alone(exported: Path, tmp_path: Path) -> None:
    """Torch runs the model."""
    shutil.copytree(exported, tmp_path / "model")
    (tmp_path / "model" / "graphs.json").write_text('{"version": 99}')
    encoder = load_encoder(tmp_path / "model", device="cpu")
    assert isinstance(encoder, ModelEncoder)
    assert isinstance(encoder._parts, TorchParts)


def test_a_recurrent_model_has_no_graphs(tmp_path: Path) -> None:
    """Torch runs it; without torch the message says what to install."""
    write_checkpoint(tiny_checkpoint(text_tower="gru"), tmp_path / "model")
    assert not write_graphs(tmp_path / "model")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("encoders.loading.find_spec", lambda _: None)
        with pytest.raises(CheckpointError, match=r"only PyTorch can run it: pip install 'crosslook\[train\]'"):
            load_encoder(tmp_path / "model", device="cpu")


def test_a_model_of_the_base_models_architecture_gets_its_graphs(tmp_path: Path) -> None:
    """Without an export, which takes half a minute; its weights may lie elsewhere in their file."""
    shutil.copytree(BASE_MODEL, tmp_path / "model")
    remove_graphs(tmp_path / "model")
    file = tmp_path / "model" / "model.safetensors"
    save_file(load_file(file), file, metadata={"longer": "header"})
    description = json.loads((tmp_path / "model" / "model.json").read_text(encoding="utf-8"))
    description["weights_sha256"] = hashlib.sha256(file.read_bytes()).hexdigest()
    (tmp_path / "model" / "model.json").write_text(json.dumps(description), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("encoders.export._export", lambda *_: pytest.fail("the base model's graphs fit"))
        assert write_graphs(tmp_path / "model")
    copy, base = (load_encoder(path, device="cpu") for path in (tmp_path / "model", BASE_MODEL))
    np.testing.assert_array_equal(copy.encode_texts(TEXTS).vectors, base.encode_texts(TEXTS).vectors)
