"""Fetching pairs from a hub: a local one that cuts connections and sends wrong files."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import huggingface_hub.constants
import numpy as np
import pytest

from encoders import EncodersError, load_encoder
from encoders.pairs.sources import obtain

REPOSITORY = "somebody/tiny-clip"


class Hub(ThreadingHTTPServer):
    """A hub with one repository; the next file may be cut after `cut` bytes, and `wrong` files have other content."""

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.folder, self.cut, self.wrong = folder, 0, ""
        self.requests: list[str] = []
        self.files = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    """Answers as the hub does, as far as its library asks."""

    server: Hub

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_HEAD(self) -> None:
        """Answer with the headers only."""
        self.do_GET()

    def do_GET(self) -> None:
        """Answer with the list of files, or with a file or the rest of one."""
        hub = self.server
        path = self.path.partition("?")[0]
        if path.startswith(f"/api/models/{REPOSITORY}"):
            siblings = [
                {"rfilename": name, "size": len(body)}
                | (
                    {"lfs": {"sha256": sha(body), "size": len(body), "pointerSize": 134}}
                    if name.endswith(".onnx")
                    else {}
                )
                for name, body in hub.files.items()
            ]
            self._send(json.dumps({"id": REPOSITORY, "sha": "0" * 40, "siblings": siblings}).encode())
            return
        name = path.partition(f"/{REPOSITORY}/resolve/{'0' * 40}/")[2]
        if name not in hub.files:
            self.send_error(404)
            return
        body = hub.files[name]
        etag = sha(body)
        if name == hub.wrong:
            body = body[:-1] + bytes([body[-1] ^ 1])
        first = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")[0])
        if self.command == "GET":
            hub.requests.append(f"{name} from {first}")
        cut = hub.cut if self.command == "GET" and name.endswith("model.onnx") else 0
        self.send_response(206 if first else 200)
        for key, value in (("ETag", f'"{etag}"'), ("X-Repo-Commit", "0" * 40), ("Content-Length", len(body) - first)):
            self.send_header(key, str(value))
        if first:
            self.send_header("Content-Range", f"bytes {first}-{len(body) - 1}/{len(body)}")
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body[first : first + cut] if cut else body[first:])
            if cut:
                hub.cut = 0
                self.close_connection = True

    def _send(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)


def sha(body: bytes) -> str:
    """The checksum that the hub states."""
    return hashlib.sha256(body).hexdigest()


@pytest.fixture
def hub(immich: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub that has the pair as Immich publishes it."""
    server = Hub(immich)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    monkeypatch.setattr(huggingface_hub.constants, "DOWNLOAD_CHUNK_SIZE", 4096)  # it keeps whole chunks of 10 MB
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("architecture", ["tiny-vit"], indirect=True)
@pytest.mark.usefixtures("architecture")
class TestHub:
    """With one architecture: what is fetched is the same for all."""

    def test_a_pair_is_fetched_once(self, hub: Hub, pair: Path, tmp_path: Path) -> None:
        """It is the pair that was published; nothing stays but the model."""
        directory = obtain(f"hf:{REPOSITORY}", tmp_path / "models")
        fetched, published = (load_encoder(path, device="cpu") for path in (directory, pair))
        assert fetched.name == "tiny-clip"
        np.testing.assert_array_equal(
            fetched.encode_texts(["a cat"]).vectors, published.encode_texts(["a cat"]).vectors
        )
        assert [path.name for path in (tmp_path / "models").iterdir() if path.name != "downloads"] == [directory.name]
        assert not list((tmp_path / "models" / "downloads").iterdir())
        count = len(hub.requests)
        assert obtain(f"hf:{REPOSITORY}", tmp_path / "models") == directory
        assert len(hub.requests) == count

    @pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
    def test_a_cut_download_is_continued(self, hub: Hub, tmp_path: Path, share: float) -> None:
        """From where it was cut, by itself or by the next run."""
        hub.cut = int(share * len(hub.files["visual/model.onnx"]))
        try:
            obtain(f"hf:{REPOSITORY}", tmp_path / "models")
        except EncodersError as exc:
            assert "run the command again to continue" in str(exc)  # noqa: PT017
            obtain(f"hf:{REPOSITORY}", tmp_path / "models")
        starts = [int(each.rpartition(" ")[2]) for each in hub.requests if each.startswith("visual/model.onnx")]
        assert starts[0] == 0
        assert 0 < starts[-1] < len(hub.files["visual/model.onnx"])
        assert list((tmp_path / "models").glob("somebody-tiny-clip-*/model.json"))

    def test_a_wrong_file_is_refused(self, hub: Hub, tmp_path: Path) -> None:
        """And removed, so that the next run fetches it anew."""
        hub.wrong = "textual/model.onnx"
        with pytest.raises(EncodersError, match=r"textual/model\.onnx of somebody/tiny-clip came damaged"):
            obtain(f"hf:{REPOSITORY}", tmp_path / "models")
        assert not list((tmp_path / "models").glob("*/model.json"))
        hub.wrong = ""
        obtain(f"hf:{REPOSITORY}", tmp_path / "models")

    def test_a_repository_without_a_pair_is_refused(self, hub: Hub, tmp_path: Path) -> None:
        """The message says what is missing."""
        del hub.files["visual/model.onnx"]
        with pytest.raises(EncodersError, match=r"holds no pair in ONNX"):
            obtain(f"hf:{REPOSITORY}", tmp_path / "models")

    def test_a_hub_that_is_not_there_is_named(self, hub: Hub, tmp_path: Path) -> None:
        """With what to fetch by hand, and where to put it."""
        hub.shutdown()
        hub.server_close()
        with pytest.raises(EncodersError, match=rf"fetch the files of {hub.url}/{REPOSITORY} by hand into ") as raised:
            obtain(f"hf:{REPOSITORY}", tmp_path / "models")
        assert "crosslook models add onnx:" in str(raised.value)
        with pytest.raises(EncodersError, match="write hf:OWNER/REPOSITORY"):
            obtain("hf:nothing", tmp_path / "models")
