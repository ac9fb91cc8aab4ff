"""The annotated tree of README.md: what it names exists, and no package of the four rooms is missing from it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.test_packages import ROOMS, ROOT

TREE = (ROOT / "README.md").read_text(encoding="utf-8").partition("## Where things are")[2].split("```")[1]


def entries() -> dict[str, str]:
    """Each path of the tree, by the indentation of its line, and what the tree says about it."""
    paths: dict[str, str] = {}
    parents: list[str] = []
    for line in TREE.strip("\n").splitlines():
        if (entry := re.match(r"((?:  ){0,3})(\S+) {2,}(\S.*)", line)) is None:
            paths[next(reversed(paths))] += f" {line.strip()}"  # an annotation that goes on
            continue
        indent, name, annotation = entry.groups()
        del parents[len(indent) // 2 :]
        parents.append(name)
        paths["".join(parents)] = annotation
    return paths


@pytest.mark.parametrize(("path", "annotation"), entries().items())
def test_what_the_tree_names_exists(path: str, annotation: str) -> None:
    """The path itself, and every file that its annotation names."""
    assert (ROOT / path).is_dir() if path.endswith("/") else (ROOT / path).is_file()
    named = re.findall(r"[\w/]+\.py\b|\b\w+/(?=\W)", annotation)
    assert [name for name in named if not (ROOT / path / name).exists()] == []


def test_every_package_of_the_rooms_is_in_the_tree() -> None:
    """A new wing gets a line of its own."""
    packages = {package.parent for room in ROOMS for package in (ROOT / room).rglob("__init__.py")}
    assert packages <= {Path(ROOT / path) for path in entries()}
