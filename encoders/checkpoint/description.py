"""A model's description, `model.json`. Reading it does not load torch or the weights."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from ..architecture import PAIR, ModelConfig
from ..errors import CheckpointError, first_line
from .calibration import Calibration
from .foreign_tokenizer import TOKENIZER, ForeignTokenizer
from .identity import DESCRIPTION, PAIR_FOLDER, WeightsFile, identify
from .lexicon import Lexicon
from .tokenizer import AnyTokenizer, Tokenizer

RESERVED_KEYS = {
    *("format", "version", "name", "weights_sha256", "architecture", "preprocessing", "calibration"),
    *("class_names", "word_counts", "vocabulary", "scores", "tokenizer"),
}


@dataclass(frozen=True)
class Description:
    """The content of `model.json`, checked against the weights beside it, which are held open."""

    weights: WeightsFile
    name: str
    fingerprint: str
    config: ModelConfig
    tokenizer: AnyTokenizer
    calibration: Calibration
    metadata: dict[str, Any]
    lexicon: Lexicon
    version: int


def read_description(directory: Path) -> Description:
    """Read and check a model's description, without loading its weights.

    Raises:
        CheckpointError: a file is missing, cut short, altered, or in an unknown format.
    """
    identity = identify(directory)
    document = identity.document
    try:
        settings = {f.name for f in fields(ModelConfig)}
        config = ModelConfig(**{k: v for k, v in document["architecture"].items() if k in settings})
        tokenizer: AnyTokenizer
        if config.text_tower == PAIR:
            tokenizer = ForeignTokenizer(directory / PAIR_FOLDER / TOKENIZER, **document["tokenizer"])
        else:
            tokenizer = Tokenizer(document["vocabulary"], config.max_tokens, document.get("scores"))
        calibration = Calibration(**document["calibration"])
        lexicon = Lexicon(dict(document.get("word_counts", {})), tuple(document.get("class_names", ())))
    except (KeyError, TypeError, ValueError, AttributeError) as exc:
        description = directory / DESCRIPTION
        raise CheckpointError(f"{description}: a key is missing or malformed ({first_line(exc)})") from exc
    return Description(
        weights=identity.weights,
        name=identity.name,
        fingerprint=identity.fingerprint,
        config=config,
        tokenizer=tokenizer,
        calibration=calibration,
        metadata={k: v for k, v in document.items() if k not in RESERVED_KEYS},
        lexicon=lexicon,
        version=document["version"],
    )
