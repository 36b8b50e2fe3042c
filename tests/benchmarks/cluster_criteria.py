"""How many clusters, asked of features without labels: criteria from the literature.

- *Stability*: two disjoint halves of the images are clustered on their own, and both sets of
  centroids are put to all patches. Where K is right, both should say the same; how far they do is
  the adjusted Rand index, 0 by chance for every K (Ben-Hur, Elisseeff and Guyon 2002; Fang and Wang
  2012; Haslbeck and Wulff 2020 on why chance has to be taken off).
- *Strength*: of the pairs of patches that one half puts together, the share that the other does,
  too, in its worst cluster; the largest K above 0.8 (Tibshirani and Walther 2005).
- *Silhouette*: how much nearer patches are to their own cluster than to the next one (Rousseeuw
  1987), by centroids.
- *Eigengap*: the largest step in the spectrum of the normalised affinity of patches (von Luxburg
  2007; Curie and da Costa 2025 with DINO's patches, image by image).
- *Knee*: where the loss of k-means bends, K on a log scale (Satopää et al. 2011).
- *Effective rank*: the exponential of the entropy of the covariance's spectrum (Roy and Vetterli
  2007), and the number of the affinity's eigenvalues above a level: how many directions patches lie
  in. No rules for K, but they may follow it.

docs/clusters.md has what they are worth. None is part of the product.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ppap.evaluation.clusterings import adjusted_rand

# Numbers of clusters that are tried.
COUNTS = (2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 18, 20, 24, 28, 32, 40, 48, 64)
DRAWS = 3
STRONG = 0.8
# The spectrum takes cubic time.
MOST_IN_SPECTRUM = 1500

Find = Callable[[Tensor, int, int], Tensor]
"""Unit features (N, D), a number of clusters, a seed → unit centroids (K, D)."""


class Agreements(NamedTuple):
    """Of clusterings from two halves of the images, float64 (counts,): means over draws."""

    stability: Tensor
    strength: Tensor


def agreements(f: Tensor, images: Tensor, find: Find, *, seed: int = 0) -> Agreements:
    """Cluster halves of the images, and compare what they say of all patches, for all COUNTS.

    Args:
        f: unit features ``(N, D)``.
        images: the image of every patch, int64 ``(N,)``; at least two different ones.
        find: finds centroids.
        seed: of the draws.
    """
    chance = torch.Generator().manual_seed(seed)
    numbers = images.unique()
    found = torch.zeros(2, DRAWS, len(COUNTS), dtype=torch.float64)
    for draw in range(DRAWS):
        order = numbers[torch.randperm(len(numbers), generator=chance)]
        first = torch.isin(images, order[: len(order) // 2])
        for place, count in enumerate(COUNTS):
            one, other = (
                assigned(f, find(f[half], count, seed + draw)) for half in (first, ~first)
            )
            table = contingency(one, other, count)
            found[0, draw, place] = adjusted_rand(table)
            found[1, draw, place] = (strength(table) + strength(table.T)) / 2
    return Agreements(*found.mean(dim=1))


def assigned(f: Tensor, centroids: Tensor) -> Tensor:
    """The nearest centroid of every patch, int64 ``(N,)``."""
    return (f @ centroids.T).argmax(dim=1)


def contingency(one: Tensor, other: Tensor, count: int) -> Tensor:
    """How many patches are in cluster i of the one and j of the other, float64 ``(K, K)``."""
    return torch.bincount(one * count + other, minlength=count * count).view(count, count).double()


def strength(table: Tensor) -> float:
    """Of the rows' worst cluster, the share of its pairs that the columns keep together; clusters
    with a single patch do not count."""
    sizes = table.sum(dim=1)
    some = sizes > 1
    kept = (table * (table - 1)).sum(dim=1)[some] / (sizes * (sizes - 1))[some]
    return float(kept.min()) if some.any() else float("nan")


def silhouette(f: Tensor, centroids: Tensor) -> float:
    """The mean over patches of (b − a) / b, where a and b are the distances (1 − cosine) from
    their own and the next centroid."""
    own, following = (1 - (f @ centroids.T).topk(2, dim=1).values).clamp(min=0).T
    return float(((following - own) / following.clamp(min=1e-9)).double().mean())


def nearness(f: Tensor, centroids: Tensor) -> float:
    """The mean cosine of patches with their centroid: the loss of k-means with its sign changed."""
    return float((f @ centroids.T).max(dim=1).values.mean())


def spectrum(f: Tensor, neighbours: int = 0) -> Tensor:
    """Eigenvalues of the normalised affinity D^−½ W D^−½, the largest first.

    Args:
        f: unit features ``(N, D)``; of more than MOST_IN_SPECTRUM an even part is taken.
        neighbours: W is 1 between each patch and so many nearest ones; 0: W is the cosine, or 0
            where that is negative.
    """
    some = f[:: max(1, -(-len(f) // MOST_IN_SPECTRUM))].double()
    affinity = (some @ some.T).clamp_(min=0).fill_diagonal_(0)
    if neighbours:
        nearest = affinity.topk(min(neighbours, len(some) - 1), dim=1).indices
        affinity = torch.zeros_like(affinity).scatter_(1, nearest, 1)
        affinity = torch.maximum(affinity, affinity.T)
    scale = affinity.sum(dim=1).clamp(min=1e-12).rsqrt()
    return torch.linalg.eigvalsh(affinity * scale * scale.unsqueeze(1)).flip(0)


def eigengap(values: Tensor, least: int = 2, most: int = COUNTS[-1]) -> int:
    """The K from ``least`` to ``most`` with the largest step from its eigenvalue to the next."""
    steps = values[least - 1 : most] - values[least : most + 1]
    return least + int(steps.argmax())


def effective_rank(f: Tensor) -> float:
    """exp of the entropy of the covariance's spectrum."""
    centred = f.double() - f.double().mean(dim=0)
    shares = torch.linalg.eigvalsh(centred.T @ centred).clamp(min=0)
    shares = shares / shares.sum()
    return float(torch.exp(-torch.special.xlogy(shares, shares).sum()))


def best(values: Sequence[float] | Tensor, least: int = 2) -> int:
    """The K of the highest value, among those from ``least`` up."""
    start = next(i for i, count in enumerate(COUNTS) if count >= least)
    return COUNTS[start + int(torch.as_tensor(values)[start:].argmax())]


def knee(values: Sequence[float]) -> int:
    """The K at which a rising curve is highest above its chord, both axes from 0 to 1."""
    x = torch.tensor([math.log(count) for count in COUNTS], dtype=torch.float64)
    y = torch.tensor(values, dtype=torch.float64)
    x, y = ((v - v[0]) / (v[-1] - v[0]) for v in (x, y))
    return COUNTS[int((y - x).argmax())]
