"""Sort the entries of a folder into images, folders, sidecars, and what is left out."""

from __future__ import annotations

import os
from collections.abc import Iterable

from ..pictures.formats import RAW_SUFFIXES, SUFFIXES
from .rules import NO_MEDIA, NOMEDIA, RAW_BESIDE, UNREAD_KINDS, FolderRules, Reason

RAW_COMPANIONS = (".jpg", ".jpeg", ".jpe", ".jif", ".jfif", ".heic", ".heif", ".hif", ".avif")
"""Suffixes of the pictures that cameras and phones write beside a raw file."""


class Listing:
    """The entries of one folder. Links count as what they lead to.

    - `images` are files by their suffix, `folders` without and `links` with a link that leads to them.
    - `texts` and `xmps` are possible sidecars by their name without suffix.
    - `excluded` are the paths of images and folders that are left out; the reason is None if a path is not counted.
    - `counted` are the reasons that concern no path in a catalog.
    """

    def __init__(self, entries: Iterable[os.DirEntry[str]], rules: FolderRules) -> None:
        self.images: list[os.DirEntry[str]] = []
        self.folders: list[str] = []
        self.links: list[str] = []
        self.texts: dict[str, os.DirEntry[str]] = {}
        self.xmps: dict[str, os.DirEntry[str]] = {}
        self.excluded: list[tuple[str, Reason | None]] = []
        self.counted: list[Reason] = []
        entries = list(entries)
        if any(entry.name == NO_MEDIA for entry in entries):
            self.excluded += [(entry.path, None) for entry in entries]
            self.counted.append(NOMEDIA)
            for entry in entries:  # of a file that is given by itself
                self._is_sidecar(entry)
        else:
            self._sort(entries, rules)

    def _sort(self, entries: list[os.DirEntry[str]], rules: FolderRules) -> None:
        raws: list[os.DirEntry[str]] = []
        for entry in entries:
            is_link = entry.is_symlink()
            is_folder = os.path.isdir(entry.path) if is_link else entry.is_dir()
            reason = rules.reason(entry.path, entry.name, folder=is_folder)
            suffix = entry.name[entry.name.rfind(".") :].lower()
            if reason is not None:
                if is_folder or suffix in SUFFIXES or suffix in RAW_SUFFIXES:
                    self.excluded.append((entry.path, reason))
            elif is_folder:
                (self.links if is_link else self.folders).append(entry.path)
            elif suffix in RAW_SUFFIXES:
                raws.append(entry)
            elif suffix in SUFFIXES:
                self.images.append(entry)
            elif not self._is_sidecar(entry) and suffix in UNREAD_KINDS:
                self.counted.append(Reason("kinds", suffix))
        if raws:
            self._add_raws(raws)

    def _add_raws(self, raws: list[os.DirEntry[str]]) -> None:
        """Leave out the raw files beside a JPEG or HEIC of the same name; list the others if they are read."""
        split = (os.path.splitext(entry.name) for entry in self.images)
        companions = {stem.lower() for stem, suffix in split if suffix.lower() in RAW_COMPANIONS}
        for entry in raws:
            stem, suffix = os.path.splitext(entry.name.lower())
            if stem in companions:
                self.excluded.append((entry.path, RAW_BESIDE))
            elif suffix in SUFFIXES:
                self.images.append(entry)
            else:
                self.counted.append(Reason("kinds", suffix))

    def _is_sidecar(self, entry: os.DirEntry[str]) -> bool:
        """Whether a file may be a sidecar; keep it if so. Of several spellings of `.xmp`, the first by name counts."""
        name, suffix = entry.name[:-4], entry.name[-4:]
        if suffix == ".txt":
            self.texts[name] = entry
        elif suffix.lower() == ".xmp":
            first = self.xmps.get(name, entry)
            self.xmps[name] = min(first, entry, key=lambda one: one.name)
        return suffix == ".txt" or suffix.lower() == ".xmp"
