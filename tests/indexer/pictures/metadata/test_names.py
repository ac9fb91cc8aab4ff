"""Dates in file names."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.pictures.metadata import date_from_name

DATED = {
    "IMG_20240131_123456.jpg": "2024-01-31T12:34:56",
    "PXL_20240131_123456789.jpg": "2024-01-31T12:34:56",
    "PXL_20240131_123456789.PORTRAIT-01.COVER.jpg": "2024-01-31T12:34:56",
    "VID_20240131_123456.jpg": "2024-01-31T12:34:56",
    "VID-20240131-WA0007.jpg": "2024-01-31",
    "IMG-20240131-WA0007.jpg": "2024-01-31",
    "IMG-20240131-WA0007(1).jpeg": "2024-01-31",
    "Screenshot_2024-01-31-12-34-56.png": "2024-01-31T12:34:56",
    "Screenshot_2024-01-31-12-34-56-789_com.app.jpg": "2024-01-31T12:34:56",
    "Screenshot_20240131-123456_Chrome.jpg": "2024-01-31T12:34:56",
    "Screenshot_20240131_123456_com.whatsapp.jpg": "2024-01-31T12:34:56",
    "Screenshot_20240131-123456.png": "2024-01-31T12:34:56",
    "Screenshot 2024-01-31 at 12.34.56.png": "2024-01-31T12:34:56",
    "Screenshot 2024-01-31 at 2.34.56\u202fPM.png": "2024-01-31T14:34:56",
    "Screen Shot 2014-01-05 at 3.04.05 PM.png": "2014-01-05T15:04:05",
    "Screenshot 2024-01-31 123456.png": "2024-01-31T12:34:56",
    "Screenshot from 2024-01-31 12-34-56.png": "2024-01-31T12:34:56",
    "Bildschirmfoto 2024-01-31 um 12.34.56.png": "2024-01-31T12:34:56",
    "Capture d\u2019écran 2024-01-31 à 12.34.56.png": "2024-01-31T12:34:56",
    "Captura de pantalla 2024-01-31 a las 12.34.56.png": "2024-01-31T12:34:56",
    "スクリーンショット 2024-01-31 12.34.56.png": "2024-01-31T12:34:56",
    "屏幕截图 2024-01-31 123456.png": "2024-01-31T12:34:56",
    "Снимок экрана 2024-01-31 в 12.34.56.png": "2024-01-31T12:34:56",
    "signal-2024-01-31-123456.jpg": "2024-01-31T12:34:56",
    "signal-2024-01-31-12-34-56-789.jpg": "2024-01-31T12:34:56",
    "signal-2024-01-31-123456_002.jpeg": "2024-01-31T12:34:56",
    "WhatsApp Image 2024-01-31 at 12.34.56.jpeg": "2024-01-31T12:34:56",
    "WhatsApp Image 2024-01-31 at 12.34.56 PM (1).jpeg": "2024-01-31T12:34:56",
    "WhatsApp Image 2024-01-31 at 2.34.56 PM.jpeg": "2024-01-31T14:34:56",
    "WhatsApp Image 2024-01-31 at 12.34.56_abcd1234.jpg": "2024-01-31T12:34:56",
    "Photo 31-01-2024.jpg": "2024-01-31",
    "31.01.2024.jpg": "2024-01-31",
    "03.02.2024 Oma.jpg": "2024-02-03",
    "01-31-2024.jpg": "2024-01-31",
    "2024-01-31 12.34.56.jpg": "2024-01-31T12:34:56",
    "2024-01-31 12.34.56-1.jpg": "2024-01-31T12:34:56",
    "photo_2024-01-31_12-34-56.jpg": "2024-01-31T12:34:56",
    "photo_2024-01-31 12.34.56.jpeg": "2024-01-31T12:34:56",
    "DJI_20240131123456_0001_D.JPG": "2024-01-31T12:34:56",
    "FB_IMG_1706702096123.jpg": "2024-01-31",
    "mmexport1706702096123.jpg": "2024-01-31",
    "wx_camera_1706702096123.jpg": "2024-01-31",
    "1706702096123.jpg": "2024-01-31",
    "20240131_123456.jpg": "2024-01-31T12:34:56",
    "20240131_123456(0).jpg": "2024-01-31T12:34:56",
    "20240131_123456~2.jpg": "2024-01-31T12:34:56",
    "20240131.jpg": "2024-01-31",
    "IMG20240131123456.jpg": "2024-01-31T12:34:56",
    "IMG20240131123456_BURST001.jpg": "2024-01-31T12:34:56",
    "MVIMG_20240131_123456.jpg": "2024-01-31T12:34:56",
    "PANO_20240131_123456.jpg": "2024-01-31T12:34:56",
    "P_20240131_123456_vHDR.jpg": "2024-01-31T12:34:56",
    "WP_20130512_10_11_12_Pro.jpg": "2013-05-12T10:11:12",
    "WP_20130512_001.jpg": "2013-05-12",
    "C360_2013-05-12-10-11-12-123.jpg": "2013-05-12T10:11:12",
    "KakaoTalk_20240131_123456789.jpg": "2024-01-31T12:34:56",
    "KakaoTalk_Photo_2024-01-31-12-34-56.jpeg": "2024-01-31T12:34:56",
    "viber_image_2024-01-31_12-34-56-123.jpg": "2024-01-31T12:34:56",
    "微信图片_20240131123456.jpg": "2024-01-31T12:34:56",
    "QQ截图20240131123456.png": "2024-01-31T12:34:56",
    "2024年1月31日.jpg": "2024-01-31",
    "00100dPORTRAIT_00100_BURST20200101123456789_COVER.jpg": "2020-01-01T12:34:56",
    "Resized_20240131_123456.jpeg": "2024-01-31T12:34:56",
    "1965-08-12 Oma.jpg": "1965-08-12",
    "Scan_20200512.jpg": "2020-05-12",
    "Scan 2020-05-12 (2).jpg": "2020-05-12",
    "20240131T123456.jpg": "2024-01-31T12:34:56",
    "2024-01-31T12:34:56.jpg": "2024-01-31T12:34:56",
    "2024-01-31T12_34_56Z.jpg": "2024-01-31T12:34:56",
    "20240131_999999.jpg": "2024-01-31",
    "2024_01_31.jpg": "2024-01-31",
    "IMG_20240131_1234.jpg": "2024-01-31",
    "2024.01.31.jpg": "2024-01-31",
}
UNDATED = [
    "folder 2019-01-01/IMG_0001.jpg",
    "IMG_2034.jpg",
    "DSC20012.jpg",
    "12345678.jpg",
    "IMG_0001.jpg",
    "DSC_2019.JPG",
    "P1010101.JPG",
    "100_2012.jpg",
    "19201080.jpg",
    "wallpaper-1920x1080.jpg",
    "20481024.png",
    "20240231.jpg",
    "2024-13-01.jpg",
    "IMG_29991231_120000.jpg",
    "99991231.jpg",
    "00000000.jpg",
    "1706702096.jpg",
    "2025550123.jpg",
    "550e8400-e29b-41d4-a716-446655440000.jpg",
    "a20240131f9c2d.jpg",
    "d41d8cd98f00b204e9800998ecf8427e.jpg",
    "10218730495867123_n.jpg",
    "32847561_10156432178955123_20240131112_n.jpg",
    "01-02-2024.jpg",
    "192.168.10.12.jpg",
    "v2024.1.31.jpg",
    "GOPR2012.JPG",
    "IMG_20131.jpg",
    "received_1706702096123456.jpeg",
    "Snapchat-1706702096.jpg",
    "5901234123457.jpg",
    "DSC20120101.jpg",
    "photo.jpg",
    "",
    "..",
    "2024.jpg",
    "Rome 2019.jpg",
    "1-2-3.jpg",
    "2024-01-3111.jpg",
    "0001-01-01.jpg",
    "1970-01-01 00.00.00.jpg",
    "120240131.jpg",
    "IMG_202401311.jpg",
]


@pytest.mark.parametrize(("name", "date"), DATED.items())
def test_names_of_phones_screenshots_and_messengers_have_dates(name: str, date: str) -> None:
    """The date is read, and the time if the name has it."""
    assert date_from_name(name) == date


@pytest.mark.parametrize("name", UNDATED)
def test_numbers_that_look_like_dates_are_none(name: str) -> None:
    """Counters, sizes, serial numbers, and impossible or ambiguous dates."""
    assert date_from_name(name) is None


def test_a_future_date_is_none() -> None:
    """A name of the day after tomorrow is no date, one of today is."""
    today = datetime.now(UTC)
    assert date_from_name(f"IMG_{today:%Y%m%d}.jpg") == f"{today:%Y-%m-%d}"
    assert date_from_name(f"IMG_{today + timedelta(days=3):%Y%m%d}.jpg") is None


@given(st.text(st.sampled_from("0123456789-_. :TatpmIMG年月日"), max_size=40))
def test_every_name_gives_a_date_or_none(name: str) -> None:
    """What is returned is ISO 8601, in a plausible year."""
    found = date_from_name(name)
    assert found is None or 1826 <= datetime.fromisoformat(found).year <= datetime.now(UTC).year + 1
