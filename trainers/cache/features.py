"""Cached features, read: batches by image number, every row checked against its checksum."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ppap.backbones import Grid, TrunkOutput
from trainers.cache.build import Builder
from trainers.cache.errors import CacheError
from trainers.cache.locks import Lock
from trainers.cache.plan import CachePlan, as_trunk
from trainers.cache.rows import Rows

logger = logging.getLogger(__name__)


class CachedBatch(NamedTuple):
    """B images, ready for ``Segmenter.forward_training``."""

    trunk: TrunkOutput
    """float16 on the CPU."""
    frozen: Tensor | None
    """The backbone's own features, float16 ``(B, h, w, D)``; None where they are not kept."""
    rgb: Tensor | None
    """The squares, uint8 ``(B, S, S, 3)``; None unless they were asked for."""
    labels: Tensor | None
    """int64 ``(B, S, S)``, −1 where void; None where no image of the data set has a label map. An
    image without one among others that have is void everywhere."""
    indices: Tensor
    """Which items of the data set, int64 ``(B,)``."""


class FeatureCache:
    """The features of one data set; from ``open_cache``. To be closed, or used with ``with``.

    Every row is checked against its checksum whenever it is read, which costs a hundredth of a
    training step at most. A row that is not what was written is worked out again, from the same
    batch as before, written in its place, and a warning is logged: a long run need not end for a
    page of a disk, and gets the numbers it would have got.

    It can be pickled, for loader processes; the copies count on the original to stay open. There
    is little for them to do: ``batches`` reads ahead in a thread.
    """

    def __init__(self, plan: CachePlan, rows: Rows, builder: Builder, in_use: Lock | None) -> None:
        self.plan = plan
        self._rows = rows
        self._builder = builder
        self._in_use = in_use
        self._closed = False

    def __reduce__(self) -> tuple[object, ...]:
        return FeatureCache, (self.plan, self._rows, self._builder, None)

    def __len__(self) -> int:
        return self.plan.images

    @property
    def grid(self) -> Grid:
        """Patches of a square."""
        return self.plan.grid

    def batch(self, indices: Sequence[int] | Tensor) -> CachedBatch:
        """The images of these numbers, in this order; they may come twice.

        Raises:
            IndexError: there is no such image.
            ValueError: the cache is closed.
            CacheError: a row is damaged and cannot be worked out again; names the file.
        """
        if self._closed:
            raise ValueError(f"the cache in {self.plan.folder} is closed")
        chosen = torch.as_tensor(indices, dtype=torch.int64).reshape(-1)
        outside = (chosen < 0) | (chosen >= len(self))
        if outside.any():
            raise IndexError(
                f"image {int(chosen[outside][0])} does not exist: the cache holds "
                f"{len(self)}, from 0"
            )
        row = self.plan.row
        values: dict[str, np.ndarray] = {
            name: np.empty((len(chosen), *row[name].shape), row[name].base)
            for name in row.names or ()
        }
        # In the order of the disk, whatever the order they are wanted in.
        for place in chosen.argsort(stable=True).tolist():
            index = int(chosen[place])
            if not self._rows.is_whole(index):
                self._restore(index)
            self._rows.copy(index, values, place)
        parts = {name: torch.from_numpy(part) for name, part in values.items()}
        labels = parts.get("labels")
        return CachedBatch(
            trunk=as_trunk(parts["tokens"], parts.get("beside"), self.grid),
            frozen=parts.get("frozen"),
            rgb=parts.get("rgb"),
            labels=None if labels is None else labels.long(),
            indices=chosen,
        )

    def batches(
        self, lists: Iterable[Sequence[int] | Tensor], *, ahead: int = 2, pin: bool = False
    ) -> Generator[CachedBatch, None, None]:
        """One batch for each of several lists of numbers, read a little before it is wanted.

        Args:
            lists: as for ``batch``.
            ahead: batches that may wait in memory; 0 reads each when its turn comes.
            pin: into memory that a GPU can read by itself.

        Raises:
            IndexError, CacheError: as ``batch``, when its turn comes.
        """

        def read(indices: Sequence[int] | Tensor) -> CachedBatch:
            found = self.batch(indices)
            return pinned(found) if pin else found

        if not ahead:
            yield from map(read, lists)
            return
        waiting: deque[Future[CachedBatch]] = deque()
        pool = ThreadPoolExecutor(1, thread_name_prefix="cache")
        try:
            for indices in lists:
                waiting.append(pool.submit(read, indices))
                if len(waiting) > ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _restore(self, index: int) -> None:
        """Work a damaged row out again."""
        # Another process may have done so already.
        self._rows.refresh()
        if self._rows.is_whole(index):
            return
        was, file = int(self._rows.checksums[index]), self._rows.folder
        try:
            self._builder.compute(index)
        except Exception as error:
            raise CacheError(
                f"the features of image {index} in {file} are damaged, and cannot be computed "
                f"again: {error}. Remove that folder, or switch the cache off"
            ) from error
        same = "identically" if int(self._rows.checksums[index]) == was else "to within rounding"
        logger.warning(
            "The features of image %d in %s were damaged on the disk. They were computed again, "
            "%s. If this happens again, the disk may be failing.",
            index,
            file,
            same,
        )

    def close(self) -> None:
        """Let others remove the cache; a second time does nothing."""
        self._closed = True
        if self._in_use is not None:
            self._in_use.touch()
            self._in_use.release()
            self._in_use = None

    def __enter__(self) -> FeatureCache:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def pinned(batch: CachedBatch) -> CachedBatch:
    """The same in page-locked memory; what a network does not need stays where it is."""
    tokens, beside, grid = batch.trunk
    trunk = TrunkOutput(tokens.pin_memory(), None if beside is None else beside.pin_memory(), grid)
    frozen, labels = (None if x is None else x.pin_memory() for x in (batch.frozen, batch.labels))
    return batch._replace(trunk=trunk, frozen=frozen, labels=labels)
