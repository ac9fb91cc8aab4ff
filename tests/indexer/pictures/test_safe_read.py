"""Reading files that may be anything."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from indexer.errors import DecodeError
from indexer.pictures import safe_read
from indexer.pictures.safe_read import MemoryBudget, read_file


def test_a_file_is_read_whole_and_given_back(tmp_path: Path) -> None:
    """Its bytes count as memory in use only for as long as they are held."""
    path = tmp_path / "a"
    path.write_bytes(b"content")
    free = safe_read._IN_MEMORY.left
    with read_file(path) as data:
        assert data == b"content"
        assert safe_read._IN_MEMORY.left == free - 7
    assert safe_read._IN_MEMORY.left == free


def terabyte(path: Path) -> None:
    """A file of nothing but a size."""
    path.touch()
    os.truncate(path, 2**40)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (os.mkfifo, "not a regular file but a pipe"),
        (lambda path: path.symlink_to("/dev/zero"), "not a regular file but a device"),
        (Path.mkdir, "cannot be read: Is a directory"),
        (lambda path: path.symlink_to(path), "Too many levels of symbolic links"),
        (lambda _: None, "No such file"),
        (Path.touch, "the file is empty"),
        (terabyte, "bytes\\); the limit is 1,073,741,824"),
    ],
    ids=["pipe", "device", "folder", "loop", "nothing", "empty", "terabyte"],
)
def test_what_is_no_file_to_read_is_refused_at_once(make: Callable[[Path], None], words: str, tmp_path: Path) -> None:
    """A pipe would be waited for, a device never ends, and a terabyte of nothing takes no room on the disk."""
    make(tmp_path / "x")
    with pytest.raises(DecodeError, match=words), read_file(tmp_path / "x"):
        pass


def test_a_file_that_grows_while_it_is_read_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No more is read than the file held when it was opened."""
    path = tmp_path / "a"
    path.write_bytes(b"first")
    look = os.fstat

    def grow(descriptor: int) -> os.stat_result:
        status = look(descriptor)
        with path.open("ab") as more:
            more.write(b" and more")
        return status

    monkeypatch.setattr("indexer.pictures.safe_read.os.fstat", grow)
    with read_file(path) as data:
        assert data == b"first"


def test_an_error_of_the_reader_stays_its_own(tmp_path: Path) -> None:
    """What goes wrong with the bytes is not said to be wrong with the file, and gives back the memory."""
    (tmp_path / "a").write_bytes(b"content")
    with pytest.raises(OSError, match="elsewhere"), read_file(tmp_path / "a"):
        raise OSError("elsewhere")
    assert safe_read._IN_MEMORY.left == safe_read._IN_MEMORY.total


def test_a_budget_is_never_overdrawn_and_no_one_waits_for_ever() -> None:
    """Many threads that want more than there is take turns; one that wants more than all gets all."""
    budget, used, most = MemoryBudget(100), 0, 0
    lock = threading.Lock()

    def work(amount: int) -> None:
        nonlocal used, most
        for _ in range(50):
            with budget.reserve(amount):
                with lock:
                    used += min(amount, 100)
                    most = max(most, used)
                with lock:
                    used -= min(amount, 100)

    threads = [threading.Thread(target=work, args=(amount,)) for amount in (10, 30, 60, 90, 100, 250)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 0 < most <= 100
    assert budget.left == 100


def test_who_wants_much_is_not_overtaken_by_those_who_want_little() -> None:
    """Else a large picture would wait for as long as small ones come."""
    budget, order = MemoryBudget(100), []

    def work(name: str, amount: int) -> None:
        with budget.reserve(amount):
            order.append(name)

    with budget.reserve(50):
        large = threading.Thread(target=work, args=("large", 80))
        large.start()
        while not budget._turn.locked():
            pass
        small = threading.Thread(target=work, args=("small", 10))
        small.start()
    large.join()
    small.join()
    assert order == ["large", "small"]
