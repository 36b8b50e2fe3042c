"""How many of the positives will be right, said without labels.

Patches that lie side by side in an image mostly show the same thing. How similar they are tells how
tightly the features of one class lie together here, hence how far below that Φ⁰ may go: the further
Φ⁰ is below the cosines of neighbours, in their standard deviations, the more patches of a tight
class it still takes in, and the higher it is in itself, the fewer of other classes.

A logistic curve over these two numbers was fitted to the precision of P on labelled batches of
CamVid, aerial photographs, COCO-Stuff and Cityscapes with the embedded backbone, for each aim over
the Φ⁰ where it falls; ``python -m tests.benchmarks.bench_advice --fit DIR …`` does it again.
docs/trust.md has what it is worth on sets that were left out. Not from the paper.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from ppap.backbones.embedded import EMBEDDED

Aim = Literal["complete", "pure"]
AIMS: tuple[Aim, ...] = ("complete", "pure")


class Curve(NamedTuple):
    """Of one aim: logit(precision) = intercept + height · Φ⁰ + depth · (Φ⁰ − mean) / deviation."""

    intercept: float
    height: float
    depth: float
    within: float
    """About nine of ten batches of sets that were left out were at most this far off."""


CURVES: dict[Aim, Curve] = {
    "complete": Curve(-10.13, 15.38, -0.730, 0.13),
    "pure": Curve(-15.99, 22.63, -1.273, 0.08),
}
FITTED_TO = EMBEDDED.name
UNPROVEN = (
    "The share of correct positives cannot be predicted here: the estimate was calibrated for "
    "the embedded backbone and does not hold for other features."
)
# What "pure" aims at: with more, P holds a handful of the anchor's closest neighbours.
PURE = 0.85
# For features that the curves do not hold for, the share of neighbouring patches that stay above
# Φ⁰: with the embedded backbone the pure advice leaves about as many, on four of five sets.
BESIDE = 0.85


class Neighbours(NamedTuple):
    """Cosines of patches that lie side by side, or one below the other."""

    mean: float
    deviation: float
    median: float
    most: float
    """What ``BESIDE`` of them exceed."""


class Expected(NamedTuple):
    """Share of the positives that is right: the mean over anchors of their precision, 0 to 1."""

    precision: float
    low: float
    high: float
    """Between these it was in about nine of ten batches of sets that were left out."""


def neighbours(f: Tensor, grids: Sequence[tuple[int, int]]) -> Neighbours:
    """Measure all pairs of neighbouring patches.

    Args:
        f: L2-normalised features ``(N, D)``, image by image and row by row.
        grids: rows and columns of every image; together N patches, at least one pair.
    """
    found, start = [], 0
    for rows, columns in grids:
        image = f[start : start + rows * columns].view(rows, columns, -1)
        found.append((image[:, 1:] * image[:, :-1]).sum(dim=2).flatten())
        found.append((image[1:] * image[:-1]).sum(dim=2).flatten())
        start += rows * columns
    cosines = torch.cat(found).double()
    ascending = cosines.sort().values
    return Neighbours(
        mean=float(cosines.mean()),
        deviation=float(cosines.std(unbiased=False)),
        median=float(cosines.median()),
        most=float(ascending[int((1 - BESIDE) * len(ascending))]),
    )


def expect(aim: Aim, phi0: float, found: Neighbours) -> Expected:
    """What share of P will be right at Φ⁰, with σ and T of the advice."""
    curve = CURVES[aim]
    # Neighbours that are all equally similar tell nothing of the spread.
    depth = (phi0 - found.mean) / max(found.deviation, 1e-3)
    x = curve.intercept + curve.height * phi0 + curve.depth * depth
    precision = 1 / (1 + math.exp(-max(-30.0, min(30.0, x))))
    return Expected(
        precision, max(0.0, precision - curve.within), min(1.0, precision + curve.within)
    )


def pure_phi0(least: float, found: Neighbours) -> float:
    """The lowest Φ⁰ from ``least`` at which ``PURE`` is expected, in hundredths.

    No higher than the median of neighbours: half of them stay positives of each other.
    """
    most = max(least, math.floor(100 * found.median) / 100)
    phi0 = least
    while phi0 < most and expect("pure", phi0, found).precision < PURE:
        phi0 = round(phi0 + 0.01, 2)
    return min(phi0, most)
