"""Contact sheets: the hits of a query as rows of pictures, for a person to look at, and a page of all sheets."""

from __future__ import annotations

import html
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from indexer import open_image

CELL, BORDER, GAP, MARGIN = 200, 5, 14, 20  # pixels
LINE, HEADING = 16, 34  # pixels
CHARACTERS = 30  # of a file name in one line below a picture
NAME_LINES = 3
COLOURS = {True: "#2a9d4b", False: "#d03b30", None: "#b5b9c0"}
"""Of the frame: right, wrong, not judged."""

STYLE = """
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 1760px; margin: 2rem auto; padding: 0 1rem }
img { width: 100%; height: auto; border: 1px solid #8884 }
table { border-collapse: collapse } td, th { padding: .1rem .8rem; text-align: right }
:is(td, th):first-child { text-align: left }
"""


@dataclass(frozen=True)
class Cell:
    """A hit on a sheet; `right` is None if nobody has judged it, `file` if the index knows none."""

    rank: int
    file: Path | None
    source: str
    probability: float | None
    right: bool | None

    @property
    def name(self) -> str:
        """The name of the file."""
        return "" if self.file is None else self.file.name

    def as_dict(self) -> dict[str, object]:
        """The hit as JSON types."""
        judgement = {True: "right", False: "wrong", None: None}[self.right]
        probability = None if self.probability is None else round(self.probability, 4)
        hit = {"rank": self.rank, "image": self.name, "source": self.source}
        return hit | {"probability": probability, "judgement": judgement}


def draw(title: str, rows: Mapping[str, Sequence[Cell]]) -> Image.Image:
    """Draw a sheet: a title, and one row of pictures for each entry, with its name above."""
    columns = max(map(len, rows.values()))
    row_height = HEADING + CELL + LINE * (1 + NAME_LINES) + GAP
    width = 2 * MARGIN + columns * (CELL + GAP) - GAP
    sheet = Image.new("RGB", (width, 2 * MARGIN + HEADING + len(rows) * row_height), "white")
    pen = ImageDraw.Draw(sheet)
    pen.text((MARGIN, MARGIN), title, "black", ImageFont.load_default(26))
    for row, (name, cells) in enumerate(rows.items()):
        top = MARGIN + HEADING + row * row_height
        pen.text((MARGIN, top + 8), name, "#555555", ImageFont.load_default(18))
        for column, cell in enumerate(cells):
            _draw_cell(sheet, cell, MARGIN + column * (CELL + GAP), top + HEADING)
    return sheet


def _draw_cell(sheet: Image.Image, cell: Cell, left: int, top: int) -> None:
    pen = ImageDraw.Draw(sheet)
    pen.rectangle((left, top, left + CELL - 1, top + CELL - 1), COLOURS[cell.right])
    if cell.file is not None:
        side = CELL - 2 * BORDER
        picture = open_image(cell.file).convert("RGB")
        picture.thumbnail((side, side))
        sheet.paste(picture, (left + BORDER, top + BORDER))
    share = "" if cell.probability is None else f"{cell.probability:.1%}"
    pen.text((left, top + CELL + 2), f"{cell.rank}   {share}   {cell.source}", "black", ImageFont.load_default(14))
    lines = textwrap.wrap(cell.name, CHARACTERS)[:NAME_LINES]
    pen.text((left, top + CELL + 2 + LINE), "\n".join(lines), "#555555", ImageFont.load_default(11))


def page(title: str, table: Sequence[Sequence[str]], sheets: Mapping[str, str]) -> str:
    """An HTML page: a table, whose first row is its head, and the picture file of each query's sheet."""
    head = "".join(f'<th scope="col">{html.escape(text)}</th>' for text in table[0])
    rows = "".join(f"<tr>{''.join(f'<td>{html.escape(text)}</td>' for text in row)}</tr>\n" for row in table[1:])
    figures = "".join(
        f"<h2>{html.escape(query)}</h2>"
        f'<img src="{html.escape(file)}" alt="the hits for {html.escape(query)}" loading="lazy">\n'
        for query, file in sheets.items()
    )
    return f"""<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>
<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head><body><h1>{html.escape(title)}</h1>
<p>The frame of a picture is green if it is right, red if it is wrong, grey if nobody has judged it. The percentage is
the match probability.</p>
<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>
{figures}</body></html>
"""
