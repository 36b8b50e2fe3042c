"""Arrays of one's own, one for each image, checked: features, pictures, labels, classes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ppap.backbones import Grid
from ppap.batches import BatchError
from ppap.data import ClassList, palette, patch_labels, printable

MOST_IMAGES, MOST_PATCHES, MOST_CLASSES = 64, 200_000, 2000
# Of the features as float32.
MOST_BYTES = 2**29
# Patches of an image times its classes: counting them takes 8 bytes each.
MOST_COUNTS = 50_000_000


class OwnFeatures(NamedTuple):
    """What makes a batch: an array of all images of every kind that there is, or a list of one for
    each image."""

    features: Any
    """Floating point ``(h, w, D)`` each."""
    images: Any = None
    """``(H, W, 3)`` uint8 each; see ``as_picture`` for what else is taken."""
    labels: Any = None
    """Class ids ``(h, w)`` or ``(H, W)`` each; below 0: void."""
    classes: tuple[str, ...] = ()
    names: tuple[str, ...] = ()


def as_features(given: Any, number: int) -> Tensor:
    """One image's features as float32 ``(h, w, D)`` on the CPU, from numpy or torch."""
    name = f"features of image {number + 1}"
    if isinstance(given, Tensor):
        array, kind, floating = given.detach().cpu(), str(given.dtype), given.is_floating_point()
    else:
        try:
            numbers = np.asarray(given)
        except ValueError as error:
            raise BatchError(f"The {name} are not an array ({error}).") from None
        kind, floating = str(numbers.dtype), numbers.dtype.kind == "f"
        # A copy: torch wants neither arrays that are read only nor another byte order.
        array = torch.from_numpy(np.array(numbers, np.float32)) if floating else torch.empty(0)
    if not floating:
        raise BatchError(f"The {name} must be floating point, not {kind}.")
    if array.ndim != 3:
        raise BatchError(f"The {name} must have the shape (h, w, D), not {tuple(array.shape)}.")
    array = array.float()
    if not array.isfinite().all():
        raise BatchError(f"The {name} hold NaN or infinity.")
    if not array.norm(dim=-1).isfinite().all():
        raise BatchError(f"The {name} contain vectors too long for float32.")
    return array


def check_grids(shapes: Sequence[tuple[int, ...]]) -> tuple[Grid, ...]:
    """The grids of features of these shapes ``(h, w, D)``; BatchError where they make no batch."""
    if not shapes:
        raise BatchError("A batch needs at least one image.")
    if len(shapes) > MOST_IMAGES:
        raise BatchError(
            f"The features cover {len(shapes):,} images; a batch holds at most {MOST_IMAGES}."
        )
    lengths = {shape[2] for shape in shapes}
    if len(lengths) > 1:
        raise BatchError(f"The features have different lengths D: {min(lengths)}, {max(lengths)}.")
    if any(n < 1 for shape in shapes for n in shape):
        raise BatchError("The features are empty.")
    patches = sum(shape[0] * shape[1] for shape in shapes)
    if patches > MOST_PATCHES:
        raise BatchError(
            f"The features cover {patches:,.0f} patches; a batch holds at most {MOST_PATCHES:,}. "
            "Use fewer images."
        )
    if patches * lengths.pop() * 4 > MOST_BYTES:
        raise BatchError("The features take more than 512 MB. Use fewer images.")
    return tuple(Grid(shape[0], shape[1]) for shape in shapes)


def as_picture(given: Any, number: int) -> np.ndarray:
    """A picture as uint8 ``(H, W, 3)``.

    Taken are numpy, torch and Pillow; uint8, or floating point in [0, 1]; RGB with its channels
    last or first, or grey ``(H, W)``.
    """
    name = f"Image {number + 1}"
    array = np.asarray(given.detach().cpu() if isinstance(given, Tensor) else given)
    if array.ndim == 2:
        array = np.stack([array] * 3, axis=2)
    if array.ndim == 3 and array.shape[2] != 3 and array.shape[0] == 3:
        array = array.transpose(1, 2, 0)
    if array.ndim != 3 or array.shape[2] != 3 or 0 in array.shape:
        raise BatchError(f"{name} must have the shape (H, W, 3), not {tuple(array.shape)}.")
    if array.dtype.kind == "f":
        if not np.isfinite(array).all() or array.min() < 0 or array.max() > 1:
            raise BatchError(
                f"{name} is floating point, so its values must lie in [0, 1]: undo the network's "
                "normalisation, or give bytes (uint8)."
            )
        array = np.rint(array * 255)
    elif array.dtype != np.uint8:
        raise BatchError(f"{name} must be uint8, or floating point in [0, 1], not {array.dtype}.")
    return np.ascontiguousarray(array, np.uint8)


def check_count(what: str, given: Sequence[Any] | None, count: int) -> None:
    """BatchError where there is not one for every image."""
    if given is not None and len(given) != count:
        raise BatchError(f"There are {len(given)} {what}, but features for {count} images.")


class LabelMap(NamedTuple):
    """One image's labels."""

    stored: np.ndarray
    """As they were given, −1 where void: int64 ``(h, w)`` or ``(H, W)``."""
    by_patch: np.ndarray
    """int64 ``(h, w)``."""


def labels_of(given: Sequence[Any], grids: Sequence[Grid], classes: int) -> Iterator[LabelMap]:
    """Labels of patches or pixels, checked."""
    for i, (one, grid) in enumerate(zip(given, grids, strict=True)):
        array = np.asarray(one.detach().cpu() if isinstance(one, Tensor) else one)
        name = f"labels of image {i + 1}"
        if array.dtype.kind not in "iub":
            raise BatchError(f"The {name} must be whole numbers, not {array.dtype}.")
        if array.ndim != 2 or array.shape[0] < grid.rows or array.shape[1] < grid.columns:
            raise BatchError(
                f"The {name} must have the shape ({grid.rows}, {grid.columns}) of the patches, or "
                f"(H, W) of the picture, not {tuple(array.shape)}."
            )
        ids = np.where(array < 0, -1, array.astype(np.int64))
        if array.dtype == np.uint8 and classes <= 255:
            ids = np.where(array == 255, -1, ids)
        if ids.max() >= MOST_CLASSES:
            raise BatchError(
                f"The {name} contain {ids.max()}, but class ids go up to {MOST_CLASSES - 1}."
            )
        if ids.shape == grid:
            yield LabelMap(ids, ids)
            continue
        if grid.rows * grid.columns * len(np.unique(ids)) > MOST_COUNTS:
            raise BatchError(f"The {name} contain too many classes for so many patches.")
        yield LabelMap(ids, patch_labels(ids, *grid))


def class_list(names: Sequence[str]) -> ClassList:
    """Classes by their names, with colours."""
    if len(names) > MOST_CLASSES:
        raise BatchError(f"There are {len(names):,} classes, more than {MOST_CLASSES:,}.")
    told = tuple(printable(str(name)[:200]) for name in names)
    if len(set(told)) != len(told):
        raise BatchError("Two classes have the same name.")
    return ClassList(told, palette(len(told)))


def enough_classes(known: ClassList, maps: Sequence[LabelMap]) -> ClassList:
    """A class for every label; numbers where none were named."""
    count = 1 + max(int(one.stored.max()) for one in maps)
    if not len(known):
        return ClassList(tuple(f"class {i}" for i in range(max(count, 1))), palette(max(count, 1)))
    if count > len(known):
        raise BatchError(
            f"The labels contain {count - 1}, but only {len(known)} classes are named."
        )
    return known
