"""The evaluate command."""

from __future__ import annotations

from typing import Annotated

import typer

from encoders import Encoder, load_encoder
from encoders.datasets import Dataset
from search import Evaluation
from search import evaluate as measure

from .datasets import Datasets, Images, print_recalls, read_datasets
from .options import Depth, Device, Json, ModelOrBase, model_directory
from .output import message, print_json, progress


def evaluate(
    datasets: Datasets,
    split: Annotated[
        str | None, typer.Option("--split", help="Split to evaluate.", show_default="test; all if there are no splits")
    ] = None,
    images: Images = None,
    depth: Depth = 100,
    model: ModelOrBase = None,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Measure recall@1, 5 and 10 in both directions, before and after reranking; several datasets each by itself."""
    tests = [
        dataset.select(split or ("all" if dataset.splits == ("all",) else "test"))
        for dataset in read_datasets(datasets, images)
    ]
    encoder = load_encoder(model_directory(model), device=device)
    evaluations = {test.name: _measure(test, encoder, depth, named=len(tests) > 1) for test in tests}
    if json:
        documents = [{"name": name} | evaluation.as_dict() for name, evaluation in evaluations.items()]
        print_json(evaluations[tests[0].name].as_dict() if len(tests) == 1 else {"datasets": documents})
        return
    for name, evaluation in evaluations.items():
        message(
            f"{name}: {evaluation.n_images} images, {evaluation.n_captions} captions, "
            f"the top {evaluation.depth} reranked",
            style="dim",
        )
    print_recalls(
        {
            name: {"text → image": evaluation.text_to_image, "image → text": evaluation.image_to_text}
            for name, evaluation in evaluations.items()
        }
    )


def _measure(test: Dataset, encoder: Encoder, depth: int, *, named: bool) -> Evaluation:
    """Evaluate one dataset, with its name before the phases if there are several."""
    with progress() as advance:

        def report(phase: str, done: int, total: int) -> None:
            advance(f"{test.name}: {phase}" if named else phase, done, total)

        return measure(test, encoder, depth=depth, progress=report)
