"""A small typed client for the HTTP service. It returns the documents of the service's OpenAPI description.

    with Client("http://localhost:8000") as crosslook:
        for hit in crosslook.hits("two dogs running through snow"):
            print(hit.path, hit.match_probability)

A client may be shared between threads.
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


MAX_RETRY_SECONDS = 60.0
"""Maximum wait before a retry, whatever `Retry-After` says."""


class UnreachableError(ApiError):
    """No response: connection refused, broken, or timed out."""


class ProblemError(ApiError):
    """The server answered with an error; `problem` is its problem document, the message its `detail`."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.detail)
        self.problem = problem


class Client:
    """A client for one server. While the server is busy, requests are retried after `Retry-After`.

    Every method raises `ProblemError` on an error response, `UnreachableError` without a response, and `ApiError`, the
    root of both, if the response is not from crosslook.
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
        """Create a client; it connects with the first request.

        Args:
            address: base URL of the server.
            key: an API key, if the server requires one.
            timeout: seconds to wait for a response.
            retries: maximum number of retries while the server is busy.
            http: an HTTP client to use instead; it has its own address, key and timeout.
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
        """Close all connections."""
        self._http.close()

    # --- searching ---

    def search(self, text: str, **options: Any) -> SearchResponse:  # noqa: ANN401  fields of SearchRequest
        """Search images by text, and return the first page; options are the fields of `SearchRequest`."""
        return self._json(SearchResponse, "POST", "/v1/search", json={"text": text} | options)

    def more(self, page: SearchResponse) -> SearchResponse | None:
        """The next page of a search; None after the last one."""
        if page.next_cursor is None:
            return None
        return self._json(SearchResponse, "POST", "/v1/search", json={"cursor": page.next_cursor})

    def hits(self, text: str, **options: Any) -> Iterator[ImageHit]:  # noqa: ANN401  as above
        """Iterate over the hits of a search, page by page; options as in `search`."""
        page: SearchResponse | None = self.search(text, **options)
        while page is not None:
            yield from page.hits
            page = self.more(page)

    def search_by_image(self, image: Picture, text: str | None = None, **options: Any) -> SimilarResponse:  # noqa: ANN401  form fields
        """Search images similar to a picture, optionally combined with text."""
        fields = options if text is None else {"text": text} | options
        return self._json(SimilarResponse, "POST", "/v1/search/image", data=fields, files={"image": _file(image)})

    def similar(self, image_id: int, *, k: int = 10, where: Sequence[str] = ()) -> SimilarResponse:
        """Search images similar to an indexed image."""
        return self._json(
            SimilarResponse, "GET", f"/v1/images/{image_id}/similar", params={"k": k, "where": list(where)}
        )

    def captions(self, image: Picture | int, **options: Any) -> CaptionsResponse:  # noqa: ANN401  form fields
        """Find captions for a picture, or for an indexed image by id."""
        if isinstance(image, int):
            return self._json(CaptionsResponse, "POST", "/v1/captions", data={"image_id": image} | options)
        return self._json(CaptionsResponse, "POST", "/v1/captions", data=options, files={"image": _file(image)})

    def explain(self, image_id: int, text: str) -> ExplainResponse:
        """The attention of each word over an image."""
        return self._json(ExplainResponse, "POST", "/v1/explain", json={"image_id": image_id, "text": text})

    def explain_png(self, image_id: int, text: str) -> bytes:
        """The attention of each word as heat maps, PNG."""
        return self._request("POST", "/v1/explain/png", json={"image_id": image_id, "text": text}).content

    # --- the index ---

    def images(self, *, k: int = 100, where: Sequence[str] = (), cursor: str | None = None) -> ImagesResponse:
        """A page of images, newest first; `cursor` is the `next_cursor` of the previous page."""
        params = {"k": k, "where": list(where)} if cursor is None else {"cursor": cursor}
        return self._json(ImagesResponse, "GET", "/v1/images", params=params)

    def image(self, image_id: int) -> ImageResponse:
        """Everything the index knows about an image."""
        return self._json(ImageResponse, "GET", f"/v1/images/{image_id}")

    def file(self, image_id: int) -> bytes:
        """The content of an image's file."""
        return self._request("GET", f"/v1/images/{image_id}/file").content

    def thumbnail(self, image_id: int, size: int = 256) -> bytes:
        """A scaled-down image, WebP; `size` is 128, 256, 512 or 1024 pixels."""
        return self._request("GET", f"/v1/images/{image_id}/thumbnail", params={"size": size}).content

    def facets(self, where: Sequence[str] = ()) -> FacetsResponse:
        """Image counts by folder, camera, format, orientation, year and month."""
        return self._json(FacetsResponse, "GET", "/v1/facets", params={"where": list(where)})

    def duplicates(self, k: int = 100) -> DuplicatesResponse:
        """Groups of files that show the same picture."""
        return self._json(DuplicatesResponse, "GET", "/v1/duplicates", params={"k": k})

    def models(self) -> ModelsResponse:
        """The models of the index."""
        return self._json(ModelsResponse, "GET", "/v1/models")

    def stats(self) -> StatsResponse:
        """Statistics of the index."""
        return self._json(StatsResponse, "GET", "/v1/stats")

    # --- indexing ---

    def roots(self) -> list[RootDocument]:
        """Folders that may be indexed."""
        return _read(TypeAdapter(list[RootDocument]), self._request("GET", "/v1/roots"))

    def index(self, roots: Sequence[str] | None = None, *, prune: bool = False) -> JobDocument:
        """Start indexing some roots, or all."""
        body = {"roots": None if roots is None else list(roots), "prune": prune}
        return self._json(JobDocument, "POST", "/v1/index", json=body)

    def jobs(self) -> list[JobSummary]:
        """The last hundred jobs, latest first."""
        return _read(TypeAdapter(list[JobSummary]), self._request("GET", "/v1/jobs"))

    def job(self, job_id: str) -> JobDocument:
        """The state, progress and report of a job."""
        return self._json(JobDocument, "GET", f"/v1/jobs/{job_id}")

    def wait(self, job: JobSummary, *, every: float = 1.0) -> JobDocument:
        """Poll a job every `every` seconds until it has ended."""
        while (current := self.job(job.id)).state in ("queued", "running"):
            time.sleep(every)
        return current

    def cancel(self, job_id: str) -> JobDocument:
        """Cancel a job once its current batch is committed."""
        return self._json(JobDocument, "DELETE", f"/v1/jobs/{job_id}")

    # --- requests ---

    def _json(self, kind: type[Document], method: str, path: str, **options: Any) -> Document:  # noqa: ANN401  httpx's
        return _read(TypeAdapter(kind), self._request(method, path, **options))

    def _request(self, method: str, path: str, **options: Any) -> httpx2.Response:  # noqa: ANN401  as above
        for retries_left in range(self._retries, -1, -1):
            response = self._send(method, path, **options)
            if response.status_code not in (429, 503) or not retries_left or "retry-after" not in response.headers:
                break
            time.sleep(_seconds(response.headers))
        if response.is_success:
            return response
        raise ProblemError(_read(TypeAdapter(Problem), response))

    def _send(self, method: str, path: str, **options: Any) -> httpx2.Response:  # noqa: ANN401  as above
        try:
            return self._http.request(method, path, **options)
        except httpx2.HTTPError as exc:
            raise UnreachableError(f"{method} {path} at {self._http.base_url}: {exc or type(exc).__name__}") from exc


def _read(kind: TypeAdapter[Document], response: httpx2.Response) -> Document:
    try:
        return kind.validate_json(response.content)
    except ValidationError as exc:  # another server, or a proxy
        raise ApiError(
            f"unexpected response from {response.url} (status {response.status_code}): not a crosslook server?"
        ) from exc


def _seconds(headers: Mapping[str, str]) -> float:
    value = headers["retry-after"]
    return min(float(value), MAX_RETRY_SECONDS) if value.isdecimal() else 1.0


def _file(image: Picture) -> tuple[str, bytes]:
    return ("image", image) if isinstance(image, bytes) else (image.name, image.read_bytes())
