"""Pictures and label maps of any size → squares, both by the same geometry."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from PIL import Image

from ppap.protocol import Resizing

# Beyond that a picture's long side is no longer asked Pillow about.
MOST_RESIZED = 2**24


class Window(NamedTuple):
    """Resize to ``height`` × ``width``; the square begins ``top`` rows and ``left`` columns in."""

    height: int
    width: int
    top: int
    left: int


def window(height: int, width: int, size: int) -> Window:
    """The shorter side becomes ``size``, the square is cut from the middle.

    Fractions are dropped and the middle is rounded as torchvision does, whose transforms the
    published code uses.

    Raises:
        ValueError: a side that is not at least 1.
    """
    if min(height, width, size) < 1:
        raise ValueError(f"cannot cut {size}×{size} pixels from {width}×{height}")
    short = min(height, width)
    tall, wide = size * height // short, size * width // short
    return Window(tall, wide, round((tall - size) / 2), round((wide - size) / 2))


def square(rgb: np.ndarray, size: int, resizing: Resizing = "smooth") -> np.ndarray:
    """uint8 ``(H, W, 3)`` → uint8 ``(size, size, 3)``.

    Bicubic with antialiasing, as DINO's own evaluation resizes. The published code takes the
    nearest pixel, which leaves jagged edges that the backbone has never seen; so does "nearest".

    Raises:
        ValueError: not a uint8 RGB picture, or a size below 1.
    """
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8:
        raise ValueError(f"expected uint8 (H, W, 3), not {rgb.dtype} {rgb.shape}")
    height, width = rgb.shape[:2]
    cut = window(height, width, size)
    if resizing == "nearest":
        return rgb[_taken_by_pillow(cut, size, height, width)]
    down, across = height / cut.height, width / cut.width
    # Pillow resizes the part alone: a picture of 1×10,000 would not fit in memory as a whole.
    box = (
        cut.left * across,
        cut.top * down,
        min((cut.left + size) * across, width),
        min((cut.top + size) * down, height),
    )
    image = Image.fromarray(rgb).resize((size, size), Image.Resampling.BICUBIC, box=box)
    return np.array(image)


def square_labels(labels: np.ndarray, size: int, resizing: Resizing = "smooth") -> np.ndarray:
    """Class ids ``(H, W)`` → ``(size, size)``, same type: the nearest pixel's id.

    With the resizing "nearest" it is the pixel that Pillow takes, as in the published code: now and
    then the one beside.

    Raises:
        ValueError: not two dimensions, or a size below 1.
    """
    if labels.ndim != 2:
        raise ValueError(f"expected a label map (H, W), not {labels.shape}")
    height, width = labels.shape
    cut = window(height, width, size)
    if resizing == "nearest":
        return labels[_taken_by_pillow(cut, size, height, width)]
    rows = nearest(cut.top, size, cut.height, height)
    columns = nearest(cut.left, size, cut.width, width)
    return labels[rows[:, None], columns]


def nearest(start: int, count: int, resized: int, original: int) -> np.ndarray:
    """Which of ``original`` pixels lies under the middle of each resized one; int64 ``(count,)``.

    Whole numbers throughout, so that no rounding error moves a pixel.
    """
    return (2 * np.arange(start, start + count) + 1) * original // (2 * resized)


def pillows(start: int, count: int, resized: int, original: int) -> np.ndarray:
    """As ``nearest``, but with the rounding errors that Pillow adds up from pixel to pixel.

    Pillow itself is asked, about a single row of numbers: a picture of 1×10,000, resized as a
    whole, would not fit in memory.
    """
    if resized > MOST_RESIZED:
        return nearest(start, count, resized, original)
    row = Image.fromarray(np.arange(original, dtype=np.int32)[None])
    taken = row.resize((resized, 1), Image.Resampling.NEAREST)
    return np.asarray(taken, np.int64)[0, start : start + count]


def _taken_by_pillow(
    cut: Window, size: int, height: int, width: int
) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns, to index a picture by."""
    rows = pillows(cut.top, size, cut.height, height)
    return rows[:, None], pillows(cut.left, size, cut.width, width)
