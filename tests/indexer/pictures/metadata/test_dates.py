"""Dates in metadata."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.pictures.metadata.dates import parse_date

FORMS = {
    "2021:05:04 10:11:12": "2021-05-04T10:11:12",
    "2021:05:04 10:11:12+0000": "2021-05-04T10:11:12",
    "2021:05:04 10:11:12-05:00": "2021-05-04T10:11:12",
    "2021:05:04 10:11:12.345": "2021-05-04T10:11:12",
    "2021:05:04 10:11:12 DST": "2021-05-04T10:11:12",
    "2021-05-04T10:11:12": "2021-05-04T10:11:12",
    "2021-05-04T10:11:12Z": "2021-05-04T10:11:12",
    "2021-05-04T10:11:12.5+02:00": "2021-05-04T10:11:12",
    "2021-05-04T10:11Z": "2021-05-04T10:11:00",
    "2021/05/04 10:11:12": "2021-05-04T10:11:12",
    "2021.05.04 10.11.12": "2021-05-04T10:11:12",
    "2021:05:04\x0010:11:12\0": "2021-05-04T10:11:12",
    "2021:05:04 10:11": "2021-05-04T10:11:00",
    "  2021:05:04 10:11:12  ": "2021-05-04T10:11:12",
    "2003: 8: 1  9: 5: 2": "2003-08-01T09:05:02",
    "2021:05:04 10:11:12 PM": "2021-05-04T22:11:12",
    "2021:05:04 12:11:12 am": "2021-05-04T00:11:12",
    "2021:05:04 24:10:11": "2021-05-05T00:10:11",
    "2021:05:04 99:99:99": "2021-05-04",
    "2021:05:04   :  :  ": "2021-05-04",
    "2021:05:04": "2021-05-04",
    "20210504": "2021-05-04",
    "20210504 101112+0200": "2021-05-04T10:11:12",
    "20210504T101112Z": "2021-05-04T10:11:12",
    "20210504101112": "2021-05-04T10:11:12",
    "2021": "2021-01-01",
    "2021-05": "2021-05-01",
    "19650000": "1965-01-01",
    "Tue, 4 May 2021 10:11:12 +0000": "2021-05-04T10:11:12",
    "Tue May  4 10:11:12 2021": "2021-05-04T10:11:12",
    "1826:06:01 12:00:00": "1826-06-01T12:00:00",
    "1970:01:01 12:34:56": "1970-01-01T12:34:56",
    "2000:01:01 00:00:00": "2000-01-01T00:00:00",
}
NONE = [
    *("", " ", "\0" * 20, "    :  :     :  :  ", "garbage", "2021 holidays", "04/05/2021 10:11:12", "10:11:12"),
    *(
        "0000:00:00 00:00:00",
        "0001:01:01 00:00:00",
        "1825:12:31 00:00:00",
        "9999:12:31 23:59:59",
        "9999:99:99 99:99:99",
    ),
    *(
        "1904:01:01 00:00:00",
        "1904:01:01 01:00:00",
        "1970:01:01 00:00:00",
        "1970:01:01 05:30:00",
        "1969:12:31 16:00:00",
    ),
    *("2021:02:30 10:11:12", "2021:13:01 10:11:12", "may", "Tue May 99 10:11:12 2021"),
]


@pytest.mark.parametrize(("text", "date"), FORMS.items())
def test_forms_of_dates(text: str, date: str) -> None:
    """Offsets and fractions are dropped, a missing or impossible time leaves the date."""
    assert parse_date(text) == date


@pytest.mark.parametrize("text", NONE)
def test_what_is_no_date(text: str) -> None:
    """Blanks, zeros of clocks, impossible days, and years before photography."""
    assert parse_date(text) is None


def test_a_day_of_grace_in_the_future() -> None:
    """A date is local, which can be ahead of UTC."""
    now = datetime.now(UTC)
    assert parse_date((now + timedelta(hours=14)).strftime("%Y:%m:%d %H:%M:%S")) is not None
    assert parse_date((now + timedelta(hours=30)).strftime("%Y:%m:%d %H:%M:%S")) is None


@given(st.text(max_size=60) | st.text(st.sampled_from("0123456789:-/. TZ+apmayMonSun,"), max_size=30))
def test_any_text_gives_a_date_or_none(text: str) -> None:
    """What is returned is ISO 8601, in a plausible year."""
    found = parse_date(text)
    assert found is None or 1826 <= datetime.fromisoformat(found).year <= datetime.now(UTC).year + 1
