"""Training over the processes that torchrun starts: each encodes its share of a batch, and all see the whole batch.

Vectors and states are gathered before the losses, so every picture is compared with the whole batch. Each process
computes its share of the loss, and the gradients of the shares add up to those of a single process. A single process
is a team of one, for which everything here does nothing.

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
"""How long the other processes wait while the first fills the cache or validates."""

T = TypeVar("T")


class Share(NamedTuple):
    """One process's part of a batch: consecutive pictures, and their captions."""

    pictures: slice
    captions: slice


def is_first_process() -> bool:
    """Whether this process is the one that writes and prints; always true without torchrun."""
    return _environment_number("RANK", 0) == 0


@dataclass(frozen=True)
class Team:
    """The processes that train one model together; `rank` counts from 0, the first one writes."""

    rank: int = 0
    size: int = 1

    def share(self, image_of: Tensor) -> Share:
        """Return the part of a batch's pictures, and of its captions (M,), that this process encodes."""
        pictures = int(image_of[-1]) + 1
        first, last = (pictures * rank // self.size for rank in (self.rank, self.rank + 1))
        start, end = torch.searchsorted(image_of, torch.tensor([first, last], device=image_of.device)).tolist()
        return Share(slice(first, last), slice(start, end))

    def gather(self, rows: Tensor, share: slice, total: int) -> Tensor:
        """Gather all rows (N, …) from each process's share (n, …); gradients flow back to where a row comes from."""
        if self.size == 1:
            return rows
        padding = [0, 0] * (rows.ndim - 1) + [share.start, total - share.stop]
        return cast(Tensor, _Sum.apply(F.pad(rows, padding)))

    def total(self, values: dict[str, Tensor]) -> dict[str, Tensor]:
        """Sum figures over all processes, without gradients."""
        if self.size == 1:
            return values
        summed = torch.stack([value.detach().float() for value in values.values()])
        dist.all_reduce(summed)
        return dict(zip(values, summed, strict=True))

    def add_gradients(self, parameters: Iterable[Tensor]) -> None:
        """Replace gradients with their sum over all processes."""
        if self.size == 1:
            return
        gradients = [p.grad for p in parameters if p.grad is not None]
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        dist.all_reduce(flat)
        parts = torch.split(flat, [gradient.numel() for gradient in gradients])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view(gradient.shape))

    def broadcast(self, work: Callable[[], T]) -> T:
        """Run `work` in the first process and return its result in all; if it fails, all stop.

        Raises:
            TrainingError: in the other processes, if the first failed; the first raises its own error.
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

    def seed_alike(self, seed: int) -> None:
        """Make the next random choices the same in all processes."""
        if self.size > 1:
            torch.manual_seed(seed)

    def seed_apart(self) -> None:
        """Make the next random choices different in each process; the first keeps its seed."""
        if self.rank:
            torch.manual_seed(torch.initial_seed() + 7919 * self.rank)


@contextmanager
def assemble_team(device: torch.device) -> Iterator[Team]:
    """Connect the processes that torchrun started; a team of one without torchrun.

    Raises:
        TrainingError: `WORLD_SIZE` is above 1, and the processes cannot connect.
    """
    size = _environment_number("WORLD_SIZE", 1)
    if size == 1:
        yield Team()
        return
    try:
        if device.type == "cuda":
            torch.cuda.set_device(_environment_number("LOCAL_RANK", 0))
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE)
    except (RuntimeError, ValueError) as exc:
        raise TrainingError(
            f"the {size} processes of WORLD_SIZE cannot connect ({exc}); start them with torchrun, or unset WORLD_SIZE"
        ) from exc
    try:
        yield Team(dist.get_rank(), size)
    finally:
        dist.destroy_process_group()
        gc.collect()  # gloo's threads abort the interpreter if they outlive it


class _Sum(torch.autograd.Function):
    """The sum over all processes; the gradients of all processes are summed likewise."""

    @staticmethod
    def forward(_context: Any, rows: Tensor) -> Tensor:  # noqa: ANN401  torch's own type is private
        total = rows.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(_context: Any, gradient: Tensor) -> Tensor:  # noqa: ANN401  as above
        total = gradient.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total


def _environment_number(name: str, default: int) -> int:
    """Read a number from the environment that torchrun sets."""
    return int(os.environ.get(name, default))
