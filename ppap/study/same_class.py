"""Precision against recall of *same class* by cosine: how well features tell classes apart.

No threshold, no anchor, no rule: of all pairs of patches, those of one class should be more similar
than the rest. The area below the curve is the average precision.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from ppap.checks import check_labels, check_vectors
from ppap.evaluation.trust import VOID
from ppap.propagation import product, unit

# Cosines are counted in so many bins from −1 to 1; pairs in one bin count as equally similar.
BINS = 20_000
ROWS_AT_ONCE = 250
# Where the curve is drawn: this many steps of recall.
STEPS = 100

Progress = Callable[[float], None]


class CurveAt(NamedTuple):
    """One point of the curve."""

    recall: float
    """Share of the pairs of one class that are at least so similar."""
    precision: float
    """Share of the pairs at least so similar that are of one class."""
    cosine: float
    """How similar."""


class SameClass(NamedTuple):
    """The curve over all pairs of two patches that have a class."""

    area: float
    """Average precision: Σ (R_k − R_{k−1}) P_k over the bins from above; NaN without pairs."""
    within: float
    """The area without bins is at most this far away."""
    chance: float
    """Share of all pairs that are of one class: the area of features that know nothing."""
    pairs: int
    curve: tuple[CurveAt, ...]
    """At every hundredth of recall, from 0.01 to 1."""


def same_class(features: Tensor, labels: Tensor, *, progress: Progress | None = None) -> SameClass:
    """Measure how well cosines tell pairs of one class from the rest.

    Memory: three blocks of (250 × N) beside the features.

    Args:
        features: patch features ``(N, D)``, floating point, any scale.
        labels: class of every patch, int64 ``(N,)``, −1 where void; such patches are left out.
        progress: called with the share done, 0 to 1; what it raises ends the work.

    Raises:
        TypeError, ValueError: as ``propagate`` for the features; labels that do not fit.
    """
    check_vectors("features", features, "N")
    check_labels(labels, len(features))
    return same_class_unit(unit(features), labels, progress=progress)


@torch.no_grad()
def same_class_unit(f: Tensor, labels: Tensor, *, progress: Progress | None = None) -> SameClass:
    """``same_class`` of vectors known to be finite and of unit length: no checks."""
    labels = labels.to(f.device)
    known = labels != VOID
    order = labels[known].argsort(stable=True)
    f, labels = f[known][order], labels[known][order]
    sizes = labels.unique_consecutive(return_counts=True)[1]
    # Sorted by class, a row's patches of its class that come after it end here.
    ends = sizes.cumsum(dim=0).repeat_interleave(sizes)
    ft = f.T.contiguous()
    of_all = torch.zeros(BINS, dtype=torch.int64, device=f.device)
    of_class = torch.zeros_like(of_all)
    for start in range(0, len(f), ROWS_AT_ONCE):
        rows = torch.arange(start, min(start + ROWS_AT_ONCE, len(f)), device=f.device)
        cosines = product(f[rows], ft[:, start:])
        bins = ((cosines + 1) * (BINS / 2)).long().clamp_(0, BINS - 1)
        columns = torch.arange(start, len(f), device=f.device)
        later = columns > rows.unsqueeze(1)
        same = later & (columns < ends[rows].unsqueeze(1))
        of_all += torch.bincount(bins[later], minlength=BINS)
        of_class += torch.bincount(bins[same], minlength=BINS)
        if progress is not None:
            progress(min(1.0, (start + len(rows)) / len(f)))
    return _curve(of_class.flip(0).double().cpu(), of_all.flip(0).double().cpu())


def _curve(same: Tensor, every: Tensor) -> SameClass:
    """From counts of pairs in each bin, the most similar first."""
    found, seen = same.cumsum(dim=0), every.cumsum(dim=0)
    positives, pairs = float(found[-1]), int(seen[-1])
    if not positives:
        nothing = float("nan")
        return SameClass(nothing, nothing, 0.0 if pairs else nothing, pairs, ())
    precision, recall = found / seen.clamp(min=1), found / positives
    area = float((same * precision).sum() / positives)
    # Within a bin, all of one class first or last: what the area could be at most and at least.
    wrong = every - same
    before, before_wrong = found - same, seen - found - wrong
    best = found / (found + before_wrong).clamp(min=1)
    worst = (before + 1) / (before + 1 + before_wrong + wrong)
    most, least = (float((same * share).sum() / positives) for share in (best, worst))
    return SameClass(
        area=area,
        within=max(most - area, area - least),
        chance=positives / pairs,
        pairs=pairs,
        curve=_points(precision, recall),
    )


def _points(precision: Tensor, recall: Tensor) -> tuple[CurveAt, ...]:
    """The first bin, from above, that reaches each step of recall."""
    # A hair less, so that rounding does not move a step that is reached exactly to the next bin.
    wanted = torch.arange(1, STEPS + 1, dtype=torch.float64) / STEPS - 1e-12
    at = torch.searchsorted(recall, wanted).clamp(max=BINS - 1)
    lower = 1 - (at + 1).double() * 2 / BINS
    columns = (recall[at].tolist(), precision[at].tolist(), lower.tolist())
    return tuple(CurveAt(*one) for one in zip(*columns, strict=True))
