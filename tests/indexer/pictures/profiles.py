"""Minimal colour profiles. Source: ICC.1:2001-04."""

from __future__ import annotations

import struct
from collections.abc import Sequence

ADOBE_RGB = ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457))
"""Red, green and blue of Adobe RGB (1998) as XYZ under D50."""

SRGB = ((0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.71410))
"""The same of sRGB."""

_D50 = (0.9642, 1.0, 0.8249)


def rgb_profile(primaries: Sequence[Sequence[float]], gamma: float, name: str = "by hand") -> bytes:
    """A display profile of three primaries and one gamma."""
    colours = {f"{c}XYZ": _xyz(p) for c, p in zip("rgb", primaries, strict=True)}
    curves = {f"{c}TRC": _curve(gamma) for c in "rgb"}
    return _profile(b"RGB ", b"mntr", b"XYZ ", {"desc": _description(name)} | colours | curves)


def grey_profile(gamma: float) -> bytes:
    """A grey profile of one gamma."""
    return _profile(b"GRAY", b"mntr", b"XYZ ", {"desc": _description("by hand"), "kTRC": _curve(gamma)})


def ink_profile(lab: tuple[int, int, int]) -> bytes:
    """A press profile that maps any ink to one colour, given as Lab bytes (a and b from 128)."""
    identity = b"".join(struct.pack(">i", 65536 * (i % 4 == 0)) for i in range(9))
    table = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + identity
    table += bytes(range(256)) * 4 + bytes(lab) * 2**4 + bytes(range(256)) * 3
    return _profile(b"CMYK", b"prtr", b"Lab ", {"desc": _description("by hand"), "A2B0": table})


def _profile(space: bytes, kind: bytes, connection: bytes, tags: dict[str, bytes]) -> bytes:
    tags |= {"wtpt": _xyz(_D50)}
    at = 128 + 4 + 12 * len(tags)
    index, body = struct.pack(">I", len(tags)), b""
    for name, value in tags.items():
        padded = value + bytes(-len(value) % 4)
        index += name.encode() + struct.pack(">II", at + len(body), len(value))
        body += padded
    head = struct.pack(">I4s4s4s4s4s", at + len(body), b"none", b"\x02\x10\x00\x00", kind, space, connection)
    head += struct.pack(">6H4s", 2024, 1, 1, 0, 0, 0, b"acsp") + bytes(28)
    head += b"".join(struct.pack(">i", round(v * 65536)) for v in _D50)
    return head.ljust(128, b"\x00") + index + body


def _xyz(values: Sequence[float]) -> bytes:
    return b"XYZ " + bytes(4) + b"".join(struct.pack(">i", round(v * 65536)) for v in values)


def _curve(gamma: float) -> bytes:
    return b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256))


def _description(name: str) -> bytes:
    text = name.encode() + b"\x00"
    return b"desc" + bytes(4) + struct.pack(">I", len(text)) + text + bytes(78)
