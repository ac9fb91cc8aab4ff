"""`SearchEngine`, the facade over every search of an index."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from encoders import Attention, Encoder, ImageFeatures
from indexer import Catalog
from indexer.errors import EncoderMismatchError

from .active_model import ActiveModel, open_models
from .answers import Answer, CaptionAnswer, PageStart
from .caption_search import CaptionSearch
from .errors import QueryError
from .explain import Explanation
from .image_query import ImageQuery, image_path, query_features, read_picture
from .image_search import ImageSearch, search_similar
from .model_index import ModelIndex
from .stages.query import EXCLUDED, FILTER, check_text, listed

R = TypeVar("R")


class SearchEngine:
    """Searches one index. Threads can share it.

    The model is loaded by the first query that needs it; finding images similar to an indexed image does not.
    """

    def __init__(self, models: ModelIndex | ActiveModel) -> None:
        """Use `open`. `models` is one model, or whichever is active."""
        self._models = models

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        encoder: Encoder | None = None,
        model: str | Path | None = None,
        device: str = "auto",
        workers: int = 1,
    ) -> SearchEngine:
        """Open the index in a directory.

        Without a model, the active model of the index answers each query, even if another one becomes active later. A
        given model answers all queries, active or not; the index must have its embeddings.

        Args:
            path: the index directory.
            encoder: a loaded model.
            model: the directory of a model to load.
            device: where to load it: `auto`, `cpu`, `cuda`, …
            workers: number of queries that the model computes in parallel, see `load_encoder`.

        Raises:
            IndexNotFoundError, CatalogVersionError, CatalogError: the index cannot be used.
            CheckpointError: `model` cannot be loaded.
        """
        directory = None if model is None else Path(model)
        return cls(open_models(Path(path), encoder, directory, device=device, workers=workers))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the catalog."""
        self.catalog.close()

    @property
    def catalog(self) -> Catalog:
        """The index's catalog."""
        return self._models.catalog

    @property
    def encoder(self) -> Encoder:
        """The model that answers now, loaded if necessary.

        Raises:
            EncoderMismatchError: the index does not hold this model.
            CheckpointError: the model cannot be loaded.
        """
        return self._models.current().encoder

    @property
    def loaded(self) -> Encoder | None:
        """The model that answers now, or None if no query has needed it yet."""
        return self._models.current().loaded

    def now(self) -> SearchEngine:
        """An engine bound to the model that answers now."""
        return self._with(self._models.current())

    def by_model(self, name: str) -> SearchEngine:
        """An engine bound to one of the index's models, by its name or the first digits of its fingerprint.

        Raises:
            UnknownModelError: no model matches, several do, or this engine was opened with another one.
        """
        return self._with(self._models.named(name))

    def search_images(
        self,
        text: str,
        *,
        image: ImageQuery | None = None,
        without: str | Sequence[str] = (),
        k: int = 10,
        depth: int = 100,
        rerank: bool = True,
        keywords: bool = True,
        where: str | Sequence[str] = (),
        min_probability: float | None = None,
        after: PageStart | None = None,
    ) -> Answer:
        """Find images for a sentence.

        The pages of an answer contain the hits of one long answer, because each reranks the same `depth` candidates.

        Args:
            text: what to look for; `-word` and `-"two words"` are excluded.
            image: a picture to look for as well; its vector is added to the sentence's.
            without: a further phrase to exclude, or several.
            k: maximum number of hits.
            depth: number of candidates to rerank, of the nearest images and of those that match keywords.
            rerank: whether to rerank.
            keywords: whether words in captions, file names and folder names count.
            where: a filter, or several that must all match.
            min_probability: leave out hits with a lower match probability.
            after: `following` of the previous page; must be passed to an engine with the same model.

        Raises:
            QueryError: the sentence is empty or too long, or a number is out of range.
            FilterError: a filter does not parse.
        """
        excluded, filters = listed(without, EXCLUDED), listed(where, FILTER)
        search = ImageSearch(text, image, excluded, k, depth, rerank, keywords, filters, min_probability, after)
        return self._answer(search.run)

    def similar_images(
        self, image: ImageQuery, *, without: str | Sequence[str] = (), k: int = 10, where: str | Sequence[str] = ()
    ) -> Answer:
        """Find images similar to an image, without that image itself.

        Args:
            image: the image, see `ImageQuery`.
            without: a phrase to exclude, or several.
            k: maximum number of hits.
            where: a filter, or several that must all match.

        Raises:
            QueryError: the image does not exist, or is not an image.
        """
        excluded, filters = listed(without, EXCLUDED), listed(where, FILTER)
        return self._answer(lambda model: search_similar(model, image, without=excluded, k=k, where=filters))

    def find_captions(
        self,
        image: ImageQuery,
        *,
        k: int = 5,
        depth: int = 100,
        rerank: bool = True,
        bank: str | Sequence[str] | None = None,
    ) -> CaptionAnswer:
        """Find captions for an image.

        Candidates are the captions in the index. If there are fewer than `caption_search.FEW`, the caption bank that
        ships with the base model is searched as well; it is embedded once and stored.

        Args:
            image: the image, see `ImageQuery`.
            k: maximum number of captions.
            depth: number of candidates to rerank.
            rerank: whether to rerank.
            bank: a further caption, or several, to choose from, for this query only.

        Raises:
            QueryError: the image does not exist or is not an image, or a number is out of range.
        """
        return self._answer(CaptionSearch(image, k, depth, rerank, listed(bank, "a caption")).run)

    def explain(self, image: ImageQuery, text: str) -> Explanation:
        """Show which regions of an image each word of a sentence attends to.

        Raises:
            QueryError: the image does not exist or is not an image, or the sentence is invalid.
        """
        attention = self.attention(image, text)
        picture = read_picture(self.catalog, image)
        return Explanation(attention.words, attention.weights, attention.probabilities, picture)

    def attention(self, image: ImageQuery, text: str) -> Attention:
        """The attention of each word over the regions of an image.

        No file is opened if the image is indexed, unless the model does not store regions, as pretrained pairs.

        Raises:
            QueryError: the image does not exist or is not an image, or the sentence is invalid.
        """
        query = check_text(text)
        return self._answer(lambda model: _attention(model, query, image))

    def image_path(self, image_id: int) -> Path:
        """The file of an indexed image.

        Raises:
            ImageNotFoundError: the image does not exist, or all its files are gone.
        """
        return image_path(self.catalog, image_id)

    def _with(self, model: ModelIndex) -> SearchEngine:
        return self if model is self._models else SearchEngine(model)

    def _answer(self, search: Callable[[ModelIndex], R]) -> R:
        """Answer a query with one model; if it was removed meanwhile, repeat it with the one that is active then."""
        model = self._models.current()
        try:
            return search(model)
        except EncoderMismatchError:
            current = self._models.current()
            if current is model:
                raise
            return search(current)


def _attention(model: ModelIndex, query: str, image: ImageQuery) -> Attention:
    if not model.encoder.has_regions:
        raise QueryError(f"model {model.encoder.name} has no regions, so it cannot show where it found a word")
    features = query_features(model, image)
    regions = features.regions
    if not model.encoder.stores_regions:
        regions = model.encoder.regions(read_picture(model.catalog, image))
    return model.encoder.attend(query, ImageFeatures(features.vector[None], regions[None]))
