"""Settings of a training run; written to `config.json`, so that the run can be repeated."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import TrainingError


@dataclass(frozen=True)
class TrainConfig:
    """Settings of one run.

    Learning rates are peaks of a one-cycle schedule. `image_cut` and `text_cut` are the numbers of frozen stages of the
    CNN and frozen layers of the text tower. The stages' output for each view is computed once and kept on disk; the
    text tower runs for every sentence, its frozen layers without dropout. Without `train_towers` vectors stay as they
    are, and only the reranker and its layers of the towers train.

    Each `*_weight` is that of one loss, which is not computed if it is 0; `whole_weight`, of the global match, is small
    because that loss falls fast and would shape the states to its own needs. `label_weight` is that of the same losses
    over single words (`labels.py`) relative to those over captions. Pictures come in groups of up to `group_size` with
    similar captions.
    `dataset_weights` says how often each training dataset's pictures are drawn in an epoch, once if it is empty.
    With `choose_best` the result is the epoch that validates best, else the last one.
    `keep` is the share of the starting weights in the result, so that fine-tuning forgets less (Wortsman et al.,
    https://arxiv.org/abs/2109.01903); above 0, a trained start also keeps its querybank and the weights of its
    calibration, which a small dataset cannot choose.
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
    label_weight: float = 0.5
    group_size: int = 1
    hard_negatives: int = 24
    dataset_weights: tuple[float, ...] = ()
    smallest_crop: float = 0.8
    region_dropout: float = 0.2
    word_dropout: float = 0.1
    average: float = 0.99
    keep: float = 0.0
    image_cut: int = 6
    text_cut: int = 4
    views: int = 4
    patience: int = 5
    choose_best: bool = True
    seed: int = 0
    precision: str = "auto"
    device: str = "auto"

    def __post_init__(self) -> None:
        """Refuse settings that cannot work."""
        for field in ("epochs", "captions_per_image", "views", "patience", "hard_negatives", "group_size"):
            if getattr(self, field) < 1:
                raise TrainingError(f"{field} must be at least 1, not {getattr(self, field)}")
        if self.batch_size < 2:
            raise TrainingError(f"batch_size must be at least 2, not {self.batch_size}: a contrast needs two pictures")
        if not all(0 < weight < float("inf") for weight in self.dataset_weights):
            raise TrainingError(f"dataset_weights must be above 0, not {', '.join(map(str, self.dataset_weights))}")
        if not 0 < self.learning_rate < 1:
            raise TrainingError(f"learning_rate must lie between 0 and 1, not {self.learning_rate}")
        if not 0 <= self.keep < 1:
            raise TrainingError(f"keep must be at least 0 and below 1, not {self.keep}")
        if self.precision not in ("auto", "float32", "bfloat16"):
            raise TrainingError(f"precision must be auto, float32 or bfloat16, not {self.precision!r}")
