"""Index real photographs, search them with words, find captions for some, and write one HTML page with the results.

The photographs come with scikit-image, are freely licensed, and are indexed in place.
"""

from __future__ import annotations

import argparse
import base64
import html
import io
import sys
from pathlib import Path

from PIL import Image

from api.cli.main import EXPECTED
from api.cli.output import message, progress
from encoders import load_encoder
from indexer import Catalog, IndexReport, index_paths, open_image
from search import CaptionHit, Explanation, Hit, SearchEngine

PHOTOGRAPHS = (
    "astronaut.png",
    "brick.png",
    "camera.png",
    "cell.png",
    "chelsea.png",
    "clock_motion.png",
    "coffee.png",
    "coins.png",
    "color.png",
    "grass.png",
    "gravel.png",
    "horse.png",
    "hubble_deep_field.jpg",
    "ihc.png",
    "microaneurysms.png",
    "moon.png",
    "motorcycle_left.png",
    "page.png",
    "retina.jpg",
    "rocket.jpg",
    "text.png",
)
QUERIES = (
    "a tabby cat",
    "a cup of coffee on a wooden table",
    "a smiling woman in an orange jacket",
    "a man with a camera in a field",
    "a motorcycle in a garage",
    "green grass",
)
CAPTIONED = ("chelsea.png", "camera.png", "astronaut.png", "color.png")
HITS = 4
PANEL = 190  # pixels

STYLE = """
:root { color-scheme: light dark; --ink: #1b1d22; --soft: #6a6f7a; --line: #e4e6ea; --paper: #fff; --bar: #2f7d5b }
@media (prefers-color-scheme: dark) {
  :root { --ink: #eceef2; --soft: #9aa0ab; --line: #2c3038; --paper: #15171b; --bar: #58b98b } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  max-width: 1080px; margin: 3rem auto; padding: 0 1.5rem }
h1 { font-size: 1.7rem; margin: 0 } h2 { font-size: 1.15rem; margin: 0 0 .8rem }
header p, .soft { color: var(--soft) }
section { border-top: 1px solid var(--line); padding: 1.8rem 0 }
.row { display: flex; flex-wrap: wrap; gap: 1rem; align-items: flex-start }
figure { margin: 0; width: 190px } figure img { width: 100%; border-radius: 6px; display: block }
figcaption { font-size: .85rem; margin-top: .35rem } .first img { outline: 3px solid var(--bar); outline-offset: 2px }
.bar { height: 5px; border-radius: 3px; background: var(--line); margin: .3rem 0 }
.bar i { display: block; height: 100%; border-radius: 3px; background: var(--bar) }
.words { margin-top: 1.2rem } .words figure { width: 132px } .words figcaption { text-align: center }
ol { margin: 0; padding-left: 1.2rem; flex: 1; min-width: 260px } li { margin-bottom: .5rem }
"""


def main() -> int:
    """Index and search the photographs, and write the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("demo-output"))
    out: Path = parser.parse_args().out
    folder = photograph_folder()
    files = [folder / name for name in PHOTOGRAPHS if (folder / name).is_file()]
    try:
        encoder = load_encoder()
        with Catalog.open(out / "index", create=True) as catalog, progress() as advance:
            report = index_paths(catalog, encoder, files, progress=advance)
        message(f"indexed {report.seen} photographs in {report.seconds:.1f} s ({report.unchanged} were unchanged)")
        with SearchEngine.open(out / "index", encoder=encoder) as engine:
            sections = [_search_section(engine, query) for query in QUERIES]
            sections += [_caption_section(engine, folder / name) for name in CAPTIONED]
    except EXPECTED as exc:
        message(f"demo: {exc}", style="red")
        return 1
    page = out / "index.html"
    page.write_text(_page(report, sections), encoding="utf-8")
    print(page.resolve())
    return 0


def photograph_folder() -> Path:
    """The folder with scikit-image's photographs."""
    import skimage  # noqa: PLC0415  for its path only

    return Path(skimage.__file__).parent / "data"


def _search_section(engine: SearchEngine, query: str) -> str:
    answer = engine.search_images(query, k=HITS)
    message(f"  {query}: " + ", ".join(f"{_name(h)} {h.match_probability or 0:.0%}" for h in answer.hits))
    hits = "".join(_hit(hit) for hit in answer.hits)
    words = _words(engine.explain(answer.hits[0].image_id, query)) if answer.hits else ""
    stages = ", ".join(f"{name} {value:.0f} ms" for name, value in answer.timings_ms.items())
    return f"""<section><h2>“{html.escape(query)}”</h2><div class="row">{hits}</div>
<p class="soft">Where the model found each word in the first hit ({stages}):</p>
<div class="row words">{words}</div></section>"""


def _caption_section(engine: SearchEngine, photograph: Path) -> str:
    hits = engine.find_captions(photograph).hits
    message(f"  {photograph.name}: " + ("; ".join(hit.text for hit in hits[:3]) or "no built-in caption fits"))
    captions = "".join(_caption(hit) for hit in hits) or "No built-in caption fits."
    return f"""<section><h2>Captions for {html.escape(photograph.name)}</h2><div class="row">
<figure><img src="{_data(open_image(photograph))}" alt=""></figure><ol>{captions}</ol></div></section>"""


def _hit(hit: Hit) -> str:
    picture = _data(open_image(hit.path)) if hit.path else ""
    first = ' class="first"' if hit.rank == 1 else ""
    return f"""<figure{first}><img src="{picture}" alt="{_name(hit)}">
<figcaption>{_score(hit.match_probability)}{_name(hit)} <span class="soft">cosine {hit.retrieval_score:.2f}</span>
</figcaption></figure>"""


def _caption(hit: CaptionHit) -> str:
    return f"<li>{html.escape(hit.text)}{_score(hit.match_probability)}</li>"


def _words(explanation: Explanation) -> str:
    panels = ((explanation.label(i), explanation.overlay(i, size=PANEL)) for i in range(len(explanation.words)))
    return "".join(
        f'<figure><img src="{_data(panel)}" alt=""><figcaption>{html.escape(label)}</figcaption></figure>'
        for label, panel in panels
    )


def _score(probability: float | None) -> str:
    share = f"{100 * (probability or 0):.1f}%"
    return f'<div class="bar" title="match probability {share}"><i style="width:{share}"></i></div>{share} '


def _name(hit: Hit) -> str:
    return html.escape(hit.path.name) if hit.path else f"image {hit.image_id}"


def _data(image: Image.Image) -> str:
    """Encode a picture as a data URI, so that the page is a single file."""
    small, buffer = image.copy(), io.BytesIO()
    small.thumbnail((2 * PANEL, 2 * PANEL))
    small.save(buffer, "JPEG", quality=85)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def _page(report: IndexReport, sections: list[str]) -> str:
    return f"""<!doctype html><html lang="en"><head><meta charset="utf-8"><title>crosslook: the demo</title>
<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head><body>
<header><h1>crosslook</h1><p>{report.seen} photographs that come with scikit-image, searched with words. The percentage
is the calibrated probability that sentence and picture match. It was fitted on the everyday scenes of Flickr8k;
for pictures very unlike them, as some of these are, it is low even if the order is right.</p></header>
{"".join(sections)}</body></html>
"""


if __name__ == "__main__":
    sys.exit(main())
