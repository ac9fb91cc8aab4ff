"""Hooks for schemathesis: strings of our `format`s, and pictures.

It loads this itself (`hooks` in its configuration), in its own process; `CONTRACT_URL` names the server.
"""

from __future__ import annotations

import io
import json
import os
from typing import Any

import schemathesis
from httpx2 import Client
from hypothesis import strategies as st
from PIL import Image

SENTENCES = ("red", "green", "blue", "a red thing", "white -black", "Überraschung", "t-shirt", "白い 犬")
FILTERS = (
    "taken_at >= 2024-01-01 and size > 2MB",
    "within = 48.1,11.4,48.3,11.8",
    "format = png",
    "width < 100 or height >= 7",
    "name = red.png",
    "orientation != landscape",
)

AnyCase = schemathesis.Case[Any]


def picture(kind: str, size: tuple[int, int]) -> bytes:
    """A one-coloured picture."""
    buffer = io.BytesIO()
    Image.new("RGB", size, "red").save(buffer, kind)
    return buffer.getvalue()


def pictures(kind: str) -> st.SearchStrategy[bytes]:
    """Small pictures."""
    return st.tuples(st.integers(1, 40), st.integers(1, 40)).map(lambda size: picture(kind, size))


@schemathesis.hook
def filter_case(context: object, case: AnyCase) -> bool:  # noqa: ARG001  as it is called
    """Skip data that was generated as invalid but is valid.

    The parts of a form are texts, whatever type was put in their place: `true` is a sentence like any other, and one
    part a list of one. And a string that was not made for a `format` of ours may be of that format all the same.
    """
    mutations = case.meta.phase.data.mutations if case.meta else ()
    form = case.media_type == "multipart/form-data"
    return not any((form and m.operator == "change_type") or "format" in m.keywords for m in mutations)


@schemathesis.hook
def before_call(context: object, case: AnyCase, kwargs: object) -> None:  # noqa: ARG001  as it is called
    """Correct valid data where OpenAPI cannot express, or schemathesis ignores, what is valid.

    A parameter that excludes the others has no place in OpenAPI; for a file without an example it sends an empty one.
    """
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    if "cursor" in (case.query or {}):
        case.query = {"cursor": case.query["cursor"]}
    if isinstance(case.body, dict) and case.body.get("image") == "":
        case.body["image"] = picture("png", (40, 30))  # type: ignore[assignment]  # a file; its types have none


letters = st.characters(categories=("L", "N"))
words = st.lists(st.text(letters, min_size=1, max_size=30), min_size=1, max_size=3).map(" ".join)

with Client(base_url=os.environ["CONTRACT_URL"], headers=json.loads(os.environ["CONTRACT_HEADERS"])) as client:
    roots = [root["id"] for root in client.get("/v1/roots").json()]
    searched = client.post("/v1/search", json={"text": "red", "k": 2}).json()["next_cursor"]
    browsed = client.get("/v1/images", params={"k": 2}).json()["next_cursor"]

schemathesis.openapi.format("words", st.sampled_from(SENTENCES) | words)
schemathesis.openapi.format("filter", st.sampled_from(FILTERS))
schemathesis.openapi.format("model", st.sampled_from(["fake", "f" * 12]))
schemathesis.openapi.format("root", st.sampled_from(roots))
schemathesis.openapi.format("search-cursor", st.just(searched))
schemathesis.openapi.format("images-cursor", st.just(browsed))
for kind in ("png", "jpeg", "webp"):
    schemathesis.openapi.media_type(f"image/{kind}", pictures(kind))
