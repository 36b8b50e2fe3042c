"""Where the pictures of the Segment page come from: samples, uploads, a folder of this server."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import overload

from ppap.data import (
    Dataset,
    ImageError,
    Item,
    Photo,
    available_splits,
    open_dataset,
    printable,
    read_image,
    samples_dataset,
)
from ppap.data.base import read_as_stored, read_upright
from ppap.data.formats import is_image_name
from ppap.data.images import opened, stored_orientation
from ppap.data.searching import MAX_ENTRIES
from ppap.studio.requests import at_field
from ppap.studio.segment.pictures import PictureSet, Reader
from ppap.studio.segment.shelf import Shelf
from ppap.studio.sources import Sources, resolved
from ppap.studio.store import Upload

# Of a folder; more are left out, which is said. A search for pictures ends there, too.
MAX_PICTURES = MAX_ENTRIES
ALL = "all"


def samples() -> PictureSet:
    """The sample photos."""
    photos = samples_dataset()

    def read(number: int) -> Photo:
        return photos.load(number).photo

    named = [item.name + item.image.suffix for item in photos.items]
    files = [item.image for item in photos.items]
    readers = [
        Reader(name, partial(read, i), file)
        for i, (name, file) in enumerate(zip(named, files, strict=True))
    ]
    return PictureSet([], [], readers)


def uploads(sources: Sources, files: Sequence[Upload]) -> PictureSet:
    """What was uploaded; RequestError for what was not."""
    paths = [sources.upload(file) for file in files]
    readers = [
        Reader(file.name, partial(read_image, path, name=file.name), path)
        for file, path in zip(files, paths, strict=True)
    ]
    return PictureSet([], [], readers)


def of_folder(sources: Sources, folder: Path, split: str) -> PictureSet:
    """The pictures of a folder, whatever kind of data set it is.

    Args:
        sources: says which files may be read.
        folder: one that may be looked into.
        split: of the data set; empty for all of it.

    Raises:
        RequestError: there is none, or no such split.
    """
    with at_field("folder"), sources.links():
        sources.check_split(folder, split)
        found = [open_dataset(folder, split=one) for one in wanted_splits(folder, split)]
    notes: dict[str, None] = {}
    for dataset in found:
        # Which pictures would be for training makes no difference where all are segmented.
        notes |= dict.fromkeys(n for n in dataset.notes if split or "is val" not in n)
    readers = FolderReaders(sources, folder, found)
    total = sum(map(len, found))
    if total > len(readers):
        first = f"Only the first {len(readers):,} of {total:,} images are used."
        notes = {first: None, **notes}
    return PictureSet([], [], readers, tuple(notes), Shelf())


class FolderReaders(Sequence[Reader]):
    """What reads the pictures of a folder, made when asked for: there may be very many."""

    def __init__(self, sources: Sources, folder: Path, datasets: Sequence[Dataset]) -> None:
        self.sources, self.folder, self.datasets = sources, folder, datasets
        self.ends = list(accumulate(map(len, datasets)))

    def __len__(self) -> int:
        return min(MAX_PICTURES, self.ends[-1] if self.ends else 0)

    @overload
    def __getitem__(self, index: int) -> Reader: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Reader]: ...
    def __getitem__(self, index: int | slice) -> Reader | Sequence[Reader]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if not 0 <= index < len(self):
            raise IndexError(index)
        place = bisect_right(self.ends, index)
        dataset = self.datasets[place]
        item = dataset.items[index - (self.ends[place - 1] if place else 0)]
        read = partial(photo_of, self.sources, dataset, item)
        return Reader(name_of(item, self.folder), read, file_beside(self.sources, dataset, item))


def wanted_splits(folder: Path, split: str) -> tuple[str, ...]:
    """The splits that make up what is asked for; "all" is one that has everything."""
    if split:
        return (split,)
    present = available_splits(folder)
    return (ALL,) if ALL in present or not present else present


def name_of(item: Item, folder: Path) -> str:
    """What a picture is called: its path below the folder."""
    below = item.image.is_relative_to(folder)
    return printable(item.image.relative_to(folder) if below else item.image.name)


def photo_of(sources: Sources, dataset: Dataset, item: Item) -> Photo:
    """A picture of a data set; ImageError where it cannot, or must not, be read."""
    real = resolved(str(item.image))
    if real is None or not sources.shows(real):
        raise ImageError(item.name, "lies outside the folders that may be shown")
    return dataset.read_photo(item)


def file_beside(sources: Sources, dataset: Dataset, item: Item) -> Path | None:
    """The photo's file, where it may be shown and anybody who opens it sees what is seen here."""
    real = resolved(str(item.image))
    if real is None or not sources.shows(real) or not is_image_name(real.name):
        return None
    if dataset.read_photo is read_upright:
        return real
    if dataset.read_photo is not read_as_stored:
        return None  # such as crops of a larger picture
    try:
        with opened(real, item.name) as image:
            return real if stored_orientation(image) == 1 else None
    except ImageError:
        return None
