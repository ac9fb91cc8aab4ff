"""Contact sheets: where the pictures are, how they are framed, and the page around them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.contact_sheets import CELL, GAP, HEADING, MARGIN, Cell, draw, page
from tests.conftest import Paint


def test_pictures_are_in_order_and_framed_by_judgement(paint: Paint) -> None:
    """Each row of the sheet has its pictures from left to right; a file that is gone leaves its place empty."""
    red = Cell(1, paint("red.png", "red", size=(256, 256)), "coco", 0.5, right=True)
    blue = Cell(2, paint("blue.png", "blue", size=(256, 256)), "coco", 0.25, right=False)
    gone = Cell(3, None, "", None, right=None)
    rows = {"towers": [red, blue, gone], "reranked": [blue, red, gone]}
    sheet = draw("a query", rows)
    top = MARGIN + 2 * HEADING
    below = (sheet.height - 2 * MARGIN - HEADING) // 2
    seen = [
        [sheet.getpixel((MARGIN + column * (CELL + GAP) + x, top + row * below + CELL // 2)) for x in (1, CELL // 2)]
        for row in range(2)
        for column in range(3)
    ]
    green_frame, red_frame, grey_frame = (42, 157, 75), (208, 59, 48), (181, 185, 192)
    one, two, none = [green_frame, (255, 0, 0)], [red_frame, (0, 0, 255)], [grey_frame, grey_frame]
    assert seen == [one, two, none, two, one, none]


@pytest.mark.parametrize(("right", "judgement"), [(True, "right"), (False, "wrong"), (None, None)])
def test_a_cell_as_json(paint: Paint, right: bool | None, judgement: str | None) -> None:  # noqa: FBT001  a parameter
    """The file is named without its folder."""
    cell = Cell(1, paint("red.png"), "coco", 0.123456, right)
    hit = {"rank": 1, "image": "red.png", "source": "coco", "probability": 0.1235, "judgement": judgement}
    assert cell.as_dict() == hit
    assert replace(cell, file=None, probability=None).as_dict() == hit | {"image": "", "probability": None}


def test_the_page_escapes_what_people_typed() -> None:
    """A query is text, in the table, the headings and the descriptions of pictures alike."""
    text = page("Queries", [["query", "towers"], ["<b> & co", "0.5"]], {"<b> & co": "1.webp"})
    assert "<b>" not in text
    assert text.count("&lt;b&gt; &amp; co") == 3
    assert '<th scope="col">towers</th>' in text
    assert "<td>0.5</td>" in text
