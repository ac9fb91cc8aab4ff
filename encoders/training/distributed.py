"""Training over several processes, as torchrun starts them: each encodes its share of a batch, and all see the whole.

Vectors and states are gathered before anything is compared, so a picture is held against the whole batch. Each
process works out its share of the loss, and the gradients of the shares add up to those of a single process. A
single process is a team of one, for which everything here does nothing.

Source: https://docs.pytorch.org/docs/stable/distributed.html, https://docs.pytorch.org/docs/stable/elastic/run.html.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NamedTuple, TypeVar, cast

import torch
import torch.nn.functional as F  # noqa: N812  torch's own convention
from torch import Tensor
from torch import distributed as dist

from ..errors import TrainingError

PATIENCE = timedelta(days=1)
"""How long the others wait while the first fills the cache or validates."""

T = TypeVar("T")


class Share(NamedTuple):
    """One process's part of a batch: neighbouring pictures, and their captions."""

    pictures: slice
    captions: slice


def is_first_process() -> bool:
    """Whether this process is the one that writes and prints; always so without torchrun."""
    return _number("RANK", 0) == 0


@dataclass(frozen=True)
class Team:
    """The processes that train one model together; `rank` counts from 0, the first one writes."""

    rank: int = 0
    size: int = 1

    def share(self, image_of: Tensor) -> Share:
        """Which of a batch's pictures, and which of its captions (M,), this process encodes."""
        pictures = int(image_of[-1]) + 1
        first, last = (pictures * rank // self.size for rank in (self.rank, self.rank + 1))
        start, end = torch.searchsorted(image_of, torch.tensor([first, last], device=image_of.device)).tolist()
        return Share(slice(first, last), slice(start, end))

    def gather(self, own: Tensor, place: slice, total: int) -> Tensor:
        """Everybody's rows: own ones (n, …), at their place in the whole (N, …); gradients flow back to their owner."""
        if self.size == 1:
            return own
        padding = [0, 0] * (own.ndim - 1) + [place.start, total - place.stop]
        return cast(Tensor, _Sum.apply(F.pad(own, padding)))

    def total(self, values: dict[str, Tensor]) -> dict[str, Tensor]:
        """Add up everybody's share of some figures, outside of the gradient."""
        if self.size == 1:
            return values
        summed = torch.stack([value.detach().float() for value in values.values()])
        dist.all_reduce(summed)
        return dict(zip(values, summed, strict=True))

    def add_gradients(self, parameters: Iterable[Tensor]) -> None:
        """Let every process have the sum of all gradients."""
        if self.size == 1:
            return
        gradients = [p.grad for p in parameters if p.grad is not None]
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        dist.all_reduce(flat)
        parts = torch.split(flat, [gradient.numel() for gradient in gradients])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view(gradient.shape))

    def broadcast(self, work: Callable[[], T]) -> T:
        """Run `work` in the first process and return its result in all; where it fails, all stop.

        Raises:
            TrainingError: in the others, when the first failed; there its own error.
        """
        if self.size == 1:
            return work()
        message: list[Any] = [None, None]
        try:
            if self.rank == 0:
                message[0] = work()
        except Exception as exc:
            dist.broadcast_object_list([None, str(exc) or type(exc).__name__])
            raise
        dist.broadcast_object_list(message)
        if message[1] is not None:
            raise TrainingError(f"the first process stopped: {message[1]}")
        return cast(T, message[0])

    def agree(self, seed: int) -> None:
        """Make the next random choices the same everywhere."""
        if self.size > 1:
            torch.manual_seed(seed)

    def differ(self) -> None:
        """Make the next random choices each process's own; the first goes on as it was."""
        if self.rank:
            torch.manual_seed(torch.initial_seed() + 7919 * self.rank)


@contextmanager
def assemble_team(device: torch.device) -> Iterator[Team]:
    """Meet the other processes that torchrun started; a team of one where there are none.

    Raises:
        TrainingError: the environment speaks of others, and they cannot be met.
    """
    size = _number("WORLD_SIZE", 1)
    if size == 1:
        yield Team()
        return
    try:
        if device.type == "cuda":
            torch.cuda.set_device(_number("LOCAL_RANK", 0))
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE)
    except (RuntimeError, ValueError) as exc:
        raise TrainingError(
            f"the {size} processes of WORLD_SIZE cannot meet ({exc}); start them with torchrun, or unset WORLD_SIZE"
        ) from exc
    try:
        yield Team(dist.get_rank(), size)
    finally:
        dist.destroy_process_group()
        gc.collect()  # gloo's threads must be gone before the interpreter is, else they abort it


class _Sum(torch.autograd.Function):
    """The sum over all processes; the gradient of what each made of it is summed likewise."""

    @staticmethod
    def forward(_context: Any, own: Tensor) -> Tensor:  # noqa: ANN401  torch's own type is private
        whole = own.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(whole)
        return whole

    @staticmethod
    def backward(_context: Any, gradient: Tensor) -> Tensor:  # noqa: ANN401  as above
        whole = gradient.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(whole)
        return whole


def _number(name: str, otherwise: int) -> int:
    """A figure of torchrun's environment."""
    return int(os.environ.get(name, otherwise))
