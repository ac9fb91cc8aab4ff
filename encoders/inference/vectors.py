"""What is computed from vectors outside a model's parts, as `network/class_channel.py` and `querybank.py` train it."""

from __future__ import annotations

import numpy as np

from ..features import Floats


def with_class_weight(vectors: Floats, centre: Floats, basis: Floats, weights: Floats) -> Floats:
    """Change the weight of the class part of vectors (B, D + d) to one number per row, (B, 1).

    Shape:
        - centre: (D,); basis: (D, d).
    """
    plain = _normalize(vectors[:, : len(centre)])
    classes = _normalize(((plain - centre) @ basis).astype(np.float32))
    return _normalize(np.concatenate([plain, classes * weights], axis=1).astype(np.float32))


def hubness(vectors: Floats, centres: Floats, log_shares: Floats, scale: Floats | np.float32) -> Floats:
    """Log of the mean of exp(scale · cosine) with a bank: vectors (N, D) → (N,). A class part is ignored.

    Shape:
        - centres: (Q, D); log_shares: (Q,).
    """
    similar = scale * cosines(vectors, centres) + log_shares
    highest = similar.max(axis=1, keepdims=True)
    return (highest[:, 0] + np.log(np.exp(similar - highest).sum(axis=1))).astype(np.float32)


def cosines(vectors: Floats, centres: Floats) -> Floats:
    """Cosines of vectors (N, D) with a bank's centres (Q, D): (N, Q). A class part is ignored."""
    return _normalize(vectors[:, : centres.shape[1]]) @ centres.T


def _normalize(rows: Floats) -> Floats:
    return (rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)).astype(np.float32)
