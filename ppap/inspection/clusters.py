"""Clusters of a batch's features by their directions (spherical k-means)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ppap.checks import check_count, check_vectors
from ppap.inspection.components import Pause
from ppap.segmenter.starts import spread_start_unit

STEPS = 60
# Starts from other patches, of which the best is kept; with many cosines to compute, one.
STARTS, COSINES = 4, 1_000_000
ROWS_AT_ONCE = 8192
# Gains of the mean cosine that are none.
SAME = 1e-6


class Clusters(NamedTuple):
    """Clusters, the one with the most patches first."""

    labels: np.ndarray
    """Cluster of every patch, int64 ``(N,)``."""
    centres: Tensor
    """Unit vectors ``(K, D)``."""
    sizes: np.ndarray
    """int64 ``(K,)``; 0 where there are fewer different patches than clusters."""
    cosine: float
    """Mean cosine of a patch with its cluster's centre."""


class Assigned(NamedTuple):
    """Patches at their nearest centres."""

    labels: Tensor
    cosines: Tensor


@torch.no_grad()
def clusters(
    features: Tensor, count: int, *, seed: int = 0, pause: Pause | None = None
) -> Clusters:
    """Clusters whose patches have as high a mean cosine with their centre as k-means can find.

    Args:
        features: float ``(N, D)``, any scale.
        count: K, 1 to N.
        seed: of the first patches; the same seed gives the same clusters.
        pause: called between two short pieces of work.

    Raises:
        TypeError, ValueError: features are not finite ``(N, D)``, or a count out of range.
    """
    check_vectors("features", features, "N")
    check_count("count", count, 1, len(features))
    check_count("seed", seed, 0, 2**32 - 1)
    f = F.normalize(features.float(), dim=1)
    rest = pause or (lambda: None)
    chance = torch.Generator().manual_seed(seed)
    starts = STARTS if len(f) * count <= COSINES else 1
    found = [settled(f, spread_start_unit(f, count, chance, rest), rest) for _ in range(starts)]
    labels, centres, cosine = max(found, key=lambda one: one[2])
    sizes = torch.bincount(labels, minlength=count)
    order = sizes.argsort(descending=True, stable=True)
    place = torch.empty_like(order)
    place[order] = torch.arange(count, device=order.device)
    return Clusters(
        place[labels].cpu().numpy(), centres[order].cpu(), sizes[order].cpu().numpy(), cosine
    )


def settled(f: Tensor, centres: Tensor, rest: Pause) -> tuple[Tensor, Tensor, float]:
    """Lloyd's steps from some centres: labels, centres and the mean cosine between them."""
    before = -1.0
    labels, cosines = assigned(f, centres, rest)
    for _ in range(STEPS):
        sums = torch.zeros_like(centres).index_add_(0, labels, f)
        empty = torch.bincount(labels, minlength=len(centres)) == 0
        if empty.any():  # the patches that fit worst found clusters of their own
            worst = cosines.argsort()[: int(empty.sum())]
            sums[empty] = f[worst]
        centres = F.normalize(sums, dim=1)
        labels, cosines = assigned(f, centres, rest)
        mean = float(cosines.mean())
        if mean <= before + SAME:
            break
        before = mean
    return labels, centres, float(cosines.mean())


def assigned(f: Tensor, centres: Tensor, rest: Pause) -> Assigned:
    """The nearest centre of every patch, and the cosine with it."""
    labels, cosines = [], []
    for part in f.split(ROWS_AT_ONCE):
        best, which = (part @ centres.T).max(dim=1)
        labels.append(which)
        cosines.append(best)
        rest()
    return Assigned(torch.cat(labels), torch.cat(cosines))
