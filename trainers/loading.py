"""Which images make which step, and how they come: decoded, or from the cached features."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from ppap.backbones import TrunkOutput
from ppap.data import VOID, DataError, Dataset, square, square_labels
from ppap.data.base import Items
from ppap.settings import SettingError
from trainers.cache import FeatureCache
from trainers.chance import generator


class TrainingBatch(NamedTuple):
    """B images of one step."""

    inputs: Tensor | TrunkOutput
    """uint8 ``(B, 3, S, S)``, or what the trunk gave for them."""
    frozen: Tensor | None
    """The backbone's own features ``(B, h, w, D)``, where they were kept."""
    labels: Tensor | None
    """int64 ``(B, S, S)``, −1 where void; None where nothing is labelled."""
    indices: Tensor


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

    def __len__(self) -> int:
        return len(self.dataset)

    def batch(self, indices: Sequence[int]) -> TrainingBatch:
        """See ``Source``; DataError names a file that cannot be read."""
        images, labels = [], []
        for index in indices:
            example = self.dataset.load(index)
            images.append(square(example.photo.rgb, self.size))
            if example.labels is None:
                labels.append(np.full((self.size, self.size), VOID, np.int64))
            else:
                labels.append(square_labels(example.labels, self.size))
        rgb = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)
        known = torch.from_numpy(np.stack(labels)) if self.dataset.classes else None
        return TrainingBatch(rgb, None, known, torch.tensor(indices))


@dataclass(frozen=True, eq=False)
class CachedSource:
    """Images whose trunk's output was computed before."""

    cache: FeatureCache

    def __len__(self) -> int:
        return len(self.cache)

    def batch(self, indices: Sequence[int]) -> TrainingBatch:
        """See ``Source``; CacheError where the stored numbers are damaged."""
        kept = self.cache.batch(indices)
        return TrainingBatch(kept.trunk, kept.frozen, kept.labels, kept.indices)


def steps_in_epoch(images: int, batch: int) -> int:
    """Whole batches; what is left of an epoch is dropped, as in the published training.

    Raises:
        SettingError: there are fewer images than a batch needs.
    """
    if images < batch:
        raise SettingError(
            "batch",
            f"A batch of {batch} needs more than the {images} training images there are: "
            f"use batch={images} or less.",
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


class _ByBatch(torch.utils.data.Dataset[TrainingBatch]):
    """Lets a DataLoader ask for whole batches."""

    def __init__(self, source: Source, wanted: Sequence[Sequence[int]]) -> None:
        self.source, self.wanted = source, wanted

    def __len__(self) -> int:
        return len(self.wanted)

    def __getitem__(self, index: int) -> TrainingBatch:
        return self.source.batch(self.wanted[index])


def _one_thread(_: int) -> None:
    torch.set_num_threads(1)


def load(
    source: Source, wanted: Sequence[Sequence[int]], *, workers: int, pin: bool = False
) -> Iterator[TrainingBatch]:
    """The batches with these indices, read ahead by ``workers`` processes (0: in this one).

    What comes does not depend on ``workers``.

    Raises:
        DataError: an image cannot be read, when its turn comes.
    """
    if not wanted:
        return
    loader = DataLoader(
        _ByBatch(source, wanted),
        batch_size=None,
        num_workers=min(workers, len(wanted)),
        pin_memory=pin,
        worker_init_fn=_one_thread,
    )
    yield from loader


class Divided(NamedTuple):
    """A split cut in two."""

    training: Dataset
    held_out: Dataset | None


def hold_out(dataset: Dataset, share: float, seed: int) -> Divided:
    """Cut a share of the images off for selection, by chance but the same for a seed.

    Raises:
        DataError: nothing would be left on one side.
    """
    count = round(len(dataset) * share)
    if not 0 < count < len(dataset):
        raise DataError(
            dataset.root,
            f"has {len(dataset)} training images: {share:g} of them leave none to "
            f"{'hold out' if count < 1 else 'train on'}",
        )
    order = torch.randperm(len(dataset), generator=generator(seed, "held out")).tolist()
    held = sorted(order[:count])
    kept = sorted(order[count:])
    return Divided(subset(dataset, kept), subset(dataset, held))


def subset(dataset: Dataset, indices: Sequence[int]) -> Dataset:
    """Only the items ``indices`` of a data set, in this order."""
    return replace(dataset, items=Items(list(indices), dataset.items.__getitem__))
