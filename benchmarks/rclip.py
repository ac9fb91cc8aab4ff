"""rclip's own release, with random weights of the architecture that it downloads.

Source: https://github.com/yurijmikhalevich/rclip, version 3.3.
Installed in an environment of its own: `python -m venv rclip && rclip/bin/pip install rclip`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

ARCHITECTURE = "ViT-B-32-256"
MODEL = "ViT-B-32-256-datacomp_s34b_b86k"
VOCABULARY = "bpe_simple_vocab_16e6.txt.gz"
DATABASE = "db.sqlite3"


def write_model(data: Path) -> None:
    """Write the files that rclip would download, to its data folder: both encoders in float32, and the vocabulary."""
    import open_clip  # noqa: PLC0415  a development package

    from encoders.pairs.from_open_clip import export_open_clip  # noqa: PLC0415  needs torch

    export_open_clip(ARCHITECTURE, None, data / "pair", name="rclip")
    (data / MODEL).mkdir()
    for half, name in (("image.onnx", "visual.onnx"), ("text.onnx", "textual.onnx")):
        _rename(data / "pair" / half, data / MODEL / name)
    shutil.rmtree(data / "pair")
    (data / "tokenizer").mkdir()
    shutil.copy(Path(open_clip.__file__).parent / VOCABULARY, data / "tokenizer")


def _rename(source: Path, target: Path) -> None:
    """Write an encoder with one output, and the names that rclip knows."""
    import onnx  # noqa: PLC0415  as above

    model = onnx.load(source)
    names = {model.graph.input[0].name: "input", model.graph.output[0].name: "output"}
    del model.graph.output[1:]
    for value in (*model.graph.input, *model.graph.output):
        value.name = names[value.name]
    for node in model.graph.node:
        for field in (node.input, node.output):
            field[:] = [names.get(name, name) for name in field]
    onnx.save(model, target)


def indexing_seconds(program: Path, data: Path, pictures: Path) -> float:
    """Time a first search, which indexes the folder, less a second one, which only searches."""
    for file in data.glob(f"{DATABASE}*"):
        file.unlink()
    first, second = (_search(program, data, pictures) for _ in range(2))
    return first - second


def _search(program: Path, data: Path, pictures: Path) -> float:
    command = [str(program.absolute()), "--filepath-only", "--top", "1", "a dog"]
    environment = os.environ | {"RCLIP_DATADIR": str(data), "HF_HUB_OFFLINE": "1"}
    began = time.perf_counter()
    done = subprocess.run(  # noqa: S603  the program that the caller named
        command, cwd=pictures, env=environment, capture_output=True, text=True, check=False
    )
    seconds = time.perf_counter() - began
    if done.returncode or not done.stdout.strip():
        raise SystemExit(f"rclip failed: {done.stderr.strip() or done.stdout}")
    return seconds
