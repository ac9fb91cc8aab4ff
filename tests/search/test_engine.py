"""Queries of every kind, from start to end."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from encoders import Floats, TextFeatures, caption_bank
from indexer import Catalog, index_paths
from indexer.catalog.captions import add_bank, bank_ids
from indexer.errors import EncoderMismatchError, FilterError, IndexNotFoundError
from search import SearchEngine
from search.errors import ImageNotFoundError, QueryError
from search.model_index import ModelIndex
from search.stages.negate import away_from
from search.stages.query import MAX_WORDS
from tests.conftest import Paint
from tests.fakes import FakeEncoder


@pytest.fixture
def engine(indexed: Catalog, encoder: FakeEncoder) -> Iterator[SearchEngine]:
    """An engine over the five pictures, with counters reset."""
    encoder.images_encoded = encoder.texts_encoded = 0
    with SearchEngine.open(indexed.directory, encoder=encoder) as opened:
        yield opened


@pytest.fixture
def bank(monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    """A small caption bank."""
    lines = ("a red thing", "a green thing", "a blue thing", "white")
    monkeypatch.setattr("search.caption_search.caption_bank", lambda: lines)
    return lines


def names(engine: SearchEngine, text: str, **options: object) -> list[str]:
    """The file names of the hits."""
    return [h.path.name for h in engine.search_images(text, **options).hits if h.path]  # type: ignore[arg-type]


def vector(encoder: FakeEncoder, path: Path) -> Floats:
    """The vector of a picture."""
    with Image.open(path) as image:
        return encoder.encode_images(encoder.prepare(image)[None]).vectors[0]


def test_a_sentence_finds_its_picture(engine: SearchEngine, encoder: FakeEncoder) -> None:
    """It is the best hit, and no picture is encoded, because regions come from the catalog."""
    answer = engine.search_images("a red square", k=3)
    assert answer.query == "a red square"
    first = answer.hits[0]
    assert first.path is not None
    assert first.path.name == "red.png"
    assert [h.rank for h in answer.hits] == [1, 2, 3]
    assert [h.score for h in answer.hits] == sorted((h.score for h in answer.hits), reverse=True)
    assert encoder.images_encoded == 0
    assert encoder.texts_encoded == 1


def test_hits_have_the_scores_of_each_stage(engine: SearchEngine) -> None:
    """Without reranking, a hit has only its cosine."""
    hit = engine.search_images("red").hits[0]
    assert hit.score == hit.rerank_score
    assert hit.match_probability is not None
    assert 0 <= hit.match_probability <= 1
    plain = engine.search_images("red", rerank=False).hits[0]
    assert plain.score == plain.retrieval_score == hit.retrieval_score
    assert (plain.rerank_score, plain.match_probability) == (None, None)


def test_reranking_reorders_the_top_depth_only(indexed: Catalog) -> None:
    """A reranker that reverses the order affects only the first three."""
    with SearchEngine.open(indexed.directory, encoder=FakeEncoder(reverse_rerank=True)) as engine:
        plain = names(engine, "red", rerank=False)
        assert names(engine, "red", depth=3) == [*plain[:3][::-1], *plain[3:]]
        hits = engine.search_images("red", depth=3).hits
    assert [h.rerank_score is None for h in hits] == [False, False, False, True, True]


def test_a_hit_has_its_rank_before_reranking(indexed: Catalog) -> None:
    """It equals the rank without reranking, on every page; a hit also has the size of its picture."""
    with SearchEngine.open(indexed.directory, encoder=FakeEncoder(reverse_rerank=True)) as engine:
        ranks = {hit.image_id: hit.rank for hit in engine.search_images("red", rerank=False).hits}
        first = engine.search_images("red", k=2, depth=3)
        second = engine.search_images("red", k=3, depth=3, after=first.following)
        hits = first.hits + second.hits
        assert [hit.retrieval_rank for hit in hits] == [3, 2, 1, 4, 5]
        assert {hit.image_id: hit.retrieval_rank for hit in hits} == ranks
        assert {(hit.width, hit.height) for hit in hits} == {(48, 40)}
        alike = engine.similar_images(hits[0].image_id).hits
        assert [hit.retrieval_rank for hit in alike] == [hit.rank for hit in alike] == [1, 2, 3, 4]


def test_a_depth_beyond_k_can_find_better_hits(indexed: Catalog) -> None:
    """Candidates beyond the first k are reranked too."""
    with SearchEngine.open(indexed.directory, encoder=FakeEncoder(reverse_rerank=True)) as engine:
        plain = names(engine, "red", rerank=False)
        assert names(engine, "red", k=1, depth=5) == [plain[-1]]


def test_every_answer_has_the_time_of_each_stage(engine: SearchEngine) -> None:
    """The total is at least the sum of the stages."""
    timings = engine.search_images("red").timings_ms
    assert list(timings) == ["load", "encode", "retrieve", "rerank", "total"]
    assert timings["total"] >= sum(v for n, v in timings.items() if n != "total") - 0.1


def test_filters_apply_before_ranking(engine: SearchEngine, folder: Path) -> None:
    """There are k hits even if better ones do not match the filter."""
    assert names(engine, "red", where=["has_caption = true"]) == []
    assert len(names(engine, "red", k=2, where=[f"folder = {folder}"])) == 2
    with pytest.raises(FilterError, match="unknown field"):
        engine.search_images("red", where=["colour = red"])


def test_a_minimum_probability_removes_hits(engine: SearchEngine) -> None:
    """Hits below it are left out, if need be all of them."""
    full = engine.search_images("red").hits
    cut = max(h.match_probability or 0 for h in full)
    assert len(engine.search_images("red", min_probability=cut).hits) == 1
    assert engine.search_images("red", min_probability=1.0).hits == ()
    with pytest.raises(QueryError, match="needs reranking"):
        engine.search_images("red", min_probability=0.5, rerank=False)


def test_a_picture_and_words_are_combined(engine: SearchEngine, folder: Path) -> None:
    """Among pictures that match the words equally well, those like the picture come first."""
    first = engine.search_images("thing", image=folder / "blue.png", rerank=False).hits[0]
    assert first.path == folder / "blue.png"


def test_the_vectors_of_picture_and_words_are_added(engine: SearchEngine, encoder: FakeEncoder, folder: Path) -> None:
    """The cosines are those of the normalised sum; the probabilities are those of the words alone."""
    joined = encoder.query(encoder.encode_texts(["red"])).vectors[0] + vector(encoder, folder / "blue.png")
    both = engine.search_images("red", image=folder / "blue.png").hits
    for hit in both:
        assert hit.path is not None
        cosine = vector(encoder, hit.path) @ joined / np.linalg.norm(joined)
        assert hit.retrieval_score == pytest.approx(cosine, abs=1e-3)
    alone = {hit.image_id: hit.match_probability for hit in engine.search_images("red").hits}
    assert {hit.image_id: hit.match_probability for hit in both} == pytest.approx(alone, abs=1e-6)


def test_similar_images_lose_excluded_words(engine: SearchEngine, encoder: FakeEncoder, folder: Path) -> None:
    """The query vectors of the words are subtracted from the picture's."""
    excluded = encoder.query(encoder.encode_texts(["white", "a green thing"])).vectors
    turned = away_from(vector(encoder, folder / "blue.png")[None], excluded)[0]
    hits = engine.similar_images(folder / "blue.png", without=["white", "a green  thing", "white"]).hits
    assert len(hits) == 4
    for hit in hits:
        assert hit.path is not None
        assert hit.retrieval_score == pytest.approx(vector(encoder, hit.path) @ turned, abs=1e-3)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "the query is empty"),
        ("  \n ", "the query is empty"),
        ("?!", "the query has no words"),
        ("word " * 10_000, f"the query has 10000 words; the limit is {MAX_WORDS}"),
        ("x" * 500, "a word of more than 200 characters"),
        ("caf\udce9", "bytes that are not UTF-8"),
    ],
)
def test_invalid_queries_are_rejected(engine: SearchEngine, text: str, words: str) -> None:
    """The message gives the reason, before the model is loaded."""
    with pytest.raises(QueryError, match=words):
        engine.search_images(text)


@pytest.mark.parametrize("options", [{"k": 0}, {"k": 10_001}, {"depth": 0}, {"min_probability": 1.5}])
def test_numbers_out_of_range_are_refused(engine: SearchEngine, options: dict[str, float]) -> None:
    """The message names the number and its range."""
    with pytest.raises(QueryError, match="must be between"):
        engine.search_images("red", **options)  # type: ignore[arg-type]


def test_images_similar_to_an_indexed_one_need_no_model(indexed: Catalog, folder: Path) -> None:
    """Stored vectors are used, and the picture itself is left out."""

    def refuse() -> FakeEncoder:
        raise AssertionError("the model was loaded")

    with SearchEngine(ModelIndex(indexed, refuse)) as engine:
        answer = engine.similar_images(folder / "red.png", k=2)
    assert len(answer.hits) == 2
    assert folder / "red.png" not in [h.path for h in answer.hits]


def test_images_similar_to_a_file_that_is_not_indexed(engine: SearchEngine, encoder: FakeEncoder, paint: Paint) -> None:
    """The file is decoded and encoded."""
    outside = paint("../outside/crimson.png", "red", seed=9)
    hits = engine.similar_images(outside).hits
    assert hits[0].path is not None
    assert hits[0].path.name == "red.png"
    assert encoder.images_encoded == 1


def test_a_file_changed_since_indexing_is_encoded_again(
    engine: SearchEngine, encoder: FakeEncoder, paint: Paint
) -> None:
    """The stored vector of its old content is not used."""
    changed = paint("red.png", "blue", size=(50, 50))
    hits = engine.similar_images(changed).hits
    assert hits[0].path is not None
    assert hits[0].path.name == "blue.png"
    assert encoder.images_encoded == 1


def test_an_index_with_few_captions_uses_the_bank(
    indexed: Catalog, encoder: FakeEncoder, folder: Path, bank: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With enough captions the bank is not searched; each text is shown once, the bank's only if it fits."""
    (folder / "red.txt").write_text("a red wall\n")
    (folder / "blue.txt").write_text("a blue door\na red wall\n")
    index_paths(indexed, encoder, [folder])
    with SearchEngine.open(indexed.directory, encoder=encoder) as engine:
        few = engine.find_captions(folder / "red.png", k=10).hits
        monkeypatch.setattr("search.caption_search.FEW", 3)
        hits = engine.find_captions(folder / "red.png").hits
    assert {h.text for h in few} == {"a red wall", "a blue door", bank[0]}
    assert {h.source for h in few} == {"sidecar", "bank"}
    assert [h.text for h in hits] == ["a red wall", "a blue door"]
    assert {h.source for h in hits} == {"sidecar"}
    assert not set(bank) & {h.text for h in hits}


def test_without_captions_the_bank_is_used_and_stored(
    engine: SearchEngine, encoder: FakeEncoder, folder: Path, bank: tuple[str, ...]
) -> None:
    """It is embedded once, then read from the catalog."""
    hits = engine.find_captions(folder / "red.png", k=2).hits
    assert hits[0].text == "a red thing"
    assert hits[0].source == "bank"
    assert encoder.texts_encoded == len(bank)
    engine.find_captions(folder / "green.png")
    assert encoder.texts_encoded == len(bank)


def test_an_incomplete_bank_is_completed(
    engine: SearchEngine, encoder: FakeEncoder, folder: Path, bank: tuple[str, ...]
) -> None:
    """An earlier version added the bank in parts, and could be killed in between."""
    engine.catalog.use_encoder(encoder.name, encoder.fingerprint, encoder.dimension)
    add_bank(engine.catalog, bank[:1], encoder.encode_texts(bank[:1]))
    hits = engine.find_captions(folder / "green.png").hits
    assert [h.text for h in hits] == [bank[1]]
    assert len(bank_ids(engine.catalog)) == len(bank)


def test_a_kill_while_the_bank_is_embedded_leaves_none_of_it(
    engine: SearchEngine, encoder: FakeEncoder, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is stored in one transaction."""
    lines = tuple(f"red {n}" for n in range(300))
    monkeypatch.setattr("search.caption_search.caption_bank", lambda: lines)
    encode = encoder.encode_texts

    def killed(texts: Sequence[str]) -> TextFeatures:
        if len(texts) < 256:
            raise KeyboardInterrupt
        return encode(texts)

    monkeypatch.setattr(encoder, "encode_texts", killed)
    with pytest.raises(KeyboardInterrupt):
        engine.find_captions(folder / "red.png")
    assert len(bank_ids(engine.catalog)) == 0


def test_captions_of_the_query_are_candidates(engine: SearchEngine, folder: Path, bank: tuple[str, ...]) -> None:
    """They have no id, and are not stored."""
    hits = engine.find_captions(folder / "red.png", bank=["red red red", " ", "green"]).hits
    assert hits[0].text == "red red red"
    assert hits[0].caption_id is None
    assert hits[-1].text == "green"  # shown although it does not fit, since it was asked about
    again = engine.find_captions(folder / "red.png", k=99).hits
    assert [h.text for h in again] == [bank[0]]


def test_captions_of_the_bank_are_withheld_if_they_do_not_fit(
    engine: SearchEngine, bank: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor are those beyond the reranked depth shown; without reranking there is no probability, so all are."""
    monkeypatch.setattr("search.caption_search.FITTING", 0.5)
    grey = Image.new("RGB", (20, 20), (90, 90, 90))
    assert engine.find_captions(grey).hits == ()
    assert engine.find_captions(grey, depth=1).hits == ()
    assert len(engine.find_captions(grey, rerank=False).hits) == len(bank)


def test_an_answer_says_that_nothing_matches(engine: SearchEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not of probabilities of another kind, nor without reranking."""
    assert not engine.search_images("red").no_match
    monkeypatch.setattr("search.verdicts.SHORT_MATCH", 1.0)
    assert engine.search_images("red").as_dict()["no_match"] is True
    assert engine.search_images("red", k=1).no_match
    assert engine.search_images("red", min_probability=0.999999).no_match  # also if no hit is left
    assert not engine.search_images("red", rerank=False).no_match
    monkeypatch.setattr(FakeEncoder, "describes", False)
    assert not engine.search_images("red").no_match


def test_a_probability_of_another_kind_withholds_no_caption(
    engine: SearchEngine, bank: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """That of being written for just this picture is low for captions that fit."""
    assert engine.search_images("red").describes
    monkeypatch.setattr(FakeEncoder, "describes", False)
    assert len(engine.find_captions(Image.new("RGB", (20, 20), (90, 90, 90))).hits) == len(bank)
    assert not engine.search_images("red").describes


def test_captions_of_a_picture_in_memory(engine: SearchEngine, bank: tuple[str, ...]) -> None:
    """Nothing is written to disk."""
    hits = engine.find_captions(Image.new("RGB", (20, 20), (0, 255, 0))).hits
    assert hits[0].text == bank[1]


def test_a_missing_image_is_named(engine: SearchEngine, tmp_path: Path) -> None:
    """By path and by id; a file that is not an image has another message."""
    with pytest.raises(ImageNotFoundError, match=r"no such image: .*none\.jpg"):
        engine.similar_images(tmp_path / "none.jpg")
    with pytest.raises(ImageNotFoundError, match="no image has the id 999"):
        engine.similar_images(999)
    text = tmp_path / "text.jpg"
    text.write_text("words")
    with pytest.raises(QueryError, match=r"text\.jpg: not an image"):
        engine.find_captions(text)


def test_images_whose_files_are_gone_are_not_found(indexed: Catalog, encoder: FakeEncoder, folder: Path) -> None:
    """They are hidden until their files are back."""
    (folder / "red.png").unlink()
    index_paths(indexed, encoder, [folder])
    with SearchEngine.open(indexed.directory, encoder=encoder) as engine:
        assert "red.png" not in names(engine, "red")
        assert len(names(engine, "red")) == 4


def test_an_open_engine_sees_what_is_indexed_later(
    engine: SearchEngine, indexed: Catalog, encoder: FakeEncoder, paint: Paint, folder: Path
) -> None:
    """A server need not be restarted."""
    assert names(engine, "yellow")[0] != "sun.png"
    paint("sun.png", "yellow")
    index_paths(indexed, encoder, [folder])
    assert names(engine, "yellow")[0] == "sun.png"


def test_another_model_is_refused(indexed: Catalog) -> None:
    """The message names both models and what to do."""
    other = FakeEncoder(name="other", fingerprint="0" * 64)
    with (
        SearchEngine.open(indexed.directory, encoder=other) as engine,
        pytest.raises(EncoderMismatchError, match=r"made by model fake .* not by other .*crosslook models add"),
    ):
        engine.search_images("red")


def test_an_empty_index_finds_nothing(catalog: Catalog, encoder: FakeEncoder) -> None:
    """No hits, and no error."""
    with SearchEngine.open(catalog.directory, encoder=encoder) as engine:
        assert engine.search_images("red").hits == ()
    shutil.rmtree(catalog.directory)
    with pytest.raises(IndexNotFoundError):
        SearchEngine.open(catalog.directory)


def test_many_threads_load_the_model_once_and_agree(indexed: Catalog) -> None:
    """The threads of a server share one engine."""
    loaded: list[FakeEncoder] = []

    def load() -> FakeEncoder:
        loaded.append(FakeEncoder())
        return loaded[-1]

    results: list[list[str]] = []
    with SearchEngine(ModelIndex(indexed, load)) as engine:
        threads = [threading.Thread(target=lambda: results.append(names(engine, "a red thing"))) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(loaded) == 1
    assert len(results) == 16
    assert all(result == results[0] for result in results)


def test_answers_have_the_documented_keys(engine: SearchEngine, folder: Path, bank: tuple[str, ...]) -> None:
    """Other programs read this JSON."""
    scores = ["score", "retrieval_score", "rerank_score", "match_probability"]
    document = engine.search_images("red").as_dict()
    assert list(document) == ["query", "hits", "describes", "no_match", "timings_ms"]
    added = ["sources", "matched", "retrieval_rank", "width", "height"]
    assert list(document["hits"][0]) == ["rank", "image_id", "path", *scores, *added]
    assert document["hits"][0]["path"] == str(folder / "red.png")
    captions = engine.find_captions(folder / "red.png").as_dict()
    assert list(captions["hits"][0]) == ["rank", "caption_id", "text", "source", *scores]
    assert [hit["text"] for hit in captions["hits"]] == [bank[0]]


def test_the_caption_bank_is_short_and_varied() -> None:
    """It has over a thousand different captions of at most fifteen words."""
    lines = caption_bank()
    assert len(lines) == len(set(lines)) > 1000
    assert max(len(line.split()) for line in lines) <= 15
