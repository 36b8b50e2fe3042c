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
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ppap.checks import check_vectors, patches_by_image
from ppap.propagation import cosines, unit
from ppap.settings import Settings

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


def advise(features: Tensor, *, images: int | Sequence[int], seed: int = 0) -> Advice:
    """Propose settings from the features of a batch alone.

    Args:
        features: patch features ``(N, D)``, floating point, any scale, image by image.
        images: B, how many images, N being a multiple of it; or the patches of each.
        seed: of the draw of patches.

    Raises:
        TypeError, ValueError: as ``propagate`` for the features; N is no multiple of ``images``
            or not the sum of their patches, or an image has fewer than two.
    """
    check_vectors("features", features, "N")
    counts = patches_by_image(images, len(features))
    if min(counts) < 2:
        raise ValueError(f"an image must have two patches or more, not {min(counts)}")
    return advise_unit(unit(features), images=counts, seed=seed)


@torch.no_grad()
def advise_unit(f: Tensor, *, images: int | Sequence[int], seed: int = 0) -> Advice:
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
    psi0 = round(max(min(near, phi0), -1.0), 2)
    return Advice(
        settings=Settings(phi0, psi0, SIGMA_POS, SIGMA_AMB, STEPS),
        reasons=_reasons(phi0, psi0, nearest, beyond),
        nearest=nearest,
        own_mean=mean,
        own_deviation=deviation,
        **_histograms(pairs, own),
    )


def quantile(ascending: Tensor, share: float) -> float:
    """The value below which ``share`` of a sorted vector lies."""
    return float(ascending[min(len(ascending) - 1, int(share * len(ascending)))])


def _reasons(phi0: float, psi0: float, nearest: float, beyond: float) -> tuple[str, ...]:
    if nearest >= beyond:
        why = "the nearest 5 % of the batch are the first positives"
    else:
        why = (
            "the first positives are closer than the patches of one image usually are to each "
            f"other (5 % of the batch would be {nearest:.2f})"
        )
    return (
        f"Φ⁰ {phi0:.2f}: {why}.",
        f"Ψ⁰ {psi0:.2f}: the farthest three quarters of the batch may be negative.",
        f"σ {SIGMA_POS} and {SIGMA_AMB}, T {STEPS}: the paper's; they matter much less.",
    )


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
