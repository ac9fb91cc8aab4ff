"""A probability fitted to the captions of an index."""

from __future__ import annotations

import numpy as np
import pytest

from encoders.checkpoint.calibration import fit_probability
from indexer import Catalog, index_paths
from search.evaluation import calibrate
from search.evaluation.calibrate import fit_curve_to_captions
from tests.conftest import Paint
from tests.fakes import FakeEncoder

CAPTIONS = {"red": "red", "green": "green thing", "blue": "blue blue", "yellow": "yellow red", "white": "white thing"}


@pytest.fixture
def captioned(catalog: Catalog, encoder: FakeEncoder, paint: Paint) -> Catalog:
    """Five pictures with a caption each, and one without."""
    for colour, caption in CAPTIONS.items():
        paint(f"{colour}.png", colour).with_suffix(".txt").write_text(f"{caption}\n")
    index_paths(catalog, encoder, [paint("black.png", "black").parent])
    return catalog


def test_the_curve_is_that_of_the_lists(
    captioned: Catalog, encoder: FakeEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A loop over captions and pictures gives the same; pairs that share some words are left out."""
    assert fit_curve_to_captions(captioned) is None
    monkeypatch.setattr(calibrate, "FEWEST", 5)
    found = fit_curve_to_captions(captioned)
    scores, correct = [], []
    for own, caption in CAPTIONS.items():
        vector = encoder.encode_texts([caption]).vectors[0]
        for colour, other in CAPTIONS.items():
            shared = len(set(caption.split()) & set(other.split())) / len(set(caption.split()))
            if colour != own and 0.6 <= shared < 0.95:
                continue
            picture = encoder.encode_texts([colour]).vectors[0]
            scores.append(float(vector @ picture))
            correct.append(colour == own or shared >= 0.95)
    scale, bias = fit_probability(np.array(scores), np.array(correct))
    assert found is not None
    assert found.captions == 5
    assert found.scale == pytest.approx(scale, rel=0.05)
    assert found.bias == pytest.approx(bias, rel=0.05)


def test_a_model_that_knows_nothing_gets_no_curve(captioned: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that falls would turn lists around."""
    monkeypatch.setattr(calibrate, "FEWEST", 5)
    monkeypatch.setattr(calibrate, "fit_probability", lambda *_: (-1.0, 0.0))
    assert fit_curve_to_captions(captioned) is None
