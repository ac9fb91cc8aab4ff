"""Settings of a training run; written beside its checkpoints, so that a run can be repeated."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import TrainingError


@dataclass(frozen=True)
class TrainConfig:
    """Settings of one run.

    Learning rates are peaks of a one-cycle schedule. `image_cut` and `text_cut` say how many stages of the CNN and
    layers of the text tower stay frozen. What the stages give for each view is computed once and kept on disk; the
    text tower is run anew for every sentence, its frozen layers without dropout and without learning. Without
    `train_towers` vectors stay as they are, and only the reranker and its own parts of the towers train.

    The weights are those of the parts of the objective, by name; the global match learns fast, and shapes the
    states to its own needs where it is not held back. Pictures come in groups of up to `group_size` with like
    captions. `keep` is the share that the weights the run started from have in what comes out, so that fine-tuning
    forgets less (Wortsman et al., https://arxiv.org/abs/2109.01903); with any of it, a trained start's querybank and
    the weights of its calibration stay, too, for a few pictures are too few to choose them by.
    """

    epochs: int = 15
    batch_size: int = 96
    captions_per_image: int = 2
    learning_rate: float = 1e-3
    image_rate: float = 0.3
    text_rate: float = 0.1
    weight_decay: float = 0.05
    warmup: float = 0.1
    soft_targets: float = 0.15
    kinship_temperature: float = 0.1
    train_towers: bool = True
    contrastive_weight: float = 1.0
    matching_weight: float = 2.0
    whole_weight: float = 0.5
    group_size: int = 1
    hard_negatives: int = 24
    smallest_crop: float = 0.8
    region_dropout: float = 0.2
    word_dropout: float = 0.1
    average: float = 0.99
    keep: float = 0.0
    image_cut: int = 6
    text_cut: int = 4
    views: int = 4
    patience: int = 5
    seed: int = 0
    precision: str = "auto"
    device: str = "auto"

    def __post_init__(self) -> None:
        """Refuse what cannot work, before any time is spent."""
        for field in ("epochs", "captions_per_image", "views", "patience", "hard_negatives", "group_size"):
            if getattr(self, field) < 1:
                raise TrainingError(f"{field} must be at least 1, not {getattr(self, field)}")
        if self.batch_size < 2:
            raise TrainingError(f"batch_size must be at least 2, not {self.batch_size}: a contrast needs two pictures")
        if not 0 < self.learning_rate < 1:
            raise TrainingError(f"learning_rate must lie between 0 and 1, not {self.learning_rate}")
        if not 0 <= self.keep < 1:
            raise TrainingError(f"keep must be at least 0 and below 1, not {self.keep}")
        if self.precision not in ("auto", "float32", "bfloat16"):
            raise TrainingError(f"precision must be auto, float32 or bfloat16, not {self.precision!r}")
