"""What a walk leaves out: thumbnails, bins and caches of other programs, hidden files, and what people exclude.

People exclude by patterns: with `crosslook index --exclude`, which the catalog remembers with the folder, and in files
named `.crosslookignore`, each for its folder and all below. Both have the syntax and the precedence of `.gitignore`
files. `!NAME` lets in what is left out by default.
"""

from __future__ import annotations

import os
import re
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, NamedTuple

from ..errors import PatternError

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

IGNORE_FILE = ".crosslookignore"
NO_MEDIA = ".nomedia"
"""An empty file by which Android's programs keep a folder, and all below, out of galleries."""

DEFAULT_NAMES = (
    # Synology DSM: thumbnails, bins, snapshots and work folders; TerraMaster has #recycle as well
    *("@eaDir", "#recycle", "#snapshot", "@sharesnap", "@tmp", "@apptemp", ".SynologyWorkingDirectory"),
    # QNAP QTS
    *(".@__thumb", "@Recycle", "@Recently-Snapshot", "@Transcode", ".@upload_cache"),
    # Western Digital, Buffalo, NetApp, Samba and Unraid
    *(".wdmc", ".wdcache", "trashbox", "~snapshot", ".snapshot", ".recycle", ".Recycle.Bin"),
    # Nextcloud and ownCloud: bin, old versions, previews
    *("files_trashbin", "files_versions", "appdata_*"),
    # Windows
    *("$RECYCLE.BIN", "RECYCLER", "RECYCLED", "System Volume Information"),
    # macOS: bins, Spotlight, what its archives hold beside the files, pictures scaled for an iPod
    *(".Trashes", ".Trash", ".Spotlight-V100", ".fseventsd", ".DocumentRevisions-V100", ".TemporaryItems"),
    *("__MACOSX", "iPod Photo Cache"),
    # Linux desktops
    *(".Trash-*", ".thumbnails", "lost+found"),
    # Lightroom previews
    "*.lrdata",
    # darktable's thumbnails, digiKam's bin
    *("mipmaps-*.d", ".dtrash"),
)
"""Names of folders that are left out, in the spelling of their programs; compared in lower case, `*` is any text."""

LIBRARIES = (".photoslibrary", ".photolibrary", ".migratedphotolibrary", ".aplibrary")
"""Suffixes of the libraries of Apple's Photos, iPhoto and Aperture: folders of which only `ORIGINALS` are pictures."""

ORIGINALS = ("originals", "masters")

UNREAD_KINDS = frozenset(
    {
        # videos
        *(".mov", ".mp4", ".m4v", ".avi", ".mkv", ".webm", ".mts", ".m2ts", ".mpg", ".mpeg", ".wmv", ".3gp", ".3g2"),
        *(".flv", ".ogv", ".vob", ".insv", ".lrv"),
        # pictures
        *(".jxl", ".jp2", ".j2k", ".jpf", ".jpx", ".jxr", ".wdp", ".hdp", ".exr", ".hdr", ".tga", ".pcx", ".dds"),
        *(".ppm", ".pgm", ".pbm", ".pnm", ".ico", ".icns", ".insp"),
        # raw files that are not in `RAW_SUFFIXES`
        *(".raw", ".gpr", ".k25", ".cap", ".mdc"),
        # drawings and documents of picture programs
        *(".psb", ".xcf", ".kra", ".clip", ".afphoto", ".svg", ".svgz", ".eps", ".ai", ".wmf", ".emf", ".pdf"),
    }
)
"""Suffixes of pictures and videos that may not be read. A walk counts those; others are of no interest."""

MAX_PATTERNS = 1_000
"""Maximum number of patterns of a folder, from the command line or from its ignore file."""

MAX_LENGTH = 1_000
"""Maximum characters of a pattern."""

MAX_STARS = 4
"""Maximum number of `*` in one name of a pattern, and of `**` between names. More would take hours to match: a regular
expression tries every way to divide a name among them."""

SHOWN = 16
"""Names, patterns or kinds that are listed in a phrase; the structured report has all."""

_FOLDS_CASE = sys.platform in ("win32", "darwin")
_EXACT = {name.lower(): name for name in DEFAULT_NAMES if "*" not in name}
_GLOBS = [name for name in DEFAULT_NAMES if "*" in name]


class Reason(NamedTuple):
    """Why something is left out: the name of a count of `LeftOut`, and where there are several, which of them."""

    total: str
    key: str = ""


HIDDEN, NOMEDIA, RAW_BESIDE = Reason("hidden"), Reason("nomedia"), Reason("raw")


@dataclass
class LeftOut:
    """What a walk left out. Folders are counted, not what is in them, because they are not entered.

    - `folders` with a default name, such as `@eaDir`, by that name.
    - `patterns`: folders and picture files that people excluded, by pattern.
    - `nomedia`: folders with a `.nomedia` file.
    - `hidden`: folders and picture files whose name begins with a dot.
    - `links`: other names of files and folders that are listed already.
    - `raw`: raw files beside a JPEG or HEIC of the same name.
    - `kinds`: pictures and videos of kinds that are not read, by suffix.
    """

    folders: dict[str, int] = field(default_factory=dict)
    patterns: dict[str, int] = field(default_factory=dict)
    nomedia: int = 0
    hidden: int = 0
    links: int = 0
    raw: int = 0
    kinds: dict[str, int] = field(default_factory=dict)

    def add(self, reason: Reason) -> None:
        """Count one more."""
        counts = getattr(self, reason.total)
        if isinstance(counts, dict):
            counts[reason.key] = counts.get(reason.key, 0) + 1
        else:
            setattr(self, reason.total, counts + 1)


def describe(left_out: LeftOut) -> str:
    """Describe what was left out in one phrase; empty if nothing was."""
    parts: dict[str, int | dict[str, int]] = {
        "folders of other programs": left_out.folders,
        "by pattern": left_out.patterns,
        "by .nomedia": left_out.nomedia,
        "hidden": left_out.hidden,
        "RAW beside a JPEG": left_out.raw,
        "other names of one file or folder": left_out.links,
        "kinds that are not read": left_out.kinds,
    }
    return ", ".join(f"{what} {_counts(count)}" for what, count in parts.items() if count)


def _counts(count: int | dict[str, int]) -> str:
    """A count, or in brackets the most frequent keys with theirs."""
    if isinstance(count, int):
        return f"{count:,}"
    largest = sorted(count.items(), key=lambda item: (-item[1], item[0]))
    more = ", …" if len(largest) > SHOWN else ""
    return "(" + ", ".join(f"{key} {number:,}" for key, number in largest[:SHOWN]) + more + ")"


class Patterns:
    """Patterns that hold in a folder and below."""

    def __init__(self, folder: str, texts: Iterable[str]) -> None:
        """Compile patterns.

        Raises:
            PatternError: a pattern cannot be used.
        """
        from pathspec import GitIgnoreSpec  # noqa: PLC0415  needed only where there are patterns
        from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern  # noqa: PLC0415

        self._prefix = folder.rstrip(os.sep) + os.sep
        self._texts = [text for text in texts if text.strip() and not text.startswith("#")]
        if len(self._texts) > MAX_PATTERNS:
            raise PatternError(f"{len(self._texts):,} patterns for {folder} cannot be used; at most {MAX_PATTERNS:,}")
        compiled = []
        for text in self._texts:
            try:
                pattern = GitIgnoreSpecPattern(_comparable(_limited(text)))
            except (ValueError, re.error) as exc:
                shown = text if len(text) <= MAX_LENGTH else text[:40] + "…"
                raise PatternError(f"pattern {shown!r} cannot be used: {exc}") from exc
            if pattern.include is None:
                raise PatternError(f"pattern {text!r} cannot be used: it matches no name")
            compiled.append(pattern)
        self._spec: GitIgnoreSpec = GitIgnoreSpec(compiled)

    def __bool__(self) -> bool:
        return bool(self._texts)

    def match(self, path: str, *, folder: bool) -> tuple[bool, str] | None:
        """Return whether a path is excluded, or let in by `!`, with the pattern; None if no pattern matches."""
        relative = _comparable(path.removeprefix(self._prefix)).replace(os.sep, "/") + "/" * folder
        found = self._spec.check_file(relative)
        if found.include is None or found.index is None:
            return None
        return found.include, self._texts[found.index]


class FolderRules:
    """What is left out of one folder."""

    def __init__(self, folder: str, patterns: Sequence[Patterns], fault: str | None = None) -> None:
        """Make the rules.

        Args:
            folder: its path.
            patterns: those of this folder and above, the outermost first.
            fault: why the rules are not known, so that nothing in the folder may be listed.
        """
        self.patterns, self.fault = patterns, fault
        suffix = os.path.splitext(folder)[1].lower()
        self._library = f"*{suffix}" if suffix in LIBRARIES else None

    def reason(self, path: str, name: str, *, folder: bool) -> Reason | None:
        """Return why an entry of the folder is left out; None if it is not."""
        for patterns in reversed(self.patterns):
            matched = patterns.match(path, folder=folder)
            if matched is not None:
                excluded, text = matched
                return Reason("patterns", text) if excluded else None
        if self._library and not (folder and name.lower() in ORIGINALS):
            return Reason("folders", self._library)
        if folder and (default := default_name(name)) is not None:
            return Reason("folders", default)
        return HIDDEN if name.startswith(".") else None


def default_name(name: str) -> str | None:
    """Return which of `DEFAULT_NAMES` a folder has, if any."""
    lower = name.lower()
    return _EXACT.get(lower) or next((glob for glob in _GLOBS if fnmatchcase(lower, glob.lower())), None)


def typed_patterns(texts: Iterable[str], folder: str) -> list[str]:
    """Patterns as people type them in a shell: `#` is a name, not a comment, and a path below the folder is relative.

    Raises:
        PatternError: a pattern cannot be used.
    """
    prefix = folder.rstrip(os.sep) + os.sep
    patterns = []
    for text in texts:
        if "\n" in text or "\r" in text:
            raise PatternError(f"pattern {text!r} cannot be used: it has more than one line")
        if text.startswith(prefix):
            text = "/" + text.removeprefix(prefix).replace(os.sep, "/")  # noqa: PLW2901  as the folder sees it
        if text.strip():
            patterns.append("\\" + text if text.startswith("#") else text)
    Patterns(folder, patterns)
    return patterns


def _limited(text: str) -> str:
    """Write each run of `*` as one, which means the same except where it is a whole name.

    Raises:
        ValueError: the pattern is too long, or has too many `*`.
    """
    if len(text) > MAX_LENGTH:
        raise ValueError(f"it has {len(text):,} characters; the limit is {MAX_LENGTH:,}")
    names = [
        name if name.strip("! ") == "**" else re.sub(r"(\\.)|\*+", lambda found: found[1] or "*", name)
        for name in text.split("/")
    ]
    if any(re.sub(r"\\.", "", name).count("*") > MAX_STARS for name in names):
        raise ValueError(f"a name in it has more than {MAX_STARS} '*'")
    if sum(name.strip("! ") == "**" for name in names) > MAX_STARS:
        raise ValueError(f"it has more than {MAX_STARS} '**'")
    return "/".join(names)


def _comparable(text: str) -> str:
    """Compose accents, which macOS stores decomposed, and ignore case where the system does."""
    composed = text if text.isascii() else unicodedata.normalize("NFC", text)
    return composed.lower() if _FOLDS_CASE else composed
