"""What every data set here is: a list of items that are read one at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, overload

import numpy as np

from ppap.data.classes import ClassList, Colour
from ppap.data.errors import DataError, ImageError, LabelError
from ppap.data.images import Photo, read_image, turned
from ppap.data.intact import Look, look
from ppap.data.labels import VOID, read_labels, to_class_ids
from ppap.protocol import Resizing

OnError = Literal["stop", "skip"]
# So many items are tried before it is taken that none can be read.
STAND_INS = 100


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
    skipped: str | None = None
    """Why the item could not be read, where another's picture stands in for it, all void."""


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
    """What differs from the data set as published, and what was left out; a sentence each."""
    warnings: tuple[str, ...] = ()
    """Those of ``notes`` that may mean that something else was meant."""
    remedy: str = ""
    """What to do about a number in a label map that has no class."""
    on_error: OnError = "stop"
    """Whether ``load`` raises for an item that cannot be read, or lets another stand in for it."""
    resizing: Resizing = "smooth"
    """How photos and label maps become squares; see ``square``."""
    read_photo: Callable[[Item], Photo] = field(default=read_as_stored, repr=False)
    read_stored: Callable[[Path], np.ndarray] = field(default=read_labels, repr=False)
    look_at: Callable[[Path, bool], Look] = field(default=look, repr=False)
    """Tells whether a file is whole without decoding it; of a label map where True."""

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

        With ``on_error`` "skip", the next item that can be read stands in for one that cannot: a
        batch keeps its size, and since everything is void then, nothing is learnt or scored of
        labels that belong elsewhere.

        Raises:
            IndexError: no such item.
            ImageError: the photo cannot be read; the text holds its full path.
            LabelError: neither can the label map, or it has another size or unknown ids.
        """
        if not -len(self) <= index < len(self):
            raise IndexError(f"item {index} does not exist: {self.split} has {len(self)} items")
        try:
            return self._read(index)
        except DataError as error:
            if self.on_error == "stop":
                raise
            return self._instead(index, error)

    def _instead(self, index: int, reason: DataError) -> Example:
        own = self.items[index]
        for step in range(1, min(STAND_INS, len(self))):
            try:
                photo = self._read((index + step) % len(self)).photo
            except DataError:
                continue
            void = None if own.labels is None else np.full(photo.rgb.shape[:2], VOID, np.int64)
            return Example(Photo(own.name, photo.rgb), void, str(reason))
        raise reason

    def _read(self, index: int) -> Example:
        item = self.items[index]
        try:
            photo = self.read_photo(item)
        except ImageError as error:
            raise ImageError(item.image, error.reason) from None
        if item.labels is None:
            return Example(photo)
        stored = self.read_stored(item.labels)
        size, own = photo.rgb.shape[:2], stored.shape
        if photo.turned != 1:
            way = way_of_labels(size, own, photo.turned)
            if way == "as stored":
                stored = turned(stored, photo.turned)
            photo = replace(photo, notes=(*photo.notes, TURNED[way]))
        check_sizes(item.labels, stored.shape, size)
        return Example(photo, to_class_ids(stored, self.table, item.labels, self.remedy))


Way = Literal["as stored", "as seen", "unknown"]
TURNED: dict[Way, str] = {
    "as stored": "its label map is rotated in the same way, as it has the size of the stored image",
    "as seen": "its label map already fits",
    "unknown": "its label map is assumed to fit the rotated image; its size does not tell",
}


def way_of_labels(size: tuple[int, ...], own: tuple[int, ...], orientation: int) -> Way:
    """How the label map of a turned photo was drawn.

    Args:
        size: height and width of the photo once it is upright.
        own: height and width of the label map as it is stored.
        orientation: the photo's, by EXIF. Only 5 to 8 exchange height and width.
    """
    if orientation < 5 or size[0] == size[1]:
        return "unknown"
    return "as stored" if own == size[::-1] else "as seen"


def check_sizes(path: Path, own: tuple[int, ...], size: tuple[int, ...]) -> None:
    """LabelError unless a label map has the height and width of its image."""
    if own != size:
        raise LabelError(
            path, f"has {own[1]}×{own[0]} pixels, but its image has {size[1]}×{size[0]}"
        )


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
