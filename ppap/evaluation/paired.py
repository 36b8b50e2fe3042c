"""Is a difference between two evaluations more than the choice of images? Paired intervals.

Two reports over the same images differ by some points; on other images of the same kind they would
differ by a little more or less. The images are drawn anew with replacement, as many as there are,
the same ones for both sides, and the difference is measured again each time: 95 % of the redraws
lie within the interval. Pairing takes out what is hard or easy for both.

What it holds still, and what it does not tell:

- *The map of clusters to classes* is each side's own, found once on all images, and stays in every
  redraw: it is the naming that the reported scores have. Found anew in every redraw it would be
  fitted anew each time, which only ever lifts the accuracy. (On CamVid's 101 validation images a
  tenth of the redraws would name a cluster otherwise, for 0.005 points of accuracy on average.)
- *Seeds and training* stay, too. With several seeds a side's score is their mean in every redraw:
  the interval is of these very runs, and how they scatter is what ± beside the mean says.
- *Images count as independent.* Frames of one video are alike: an interval over them is too narrow.

Percentiles of a small set's redraws are too narrow as well: a variance from n values that is taken
as known. The percentiles are widened as Hesterberg (2015) does it, by Student's t instead of the
normal distribution and by n / (n − 1); from a hundred images on that changes nothing visible. Below
LEAST images there is no interval.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from ppap.checks import check_count
from ppap.evaluation.per_image import PLAIN_KINDS, START, Kind, PerImage

REDRAWS = 2000
LEVEL = 0.95
LEAST = 5
"""Images that an interval needs; of a class, images that hold it in truth or prediction."""
# Redraws at a time: their weights and sums stay below some tens of megabytes.
AT_ONCE = 250
WORDS = (
    "Intervals: 95 % of {redraws:,} resamplings of the images, the same for both; each side "
    "keeps its own map from clusters to classes, found on all images."
)
SEEDS = "Seeds are averaged in every resampling, not resampled."


class NotPairedError(ValueError):
    """Two evaluations cannot be paired; a sentence for people."""


class Interval(NamedTuple):
    """A difference, second minus first, in points of per cent."""

    difference: float | None
    """None where one of the two has no such score."""
    low: float | None
    """None where too few images say anything."""
    high: float | None

    @property
    def apart(self) -> bool:
        """Whether the interval leaves zero out."""
        return self.low is not None and self.high is not None and not self.low <= 0 <= self.high

    def __str__(self) -> str:
        if self.difference is None:
            return "–"
        if self.low is None or self.high is None:
            return _signed(self.difference)
        ends = f"{_signed(self.low)} to {_signed(self.high)}"
        return f"{_signed(self.difference)} ({ends})"


def _signed(points: float) -> str:
    """One decimal, with a minus that is as wide as a plus; nothing is below zero by a rounding."""
    return f"{round(points, 1) + 0:+.1f}".replace("-", "−")


class Differences(NamedTuple):
    """Of one kind of prediction."""

    accuracy: Interval
    miou: Interval
    iou: tuple[Interval, ...]
    """By class."""

    def record(self, names: Sequence[str]) -> dict[str, Any]:
        """For JSON."""
        return {
            "accuracy": self.accuracy._asdict(),
            "miou": self.miou._asdict(),
            "iou": {name: one._asdict() for name, one in zip(names, self.iou, strict=True)},
        }


class Side(NamedTuple):
    """What is needed of one report."""

    report: Mapping[str, Any]
    counts: PerImage


def paired(
    first: Sequence[Side],
    second: Sequence[Side],
    *,
    kinds: Sequence[str] | None = None,
    redraws: int = REDRAWS,
    seed: int = 0,
) -> dict[str, Differences]:
    """Differences between two evaluations of the same images, second minus first.

    Args:
        first: one report with its counts (``per_image.read``), or one for each seed.
        second: the same.
        kinds: which; left out, all of the probes that every side has: ``cluster``, ``linear``,
            ``cluster_crf`` …
        redraws: of the images.
        seed: of the redraws; the same seed gives the same intervals.

    Raises:
        NotPairedError: other images, classes or true pixels, or no kind in common.
        ValueError: no report on a side, or a number of redraws that cannot be.
    """
    check_count("redraws", redraws, 100, 100_000)
    if not first or not second:
        raise ValueError("both sides need a report")
    sides = [*first, *second]
    check_alike(sides)
    common = [
        name
        for name in sides[0].counts.kinds
        if all(name in side.counts.kinds for side in sides)
        and (not name.startswith(START) if kinds is None else name in kinds)
    ]
    if not common:
        raise NotPairedError("The reports have no kind of prediction in common.")
    found = {}
    for name in common:
        one, other = ([side.counts.kinds[name] for side in some] for some in (first, second))
        found[name] = of_kinds(one, other, redraws=redraws, seed=seed)
    return found


def of_kinds(
    first: Sequence[Kind], second: Sequence[Kind], *, redraws: int = REDRAWS, seed: int = 0
) -> Differences:
    """The same for counts of any kind that are known to be of the same images."""
    images = len(first[0].starts) - 1
    return _differences(Redrawn(first), Redrawn(second), images, redraws, seed)


def check_alike(sides: Sequence[Side]) -> None:
    """Raise NotPairedError unless all are about the same pixels of the same images."""
    one, *others = sides
    kind = next(iter(one.counts.kinds.values()))
    truth = kind.by_class()[1]
    for other in others:
        if other.report.get("classes") != one.report.get("classes"):
            raise NotPairedError("The reports have different classes.")
        if _images(other.report) != _images(one.report):
            raise NotPairedError("The reports are about different images.")
        sizes = [side.report.get("size") for side in (one, other)]
        if sizes[0] != sizes[1]:
            raise NotPairedError(
                f"The reports are about squares of different sizes: {sizes[0]} and {sizes[1]} "
                "pixels."
            )
        theirs = next(iter(other.counts.kinds.values()))
        if theirs.classes != kind.classes or (theirs.by_class()[1] != truth).any():
            raise NotPairedError(
                "The label maps changed between the two reports: evaluate both again."
            )


def _images(report: Mapping[str, Any]) -> list[tuple[int, str]]:
    return [(one["index"], one["name"]) for one in report["images"]]


class Redrawn:
    """One side's scores under any weights of its images; the mean where it has several seeds."""

    def __init__(self, kinds: Sequence[Kind]) -> None:
        # Per seed: right, and union = true + predicted − right; (N, C) each. Floats: exact below
        # 2 ** 53, and matrix products of whole numbers are slow.
        self.right, self.union, self.pixels = [], [], []
        for kind in kinds:
            right, true, predicted = (part.astype(float) for part in kind.by_class())
            self.right.append(right)
            self.union.append(true + predicted - right)
            self.pixels.append(true.sum(axis=1))

    @cached_property
    def holders(self) -> np.ndarray:
        """Images that say something of each class, in all seeds together, int64 ``(C,)``."""
        some = np.logical_or.reduce([union > 0 for union in self.union])
        return some.sum(axis=0)

    def scores(self, weights: np.ndarray) -> np.ndarray:
        """Accuracy, mIoU and every IoU, in per cent.

        Args:
            weights: how often each image counts, ``(R, N)``.

        Returns:
            ``(R, 2 + C)``; NaN where there is nothing to measure.
        """
        found = [
            self._of_one(weights, *parts)
            for parts in zip(self.right, self.union, self.pixels, strict=True)
        ]
        return np.mean(found, axis=0)

    @staticmethod
    def _of_one(
        weights: np.ndarray, right: np.ndarray, union: np.ndarray, pixels: np.ndarray
    ) -> np.ndarray:
        hits, whole = weights @ right, weights @ union
        iou = _share(hits, whole)
        accuracy = _share(hits.sum(axis=1), weights @ pixels)
        some = ~np.isnan(iou)
        miou = _share(np.where(some, iou, 0).sum(axis=1), some.sum(axis=1)) / 100
        return np.column_stack([accuracy, miou, iou])


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(100 * part, whole, out=np.full(part.shape, np.nan), where=whole > 0)


def _differences(
    first: Redrawn, second: Redrawn, images: int, redraws: int, seed: int
) -> Differences:
    once = np.ones((1, images))
    whole = (second.scores(once) - first.scores(once))[0]
    chance = np.random.default_rng(seed)
    redrawn = []
    for start in range(0, redraws, AT_ONCE):
        count = min(AT_ONCE, redraws - start)
        weights = chance.multinomial(images, np.full(images, 1 / images), size=count)
        drawn = weights.astype(float)
        redrawn.append(second.scores(drawn) - first.scores(drawn))
    values = np.concatenate(redrawn)
    told = [images, images, *np.minimum(first.holders, second.holders)]
    accuracy, miou, *iou = (
        _interval(whole[place], values[:, place], int(count)) for place, count in enumerate(told)
    )
    return Differences(accuracy, miou, tuple(iou))


def _interval(whole: float, redrawn: np.ndarray, images: int) -> Interval:
    """The interval of one measure; ``images``: how many it stands on."""
    if math.isnan(whole):
        return Interval(None, None, None)
    redrawn = redrawn[~np.isnan(redrawn)]
    if images < LEAST or not len(redrawn):
        return Interval(float(whole), None, None)
    tail = widened(images)
    low, high = np.quantile(redrawn, [tail, 1 - tail])
    return Interval(float(whole), float(low), float(high))


def widened(images: int, level: float = LEVEL) -> float:
    """The share of redraws to leave out on each side: (1 − level) / 2, less for few images."""
    from scipy.stats import norm, t

    outside = (1 - level) / 2
    return float(norm.cdf(t.ppf(outside, images - 1) * math.sqrt(images / (images - 1))))


def in_words(seeds: int = 1, redraws: int = REDRAWS) -> str:
    """What an interval is, for whoever reads one; ``seeds``: the most on a side."""
    said = WORDS.format(redraws=redraws)
    return f"{said} {SEEDS}" if seeds > 1 else said


def title_of(kind: str) -> str:
    """``cluster_crf`` → ``U, CRF``."""
    from ppap.evaluation.report import REFINEMENTS

    probe, _, refined = kind.partition("_")
    letter = dict(zip(PLAIN_KINDS, "UL", strict=True))[probe]
    return f"{letter}, {REFINEMENTS[refined]}" if refined else letter
