"""A small typed client for the HTTP service. Answers are the documents of its OpenAPI description.

    with Client("http://localhost:8000") as crosslook:
        for hit in crosslook.hits("two dogs running through snow"):
            print(hit.path, hit.match_probability)

Safe to share between threads.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx2
from pydantic import TypeAdapter, ValidationError

from .contract.index import (
    DuplicatesResponse,
    FacetsResponse,
    ImageResponse,
    ImagesResponse,
    ModelsResponse,
    StatsResponse,
)
from .contract.jobs import JobDocument, JobSummary, RootDocument
from .contract.search import CaptionsResponse, ExplainResponse, ImageHit, Problem, SearchResponse, SimilarResponse
from .errors import ApiError

Picture = Path | bytes
Document = TypeVar("Document")


MOST_SECONDS = 60.0
"""Nobody waits longer before asking again, whatever a server says."""


class UnreachableError(ApiError):
    """No answer came: nobody listens there, the connection broke, or it took too long."""


class ProblemError(ApiError):
    """The server refused; `problem` says why, in the words of its `detail`."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.detail)
        self.problem = problem


class Client:
    """Asks one server. Where it is too busy, waits as it says and asks again.

    Every method raises `ProblemError` where the server refuses, `UnreachableError` where no answer comes, and
    `ApiError`, the root of both, where something else answers.
    """

    def __init__(
        self,
        address: str = "http://127.0.0.1:8000",
        *,
        key: str | None = None,
        timeout: float = 60,
        retries: int = 3,
        http: httpx2.Client | None = None,
    ) -> None:
        """Connect when something is asked.

        Args:
            address: where the server listens.
            key: an API key, if it wants one.
            timeout: seconds for an answer.
            retries: how often a busy server is asked again.
            http: a client to ask through, with an address of its own.
        """
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._http = http or httpx2.Client(base_url=address, headers=headers, timeout=timeout)
        self._retries = retries

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    # --- searching ---

    def search(self, text: str, **options: Any) -> SearchResponse:  # noqa: ANN401  fields of SearchRequest
        """The first page of images for a sentence; options are the fields of `SearchRequest`."""
        return self._json(SearchResponse, "POST", "/v1/search", json={"text": text} | options)

    def more(self, page: SearchResponse) -> SearchResponse | None:
        """The next page; None after the last one."""
        if page.next_cursor is None:
            return None
        return self._json(SearchResponse, "POST", "/v1/search", json={"cursor": page.next_cursor})

    def hits(self, text: str, **options: Any) -> Iterator[ImageHit]:  # noqa: ANN401  as above
        """Images for a sentence, page after page; options as of `search`."""
        page: SearchResponse | None = self.search(text, **options)
        while page is not None:
            yield from page.hits
            page = self.more(page)

    def search_by_image(self, image: Picture, text: str | None = None, **options: Any) -> SimilarResponse:  # noqa: ANN401  form fields
        """Images like a picture, or for it and words together."""
        fields = options if text is None else {"text": text} | options
        return self._json(SimilarResponse, "POST", "/v1/search/image", data=fields, files={"image": _file(image)})

    def similar(self, image_id: int, *, k: int = 10, where: Sequence[str] = ()) -> SimilarResponse:
        """Images like one of the index."""
        return self._json(
            SimilarResponse, "GET", f"/v1/images/{image_id}/similar", params={"k": k, "where": list(where)}
        )

    def captions(self, image: Picture | int, **options: Any) -> CaptionsResponse:  # noqa: ANN401  form fields
        """Captions for a picture, or for an image of the index by its id."""
        if isinstance(image, int):
            return self._json(CaptionsResponse, "POST", "/v1/captions", data={"image_id": image} | options)
        return self._json(CaptionsResponse, "POST", "/v1/captions", data=options, files={"image": _file(image)})

    def explain(self, image_id: int, text: str) -> ExplainResponse:
        """Where in an image each word is seen."""
        return self._json(ExplainResponse, "POST", "/v1/explain", json={"image_id": image_id, "text": text})

    def explain_png(self, image_id: int, text: str) -> bytes:
        """The same, drawn."""
        return self._ask("POST", "/v1/explain/png", json={"image_id": image_id, "text": text}).content

    # --- what is in the index ---

    def images(self, *, k: int = 100, where: Sequence[str] = (), cursor: str | None = None) -> ImagesResponse:
        """A page of all images, the newest first; with a cursor the page that it stands for."""
        params = {"k": k, "where": list(where)} if cursor is None else {"cursor": cursor}
        return self._json(ImagesResponse, "GET", "/v1/images", params=params)

    def image(self, image_id: int) -> ImageResponse:
        """All that the index knows about an image."""
        return self._json(ImageResponse, "GET", f"/v1/images/{image_id}")

    def file(self, image_id: int) -> bytes:
        """An image's file."""
        return self._ask("GET", f"/v1/images/{image_id}/file").content

    def thumbnail(self, image_id: int, size: int = 256) -> bytes:
        """A small version of it, WebP; `size` is 128, 256, 512 or 1024 pixels."""
        return self._ask("GET", f"/v1/images/{image_id}/thumbnail", params={"size": size}).content

    def facets(self, where: Sequence[str] = ()) -> FacetsResponse:
        """How many images each value of a filter would leave."""
        return self._json(FacetsResponse, "GET", "/v1/facets", params={"where": list(where)})

    def duplicates(self, k: int = 100) -> DuplicatesResponse:
        """Groups of files that show one picture."""
        return self._json(DuplicatesResponse, "GET", "/v1/duplicates", params={"k": k})

    def models(self) -> ModelsResponse:
        """The models of the index."""
        return self._json(ModelsResponse, "GET", "/v1/models")

    def stats(self) -> StatsResponse:
        """What is in the index."""
        return self._json(StatsResponse, "GET", "/v1/stats")

    # --- indexing ---

    def roots(self) -> list[RootDocument]:
        """Folders that may be indexed."""
        return _read(TypeAdapter(list[RootDocument]), self._ask("GET", "/v1/roots"))

    def index(self, roots: Sequence[str] | None = None, *, prune: bool = False) -> JobDocument:
        """Begin to index some of them, or all."""
        body = {"roots": None if roots is None else list(roots), "prune": prune}
        return self._json(JobDocument, "POST", "/v1/index", json=body)

    def jobs(self) -> list[JobSummary]:
        """The last jobs, the latest first."""
        return _read(TypeAdapter(list[JobSummary]), self._ask("GET", "/v1/jobs"))

    def job(self, job_id: str) -> JobDocument:
        """How far a job is."""
        return self._json(JobDocument, "GET", f"/v1/jobs/{job_id}")

    def wait(self, job: JobSummary, *, every: float = 1.0) -> JobDocument:
        """Come back when a job has ended."""
        while (found := self.job(job.id)).state in ("queued", "running"):
            time.sleep(every)
        return found

    def cancel(self, job_id: str) -> JobDocument:
        """Cancel a job at its next commit."""
        return self._json(JobDocument, "DELETE", f"/v1/jobs/{job_id}")

    # --- asking ---

    def _json(self, kind: type[Document], method: str, path: str, **how: Any) -> Document:  # noqa: ANN401  httpx's
        return _read(TypeAdapter(kind), self._ask(method, path, **how))

    def _ask(self, method: str, path: str, **how: Any) -> httpx2.Response:  # noqa: ANN401  as above
        for left in range(self._retries, -1, -1):
            response = self._once(method, path, **how)
            if response.status_code not in (429, 503) or not left or "retry-after" not in response.headers:
                break
            time.sleep(_seconds(response.headers))
        if response.is_success:
            return response
        raise ProblemError(_read(TypeAdapter(Problem), response))

    def _once(self, method: str, path: str, **how: Any) -> httpx2.Response:  # noqa: ANN401  as above
        try:
            return self._http.request(method, path, **how)
        except httpx2.HTTPError as exc:
            raise UnreachableError(f"{method} {path} at {self._http.base_url}: {exc or type(exc).__name__}") from exc


def _read(kind: TypeAdapter[Document], response: httpx2.Response) -> Document:
    try:
        return kind.validate_json(response.content)
    except ValidationError as exc:  # no crosslook, or something before it
        raise ApiError(f"{response.url} answered {response.status_code}, and not as crosslook does") from exc


def _seconds(headers: Mapping[str, str]) -> float:
    value = headers["retry-after"]
    return min(float(value), MOST_SECONDS) if value.isdecimal() else 1.0


def _file(image: Picture) -> tuple[str, bytes]:
    return ("image", image) if isinstance(image, bytes) else (image.name, image.read_bytes())
