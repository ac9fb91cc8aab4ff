"""Two tiny pairs of real open_clip architectures at random weights, and folders of them in both foreign forms."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx
import open_clip
import pytest
import torch

from encoders.pairs.from_open_clip import export_open_clip

TEXT = {"context_length": 16, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2}
VISION: dict[str, dict[str, Any]] = {
    "tiny-vit": {"image_size": 32, "layers": 2, "width": 32, "head_width": 16, "patch_size": 8},
    "tiny-cnn": {"image_size": 64, "layers": [1, 1, 1, 1], "width": 8},
}
TIMM = {
    "timm_model_name": "test_vit",
    "timm_model_pretrained": False,
    "timm_pool": "map",
    "timm_proj": None,
    "image_size": 160,
}
FURTHER: dict[str, dict[str, Any]] = {
    "tiny-map": TIMM,
    "tiny-timm-cnn": TIMM | {"timm_model_name": "test_convnext", "timm_pool": "avg", "timm_proj": "linear"},
    "tiny-attentional": VISION["tiny-vit"] | {"attentional_pool": True, "attn_pooler_heads": 2},
}
"""Architectures that a few tests need."""


@pytest.fixture(scope="session", params=list(VISION))
def architecture(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The name of a tiny architecture that open_clip knows; its weights are the same each time."""
    folder = tmp_path_factory.mktemp("configs")
    name: str = request.param
    document = {"embed_dim": 24, "vision_cfg": (VISION | FURTHER)[name], "text_cfg": TEXT}
    (folder / f"{name}.json").write_text(json.dumps(document))
    open_clip.add_model_config(folder / f"{name}.json")
    create = open_clip.create_model

    def seeded(*arguments: Any, **options: Any) -> Any:
        torch.manual_seed(0)
        return create(*arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(open_clip, "create_model", seeded)
        yield name


@pytest.fixture(scope="session")
def pair(architecture: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pair, exported."""
    directory = tmp_path_factory.mktemp("pairs") / "pair"
    export_open_clip(architecture, None, directory, name=architecture, licence="MIT")
    return directory


def without_states(source: Path, target: Path) -> None:
    """Copy a half without the output that others do not have."""
    model = onnx.load(source)
    del model.graph.output[1:]
    onnx.save(model, target)


@pytest.fixture
def immich(pair: Path, tmp_path: Path) -> Path:
    """The pair as Immich publishes them."""
    document = json.loads((pair / "model.json").read_text())
    folder = tmp_path / "immich"
    (folder / "visual").mkdir(parents=True)
    (folder / "textual").mkdir()
    without_states(pair / "image.onnx", folder / "visual" / "model.onnx")
    without_states(pair / "text.onnx", folder / "textual" / "model.onnx")
    shutil.copy(pair / "tokenizer.json", folder / "textual" / "tokenizer.json")
    image = document["image"]
    (folder / "visual" / "preprocess_cfg.json").write_text(
        json.dumps(
            {
                "size": [image["size"]] * 2,
                "mode": "RGB",
                "mean": image["mean"],
                "std": image["std"],
                "interpolation": "bicubic",
                "resize_mode": "shortest",
                "fill_color": 0,
            }
        )
    )
    (folder / "textual" / "tokenizer_config.json").write_text(json.dumps({"pad_token": "<end_of_text>"}))
    (folder / "config.json").write_text(json.dumps({"embed_dim": 24, "vision_cfg": {}, "text_cfg": TEXT}))
    return folder


@pytest.fixture
def transformers_js(pair: Path, tmp_path: Path) -> Path:
    """The pair as transformers.js takes them."""
    document = json.loads((pair / "model.json").read_text())
    folder = tmp_path / "js"
    (folder / "onnx").mkdir(parents=True)
    without_states(pair / "image.onnx", folder / "onnx" / "vision_model.onnx")
    without_states(pair / "text.onnx", folder / "onnx" / "text_model.onnx")
    shutil.copy(pair / "tokenizer.json", folder)
    image = document["image"]
    (folder / "preprocessor_config.json").write_text(
        json.dumps(
            {
                "do_center_crop": True,
                "crop_size": {"height": image["size"], "width": image["size"]},
                "size": {"shortest_edge": image["size"]},
                "resample": 3,
                "image_mean": image["mean"],
                "image_std": image["std"],
            }
        )
    )
    (folder / "tokenizer_config.json").write_text(json.dumps({"model_max_length": 16, "pad_token": "<end_of_text>"}))
    (folder / "config.json").write_text(json.dumps({"model_type": "clip", "text_config": {}}))
    return folder
