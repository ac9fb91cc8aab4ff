"""OpenVINO instead of torch on a CPU: the same outputs, and torch as the fallback."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from encoders import BASE_MODEL, ImageFeatures, Pixels, load_encoder
from encoders.checkpoint.files import write_checkpoint
from encoders.inference import openvino_runtime
from encoders.inference.openvino_runtime import Runtime
from encoders.inference.torch_encoder import MANY, TorchEncoder
from tests.encoders.conftest import tiny_checkpoint

ROOT = Path(__file__).parents[3]
if find_spec("openvino") is None:  # not imported here: that would load its telemetry, too
    pytest.skip("OpenVINO is not installed: torch runs every part", allow_module_level=True)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty user cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "crosslook" / "runtime"


@pytest.fixture
def model(tmp_path: Path, cache: Path) -> Path:
    """A small model."""
    del cache
    write_checkpoint(tiny_checkpoint(), tmp_path / "model")
    return tmp_path / "model"


def pixels(count: int, size: int) -> Pixels:
    """Random prepared pictures."""
    return np.random.default_rng(0).integers(0, 255, (count, size, size, 3), np.uint8)


def encode_in_torch(directory: Path, pictures: Pixels) -> ImageFeatures:
    """Encode pictures in torch."""
    return TorchEncoder(directory, device="cpu")._encode_images(pictures)


def translated(encoder: TorchEncoder) -> set[str]:
    """Return the names of the parts that run in OpenVINO."""
    return set(encoder._runtime._parts)


def test_it_agrees_with_torch(model: Path) -> None:
    """Vectors and regions agree to rounding, for any number of pictures, from several threads at once."""
    encoder = TorchEncoder(model, device="cpu")
    pictures = pixels(MANY + 3, encoder.input_size)
    expected = encode_in_torch(model, pictures)
    images = encoder.encode_images(pictures)
    assert translated(encoder) == {"image"}
    np.testing.assert_allclose((images.vectors * expected.vectors).sum(1), 1, atol=2e-3)  # torch may use bf16
    np.testing.assert_allclose((images.regions * expected.regions).sum(-1), 1, atol=2e-2)
    with ThreadPoolExecutor(4) as pool:
        for single, vector in zip(pool.map(encoder.encode_images, pictures[:, None]), images.vectors, strict=True):
            np.testing.assert_allclose(single.vectors[0], vector, atol=1e-5)
    assert encoder.encode_images(pictures[:0]).vectors.shape[0] == 0


@pytest.mark.slow
def test_the_base_model_runs_in_it(cache: Path) -> None:
    """Its image part with the class channel."""
    encoder = load_encoder(device="cpu")
    assert isinstance(encoder, TorchEncoder)
    pictures = pixels(MANY, encoder.input_size)
    expected = encode_in_torch(BASE_MODEL, pictures)
    images = encoder.encode_images(pictures)
    assert "image" in translated(encoder)
    assert list(cache.iterdir())
    assert float((images.vectors * expected.vectors).sum(1).min()) > 0.998


def test_a_single_picture_does_not_wait_for_a_translation(model: Path, cache: Path) -> None:
    """Torch encodes it; a translation from an earlier start is used at once."""
    first = TorchEncoder(model, device="cpu")
    first.encode_images(pixels(1, first.input_size))
    assert not translated(first)
    assert not cache.exists()
    first.encode_images(pixels(MANY, first.input_size))
    assert translated(first) == {"image"}
    second = TorchEncoder(model, device="cpu")
    second.encode_images(pixels(1, second.input_size))
    assert translated(second) == {"image"}
    assert not any(prefix.startswith("image.") for prefix in second._parts), "torch's CNN was not built"


TEXTS = ["a dog", "two brown dogs run and jump over a wall in the snow near a house", "red", "a", "snow " * 60]


@pytest.mark.parametrize("tower", ["transformer", "lstm", "gru", "base model"])
def test_a_server_encodes_sentences_and_reranks_in_openvino(tower: str, tmp_path: Path, cache: Path) -> None:
    """Sentences of all lengths, alone and in batches, for one picture or many, agree with torch."""
    del cache
    directory = BASE_MODEL if tower == "base model" else tmp_path / tower
    if tower != "base model":
        write_checkpoint(tiny_checkpoint(text_tower=tower), directory)
    server, plain = (TorchEncoder(directory, device="cpu", workers=workers) for workers in (2, 1))
    expected = plain.encode_texts(TEXTS)
    texts = server.encode_texts(TEXTS)
    np.testing.assert_allclose(texts.vectors, expected.vectors, atol=1e-5)
    for sentence, states, torch_states in zip(TEXTS, texts.tokens, expected.tokens, strict=True):
        np.testing.assert_allclose(states, torch_states, atol=1e-5)
        np.testing.assert_allclose(server.encode_texts([sentence]).tokens[0], torch_states, atol=1e-5)
    pictures = plain.encode_images(pixels(7, plain.input_size))
    picture = ImageFeatures(pictures.vectors[:1], pictures.regions[:1])
    scores = [
        [encoder.match_images(expected.take([row]), pictures).scores for row in range(len(TEXTS))]
        + [encoder.match_captions(picture, expected).scores]
        for encoder in (server, plain)
    ]
    for server_scores, torch_scores in zip(*scores, strict=True):
        np.testing.assert_allclose(server_scores, torch_scores, atol=1e-4)
    assert not translated(plain)
    recurrent = tower in ("lstm", "gru")  # packed sequences cannot be translated
    assert translated(server) == ({"reranker"} if recurrent else {"text", "reranker"})
    assert {"text.", "reranker."} & set(server._parts) == ({"text."} if recurrent else set()), "torch's is kept as well"


def test_a_server_starts_from_the_cache(model: Path) -> None:
    """The second start translates nothing, and many threads compute in parallel."""
    TorchEncoder(model, device="cpu", workers=2).encode_texts(TEXTS)
    server = TorchEncoder(model, device="cpu", workers=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("encoders.inference.openvino_runtime._translate", lambda *_: pytest.fail("it is in the cache"))
        with ThreadPoolExecutor(8) as pool:
            vectors = list(pool.map(lambda number: server.encode_texts([TEXTS[number % 3]]).vectors[0], range(48)))
    assert translated(server) == {"text"}
    for number, vector in enumerate(vectors):
        np.testing.assert_allclose(vector, vectors[number % 3], atol=1e-6)


def test_without_a_server_sentences_stay_in_torch(model: Path) -> None:
    """For any number of sentences: torch computes each batch with all cores."""
    encoder = TorchEncoder(model, device="cpu")
    encoder.encode_texts(["a dog"] * 2 * MANY)
    assert not translated(encoder)


def test_a_wrong_translation_is_not_used(cache: Path) -> None:
    """Tracing turns a value computed in Python into a constant, which is wrong for other sizes."""

    def scale(x: torch.Tensor) -> tuple[torch.Tensor]:
        return (x * float(len(x)),)

    runtime = Runtime("0" * 64)
    assert runtime.part("scale", lambda: (scale, ((torch.ones(2),), (torch.ones(3),)))) is None
    assert not cache.exists()
    assert runtime.part("scale", None) is None


def test_two_models_are_translated_at_once(tmp_path: Path, cache: Path) -> None:
    """Two threads with different models, as while a server changes models."""
    del cache
    for name in ("one", "two"):
        write_checkpoint(tiny_checkpoint(text_width=16 if name == "one" else 32), tmp_path / name)
    servers = [TorchEncoder(tmp_path / name, device="cpu", workers=2) for name in ("one", "two")]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda server: server.encode_texts(TEXTS), servers))
    assert [translated(server) for server in servers] == [{"text"}] * 2


def test_a_translated_part_does_not_wait_for_another(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sentences are encoded while the CNN is being translated."""
    server = TorchEncoder(model, device="cpu", workers=2)
    server.encode_texts(TEXTS)
    started, finish = threading.Event(), threading.Event()

    def wait(*_: object) -> None:
        started.set()
        assert finish.wait(60)
        raise NotImplementedError

    monkeypatch.setattr("encoders.inference.openvino_runtime._translate", wait)
    with ThreadPoolExecutor(1) as pool:
        pictures = pool.submit(server.encode_images, pixels(1, server.input_size))
        assert started.wait(60)
        server.encode_texts(TEXTS)
        finish.set()
        assert len(pictures.result().vectors) == 1


def test_an_edit_of_the_code_replaces_the_translation(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After an edit of the package the same weights are translated again, and the old translation is deleted."""
    for digest in ("a" * 64, "b" * 64):
        monkeypatch.setattr("encoders.inference.openvino_runtime._source_digest", lambda digest=digest: digest)
        TorchEncoder(model, device="cpu", workers=2).encode_texts(TEXTS)
        (entry,) = (Path(os.environ["XDG_CACHE_HOME"]) / "crosslook" / "runtime").iterdir()
        assert digest[:16] in entry.name


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="files have no owner")
def test_another_user_s_translation_is_not_used(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a shared cache, no user may choose the model of another."""
    TorchEncoder(model, device="cpu", workers=2).encode_texts(TEXTS)
    monkeypatch.setattr("os.getuid", lambda: 12345)
    translations: list[object] = []
    original = openvino_runtime._translate

    def note(*inputs: Any) -> object:
        translations.append(inputs)
        return original(*inputs)

    monkeypatch.setattr("encoders.inference.openvino_runtime._translate", note)
    TorchEncoder(model, device="cpu", workers=2).encode_texts(TEXTS)
    assert len(translations) == 1


def test_a_user_without_a_home_has_no_cache(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in containers with a numeric user: nothing is raised, and no folder named "~" is created."""

    def unknown(_uid: int) -> None:
        raise KeyError("uid not found")

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr("pwd.getpwuid", unknown)
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    assert openvino_runtime.cache_folder() is None
    server = TorchEncoder(model, device="cpu", workers=2)
    server.encode_texts(TEXTS)
    assert translated(server) == {"text"}
    assert not list((tmp_path / "empty").iterdir())


def test_unused_translations_are_deleted(model: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those unused for long, and the least recently used beyond the size limit; a start counts as use."""
    TorchEncoder(model, device="cpu", workers=2).encode_texts(TEXTS)
    (entry,) = cache.iterdir()
    day = 24 * 3600
    others = {}
    for age in (1, 50, 89, 91):
        others[age] = cache / f"{age:032}-text-{age}"
        shutil.copytree(entry, others[age])
        os.utime(others[age], (time.time() - age * day,) * 2)
    os.utime(entry, (time.time() - 200 * day,) * 2)
    server = TorchEncoder(model, device="cpu", workers=2)
    server.encode_texts(TEXTS)  # from the cache
    pictures = server.encode_images(pixels(1, server.input_size))  # a new translation
    assert translated(server) == {"text", "image"}
    assert entry.exists()
    assert {age for age, folder in others.items() if folder.exists()} == {1, 50, 89}
    size = sum(file.stat().st_size for folder in cache.iterdir() for file in folder.iterdir())
    monkeypatch.setattr(openvino_runtime, "LARGEST_CACHE", size)
    server.match_images(server.encode_texts(TEXTS[:1]), pictures)  # one more, which exceeds the limit
    assert translated(server) == {"text", "image", "reranker"}
    assert {age for age, folder in others.items() if folder.exists()} == {1, 50}
    assert sum(file.stat().st_size for folder in cache.iterdir() for file in folder.iterdir()) <= size


@pytest.mark.parametrize("damage", [b"", b"no xml", None, "zeros", "gone"])
def test_a_damaged_translation_is_replaced(model: Path, cache: Path, damage: bytes | str | None) -> None:
    """Its model truncated, overwritten or missing, its weights empty or all zero."""
    first = TorchEncoder(model, device="cpu")
    expected = first.encode_images(pixels(MANY, first.input_size)).vectors
    (entry,) = cache.iterdir()
    weights = entry / "model.bin"
    if damage is None:
        weights.write_bytes(b"")
    elif damage == "zeros":
        weights.write_bytes(bytes(weights.stat().st_size))
    elif damage == "gone":
        (entry / "model.xml").unlink()
    elif isinstance(damage, bytes):
        (entry / "model.xml").write_bytes(damage)
    second = TorchEncoder(model, device="cpu")
    np.testing.assert_allclose(second.encode_images(pixels(MANY, second.input_size)).vectors, expected, atol=1e-5)
    assert translated(second) == {"image"}
    assert any(weights.read_bytes())
    assert (entry / "model.xml").stat().st_size > len(b"no xml")


def test_without_a_writable_cache_parts_are_translated_all_the_same(model: Path, cache: Path) -> None:
    """Only the next start takes longer."""
    cache.parent.parent.mkdir()
    cache.parent.write_text("a file where a folder should be")
    encoder = TorchEncoder(model, device="cpu")
    encoder.encode_images(pixels(MANY, encoder.input_size))
    assert "image" in translated(encoder)


def test_without_openvino_torch_runs_every_part(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Slower, but without an error."""
    monkeypatch.setitem(sys.modules, "openvino", None)
    encoder = TorchEncoder(model, device="cpu")
    for _ in range(2):
        assert len(encoder.encode_images(pixels(MANY, encoder.input_size)).vectors) == MANY
    assert not translated(encoder)


def test_torch_runs_a_backbone_that_cannot_be_translated(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever error the translation raises."""

    def refuse(*_: object) -> None:
        raise NotImplementedError("no such operation")

    monkeypatch.setattr("encoders.inference.openvino_runtime._translate", refuse)
    encoder = TorchEncoder(model, device="cpu")
    assert len(encoder.encode_images(pixels(MANY, encoder.input_size)).vectors) == MANY
    assert not translated(encoder)


def test_a_failed_translation_leaves_the_log_as_it_was() -> None:
    """OpenVINO restores the root logger's level only after a success."""
    root = logging.getLogger()
    before = root.level, root.filters.copy()

    def fail(*_: object) -> tuple[object, ...]:
        raise NotImplementedError("no such operation")

    example = (torch.zeros(1, 2),)
    with pytest.raises(Exception, match="no such operation"):
        openvino_runtime._translate(fail, example, example)  # type: ignore[arg-type]
    assert (root.level, root.filters) == before


PROGRAM = """
import sys
from pathlib import Path
import numpy as np

events = []
sys.addaudithook(lambda event, arguments: events.append((event, arguments)) if event.startswith("socket.") else None)
from encoders.inference.torch_encoder import MANY, TorchEncoder
encoder = TorchEncoder(Path(sys.argv[1]), device="cpu")
encoder.encode_images(np.zeros((MANY, encoder.input_size, encoder.input_size, 3), np.uint8))
assert encoder._runtime._parts
assert not events, events
"""


@pytest.mark.slow
def test_nothing_is_sent_anywhere(tmp_path: Path, cache: Path) -> None:
    """OpenVINO would report its use; no socket is opened, and no name is resolved."""
    write_checkpoint(tiny_checkpoint(backbone="mobilenetv3_small_050", input_size=64), tmp_path / "model")
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "model")]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(cache)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_small_batches_add_up(model: Path) -> None:
    """An indexer with small batches gets a translated CNN as well."""
    encoder = TorchEncoder(model, device="cpu")
    for _ in range(MANY // 8 - 1):
        encoder.encode_images(pixels(8, encoder.input_size))
    assert not translated(encoder)
    encoder.encode_images(pixels(8, encoder.input_size))
    assert "image" in translated(encoder)
