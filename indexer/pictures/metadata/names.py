"""Dates in the names that phones, cameras, screenshots and messengers give to files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import PurePath

from .dates import Time, moment, parse_time

FIRST_DIGITAL_YEAR = 1990
"""Earliest year of a date written without separators: `19201080` is a size, not a day in 1920."""

_SEPARATED = re.compile(r"(?<!\d)(?<!\d[.-])(?P<year>\d{4})([-._ ])(?P<month>\d\d)\2(?P<day>\d\d)(?!\d)")  # 2024-01-31
_EAST_ASIAN = re.compile(r"(?<!\d)(?P<year>\d{4})[年년] ?(?P<month>\d{1,2})[月월] ?(?P<day>\d{1,2})[日일]")
_YEAR_LAST = re.compile(r"(?<!\d)(?<!\d[.-])(\d\d)([-.])(\d\d)\2(\d{4})(?![\d.-])")  # 31-01-2024
_COMPACT = re.compile(
    r"(?:(?<![0-9A-Za-z])|(?<=img)|(?<=vid)|(?<=pano)|(?<=burst)|(?<=scan)|(?<=photo)|(?<=screenshot))"
    r"(?P<year>\d{4})(?P<month>\d\d)(?P<day>\d\d)(?=\d{6}(?:\d{2,3})?(?!\d)|(?![0-9A-Za-z])|T\d{6})",
    re.IGNORECASE,
)  # 20240131, 20240131123456, with hundredths or milliseconds
_COMPACT_TIME = re.compile(r"[-_ T]{0,3}(\d\d)(\d\d)(\d\d)(?:\d{2,3})?(?![0-9])", re.IGNORECASE)
_SEPARATED_TIME = re.compile(
    r"(?:[-_ ,.T]{1,3}|[ _,]+(?:[^\W\d]+\.?[ _]){1,2})"  # also " at ", " um ", " a las "
    r"(?P<time>\d{1,2}([-_. :h])\d\d(?:[-_. :m]\d\d)?(?!\d)(?:\s?[ap]\.?m)?)",
    re.IGNORECASE,
)
_EPOCH = re.compile(r"(?:(?:fb_img|fb_vid|wx_camera|img|image|photo)_?|mmexport)?(1\d{12})(?!\d).{0,8}", re.IGNORECASE)


def date_from_name(name: str) -> str | None:
    """Return the date in a file's name as ISO 8601, with the time if it is there; None for a name without one.

    The time is taken as it stands; the names of Pixel phones have it in UTC. Milliseconds since 1970 give a date alone,
    in UTC, because they do not say where the picture was taken.
    """
    stem = PurePath(name.replace("\\", "/")).stem[:255]
    return next((found for found in _dates(stem) if found is not None), None)


def _dates(stem: str) -> Iterator[str | None]:
    for pattern in (_SEPARATED, _EAST_ASIAN, _COMPACT):
        for found in pattern.finditer(stem):
            year = int(found["year"])
            if pattern is not _COMPACT or year >= FIRST_DIGITAL_YEAR:
                yield moment(year, int(found["month"]), int(found["day"]), _time(stem[found.end() :]))
    for found in _YEAR_LAST.finditer(stem):
        first, second = int(found[1]), int(found[3])
        if first > 12 or found[2] == "." or first == second:  # 01-02-2024 is a day in January or in February
            yield moment(int(found[4]), second, first, _time(stem[found.end() :]))
        elif second > 12:
            yield moment(int(found[4]), first, second, _time(stem[found.end() :]))
    if (epoch := _EPOCH.fullmatch(stem)) is not None:
        utc = datetime.fromtimestamp(int(epoch[1]) / 1000, UTC)
        yield moment(utc.year, utc.month, utc.day, None)


def _time(text: str) -> Time | None:
    """The time that follows a date."""
    if (found := _COMPACT_TIME.match(text)) is not None:
        return parse_time(":".join(found.groups()))
    if (found := _SEPARATED_TIME.match(text)) is not None:
        return parse_time(re.sub(r"(?<=\d)\D(?=\d)", ":", found["time"]))
    return None
