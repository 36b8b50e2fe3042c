"""Segmented pictures as files to take away: label maps, overlays, COCO's JSON, in one ZIP."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from PIL import Image

from ppap.checks import check_share
from ppap.data import VOID_COLOUR, ClassList
from ppap.output.coco_json import LabelMap, as_coco, check_ids

# What label files store for pixels of no class.
STORED_VOID = 255
MOST_CLASSES = 255
# In file names; everything else becomes an underscore, so that a name cannot lead elsewhere.
_SAFE = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 ._-()")
README = """\
labels/            a PNG for every image: class ids, with the classes' colours as its palette
overlays/          the images with the classes' colours laid over them
annotations.json   COCO's format; masks as uncompressed run lengths, category_id = class id
classes.txt        the classes' names, a line each, id 0 first

Together with a folder images/ of the images (same names) this is a data set of kind "folder".
"""


class Segmented(NamedTuple):
    """A picture, what it is called and the class of every pixel."""

    name: str
    """With or without a suffix; file names are made of it."""
    rgb: np.ndarray
    """uint8 ``(H, W, 3)``."""
    ids: np.ndarray
    """Whole numbers ``(H, W)``; what is outside the classes is of no class."""


def indexed_png(ids: np.ndarray, colours: Sequence[Sequence[int]]) -> bytes:
    """A label map as an 8-bit PNG whose palette has the classes' colours.

    Args:
        ids: whole numbers ``(H, W)``; those outside the classes are stored as 255, in grey.
        colours: RGB by class id, at most 255.

    Raises:
        TypeError, ValueError: not a label map, or too many classes.
    """
    check_ids(ids)
    if len(colours) > MOST_CLASSES:
        raise ValueError(f"a label file holds at most {MOST_CLASSES} classes, not {len(colours)}")
    known = (ids >= 0) & (ids < len(colours))
    stored = np.where(known, ids, STORED_VOID).astype(np.uint8)
    palette = np.zeros((256, 3), np.uint8)
    palette[: len(colours)] = np.asarray(colours, np.uint8).reshape(-1, 3)
    palette[STORED_VOID] = VOID_COLOUR
    image = Image.fromarray(stored, "L")
    image.putpalette(palette.tobytes())
    return as_png(image)


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
        raise ValueError(f"the picture {rgb.shape} and the label map {ids.shape} must fit")
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


def merged_names(names: Sequence[str]) -> np.ndarray:
    """For every class the first one of the same name, int64 ``(C,)``: equal names are one class."""
    return np.array([names.index(name) for name in names], np.int64)


def file_stems(names: Sequence[str]) -> list[str]:
    """File names without suffix, all different, made of whatever the images are called."""
    found: list[str] = []
    taken: set[str] = set()
    for name in names:
        stem = Path(name.replace("\\", "/")).name
        stem = stem.rpartition(".")[0] or stem
        stem = "".join(c if c in _SAFE or c.isalnum() else "_" for c in stem).strip(" .")[:80]
        stem = stem or "image"
        unique, number = stem, 1
        # Some systems take "A" and "a" for the same file.
        while unique.casefold() in taken:
            number += 1
            unique = f"{stem} ({number})"
        taken.add(unique.casefold())
        found.append(unique)
    return found


def write_zip(
    file: IO[bytes],
    pictures: Iterable[Segmented],
    classes: ClassList,
    *,
    names: Sequence[str],
    opacity: float = 0.6,
    outline: bool = False,
    progress: Callable[[int], None] | None = None,
) -> None:
    """Write labels, overlays, annotations and class names into one ZIP.

    Args:
        file: where to.
        pictures: taken one at a time.
        classes: names and colours by id.
        names: of all the pictures, in their order.
        opacity: see ``overlaid``.
        outline: see ``overlaid``.
        progress: told how many pictures are done.

    Raises:
        TypeError, ValueError: as ``indexed_png`` and ``overlaid``.
    """
    stems = file_stems(names)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:

        def maps() -> Iterator[LabelMap]:
            for i, one in enumerate(pictures):
                label = indexed_png(one.ids, classes.colours)
                archive.writestr(stored(f"labels/{stems[i]}.png"), label)
                picture = overlaid(one.rgb, one.ids, classes.colours, opacity, outline=outline)
                png = as_png(Image.fromarray(picture))
                archive.writestr(stored(f"overlays/{stems[i]}.png"), png)
                yield LabelMap(one.name, one.ids)
                if progress is not None:
                    progress(i + 1)

        document = as_coco(maps(), classes.names, description="Segmented with PPAP Studio")
        archive.writestr("annotations.json", as_json(document))
        lines = "".join(f"{' '.join(name.split())}\n" for name in classes.names)
        archive.writestr("classes.txt", lines)
        archive.writestr("README.txt", README)


def stored(name: str) -> zipfile.ZipInfo:
    """An entry that is not compressed again: PNGs are already."""
    info = zipfile.ZipInfo(name)
    info.external_attr = 0o644 << 16
    return info


def as_json(document: dict[str, Any]) -> str:
    """JSON in one line: run lengths would fill a line each."""
    return json.dumps(document, ensure_ascii=False, allow_nan=False)


def as_png(image: Image.Image) -> bytes:
    """An image as PNG bytes; compressed a little, which is several times faster than well."""
    out = io.BytesIO()
    image.save(out, "PNG", compress_level=3)
    return out.getvalue()
