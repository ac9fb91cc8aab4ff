"""Pretrained pairs that are known to be good, with what to know before fetching one."""

from __future__ import annotations

from typing import NamedTuple


class KnownPair(NamedTuple):
    """A pair of open_clip.

    `flickr` and `coco` are recall@1 of pictures for sentences without fine-tuning, in percent, on Flickr30k and COCO;
    None where open_clip's table lacks them. `megabytes` is the size of its weights in float32.

    Source: open_clip's docs/openclip_retrieval_results.csv.
    """

    source: str
    megabytes: int
    languages: str
    flickr: float | None
    coco: float | None
    licence: str


KNOWN = (
    KnownPair("open_clip:ViT-B-32/laion2b_s34b_b79k", 605, "English", 66.8, 39.3, "MIT"),
    KnownPair("open_clip:convnext_base_w/laion2b_s13b_b82k_augreg", 718, "English", 72.4, 43.0, "MIT"),
)
