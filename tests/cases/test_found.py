"""A keyword, a person and a city that pictures carry: found in `search`, over HTTP, and by the command line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from PIL import ExifTags, Image
from typer.testing import CliRunner

from api.cli.main import app
from api.server import Settings, create_app
from indexer import Catalog, index_paths
from search import SearchEngine
from tests.fakes import COLOURS, FakeEncoder

XMP = """<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:m="http://www.metadataworkinggroup.com/schemas/regions/">
<dc:subject><rdf:Bag><rdf:li>Zwischenstopp</rdf:li></rdf:Bag></dc:subject>
<m:Regions rdf:parseType="Resource"><m:RegionList><rdf:Bag><rdf:li rdf:parseType="Resource">
<m:Name>Wilhelmina Quast</m:Name><m:Type>Face</m:Type></rdf:li></rdf:Bag></m:RegionList></m:Regions>
</rdf:Description></rdf:RDF></x:xmpmeta>"""
ROME = ((41.0, 53.0, 25.0), (12.0, 29.0, 32.0))
OTHERS = 12
FOUND = [
    ("Zwischenstopp", "keyword = zwischenstopp"),
    ("Wilhelmina", "person = wilhelmina*"),
    ("Quast", "person = *QUAST"),
    ("Rome", "place = Rome"),
    ("Roma", "place = Roma"),
    ("罗马市", "place = 罗马市"),
    ("Lazio", "place = lazio"),
    ("Italien", "place = Italien"),
]


@pytest.fixture
def index(catalog: Catalog, tmp_path: Path) -> Path:
    """An index of a picture that carries all three, among others."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(OTHERS):
        image = Image.new("RGB", (48, 40), COLOURS[list(COLOURS)[number % len(COLOURS)]])
        image.putpixel((number, 0), (1, 2, 3))
        image.save(folder / f"{number}.png")
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.GPSInfo).update({1: "N", 2: ROME[0], 3: "E", 4: ROME[1]})
    Image.new("RGB", (48, 40), COLOURS["blue"]).save(folder / "carries.jpg", exif=exif, xmp=XMP.encode())
    index_paths(catalog, FakeEncoder(), [folder])
    return catalog.directory


@pytest.fixture
def engine(index: Path) -> Iterator[SearchEngine]:
    """The engine over it."""
    with SearchEngine.open(index, encoder=FakeEncoder()) as opened:
        yield opened


@pytest.mark.parametrize(("text", "where"), FOUND)
def test_found_by_the_engine_and_over_http(engine: SearchEngine, text: str, where: str) -> None:
    """As a word of the query, and as a filter."""
    hit = engine.search_images(text).hits[0]
    assert hit.path is not None
    assert (hit.path.name, hit.matched, hit.sources[-1]) == ("carries.jpg", (text,), "annotation")
    assert [h.path.name for h in engine.search_images("red", where=where).hits if h.path] == ["carries.jpg"]
    with TestClient(create_app(engine, Settings()), base_url="http://localhost") as client:
        first = client.post("/v1/search", json={"text": text}).json()["hits"][0]
        assert (Path(first["path"]).name, first["matched"]) == ("carries.jpg", [text])
        images = client.get("/v1/images", params={"where": where}).json()["images"]
        assert [Path(image["path"]).name for image in images] == ["carries.jpg"]
        document = client.get(f"/v1/images/{first['image_id']}").json()
        assert (document["keywords"], document["persons"]) == (["Zwischenstopp"], ["Wilhelmina Quast"])
        assert document["place_names"] == ["Rome", "Lazio", "Italy"]


@pytest.mark.parametrize(("text", "where"), FOUND)
def test_found_by_the_command_line(index: Path, text: str, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the words that were matched, and where."""
    monkeypatch.setattr("search.active_model.load_encoder", lambda *_, **__: FakeEncoder())
    result = CliRunner().invoke(app, ["search", text, "--where", where, "--json", "--index", str(index)])
    assert result.exit_code == 0, result.output
    (hit,) = json.loads(result.stdout)["hits"]
    assert (Path(hit["path"]).name, hit["matched"]) == ("carries.jpg", [text])
