"""Fit a pretrained pair's probability to the captions of an index."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from encoders import Floats
from encoders.checkpoint.calibration import fit_probability
from encoders.checkpoint.lexicon import content_words
from encoders.pairs.calibration import PairCurve
from indexer import Catalog
from indexer.catalog.captions import own_captions
from indexer.catalog.embeddings import vectors_of
from indexer.catalog.records import CaptionRecord, Ids, Kind

FEWEST = 200
"""Captions below which a curve would be mostly noise."""
MOST = 2000
"""Captions that are used."""
DEPTH = 100
"""Nearest pictures of each caption: the curve is about the candidates of a search, not about all pictures."""
DESCRIBED, NOT_DESCRIBED = 0.95, 0.6
"""A caption describes a picture whose captions share at least so many of its words, and not one below the other."""


def fit_curve_to_captions(catalog: Catalog, *, seed: int = 0) -> PairCurve | None:
    """Fit the curve of a model that scores by cosine, from the stored vectors of captions and their pictures.

    Args:
        catalog: bound to the model (`Catalog.for_model`).
        seed: of the sample, if there are many captions.

    Returns:
        None if the index has fewer than `FEWEST` embedded captions.
    """
    captions = own_captions(catalog)
    if len(captions) < FEWEST:
        return None
    rows = np.random.default_rng(seed).permutation(len(captions))[:MOST]
    captions = [captions[row] for row in np.sort(rows)]
    images, image_of = np.unique([caption.image_id for caption in captions], return_inverse=True)
    texts = vectors_of(catalog, Kind.CAPTION, np.array([caption.id for caption in captions], np.int64))
    cosines: Floats = texts @ vectors_of(catalog, Kind.IMAGE, images.astype(np.int64)).T
    nearest = np.argsort(-cosines, axis=1)[:, :DEPTH]
    covered = _coverage(captions, image_of, nearest)
    covered[nearest == image_of[:, None]] = 1.0
    judged = (covered >= DESCRIBED) | (covered < NOT_DESCRIBED)
    scores = np.take_along_axis(cosines, nearest, axis=1)[judged]
    scale, bias = fit_probability(scores, covered[judged] >= DESCRIBED)
    return PairCurve(scale, bias, len(captions)) if scale > 0 else None


def _coverage(captions: list[CaptionRecord], image_of: Ids, nearest: Ids) -> npt.NDArray[np.float64]:
    """The share of each caption's words that the captions of its nearest pictures say too: (M, K)."""
    words = [frozenset(content_words(caption.text)) for caption in captions]
    said: dict[int, set[str]] = {}
    for own, image in zip(words, image_of.tolist(), strict=True):
        said.setdefault(image, set()).update(own)
    return np.array(
        [
            [len(own & said[image]) / max(1, len(own)) for image in pictures]
            for own, pictures in zip(words, nearest.tolist(), strict=True)
        ]
    )
