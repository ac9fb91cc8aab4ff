"""Keywords in file names, folder names and captions."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image

from indexer import Catalog, index_paths
from indexer.catalog.annotations import Annotation, write_annotations
from indexer.catalog.captions import add_bank
from indexer.catalog.images import images_by_id
from search import SearchEngine
from search.errors import QueryError
from tests.conftest import Paint, painter
from tests.fakes import COLOURS, FakeEncoder

COUNT = 60


@contextmanager
def album_in(home: Path) -> Iterator[SearchEngine]:
    """Sixty pictures of six colours: three blue ones are in Anna's folder, and the caption of one names Bob."""
    for i in range(COUNT):
        colour = list(COLOURS)[i % 6]
        painter(home / "pictures")(f"{'anna' if i in (2, 8, 14) else 'summer'}/IMG_{1000 + i}.png", colour, seed=i)
    (home / "pictures/summer/IMG_1005.txt").write_text("Bob in a black coat\n")
    with Catalog.open(home / "index", create=True) as catalog:
        index_paths(catalog, FakeEncoder(), [home / "pictures"])
        with SearchEngine.open(catalog.directory, encoder=FakeEncoder()) as engine:
            yield engine


@pytest.fixture(scope="module")
def album(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SearchEngine]:
    """The sixty pictures, for tests that only read."""
    with album_in(tmp_path_factory.mktemp("album")) as engine:
        yield engine


@pytest.fixture
def changing_album(tmp_path: Path) -> Iterator[SearchEngine]:
    """The sixty pictures, for tests that change the index."""
    with album_in(tmp_path) as engine:
        yield engine


def shown_names(engine: SearchEngine, text: str, **options: object) -> list[str]:
    """Folder and file name of each hit."""
    hits = engine.search_images(text, **options).hits  # type: ignore[arg-type]
    return [f"{h.path.parent.name}/{h.path.stem}" for h in hits if h.path]


def test_an_unknown_name_ranks_its_pictures_first(album: SearchEngine) -> None:
    """Every hit lists the words it matched."""
    hits = album.search_images("anna").hits
    assert {h.path.parent.name for h in hits[:3] if h.path} == {"anna"}
    assert [(h.sources, h.matched) for h in hits[:3]] == [(("vector", "name"), ("anna",))] * 3
    assert hits[3].sources == ("vector",)
    assert hits[3].matched == ()
    assert shown_names(album, "anna", keywords=False)[:3] != shown_names(album, "anna")[:3]


def test_a_caption_counts_as_a_name_does(album: SearchEngine) -> None:
    """Only Bob is a keyword; the model knows the other words."""
    hit = album.search_images("a black thing, Bob's").hits[0]
    assert hit.path is not None
    assert hit.path.stem == "IMG_1005"
    assert (hit.sources, hit.matched) == (("vector", "caption"), ("Bob",))


def test_an_ordinary_sentence_is_answered_as_without_keywords(
    catalog: Catalog, encoder: FakeEncoder, paint: Paint, tmp_path: Path
) -> None:
    """Familiar words in names and captions change neither hits nor scores."""
    for i in range(30):
        path = paint(f"{'blue' if i % 2 else 'red'}/{i}.png", list(COLOURS)[i % 6], seed=i)
        path.with_suffix(".txt").write_text(f"a {list(COLOURS)[i % 5]} thing\n")
    index_paths(catalog, encoder, [tmp_path / "pictures"])
    with SearchEngine.open(catalog.directory, encoder=encoder) as engine:
        for text in ("a red thing", "a blue thing", "green"):
            for rerank in (True, False):
                both = [engine.search_images(text, keywords=keywords, rerank=rerank).hits for keywords in (True, False)]
                assert both[0] == both[1]
                assert len(both[0]) == 10


def test_words_in_a_sentence_without_spaces_are_found(
    catalog: Catalog, encoder: FakeEncoder, paint: Paint, tmp_path: Path
) -> None:
    """A name need not contain the whole sentence, nor end where a word of the query does."""
    for number, name in enumerate(("海边度假照片", "山上的雪", "제주도 여행", "plain")):
        paint(f"{name}.png", "red", seed=number)
    index_paths(catalog, encoder, [tmp_path / "pictures"])
    with SearchEngine.open(catalog.directory, encoder=encoder) as engine:
        for text, name, matched in (
            ("度假", "海边度假照片", ("度假",)),
            ("去年在海边玩", "海边度假照片", ("海边",)),
            ("제주도에서", "제주도 여행", ("제주", "주도")),
        ):
            hit = engine.search_images(text).hits[0]
            assert hit.path is not None
            assert (hit.path.stem, hit.matched) == (name, matched)


def test_a_place_of_several_words_is_found_by_all_its_names(
    catalog: Catalog, encoder: FakeEncoder, paint: Paint, tmp_path: Path
) -> None:
    """In any language, anywhere in the sentence; a part of a name is not the place."""
    for number in range(COUNT):
        path = paint(f"{number}.png", "red", seed=number)
        if number == 7:
            exif = Image.Exif()
            exif[ExifTags.Base.Software] = "crosslook's tests"  # Pillow writes no position alone into a PNG
            exif.get_ifd(ExifTags.IFD.GPSInfo).update({1: "N", 2: (48.0, 8.0, 14.0), 3: "E", 4: (11.0, 34.0, 31.0)})
            Image.open(path).save(path, exif=exif)
    index_paths(catalog, encoder, [tmp_path / "pictures"])
    with SearchEngine.open(catalog.directory, encoder=encoder) as engine:
        for text, matched in (("a red thing in Monaco di Baviera", "Monaco di Baviera"), ("慕尼黑", "慕尼黑")):
            hit = engine.search_images(text).hits[0]
            assert hit.path is not None
            assert (hit.path.name, hit.matched, hit.sources[-1]) == ("7.png", (matched,), "annotation")
        assert all(hit.matched == () for hit in engine.search_images("Monaco").hits)


def test_a_word_that_somebody_attached_counts_even_if_the_model_knows_it(
    catalog: Catalog, encoder: FakeEncoder, paint: Paint, tmp_path: Path
) -> None:
    """Alone it decides; in a sentence the model has its say."""
    for number in range(COUNT):
        paint(f"{number}.png", list(COLOURS)[number % 6], seed=number)
    index_paths(catalog, encoder, [tmp_path / "pictures"])
    others = catalog_ids_not_red(catalog)
    tagged = others[:3]
    with catalog.transaction() as connection:
        write_annotations(connection, {image_id: [(Annotation.KEYWORD, "red")] for image_id in others[:3]})
    with SearchEngine.open(catalog.directory, encoder=encoder) as engine:
        assert engine.encoder.strangeness(["red"])[0] < 0.05
        plain = probabilities(engine, "red", keywords=False)
        alone, among_others = probabilities(engine, "red"), probabilities(engine, "a red thing")
        for image_id in tagged:
            assert alone[image_id] > among_others[image_id] > plain[image_id]
        assert alone[others[5]] == plain[others[5]]
        (hit,) = (hit for hit in engine.search_images("red", k=COUNT).hits if hit.image_id == tagged[0])
        assert (hit.matched, hit.sources[-1]) == (("red",), "annotation")


def probabilities(engine: SearchEngine, text: str, *, keywords: bool = True) -> dict[int, float]:
    """The match probability of every image."""
    hits = engine.search_images(text, k=COUNT, keywords=keywords).hits
    return {hit.image_id: hit.match_probability or 0.0 for hit in hits}


def catalog_ids_not_red(catalog: Catalog) -> list[int]:
    """Ids of pictures of other colours; files are named by their number."""
    reds = [f"{number}.png" for number in range(COUNT) if list(COLOURS)[number % 6] == "red"]
    return [
        image_id
        for image_id, record in images_by_id(catalog, range(1, COUNT + 1)).items()
        if record.path is not None and record.path.name not in reds
    ]


def test_the_bank_is_not_searched_for_keywords(changing_album: SearchEngine) -> None:
    """Its captions belong to no image."""
    add_bank(changing_album.catalog, ["a zebra"], changing_album.encoder.encode_texts(["a zebra"]))
    assert all(hit.sources == ("vector",) for hit in changing_album.search_images("a zebra").hits)


def test_images_with_the_rarest_words_are_candidates_first(album: SearchEngine) -> None:
    """57 pictures are in the folder of the summer, and the depth is 1."""
    hits = album.search_images("summer IMG_1031", depth=1, k=2).hits
    assert [h.path.stem for h in hits if h.path][:1] == ["IMG_1031"]
    assert hits[0].matched == ("summer", "IMG_1031")


def test_images_with_equal_keywords_are_ordered_by_the_model(album: SearchEngine) -> None:
    """Of the summer's pictures, the green ones come first."""
    first = album.search_images("a green thing summer", k=9).hits
    ids = {h.image_id for h in album.search_images("green", keywords=False, k=10).hits}
    assert all("name" in h.sources for h in first)
    assert len({h.image_id for h in first} & ids) >= 8


@pytest.mark.parametrize("query", ["IMG_1031.png", "img_1031", "IMG 1031"])
def test_a_file_name_finds_its_file(album: SearchEngine, query: str) -> None:
    """With or without its suffix, in upper or lower case."""
    assert shown_names(album, query, k=1) == ["summer/IMG_1031"]
    assert shown_names(album, query, k=1, rerank=False) == ["summer/IMG_1031"]


def test_familiar_words_are_no_keywords(catalog: Catalog, encoder: FakeEncoder, paint: Paint) -> None:
    """A red picture named green.png is not a hit for "green"."""
    paint("green.png", "red")
    paint("a.png", "green")
    index_paths(catalog, encoder, [paint("b.png", "blue").parent])
    with SearchEngine.open(catalog.directory, encoder=encoder) as engine:
        assert shown_names(engine, "green", k=1) == ["pictures/a"]
        assert shown_names(engine, "green.png", k=1) == ["pictures/green"]


def test_an_excluded_word_counts_against_its_images(album: SearchEngine) -> None:
    """Anna's pictures rank last, and excluded blue moves down."""
    assert {name.split("/")[0] for name in shown_names(album, "a blue thing -anna", k=7)} == {"summer"}
    blue = {h.image_id for h in album.search_images("blue", keywords=False, k=10).hits}
    for options in ({}, {"rerank": False}):
        hits = album.search_images("a thing -blue", k=40, **options).hits  # type: ignore[arg-type]
        assert not blue & {h.image_id for h in hits}
    answer = album.search_images("a thing", without=["blue"])
    assert answer.as_dict()["without"] == ["blue"]


def test_filters_hold_for_keyword_hits(changing_album: SearchEngine, tmp_path: Path) -> None:
    """Neither a filtered image nor one without a file is found by its name."""
    assert (
        shown_names(changing_album, "anna", where=[f"folder = {tmp_path}/pictures/summer"], k=60).count("anna/IMG_1002")
        == 0
    )
    (tmp_path / "pictures/anna/IMG_1002.png").unlink()
    index_paths(changing_album.catalog, changing_album.encoder, [tmp_path / "pictures"])
    assert "anna/IMG_1002" not in shown_names(changing_album, "anna", k=60)
    assert {name.split("/")[0] for name in shown_names(changing_album, "anna", k=2)} == {"anna"}


def test_a_keyword_hit_far_from_the_query_is_reranked_too(album: SearchEngine) -> None:
    """Its `sources` then contain only `name`."""
    hit = album.search_images("a red thing anna", depth=3, k=1).hits[0]
    assert hit.sources == ("name",)
    assert hit.rerank_score is not None


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(words=st.text(max_size=40))
def test_no_text_is_query_syntax(album: SearchEngine, words: str) -> None:
    """Any text is searched or rejected by us; FTS5 raises no error."""
    typed = random.Random(words).choice([words, f'"{words}', f"{words}* OR NEAR(", f"({words} AND -{words})"])
    with suppress(QueryError):
        assert album.search_images(typed, k=1).hits
