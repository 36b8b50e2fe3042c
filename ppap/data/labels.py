"""Label maps: files → ids, ids → class ids, pixels → patches.

In memory a class id is int64 and VOID (−1) stands for "no class", everywhere in the project.
Files keep their own numbers; a table (``label_table``) turns those into class ids.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from ppap.data.coding import LOSSLESS, PLAIN, Coding, numbers_in, raw_modes
from ppap.data.errors import ImageError, LabelError
from ppap.data.images import opened

VOID = -1
# Marks numbers in a table that a file of this data set must not hold.
OUTSIDE = -2
# How it is said that a label map holds others.
NO_CLASS = "its numbers must be"


def read_labels(path: Path, *, two_channel: bool = False, coding: Coding = PLAIN) -> np.ndarray:
    """The numbers stored in a label map, ``(H, W)``, as they are (255 stays 255).

    Args:
        path: a PNG, TIFF, BMP or GIF. Grey values are the numbers, in whatever mode they are
            saved; a palette file gives its indices unless ``coding`` says otherwise.
        two_channel: read an RGB file as R + 256·G, the way ImageNet-S stores its ids.
        coding: how numbers may be stored in this data set.

    Raises:
        LabelError: not such a file.
    """
    try:
        with opened(path, str(path)) as image:
            check_lossless(image, path)
            raw = raw_modes(image)
            image.load()
            if two_channel:
                return two_channels(image, path)
            return numbers_in(image, raw, coding, path)
    except ImageError as error:
        raise LabelError(error.name, error.reason) from None


def check_lossless(image: Image.Image, path: Path) -> None:
    """LabelError for formats that change numbers, and for files of several pictures."""
    if image.format not in LOSSLESS:
        raise LabelError(
            path,
            f"is a {image.format}, which does not preserve class ids: export it as PNG from the "
            "program it was drawn in (converting this file does not undo the damage)",
        )
    if (frames := getattr(image, "n_frames", 1)) > 1:
        raise LabelError(path, f"contains {frames} images; a label map must be a single one")


def two_channels(image: Image.Image, path: Path) -> np.ndarray:
    """R + 256·G."""
    if image.mode not in ("RGB", "RGBA"):
        raise LabelError(path, f"must be RGB (id = R + 256·G), not Pillow's mode {image.mode}")
    stored = np.array(image)
    return stored[..., 0].astype(np.int64) + 256 * stored[..., 1].astype(np.int64)


def label_table(values: Mapping[int, int], length: int = 256) -> np.ndarray:
    """Stored number → class id (or VOID), int64 ``(length,)``; OUTSIDE wherever nothing is said."""
    table = np.full(length, OUTSIDE, np.int64)
    for stored, class_id in values.items():
        table[stored] = class_id
    return table


def to_class_ids(stored: np.ndarray, table: np.ndarray, path: Path, remedy: str = "") -> np.ndarray:
    """Stored numbers ``(H, W)`` → class ids int64 ``(H, W)``, VOID where there is none.

    ``remedy`` tells what to do about a number that the table does not know.

    Raises:
        LabelError: naming ``path`` and the numbers that the table does not know.
    """
    beyond = (stored < 0) | (stored >= len(table))
    ids = table[np.where(beyond, 0, stored)]
    strange = beyond | (ids == OUTSIDE)
    if strange.any():
        found = np.unique(stored[strange]).tolist()
        known = np.flatnonzero(table != OUTSIDE).tolist()
        only = f"contains {spans(found)}, but {NO_CLASS} {spans(known)}"
        raise LabelError(path, f"{only}: {remedy}" if remedy else only)
    return ids


def spans(numbers: list[int], most: int = 6) -> str:
    """Sorted whole numbers in few words: ``0 to 26, 255``."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1] = [runs[-1][0], number]
        else:
            runs.append([number])
    words = [" to ".join(str(end) for end in run) for run in runs]
    return ", ".join(words[:most]) + (" and more" if len(words) > most else "")


def patch_labels(labels: np.ndarray, rows: int, columns: int, void: int = VOID) -> np.ndarray:
    """The class of every patch: ``(H, W)`` → int64 ``(rows, columns)``.

    A patch is void when more than half of its pixels are; otherwise it has the class that most of
    its other pixels have, the lower id in a tie. (The paper does not say how its Fig. 1b labels
    patches.) Where the picture does not divide evenly, pixel y belongs to row ⌊y · rows / H⌋.

    Raises:
        ValueError: not two dimensions, or fewer pixels than patches.
    """
    if labels.ndim != 2:
        raise ValueError(f"expected a label map (H, W), not {labels.shape}")
    height, width = labels.shape
    if not (1 <= rows <= height and 1 <= columns <= width):
        raise ValueError(f"{width}×{height} pixels cannot be cut into {columns}×{rows} patches")
    row = np.arange(height) * rows // height
    column = np.arange(width) * columns // width
    patch = row[:, None] * columns + column
    found, which = np.unique(labels, return_inverse=True)
    patches, kinds = rows * columns, len(found)
    counts = np.bincount(
        (patch.reshape(-1) * kinds + which.reshape(-1)), minlength=patches * kinds
    ).reshape(patches, kinds)
    pixels = counts.sum(axis=1)
    is_void = found == void
    voids = counts[:, is_void].sum(axis=1)
    counts[:, is_void] = -1
    result = np.where(2 * voids > pixels, void, found[counts.argmax(axis=1)])
    return result.astype(np.int64).reshape(rows, columns)
