"""The ablation: its runs differ in one respect, are not repeated, and are written to a table."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from api.errors import InputError
from encoders.datasets import Dataset
from encoders.network.fusion import FUSIONS
from scripts import ablation
from scripts.ablation import BEGIN, END, RUNS, TABLE, Bench, ablate, put, table, variant
from tests.encoders.conftest import _tiny, pictures, tiny_checkpoint

__all__ = ["_tiny", "pictures"]  # the tiny CNN, and the fixture of forty captioned pictures


def tiny_bench(pictures: Dataset, tmp_path: Path) -> Bench:
    """One epoch of the tiny model on the generated pictures."""
    start = tiny_checkpoint(image_split=2, text_split=1, querybank=4)
    return Bench(start, pictures.select("train"), pictures.select("dev"), tmp_path / "work", 1)


def test_rows_are_trained_once_and_written_into_the_page(
    pictures: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every run is in the table, nothing is trained a second time, and the rest of the page is kept."""
    bench = tiny_bench(pictures, tmp_path)
    results = ablate(bench, RUNS)
    assert list(results) == list(RUNS)
    assert results["contrastive"]["match_alone"] is None
    assert results["matching"]["match_alone"]["pictures"] == 12
    assert len(list((tmp_path / "work" / "cache").glob("*.npy"))) == 2  # training and validation, shared by all runs
    page = tmp_path / "MODEL.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n", encoding="utf-8")
    put(table(results), page)
    content = page.read_text(encoding="utf-8")
    assert content.startswith(f"before\n{BEGIN}\n\n| varied | |")
    assert content.endswith(f"\n\n{END}\nafter\n")
    assert "old" not in content
    assert sum(line.startswith("| ") for line in content.splitlines()) == 2 + len(TABLE)
    assert "28 training pictures, 1 epochs; 8 runs" in content

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr(ablation, "train", refuse)
    assert ablate(bench, RUNS) == results
    with pytest.raises(
        InputError, match=r"result\.json is from other settings or pictures; use the same ones, or anot"
    ):
        ablate(replace(bench, epochs=2), RUNS)
    (tmp_path / "work" / "gru" / "result.json").unlink()
    with pytest.raises(AssertionError, match="trained again"):
        ablate(bench, RUNS)


def test_a_run_differs_from_the_base_in_one_thing(pictures: Dataset, tmp_path: Path) -> None:
    """One field differs; a new text tower also has its own learning rate, and no matching implies no global match."""
    bench = tiny_bench(pictures, tmp_path)
    base = variant(bench.start, RUNS["base"]).model.config
    for name in ("concatenation", "gated", "gru", "lstm", "contrastive", "matching"):
        config, settings = variant(bench.start, RUNS[name]).model.config, bench.settings(RUNS[name])
        model = {k for k, v in asdict(config).items() if asdict(base)[k] != v}
        training = {k for k, v in asdict(settings).items() if asdict(bench.settings(RUNS["base"]))[k] != v}
        assert len(model | training - {"text_rate", "whole_weight"}) == 1
        assert ("whole_weight" in training) == (name == "contrastive")
        assert ("text_rate" in training) == (name in ("gru", "lstm"))


def test_pretrained_parts_are_kept(pictures: Dataset, tmp_path: Path) -> None:
    """CNN and transformer keep their weights, and a recurrent tower the word embeddings."""
    start = tiny_bench(pictures, tmp_path).start
    for name in ("base", "gru"):
        ours, theirs = variant(start, RUNS[name]).model.state_dict(), start.model.state_dict()
        pretrained = [k for k in ours if k.startswith(("image.tower.", "text.tower.")) and "network" not in k]
        assert "text.tower.embedding.weight" in pretrained
        for key in pretrained:
            torch.testing.assert_close(ours[key], theirs[key], rtol=0, atol=0)


def test_one_way_attention_has_no_direction_from_regions_to_words(pictures: Dataset, tmp_path: Path) -> None:
    """Half of the joint vector is zero, the other half equals the base's; the fusion is registered temporarily."""
    start = tiny_bench(pictures, tmp_path).start
    generator = torch.Generator().manual_seed(2)
    regions, tokens = (torch.randn(3, n, 128, generator=generator) for n in (5, 4))
    mask = torch.ones(3, 4, dtype=torch.bool)
    with ablation.one_way_fusion():
        one_way = variant(start, RUNS["one-way"]).model.eval().reranker
    both = variant(start, RUNS["base"]).model.eval().reranker
    assert ablation.ONE_WAY not in FUSIONS
    assert one_way.linear.weight[0, 0] == both.linear.weight[0, 0] == 10
    ours, theirs = (r.fusion(regions, tokens, mask).joint.detach().numpy() for r in (one_way, both))
    half = ours.shape[1] // 2
    np.testing.assert_array_equal(ours[:, :half], theirs[:, :half])
    assert not ours[:, half:].any()
    assert theirs[:, half:].any()


def test_a_page_without_markers_is_refused(tmp_path: Path) -> None:
    """The page must exist and have both markers, in order; it is not changed otherwise."""
    page = tmp_path / "MODEL.md"
    with pytest.raises(InputError, match=r"MODEL\.md: not found; it is where the table is written"):
        put("table", page)
    page.write_text(f"{END} {BEGIN}")
    with pytest.raises(InputError, match=r"MODEL\.md: the lines .* are missing; add them where the table belongs"):
        put("table", page)
    assert page.read_text() == f"{END} {BEGIN}"
