"""Root ids, and paths in messages to clients."""

from __future__ import annotations

from pathlib import Path

import pytest

from api.server.work.roots import Root, locate, redact_paths, roots_of

ROOTS = [Root.at(Path(path)) for path in ("/srv/photos", "/srv/photos/old", "/srv/caf\udce9")]


def test_the_id_of_a_root_depends_only_on_its_path() -> None:
    """Folders of the same name have different ids, which do not depend on order or on other roots."""
    both = roots_of([Path("/a/photos"), Path("/b/photos")])
    assert len(both) == 2
    assert {root.name for root in both.values()} == {"photos"}
    assert list(roots_of([Path("/b/photos")])) == [Root.at(Path("/b/photos")).id]
    assert all(len(number) == 12 and "/" not in number for number in both)


@pytest.mark.parametrize(
    ("path", "root", "rest"),
    [
        ("/srv/photos/a/b.jpg", 0, "a/b.jpg"),
        ("/srv/photos/old/b.jpg", 1, "b.jpg"),
        ("/srv/photos/older/b.jpg", 0, "older/b.jpg"),
        ("/srv/caf?/b.jpg", 2, "b.jpg"),
        ("/srv/photos2/b.jpg", None, "b.jpg"),
    ],
)
def test_a_file_is_located_in_its_innermost_root(path: str, root: int | None, rest: str) -> None:
    """A file is located in its innermost root; outside all roots it has only its name."""
    assert locate(path, ROOTS) == (None if root is None else ROOTS[root].id, rest)


def test_messages_lose_their_paths() -> None:
    """Paths are replaced by names, and the messages remain readable."""
    index = Path("/var/lib/crosslook")
    for message, expected in (
        ("/var/lib/crosslook is being indexed by process 7", "the index is being indexed by process 7"),
        ("the index in /var/lib/crosslook is read-only", "the index is read-only"),
        ("cannot write /var/lib/crosslook/catalog.db: full", "cannot write the index/catalog.db: full"),
        ("no such file or folder: /srv/photos/old", "no such file or folder: old"),
        ("no image files in /srv/photos, /srv/photos/old", "no image files in photos, old"),
    ):
        assert redact_paths(message, index, ROOTS) == expected


def test_the_root_folder_has_no_name_to_replace_paths_with() -> None:
    """The root `/` has no name, so messages keep their paths."""
    assert redact_paths("/a/b.jpg: bad", Path("/index"), [Root.at(Path("/"))]) == "/a/b.jpg: bad"
    assert locate("/a/b.jpg", [Root.at(Path("/"))])[1] == "a/b.jpg"
