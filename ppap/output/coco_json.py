"""Label maps as COCO's JSON: run lengths or polygons, areas, boxes.

Format: https://cocodataset.org/#format-data. As in COCO-Stuff there is one annotation for each
class of an image, not one for each connected piece. All ids begin at 1, as COCO's own do: many
tools keep 0 for the background.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple, TypedDict

import numpy as np

from ppap.output.polygons import polygons_of

# Class id → category_id.
FIRST_CATEGORY = 1


class RunLengths(TypedDict):
    """A mask as COCO's uncompressed run lengths."""

    size: list[int]
    """Height and width."""
    counts: list[int]
    """Pixels of every run, column by column from the left, each from the top; the first run is
    outside the mask and may be 0."""


class LabelMap(NamedTuple):
    """One image's file name and its class ids."""

    name: str
    ids: np.ndarray
    """Whole numbers ``(H, W)``; ids outside the classes, such as −1 or 255, are of no class."""


def encode_mask(mask: np.ndarray) -> RunLengths:
    """A bool mask ``(H, W)`` → run lengths.

    Raises:
        TypeError: not a bool array.
        ValueError: not two-dimensional, or without pixels.
    """
    if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_:
        kind = mask.dtype if isinstance(mask, np.ndarray) else type(mask).__name__
        raise TypeError(f"the mask must be a bool array (H, W), not {kind}")
    if mask.ndim != 2 or mask.size == 0:
        raise ValueError(f"the mask must have the shape (H, W), not {mask.shape}")
    flat = mask.ravel(order="F")
    ends = np.append(np.flatnonzero(flat[1:] != flat[:-1]) + 1, flat.size)
    counts = np.diff(ends, prepend=0).tolist()
    return {"size": [*mask.shape], "counts": [0, *counts] if flat[0] else counts}


def decode_mask(encoded: RunLengths) -> np.ndarray:
    """Run lengths → the bool mask ``(H, W)``.

    Raises:
        ValueError: a negative run, or runs that do not add up to the size.
    """
    height, width = encoded["size"]
    counts = np.asarray(encoded["counts"], np.int64)
    if (counts < 0).any() or counts.sum() != height * width:
        raise ValueError(f"the runs must be 0 or more and add up to {height}×{width} pixels")
    flat = np.repeat(np.arange(len(counts)) % 2 == 1, counts)
    return flat.reshape(height, width, order="F")


def box_of(mask: np.ndarray) -> list[int]:
    """The smallest box around a mask that has pixels: x, y, width, height, as COCO counts them."""
    down, across = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    top, left = int(down[0]), int(across[0])
    return [left, top, int(across[-1]) - left + 1, int(down[-1]) - top + 1]


def as_coco(
    maps: Iterable[LabelMap],
    names: Sequence[str],
    *,
    supercategory: str = "segment",
    description: str = "",
    polygons: bool = False,
) -> dict[str, Any]:
    """Label maps → a COCO document.

    Args:
        maps: taken one at a time.
        names: of the classes; ``category_id`` is the class id of the label maps plus 1.
        supercategory: of all of them.
        description: goes into ``info``.
        polygons: masks as polygons (see ``polygons_of``), for tools that take no run lengths.

    Returns:
        ``info``, ``licenses``, ``images``, ``categories`` and ``annotations``, as plain values.
        Images are numbered from 1 in their order, annotations too.

    Raises:
        TypeError: ids that are not whole numbers.
        ValueError: ids that are not ``(H, W)``.
    """
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for image, own in described(maps, len(names), polygons=polygons):
        images.append(image)
        annotations += own
    return document(images, annotations, names, supercategory, description)


def described(
    maps: Iterable[LabelMap], classes: int, *, polygons: bool = False
) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Of one label map after another: its image, and the annotations of the classes in it.

    Args:
        maps: taken one at a time.
        classes: how many there are.
        polygons: instead of run lengths.

    Raises:
        TypeError, ValueError: as ``as_coco``.
    """
    known = 0
    for number, (name, ids) in enumerate(maps, 1):
        check_ids(ids)
        height, width = ids.shape
        image = {"id": number, "file_name": name, "height": height, "width": width}
        annotations = []
        for label in np.unique(ids).tolist():
            if not 0 <= label < classes:
                continue
            mask = ids == label
            known += 1
            annotations.append(
                {
                    "id": known,
                    "image_id": number,
                    "category_id": label + FIRST_CATEGORY,
                    "segmentation": polygons_of(mask) if polygons else encode_mask(mask),
                    "area": int(mask.sum()),
                    "bbox": box_of(mask),
                    "iscrowd": 0,
                }
            )
        yield image, annotations


def document(
    images: list[dict[str, Any]],
    annotations: list[dict[str, Any]],
    names: Sequence[str],
    supercategory: str = "segment",
    description: str = "",
) -> dict[str, Any]:
    """The COCO document of what ``described`` gives; ``annotations`` comes last in it."""
    categories = [
        {"id": label, "name": name, "supercategory": supercategory}
        for label, name in enumerate(names, FIRST_CATEGORY)
    ]
    return {
        "info": {"description": description, "version": "1.0"},
        "licenses": [],
        "images": images,
        "categories": categories,
        "annotations": annotations,
    }


def check_ids(ids: np.ndarray) -> None:
    """Raise TypeError or ValueError unless ``ids`` are whole numbers ``(H, W)``."""
    if not isinstance(ids, np.ndarray) or not np.issubdtype(ids.dtype, np.integer):
        kind = ids.dtype if isinstance(ids, np.ndarray) else type(ids).__name__
        raise TypeError(f"a label map must be an array of whole numbers (H, W), not {kind}")
    if ids.ndim != 2 or ids.size == 0:
        raise ValueError(f"a label map must have the shape (H, W), not {ids.shape}")
