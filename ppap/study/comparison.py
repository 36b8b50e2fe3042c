"""Rules against each other on the same anchors: Table 6 and Fig. 1b, for any labelled batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from ppap.evaluation.trust import VOID, Trust, TrustMean, trust
from ppap.rivals import RULES, Choice, gather_unit, prepare
from ppap.settings import Settings
from ppap.study.intervals import Interval, interval, redrawn_means
from ppap.study.matching import match, mean_size
from ppap.study.patches import ANCHORS_AT_ONCE, Patches, image_of_each

# Fig. 1b's x-axis.
FIRST = tuple(range(10, 101, 10))

Progress = Callable[[str, float], None]


class Anchored(NamedTuple):
    """What a rule gives each of A anchors, over all batches."""

    trust: Trust
    labels: Tensor
    """Class of every anchor, int64 ``(A,)``."""
    images: Tensor
    """Image of every anchor, counted through all batches, int64 ``(A,)``."""


class CurvePoint(NamedTuple):
    """Fig. 1b: the first so many per cent of the anchors, those with the fewest positives first."""

    first: int
    positives: float
    precision: float
    """Mean over those of them that have positives; NaN where none has."""


class ClassTrust(NamedTuple):
    """The measures over the anchors of one class."""

    name: str
    mean: TrustMean


class Sureness(NamedTuple):
    """How sure a rule's means are: 95 % intervals over redrawn images."""

    precision: Interval
    recall: Interval
    f1: Interval
    purity: Interval
    false_negatives: Interval
    behind: Interval | None
    """Of PPAP's precision minus this rule's, over the same redrawn images; None for PPAP."""


class RuleTrust(NamedTuple):
    """What one rule gives."""

    title: str
    choice: Choice
    matched: bool
    """Whether its setting was chosen to give as many positives as PPAP."""
    mean: TrustMean
    f1: float
    sureness: Sureness
    curve: tuple[CurvePoint, ...]
    classes: tuple[ClassTrust, ...]
    each: Trust
    """Anchor by anchor, over all batches."""


def own_choices(settings: Settings, classes: int, seed: int) -> dict[str, Choice]:
    """Every rule at its own settings: HP's pool of 2,048, k = 100, as many clusters as classes.

    HP draws 2 % of the rest as negatives; ρ = 1 counts all of the rest, as Table 6 does.
    """
    return {
        rule: Choice(rule, settings, rho=1.0, seed=seed, clusters=max(1, classes))
        for rule in ("ppap", "baseline", "hp", "knn", "kmeans")
    }


def compare(
    batches: Sequence[Patches],
    settings: Settings,
    classes: Sequence[str],
    *,
    seed: int = 0,
    matched: bool = True,
    progress: Progress | None = None,
) -> list[RuleTrust]:
    """Measure PPAP and its rivals over the same anchors.

    Args:
        batches: one or more; every anchor sees the patches of its own batch.
        settings: of PPAP; the baseline takes their Φ⁰.
        classes: names; k-means gets as many clusters as there are classes in the batches.
        seed: of HP's pool and k-means.
        matched: whether the rivals follow again with settings that give as many positives as
            PPAP, found on the first batch.
        progress: called with a sentence and the share done, 0 to 1.

    Returns:
        PPAP first, then rivals at their own settings, then at equal numbers of positives.
    """
    found = torch.cat([batch.labels for batch in batches]).unique()
    choices = own_choices(settings, int((found != VOID).sum()), seed)
    total = 2 * len(choices) - 1 if matched else len(choices)
    measured: list[tuple[Choice, bool, Anchored]] = []

    def add(choice: Choice, equal: bool) -> None:
        if progress:
            progress(f"Measuring {RULES[choice.rule].title}", len(measured) / total)
        choice = within(choice, batches)
        measured.append((choice, equal, measure(choice, batches)))

    for choice in choices.values():
        add(choice, False)
    if matched:
        target = mean_size(choices["ppap"], batches[0])
        for rule in ("baseline", "hp", "knn", "kmeans"):
            if progress:
                progress(f"Matching {RULES[rule].title}", len(measured) / total)
            add(match(choices[rule], batches[0], target), True)
    own = measured[0][2]
    ppap = redrawn(own, own.trust.precision)
    return [
        summary(choice, one, classes, matched=equal, against=None if one is own else ppap)
        for choice, equal, one in measured
    ]


def within(choice: Choice, batches: Sequence[Patches]) -> Choice:
    """The choice with what no batch can give made as large as the smallest can."""
    most = min(len(batch.f) for batch in batches)
    return replace(
        choice,
        k=max(1, min(choice.k, most - 1)),
        clusters=min(choice.clusters, most),
        pool_size=max(2, min(choice.pool_size, most)),
    )


def measure(choice: Choice, batches: Sequence[Patches]) -> Anchored:
    """One rule over all batches, anchor by anchor."""
    parts, labels, images = [], [], []
    seen = 0
    for batch in batches:
        prepared = prepare(choice, batch.f, images=batch.images)
        for anchors in batch.anchors.split(ANCHORS_AT_ONCE):
            sets = gather_unit(choice, batch.f, anchors, prepared)
            parts.append(trust(sets, anchors, batch.labels))
        labels.append(batch.labels[batch.anchors])
        owner = image_of_each(batch)
        images.append(seen + owner[batch.anchors])
        seen += int(owner[-1]) + 1
    whole = Trust(*(torch.cat(columns) for columns in zip(*parts, strict=True)))
    return Anchored(whole, torch.cat(labels), torch.cat(images))


def summary(
    choice: Choice,
    anchored: Anchored,
    classes: Sequence[str],
    *,
    matched: bool = False,
    against: Tensor | None = None,
) -> RuleTrust:
    """A rule's means, with how sure they are; ``against`` as in ``sureness``."""
    whole = anchored.trust
    return RuleTrust(
        title=title_of(choice),
        choice=choice,
        matched=matched,
        mean=whole.mean(),
        f1=float(f1_of(whole)[whole.known].nanmean()),
        sureness=sureness(anchored, against),
        curve=curve(whole),
        classes=by_class(whole, anchored.labels, classes),
        each=whole,
    )


def redrawn(anchored: Anchored, values: Tensor) -> Tensor:
    """Means of values ``(A,)`` over redrawn images; the same images for all rules."""
    known = anchored.trust.known
    return redrawn_means(values[known].cpu(), anchored.images[known].cpu())


def sureness(anchored: Anchored, against: Tensor | None = None) -> Sureness:
    """Intervals of the means; ``against`` is PPAP's ``redrawn`` precision at the same anchors."""
    whole = anchored.trust
    precision = redrawn(anchored, whole.precision)
    return Sureness(
        precision=interval(precision),
        recall=interval(redrawn(anchored, whole.recall)),
        f1=interval(redrawn(anchored, f1_of(whole))),
        purity=interval(redrawn(anchored, whole.purity)),
        false_negatives=interval(redrawn(anchored, whole.false_negatives)),
        behind=None if against is None else interval(against - precision),
    )


def f1_of(whole: Trust) -> Tensor:
    """Every anchor's harmonic mean of precision and recall, ``(A,)``; 0 where P is empty."""
    p, r = whole.precision.nan_to_num(0), whole.recall
    return torch.where(p + r > 0, 2 * p * r / (p + r).clamp(min=1e-12), r)


def curve(whole: Trust) -> tuple[CurvePoint, ...]:
    """Fig. 1b: anchors sorted by their number of positives, the fewest first."""
    order = whole.positives[whole.known].argsort(stable=True)
    positives = whole.positives[whole.known][order].double()
    precision = whole.precision[whole.known][order]
    points = []
    for first in FIRST:
        count = max(1, round(len(order) * first / 100))
        points.append(
            CurvePoint(first, float(positives[:count].mean()), float(precision[:count].nanmean()))
        )
    return tuple(points)


def by_class(whole: Trust, own: Tensor, classes: Sequence[str]) -> tuple[ClassTrust, ...]:
    """The measures of every class that has anchors."""
    return tuple(
        ClassTrust(name, Trust(*(column[own == index] for column in whole)).mean())
        for index, name in enumerate(classes)
        if bool((own == index).any())
    )


def title_of(choice: Choice) -> str:
    """The rule with what it was set to."""
    five = choice.settings
    said = {
        "ppap": f"Φ⁰ {five.phi0:.3g}, Ψ⁰ {five.psi0:.3g}, σ {five.sigma_pos:g}/"
        f"{five.sigma_amb:g}, T {five.steps}",
        "baseline": f"Φ⁰ {five.phi0:.3g}",
        "hp": f"pool {choice.pool_size:,}",
        "knn": f"k {choice.k:,}",
        "kmeans": f"{choice.clusters:,} clusters",
    }[choice.rule]
    return f"{RULES[choice.rule].title} ({said})"
