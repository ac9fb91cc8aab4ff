"""A model that loads on first use."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from encoders import load_encoder
from encoders.errors import CheckpointError

ROOT = Path(__file__).parents[3]


def test_name_and_fingerprint_need_no_torch(model_directory: Path) -> None:
    """They equal those of the loaded model, and reading them does not import torch."""
    code = (
        "import sys; from pathlib import Path; from encoders import load_encoder;"
        "model = load_encoder(Path(sys.argv[1]), lazy=True);"
        "print(model.name, model.fingerprint, 'torch' in sys.modules)"
    )
    command = [sys.executable, "-c", code, str(model_directory)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = load_encoder(model_directory, device="cpu")
    assert done.stdout.split() == [loaded.name, loaded.fingerprint, "False"]


def test_it_returns_what_the_loaded_model_returns(model_directory: Path) -> None:
    """Attributes and features are those of the model."""
    lazy, loaded = (load_encoder(model_directory, device="cpu", lazy=lazy) for lazy in (True, False))
    assert (lazy.dimension, lazy.input_size, lazy.device) == (loaded.dimension, loaded.input_size, loaded.device)
    np.testing.assert_array_equal(lazy.encode_texts(["red"]).vectors, loaded.encode_texts(["red"]).vectors)
    assert lazy.strangeness(["red", "2034"]) == loaded.strangeness(["red", "2034"])
    pixels = np.zeros((1, lazy.input_size, lazy.input_size, 3), np.uint8)
    np.testing.assert_array_equal(lazy.encode_images(pixels).vectors, loaded.encode_images(pixels).vectors)


def test_a_directory_without_a_model_is_refused_at_once(tmp_path: Path) -> None:
    """Not only on first use."""
    with pytest.raises(CheckpointError, match=r"is not a model: model\.safetensors is missing"):
        load_encoder(tmp_path, lazy=True)


def test_a_model_replaced_before_it_loads_is_refused(model_directory: Path) -> None:
    """Its vectors would be stored under the earlier model's fingerprint."""
    lazy = load_encoder(model_directory, device="cpu", lazy=True)
    file = model_directory / "model.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"name": "another"}))
    with pytest.raises(CheckpointError, match="was replaced meanwhile; start again"):
        lazy.encode_texts(["red"])
