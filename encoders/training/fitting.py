"""Parts of a model that are fitted after training: its querybanks, and the vectors of its class names."""

from __future__ import annotations

import torch

from ..checkpoint.tokenizer import AnyTokenizer
from ..network.model import CrosslookModel
from .data.pairs import PairSet
from .encoded import encode_pairs

QUERYBANK_SAMPLE = 4096


@torch.inference_mode()
def fit_hubness(model: CrosslookModel, pairs: PairSet, *, cut: int) -> None:
    """Fit a model's querybanks, if it has any, to a sample of its training set."""
    if model.hubness is not None:
        sample = encode_pairs(model, pairs.sample(QUERYBANK_SAMPLE), cut=cut)
        model.hubness.captions.fit(sample.texts.vectors, float(model.scale))
        model.hubness.images.fit(sample.images.vectors, float(model.scale))


@torch.inference_mode()
def fit_classes(model: CrosslookModel, tokenizer: AnyTokenizer, names: tuple[str, ...]) -> None:
    """Compute the vectors of a model's class names, if it has any, with its current text tower."""
    if model.image.classes is None or model.text.classes is None:
        return
    model.eval()
    device = model.log_scale.device
    vectors = []
    for start in range(0, len(names), 100):
        tokens = tokenizer(names[start : start + 100])
        inputs = (torch.from_numpy(array).to(device) for array in (tokens.ids, tokens.mask, tokens.attended))
        vectors.append(model.text.heads(*inputs).vectors)
    model.image.classes.names.copy_(model.text.classes.fit(torch.cat(vectors)))
