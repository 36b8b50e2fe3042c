"""The images of a study, read batch by batch; pictures are let go of once they are embedded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from torch import Tensor

from ppap.backbones import Backbone, Grid
from ppap.batches import make_batch, squared
from ppap.data import DataError, Dataset, Example

# With more that cannot be read it is the data set that is wrong, not a file here and there.
MOST_UNREADABLE = 20
TOLD = 5


class Embedded(NamedTuple):
    """A batch without its pictures: what a study goes on with."""

    names: tuple[str, ...]
    indices: list[int]
    """Which items of the data set, ascending."""
    features: Tensor
    """As ``Batch.features``."""
    labels: Tensor | None
    """As ``Batch.labels``."""
    grids: tuple[Grid, ...]
    """As ``Batch.grids``."""


class Drawn(NamedTuple):
    """Which images are looked at."""

    batches: list[list[int]]
    """Ascending in each."""
    spare: list[int]
    """All others, in the order in which they stand in for images that cannot be read."""


def draw_images(images: int, batches: int, count: int, seed: int) -> Drawn:
    """Draw ``batches`` of ``images`` out of ``count`` at random."""
    chosen = np.random.default_rng(seed).permutation(count).tolist()
    lists = [sorted(chosen[i : i + images]) for i in range(0, count, images)]
    # A last batch of few images would have other cosines than the rest.
    whole = ([each for each in lists if len(each) == images] or lists[:1])[:batches]
    return Drawn(whole, chosen[sum(map(len, whole)) :])


def read_batches(
    dataset: Dataset,
    drawn: Drawn,
    backbone: Backbone,
    size: int,
    left_out: list[DataError],
    progress: Callable[[int], None],
) -> Iterator[Embedded]:
    """Read and embed one batch after another.

    An image that cannot be read is left out, and another one drawn in its place while there is one.

    Args:
        dataset: what the images are of.
        drawn: which they are.
        backbone: what embeds them.
        size: side of the squares in pixels, to which each is cut as it is read.
        left_out: gets what was wrong with images that were left out.
        progress: told the number of a batch, from 1, before it is read.

    Raises:
        DataError: no image can be read, or more than MOST_UNREADABLE cannot.
    """
    spare = iter(drawn.spare)
    some = False
    for number, indices in enumerate(drawn.batches, 1):
        progress(number)
        read = read_images(dataset, indices, spare, size, left_out)
        if read:
            some = True
            order = sorted(read)
            batch = make_batch(
                [read.pop(i) for i in order], backbone, size=size, classes=dataset.classes
            )
            yield Embedded(batch.names, order, batch.features, batch.labels, batch.grids)
    if not some:
        raise left_out[0]


def read_images(
    dataset: Dataset,
    indices: Sequence[int],
    spare: Iterator[int],
    size: int,
    left_out: list[DataError],
) -> dict[int, Example]:
    """The images of a batch as squares, by their index."""
    read: dict[int, Example] = {}
    waiting = list(indices)
    while waiting:
        index = waiting.pop(0)
        try:
            read[index] = squared(dataset.load(index), size)
        except DataError as error:
            left_out.append(error)
            if len(left_out) > MOST_UNREADABLE:
                raise
            other = next(spare, None)
            if other is not None:
                waiting.append(other)
    return read


def sentences(left_out: Sequence[DataError]) -> list[str]:
    """Which images were left out, and why."""
    told = [f"Left out: {error}." for error in left_out[:TOLD]]
    if more := len(left_out) - len(told):
        told.append(
            f"{more} more {'image was' if more == 1 else 'images were'} left out for similar "
            "reasons."
        )
    return told
