"""What every data set here is: a list of items that are read one at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, overload

import numpy as np

from ppap.data.classes import ClassList, Colour
from ppap.data.errors import ImageError, LabelError
from ppap.data.images import Photo, read_image
from ppap.data.labels import read_labels, to_class_ids


@dataclass(frozen=True)
class Item:
    """One picture of a data set, and its label map where it has one."""

    name: str
    """For showing only; the paths are the files."""
    image: Path
    labels: Path | None = None


@dataclass(frozen=True, eq=False)
class Example:
    """An item once it is read."""

    photo: Photo
    labels: np.ndarray | None = None
    """Class ids int64 ``(H, W)``, −1 (VOID) where there is none; None without a label map."""


@dataclass(frozen=True, eq=False)
class Items(Sequence[Item]):
    """Items made when asked for: a million pairs of paths would fill the memory."""

    keys: Sequence[Any]
    build: Callable[[Any], Item]

    def __len__(self) -> int:
        return len(self.keys)

    @overload
    def __getitem__(self, index: int) -> Item: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Item]: ...
    def __getitem__(self, index: int | slice) -> Item | Sequence[Item]:
        if isinstance(index, slice):
            return [self.build(key) for key in self.keys[index]]
        return self.build(self.keys[index])

    def __iter__(self) -> Iterator[Item]:
        return map(self.build, self.keys)


def read_upright(item: Item) -> Photo:
    """A photo as people look at it."""
    return read_image(item.image, name=item.name)


def read_as_stored(item: Item) -> Photo:
    """A photo of a published data set, whose label maps ignore any EXIF orientation."""
    return read_image(item.image, name=item.name, upright=False)


@dataclass(frozen=True, eq=False)
class Dataset:
    """One split of a data set on disk. Opening it lists files; ``load`` reads one.

    It can be pickled, so loader processes may share it.
    """

    name: str
    """The kind, as ``open_dataset`` takes it."""
    title: str
    """What people call it."""
    root: Path
    split: str
    splits: tuple[str, ...]
    """All splits that are on disk."""
    items: Sequence[Item]
    class_list: ClassList
    table: np.ndarray
    """Number stored in a label file → class id (see ``label_table``)."""
    notes: tuple[str, ...] = ()
    """What differs from the data set as published, a sentence each."""
    read_photo: Callable[[Item], Photo] = field(default=read_as_stored, repr=False)
    read_stored: Callable[[Path], np.ndarray] = field(default=read_labels, repr=False)

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names by id; empty when nothing is labelled."""
        return self.class_list.names

    @property
    def colours(self) -> tuple[Colour, ...]:
        """RGB colours by class id, 0 to 255."""
        return self.class_list.colours

    def __len__(self) -> int:
        return len(self.items)

    def load(self, index: int) -> Example:
        """Read one item's photo and label map.

        Raises:
            IndexError: no such item.
            ImageError: the photo cannot be read; the text holds its full path.
            LabelError: neither can the label map, or it has another size or unknown ids.
        """
        if not -len(self) <= index < len(self):
            raise IndexError(f"item {index} does not exist: {self.split} has {len(self)} items")
        item = self.items[index]
        try:
            photo = self.read_photo(item)
        except ImageError as error:
            raise ImageError(item.image, error.reason) from None
        if item.labels is None:
            return Example(photo)
        return Example(photo, self.load_labels(item.labels, photo))

    def load_labels(self, path: Path, photo: Photo) -> np.ndarray:
        """A label map as class ids int64 ``(H, W)``; LabelError unless it fits ``photo``."""
        stored = self.read_stored(path)
        height, width = photo.rgb.shape[:2]
        if stored.shape != (height, width):
            raise LabelError(
                path,
                f"has {stored.shape[1]}×{stored.shape[0]} pixels, "
                f"but its image has {width}×{height}",
            )
        return to_class_ids(stored, self.table, path)


@dataclass(frozen=True)
class Layout:
    """How one kind of data set lies on disk."""

    kind: str
    title: str
    expected: str
    """The files it consists of, for error texts."""
    recognises: Callable[[Path], bool]
    """Whether a folder looks like this kind, from names alone."""
    splits: Callable[[Path], tuple[str, ...]]
    """The splits that are there."""
    open: Callable[[Path, str], Dataset]
    """Open a folder at one of ``splits``."""
