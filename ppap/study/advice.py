"""Φ⁰, Ψ⁰, σ and T for features whose labels nobody knows.

The criterion looks at one thing only: how similar random patches of the batch are to each other.
Not from the paper, which takes Φ⁰ = 0.55 and Ψ⁰ = 0.15 for every data set with DINO; cosines of
another backbone lie elsewhere, while *ranks* of patches mean the same everywhere:

- Φ⁰ is as high as both of these ask for. The first positives are at most the nearest 5 % of the
  batch: enough that their mean is a direction in common, and few enough that propagation, which
  multiplies them, does not run through the whole batch. And they are closer than the patches of an
  anchor's own image are on average, by 0.6 standard deviations: a photo's patches share light,
  colours and camera whatever they show, so that what is no closer than that says nothing about
  classes. With many classes the first rule alone would take patches of other classes in; there the
  second decides.
- Ψ⁰ leaves the farthest three quarters of the batch to the negatives. More would take in patches
  of the anchor's class, fewer would leave too few hard negatives.
- σ and T stay those of the paper: within their ranges they move F1 less than Φ⁰'s second decimal.

That is the *complete* advice: it looks for most of a class, close to the best F1. The *pure* one
takes a higher Φ⁰, at which about 85 % of the positives should be right, and few of a class are
found; ``ppap.study.expectation`` tells how that is known. It is known for the embedded backbone as
it is: for other features the pure Φ⁰ is that which most neighbouring patches exceed, and no number
is given.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ppap.checks import check_vectors, patches_by_image
from ppap.propagation import cosines, unit
from ppap.settings import Settings
from ppap.study.expectation import (
    AIMS,
    BESIDE,
    PURE,
    Aim,
    Expected,
    Neighbours,
    expect,
    neighbours,
    pure_phi0,
)

MOST_POSITIVE = 0.05
OWN_IMAGE = 0.6
NEAR = 0.25
SIGMA_POS, SIGMA_AMB, STEPS = 3, 4, 2
# Patches whose similarities are looked at; with more the criteria move by less than 0.005.
SAMPLE = 400
BINS = 60


class Advice(NamedTuple):
    """Settings for a batch, and what they come from."""

    settings: Settings
    reasons: tuple[str, ...]
    """Sentences, one for each setting."""
    nearest: float
    """The cosine that 5 % of the pairs of the batch exceed."""
    own_mean: float
    """Mean cosine of the pairs within an image."""
    own_deviation: float
    """Their standard deviation."""
    edges: tuple[float, ...]
    """Bounds of the histograms' bins."""
    pairs: tuple[float, ...]
    """Share of all pairs in each bin."""
    own_pairs: tuple[float, ...]
    """Share of the pairs within an image in each bin."""
    aim: Aim = "complete"
    expected: Expected | None = None
    """How many of the positives should be right; None where that is not known."""


def advise(
    features: Tensor,
    *,
    images: int | Sequence[int],
    grids: Sequence[tuple[int, int]] | None = None,
    aim: Aim = "complete",
    embedded: bool = False,
    seed: int = 0,
) -> Advice:
    """Propose settings from the features of a batch alone.

    Args:
        features: patch features ``(N, D)``, floating point, any scale, image by image.
        images: B, how many images, N being a multiple of it; or the patches of each.
        grids: rows and columns of every image's patches. Left out, a number of patches that is a
            square is taken for a square grid.
        aim: "complete" for most of a class, "pure" for few positives of which most are right.
        embedded: the features are the embedded backbone's as it is. Only for these is it known how
            many of the positives will be right.
        seed: of the draw of patches.

    Raises:
        TypeError, ValueError: as ``propagate`` for the features; N is no multiple of ``images``
            or not the sum of their patches, or an image has fewer than two; grids that do not fit;
            no such aim, or a pure one without grids.
    """
    check_vectors("features", features, "N")
    counts = patches_by_image(images, len(features))
    if min(counts) < 2:
        raise ValueError(f"an image must have two patches or more, not {min(counts)}")
    if aim not in AIMS:
        raise ValueError(f"aim must be {' or '.join(AIMS)}, not {aim!r}")
    grids = grids or _square(counts)
    if grids is not None and tuple(rows * columns for rows, columns in grids) != counts:
        raise ValueError(
            f"grids must hold {', '.join(map(str, counts))} patches, one grid for each image"
        )
    if grids is None and aim == "pure":
        raise ValueError("a pure advice needs the grids of the images")
    return advise_unit(
        unit(features), images=counts, grids=grids, aim=aim, embedded=embedded, seed=seed
    )


def _square(counts: Sequence[int]) -> list[tuple[int, int]] | None:
    """Square grids of so many patches; None where one is not square."""
    sides = [math.isqrt(count) for count in counts]
    if any(side * side != count for side, count in zip(sides, counts, strict=True)):
        return None
    return [(side, side) for side in sides]


@torch.no_grad()
def advise_unit(
    f: Tensor,
    *,
    images: int | Sequence[int],
    grids: Sequence[tuple[int, int]] | None = None,
    aim: Aim = "complete",
    embedded: bool = False,
    seed: int = 0,
) -> Advice:
    """``advise`` for vectors known to be finite and of unit length: no checks."""
    chance = torch.Generator().manual_seed(seed)
    drawn = torch.randperm(len(f), generator=chance)[:SAMPLE].to(f.device)
    similarity = cosines(f[drawn], f)
    counts = torch.tensor(patches_by_image(images, len(f)))
    owner = torch.arange(len(counts)).repeat_interleave(counts).to(f.device)
    others = torch.ones_like(similarity, dtype=torch.bool)
    others[torch.arange(len(drawn), device=f.device), drawn] = False
    pairs = similarity[others].double().sort().values
    own = similarity[others & (owner[drawn].unsqueeze(1) == owner)].double()
    nearest, near = quantile(pairs, 1 - MOST_POSITIVE), quantile(pairs, 1 - NEAR)
    mean, deviation = float(own.mean()), float(own.std(unbiased=False))
    beyond = mean + OWN_IMAGE * deviation
    # Two decimals are what the sliders show and what a person can compare.
    phi0 = round(min(max(nearest, beyond), 0.99), 2)
    beside = None if grids is None else neighbours(f, grids)
    why = _complete(phi0, nearest, beyond)
    if aim == "pure" and beside is not None:
        by_rank = max(phi0, math.floor(100 * beside.most) / 100)
        phi0 = pure_phi0(phi0, beside) if embedded else by_rank
        why = _pure(phi0, beside) if embedded else _by_rank(phi0)
    psi0 = round(max(min(near, phi0), -1.0), 2)
    expected = expect(aim, phi0, beside) if embedded and beside is not None else None
    return Advice(
        settings=Settings(phi0, psi0, SIGMA_POS, SIGMA_AMB, STEPS),
        reasons=_reasons(why, psi0, expected),
        nearest=nearest,
        own_mean=mean,
        own_deviation=deviation,
        **_histograms(pairs, own),
        aim=aim,
        expected=expected,
    )


def quantile(ascending: Tensor, share: float) -> float:
    """The value below which ``share`` of a sorted vector lies."""
    return float(ascending[min(len(ascending) - 1, int(share * len(ascending)))])


def _complete(phi0: float, nearest: float, beyond: float) -> str:
    if nearest >= beyond:
        why = "the nearest 5 % of the batch become the first positives"
    else:
        why = (
            "the first positives are more similar to the anchor than patches of the same image "
            f"usually are to each other (5 % of the batch would be at {nearest:.2f})"
        )
    return f"Φ⁰ {phi0:.2f}: {why}."


def _pure(phi0: float, found: Neighbours) -> str:
    if expect("pure", phi0, found).precision >= PURE:
        return (
            f"Φ⁰ {phi0:.2f}: the lowest value at which {100 * PURE:.0f} % of the positives should "
            f"be correct, judging by how similar adjacent patches are here ({found.mean:.2f} on "
            "average)."
        )
    return (
        f"Φ⁰ {phi0:.2f}: adjacent patches are this similar (their median is {found.median:.2f}); "
        "with a higher value, P would be empty."
    )


def _by_rank(phi0: float) -> str:
    return (
        f"Φ⁰ {phi0:.2f}: {100 * BESIDE:.0f} % of adjacent patches are more similar than this; "
        "patches less similar than neighbours usually are stay out."
    )


def _reasons(why: str, psi0: float, expected: Expected | None) -> tuple[str, ...]:
    said = () if expected is None else (in_words(expected),)
    return (
        *said,
        why,
        f"Ψ⁰ {psi0:.2f}: the least similar three quarters of the batch may become negatives.",
        f"σ {SIGMA_POS} and {SIGMA_AMB}, T {STEPS}: as in the paper; they matter much less.",
    )


def in_words(expected: Expected) -> str:
    """The expectation as a sentence."""
    middle, low, high = (round(100 * share) for share in expected)
    return f"About {middle} % of the positives should be correct, usually {low} to {high} %."


def _histograms(pairs: Tensor, own: Tensor) -> dict[str, tuple[float, ...]]:
    low, high = float(pairs[0]), float(pairs[-1])
    edges = torch.linspace(low, max(high, low + 1e-3), BINS + 1, dtype=torch.float64)
    shares = [
        torch.histogram(values.cpu().contiguous(), edges).hist / len(values)
        for values in (pairs, own)
    ]
    return {
        "edges": tuple(edges.tolist()),
        "pairs": tuple(shares[0].tolist()),
        "own_pairs": tuple(shares[1].tolist()),
    }
