"""Time `crosslook index` when only XMP sidecars changed: the whole command, and reading them alone. Prints JSON.

The index is that of `unchanged.py`: if a picture were decoded, the run would fail, since the files are none.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from benchmarks import report
from benchmarks.unchanged import SEED, make_index, run
from indexer.pictures.metadata import read_xmp_sidecar

SIDECAR = """<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xmp="http://ns.adobe.com/xap/1.0/"
  xmp:Rating="{stars}">
<dc:title><rdf:Alt><rdf:li xml:lang="x-default">Picture {number}</rdf:li></rdf:Alt></dc:title>
<dc:subject><rdf:Bag>{keywords}</rdf:Bag></dc:subject></rdf:Description></rdf:RDF></x:xmpmeta>"""


def write_sidecars(folder: Path, edition: int) -> list[Path]:
    """Write a sidecar beside each file, with five keywords of which one depends on the edition."""
    written = []
    for number, path in enumerate(sorted(folder.rglob("*.jpg"))):
        words = ("family", "garden", f"year {number % 20}", f"trip {number % 500}", f"edition {edition}")
        items = "".join(f"<rdf:li>{word}</rdf:li>" for word in words)
        sidecar = path.with_suffix(".xmp")
        sidecar.write_text(SIDECAR.format(stars=1 + number % 5, number=number, keywords=items), encoding="utf-8")
        written.append(sidecar)
    return written


def main() -> None:
    """Measure and write the result."""
    parser = report.parser(__doc__)
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder, directory = Path(temporary) / "pictures", Path(temporary) / "index"
        make_index(folder, directory, options.files)
        run(directory, str(folder))
        unchanged = run(directory)
        runs, readings = [], []
        for edition in range(options.repeats):
            sidecars = write_sidecars(folder, edition)
            runs.append(run(directory))
            start = time.perf_counter()
            for sidecar in sidecars:
                read_xmp_sidecar(sidecar)
            readings.append(round(time.perf_counter() - start, 2))
    document = {"unchanged": unchanged, "changed_sidecars": runs, "reading_alone_seconds": readings}
    report.write(document | {"on": report.provenance(SEED)}, options.out)


if __name__ == "__main__":
    main()
