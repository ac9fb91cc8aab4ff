"""How far ONNX Runtime's results are from torch's: `python -m benchmarks.congruence PICTURES`.

64 photographs, and sentences of all lengths, are encoded and matched by torch in float32, and by ONNX Runtime with the
exact image part and with that in int8. Prints JSON: the largest difference of any value of vectors, states, scores and
attention, and cosines of pictures.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import report
from encoders import BASE_MODEL, Pixels
from encoders.checkpoint.description import read_description
from encoders.checkpoint.graphs import INT8, read_graphs
from encoders.datasets import IMAGE_SUFFIXES
from encoders.inference.encoder import ModelEncoder
from encoders.inference.graph_parts import GraphParts
from encoders.inference.torch_parts import TorchParts
from indexer import open_image

PICTURES = 64
SENTENCES = (
    "dog",
    "a red bicycle",
    "two dogs run through deep snow under a blue sky",
    "an old man in a green coat sits on a bench beside a pond and feeds the ducks while two children watch him",
    "ein Hund am Strand",
    "雪中的狗",
)


def compare(encoder: ModelEncoder, reference: ModelEncoder, pixels: Pixels) -> dict[str, float]:
    """The largest difference of any value; scores, probabilities and attention are those of each one's own pictures."""
    images = [each.encode_images(pixels) for each in (encoder, reference)]
    texts = [each.query(each.encode_texts(SENTENCES)) for each in (encoder, reference)]
    matches = [
        [each.match_images(texts[i].take([row]), images[i]) for row in range(len(SENTENCES))]
        for i, each in enumerate((encoder, reference))
    ]
    values = {
        "image vectors": [one.vectors for one in images],
        "regions": [one.regions for one in images],
        "sentence vectors": [one.vectors for one in texts],
        "token states": [np.concatenate(one.tokens) for one in texts],
        "scores": [np.stack([match.scores for match in one]) for one in matches],
        "probabilities": [np.stack([match.probabilities for match in one]) for one in matches],
        "attention": [
            np.stack([each.attend(SENTENCES[2], images[i].take([row])).weights for row in range(len(pixels))])
            for i, each in enumerate((encoder, reference))
        ],
    }
    differences = {name: float(np.abs(one - two).max()) for name, (one, two) in values.items()}
    cosines = [np.asarray((one * two).sum(-1)) for one, two in (values["image vectors"], values["regions"])]
    return differences | {
        "lowest cosine of images": float(cosines[0].min()),
        "median cosine of images": float(np.median(cosines[0])),
        "median cosine of regions": float(np.median(cosines[1])),
    }


def main() -> None:
    """Measure and write the result."""
    parser = report.parser(__doc__)
    parser.add_argument("pictures", type=Path, help="folder of photographs")
    parser.add_argument("--model", type=Path, default=BASE_MODEL)
    options = parser.parse_args()
    description = read_description(options.model)
    reference = ModelEncoder(options.model, description, TorchParts(description, "cpu", precision="float32"))
    graphs = read_graphs(options.model, description.weights.digest)
    if graphs is None:
        raise SystemExit(f"{options.model} has no graphs for ONNX Runtime")
    paths = sorted(p for p in options.pictures.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES)[:PICTURES]
    pixels = np.stack([reference.prepare(open_image(path)) for path in paths])
    result: dict[str, Any] = {"pictures": len(paths), "sentences": len(SENTENCES)}
    for name, int8 in (("exact", False), ("int8", True)):
        if not int8 or INT8 in graphs:
            encoder = ModelEncoder(options.model, description, GraphParts(description, graphs, int8=int8))
            result[name] = compare(encoder, reference, pixels)
    report.write(result | {"on": report.provenance()}, options.out)


if __name__ == "__main__":
    main()
