"""Any number of clusters against classes: many-to-one maps, and measures that need no map.

With more clusters than classes the Hungarian matching leaves most of them over. Then each cluster
takes the class that most of its pixels have, which is a map with K numbers chosen by labels. Learnt
on the images that are scored it flatters, the more the larger K is (with a cluster for every pixel
it is always right); so it is learnt on training images here, and the other one is called by its
name, optimistic.
"""

from __future__ import annotations

from typing import NamedTuple, TypedDict

import torch
from torch import Tensor

from ppap.evaluation.metrics import UNMATCHED, Confusion, Scores, number


def majority(confusion: Confusion) -> Tensor:
    """The class that most of a cluster's pixels have, int64 ``(predictions,)``.

    A cluster without any is UNMATCHED (−1). Of equals the first class is taken.
    """
    counts = confusion.counts
    classes = counts.argmax(dim=0)
    return classes.where(counts.sum(dim=0) > 0, UNMATCHED)


class Agreement(NamedTuple):
    """How well clusters and classes agree, whatever the clusters are called; NaN without pixels."""

    purity: float
    """Share of pixels in the most frequent class of their cluster, per cent: what a map learnt on
    these very pixels gets right."""
    nmi: float
    """Mutual information over the mean of both entropies, 0 to 1."""
    ari: float
    """Adjusted Rand index, 1 at most, 0 expected by chance."""
    unused: int
    """Clusters that no pixel of the split is in."""
    missed: int
    """Classes of the split that are no cluster's most frequent one."""


def agreement(confusion: Confusion) -> Agreement:
    """Measures of a clustering by its contingency table; pixels without a class do not count."""
    counts = confusion.counts.double()
    total = counts.sum()
    present = confusion.counts.sum(dim=1) > 0
    unused = int((confusion.counts.sum(dim=0) == 0).sum())
    found = torch.zeros(confusion.classes, dtype=torch.bool)
    mapped = majority(confusion)
    found[mapped[mapped != UNMATCHED]] = True
    missed = int((present & ~found).sum())
    if not total:
        return Agreement(float("nan"), float("nan"), float("nan"), unused, missed)
    purity = 100 * counts.max(dim=0).values.sum() / total
    return Agreement(float(purity), _nmi(counts), adjusted_rand(counts), unused, missed)


def _nmi(counts: Tensor) -> float:
    joint = counts / counts.sum()
    rows, columns = joint.sum(dim=1), joint.sum(dim=0)
    entropies = [-torch.special.xlogy(one, one).sum() for one in (rows, columns)]
    apart = rows.unsqueeze(1) * columns
    some = joint > 0
    mutual = (joint[some] * (joint[some] / apart[some]).log()).sum()
    mean = (entropies[0] + entropies[1]) / 2
    # One class in one cluster: nothing is left to disagree about.
    return float((mutual / mean).clamp(0, 1)) if mean > 0 else 1.0


def adjusted_rand(counts: Tensor) -> float:
    """The adjusted Rand index of two partitions by their contingency table, float64 of any shape.

    1 where they are the same, about 0 where they agree by chance.
    """

    def pairs(n: Tensor) -> Tensor:
        return (n * (n - 1) / 2).sum()

    together = pairs(counts)
    rows, columns = pairs(counts.sum(dim=1)), pairs(counts.sum(dim=0))
    every = pairs(counts.sum())
    expected = rows * columns / every if every > 0 else rows
    most = (rows + columns) / 2
    return float((together - expected) / (most - expected)) if most != expected else 1.0


class MapRecord(TypedDict):
    """``Scores`` without what fills pages when there are 500 clusters."""

    accuracy: float | None
    miou: float | None
    iou: dict[str, float | None]


def map_record(found: Scores) -> MapRecord:
    """For JSON."""
    return {
        "accuracy": number(found.accuracy),
        "miou": number(found.miou),
        "iou": {name: number(value) for name, value in found.iou.items()},
    }
