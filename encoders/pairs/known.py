"""Pretrained pairs that are known to be good, with what to know before fetching one."""

from __future__ import annotations

from typing import NamedTuple


class KnownPair(NamedTuple):
    """A pair of open_clip.

    `megabytes` is the size of its weights in float32. `flickr` and `coco` are recall@1 of pictures for sentences
    without fine-tuning, in percent, on Flickr30k and COCO; None where the table lacks them.

    Source: open_clip's docs/openclip_retrieval_results.csv for recall, its model cards for the licences.
    """

    source: str
    megabytes: int
    languages: str
    flickr: float | None
    coco: float | None
    licence: str


KNOWN = (
    KnownPair("open_clip:RN50/openai", 408, "English", 57.4, 28.5, "MIT"),
    KnownPair("open_clip:ViT-B-32/laion2b_s34b_b79k", 605, "English", 66.8, 39.3, "MIT"),
    KnownPair("open_clip:convnext_base_w/laion2b_s13b_b82k_augreg", 718, "English", 72.4, 43.0, "MIT"),
    KnownPair("open_clip:PE-Core-S-16-384/meta", 349, "English", None, None, "Apache-2.0"),
    KnownPair("open_clip:ViT-B-32-SigLIP2-256/webli", 1507, "many", None, None, "Apache-2.0"),
    KnownPair("open_clip:ViT-B-16-SigLIP2/webli", 1501, "many", None, None, "Apache-2.0"),
    KnownPair("open_clip:MobileCLIP2-S0/dfndr2b", 299, "English", None, None, "Apple's, for research only"),
)


def licence_of(source: str) -> str | None:
    """The licence of a pair's weights, if it is a known one."""
    return next((pair.licence for pair in KNOWN if pair.source == source), None)
