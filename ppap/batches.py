"""Images → features of a batch: what every rule and every view works on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ppap.backbones import Backbone, BackboneInfo
from ppap.data import Example, patch_labels, square, square_labels
from ppap.propagation import unit
from ppap.settings import excerpt

# Images that go through the backbone together; more would only cost memory on a CPU.
IMAGES_AT_ONCE = 4

Progress = Callable[[str, float], None]


class BatchError(ValueError):
    """Photos that make no batch, or features that are no numbers."""


class PatchError(IndexError):
    """A patch that a batch does not have."""


class Position(NamedTuple):
    """Where a patch is: image of the batch, row and column of its grid, all from 0."""

    image: int
    row: int
    column: int


@dataclass(frozen=True, eq=False)
class Batch:
    """B images cut to squares, and the features of their h × w patches."""

    names: tuple[str, ...]
    notes: tuple[str, ...]
    """What is worth knowing, a sentence each: of where the images are from, and what had to be done
    to read one, which begins with its name."""
    images: np.ndarray
    """uint8 ``(B, S, S, 3)``."""
    features: Tensor
    """L2-normalised patch features, image by image and row by row, ``(B·h·w, D)``."""
    rows: int
    columns: int
    backbone: BackboneInfo
    pixel_labels: np.ndarray | None = None
    """Class ids ``(B, S, S)`` int64, −1 where void; None when no image has a label map."""
    labels: Tensor | None = None
    """Majority class of every patch, int64 ``(B·h·w,)``, −1 where void; None likewise."""
    classes: tuple[str, ...] = ()
    colours: tuple[tuple[int, int, int], ...] = ()

    @property
    def size(self) -> int:
        """Side of the square images in pixels."""
        return self.images.shape[1]

    def __len__(self) -> int:
        """Number of images."""
        return len(self.names)

    def index(self, image: int, row: int, column: int) -> int:
        """Index of a patch among the features; PatchError names the part that does not exist."""
        limits = (("image", image, len(self)), ("row", row, self.rows))
        for what, value, count in (*limits, ("column", column, self.columns)):
            check_index(what, value, count)
        return (image * self.rows + row) * self.columns + column

    def position(self, index: int) -> Position:
        """The image, row and column of a patch index."""
        image, patch = divmod(index, self.rows * self.columns)
        return Position(image, *divmod(patch, self.columns))


def check_index(what: str, value: object, count: int) -> int:
    """``value`` if it is a whole number from 0 to count − 1; PatchError otherwise."""
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not whole or not 0 <= value < count:  # type: ignore[operator]
        known = f"from 0 to {count - 1}, not {excerpt(value)}"
        raise PatchError(f"The {what} must be a whole number {known}.")
    return int(value)  # type: ignore[call-overload]


def squared(example: Example, size: int) -> Example:
    """The example cut to ``size`` × ``size``: many whole photos would not fit in memory."""
    photo = replace(example.photo, rgb=square(example.photo.rgb, size))
    labels = None if example.labels is None else square_labels(example.labels, size)
    return Example(photo, labels)


def make_batch(
    examples: Sequence[Example],
    backbone: Backbone,
    *,
    size: int = 448,
    classes: Sequence[str] = (),
    colours: Sequence[tuple[int, int, int]] = (),
    progress: Progress | None = None,
) -> Batch:
    """Cut photos to ``size`` × ``size`` and embed them.

    Args:
        examples: photos with or without label maps, whole or already ``squared``.
        backbone: anything with the interface of ``ppap.backbones.Backbone``.
        size: side in pixels; a multiple of the backbone's patch size.
        classes: names of the label maps' classes.
        colours: an RGB colour for every class.
        progress: called with a sentence and the share done, 0 to 1.

    Raises:
        BatchError: no photos, or features that are not finite.
        ValueError: a size the backbone cannot take.
    """
    if not examples:
        raise BatchError("A batch needs at least one image.")
    grid = backbone.grid(size, size)
    images = np.stack([square(example.photo.rgb, size) for example in examples])
    features = embed(images, backbone, progress=progress)
    pixel_labels = labels = None
    if any(example.labels is not None for example in examples):
        blank = np.full((size, size), -1, np.int64)
        pixel_labels = np.stack(
            [blank if e.labels is None else square_labels(e.labels, size) for e in examples]
        )
        labels = torch.from_numpy(
            np.stack([patch_labels(m, grid.rows, grid.columns) for m in pixel_labels]).reshape(-1)
        )
    return Batch(
        names=tuple(example.photo.name for example in examples),
        notes=tuple(f"{e.photo.name}: {note}" for e in examples for note in e.photo.notes),
        images=images,
        features=features,
        rows=grid.rows,
        columns=grid.columns,
        backbone=backbone.info,
        pixel_labels=pixel_labels,
        labels=labels,
        classes=tuple(classes),
        colours=tuple(colours),
    )


@torch.no_grad()
def embed(images: np.ndarray, backbone: Backbone, *, progress: Progress | None = None) -> Tensor:
    """uint8 ``(B, S, S, 3)`` → L2-normalised features ``(B·h·w, D)`` float32 on the CPU.

    BatchError where the backbone gives NaN or infinity.
    """
    device = next(backbone.parameters()).device
    parts = []
    for start in range(0, len(images), IMAGES_AT_ONCE):
        if progress:
            progress(f"Embedding image {start + 1} of {len(images)}", start / len(images))
        block = torch.from_numpy(images[start : start + IMAGES_AT_ONCE]).to(device)
        features = backbone(block.permute(0, 3, 1, 2).float() / 255)
        if not features.isfinite().all():
            raise BatchError(f"{backbone.info.title} gives NaN or infinity: are its weights right?")
        parts.append(unit(features.flatten(0, 2).float()).cpu())
    return torch.cat(parts)
