"""The first principal components of a batch's features as red, green and blue.

As in DINOv2's figure: parts that the features tell apart get different colours, the same in every
image. The first component mostly tells objects from what lies behind them, so that a threshold on
it takes the background away; the components of what is left show the objects' parts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ppap.checks import check_vectors

SHOWN = 3
# Few patches lie far out, and would leave the colours of all others alike.
PERCENTILES = (1.0, 99.0)
ROWS_AT_ONCE = 4096
BINS = 256

Pause = Callable[[], None]
"""Called between two short pieces of work, so that others get their turn."""


class Projection(NamedTuple):
    """Principal components of N vectors."""

    values: np.ndarray
    """Scores, float32 ``(N, 3)``; 0 where the features have fewer dimensions."""
    explained: np.ndarray
    """Share of the variance that each of the three explains, float64 ``(3,)``."""


class Components(NamedTuple):
    """Components as colours."""

    rgb: np.ndarray
    """uint8 ``(N, 3)``: 1st and 99th percentile of a component are 0 and 255; background is 0."""
    foreground: np.ndarray
    """bool ``(N,)``; True everywhere where no background is taken away."""
    projection: Projection
    """Of the foreground's patches; scores of the background are 0."""
    threshold: float | None
    """Where the first component of all patches was cut; None where it was not."""


def principal(features: Tensor, count: int = SHOWN, pause: Pause | None = None) -> Projection:
    """The first principal components, centred, not whitened.

    A component's sign is free: here its largest weight is positive, as in scikit-learn.

    Args:
        features: float ``(N, D)``.
        count: how many.
        pause: see ``Pause``.
    """
    check_vectors("features", features, "N")
    from scipy.linalg import eigh

    rest = pause or (lambda: None)
    parts = features.split(ROWS_AT_ONCE)
    mean = torch.stack([part.double().sum(0) for part in parts]).sum(0) / len(features)
    dim = features.shape[1]
    scatter = torch.zeros(dim, dim, dtype=torch.float64)
    for part in parts:
        centred = part.float() - mean.float()
        scatter += (centred.T @ centred).double().cpu()
        rest()
    found = min(count, dim)
    spread, axes = eigh(scatter.numpy(), subset_by_index=[dim - found, dim - 1])
    spread, axes = spread[::-1], axes[:, ::-1]
    largest = np.abs(axes).argmax(axis=0)
    axes = axes * np.where(axes[largest, np.arange(found)] < 0, -1, 1)
    basis = torch.from_numpy(np.ascontiguousarray(axes)).float()
    values = np.zeros((len(features), count), np.float32)
    for start, part in zip(range(0, len(features), ROWS_AT_ONCE), parts, strict=True):
        values[start : start + len(part), :found] = (part.float() - mean.float()).cpu() @ basis
    explained = np.zeros(count)
    total = float(scatter.trace())
    if total > 0:
        explained[:found] = np.clip(spread, 0, None) / total
    return Projection(values, explained)


def components(
    features: Tensor,
    *,
    background: int | None = None,
    pause: Pause | None = None,
) -> Components:
    """The first three components of a batch as colours.

    Args:
        features: of all patches, float ``(N, D)``; those of ``Batch.features`` have length 1.
        background: a patch that belongs to the background: the first component of all patches is
            cut in two (``otsu``), and the side of that patch is left out of a second analysis.
            None keeps everything.
        pause: see ``Pause``.

    Raises:
        IndexError: there is no such patch.
    """
    whole = principal(features, pause=pause)
    everything = np.ones(len(features), bool)
    if background is None:
        return Components(coloured(whole.values), everything, whole, None)
    if not 0 <= background < len(features):
        raise IndexError(f"background must be from 0 to {len(features) - 1}, not {background}")
    first = whole.values[:, 0]
    threshold = otsu(first)
    foreground = (first > threshold) != (first[background] > threshold)
    if not foreground.any():
        return Components(np.zeros((len(features), SHOWN), np.uint8), foreground, whole, threshold)
    part = principal(features[torch.from_numpy(foreground)], pause=pause)
    values = np.zeros_like(whole.values)
    values[foreground] = part.values
    rgb = np.zeros((len(features), SHOWN), np.uint8)
    rgb[foreground] = coloured(part.values)
    return Components(rgb, foreground, Projection(values, part.explained), threshold)


def coloured(values: np.ndarray) -> np.ndarray:
    """Scores ``(N, 3)`` → uint8, each component from its 1st to its 99th percentile."""
    low, high = np.percentile(values, PERCENTILES, axis=0)
    span = np.where(high > low, high - low, 1)
    scaled = np.where(high > low, (values - low) / span, 0.5)
    return np.rint(255 * np.clip(scaled, 0, 1)).astype(np.uint8)


def otsu(values: np.ndarray) -> float:
    """The threshold that leaves the least variance within the two sides (Otsu, 1979).

    Args:
        values: float ``(N,)``.
    """
    low, high = float(values.min()), float(values.max())
    if low == high:
        return low
    counts, edges = np.histogram(values, BINS, (low, high))
    middles = (edges[:-1] + edges[1:]) / 2
    below = counts.cumsum()[:-1]
    above = len(values) - below
    sums = (counts * middles).cumsum()
    means = sums[:-1] / np.maximum(below, 1), (sums[-1] - sums[:-1]) / np.maximum(above, 1)
    between = below.astype(float) * above * (means[0] - means[1]) ** 2
    return float(edges[1 + int(between.argmax())])


def likely_background(features: Tensor, border: np.ndarray, pause: Pause | None = None) -> int:
    """A patch of whichever side of the first component has the larger share at the images' edges.

    Args:
        features: float ``(N, D)``.
        border: whether a patch lies at the edge of its image, bool ``(N,)``.
        pause: see ``Pause``.
    """
    first = principal(features, 1, pause).values[:, 0]
    high = first > otsu(first)
    shares = [border[side].mean() if side.any() else -1.0 for side in (~high, high)]
    # The farthest patch of that side: it stays there however the cut moves.
    return int(first.argmax() if shares[1] > shares[0] else first.argmin())
