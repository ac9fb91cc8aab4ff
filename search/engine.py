"""`SearchEngine`: everything that can be asked of an index."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from encoders import Attention, Encoder
from indexer import Catalog
from indexer.errors import EncoderMismatchError

from .active_model import ActiveModel, open_models
from .answers import Answer, CaptionAnswer, PageStart
from .caption_search import CaptionSearch
from .explain import Explanation
from .image_query import ImageQuery, image_path, query_features, read_picture
from .image_search import ImageSearch, search_similar
from .model_index import ModelIndex
from .stages.query import check_text

R = TypeVar("R")


class SearchEngine:
    """Searches one index. Safe to share between threads; open once, ask often.

    The model loads with the first query that needs it: images like an indexed image need none.
    """

    def __init__(self, models: ModelIndex | ActiveModel) -> None:
        """Answer with one model, or with whichever is active; `open` makes either."""
        self._models = models

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        encoder: Encoder | None = None,
        model: Path | None = None,
        device: str = "auto",
        workers: int = 1,
    ) -> SearchEngine:
        """Open the index in a directory.

        Without a model, each query is answered by the model that is active when it comes. A given model must have
        embeddings in the index, active or not, and answers all queries.

        Args:
            path: the index directory.
            encoder: a loaded model.
            model: the directory of a model to load.
            device: where to load it: `auto`, `cpu`, `cuda`, …
            workers: queries that the model computes side by side, see `load_encoder`.

        Raises:
            IndexNotFoundError, CatalogVersionError, CatalogError: the index cannot be used.
            CheckpointError: `model` cannot be loaded.
        """
        return cls(open_models(path, encoder, model, device=device, workers=workers))

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
        """The model that answers now, loaded if it is not yet.

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
        """An engine that stays with the model that answers now."""
        return self._with(self._models.current())

    def by_model(self, name: str) -> SearchEngine:
        """An engine for one of the index's models, by its name or the first digits of its fingerprint.

        Raises:
            UnknownModelError: there is no such model, there are several, or this engine was opened with another.
        """
        return self._with(self._models.named(name))

    def search_images(
        self,
        text: str,
        *,
        image: ImageQuery | None = None,
        without: Sequence[str] = (),
        k: int = 10,
        depth: int = 100,
        rerank: bool = True,
        keywords: bool = True,
        where: Sequence[str] = (),
        min_probability: float | None = None,
        after: PageStart | None = None,
    ) -> Answer:
        """Find images for a sentence.

        The pages of an answer hold what one long answer would: the same `depth` is reranked for each.

        Args:
            text: what to look for; `-word` and `-"two words"` are excluded.
            image: a picture to look for as well; its embedding is added to the sentence's.
            without: further words to exclude.
            k: how many hits at most.
            depth: how many candidates are reranked, of the nearest and of those with keywords.
            rerank: whether the cross-attention model orders them.
            keywords: whether words of captions and of file and folder names count.
            where: filters, all of which must hold.
            min_probability: leave out hits with a lower match probability.
            after: `following` of the previous page, to be asked of the same model.

        Raises:
            QueryError: an empty or too long sentence, or a number out of its range.
            FilterError: a filter does not parse.
        """
        search = ImageSearch(text, image, without, k, depth, rerank, keywords, where, min_probability, after)
        return self._answer(search.run)

    def similar_images(
        self, image: ImageQuery, *, without: Sequence[str] = (), k: int = 10, where: Sequence[str] = ()
    ) -> Answer:
        """Find images like an image, itself left out.

        Args:
            image: the image.
            without: words to exclude.
            k: how many hits at most.
            where: filters, all of which must hold.

        Raises:
            QueryError: no such image, or not an image.
        """
        return self._answer(lambda model: search_similar(model, image, without=without, k=k, where=where))

    def find_captions(
        self,
        image: ImageQuery,
        *,
        k: int = 5,
        depth: int = 100,
        rerank: bool = True,
        bank: Sequence[str] | None = None,
    ) -> CaptionAnswer:
        """Find captions for an image.

        They are the index's own captions; if it has fewer than `caption_search.FEW`, also those of the bank that ships
        with the base model, which is embedded once and stored.

        Args:
            image: the image.
            k: how many captions at most.
            depth: how many candidates are reranked.
            rerank: whether the cross-attention model orders the top `depth`.
            bank: further captions to choose from, for this query only.

        Raises:
            QueryError: no such image, not an image, or a number out of its range.
        """
        return self._answer(CaptionSearch(image, k, depth, rerank, bank or ()).run)

    def explain(self, image: ImageQuery, text: str) -> Explanation:
        """Show where in an image each word of a sentence is seen.

        Raises:
            QueryError: no such image, not an image, or an unusable sentence.
        """
        attention = self.attention(image, text)
        return Explanation(attention.words, attention.weights, read_picture(self.catalog, image))

    def attention(self, image: ImageQuery, text: str) -> Attention:
        """Where each word of a sentence is seen; opens no file for an indexed image.

        Raises:
            QueryError: no such image, not an image, or an unusable sentence.
        """
        query = check_text(text)
        return self._answer(lambda model: model.encoder.attend(query, query_features(model, image).regions))

    def image_path(self, image_id: int) -> Path:
        """The file of an indexed image.

        Raises:
            ImageNotFoundError: no such image, or all its files are gone.
        """
        return image_path(self.catalog, image_id)

    def _with(self, model: ModelIndex) -> SearchEngine:
        return self if model is self._models else SearchEngine(model)

    def _answer(self, search: Callable[[ModelIndex], R]) -> R:
        """Answer a query with one model from start to end; again, with the next, if it was removed meanwhile."""
        model = self._models.current()
        try:
            return search(model)
        except EncoderMismatchError:
            current = self._models.current()
            if current is model:
                raise
            return search(current)
