"""Rivals with as many positives as PPAP: what they have to be set to."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from ppap.propagation import cosines
from ppap.rivals import Choice, gather_unit, prepare
from ppap.study.advice import quantile
from ppap.study.patches import ANCHORS_AT_ONCE, Patches

# How near a mean |P| counts as equal, and how often a setting is tried on the way there.
NEAR_ENOUGH = 0.05
MOST_TRIES = 10


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
