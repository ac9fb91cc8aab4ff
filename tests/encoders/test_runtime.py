"""OpenVINO instead of torch for the CNN: the same answers, and torch where it cannot serve."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from encoders import BASE_MODEL, Pixels, load_encoder
from encoders.checkpoint import write_checkpoint
from encoders.encoder import MANY, TorchEncoder
from tests.encoders.conftest import tiny_checkpoint

ROOT = Path(__file__).parent.parent.parent
pytest.importorskip("openvino", reason="torch does all the work where it is not installed")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the user."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "crosslook" / "runtime"


@pytest.fixture
def model(tmp_path: Path, cache: Path) -> Path:
    """A small model."""
    del cache
    write_checkpoint(tiny_checkpoint(), tmp_path / "model")
    return tmp_path / "model"


def pixels(count: int, size: int) -> Pixels:
    """Prepared pictures of noise."""
    return np.random.default_rng(0).integers(0, 255, (count, size, size, 3), np.uint8)


def by_torch(encoder: TorchEncoder, some: Pixels, monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray]:
    """What torch makes of pictures."""
    with monkeypatch.context() as patch:
        patch.setattr(encoder, "_runtime", lambda _: None)
        found = encoder.encode_images(some)
    return [found.vectors, found.regions]


def test_it_gives_what_torch_gives(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Vectors and regions but for rounding, whatever the number of pictures, from several threads at once."""
    encoder = TorchEncoder(model, device="cpu")
    some = pixels(MANY + 3, encoder.input_size)
    expected = by_torch(encoder, some, monkeypatch)
    found = encoder.encode_images(some)
    assert encoder._fast is not None
    np.testing.assert_allclose((found.vectors * expected[0]).sum(1), 1, atol=2e-3)  # torch may use bf16
    np.testing.assert_allclose((found.regions * expected[1]).sum(-1), 1, atol=2e-2)
    with ThreadPoolExecutor(4) as pool:
        for alone, whole in zip(pool.map(encoder.encode_images, some[:, None]), found.vectors, strict=True):
            np.testing.assert_allclose(alone.vectors[0], whole, atol=1e-5)
    assert encoder.encode_images(some[:0]).vectors.shape[0] == 0


@pytest.mark.slow
def test_the_base_model_runs_in_it(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real thing, with its class channel."""
    encoder = load_encoder(device="cpu")
    assert isinstance(encoder, TorchEncoder)
    some = pixels(MANY, encoder.input_size)
    expected = by_torch(encoder, some, monkeypatch)
    found = encoder.encode_images(some)
    assert encoder._fast is not None
    assert list(cache.iterdir())
    assert float((found.vectors * expected[0]).sum(1).min()) > 0.998


def test_a_single_picture_does_not_wait_for_a_translation(model: Path, cache: Path) -> None:
    """Torch encodes it; what an earlier start has translated is used at once."""
    first = TorchEncoder(model, device="cpu")
    first.encode_images(pixels(1, first.input_size))
    assert first._fast is None
    assert not cache.exists()
    first.encode_images(pixels(MANY, first.input_size))
    assert first._fast is not None
    second = TorchEncoder(model, device="cpu")
    second.encode_images(pixels(1, second.input_size))
    assert second._fast is not None
    assert not any(prefix.startswith("image.") for prefix in second._parts), "torch's CNN was not built"


@pytest.mark.parametrize("damage", [b"", b"no xml", None])
def test_a_cache_that_is_damaged_is_made_anew(model: Path, cache: Path, damage: bytes | None) -> None:
    """Cut short, overwritten, or its weights gone."""
    first = TorchEncoder(model, device="cpu")
    expected = first.encode_images(pixels(MANY, first.input_size)).vectors
    (kept,) = cache.iterdir()
    if damage is None:
        (kept / "image.bin").write_bytes(b"")
    else:
        (kept / "image.xml").write_bytes(damage)
    again = TorchEncoder(model, device="cpu")
    np.testing.assert_allclose(again.encode_images(pixels(MANY, again.input_size)).vectors, expected, atol=1e-5)
    assert again._fast is not None
    assert (kept / "image.bin").stat().st_size > 0


def test_where_nothing_can_be_kept_it_serves_all_the_same(model: Path, cache: Path) -> None:
    """A cache that cannot be written costs the next start its time."""
    cache.parent.parent.mkdir()
    cache.parent.write_text("a file where a folder should be")
    encoder = TorchEncoder(model, device="cpu")
    encoder.encode_images(pixels(MANY, encoder.input_size))
    assert encoder._fast is not None


def test_torch_serves_where_it_is_not_installed(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No error, only slower; it is not looked for again with every batch."""
    monkeypatch.setitem(sys.modules, "openvino", None)
    encoder = TorchEncoder(model, device="cpu")
    for _ in range(2):
        assert len(encoder.encode_images(pixels(MANY, encoder.input_size)).vectors) == MANY
    assert encoder._fast is None


def test_torch_serves_where_a_backbone_cannot_be_translated(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the translation raises."""

    def refuse(*_: object) -> None:
        raise NotImplementedError("no such operation")

    monkeypatch.setattr("encoders.runtime._translated", refuse)
    encoder = TorchEncoder(model, device="cpu")
    assert len(encoder.encode_images(pixels(MANY, encoder.input_size)).vectors) == MANY
    assert encoder._fast is None


PROGRAM = """
import sys
from pathlib import Path
import numpy as np

asked = []
sys.addaudithook(lambda event, arguments: asked.append((event, arguments)) if event.startswith("socket.") else None)
from encoders.encoder import MANY, TorchEncoder
encoder = TorchEncoder(Path(sys.argv[1]), device="cpu")
encoder.encode_images(np.zeros((MANY, encoder.input_size, encoder.input_size, 3), np.uint8))
assert encoder._fast is not None
assert not asked, asked
"""


@pytest.mark.slow
def test_nothing_is_sent_anywhere(cache: Path) -> None:
    """Its tools would report that they were used; no socket is made, and no name is looked up."""
    command = [sys.executable, "-c", PROGRAM, str(BASE_MODEL)]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(cache)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_small_batches_count_together(model: Path) -> None:
    """An indexer that works in tens gets it too."""
    encoder = TorchEncoder(model, device="cpu")
    for _ in range(MANY // 8 - 1):
        encoder.encode_images(pixels(8, encoder.input_size))
    assert encoder._fast is None
    encoder.encode_images(pixels(8, encoder.input_size))
    assert encoder._fast is not None
