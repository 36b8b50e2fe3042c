"""Every rule the studio and the command line offer, and one way to run the chosen one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from torch import Tensor

from ppap.checks import patches_by_image
from ppap.propagation import PatchSets, propagate_unit
from ppap.rivals.ablations import with_initial_positives, without_ambiguity
from ppap.rivals.neighbours import cluster_patches_unit, k_nearest_unit, same_cluster_unit
from ppap.rivals.pool import (
    hidden_positives_unit,
    other_images_similarity_unit,
    pool_similarity_unit,
    seeded,
)
from ppap.settings import RANGES, Range, SettingError, Settings, number


class Parameter(NamedTuple):
    """A setting of a rule's own: the field of ``Choice`` it fills, and what it may be."""

    name: str
    default: float
    allowed: Range


class Rule(NamedTuple):
    """A way to choose positives and negatives."""

    key: str
    title: str
    explanation: str
    settings: tuple[str, ...] = ()
    """Which of the five settings of propagation it reads."""
    parameters: tuple[Parameter, ...] = ()
    """What it reads beside them."""


K = Parameter(
    "k",
    100,
    Range("k", 1, 1_000_000, 1, (1, 2000), True, "How many of the nearest patches are positives."),
)
CLUSTERS = Parameter(
    "clusters",
    27,
    Range(
        "clusters", 1, 10_000, 1, (2, 100), True, "How many clusters the patches are divided into."
    ),
)
POOL_SIZE = Parameter(
    "pool_size",
    2048,
    Range(
        "pool",
        2,
        100_000,
        1,
        (8, 4096),
        True,
        "How many random patches stand for all others. The larger, the fewer positives.",
    ),
)
RHO = Parameter(
    "rho",
    0.02,
    Range("ρ", 0, 1, 0.01, (0, 1), False, "The share of the other patches drawn as negatives."),
)
SEED = Parameter(
    "seed",
    0,
    Range("seed", 0, 2**32 - 1, 1, (0, 100), True, "The same seed draws the same patches."),
)

ALL_FIVE = tuple(RANGES)
RULES: dict[str, Rule] = {
    rule.key: rule
    for rule in (
        Rule(
            "ppap",
            "PPAP",
            "A proxy moves towards its positives step by step; the ambiguous zone is left out.",
            ALL_FIVE,
        ),
        Rule(
            "tps",
            "TPS only",
            "The positives of PPAP, with everything else negative.",
            ("phi0", "sigma_pos", "steps"),
        ),
        Rule(
            "ans",
            "ANS only",
            "The negatives of PPAP, with the first positives around the anchor itself.",
            ALL_FIVE,
        ),
        Rule(
            "baseline",
            "Baseline",
            "Patches more similar to the anchor than Φ⁰ are positive, everything else negative.",
            ("phi0",),
        ),
        Rule(
            "hp",
            "Hidden positives",
            "Patches closer to the anchor than either is to random patches of other images are "
            "positive; a few of the others, drawn at random, are negative.",
            parameters=(POOL_SIZE, RHO, SEED),
        ),
        Rule(
            "knn",
            "k nearest",
            "The k patches most similar to the anchor are positive, everything else negative.",
            parameters=(K,),
        ),
        Rule(
            "kmeans",
            "k-means",
            "All patches in the anchor's cluster are positive, everything else negative.",
            parameters=(CLUSTERS, SEED),
        ),
    )
}


@dataclass(frozen=True)
class Choice:
    """A rule with everything it may read; a value out of range raises SettingError."""

    rule: str = "ppap"
    settings: Settings = field(default_factory=lambda: Settings(0.55, 0.15, 3, 4, 2))
    k: int = int(K.default)
    clusters: int = int(CLUSTERS.default)
    pool_size: int = int(POOL_SIZE.default)
    rho: float = RHO.default
    seed: int = int(SEED.default)

    def __post_init__(self) -> None:
        if self.rule not in RULES:
            known = ", ".join(RULES)
            raise SettingError("rule", f"There is no rule called {str(self.rule)[:40]!r}: {known}.")
        for name, _, allowed in (K, CLUSTERS, POOL_SIZE, RHO, SEED):
            # number() turns 20.0 and "20" into 20; a frozen field is set this way only.
            object.__setattr__(self, name, number(name, getattr(self, name), allowed))


def prepare(
    choice: Choice,
    f: Tensor,
    *,
    pool: Tensor | None = None,
    images: int | Sequence[int] | None = None,
) -> Tensor | None:
    """What a rule works out once for a batch, whatever the anchor; keep it and pass it on.

    Args:
        choice: the rule and its parameters.
        f: L2-normalised features ``(N, D)``.
        pool: for "hp": patches from elsewhere, L2-normalised ``(M, D)``; see ``sample_pool``.
        images: for "hp" without ``pool``: B, how many images ``f`` holds, one after the other, or
            the patches of each where their sizes differ (``Batch.counts``). The pool is then drawn
            from ``f`` with ``choice.pool_size`` and ``choice.seed``, and each patch is compared
            with the pool patches of the other images.

    Returns:
        "hp": R of every patch ``(N,)``; "kmeans": clusters ``(N,)``; the others need nothing: None.

    Raises:
        SettingError: a pool is missing, cannot be drawn from a single image, or is to hold more
            patches than there are; or there are more clusters than patches.
        ValueError: N is not a multiple of ``images``, or not the sum of their patches.
    """
    if choice.rule == "hp":
        return pool_similarity_unit(f, pool) if pool is not None else _from_batch(choice, f, images)
    if choice.rule == "kmeans":
        at_most(CLUSTERS, choice.clusters, len(f))
        return cluster_patches_unit(f, choice.clusters, choice.seed)
    return None


def _from_batch(choice: Choice, f: Tensor, images: int | Sequence[int] | None) -> Tensor:
    if images is None:
        raise SettingError(
            "pool_size", "Hidden positives need a pool of patches or the number of images."
        )
    counts = patches_by_image(images, len(f))
    if len(counts) == 1:
        raise SettingError(
            "pool_size", "Hidden positives need at least two images to draw a pool from."
        )
    at_most(POOL_SIZE, choice.pool_size, len(f))
    return other_images_similarity_unit(
        f, counts=counts, size=choice.pool_size, generator=seeded(choice.seed)
    )


def gather_unit(
    choice: Choice, f: Tensor, anchors: Tensor, prepared: Tensor | None = None
) -> PatchSets:
    """The chosen rule's sets.

    Args:
        choice: the rule and its parameters.
        f: features ``(N, D)``, known to be finite and of unit length: not checked.
        anchors: indices into ``f``, int64 ``(A,)``: not checked.
        prepared: what ``prepare`` gave for the same choice and features.

    Raises:
        SettingError: k is more than N − 1; or nothing was prepared for a rule that needs it.
    """
    if choice.rule == "knn":
        at_most(K, choice.k, len(f) - 1)
        return k_nearest_unit(f, anchors, k=choice.k)
    if choice.rule in ("hp", "kmeans"):
        if prepared is None:
            title = RULES[choice.rule].title
            raise SettingError("rule", f"{title} needs what prepare() gives for these features.")
        if choice.rule == "kmeans":
            return same_cluster_unit(f, anchors, labels=prepared)
        chance = seeded(choice.seed)
        return hidden_positives_unit(f, anchors, nearest=prepared, rho=choice.rho, generator=chance)
    return _propagated(choice, f, anchors)


def _propagated(choice: Choice, f: Tensor, anchors: Tensor) -> PatchSets:
    five = choice.settings
    sets = propagate_unit(
        f,
        anchors,
        phi0=five.phi0,
        psi0=five.psi0,
        sigma_pos=five.sigma_pos,
        sigma_amb=five.sigma_amb,
        steps=0 if choice.rule == "baseline" else five.steps,
    )
    if choice.rule == "ans":
        return with_initial_positives(sets)
    return sets if choice.rule == "ppap" else without_ambiguity(sets)


def at_most(parameter: Parameter, value: int, most: int) -> None:
    """SettingError where ``value`` is more than these features allow."""
    if value > most:
        symbol, least = parameter.allowed.symbol, parameter.allowed.least
        raise SettingError(
            parameter.name,
            f"{symbol} must be from {least:g} to {most} for this batch, not {value}.",
        )
