"""Many processes of a run in one, as threads: PyTorch's collectives are played with barriers.

Real ones cost a second and 300 MB each. What is sent is counted as PyTorch is given it.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import Queue
from typing import Any, NamedTuple, TypeVar
from unittest import mock

import torch
import torch.distributed as dist
from torch import Tensor

from trainers.training.distributed import World

Found = TypeVar("Found")
LIMIT_SECONDS = 60


class Op(NamedTuple):
    """Something to send or to receive."""

    op: Any
    tensor: Tensor
    peer: int


class Received:
    """A tensor on its way."""

    def __init__(self, queue: Queue[Tensor], into: Tensor) -> None:
        self.queue, self.into = queue, into

    def wait(self) -> None:
        """Until it is there."""
        self.into.copy_(self.queue.get(timeout=LIMIT_SECONDS))


class Processes:
    """The collectives of ``size`` processes, each a thread of this one."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.barrier = threading.Barrier(size, timeout=LIMIT_SECONDS)
        self.own = threading.local()
        self.shown: list[Tensor] = [torch.empty(0)] * size
        self.boxes: dict[tuple[int, int, int], Queue[Tensor]] = {}
        self.lock = threading.Lock()
        self.posted: Counter[tuple[str, int, int]] = Counter()
        self.sent = [{"gathered": 0, "reduced": 0, "handed": 0} for _ in range(size)]

    @property
    def rank(self) -> int:
        """Of the process that asks."""
        found: int = self.own.rank
        return found

    def all_shown(self, tensor: Tensor) -> list[Tensor]:
        """What all processes show at this moment."""
        self.shown[self.rank] = tensor.clone()
        self.barrier.wait()
        found = list(self.shown)
        self.barrier.wait()
        return found

    def all_gather(self, parts: list[Tensor], own: Tensor) -> None:
        """As PyTorch's."""
        self.sent[self.rank]["gathered"] += own.nbytes
        for part, theirs in zip(parts, self.all_shown(own), strict=True):
            part.copy_(theirs)

    def all_reduce(self, tensor: Tensor, op: Any = dist.ReduceOp.SUM) -> None:
        """As PyTorch's; single numbers are not counted."""
        self.sent[self.rank]["reduced"] += tensor.nbytes if tensor.ndim == 2 else 0
        every = torch.stack(self.all_shown(tensor))
        tensor.copy_(every.amax(dim=0) if op == dist.ReduceOp.MAX else every.sum(dim=0))

    def batch_isend_irecv(self, ops: list[Op]) -> list[Received]:
        """As PyTorch's; what is sent is there at once."""
        found = []
        for one in ops:
            if one.op is dist.isend:
                self.sent[self.rank]["handed"] += one.tensor.nbytes
                self._box("sent", self.rank, one.peer).put(one.tensor.clone())
            else:
                box = self._box("awaited", one.peer, self.rank)
                found.append(Received(box, one.tensor))
        return found

    def _box(self, kind: str, sender: int, receiver: int) -> Queue[Tensor]:
        """Where the next message between two is left: they are paired in the order in which they
        are asked for, whoever waits first."""
        with self.lock:
            self.posted[kind, sender, receiver] += 1
            number = self.posted[kind, sender, receiver]
            return self.boxes.setdefault((sender, receiver, number), Queue())

    @contextmanager
    def instead(self) -> Iterator[None]:
        """Meanwhile these are PyTorch's."""
        with mock.patch.multiple(
            dist,
            all_gather=self.all_gather,
            all_reduce=self.all_reduce,
            batch_isend_irecv=self.batch_isend_irecv,
            P2POp=Op,
        ):
            yield


def in_processes(size: int, work: Callable[[World], Found]) -> tuple[list[Found], Processes]:
    """What ``work`` gives in each of ``size`` processes, and what they sent.

    What one of them raises, this does.
    """
    processes = Processes(size)
    found: dict[int, Found] = {}
    errors: list[BaseException] = []

    def run(rank: int) -> None:
        processes.own.rank = rank
        try:
            found[rank] = work(World(rank, size, rank, torch.device("cpu")))
        except BaseException as error:
            errors.append(error)
            processes.barrier.abort()

    threads = [threading.Thread(target=run, args=(rank,), daemon=True) for rank in range(size)]
    with processes.instead():
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(LIMIT_SECONDS)
    if errors:
        raise errors[0]
    return [found[rank] for rank in range(size)], processes


class Arrived(NamedTuple):
    """A message that is there already."""

    def wait(self) -> None:
        """Nothing to wait for."""


@contextmanager
def one_of_many() -> Iterator[None]:
    """Meanwhile this process is one of many whose messages are all its own: for its memory."""

    def all_gather(parts: list[Tensor], own: Tensor) -> None:
        for part in parts:
            part.copy_(own)

    def batch_isend_irecv(ops: list[Op]) -> list[Arrived]:
        leaving = [one.tensor for one in ops if one.op is dist.isend]
        coming = [one.tensor for one in ops if one.op is not dist.isend]
        for here, there in zip(leaving, coming, strict=True):
            there.copy_(here)
        return [Arrived()]

    with mock.patch.multiple(
        dist,
        all_gather=all_gather,
        all_reduce=lambda tensor, *_: None,
        batch_isend_irecv=batch_isend_irecv,
        P2POp=Op,
    ):
        yield
