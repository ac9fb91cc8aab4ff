"""Reading untrusted files."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from indexer.errors import DecodeError
from indexer.pictures import safe_read
from indexer.pictures.safe_read import MemoryBudget, read_file


def test_memory_of_a_file_is_reserved_and_released(tmp_path: Path) -> None:
    """Its bytes count against the budget only within the block."""
    path = tmp_path / "a"
    path.write_bytes(b"content")
    free = safe_read._IN_MEMORY.left
    with read_file(path) as data:
        assert data == b"content"
        assert safe_read._IN_MEMORY.left == free - 7
    assert safe_read._IN_MEMORY.left == free


def terabyte(path: Path) -> None:
    """Create a sparse file of a terabyte."""
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
def test_unreadable_files_are_rejected_at_once(make: Callable[[Path], None], words: str, tmp_path: Path) -> None:
    """A pipe would block, a device never ends, and a sparse terabyte takes no space on the disk."""
    make(tmp_path / "x")
    with pytest.raises(DecodeError, match=words), read_file(tmp_path / "x"):
        pass


def test_a_file_that_grows_is_read_to_its_size_at_opening(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes appended after opening are not read."""
    path = tmp_path / "a"
    path.write_bytes(b"first")
    fstat = os.fstat

    def grow(descriptor: int) -> os.stat_result:
        status = fstat(descriptor)
        with path.open("ab") as file:
            file.write(b" and more")
        return status

    monkeypatch.setattr("indexer.pictures.safe_read.os.fstat", grow)
    with read_file(path) as data:
        assert data == b"first"


def test_an_error_within_the_block_is_not_translated(tmp_path: Path) -> None:
    """An OSError of the caller is not reported as a read error, and the memory is released."""
    (tmp_path / "a").write_bytes(b"content")
    with pytest.raises(OSError, match="elsewhere"), read_file(tmp_path / "a"):
        raise OSError("elsewhere")
    assert safe_read._IN_MEMORY.left == safe_read._IN_MEMORY.total


def test_a_budget_is_never_exceeded_and_never_deadlocks() -> None:
    """Threads that together need more than the total take turns; a request above the total is capped."""
    budget, used, peak = MemoryBudget(100), 0, 0
    lock = threading.Lock()

    def work(amount: int) -> None:
        nonlocal used, peak
        for _ in range(50):
            with budget.reserve(amount):
                with lock:
                    used += min(amount, 100)
                    peak = max(peak, used)
                with lock:
                    used -= min(amount, 100)

    threads = [threading.Thread(target=work, args=(amount,)) for amount in (10, 30, 60, 90, 100, 250)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 0 < peak <= 100
    assert budget.left == 100


def test_small_requests_do_not_overtake_a_large_one() -> None:
    """Otherwise a large picture could wait as long as small ones arrive."""
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
