"""How far ONNX Runtime's results are from torch's: `python -m benchmarks.congruence PICTURES`.

64 photographs, and sentences of all lengths, are encoded and matched by both, torch in float32. Prints JSON: the
largest difference of any value of vectors, states, scores and attention, and the lowest cosine of vectors.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import report
from encoders import BASE_MODEL, ImageFeatures, load_encoder
from encoders.checkpoint.description import read_description
from encoders.datasets import IMAGE_SUFFIXES
from encoders.inference.encoder import ModelEncoder
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


def main() -> None:
    """Measure and write the result."""
    parser = report.parser(__doc__)
    parser.add_argument("pictures", type=Path, help="folder of photographs")
    parser.add_argument("--model", type=Path, default=BASE_MODEL)
    options = parser.parse_args()
    description = read_description(options.model)
    reference = ModelEncoder(options.model, description, TorchParts(description, "cpu", precision="float32"))
    encoder = load_encoder(options.model, device="cpu")
    paths = sorted(p for p in options.pictures.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES)[:PICTURES]
    pixels = np.stack([encoder.prepare(open_image(path)) for path in paths])
    images: list[ImageFeatures] = [each.encode_images(pixels) for each in (encoder, reference)]
    texts = [each.query(each.encode_texts(SENTENCES)) for each in (encoder, reference)]
    scores = [
        np.stack([each.match_images(texts[1].take([row]), images[1]).scores for row in range(len(SENTENCES))])
        for each in (encoder, reference)
    ]
    probabilities = [
        np.stack([each.match_images(texts[1].take([row]), images[1]).probabilities for row in range(len(SENTENCES))])
        for each in (encoder, reference)
    ]
    attention = [
        np.stack([each.attend(SENTENCES[2], images[1].take([row])).weights for row in range(len(paths))])
        for each in (encoder, reference)
    ]
    differences = {
        "image vectors": [one.vectors for one in images],
        "regions": [one.regions for one in images],
        "sentence vectors": [one.vectors for one in texts],
        "token states": [np.concatenate(one.tokens) for one in texts],
        "scores": scores,
        "probabilities": probabilities,
        "attention": attention,
    }
    result: dict[str, Any] = {
        "pictures": len(paths),
        "sentences": len(SENTENCES),
        "largest_difference": {name: float(np.abs(one - two).max()) for name, (one, two) in differences.items()},
        "lowest_cosine_of_images": float((images[0].vectors * images[1].vectors).sum(1).min()),
        "on": report.provenance(),
    }
    report.write(result, options.out)


if __name__ == "__main__":
    main()
