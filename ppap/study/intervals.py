"""How sure a study's means are: whole images are drawn again and again, as the bootstrap does.

Anchors of one image resemble each other, so that images, not anchors, are what is drawn anew. The
patches that anchors see stay: what another batch around them would change is not in the intervals.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

DRAWS = 2000
# Images drawn together: 16 MB of numbers.
DRAWN_AT_ONCE = 2_000_000
# Per cent of the draws that lie between the ends.
COVERED = 95


class Interval(NamedTuple):
    """The ends between which 95 % of the redrawn means lie; NaN where nothing was measured."""

    low: float
    high: float


def redrawn_means(values: Tensor, images: Tensor, *, draws: int = DRAWS, seed: int = 0) -> Tensor:
    """Means over the anchors of as many images as there are, drawn with replacement.

    Two calls with the same images and seed draw the same images, so that their results can be
    compared draw by draw.

    Args:
        values: one per anchor, NaN where there is none, ``(A,)``.
        images: of each anchor, int64 ``(A,)``.
        draws: how often.
        seed: of the draws.

    Returns:
        float64 ``(draws,)``, NaN where no drawn image had a value.
    """
    _, own = images.unique(return_inverse=True)
    count = int(own.max()) + 1 if len(own) else 0
    found = values.double().isfinite()
    sums = torch.zeros(count, dtype=torch.float64).index_add_(0, own, values.double().nan_to_num(0))
    counts = torch.zeros(count, dtype=torch.float64).index_add_(0, own, found.double())
    if not count:
        return torch.full((draws,), torch.nan, dtype=torch.float64)
    chance = torch.Generator().manual_seed(seed)
    means = []
    for part in torch.arange(draws).split(max(1, DRAWN_AT_ONCE // count)):
        drawn = torch.randint(count, (len(part), count), generator=chance)
        means.append(sums[drawn].sum(dim=1) / counts[drawn].sum(dim=1))
    return torch.cat(means)


def interval(means: Tensor) -> Interval:
    """The interval of redrawn means ``(draws,)``; draws without a value count nowhere."""
    known = means[means.isfinite()]
    if not len(known):
        return Interval(float("nan"), float("nan"))
    tail = (100 - COVERED) / 200
    low, high = known.quantile(torch.tensor([tail, 1 - tail], dtype=known.dtype)).tolist()
    return Interval(low, high)
