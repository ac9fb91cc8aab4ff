"""Dates in metadata, in the forms that exiftool reads.

A date is the local time at the place of the picture, as a clock on the wall showed it: offsets from UTC and fractions
of a second are dropped.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from email.utils import parsedate

EARLIEST = date(1826, 1, 1)
"""The oldest photograph that survives is of 1826 or 1827."""

Time = tuple[int, int, int]
"""Hour, minute, second."""

GRACE = timedelta(days=1)
"""How far in the future a date may be: clocks are set wrong, and the local date can be a day ahead of UTC."""

_CLOCK_ZEROS = datetime(1904, 1, 1), datetime(1970, 1, 1)  # noqa: DTZ001  local time
"""The zeros of Macintosh and Unix clocks. Midnight of 2000-01-01 is a date: for a scan, programs write the year 2000
that way, and the clocks of cameras that were reset to it have moved on when the first picture is taken."""

_ZONE = r"\s*(?:Z|UTC|GMT|DST|[+-]\d\d(?::?\d\d)?)?\s*"
_DATE = re.compile(
    r"\s*(?:(\d{4})[-:/.]\s?(\d{1,2})[-:/.]\s?(\d{1,2})|(\d{4})(\d\d)(\d\d))(?=$|\D|\d{6})"  # 2021-05-04, 20210504
)
_TIME = re.compile(
    r"(?:\s*[T,_]\s*|\s*)(?:(\d{1,2})[-:.h]\s?(\d{1,2})(?:[-:.m]\s?(\d{1,2}))?|(\d\d)(\d\d)(\d\d)?)(?!\d)"
    r"(?:[.,]\d+)?(?:\s*([ap])\.?m\b)?",
    re.IGNORECASE,
)
_PARTIAL = re.compile(rf"\s*(\d{{4}})(?:[-:/.](\d\d))?{_ZONE}")
_MONTH_NAME = re.compile(r"[a-z]{3}", re.IGNORECASE)


def parse_date(text: str) -> str | None:
    """Parse a date as ISO 8601, with the time if there is one; None if it is missing, impossible or a placeholder.

    `2021`, `2021-05`, and zeros for month or day, as scans and archives have, give the first day.
    """
    text = text[:100].replace("\0", " ").strip()
    if not text:
        return None
    if (found := _DATE.match(text)) is not None:
        year, month, day = (int(part) for part in found.groups() if part is not None)
        return moment(year, month or 1, day or 1, parse_time(text[found.end() :]))
    if (found := _PARTIAL.fullmatch(text)) is not None:
        return moment(int(found[1]), int(found[2] or 0) or 1, 1, None)
    if _MONTH_NAME.search(text) and (fields := _spelled_out(text)) is not None:
        return moment(*fields[:3], fields[3:6])
    return None


def moment(year: int, month: int, day: int, time: Time | None) -> str | None:
    """Return a date, or a date and time, as ISO 8601; None if it cannot be that of a picture."""
    try:
        value = datetime(year, month, day)  # noqa: DTZ001  local time
        if time is not None:
            hour, minute, second = time  # some clocks show 24:00 and 10:59:60
            value += timedelta(hours=hour, minutes=minute, seconds=second)
    except (ValueError, OverflowError):
        return None
    if value.date() < EARLIEST or value > datetime.now(UTC).replace(tzinfo=None) + GRACE or _is_zero(value):
        return None
    return value.date().isoformat() if time is None else value.isoformat()


def parse_time(text: str) -> Time | None:
    """Parse the time at the start of a text; None if there is none, or it is impossible."""
    found = _TIME.match(text)
    if found is None:
        return None
    hour, minute, second = (int(part or 0) for part in (found.groups()[:3] if found[1] else found.groups()[3:6]))
    half = (found[7] or "").lower()
    if half and 1 <= hour <= 12:
        hour = hour % 12 + (12 if half == "p" else 0)
    return (hour, minute, second) if hour <= 24 and minute <= 59 and second <= 60 else None


def _is_zero(value: datetime) -> bool:
    """Whether a clock at zero shows this, in any time zone."""
    quarter = timedelta(minutes=15)
    return any(abs(value - zero) <= timedelta(hours=14) and not (value - zero) % quarter for zero in _CLOCK_ZEROS)


def _spelled_out(text: str) -> tuple[int, int, int, int, int, int] | None:
    """Parse `Tue, 4 May 2021 10:11:12 +0000` and `Tue May 4 10:11:12 2021`, as PNG files have."""
    try:
        fields = parsedate(text)
    except (ValueError, IndexError, TypeError):  # on text that is no date
        return None
    return None if fields is None else fields[:6]
