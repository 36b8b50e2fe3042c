"""Rules against each other on the same anchors: Table 6 and Fig. 1b, for any labelled batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ppap.evaluation.trust import VOID, Trust, TrustMean, trust
from ppap.propagation import cosines
from ppap.rivals import RULES, Choice, gather_unit, prepare
from ppap.settings import Settings
from ppap.study.advice import quantile

ANCHORS_AT_ONCE = 250
# Fig. 1b's x-axis.
FIRST = tuple(range(10, 101, 10))
# How near a mean |P| counts as equal, and how often a setting is tried on the way there.
NEAR_ENOUGH = 0.05
MOST_TRIES = 10

Progress = Callable[[str, float], None]


class Patches(NamedTuple):
    """A labelled batch as rules need it."""

    f: Tensor
    """L2-normalised features ``(N, D)``, image by image."""
    labels: Tensor
    """Class of every patch, int64 ``(N,)``, −1 where void."""
    images: int
    anchors: Tensor
    """Indices of the anchors, int64 ``(A,)``, all with a class."""


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


class RuleTrust(NamedTuple):
    """What one rule gives."""

    title: str
    choice: Choice
    matched: bool
    """Whether its setting was chosen to give as many positives as PPAP."""
    mean: TrustMean
    f1: float
    curve: tuple[CurvePoint, ...]
    classes: tuple[ClassTrust, ...]


def sample_anchors(labels: Tensor, count: int, seed: int) -> Tensor:
    """``count`` random patches that have a class, or all there are; int64, ascending."""
    known = (labels != VOID).nonzero()[:, 0]
    chance = torch.Generator().manual_seed(seed)
    return known[torch.randperm(len(known), generator=chance)[:count]].sort().values


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
    rows: list[RuleTrust] = []

    def add(choice: Choice, equal: bool) -> None:
        if progress:
            progress(f"Measuring {RULES[choice.rule].title}", len(rows) / total)
        choice = within(choice, batches)
        rows.append(measure(choice, batches, classes, matched=equal))

    for choice in choices.values():
        add(choice, False)
    if matched:
        target = mean_size(choices["ppap"], batches[0])
        for rule in ("baseline", "hp", "knn", "kmeans"):
            if progress:
                progress(f"Matching {RULES[rule].title}", len(rows) / total)
            add(match(choices[rule], batches[0], target), True)
    return rows


def within(choice: Choice, batches: Sequence[Patches]) -> Choice:
    """The choice with what no batch can give made as large as the smallest can."""
    most = min(len(batch.f) for batch in batches)
    return replace(
        choice,
        k=max(1, min(choice.k, most - 1)),
        clusters=min(choice.clusters, most),
        pool_size=max(2, min(choice.pool_size, most)),
    )


def measure(
    choice: Choice, batches: Sequence[Patches], classes: Sequence[str], *, matched: bool = False
) -> RuleTrust:
    """One rule over all batches."""
    parts, own = [], []
    for batch in batches:
        prepared = prepare(choice, batch.f, images=batch.images)
        for anchors in batch.anchors.split(ANCHORS_AT_ONCE):
            sets = gather_unit(choice, batch.f, anchors, prepared)
            parts.append(trust(sets, anchors, batch.labels))
            own.append(batch.labels[anchors])
    whole = Trust(*(torch.cat(columns) for columns in zip(*parts, strict=True)))
    return RuleTrust(
        title=title_of(choice),
        choice=choice,
        matched=matched,
        mean=whole.mean(),
        f1=f1_of(whole),
        curve=curve(whole),
        classes=by_class(whole, torch.cat(own), classes),
    )


def f1_of(whole: Trust) -> float:
    """Mean over the anchors of the harmonic mean of precision and recall; 0 where P is empty."""
    p, r = whole.precision.nan_to_num(0), whole.recall
    f1 = torch.where(p + r > 0, 2 * p * r / (p + r).clamp(min=1e-12), r)
    return float(f1[whole.known].nanmean())


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


def mean_size(choice: Choice, batch: Patches) -> float:
    """Mean |P| of the batch's anchors, patches without a class counted, too."""
    prepared = prepare(choice, batch.f, images=batch.images)
    total = 0
    for anchors in batch.anchors.split(ANCHORS_AT_ONCE):
        total += int(gather_unit(choice, batch.f, anchors, prepared).positive.sum())
    return total / len(batch.anchors)


def match(choice: Choice, batch: Patches, target: float) -> Choice:
    """The rule with the setting whose mean |P| is nearest to ``target`` on the batch."""
    if choice.rule == "knn":
        return replace(choice, k=max(1, min(round(target), len(batch.f) - 1)))
    if choice.rule == "baseline":
        return replace(choice, settings=replace(choice.settings, phi0=_phi0_for(batch, target)))
    field = {"hp": "pool_size", "kmeans": "clusters"}[choice.rule]
    # Both give fewer positives the larger they are; clusters about in proportion, so that the right
    # number is found in few tries: k-means with hundreds of clusters is slow.
    low, high = (2 if choice.rule == "hp" else 1), len(batch.f)
    clusters = choice.rule == "kmeans"
    guess = len(batch.f) / (target + 1) if clusters else (low * high) ** 0.5
    best, nearest = choice, float("inf")
    for _ in range(MOST_TRIES):
        tried_at = max(low, min(high, round(guess)))
        changes: dict[str, Any] = {field: tried_at}
        tried = replace(choice, **changes)
        size = mean_size(tried, batch)
        if abs(size - target) < nearest:
            best, nearest = tried, abs(size - target)
        if size > target:
            low = tried_at + 1
        else:
            high = tried_at - 1
        if nearest <= NEAR_ENOUGH * target or low > high:
            break
        guess = tried_at * (size + 1) / (target + 1) if clusters else (low * high) ** 0.5
    return best


def _phi0_for(batch: Patches, target: float) -> float:
    """The Φ⁰ that gives ``target`` positives on average without propagation."""
    similarity = cosines(batch.f[batch.anchors], batch.f)
    similarity[torch.arange(len(batch.anchors)), batch.anchors] = -2
    share = min(1.0, target / len(batch.f))
    return max(-1.0, min(1.0, quantile(similarity.flatten().sort().values, 1 - share)))


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
