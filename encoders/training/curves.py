"""The curves of a run: each epoch's losses and recalls as CSV and PNG."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from pathlib import Path


def write_curves(history: Sequence[dict[str, float]], directory: Path) -> None:
    """Write `curves.csv` and `curves.png`, replacing those of the epoch before; the picture has means over datasets."""
    with (directory / "curves.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(history[-1]))  # epoch 0 has no losses
        writer.writeheader()
        writer.writerows(history)

    from matplotlib.figure import Figure  # noqa: PLC0415  half a second that only training needs

    figure = Figure(figsize=(10, 4), layout="constrained")
    losses, recalls = figure.subplots(1, 2)
    epochs = [row["epoch"] for row in history]
    for name in ("loss", "contrastive", "whole", "matching", "label"):
        if name in history[-1]:
            losses.plot(epochs, [row.get(name, math.nan) for row in history], marker="o", markersize=3, label=name)
    for name, style in (("retrieval", "--"), ("reranked", "-")):
        for direction, colour in (("t2i", "tab:blue"), ("i2t", "tab:orange")):
            values = [row[f"{name}_{direction}_r1"] for row in history]
            recalls.plot(epochs, values, style, color=colour, label=f"{direction} R@1, {name}")
    losses.set(xlabel="epoch", title="training loss")
    recalls.set(xlabel="epoch", title="validation recall (%)")
    for axes in (losses, recalls):
        axes.grid(alpha=0.3)
        axes.legend()
    figure.savefig(directory / "curves.png", dpi=110)
