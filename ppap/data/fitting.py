"""Pictures of any kind and size ↔ the sizes at which a network sees them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ppap.data import read_image
from ppap.data.images import check_size, to_rgb

# A picture up to this many times as long as wide is seen at once, a longer one through windows.
LONGEST = 2
# Beyond that many times the checkpoint's size, the long side is reduced, and the other with it.
MOST_SQUARES = 16
# The probes answer at most so many pixels; larger pictures repeat the nearest answer.
MOST_PIXELS = 2**22

Picture = str | Path | bytes | np.ndarray | Image.Image


class Work(NamedTuple):
    """The size at which the network sees a picture, both multiples of the patch size."""

    height: int
    width: int


def as_rgb(image: Picture) -> np.ndarray:
    """A file, its bytes, an image or an array → uint8 ``(H, W, 3)``."""
    if isinstance(image, str | Path):
        return read_image(Path(image).expanduser()).rgb
    if isinstance(image, bytes):
        return read_image(image).rgb
    if isinstance(image, np.ndarray):
        if image.dtype != np.uint8:
            raise TypeError(
                f"the image is an array of {image.dtype}; it must be uint8, 0 to 255. From floats "
                "in [0, 1]: (255 * image).round().astype(np.uint8)"
            )
        if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] not in (3, 4)):
            raise ValueError(
                f"the image must have the shape (H, W, 3), (H, W, 4) or (H, W), not {image.shape}"
            )
        check_size((image.shape[1], image.shape[0]), "the image")
        if image.ndim == 3 and image.shape[2] == 3:
            return image
        image = Image.fromarray(image)
    if not isinstance(image, Image.Image):
        raise TypeError(
            "the image must be a path, a file's bytes, a Pillow image or a uint8 array, "
            f"not {type(image).__name__}"
        )
    check_size(image.size, "the image")
    return np.array(to_rgb(image, "the image", []))


def work_size(height: int, width: int, size: int, patch: int) -> Work:
    """The size at which the network sees a picture.

    The shorter side becomes ``size``, or less where the longer one would be more than
    MOST_SQUARES times that; both are rounded to whole patches, at least one.
    """
    scale = min(size / min(height, width), MOST_SQUARES * size / max(height, width))
    sides = (max(1, round(side * scale / patch)) * patch for side in (height, width))
    return Work(*sides)


def resized(rgb: np.ndarray, work: Work) -> np.ndarray:
    """uint8 ``(H, W, 3)`` → ``(height, width, 3)``, bicubic with antialiasing as ``square``."""
    if rgb.shape[:2] == work:
        return np.array(rgb)  # torch wants arrays that may be written
    image = Image.fromarray(rgb).resize((work.width, work.height), Image.Resampling.BICUBIC)
    return np.array(image)


def seen_whole(
    features: Callable[[Tensor], Tensor], rgb: np.ndarray, *, patch: int, size: int
) -> Tensor:
    """The features of a whole picture, also of a long one.

    A long picture's are the means of those of its windows, which count less towards their ends.

    Args:
        features: ``(1, 3, H, W)`` images in [0, 1] → ``(1, h, w, D)``.
        rgb: uint8 ``(H, W, 3)``, of a ``work_size``.
        patch: pixels of a patch's side.
        size: the side of the squares that the network knows; windows are LONGEST times that.

    Returns:
        float32 ``(1, h, w, D)``.
    """
    image = torch.from_numpy(rgb).permute(2, 0, 1)
    axis = 0 if image.shape[1] > image.shape[2] else 1  # of the windows, in (H, W) and (h, w)
    length = image.shape[1 + axis] // patch
    sums: Tensor | None = None
    for start, stop in windows_of(length, LONGEST * size // patch):
        part = image.narrow(1 + axis, start * patch, (stop - start) * patch)
        found = features(part.float().div(255).unsqueeze(0))
        if stop - start == length:
            return found
        along = found[0].transpose(0, axis)  # (stop − start, across, D)
        if sums is None:
            sums = along.new_zeros(length, *along.shape[1:])
            weights = along.new_zeros(length, 1, 1)
        weight = ramp(stop - start).to(along).view(-1, 1, 1)
        sums[start:stop] += weight * along
        weights[start:stop] += weight
    assert sums is not None
    return (sums / weights).transpose(0, axis).unsqueeze(0)


class Span(NamedTuple):
    """Patches from ``start`` to before ``stop``."""

    start: int
    stop: int


def windows_of(length: int, longest: int) -> list[Span]:
    """Spans of at most ``longest`` patches over ``length``, neighbours sharing at least half."""
    if length <= longest:
        return [Span(0, length)]
    count = -(-2 * (length - longest) // longest) + 1
    starts = [round(i * (length - longest) / (count - 1)) for i in range(count)]
    return [Span(start, start + longest) for start in starts]


def ramp(length: int) -> Tensor:
    """Weights of a window's patches, float32 ``(length,)``: 1 at its ends, rising to the middle."""
    place = torch.arange(length)
    return torch.minimum(place + 1, length - place).float()


def answered(height: int, width: int) -> tuple[int, int]:
    """The size at which the probes answer: the picture's own, up to MOST_PIXELS."""
    if height * width <= MOST_PIXELS:
        return height, width
    scale = (MOST_PIXELS / (height * width)) ** 0.5
    return max(1, int(height * scale)), max(1, int(width * scale))


def at_size(ids: Tensor, height: int, width: int) -> np.ndarray:
    """``(h, w)`` ids → int64 ``(height, width)``: each pixel takes the nearest answer."""
    found: np.ndarray = ids.cpu().numpy()
    rows, columns = found.shape
    if (rows, columns) == (height, width):
        return found
    down = (2 * np.arange(height) + 1) * rows // (2 * height)
    across = (2 * np.arange(width) + 1) * columns // (2 * width)
    return found[down[:, None], across]
