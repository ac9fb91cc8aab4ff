"""Annotations of indexed images: from pictures, sidecars, names and positions."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from PIL import ExifTags, Image
from sqlalchemy import select, update

from indexer import Catalog, IndexReport, index_paths
from indexer.catalog import schema
from indexer.catalog.annotations import Annotation, annotations_of_image
from indexer.catalog.browse import ImageDetails, image_details
from indexer.catalog.captions import captions_of_image
from indexer.catalog.embeddings import read_vectors
from indexer.catalog.facets import facets, facets_state
from indexer.catalog.fulltext import places_among
from indexer.catalog.images import content_hashes, image_ids_where, images_by_id
from indexer.catalog.records import Kind
from indexer.errors import ReadError, SidecarError
from indexer.ingest.annotations import RECORD_VERSION
from tests.conftest import Paint
from tests.fakes import COLOURS, FakeEncoder
from tests.indexer.ingest.opens import opened

MUNICH = ((48.0, 8.0, 14.0), (11.0, 34.0, 31.0))

SIDECAR = """<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xmp="http://ns.adobe.com/xap/1.0/"
  xmlns:exif="http://ns.adobe.com/exif/1.0/" {attributes}>
<dc:subject><rdf:Bag>{keywords}</rdf:Bag></dc:subject></rdf:Description></rdf:RDF></x:xmpmeta>"""


def write_sidecar(path: Path, *keywords: str, attributes: str = "") -> None:
    """Write an XMP sidecar with keywords."""
    items = "".join(f"<rdf:li>{keyword}</rdf:li>" for keyword in keywords)
    path.write_text(SIDECAR.format(keywords=items, attributes=attributes), encoding="utf-8")


def write_photograph(path: Path, description: str = "", *, position: bool = False, date: str = "") -> Path:
    """Write a JPEG of one colour with EXIF metadata."""
    exif = Image.Exif()
    if description:
        exif[ExifTags.Base.ImageDescription] = description
    if date:
        exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = date
    if position:
        latitude, longitude = MUNICH
        exif.get_ifd(ExifTags.IFD.GPSInfo).update({1: "N", 2: latitude, 3: "E", 4: longitude})
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (48, 40), COLOURS["blue"]).save(path, exif=exif)
    return path


@pytest.fixture
def album(tmp_path: Path) -> Path:
    """The folder of the pictures."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    return folder


def run(catalog: Catalog, encoder: FakeEncoder, album: Path) -> IndexReport:
    """Index the folder."""
    return index_paths(catalog, encoder, [album])


def described(catalog: Catalog) -> dict[str, str]:
    """The description of each file's image."""
    records = images_by_id(catalog, catalog.ids(select(schema.image.c.id)).tolist()).values()
    return {
        path.name: annotations_of_image(catalog, record.id)[Annotation.DESCRIPTION][0]
        for record in records
        for path in record.paths
    }


def details(catalog: Catalog, image_id: int = 1) -> ImageDetails:
    """All that is stored about an image."""
    found = image_details(catalog, image_id)
    assert found is not None
    return found


def test_a_picture_is_annotated_by_what_it_says(catalog: Catalog, encoder: FakeEncoder, album: Path) -> None:
    """And by the names of the place of its position."""
    write_photograph(album / "a.jpg", "Ottokar and his dog", position=True)
    run(catalog, encoder, album)
    said = annotations_of_image(catalog, 1)
    assert said[Annotation.DESCRIPTION] == ["Ottokar and his dog"]
    assert said[Annotation.PLACE] == ["Munich", "Bavaria", "Germany"]
    for expression in ("place = munich", "place = München", "place = Bayern", "place = 慕尼黑", "place = germ*"):
        assert image_ids_where(catalog, [expression]).tolist() == [1], expression
    assert image_ids_where(catalog, ["place = Rome"]).tolist() == []


@pytest.mark.parametrize("name", ["a.jpg.xmp", "a.xmp", "a.jpg.XMP"])
def test_a_sidecar_adds_to_what_the_picture_says(
    catalog: Catalog, encoder: FakeEncoder, album: Path, name: str
) -> None:
    """Its single values win."""
    write_photograph(album / "a.jpg", "Ottokar", date="2020:01:02 03:04:05")
    write_sidecar(album / name, "onion", attributes='xmp:Rating="4" exif:DateTimeOriginal="2019-05-06T07:08:09"')
    report = run(catalog, encoder, album)
    said = annotations_of_image(catalog, 1)
    assert said == {
        Annotation.DESCRIPTION: ["Ottokar"],
        Annotation.KEYWORD: ["onion"],
        Annotation.RATING: ["4"],
    }
    assert (details(catalog).taken_at, details(catalog).date_source) == ("2019-05-06T07:08:09", "sidecar")
    assert (report.added, report.records) == (1, 1)


def test_a_changed_sidecar_is_read_again_and_no_picture_is_opened(
    catalog: Catalog, encoder: FakeEncoder, album: Path
) -> None:
    """Nothing is embedded; without the sidecar, what it said is gone."""
    write_photograph(album / "a.jpg", date="2020:01:02 03:04:05")
    write_sidecar(album / "a.xmp", "onion", attributes='exif:DateTimeOriginal="2019-05-06T07:08:09"')
    run(catalog, encoder, album)
    embedded = encoder.images_encoded
    write_sidecar(album / "a.xmp", "leek")
    os.utime(album / "a.xmp", (1, 1))
    files = opened(lambda: run(catalog, encoder, album))
    assert {name for name in files if name.startswith(str(album))} == {str(album / "a.xmp")}
    assert annotations_of_image(catalog, 1)[Annotation.KEYWORD] == ["leek"]
    assert (details(catalog).taken_at, details(catalog).date_source) == ("2020-01-02T03:04:05", "picture")
    (album / "a.xmp").unlink()
    assert run(catalog, encoder, album).records == 1
    assert annotations_of_image(catalog, 1) == {}
    assert run(catalog, encoder, album).records == 0
    assert encoder.images_encoded == embedded


def test_a_sidecar_that_cannot_be_read_is_named(catalog: Catalog, encoder: FakeEncoder, album: Path) -> None:
    """The picture is indexed all the same, and the sidecar is tried again when it changes."""
    write_photograph(album / "a.jpg")
    (album / "a.xmp").write_bytes(b"nonsense")
    report = run(catalog, encoder, album)
    assert report.added == 1
    assert [note.path for note in report.notes] == [str(album / "a.jpg")]
    assert "a.xmp" in report.notes[0].reason
    assert run(catalog, encoder, album).notes == []
    write_sidecar(album / "a.xmp", "leek")
    os.utime(album / "a.xmp", (1, 1))
    run(catalog, encoder, album)
    assert annotations_of_image(catalog, 1)[Annotation.KEYWORD] == ["leek"]


def test_a_date_is_taken_from_the_name_if_nothing_else_has_one(
    catalog: Catalog, encoder: FakeEncoder, album: Path
) -> None:
    """It is marked as such."""
    write_photograph(album / "IMG-20240131-WA0007.jpg")
    run(catalog, encoder, album)
    assert (details(catalog).taken_at, details(catalog).date_source) == ("2024-01-31", "name")
    assert image_ids_where(catalog, ["taken_at >= 2024-01-31 and taken_at < 2024-02-01"]).tolist() == [1]


def test_edited_metadata_never_embeds_a_picture_again(catalog: Catalog, encoder: FakeEncoder, album: Path) -> None:
    """The image keeps its id and captions; edited pixels make a new one."""
    path = write_photograph(album / "a.jpg", "Ottokar")
    (album / "a.txt").write_text("a blue thing\n")
    run(catalog, encoder, album)
    embedded, captions = encoder.images_encoded, captions_of_image(catalog, 1)
    write_photograph(path, "Wilhelmina")
    report = run(catalog, encoder, album)
    assert (report.added, report.updated, encoder.images_encoded) == (0, 1, embedded)
    assert annotations_of_image(catalog, 1)[Annotation.DESCRIPTION] == ["Wilhelmina"]
    assert captions_of_image(catalog, 1) == captions
    assert run(catalog, encoder, album).unchanged == 1
    Image.new("RGB", (48, 40), COLOURS["red"]).save(path)
    run(catalog, encoder, album)
    assert encoder.images_encoded == embedded + 1
    assert image_details(catalog, 1) is None


def test_a_copy_of_what_was_edited_stays_the_old_picture(catalog: Catalog, encoder: FakeEncoder, album: Path) -> None:
    """Whether the copy was there before, or is new in the same run."""
    path = write_photograph(album / "a.jpg", "Ottokar")
    run(catalog, encoder, album)
    (album / "b.jpg").write_bytes(path.read_bytes())
    write_photograph(path, "Wilhelmina")
    run(catalog, encoder, album)
    assert described(catalog) == {"a.jpg": "Wilhelmina", "b.jpg": "Ottokar"}
    (album / "c.jpg").write_bytes(path.read_bytes())
    run(catalog, encoder, album)
    write_photograph(path, "Theodor")
    run(catalog, encoder, album)
    assert described(catalog) == {"a.jpg": "Theodor", "b.jpg": "Ottokar", "c.jpg": "Wilhelmina"}


def test_records_of_an_earlier_version_are_read_again_once(
    catalog: Catalog, encoder: FakeEncoder, album: Path, paint: Paint
) -> None:
    """A picture whose content is another by now is left to the indexing."""
    write_photograph(album / "a.jpg", "Ottokar", position=True)
    paint("b.png", "red")
    run(catalog, encoder, album)
    embedded = encoder.images_encoded
    with catalog.transaction() as connection:
        connection.execute(update(schema.image).values(record=None, record_version=RECORD_VERSION - 1))
        connection.execute(schema.annotation.delete())
    report = run(catalog, encoder, album)
    assert (report.records, report.unchanged, encoder.images_encoded) == (2, 2, embedded)
    assert annotations_of_image(catalog, 1)[Annotation.PLACE][0] == "Munich"
    assert run(catalog, encoder, album).records == 0


def test_two_files_of_one_picture_share_their_words(catalog: Catalog, encoder: FakeEncoder, album: Path) -> None:
    """Each has its own sidecar."""
    path = write_photograph(album / "a.jpg")
    (album / "b.jpg").write_bytes(path.read_bytes())
    write_sidecar(album / "a.xmp", "onion")
    write_sidecar(album / "b.xmp", "leek")
    run(catalog, encoder, album)
    assert sorted(annotations_of_image(catalog, 1)[Annotation.KEYWORD]) == ["leek", "onion"]


def test_a_copy_with_other_metadata_is_not_embedded_again(catalog: Catalog, encoder: FakeEncoder, album: Path) -> None:
    """It is an image of its own with the same vector; so are copies that are edited alike."""
    path = write_photograph(album / "a.jpg", "Ottokar")
    run(catalog, encoder, album)
    write_photograph(album / "b.jpg", "Wilhelmina")
    run(catalog, encoder, album)
    assert (len(content_hashes(catalog)), encoder.images_encoded) == (2, 1)
    (album / "c.jpg").write_bytes(path.read_bytes())
    run(catalog, encoder, album)
    for name in ("a.jpg", "c.jpg"):
        write_photograph(album / name, "Theodor")
    run(catalog, encoder, album)
    assert described(catalog) == {"a.jpg": "Theodor", "b.jpg": "Wilhelmina", "c.jpg": "Theodor"}
    ids, vectors = read_vectors(catalog, Kind.IMAGE)
    assert (len(ids), encoder.images_encoded) == (2, 1)
    assert (vectors[0] == vectors[1]).all()


def test_a_renamed_picture_keeps_its_image_when_it_is_edited(
    catalog: Catalog, encoder: FakeEncoder, album: Path
) -> None:
    """Its former name is missing; a file that comes back there is read."""
    path = write_photograph(album / "a.jpg", "Ottokar")
    before = path.read_bytes()
    run(catalog, encoder, album)
    path.rename(album / "b.jpg")
    run(catalog, encoder, album)
    write_photograph(album / "b.jpg", "Wilhelmina")
    run(catalog, encoder, album)
    assert list(content_hashes(catalog).values()) == [1]
    path.write_bytes(before)
    run(catalog, encoder, album)
    assert described(catalog) == {"a.jpg": "Ottokar", "b.jpg": "Wilhelmina"}
    assert encoder.images_encoded == 1


def test_a_missing_file_says_nothing(catalog: Catalog, encoder: FakeEncoder, album: Path) -> None:
    """Its sidecar moved with it, and was edited there."""
    path = write_photograph(album / "z.jpg")
    write_sidecar(album / "z.xmp", "onion", attributes='xmp:Rating="5"')
    run(catalog, encoder, album)
    path.rename(album / "b.jpg")
    (album / "z.xmp").unlink()
    write_sidecar(album / "b.xmp", "leek", attributes='xmp:Rating="2"')
    run(catalog, encoder, album)
    assert annotations_of_image(catalog, 1) == {Annotation.RATING: ["2"], Annotation.KEYWORD: ["leek"]}


def test_a_sidecar_that_cannot_be_read_for_now_is_tried_again(
    catalog: Catalog, encoder: FakeEncoder, album: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it said before is kept."""
    write_photograph(album / "a.jpg")
    write_sidecar(album / "a.xmp", "onion")
    run(catalog, encoder, album)
    write_sidecar(album / "a.xmp", "leek")
    os.utime(album / "a.xmp", (1, 1))

    def refuse(path: Path) -> None:
        raise SidecarError(f"{path}: cannot be read") from ReadError("cannot be read: Input/output error")

    with monkeypatch.context() as broken:
        broken.setattr("indexer.ingest.annotations.read_xmp_sidecar", refuse)
        assert "a.xmp" in run(catalog, encoder, album).notes[0].reason
    assert annotations_of_image(catalog, 1)[Annotation.KEYWORD] == ["onion"]
    run(catalog, encoder, album)
    assert annotations_of_image(catalog, 1)[Annotation.KEYWORD] == ["leek"]


def test_again_reads_sidecars_too(catalog: Catalog, encoder: FakeEncoder, album: Path) -> None:
    """Even if their times are those of the last run."""
    write_photograph(album / "a.jpg")
    write_sidecar(album / "a.xmp", "onion")
    run(catalog, encoder, album)
    assert index_paths(catalog, encoder, [album], again=True).records == 1


def test_a_place_goes_with_its_last_picture(catalog: Catalog, encoder: FakeEncoder, album: Path) -> None:
    """Its names find nothing any more."""
    write_photograph(album / "a.jpg", position=True)
    write_photograph(album / "b.jpg", "elsewhere")
    run(catalog, encoder, album)
    assert places_among(catalog, ["Munich"]) == ["Munich"]
    (album / "a.jpg").unlink()
    index_paths(catalog, encoder, [album], prune=True)
    assert places_among(catalog, ["Munich"]) == []


def test_facets_follow_a_record_that_changes_a_date_alone(catalog: Catalog, encoder: FakeEncoder, album: Path) -> None:
    """Servers cache them until the state changes."""
    write_photograph(album / "a.jpg")
    write_sidecar(album / "a.xmp", "leek")
    run(catalog, encoder, album)
    before = facets_state(catalog)
    write_sidecar(album / "a.xmp", "leek", attributes='exif:DateTimeOriginal="2019-05-06T07:08:09"')
    os.utime(album / "a.xmp", (1, 1))
    run(catalog, encoder, album)
    assert facets_state(catalog) != before
    assert facets(catalog).years == {"2019": 1}
