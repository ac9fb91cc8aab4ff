"""Over a thousand files that try to break an indexer, the same ones each time."""

from __future__ import annotations

import io
import os
import random
import stat
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from indexer.pictures.formats import supported_formats
from tests.indexer.pictures.profiles import ADOBE_RGB, grey_profile, ink_profile, rgb_profile
from tests.indexer.pictures.raws import dng, psd

SUFFIXES = {
    "JPEG": "jpg",
    "PNG": "png",
    "WEBP": "webp",
    "GIF": "gif",
    "BMP": "bmp",
    "TIFF": "tif",
    "HEIF": "heic",
    "AVIF": "avif",
    "PSD": "psd.jpg",
    "RAW": "dng.jpg",
    "JXL": "jxl.jpg",
}
STEP = 100


class Fate(StrEnum):
    """The expected outcome for a file."""

    GOOD = "indexed"
    BAD = "refused"
    EITHER = "indexed or refused"


@dataclass(frozen=True)
class Hostile:
    """A file: its name within the folder, its content, and the expected outcome."""

    name: str
    data: bytes
    fate: Fate


def hostile_files() -> Iterator[Hostile]:
    """All regular files."""
    for make in (truncated, damaged, misnamed, foreign, bombs, colours, metadata):
        yield from make()


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    """Encode a picture."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def photograph(size: tuple[int, int] = (64, 48)) -> Image.Image:
    """A picture with a gradient and noise, which compresses poorly."""
    width, height = size
    noise = np.random.default_rng(7).integers(0, 60, (height, width, 3))
    slope = np.linspace(0, 190, width)[None, :, None] * np.array([1, 0.5, 0.2])
    return Image.fromarray((noise + slope).astype(np.uint8))


@cache
def whole(kind: str) -> bytes:
    """The photograph in a format."""
    options: dict[str, dict[str, Any]] = {
        "JPEG": {"quality": 97},
        "TIFF": {"compression": "tiff_lzw"},
        "WEBP": {"quality": 97},
    }
    if kind == "PSD":
        return psd(photograph())
    if kind == "RAW":
        return dng(encoded(photograph(), "JPEG"), sensor=photograph())
    if kind == "JXL":
        import pylibjxl  # noqa: PLC0415  optional

        return bytes(pylibjxl.encode(np.asarray(photograph()), lossless=True))
    return encoded(photograph(), kind, **options.get(kind, {}))


@cache
def kinds() -> dict[str, bytes]:
    """The photograph in every format that this installation can write, and some variants."""
    image = photograph()
    variants = {
        "progressive.jpg": encoded(image, "JPEG", quality=97, progressive=True),
        "cmyk.jpg": encoded(image.convert("CMYK"), "JPEG", quality=90),
        "animated.gif": encoded(image, "GIF", save_all=True, append_images=[image.rotate(90), image.rotate(180)]),
        "lossless.webp": encoded(image, "WEBP", lossless=True),
        "animated.webp": encoded(image, "WEBP", save_all=True, append_images=[image.rotate(90)]),
        "animated.png": encoded(image, "PNG", save_all=True, append_images=[image.rotate(90)]),
        "plain.tif": encoded(image, "TIFF"),
        "deflated.tif": encoded(image, "TIFF", compression="tiff_deflate"),
    }
    return {f"whole.{SUFFIXES[kind]}": whole(kind) for kind in supported_formats()} | variants


def truncated() -> Iterator[Hostile]:
    """Each kind truncated at every hundredth byte, at zero, and one byte short."""
    for name, data in kinds().items():
        for cut in [*range(0, len(data), STEP), len(data) - 1]:
            yield Hostile(f"cut/{cut:06} of {name}", data[:cut], Fate.EITHER)


def damaged(copies: int = 25) -> Iterator[Hostile]:
    """Each kind with some bytes changed, most of them near the start, where its structure is."""
    chance = random.Random(11)
    for name, data in kinds().items():
        for copy in range(copies):
            changed = bytearray(data)
            for _ in range(chance.randint(1, 12)):
                changed[int(len(data) * chance.random() ** 4)] = chance.randrange(256)
            yield Hostile(f"damaged/{copy:02} {name}", bytes(changed), Fate.EITHER)


def misnamed() -> Iterator[Hostile]:
    """Each kind with the suffix of every other one; the content decides."""
    for kind in supported_formats():
        for suffix in SUFFIXES.values():
            yield Hostile(f"misnamed/{kind} as.{suffix}", whole(kind), Fate.GOOD)


def foreign() -> Iterator[Hostile]:
    """Files that are not images, or of an unsupported format, some of which would start programs."""
    contents = {
        "nothing": b"",
        "one byte": b"\xff",
        "zeros": bytes(10_000),
        "words": b"I am not a picture.\n",
        "page": b"<!DOCTYPE html><html><body>404 Not Found</body></html>",
        "svg": b'<svg xmlns="http://www.w3.org/2000/svg"><rect width="9" height="9"/></svg>',
        "postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n",
        "document": b"%PDF-1.7\n1 0 obj<</Type/Catalog>>endobj\n",
        "archive": b"PK\x03\x04" + bytes(60),
        "pixmap": b"P6 2 2 255\n" + bytes(12),
        "film": b"\x00\x00\x00\x18ftypisom" + bytes(200),
    }
    beginnings = (b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"BM", b"RIFF\0\0\0\0WEBPVP8 ", b"II*\0")
    contents |= {f"only the beginning {i}": data for i, data in enumerate(beginnings)}
    for name, data in contents.items():
        yield Hostile(f"foreign/{name}.jpg", data, Fate.BAD)


def png(width: int, height: int, *extra: bytes, packed: bytes = zlib.compress(b"\0"), bits: int = 8) -> bytes:
    """A PNG with arbitrary header fields."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, 2, 0, 0, 0))
    body = chunk(b"IDAT", packed) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(extra) + body


def chunk(kind: bytes, body: bytes) -> bytes:
    """Build a PNG chunk."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def directory(entries: list[tuple[int, int, int, bytes]], following: int = 0, at: int = 8) -> bytes:
    """A TIFF directory at `at`: (tag, type, count, four bytes of value or offset), and the offset of the next one."""
    rows = b"".join(struct.pack("<HHI", *entry[:3]) + entry[3].ljust(4, b"\0") for entry in entries)
    return b"II*\0" + struct.pack("<I", at) + bytes(at - 8) + struct.pack("<H", len(entries)) + rows + number(following)


def number(value: int) -> bytes:
    """Encode four bytes."""
    return struct.pack("<I", value)


def tiff(width: int, height: int, *more: tuple[int, int, int, bytes], data: bytes = b"\0") -> bytes:
    """A grey TIFF with arbitrary header fields, compressed with deflate."""
    fixed = [(256, 4, 1, number(width)), (257, 4, 1, number(height)), (258, 3, 1, number(8)), (259, 3, 1, number(8))]
    entries = [*fixed, (262, 3, 1, number(1)), (277, 3, 1, number(1)), *more]
    packed = zlib.compress(data)
    at = 8 + 2 + 12 * (len(entries) + 2) + 4
    place = (324, 325) if more else (273, 279)  # of tiles, or of strips
    entries += [(place[0], 4, 1, number(at)), (place[1], 4, 1, number(len(packed)))]
    return directory(sorted(entries)) + packed


def many_scans(count: int, side: int) -> bytes:
    """A progressive JPEG whose last scan is repeated."""
    data = encoded(Image.new("L", (side, side), 90), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * count + data[-2:]


def bombs() -> Iterator[Hostile]:
    """Small files that need excessive memory or time."""
    flood = zlib.compress(bytes(80_000_000), 9)
    webp = b"RIFF" + number(22) + b"WEBPVP8X" + number(10) + bytes(4) + b"\xff" * 6
    lossless = b"RIFF" + number(30) + b"WEBPVP8L" + number(18) + b"\x2f\xff\xff\xff\x0f" + bytes(13)
    jpeg = bytearray(whole("JPEG"))
    at = jpeg.index(b"\xff\xc0") + 5
    jpeg[at : at + 4] = struct.pack(">HH", 65_000, 65_000)
    contents = {
        "canvas.png": png(200_000, 200_000),
        "a little too large.png": png(250_001, 1_000),
        "promises.png": png(15_000, 15_000),
        "no width.png": png(0, 10),
        "canvas.gif": b"GIF89a\xff\xff\xff\xff\x80\0\0" + bytes(6) + b",\0\0\0\0\xff\xff\xff\xff\0\x08\x01\0\0;",
        "canvas.bmp": b"BM"
        + number(99)
        + bytes(4)
        + number(54)
        + struct.pack("<III", 40, 60_000, 60_000)
        + b"\1\0\x18"
        + bytes(25),
        "canvas.webp": webp,
        "lossless.webp": lossless,
        "canvas.tif": tiff(60_000, 60_000),
        "tile.tif": tiff(16, 16, (322, 4, 1, number(65_536)), (323, 4, 1, number(65_536)), data=bytes(256)),
        "canvas.jpg": bytes(jpeg),
        "scans.jpg": many_scans(6_000, 2_000),
        "profile.png": png(4, 4, chunk(b"iCCP", b"x\0\0" + flood), packed=zlib.compress(bytes(52))),
        "words.png": png(4, 4, chunk(b"zTXt", b"x\0\0" + flood), packed=zlib.compress(bytes(52))),
        "more words.png": png(4, 4, chunk(b"iTXt", b"x\0\x01\0\0\0" + flood), packed=zlib.compress(bytes(52))),
    }
    for name, data in contents.items():
        yield Hostile(f"bombs/{name}", data, Fate.BAD)


def colours() -> Iterator[Hostile]:
    """Every pixel mode that cameras, scanners, presses and instruments write."""
    image = photograph((40, 30))
    grey = image.convert("L")
    ramp = np.linspace(0, 65535, 1200).reshape(30, 40)
    holes = np.where(ramp < 9_000, np.nan, ramp).astype(np.float32)
    endless = np.where(ramp < 9_000, np.inf, -ramp).astype(np.float32)
    deep = b"".join(b"\0" + row.astype(">u2").repeat(3).tobytes() for row in ramp)
    alpha = image.copy()
    alpha.putalpha(grey)
    contents = {
        "press.jpg": encoded(image.convert("CMYK"), "JPEG"),
        "press.tif": encoded(image.convert("CMYK"), "TIFF"),
        "grey.jpg": encoded(grey, "JPEG"),
        "deep grey.png": encoded(Image.fromarray(ramp.astype(np.uint16)), "PNG"),
        "deep grey.tif": encoded(Image.fromarray(ramp.astype(np.uint16)), "TIFF"),
        "deeper grey.tif": encoded(Image.fromarray((ramp * 9999).astype(np.int32)), "TIFF"),
        "deep.png": png(40, 30, packed=zlib.compress(deep), bits=16),
        "palette.png": encoded(image.quantize(16), "PNG"),
        "clear palette.png": encoded(image.quantize(16), "PNG", transparency=3),
        "half clear palette.png": encoded(image.quantize(16), "PNG", transparency=bytes(range(0, 256, 16))),
        "clear.gif": encoded(image.quantize(16), "GIF", transparency=3),
        "clear grey.png": encoded(grey, "PNG", transparency=90),
        "one bit.png": encoded(image.convert("1"), "PNG"),
        "one bit.tif": encoded(image.convert("1"), "TIFF", compression="group4"),
        "alpha.png": encoded(alpha, "PNG"),
        "alpha.webp": encoded(alpha, "WEBP"),
        "grey alpha.png": encoded(alpha.convert("LA"), "PNG"),
        "lab.tif": encoded(Image.merge("LAB", image.split()), "TIFF"),
        "video.tif": encoded(image.convert("YCbCr"), "TIFF"),
        "float.tif": encoded(Image.fromarray(ramp.astype(np.float32)), "TIFF"),
        "holes.tif": encoded(Image.fromarray(holes), "TIFF"),
        "endless.tif": encoded(Image.fromarray(endless), "TIFF"),
        "nothing but holes.tif": encoded(Image.fromarray(np.full((30, 40), np.nan, np.float32)), "TIFF"),
        "narrow.png": encoded(Image.new("RGB", (1, 3_000), "red"), "PNG"),
        "wide.png": encoded(Image.new("RGB", (40_000, 1), "red"), "PNG"),
    }
    for name, data in contents.items():
        yield Hostile(f"colours/{name}", data, Fate.GOOD)


def metadata() -> Iterator[Hostile]:
    """Valid pictures with invalid EXIF blocks and colour profiles."""
    image = photograph((40, 30))
    wide = rgb_profile(ADOBE_RGB, 2.2)
    profiles = {
        "valid": wide,
        "cut": wide[:200],
        "head only": wide[:128],
        "garbage": random.Random(3).randbytes(3_000),
        "wrong size": number(2**31) + wide[4:],
        "of grey": grey_profile(2.2),
        "of inks": ink_profile((128, 128, 128)),
        "tiny": b"icc",
    }
    for kind in ("JPEG", "PNG", "WEBP", "TIFF"):
        for name, profile in profiles.items():
            data = encoded(image, kind, icc_profile=profile)
            yield Hostile(f"profile/{name}.{SUFFIXES[kind]}", data, Fate.GOOD)
    for kind in ("JPEG", "PNG", "WEBP"):
        for name, block in exif_blocks().items():
            data = encoded(image, kind, exif=b"Exif\0\0" + block)
            yield Hostile(f"exif/{name}.{SUFFIXES[kind]}", data, Fate.GOOD)


def exif_blocks() -> dict[str, bytes]:
    """Invalid EXIF blocks."""
    gps = [(1, 2, 2, b"N\0"), (2, 5, 3, number(100)), (3, 2, 2, b"E\0"), (4, 5, 3, number(100))]
    place = (0x8825, 4, 1, number(26))
    inside = directory([place], at=8) + directory(gps)[8:]
    return {
        "nothing": b"",
        "no tiff": b"no TIFF at all",
        "head only": b"II*\0",
        "endless": b"II*\0" + number(2**31),
        "itself": directory([(0x8769, 4, 1, number(8)), (0x8825, 4, 1, number(8))], following=8),
        "absurd count": directory([(271, 2, 2**32 - 1, number(8)), (306, 2, 2**31, number(8))]),
        "more entries than bytes": b"II*\0" + number(8) + b"\xff\xff" + bytes(30),
        "turned by a word": directory([(274, 2, 4, b"six\0")]),
        "turned by 99": directory([(274, 3, 1, number(99))]),
        "turned by halves": directory([(274, 5, 1, number(26))]) + struct.pack("<II", 6, 0),
        "maker is a number": directory([(271, 4, 1, number(7)), (272, 12, 1, number(0))]),
        "no such type": directory([(271, 99, 1, number(7)), (274, 0, 1, number(7))]),
        "place by nothing": inside + bytes(200),
        "place by zeros": inside.ljust(100, b"\0") + struct.pack("<6I", 48, 0, 7, 0, 0, 0),
        "place in a thousand parts": directory([place]) + directory([(2, 5, 999, number(0)), (4, 5, 999, number(0))]),
    }


def oddities(folder: Path) -> dict[Path, Fate]:
    """Irregular files, and unusual names, created in the folder itself."""
    folder.mkdir()
    os.mkfifo(folder / "pipe.jpg")
    os.mknod(folder / "socket.jpg", stat.S_IFSOCK | 0o600)
    for name, target in {
        "zeros.jpg": "/dev/zero",
        "null.jpg": "/dev/null",
        "there.jpg": "here.jpg",
        "here.jpg": "there.jpg",
        "myself.jpg": "myself.jpg",
        "nowhere.jpg": "no such file.jpg",
        "again.jpg": "pipe.jpg",
    }.items():
        (folder / name).symlink_to(target)
    bad = sorted(folder.iterdir())
    (folder / "folder.jpg").mkdir()
    (folder / "loop").symlink_to(folder)
    names = ["folder.jpg/inside.png", "two\nlines.png", "\x1b[31mred\x07.png", " .png", "'; DROP TABLE image; --.png"]
    names += ["%s %d {0} *?[a].png", "x" * 251 + ".png", "-rf.png", "e\u0301\u202egnp.png", "🐌.png"]
    good = [folder / name for name in names]
    for number_, path in enumerate(good):
        path.write_bytes(encoded(Image.new("RGB", (8, 8), (number_, 9, 9)), "PNG"))
    hidden = folder / ".hidden.png"  # so the link is the only name under which a walk lists it
    hidden.write_bytes(encoded(Image.new("RGB", (8, 8), (99, 9, 9)), "PNG"))
    (folder / "linked.png").symlink_to(hidden)
    strange = Path(os.fsdecode(os.fsencode(folder) + b"/caf\xe9.png"))
    strange.write_bytes(good[0].read_bytes())
    os.mkfifo(folder / "-rf.txt")  # where a sidecar would be
    return dict.fromkeys([*bad, strange], Fate.BAD) | dict.fromkeys([*good, folder / "linked.png"], Fate.GOOD)
