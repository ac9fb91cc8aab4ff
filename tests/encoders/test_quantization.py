"""The image part in int8."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import skimage
import torch
from PIL import Image
from torch import nn

from encoders import BASE_MODEL, hardware
from encoders.checkpoint.description import read_description
from encoders.checkpoint.files import read_checkpoint, write_checkpoint
from encoders.checkpoint.graphs import INT8, read_graphs
from encoders.export import write_graphs
from encoders.features import Floats, Pixels
from encoders.inference.graph_parts import GraphParts
from encoders.network import backbones
from encoders.quantization import PHOTOGRAPHS, quantize_image_part, sample_photographs
from tests.encoders.conftest import tiny_backbone, tiny_checkpoint, use_tiny_backbone

needs_vnni = pytest.mark.skipif(not hardware.has_vnni(), reason="other processors sum products in 16 bits")


def blobs(count: int, size: int, seed: int = 0) -> Pixels:
    """Pictures of soft blobs of colour, whose activations vary as those of photographs do."""
    coarse = np.random.default_rng(seed).integers(0, 255, (count, 4, 4, 3), np.uint8)
    return np.stack(
        [np.asarray(Image.fromarray(each).resize((size, size), Image.Resampling.BICUBIC)) for each in coarse]
    )


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with an image part in int8."""
    directory = tmp_path_factory.mktemp("models") / "model"
    with pytest.MonkeyPatch.context() as patch:
        use_tiny_backbone(patch)
        write_checkpoint(tiny_checkpoint(), directory)
        assert write_graphs(directory, photographs=lambda size: blobs(32, size))
    return directory


def encode(parts: GraphParts, pictures: Pixels) -> list[Floats]:
    """Vectors and regions of pictures."""
    return parts.run("image", [pictures])


def cosines(one: Floats, other: Floats) -> Floats:
    """Cosines of rows of length 1."""
    return np.asarray((one * other).sum(-1), np.float32)


@needs_vnni
def test_it_agrees_with_the_exact_part(model: Path) -> None:
    """On pictures other than those of its ranges; it is another computation, though."""
    description = read_description(model)
    graphs = read_graphs(model, description.weights.digest)
    assert graphs is not None
    exact, int8 = (GraphParts(description, graphs, int8=chosen) for chosen in (False, True))
    assert not exact.int8
    assert int8.int8
    pictures = blobs(16, 32, seed=1)
    (vectors, regions), (vectors8, regions8) = encode(exact, pictures), encode(int8, pictures)
    assert 0.99 < cosines(vectors, vectors8).min() < 1 - 1e-6
    assert np.quantile(cosines(regions, regions8), 0.01) > 0.98
    many, alone = encode(int8, pictures), [encode(int8, picture[None]) for picture in pictures]
    np.testing.assert_allclose(np.concatenate([each[0] for each in alone]), many[0], atol=1e-5)


def test_the_processor_decides(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is used on the CPU where that multiplies bytes, and never on another device."""
    description = read_description(model)
    graphs = read_graphs(model, description.weights.digest)
    assert graphs is not None
    monkeypatch.setattr("encoders.inference.graph_parts.check_device", lambda _: None)
    for able in (True, False):
        monkeypatch.setattr("encoders.inference.graph_parts.has_vnni", lambda able=able: able)
        assert GraphParts(description, graphs).int8 == able
        assert not GraphParts(description, graphs, "coreml").int8
        assert not GraphParts(description, {p: g for p, g in graphs.items() if p != INT8}).int8


@pytest.mark.parametrize(("flags", "able"), [("avx2 avx512_vnni", True), ("avx2 avx_vnni", True), ("avx2", False)])
def test_the_flags_of_the_processor_are_read(
    flags: str, *, able: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there are none, as on other systems, nothing is assumed."""
    (tmp_path / "cpuinfo").write_text(f"flags\t\t: fpu {flags}\n")
    monkeypatch.setattr(hardware, "CPU_FLAGS", tmp_path / "cpuinfo")
    hardware.has_vnni.cache_clear()
    assert hardware.has_vnni() == able
    (tmp_path / "cpuinfo").unlink()
    hardware.has_vnni.cache_clear()
    assert not hardware.has_vnni()
    monkeypatch.undo()
    hardware.has_vnni.cache_clear()


def test_its_weights_are_those_of_the_file_that_is_open(model: Path, tmp_path: Path) -> None:
    """Also if another model was written over it meanwhile."""
    shutil.copytree(model, tmp_path / "model")
    description = read_description(tmp_path / "model")
    graphs = read_graphs(tmp_path / "model", description.weights.digest)
    assert graphs is not None
    untouched, parts = (
        GraphParts(read_description(model), graphs, int8=True),
        GraphParts(description, graphs, int8=True),
    )
    with pytest.MonkeyPatch.context() as patch:
        use_tiny_backbone(patch)
        other = read_checkpoint(model)
        with torch.no_grad():
            for parameter in other.model.parameters():
                parameter.add_(0.3)
        write_checkpoint(other, tmp_path / "model")
    np.testing.assert_array_equal(encode(parts, blobs(2, 32))[0], encode(untouched, blobs(2, 32))[0])


def test_a_cnn_of_other_operations_is_left_exact(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has the usual graphs."""

    def with_gates(_: str, *, pretrained: bool) -> nn.Module:  # noqa: ARG001  as the function that it replaces
        cnn = tiny_backbone()
        cnn.features = nn.Sequential(*cnn.features[:2], nn.SiLU(), *cnn.features[2:])  # type: ignore[index]
        return cnn

    monkeypatch.setattr(backbones, "_torchvision_model", with_gates)
    write_checkpoint(tiny_checkpoint(), tmp_path / "model")
    assert write_graphs(tmp_path / "model", photographs=lambda size: blobs(2, size))
    graphs = read_graphs(tmp_path / "model", read_description(tmp_path / "model").weights.digest)
    assert graphs is not None
    assert set(graphs) == {"image", "text", "reranker"}


def test_a_failure_leaves_the_exact_graphs(tmp_path: Path) -> None:
    """As when a training picture is gone."""
    write_checkpoint(tiny_checkpoint(), tmp_path / "model")

    def gone(_: int) -> Pixels:
        raise FileNotFoundError("picture.jpg")

    with pytest.raises(FileNotFoundError):
        write_graphs(tmp_path / "model", photographs=gone)
    graphs = read_graphs(tmp_path / "model", read_description(tmp_path / "model").weights.digest)
    assert graphs is not None
    assert set(graphs) == {"image", "text", "reranker"}


@needs_vnni
def test_channels_without_weights_keep_their_bias(tmp_path: Path) -> None:
    """A scale of nearly zero would let the bias overflow."""
    checkpoint = tiny_checkpoint()
    weights = checkpoint.model.state_dict()
    with torch.no_grad():
        weights["image.tower.stages.0.0.weight"][0] = 0
        weights["image.tower.stages.0.1.bias"][0] = 3
    write_checkpoint(checkpoint, tmp_path / "model")
    assert write_graphs(tmp_path / "model", photographs=lambda size: blobs(32, size))
    description = read_description(tmp_path / "model")
    graphs = read_graphs(tmp_path / "model", description.weights.digest)
    assert graphs is not None
    (one, _), (other, _) = (encode(GraphParts(description, graphs, int8=i), blobs(4, 32, 1)) for i in (False, True))
    assert cosines(one, other).min() > 0.99


def test_photographs_are_drawn_evenly(tmp_path: Path) -> None:
    """Of a long list some, to its end, of a short one all, as squares."""
    paths = [tmp_path / f"{number}.png" for number in range(2 * PHOTOGRAPHS - 1)]
    read: list[Path] = []

    def open_picture(path: Path) -> Image.Image:
        read.append(path)
        return Image.new("RGB", (30, 20), (200, 10, 10))

    assert sample_photographs(paths, open_picture, 16).shape == (PHOTOGRAPHS, 16, 16, 3)
    assert len(set(read)) == PHOTOGRAPHS
    assert read[-1] in paths[-3:]
    assert len(sample_photographs(paths[:3], open_picture, 16)) == 3


@needs_vnni
def test_the_base_model_has_one() -> None:
    """Its vectors and regions are near the exact ones on photographs; and so are those of one made anew.

    It has what the tiny model lacks: sums, ReLU6, convolutions of single channels, packed weights.
    """
    description = read_description(BASE_MODEL)
    graphs = read_graphs(BASE_MODEL, description.weights.digest)
    assert graphs is not None
    folder = Path(skimage.__file__).parent / "data"
    paths = [folder / name for name in ("chelsea.png", "coffee.png", "rocket.jpg")]
    pictures = sample_photographs(paths, lambda path: Image.open(path).convert("RGB"), description.config.input_size)
    exact, int8 = (encode(GraphParts(description, graphs, int8=chosen), pictures) for chosen in (False, True))
    assert cosines(exact[0], int8[0]).min() > 0.97
    assert np.median(cosines(exact[1], int8[1])) > 0.98
    made = quantize_image_part(graphs["image"], description, pictures)
    assert made is not None
    anew = encode(GraphParts(description, graphs | {INT8: made}, int8=True), pictures)
    assert cosines(exact[0], anew[0]).min() > 0.97
    assert made.count(b"QuantizeLinear") > 83 + 18
