"""Whole pictures and label maps at a size that a backbone takes, in their own proportions.

Explore alone shows pictures so. Training and evaluation cut squares (``squares.py``) as the paper
does; ``fitting.py`` is how Segment sees a picture.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from PIL import Image

from ppap.data.squares import nearest

# A picture's long side is at most so many times the size: one of 4000 × 300 still fits.
LONGEST = 4


class Sides(NamedTuple):
    """Height and width in pixels, both multiples of the patch size."""

    height: int
    width: int


def whole_sides(height: int, width: int, size: int, patch: int) -> Sides:
    """The size at which a whole picture is seen.

    It has about as many pixels as a square of ``size``, so that the cost of a batch depends on
    ``size`` alone; fewer where the long side would be more than LONGEST times ``size``. Each side
    is the nearest number of whole patches, at least one: less than half a patch is squeezed or
    stretched. A picture that was brought to such a size stays as it is.

    Raises:
        ValueError: a side, ``size`` or ``patch`` below 1.
    """
    if min(height, width, size, patch) < 1:
        raise ValueError(f"cannot fit {width}×{height} pixels into {size}, patches of {patch}")
    if _fits(height, width, size, patch):
        return Sides(height, width)
    scale = min(size / (height * width) ** 0.5, LONGEST * size / max(height, width))
    rows, columns = (max(1, round(side * scale / patch)) for side in (height, width))
    return Sides(rows * patch, columns * patch)


def _fits(height: int, width: int, size: int, patch: int) -> bool:
    """Whether a picture has a size that ``whole_sides`` may have given it."""
    if height % patch or width % patch:
        return False
    rows, columns = height // patch, width // patch
    # Rounding r · c = (size / patch)² moves either factor by half a patch at most.
    filled = abs(rows * columns - (size / patch) ** 2) <= (rows + columns) / 2 + 0.75
    return filled or abs(max(rows, columns) - LONGEST * size / patch) <= 0.5


def whole(rgb: np.ndarray, size: int, patch: int) -> np.ndarray:
    """uint8 ``(H, W, 3)`` → uint8 of its ``whole_sides``; bicubic with antialiasing as ``square``.

    Raises:
        ValueError: not a uint8 RGB picture, or a size below 1.
    """
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8:
        raise ValueError(f"expected uint8 (H, W, 3), not {rgb.dtype} {rgb.shape}")
    sides = whole_sides(rgb.shape[0], rgb.shape[1], size, patch)
    if rgb.shape[:2] == sides:
        return np.array(rgb)
    image = Image.fromarray(rgb).resize((sides.width, sides.height), Image.Resampling.BICUBIC)
    return np.array(image)


def whole_labels(labels: np.ndarray, size: int, patch: int) -> np.ndarray:
    """Class ids ``(H, W)`` → of its ``whole_sides``, same type: the nearest pixel's id.

    Raises:
        ValueError: not two dimensions, or a size below 1.
    """
    if labels.ndim != 2:
        raise ValueError(f"expected a label map (H, W), not {labels.shape}")
    height, width = labels.shape
    sides = whole_sides(height, width, size, patch)
    rows = nearest(0, sides.height, sides.height, height)
    columns = nearest(0, sides.width, sides.width, width)
    return labels[rows[:, None], columns]
