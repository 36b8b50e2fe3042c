"""How features of one's own are shown: the pictures that belong to them, or stand-ins."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median

import numpy as np
import torch
from torch import Tensor

from ppap.backbones import Grid

LEAST_PATCH, USUAL_PATCH, MOST_PATCH = 4, 16, 32
MOST_SHOWN_PIXELS = 64_000_000
# Patches from which the colours of a stand-in are made.
SAMPLED = 8192


def patch_side(grids: Sequence[Grid], pictures: Sequence[np.ndarray] | None) -> int:
    """The side in pixels at which patches are shown: about that of the pictures, all the same."""
    side = USUAL_PATCH
    if pictures is not None:
        sides = (
            (p.shape[0] * p.shape[1] / (g.rows * g.columns)) ** 0.5
            for p, g in zip(pictures, grids, strict=True)
        )
        side = min(max(round(median(sides)), LEAST_PATCH), MOST_PATCH)
    patches = sum(grid.rows * grid.columns for grid in grids)
    while side > 1 and patches * side**2 > MOST_SHOWN_PIXELS:
        side -= 1
    return side


def notes_on(pictures: Sequence[np.ndarray] | None, grids: Sequence[Grid]) -> Iterator[str]:
    """What is worth knowing of the pictures."""
    if pictures is None:
        yield (
            "No images were given, so the colours show the first three principal components of the "
            "features."
        )
        return
    odd = 0
    for picture, grid in zip(pictures, grids, strict=True):
        ratio = (picture.shape[0] / grid.rows) / (picture.shape[1] / grid.columns)
        odd += not 0.9 < ratio < 1.1
    if odd:
        yield (
            f"{odd} of {len(pictures)} images differ in aspect ratio from their grid of patches "
            "and are stretched to fit it. Pass the images as the network saw them."
        )


def stand_ins(features: Tensor, grids: Sequence[Grid], side: int) -> list[np.ndarray]:
    """Pictures for features that have none: three principal components as red, green and blue.

    Grey where there are too few patches or dimensions for that.
    """
    count, length = features.shape
    if count < 4 or length < 3:
        colours = np.full((count, 3), 160, np.uint8)
    else:
        colours = component_colours(features)
    shown, start = [], 0
    for grid in grids:
        cells = colours[start : start + grid.rows * grid.columns].reshape(*grid, 3)
        shown.append(np.ascontiguousarray(cells.repeat(side, 0).repeat(side, 1)))
        start += grid.rows * grid.columns
    return shown


def component_colours(features: Tensor) -> np.ndarray:
    """The first three principal components ``(N, D)`` → uint8 ``(N, 3)``, by ranks of percent."""
    step = -(-len(features) // SAMPLED)
    some = features[::step]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # the factors are found by chance; the same every time
        _, _, axes = torch.pca_lowrank(some, q=min(6, *some.shape))
    values = ((features - some.mean(dim=0)) @ axes[:, :3]).numpy()
    low, high = np.percentile(values, [2, 98], axis=0)
    scaled = (values - low) / np.maximum(high - low, 1e-9)
    return np.rint(40 + 190 * scaled.clip(0, 1)).astype(np.uint8)
