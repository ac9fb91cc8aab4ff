"""API keys, stored and from the command line."""

from __future__ import annotations

import hmac
import json
import os
import re
import stat
from pathlib import Path

import pytest

from api.errors import InputError, KeysError
from api.server.gate.keys import FILE, LOCK, KeyStore
from indexer import Catalog
from indexer.errors import IndexBusyError
from indexer.ingest.lock import file_lock
from tests.api.conftest import Run


@pytest.fixture
def keys(tmp_path: Path) -> KeyStore:
    """An empty store."""
    return KeyStore(tmp_path)


def test_a_key_is_found_by_itself_alone(keys: KeyStore) -> None:
    """Neither a similar secret nor the stored digest finds a key."""
    key, secret = keys.add("phone", ["read"])
    assert re.fullmatch(r"cl_[A-Za-z0-9_-]{43}", secret)
    assert keys.find(secret) == key
    for other in ("", "cl_", secret[:-1], secret + "A", secret.swapcase(), key.sha256, key.id, "phone", "\udcff", "ÿ"):
        assert keys.find(other) is None


def test_the_file_holds_digests_for_its_owner_alone(keys: KeyStore, tmp_path: Path) -> None:
    """The file holds no secret, only its owner can read it, and only the lock file is left beside it."""
    _, secret = keys.add("phone", ["write", "read"])
    assert secret not in (tmp_path / FILE).read_text()
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600
    assert {path.name for path in tmp_path.iterdir()} == {FILE, LOCK}


def test_the_scope_write_includes_read(keys: KeyStore) -> None:
    """The scope `write` includes `read`."""
    reader, writer = keys.add("reader", ["read"])[0], keys.add("writer", ["write"])[0]
    assert (reader.allows("read"), reader.allows("write")) == (True, False)
    assert (writer.allows("read"), writer.allows("write")) == (True, True)


def test_a_change_by_another_process_is_seen_at_once(keys: KeyStore, tmp_path: Path) -> None:
    """An open store sees added and revoked keys without a restart."""
    elsewhere = KeyStore(tmp_path)
    assert elsewhere.all() == ()
    key, secret = keys.add("phone", ["read"])
    assert elsewhere.find(secret) == key
    keys.revoke(key.id)
    assert elsewhere.find(secret) is None
    keys.add("other", ["read"])
    (tmp_path / FILE).unlink()
    assert elsewhere.all() == ()


def test_the_key_file_is_read_only_after_a_change(
    keys: KeyStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unchanged file is not read again."""
    _, secret = keys.add("phone", ["read"])
    assert keys.find(secret) is not None
    monkeypatch.setattr(Path, "read_bytes", lambda _: pytest.fail("read again"))
    assert keys.find(secret) is not None
    os.utime(tmp_path / FILE, ns=(1, 1))
    with pytest.raises(pytest.fail.Exception):
        keys.find(secret)


def test_every_stored_key_is_compared_in_constant_time(keys: KeyStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever key matches, all digests are compared."""
    secrets = [keys.add(f"key {i}", ["read"])[1] for i in range(3)]
    stored = [key.sha256 for key in keys.all()]
    compared: list[str] = []
    compare = hmac.compare_digest

    def noting(a: str, b: str) -> bool:
        compared.append(a)
        return compare(a, b)

    monkeypatch.setattr("api.server.gate.keys.hmac.compare_digest", noting)
    for secret in (*secrets, "nonsense"):
        compared.clear()
        keys.find(secret)
        assert compared == stored


KEY = {"id": "0" * 8, "name": "x", "sha256": "0" * 64, "scopes": ["read"], "created": "2026-01-01T00:00:00Z"}
WHOLE = json.dumps({"version": 1, "keys": [KEY]})


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\xfe\x00",
        WHOLE[:-20].encode(),
        WHOLE.replace('"version": 1', '"version": 2').encode(),
        WHOLE.replace('["read"]', "[]").encode(),
        WHOLE.replace('"read"', '"admin"').encode(),
        WHOLE.replace('"sha256"', '"sha"').encode(),
        b"[" * 100_000,
    ],
)
def test_a_damaged_file_refuses_everything(keys: KeyStore, tmp_path: Path, content: bytes) -> None:
    """A damaged file refuses every key and is not overwritten; once restored, it works again."""
    _, secret = keys.add("phone", ["read"])
    assert keys.find(secret) is not None
    content_before = (tmp_path / FILE).read_bytes()
    (tmp_path / FILE).write_bytes(content)
    for attempt in (
        lambda: keys.find(secret),
        lambda: keys.find(secret),
        keys.all,
        lambda: keys.add("y", ["read"]),
        lambda: keys.revoke("phone"),
    ):
        with pytest.raises(KeysError, match="is damaged, so every key is refused"):
            attempt()
    assert (tmp_path / FILE).read_bytes() == content
    (tmp_path / FILE).write_bytes(content_before)
    assert keys.find(secret) is not None


def test_a_file_that_cannot_be_read_refuses_everything(keys: KeyStore, tmp_path: Path) -> None:
    """A folder in place of the file is an error."""
    (tmp_path / FILE).mkdir()
    with pytest.raises(KeysError, match="cannot be read"):
        keys.find("cl_")


def test_a_write_that_fails_leaves_the_keys_as_they_were(
    keys: KeyStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failed write, as on a full disk, leaves the old file and no partial one."""
    _, secret = keys.add("phone", ["read"])

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(KeysError, match="cannot be written: No space left"):
        keys.add("second", ["read"])
    assert keys.find(secret) is not None
    assert {path.name for path in tmp_path.iterdir()} == {FILE, LOCK}


def test_two_writers_do_not_lose_each_others_keys(keys: KeyStore, tmp_path: Path) -> None:
    """While one process changes the keys, another is refused."""
    with file_lock(tmp_path, LOCK, "having its keys changed"):
        for attempt in (lambda: keys.add("phone", ["read"]), lambda: keys.revoke("phone")):
            with pytest.raises(IndexBusyError, match="is having its keys changed by process"):
                attempt()
    assert keys.all() == ()


@pytest.mark.parametrize("name", ["", "   ", "a\nb", "\x1b[31m", "x" * 65])
def test_invalid_key_names_are_refused(keys: KeyStore, name: str) -> None:
    """Key names must be printable, because they are shown on a terminal."""
    with pytest.raises(InputError, match="invalid key name"):
        keys.add(name, ["read"])


# --- the command line ---


def test_keys_are_added_listed_and_revoked(run: Run, indexed: Catalog) -> None:
    """`add` prints only the secret on stdout, for scripts; `list` shows no secret."""
    where = ("--index", indexed.directory)
    assert "Create one with: crosslook keys add NAME" in run("keys", "list", *where).err
    plain = run("keys", "add", "phone", *where)
    assert re.fullmatch(r"cl_[\w-]{43}\n", plain.out)
    assert "Key phone (read). Save it now; it is not shown again" in plain.err
    added = run("keys", "add", "robot", "--scope", "write", "--scope", "read", "--json", *where).json
    assert set(added) == {"id", "name", "scopes", "created", "key"}
    assert added["scopes"] == ["read", "write"]
    listed = run("keys", "list", "--json", *where)
    assert [key["name"] for key in listed.json["keys"]] == ["phone", "robot"]
    table = run("keys", "list", *where).out
    for output in (listed.out, table):
        assert added["id"] in output
        assert added["key"] not in output
        assert "sha256" not in output
    assert run("keys", "revoke", added["id"], "--json", *where).json["revoked"]["name"] == "robot"
    assert "Revoked key phone" in run("keys", "revoke", "phone", *where).err
    assert KeyStore(indexed.directory).all() == ()


def test_errors_of_the_keys_command_are_one_sentence(run: Run, indexed: Catalog, tmp_path: Path) -> None:
    """A taken name, an unknown key, a missing index and an unknown scope are one-line errors."""
    where = ("--index", indexed.directory)
    added = run("keys", "add", "phone", "--json", *where).json
    for name in ("phone", added["id"]):
        assert f"a key named {name} exists already" in run("keys", "add", name, *where).err
    gone = run("keys", "revoke", "tablet", *where)
    assert (gone.status, gone.out) == (1, "")
    assert "no key has the name or id tablet; existing keys: phone" in gone.err
    assert "make one with: crosslook index" in run("keys", "add", "x", "--index", tmp_path / "none").err
    assert not (tmp_path / "none").exists()
    assert run("keys", "add", "x", "--scope", "admin", *where).status == 2
    (indexed.directory / FILE).write_text("{")
    for command in (("list",), ("add", "x"), ("revoke", "phone")):
        done = run("keys", *command, *where)
        assert (done.status, done.out) == (1, "")
        assert "is damaged, so every key is refused; restore it" in done.err


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "photos.example"])  # noqa: S104  refused
def test_a_server_that_others_can_reach_does_not_start_without_a_key(run: Run, indexed: Catalog, host: str) -> None:
    """The error says how to create a key, before anything is loaded."""
    done = run("serve", "--host", host, "--index", indexed.directory)
    assert done.status == 1
    assert (
        f"other machines can reach {host}, and there is no API key yet; make one with: crosslook keys add" in done.err
    )


def test_a_server_with_a_damaged_file_of_keys_does_not_start(run: Run, indexed: Catalog) -> None:
    """A damaged key file is an error at startup."""
    (indexed.directory / FILE).write_text("{")
    done = run("serve", "--host", "0.0.0.0", "--index", indexed.directory)  # noqa: S104  refused
    assert (done.status, "is damaged, so every key is refused" in done.err) == (1, True)


def test_a_local_server_that_is_told_to_ask_for_keys_needs_one(
    run: Run, indexed: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With `require_keys` and no key, the server does not start."""
    monkeypatch.setenv("CROSSLOOK_REQUIRE_KEYS", "true")
    done = run("serve", "--port", "0", "--index", indexed.directory)
    assert (done.status, "require_keys is set, and there is no API key yet" in done.err) == (1, True)


def test_a_key_in_the_environment_has_no_effect(run: Run, indexed: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment variable of earlier versions has no effect."""
    monkeypatch.setenv("CROSSLOOK_API_KEY", "x" * 32)
    assert run("serve", "--host", "0.0.0.0", "--index", indexed.directory).status == 1  # noqa: S104  refused
