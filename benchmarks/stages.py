"""Time the stages of indexing and searching on this machine. Seeded; prints JSON.

Times are medians in milliseconds. Timings are noisy, so compare ratios within one run.
"""

from __future__ import annotations

import io
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks import report
from encoders import ImageFeatures, load_encoder
from encoders.features import pack_states, unpack_states
from indexer import open_image
from indexer.pictures.decode import reading_size
from search import SearchEngine

BATCH, CANDIDATES, REPEATS = 32, 100, 7
SEED = 0
SENTENCE = "two dogs running through deep snow under a blue sky"


def median_ms(work: Callable[[], object], repeats: int = REPEATS) -> float:
    """Median of some timings, after one warm-up call."""
    work()
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        times.append(1000 * (time.perf_counter() - began))
    return round(statistics.median(times), 2)


def photograph(rng: np.random.Generator) -> bytes:
    """A JPEG of twelve megapixels: smooth noise, which decodes about as fast as a photograph."""
    small = Image.fromarray(rng.integers(0, 255, (75, 100, 3), np.uint8))
    buffer = io.BytesIO()
    small.resize((4000, 3000), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=88)
    return buffer.getvalue()


def measure() -> dict[str, float]:
    """Every stage, in milliseconds."""
    rng = np.random.default_rng(SEED)
    began = time.perf_counter()
    encoder = load_encoder()
    encoder.encode_texts([SENTENCE])
    loading = round(1000 * (time.perf_counter() - began), 2)
    jpeg = photograph(rng)
    size = encoder.input_size
    pixels = rng.integers(0, 255, (BATCH, size, size, 3), np.uint8)
    features = encoder.encode_images(np.concatenate([pixels] * (-(-CANDIDATES // BATCH)))[:CANDIDATES])
    text = encoder.encode_texts([SENTENCE])
    packed = [pack_states(grid) for grid in features.regions]

    def rerank() -> object:
        regions = np.stack([unpack_states(blob) for blob in packed])
        return encoder.match_images(text, ImageFeatures(features.vectors, regions))

    return {
        "load_text_side": loading,
        "decode_12_megapixels": median_ms(lambda: encoder.prepare(open_image(jpeg, at_least=reading_size(size)))),
        "encode_image": round(median_ms(lambda: encoder.encode_images(pixels)) / BATCH, 2),
        "encode_sentence": median_ms(lambda: encoder.encode_texts([SENTENCE])),
        "rerank_100": median_ms(rerank),
    }


def warm_search(index: Path) -> dict[str, float]:
    """Medians of the stages of a warm search."""
    with SearchEngine.open(index) as engine:
        engine.search_images(SENTENCE)
        timings = [engine.search_images(SENTENCE).timings_ms for _ in range(REPEATS)]
    return {stage: round(statistics.median(t[stage] for t in timings), 2) for stage in timings[0]}


def main() -> None:
    """Measure and print."""
    parser = report.parser(__doc__)
    parser.add_argument("--index", type=Path, help="also time warm searches of this index")
    options = parser.parse_args()
    stages = measure()
    document: dict[str, object] = {
        "milliseconds": stages,
        "rerank_100_over_encode_100": round(stages["rerank_100"] / (100 * stages["encode_image"]), 4),
    }
    if options.index:
        document["warm_search_ms"] = warm_search(options.index)
    report.write(document | {"on": report.provenance(SEED)}, options.out)


if __name__ == "__main__":
    main()
