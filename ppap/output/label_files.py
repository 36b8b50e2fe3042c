"""Label maps and overlays as pictures; segments of one name as one class."""

from __future__ import annotations

import io
import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image

from ppap.checks import check_share
from ppap.data import VOID_COLOUR, ClassList
from ppap.data.classes import Colour
from ppap.output.coco_json import check_ids

# What label files store for pixels of no class, and how many classes leave room for it: with a byte
# a pixel, and with two.
STORED_VOID, MOST_IN_A_BYTE = 255, 255
DEEP_VOID, MOST_CLASSES = 65535, 65535


def label_png(ids: np.ndarray, colours: Sequence[Sequence[int]]) -> bytes:
    """A label map as a PNG: indexed, or of 16 bits where there are more than 255 classes.

    Args:
        ids: whole numbers ``(H, W)``; those outside the classes are of no class.
        colours: RGB by class id, at most 65535.

    Raises:
        TypeError, ValueError: not a label map, or too many classes.
    """
    if len(colours) <= MOST_IN_A_BYTE:
        return indexed_png(ids, colours)
    return deep_png(ids, len(colours))


def indexed_png(ids: np.ndarray, colours: Sequence[Sequence[int]]) -> bytes:
    """A label map as an 8-bit PNG whose palette has the classes' colours.

    Args:
        ids: whole numbers ``(H, W)``; those outside the classes are stored as 255, in grey.
        colours: RGB by class id, at most 255.

    Raises:
        TypeError, ValueError: not a label map, or too many classes.
    """
    check_ids(ids)
    check_classes(len(colours), MOST_IN_A_BYTE)
    known = (ids >= 0) & (ids < len(colours))
    stored = np.where(known, ids, STORED_VOID).astype(np.uint8)
    palette = np.zeros((256, 3), np.uint8)
    palette[: len(colours)] = np.asarray(colours, np.uint8).reshape(-1, 3)
    palette[STORED_VOID] = VOID_COLOUR
    image = Image.fromarray(stored, "L")
    image.putpalette(palette.tobytes())
    return as_png(image)


def deep_png(ids: np.ndarray, classes: int) -> bytes:
    """A label map as a grey PNG of 16 bits; ids outside the classes are stored as 65535.

    Raises:
        TypeError, ValueError: not a label map, or too many classes.
    """
    check_ids(ids)
    check_classes(classes, MOST_CLASSES)
    known = (ids >= 0) & (ids < classes)
    return as_png(Image.fromarray(np.where(known, ids, DEEP_VOID).astype(np.uint16)))


def check_classes(count: int, most: int) -> None:
    """Raise ValueError for more classes than a label file can tell apart."""
    if count > most:
        raise ValueError(f"a label file holds at most {most} classes, not {count}")


def overlaid(
    rgb: np.ndarray,
    ids: np.ndarray,
    colours: Sequence[Sequence[int]],
    opacity: float = 0.6,
    *,
    outline: bool = False,
) -> np.ndarray:
    """A picture under its classes' colours, uint8 ``(H, W, 3)``.

    Args:
        rgb: uint8 ``(H, W, 3)``.
        ids: whole numbers ``(H, W)``; pixels of no class stay as they are.
        colours: RGB by class id.
        opacity: of the colours, 0 to 1.
        outline: draw a white line where two classes meet.

    Raises:
        TypeError, ValueError: shapes that differ, or an opacity outside its range.
    """
    check_ids(ids)
    check_share("opacity", opacity)
    if rgb.shape != (*ids.shape, 3):
        raise ValueError(
            f"the image {rgb.shape} and the label map {ids.shape} must have the same size"
        )
    known = (ids >= 0) & (ids < len(colours))
    table = np.asarray(colours, np.float32).reshape(-1, 3)
    shown = rgb.astype(np.float32)
    shown[known] += opacity * (table[ids[known]] - shown[known])
    if outline:
        shown[edges(ids)] = 255
    return np.rint(shown).astype(np.uint8)


def edges(ids: np.ndarray) -> np.ndarray:
    """Pixels whose right or lower neighbour is of another class: bool ``(H, W)``."""
    found = np.zeros(ids.shape, np.bool_)
    found[:, :-1] |= ids[:, 1:] != ids[:, :-1]
    found[:-1] |= ids[1:] != ids[:-1]
    return found


class Merged(NamedTuple):
    """Segments, those of one name as one class."""

    classes: ClassList
    """Every name once, in the order and the colour of its first segment."""
    table: np.ndarray
    """Segment → class id, int64 ``(segments + 1,)``; the last, also −1's, is −1."""


def merged(names: Sequence[str], colours: Sequence[Colour]) -> Merged:
    """Make one class of segments that are called the same; white space is no difference."""
    found: dict[str, int] = {}
    kept: list[Colour] = []
    table = []
    for name, colour in zip(names, colours, strict=True):
        written = one_line(name)
        if written not in found:
            found[written] = len(found)
            kept.append(colour)
        table.append(found[written])
    return Merged(ClassList(tuple(found), tuple(kept)), np.array([*table, -1], np.int64))


def one_line(name: str) -> str:
    """A class's name as ``classes.txt`` holds it; letters with accents are written one way only."""
    return unicodedata.normalize("NFC", " ".join(name.split()))


def as_png(image: Image.Image) -> bytes:
    """An image as PNG bytes; compressed a little, which is several times faster than well."""
    out = io.BytesIO()
    image.save(out, "PNG", compress_level=3)
    return out.getvalue()
