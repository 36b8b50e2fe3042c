"""Images → features of a batch: what every rule and every view works on."""

from __future__ import annotations

import itertools
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ppap.backbones import Backbone, BackboneInfo, Grid
from ppap.backbones.attention import Attends, attends
from ppap.data import Example, patch_labels, square, square_labels
from ppap.data.squares import nearest
from ppap.data.whole import whole, whole_labels
from ppap.propagation import unit
from ppap.settings import excerpt

# Images that go through the backbone together; more would only cost memory on a CPU. With larger
# ones it is fewer, down to a single one.
IMAGES_AT_ONCE = 4
PIXELS_AT_ONCE = IMAGES_AT_ONCE * 448 * 448

Progress = Callable[[str, float], None]
Picture = Literal["square", "whole"]
"""How an image becomes a part of a batch: its central square, or all of it."""


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
    """B images of any sides, each whole patches high and wide, and the features of their patches.

    N is the number of all patches: image by image, row by row.
    """

    names: tuple[str, ...]
    notes: tuple[str, ...]
    """What is worth knowing, a sentence each: of where the images are from, and what had to be done
    to read one, which begins with its name."""
    images: tuple[np.ndarray, ...]
    """uint8 ``(H_i, W_i, 3)`` each."""
    features: Tensor
    """L2-normalised patch features, ``(N, D)``."""
    grids: tuple[Grid, ...]
    """Rows and columns of each image's patches."""
    backbone: BackboneInfo
    pixel_labels: tuple[np.ndarray, ...] | None = None
    """Class ids ``(H_i, W_i)`` int64 each, −1 where void; None when no image has a label map."""
    labels: Tensor | None = None
    """Majority class of every patch, int64 ``(N,)``, −1 where void; None likewise."""
    classes: tuple[str, ...] = ()
    colours: tuple[tuple[int, int, int], ...] = ()
    norms: Tensor | None = None
    """Length of every feature before it was normalised, float32 ``(N,)``; None where unknown."""
    attends: Attends | None = None
    """What attention the features come from; None where that is unknown."""

    def __len__(self) -> int:
        """Number of images."""
        return len(self.names)

    @property
    def patch(self) -> int:
        """Side of a patch in pixels of ``images``."""
        return self.images[0].shape[0] // self.grids[0].rows

    @property
    def counts(self) -> tuple[int, ...]:
        """How many patches each image has."""
        return tuple(grid.rows * grid.columns for grid in self.grids)

    @cached_property
    def starts(self) -> tuple[int, ...]:
        """Index of each image's first patch, and N at the end."""
        return (0, *itertools.accumulate(self.counts))

    def index(self, image: int, row: int, column: int) -> int:
        """Index of a patch among the features; PatchError names the part that does not exist."""
        image = check_index("image", image, len(self))
        rows, columns = self.grids[image]
        row, column = check_index("row", row, rows), check_index("column", column, columns)
        return self.starts[image] + row * columns + column

    def position(self, index: int) -> Position:
        """The image, row and column of a patch index."""
        image = bisect_right(self.starts, index) - 1
        return Position(image, *divmod(index - self.starts[image], self.grids[image].columns))

    def by_image(self, values: np.ndarray) -> list[np.ndarray]:
        """One value a patch ``(N, …)`` → for each image ``(rows, columns, …)``."""
        parts = np.split(values, self.starts[1:-1])
        return [
            part.reshape(*grid, *values.shape[1:])
            for part, grid in zip(parts, self.grids, strict=True)
        ]


def check_index(what: str, value: object, count: int) -> int:
    """``value`` if it is a whole number from 0 to count − 1; PatchError otherwise."""
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not whole or not 0 <= value < count:  # type: ignore[operator]
        known = f"from 0 to {count - 1}, not {excerpt(value)}"
        raise PatchError(f"The {what} must be a whole number {known}.")
    return int(value)  # type: ignore[call-overload]


def rounded_size(size: int, patch: int) -> int:
    """The nearest size that divides into patches: those of 14 pixels do not divide 320."""
    return max(1, round(size / patch)) * patch


def fitted(example: Example, size: int, patch: int, picture: Picture = "square") -> Example:
    """The example at the size at which a batch holds it: many whole photos would not fit in memory.

    Args:
        example: a photo with or without its label map.
        size: in pixels, as for ``make_batch``.
        patch: side of the backbone's patches.
        picture: "square" cuts the central square, "whole" keeps the proportions
            (``ppap.data.whole``).
    """
    rgb, labels = example.photo.rgb, example.labels
    if picture == "whole":
        rgb = whole(rgb, size, patch)
        labels = None if labels is None else whole_labels(labels, size, patch)
    else:
        rgb = square(rgb, size)
        labels = None if labels is None else square_labels(labels, size)
    return Example(replace(example.photo, rgb=rgb), labels)


def squared(example: Example, size: int) -> Example:
    """The example cut to ``size`` × ``size``."""
    return fitted(example, size, 1)


def make_batch(
    examples: Sequence[Example],
    backbone: Backbone,
    *,
    size: int = 448,
    picture: Picture = "square",
    classes: Sequence[str] = (),
    colours: Sequence[tuple[int, int, int]] = (),
    progress: Progress | None = None,
) -> Batch:
    """Fit photos to ``size`` and embed them.

    Args:
        examples: photos with or without label maps, as they are or already ``fitted``.
        backbone: anything with the interface of ``ppap.backbones.Backbone``.
        size: side in pixels, a multiple of the backbone's patch size; of whole pictures that of a
            square with as many pixels.
        picture: "square" for the central square of each, "whole" for all of it in its own
            proportions.
        classes: names of the label maps' classes.
        colours: an RGB colour for every class.
        progress: called with a sentence and the share done, 0 to 1.

    Raises:
        BatchError: no photos, or features that are not finite.
        ValueError: a size the backbone cannot take.
    """
    if not examples:
        raise BatchError("A batch needs at least one image.")
    backbone.grid(size, size)
    ready = [fitted(example, size, backbone.patch_size, picture) for example in examples]
    pixel_labels = None
    if any(one.labels is not None for one in ready):
        pixel_labels = tuple(
            np.full(one.photo.rgb.shape[:2], -1, np.int64) if one.labels is None else one.labels
            for one in ready
        )
    blank = Batch(
        names=tuple(example.photo.name for example in examples),
        notes=tuple(f"{e.photo.name}: {note}" for e in examples for note in e.photo.notes),
        images=tuple(one.photo.rgb for one in ready),
        features=torch.empty(0),
        grids=(),
        backbone=backbone.info,
        pixel_labels=pixel_labels,
        classes=tuple(classes),
        colours=tuple(colours),
    )
    return _embedded(blank, backbone, progress)


def with_features_of(
    batch: Batch, backbone: Backbone, *, progress: Progress | None = None
) -> Batch:
    """The same images and labels with the features of another network.

    Images stay as they are where its patches divide them; others are brought to the nearest size
    that they do divide, which ``notes`` then tells.

    Raises:
        BatchError: features that are not finite.
    """
    patch = backbone.patch_size
    sides = [[rounded_size(side, patch) for side in image.shape[:2]] for image in batch.images]
    changed = [i for i, image in enumerate(batch.images) if list(image.shape[:2]) != sides[i]]
    if changed:
        images, labels = list(batch.images), list(batch.pixel_labels or ())
        for i in changed:
            images[i] = resized(images[i], *sides[i])
            if labels:
                labels[i] = resized_labels(labels[i], *sides[i])
        said = (
            f"{len(changed)} of {len(batch)} images were resized to fit patches of {patch} pixels."
        )
        batch = replace(
            batch,
            images=tuple(images),
            pixel_labels=tuple(labels) or None,
            notes=(*batch.notes, said),
        )
    return _embedded(batch, backbone, progress)


def resized(rgb: np.ndarray, height: int, width: int) -> np.ndarray:
    """uint8 ``(H, W, 3)`` at another size, bicubic with antialiasing."""
    return np.array(Image.fromarray(rgb).resize((width, height), Image.Resampling.BICUBIC))


def resized_labels(labels: np.ndarray, height: int, width: int) -> np.ndarray:
    """Class ids ``(H, W)`` at another size: the nearest pixel's."""
    rows, columns = (
        nearest(0, height, height, len(labels)),
        nearest(0, width, width, labels.shape[1]),
    )
    return labels[rows[:, None], columns]


def _embedded(batch: Batch, backbone: Backbone, progress: Progress | None) -> Batch:
    """A batch's images with the features of a backbone, and the labels of its patches."""
    grids = tuple(backbone.grid(*image.shape[:2]) for image in batch.images)
    embedded = embed(batch.images, backbone, progress=progress)
    labels = None
    if batch.pixel_labels is not None:
        maps = zip(batch.pixel_labels, grids, strict=True)
        by_patch = [patch_labels(pixels, *grid).reshape(-1) for pixels, grid in maps]
        labels = torch.from_numpy(np.concatenate(by_patch))
    return replace(
        batch,
        features=embedded.features,
        norms=embedded.norms,
        attends=attends(backbone),
        grids=grids,
        backbone=backbone.info,
        labels=labels,
    )


class Embedded(NamedTuple):
    """Features of all patches, image by image and row by row, float32 on the CPU."""

    features: Tensor
    """L2-normalised, ``(N, D)``."""
    norms: Tensor
    """Their lengths before that, ``(N,)``."""


@torch.no_grad()
def embed(
    images: Sequence[np.ndarray], backbone: Backbone, *, progress: Progress | None = None
) -> Embedded:
    """Images, uint8 ``(H_i, W_i, 3)`` each, through a backbone; those of equal sides together.

    BatchError where the backbone gives NaN or infinity.
    """
    device = next(backbone.parameters()).device
    features, norms = [[torch.empty(0)] * len(images) for _ in range(2)]
    done = 0
    for block in blocks(images):
        if progress:
            progress(f"Embedding image {done + 1} of {len(images)}", done / len(images))
        pixels = torch.from_numpy(np.stack([images[i] for i in block])).to(device)
        found = backbone(pixels.permute(0, 3, 1, 2).float() / 255)
        if not found.isfinite().all():
            raise BatchError(f"{backbone.info.title} returned NaN or infinity. Check its weights.")
        for i, vectors in zip(block, found.flatten(1, 2).float(), strict=True):
            features[i], norms[i] = unit(vectors).cpu(), vectors.norm(dim=1).cpu()
        done += len(block)
    return Embedded(torch.cat(features), torch.cat(norms))


def blocks(images: Sequence[np.ndarray]) -> list[list[int]]:
    """Which images go through the backbone together: of equal sides, few enough for the memory."""
    alike: dict[tuple[int, ...], list[int]] = {}
    for i, image in enumerate(images):
        alike.setdefault(image.shape, []).append(i)
    found = []
    for (height, width, *_), members in alike.items():
        count = max(1, min(IMAGES_AT_ONCE, PIXELS_AT_ONCE // (height * width)))
        found += [members[i : i + count] for i in range(0, len(members), count)]
    return found
