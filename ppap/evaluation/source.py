"""A split, read batch by batch as the evaluation wants it: squares and their label maps."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor

from ppap.backbones import TrunkOutput
from ppap.checkpoints.opening import PUBLISHED_SIZE
from ppap.checks import check_count
from ppap.data import DataError, Dataset, square, square_labels

T = TypeVar("T")

# Side of the squares, in pixels.
SIZE = PUBLISHED_SIZE
BATCH = 8
# Threads that decode pictures; Pillow lets go of Python's lock while it works.
WORKERS = 2


@dataclass(frozen=True)
class Skipped:
    """An image that could not be read, and is not scored: ``Dataset.on_error`` says so."""

    index: int
    name: str
    reason: str


class EvaluationBatch(NamedTuple):
    """B labelled images."""

    inputs: Tensor | TrunkOutput
    """``(B, 3, S, S)`` in [0, 1], or what the backbone's trunk gave for them."""
    rgb: np.ndarray | None
    """uint8 ``(B, S, S, 3)`` of the same squares; only a CRF needs them."""
    labels: Tensor
    """int64 ``(B, S, S)``, −1 where void."""
    indices: tuple[int, ...]
    """Which items of the data set they are."""
    names: tuple[str, ...]
    skipped: tuple[Skipped, ...] = ()
    """Images that should have been among these."""


class Square(NamedTuple):
    """One labelled image as a square."""

    rgb: np.ndarray
    """uint8 ``(S, S, 3)``."""
    labels: np.ndarray
    """int64 ``(S, S)``, −1 where void."""
    skipped: str | None = None
    """Why the image could not be read, where another stands in for it, all void."""


def labelled(dataset: Dataset, indices: Sequence[int] | None = None) -> list[int]:
    """Those of ``indices`` (left out: of all items) that have a label map.

    Raises:
        DataError: none has.
        IndexError: there is no such item.
    """
    chosen = range(len(dataset)) if indices is None else indices
    for index in chosen:
        if not 0 <= index < len(dataset):
            raise IndexError(f"item {index} does not exist: {dataset.split} has {len(dataset)}")
    found = [index for index in chosen if dataset.items[index].labels is not None]
    if not found:
        raise DataError(
            dataset.root,
            f"has no label maps in its split '{dataset.split}', so there is nothing to score",
        )
    return found


def read_square(dataset: Dataset, index: int, size: int) -> Square:
    """One item as the evaluation sees it.

    Raises:
        DataError: it cannot be read, or has no label map; names the file.
    """
    example = dataset.load(index)
    if example.labels is None:
        raise DataError(dataset.items[index].image, "has no label map")
    labels = square_labels(example.labels, size, dataset.resizing)
    return Square(square(example.photo.rgb, size, dataset.resizing), labels, example.skipped)


def batches_of(
    dataset: Dataset,
    indices: Sequence[int],
    *,
    size: int = SIZE,
    batch: int = BATCH,
    workers: int = WORKERS,
) -> Generator[EvaluationBatch, None, None]:
    """The items, in their order, read a little ahead of where they are used.

    Args:
        dataset: items with label maps.
        indices: which, as of ``labelled``.
        size: side of the squares, in pixels.
        batch: images at a time.
        workers: threads that decode; 0 decodes in this one.

    Raises:
        DataError: an image or its label map cannot be read, when its turn comes; unless the data
            set skips those. Batches are smaller then, and one may be empty.
        ValueError: a count outside its range.
    """
    for name, value, least in (("size", size, 1), ("batch", batch, 1), ("workers", workers, 0)):
        check_count(name, value, least)
    read = partial(read_square, dataset, size=size)
    with closing(in_order(read, indices, ahead=2 * batch, workers=workers)) as squares:
        for start in range(0, len(indices), batch):
            some = tuple(indices[start : start + batch])
            parts = [(index, next(squares)) for index in some]
            yield batch_of(dataset, size, parts)


def batch_of(dataset: Dataset, size: int, parts: Sequence[tuple[int, Square]]) -> EvaluationBatch:
    """Squares as a batch, without those that only stand in for others."""
    skipped = tuple(
        Skipped(index, dataset.items[index].name, part.skipped)
        for index, part in parts
        if part.skipped is not None
    )
    kept = [(index, part) for index, part in parts if part.skipped is None]
    rgb, labels = np.zeros((0, size, size, 3), np.uint8), np.zeros((0, size, size), np.int64)
    if kept:
        rgb = np.stack([part.rgb for _, part in kept])
        labels = np.stack([part.labels for _, part in kept])
    indices = tuple(index for index, _ in kept)
    names = tuple(dataset.items[index].name for index in indices)
    return EvaluationBatch(as_images(rgb), rgb, torch.from_numpy(labels), indices, names, skipped)


def as_images(rgb: np.ndarray) -> Tensor:
    """uint8 ``(B, H, W, 3)`` → float32 ``(B, 3, H, W)`` in [0, 1]."""
    return torch.from_numpy(rgb).permute(0, 3, 1, 2).float().div_(255)


def in_order(
    read: Callable[[int], T], indices: Sequence[int], *, ahead: int, workers: int
) -> Generator[T, None, None]:
    """What ``read`` gives for each index, in their order.

    Args:
        read: called in the threads.
        indices: in which order.
        ahead: how many results may wait.
        workers: threads; 0 reads in this one, when the turn comes.
    """
    if not workers:
        yield from map(read, indices)
        return
    waiting: deque[Future[T]] = deque()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="decode")
    try:
        for index in indices:
            waiting.append(pool.submit(read, index))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        # Whoever stops half way waits for one image a thread, not for all that were asked for.
        pool.shutdown(wait=True, cancel_futures=True)
