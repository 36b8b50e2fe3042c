"""Which images make which step, and how they come: decoded, or from the cached features."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
import time
import warnings
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from ppap.backbones import TrunkOutput
from ppap.data import VOID, DataError, Dataset, square, square_labels
from ppap.data.base import Items
from ppap.data.crops import CROPS
from ppap.data.crops import LAYOUT as CROPPED
from ppap.settings import SettingError
from trainers.cache import CachedBatch, CacheError, FeatureCache
from trainers.cache.left_out import leave_out
from trainers.training.chance import generator
from trainers.training.packing import Packed

logger = logging.getLogger("trainers")

# Batches that a thread reads ahead from the cached features.
AHEAD = 2
# Between two looks whether the trainer is still there.
LOOK_SECONDS = 1.0


class TrainingBatch(NamedTuple):
    """B images of one step."""

    inputs: Tensor | TrunkOutput
    """uint8 ``(B, 3, S, S)``, or what the trunk gave for them."""
    frozen: Tensor | None
    """The backbone's own features ``(B, h, w, D)``, where they were kept."""
    labels: Tensor | None
    """int64 ``(B, S, S)``, −1 where void; None where nothing is labelled."""
    indices: Tensor
    """Which images these are, int64 ``(B,)``."""
    skipped: tuple[str, ...] = ()
    """Why images of these could not be read: others stand in for them, without labels."""


class Source(Protocol):
    """Anything that gives batches by the indices of their images."""

    def __len__(self) -> int: ...

    def batch(self, indices: Sequence[int]) -> TrainingBatch:
        """The images ``indices``, in this order."""


@dataclass(frozen=True, eq=False)
class DecodedSource:
    """Images decoded and resized anew every time."""

    dataset: Dataset
    size: int
    labelled: bool = True
    """Whether any image has a label map; if none has, there are no labels, as from the cache."""

    def __len__(self) -> int:
        return len(self.dataset)

    def batch(self, indices: Sequence[int]) -> TrainingBatch:
        """See ``Source``; DataError names a file that cannot be read."""
        images, labels, skipped = [], [], []
        how = self.dataset.resizing
        for index in indices:
            example = self.dataset.load(index)
            images.append(square(example.photo.rgb, self.size, how))
            if example.skipped is not None:
                skipped.append(example.skipped)
            if example.labels is None:
                labels.append(np.full((self.size, self.size), VOID, np.int64))
            else:
                labels.append(square_labels(example.labels, self.size, how))
        rgb = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)
        known = torch.from_numpy(np.stack(labels)) if self.labelled else None
        return TrainingBatch(rgb, None, known, torch.tensor(indices), tuple(skipped))


@dataclass(frozen=True, eq=False)
class CachedSource:
    """Images whose trunk's output was computed before."""

    cache: FeatureCache

    def __len__(self) -> int:
        return len(self.cache)

    def batch(self, indices: Sequence[int]) -> TrainingBatch:
        """See ``Source``; CacheError where the stored numbers are damaged."""
        return from_cache(self.cache.batch(indices))


def from_cache(kept: CachedBatch) -> TrainingBatch:
    """A batch of the cache as one of training."""
    return TrainingBatch(kept.trunk, kept.frozen, kept.labels, kept.indices)


def steps_in_epoch(images: int, batch: int) -> int:
    """Whole batches; what is left of an epoch is dropped, as in the published training.

    Raises:
        SettingError: there are fewer images than a batch needs.
    """
    if images < batch:
        raise SettingError(
            "batch",
            f"A batch of {batch} is more than the {images} training images: use batch={images} or "
            "less.",
        )
    return images // batch


def order_of(images: int, seed: int, epoch: int) -> list[int]:
    """The images of an epoch in their order, by chance."""
    order: list[int] = torch.randperm(images, generator=generator(seed, "order", epoch)).tolist()
    return order


def batches(
    images: int, batch: int, *, seed: int, epoch: int, first: int = 0, part: slice = slice(None)
) -> list[list[int]]:
    """Indices of every step of an epoch from step ``first`` on; of each only ``part``."""
    order = order_of(images, seed, epoch)
    steps = steps_in_epoch(images, batch)
    return [order[step * batch : (step + 1) * batch][part] for step in range(first, steps)]


class _ByBatch(torch.utils.data.Dataset[TrainingBatch | Exception | Packed]):
    """Lets a DataLoader ask for whole batches; ``packed`` where they go to another process."""

    def __init__(
        self, source: Source, wanted: Sequence[Sequence[int]], *, packed: bool = False
    ) -> None:
        self.source, self.wanted, self.packed = source, wanted, packed

    def __len__(self) -> int:
        return len(self.wanted)

    def __getitem__(self, index: int) -> TrainingBatch | Exception | Packed:
        try:
            batch = self.source.batch(self.wanted[index])
            return Packed(batch) if self.packed else batch
        except (DataError, CacheError) as error:
            # Handed over like a batch: a DataLoader would raise it as something else.
            return error


def _as_it_is(batch: Any) -> Any:
    """A batch is made already; PyTorch's own way would turn its tuples into lists."""
    return batch


def _begin_worker(_: int) -> None:
    """One thread, and no ear for signals to the whole family: the trainer says when to end.

    Ctrl+C, a closed terminal, ``timeout`` and batch systems send theirs to all processes of a run.
    Were the readers to die of it, the trainer could not finish its step and write a checkpoint.
    """
    torch.set_num_threads(1)
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    if hasattr(signal, "sigtimedwait"):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    trainer = multiprocessing.parent_process()
    assert trainer is not None
    threading.Thread(target=_end_with, args=(trainer.pid,), daemon=True).start()


def _end_with(trainer: int) -> None:
    """End when the trainer says so, or is gone: killed, or for want of memory.

    PyTorch looks for that as well, but not while a batch waits in a full pipe, of which this
    process itself holds the other end. It would wait for ever.
    """
    while os.getppid() == trainer:
        if not hasattr(signal, "sigtimedwait"):
            time.sleep(LOOK_SECONDS)
            continue
        told = signal.sigtimedwait({signal.SIGTERM}, LOOK_SECONDS)
        if told is not None and told.si_pid == trainer:
            break
    os._exit(0)


def load(
    source: Source, wanted: Sequence[Sequence[int]], *, workers: int, pin: bool = False
) -> Generator[TrainingBatch, None, None]:
    """The batches with these indices, read ahead by ``workers`` processes (0: in this one).

    Cached features are read ahead by a thread instead, which is enough for them. What comes does
    not depend on ``workers``.

    Raises:
        DataError, CacheError: an image cannot be read, when its turn comes.
    """
    if not wanted:
        return
    if isinstance(source, CachedSource):
        with closing(source.cache.batches(wanted, ahead=AHEAD if workers else 0, pin=pin)) as kept:
            yield from map(from_cache, kept)
        return
    found = _reading(source, wanted, min(workers, len(wanted)), pin)
    try:
        for batch in found:
            if isinstance(batch, Exception):
                raise batch
            if isinstance(batch, Packed):
                batch = batch.unpacked()
            for reason in batch.skipped:
                leave_out(reason)
            yield batch
    finally:
        # Or the processes would live as long as the traceback of an error does.
        del found


def _reading(
    source: Source, wanted: Sequence[Sequence[int]], workers: int, pin: bool
) -> Iterator[Any]:
    """Begin to read, with as many processes; in this one where the system lets none be started."""
    with warnings.catch_warnings():
        # How many are worth having beside how many cores, our users decide.
        warnings.filterwarnings("ignore", "This DataLoader will create")
        loader = DataLoader(
            _ByBatch(source, wanted, packed=workers > 0),
            batch_size=None,
            num_workers=workers,
            pin_memory=pin,
            collate_fn=_as_it_is,
            worker_init_fn=_begin_worker,
        )
        try:
            return iter(loader)
        except OSError as error:
            if not workers:
                raise
            tell_alone(error.strerror or str(error))
            return _reading(source, wanted, 0, pin)


@cache
def tell_alone(reason: str) -> None:
    """Put into the log that no other process reads images; not again in every epoch."""
    logger.warning(
        "No processes for reading images can be started (%s), so this process reads them itself, "
        "which is slower. In a container, /dev/shm may be full or missing.",
        reason,
    )


class Divided(NamedTuple):
    """A split cut in two."""

    training: Dataset
    held_out: Dataset


def hold_out(dataset: Dataset, share: float, seed: int) -> Divided:
    """Cut a share of the images off for selection, by chance but the same for a seed.

    Of a data set that consists of five crops of every picture, whole pictures are cut off.

    Raises:
        DataError: nothing would be left on one side.
    """
    crops = dataset.name == CROPPED.kind
    picture_of = [
        int(item.name) // len(CROPS) if crops else index for index, item in enumerate(dataset.items)
    ]
    pictures = sorted(set(picture_of))
    count = round(len(pictures) * share)
    if not 0 < count < len(pictures):
        raise DataError(
            dataset.root,
            f"has {len(pictures)} training images: {share:g} of them leave none to "
            f"{'hold out' if count < 1 else 'train on'}",
        )
    order = torch.randperm(len(pictures), generator=generator(seed, "held out")).tolist()
    held = {pictures[place] for place in order[:count]}
    kept, cut = (
        [index for index, picture in enumerate(picture_of) if (picture in held) is wanted]
        for wanted in (False, True)
    )
    return Divided(subset(dataset, kept), subset(dataset, cut))


def subset(dataset: Dataset, indices: Sequence[int]) -> Dataset:
    """Only the items ``indices`` of a data set, in this order."""
    return replace(dataset, items=Items(list(indices), dataset.items.__getitem__))
