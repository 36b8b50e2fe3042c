"""Squares → trunk → rows on the disk: what is missing of a cache is worked out and stored."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ppap.backbones import Backbone
from ppap.data import VOID, Dataset, square, square_labels
from ppap.evaluation.source import as_images
from trainers.cache.errors import CacheError, CacheStoppedError
from trainers.cache.left_out import leave_out
from trainers.cache.plan import CachePlan, computed
from trainers.cache.rows import Rows

Progress = Callable[[int, int], None]
Stopped = Callable[[], bool]


class Square(NamedTuple):
    """One image as training sees it."""

    rgb: np.ndarray
    """uint8 ``(S, S, 3)``."""
    labels: np.ndarray | None
    """Class ids int64 ``(S, S)``, −1 where void; None without a label map."""


def read_square(dataset: Dataset, index: int, size: int) -> Square:
    """Decode and cut one item.

    Raises:
        DataError: it cannot be read; names the file.
    """
    example = dataset.load(index)
    labels = example.labels
    if example.skipped is not None:
        leave_out(example.skipped)
    return Square(
        square(example.photo.rgb, size, dataset.resizing),
        None if labels is None else square_labels(labels, size, dataset.resizing),
    )


class Builder:
    """Works out rows of a cache.

    Images go through the backbone in blocks that always begin at multiples of ``batch``: the last
    bits of a feature depend on what else is in its batch, so a cache that was built in two goes, or
    a row that is worked out again, equals one built in one go.
    """

    def __init__(
        self, plan: CachePlan, rows: Rows, dataset: Dataset, backbone: Backbone, batch: int
    ) -> None:
        self.plan, self.rows = plan, rows
        self.dataset, self.backbone = dataset, backbone
        self.batch = batch

    def block(self, index: int) -> range:
        """The images that go through the backbone with this one."""
        start = index // self.batch * self.batch
        return range(start, min(start + self.batch, self.plan.images))

    def compute(self, index: int) -> None:
        """Work one row out, again or for the first time, and store it."""
        block = self.block(index)
        values = self.values(block, [self.read(i) for i in block])
        self.rows.store(np.array([index]), values[index - block.start :][:1])

    def build(self, workers: int, progress: Progress | None, stopped: Stopped | None) -> None:
        """Work out and store all rows that are missing; images are decoded by other threads.

        Raises:
            CacheStoppedError, CacheError, DataError: as ``open_cache``.
        """
        missing = self.rows.missing()
        starts = np.unique(missing // self.batch) * self.batch
        done = self.plan.images - len(missing)
        blocks = [self.block(int(start)) for start in starts]
        with closing(self._decoded(blocks, workers)) as decoded:
            for block in blocks:
                if stopped is not None and stopped():
                    raise CacheStoppedError(
                        f"stopped with {done:,} of {self.plan.images:,} images in the cache"
                    )
                values = self.values(block, [next(decoded) for _ in block])
                wanted = missing[(missing >= block.start) & (missing < block.stop)]
                self.rows.store(wanted, values[wanted - block.start])
                done += len(wanted)
                if progress is not None:
                    progress(done, self.plan.images)
        self.rows.sync()

    def read(self, index: int) -> Square:
        """One image, cut to this cache's size."""
        return read_square(self.dataset, index, self.plan.size)

    def values(self, block: range, squares: list[Square]) -> np.ndarray:
        """The rows of a block, ``(B,)`` of the plan's row type.

        Raises:
            CacheError: a feature that half precision cannot hold.
        """
        names = self.plan.row.names or ()
        rgb = np.stack([each.rgb for each in squares])
        found = computed(self.backbone, as_images(rgb), frozen="frozen" in names)
        values = np.zeros(len(squares), self.plan.row)
        for name, part in found._asdict().items():
            if part is not None and name in names:
                self._check(part, block)
                values[name] = part.numpy()
        if "rgb" in names:
            values["rgb"] = rgb
        if "labels" in names:
            for row, each in zip(values, squares, strict=True):
                row["labels"] = VOID if each.labels is None else each.labels
        return values

    def _check(self, part: Tensor, block: range) -> None:
        bad = ~torch.isfinite(part).flatten(1).all(dim=1)
        if bad.any():
            image = self.dataset.items[block[int(bad.nonzero()[0])]].image
            raise CacheError(
                f"features of {image} are too large for half precision (65,504), or NaN: switch "
                f"the cache off for the backbone {self.plan.backbone}"
            )

    def _decoded(self, blocks: Iterable[range], workers: int) -> Generator[Square, None, None]:
        """Squares in order, decoded up to two blocks before they are wanted."""
        waiting: deque[Future[Square]] = deque()
        pool = ThreadPoolExecutor(workers, thread_name_prefix="decode")
        try:
            for block in blocks:
                waiting.extend(pool.submit(self.read, index) for index in block)
                while len(waiting) > 2 * self.batch:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            # Whoever stops half way waits for one image a thread, not for all that were asked for.
            pool.shutdown(wait=True, cancel_futures=True)
