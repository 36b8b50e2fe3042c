"""Patch features → points in the plane: principal components at once, UMAP in some seconds.

Two things make UMAP quick here. The neighbours are exact and found by matrix products, so that
only its layout has to be compiled, not its neighbour search, whatever the number of patches. And
the layout starts from the first two principal components instead of a spectral embedding, which
also keeps it close to the stand-in that is shown until it is ready. It runs in one thread, which
gives the same map for the same patches every time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

COMPONENTS = 50
NEIGHBOURS = 15
EPOCHS = 200
MIN_DIST = 0.1
SEED = 0
CHUNK_BYTES = 64 * 2**20
# A cloud narrower than this (features have unit length) is rounding, not structure.
NARROWEST = 1e-5
# How much of the work is done when a stage ends; measured at 12,500 patches.
AFTER_COMPONENTS, AFTER_NEIGHBOURS, AFTER_GRAPH = 0.03, 0.18, 0.2

Report = Callable[[float], None]


class FittedMap(NamedTuple):
    """A finished map."""

    points: np.ndarray
    """float32 ``(N, 2)``, centred, root mean square distance from the centre 1."""
    note: str
    """Why these are only the principal components; empty for a UMAP layout."""


class Neighbours(NamedTuple):
    """The k nearest patches of every patch, its own row first."""

    indices: np.ndarray
    """int64 ``(N, k)``."""
    distances: np.ndarray
    """Euclidean, float32 ``(N, k)``, rising along each row."""


@torch.no_grad()
def principal_components(features: np.ndarray, count: int) -> Tensor:
    """The first ``count`` principal components of L2-normalised features.

    Normalised first, so that distances follow the cosine the method works with.

    Args:
        features: float ``(N, D)``.
        count: how many components; fewer come back when D is smaller.

    Returns:
        float32 ``(N, min(count, D))``, widest first; each axis points where its largest loading
        is positive, so that the same features never come back mirrored.
    """
    x = F.normalize(torch.as_tensor(features, dtype=torch.float32), dim=1)
    x = x - x.mean(dim=0)
    axes = torch.linalg.eigh(x.T @ x).eigenvectors.flip(1)[:, :count]
    largest = axes.abs().argmax(dim=0)
    return x @ (axes * axes[largest, torch.arange(axes.shape[1])].sign())


def spread_evenly(points: np.ndarray) -> np.ndarray:
    """Centre ``(N, ≤2)`` and scale to a root mean square radius of 1; a single spot stays zero."""
    flat = np.zeros((len(points), 2), dtype=np.float32)
    flat[:, : points.shape[1]] = points[:, :2]
    flat -= flat.mean(axis=0)
    radius = float(np.sqrt((flat**2).sum(axis=1).mean()))
    return flat / radius if radius > NARROWEST else np.zeros_like(flat)


def turn_towards(points: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Rotate or mirror centred ``(N, 2)`` points to lie as near as possible to ``target``."""
    u, _, vt = np.linalg.svd(points.T.astype(np.float64) @ target)
    return (points @ (u @ vt)).astype(np.float32)


@torch.no_grad()
def exact_neighbours(x: Tensor, k: int, report: Report) -> Neighbours:
    """Compare every row of ``(N, d)`` with every other, a block at a time; k ≤ N."""
    square = (x * x).sum(dim=1)
    indices = torch.empty(len(x), k, dtype=torch.int64)
    distances = torch.empty(len(x), k)
    size = max(1, CHUNK_BYTES // (4 * len(x)))
    for start in range(0, len(x), size):
        rows = slice(start, min(start + size, len(x)))
        block = torch.addmm(square, x[rows], x.T, alpha=-2).add_(square[rows, None])
        # Rounding must not put a duplicate before the point itself.
        block[torch.arange(len(block)), torch.arange(rows.start, rows.stop)] = -1
        distances[rows], indices[rows] = block.topk(k, dim=1, largest=False)
        report(rows.stop / len(x))
    return Neighbours(indices.numpy(), distances.clamp_(min=0).sqrt_().numpy())


def reason_for_stand_in(features: np.ndarray, stand_in: np.ndarray) -> str:
    """Why UMAP has nothing to lay out here, or an empty string."""
    distinct: set[bytes] = set()
    for row in features:
        distinct.add(row.tobytes())
        if len(distinct) > NEIGHBOURS:
            break
    if len(distinct) <= NEIGHBOURS:
        return (
            f"UMAP needs more than {NEIGHBOURS} patches with different features, and there are "
            f"{len(distinct)}, so the map shows their first two principal components."
        )
    if not stand_in.any():
        return "All patches have the same feature, up to its length, so they share one point."
    return ""


class _EpochCounter:
    """The file that UMAP's progress bar writes to; every write is the number of epochs done."""

    def __init__(self, report: Report) -> None:
        self.report = report

    def write(self, text: str) -> None:
        """Pass the number on; the bar's cursor movements are ignored."""
        if text.strip().isdigit():
            self.report(int(text) / EPOCHS)

    def flush(self) -> None:
        """Nothing is held back."""


def fit_map(features: np.ndarray, report: Report, start: np.ndarray | None = None) -> FittedMap:
    """Lay patches out in the plane with UMAP, turned to resemble the places it starts from.

    Args:
        features: finite float32 ``(N, D)``, N ≥ 1, any scale.
        report: called with the share that is done, 0 to 1, now and then.
        start: where to begin, finite float32 ``(N, 2)``: the places of the same patches on another
            map, which they can then be followed from. None: their principal components.
    """
    reduced = principal_components(features, COMPONENTS)
    stand_in = spread_evenly(reduced.numpy())
    begin = stand_in if start is None else spread_evenly(start)
    report(AFTER_COMPONENTS)
    note = reason_for_stand_in(features, stand_in)
    if note:
        return FittedMap(turn_towards(stand_in, begin), note)

    from umap.umap_ import find_ab_params, fuzzy_simplicial_set, simplicial_set_embedding

    random = np.random.RandomState(SEED)
    nearest = exact_neighbours(
        reduced, NEIGHBOURS, _part(report, AFTER_COMPONENTS, AFTER_NEIGHBOURS)
    )
    graph, _, _ = fuzzy_simplicial_set(
        reduced,
        NEIGHBOURS,
        random,
        "euclidean",
        knn_indices=nearest.indices,
        knn_dists=nearest.distances,
    )
    report(AFTER_GRAPH)
    a, b = find_ab_params(1.0, MIN_DIST)
    points, _ = simplicial_set_embedding(
        data=None,
        graph=graph,
        n_components=2,
        initial_alpha=1.0,
        a=a,
        b=b,
        gamma=1.0,
        negative_sample_rate=5,
        n_epochs=EPOCHS,
        # The little noise parts duplicates, which no force would part.
        init=begin + random.normal(scale=1e-5, size=begin.shape).astype(np.float32),
        random_state=random,
        metric="euclidean",
        metric_kwds={},
        densmap=False,
        densmap_kwds={},
        output_dens=False,
        parallel=False,
        tqdm_kwds={
            "disable": False,
            "file": _EpochCounter(_part(report, AFTER_GRAPH, 1.0)),
            "bar_format": "{n}",
            "mininterval": 0.1,
        },
    )
    return FittedMap(turn_towards(spread_evenly(points), begin), "")


def _part(report: Report, start: float, end: float) -> Report:
    """Report the shares 0 to 1 of one stage as ``start`` to ``end`` of the whole."""
    return lambda share: report(start + (end - start) * share)


def checked_places(start: np.ndarray | None, patches: int) -> np.ndarray | None:
    """A float32 copy of places ``(N, 2)`` to start from; ValueError unless finite, one a patch."""
    if start is None:
        return None
    if start.shape != (patches, 2):
        raise ValueError(f"start must have the shape ({patches}, 2), not {start.shape}")
    copy = np.array(start, dtype=np.float32, order="C")
    if not np.isfinite(copy).all():
        raise ValueError("start holds NaN or infinity")
    return copy


def checked(features: np.ndarray) -> np.ndarray:
    """A float32 copy of ``(N, D)`` that nobody else can change; the errors ``pca_map`` lists."""
    if features.ndim != 2 or 0 in features.shape:
        raise ValueError(f"features must have the shape (N, D), N and D > 0, not {features.shape}")
    copy = np.array(features, dtype=np.float32, order="C")
    if not np.isfinite(copy).all():
        bad = int(np.flatnonzero(~np.isfinite(copy).all(axis=1))[0])
        raise ValueError(f"features hold NaN or infinity, first in row {bad}")
    return copy


def pca_map(features: np.ndarray, beside: np.ndarray | None = None) -> np.ndarray:
    """The first two principal components: the map that is shown until UMAP's is ready.

    Args:
        features: float ``(N, D)``, any scale (normalised inside).
        beside: places ``(N, 2)`` of the same patches on another map, to turn this one towards.

    Returns:
        float32 ``(N, 2)``, centred, root mean square distance from the centre 1 (all zeros when
        every patch has the same feature); the same features give the same map.

    Raises:
        ValueError: a wrong shape, empty or non-finite features or places.
    """
    points = spread_evenly(principal_components(checked(features), 2).numpy())
    places = checked_places(beside, len(points))
    return points if places is None else turn_towards(points, spread_evenly(places))


class NearestPatches(NamedTuple):
    """The patches between which each proxy is drawn."""

    indices: Tensor
    """int64 ``(P, k)``, the most similar patch first."""
    weights: Tensor
    """``(P, k)``, not negative, each row sums to 1."""

    def place(self, points: Tensor) -> Tensor:
        """Weighted means of the patches' places: ``(N, 2)`` → ``(P, 2)``."""
        return (points[self.indices] * self.weights.to(points.dtype).unsqueeze(-1)).sum(dim=1)


@torch.no_grad()
def nearest_patches(features: Tensor, proxies: Tensor, k: int = 5) -> NearestPatches:
    """Find the patches between which to draw each proxy on a map of the patches.

    This is an approximation: UMAP could place new points itself, but has to compile much more
    for it. A proxy whose nearest patches lie on separate islands is drawn between
    them, where there may be no patch at all.

    Args:
        features: patch features of unit length ``(N, D)``.
        proxies: proxies of unit length ``(P, D)``.
        k: how many patches, 1 or more; no more than N are used.

    Returns:
        Indices and weights, in proportion to the cosines; equal where no cosine is positive.

    Raises:
        ValueError: shapes that do not fit together, no features, or k below 1.
    """
    if features.ndim != 2 or proxies.ndim != 2 or features.shape[1] != proxies.shape[1]:
        raise ValueError(
            "features (N, D) and proxies (P, D) must have the same D, not the shapes "
            f"{tuple(features.shape)} and {tuple(proxies.shape)}"
        )
    if len(features) == 0 or k < 1:
        raise ValueError(f"needs a patch and k of 1 or more, not {len(features)} and k = {k}")
    k = min(k, len(features))
    size = max(1, CHUNK_BYTES // (features.element_size() * len(features)))
    blocks = [
        nearest_by_cosine(proxies[start : start + size] @ features.T, k)
        for start in range(0, max(1, len(proxies)), size)
    ]
    return NearestPatches(*(torch.cat(parts) for parts in zip(*blocks, strict=True)))


def nearest_by_cosine(cosines: Tensor, k: int = 5) -> NearestPatches:
    """``nearest_patches`` where the cosines ``(P, N)`` are known already."""
    best = cosines.topk(min(k, cosines.shape[1]), dim=1)
    weights = best.values.clamp(min=0)
    weights = torch.where(weights.sum(dim=1, keepdim=True) > 0, weights, torch.ones_like(weights))
    return NearestPatches(best.indices, weights / weights.sum(dim=1, keepdim=True))
