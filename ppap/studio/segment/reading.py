"""Where the pictures of the Segment page come from: samples, uploads, a folder of this server."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

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
from ppap.studio.requests import at_field
from ppap.studio.segment.shelf import Shelf
from ppap.studio.segment.store import PictureSet, Reader
from ppap.studio.sources import Sources, resolved
from ppap.studio.store import Upload

# Of a folder; more are left out, which is said.
MAX_PICTURES = 10_000
ALL = "all"


def samples() -> PictureSet:
    """The sample photos."""
    photos = samples_dataset()

    def read(number: int) -> Photo:
        return photos.load(number).photo

    named = [f"{item.name}.jpg" for item in photos.items]
    return PictureSet([], [], [Reader(name, partial(read, i)) for i, name in enumerate(named)])


def uploads(sources: Sources, files: Sequence[Upload]) -> PictureSet:
    """What was uploaded; RequestError for what was not."""
    readers = [
        Reader(file.name, partial(read_image, sources.upload(file), name=file.name))
        for file in files
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
        opened = [open_dataset(folder, split=one) for one in wanted_splits(folder, split)]
    readers: list[Reader] = []
    notes: dict[str, None] = {}
    for dataset in opened:
        # Which pictures would be for training makes no difference where all are segmented.
        notes |= dict.fromkeys(n for n in dataset.notes if split or "is val" not in n)
        for item in dataset.items[: MAX_PICTURES - len(readers)]:
            readers.append(Reader(name_of(item, folder), partial(photo_of, sources, dataset, item)))
    total = sum(map(len, opened))
    if total > len(readers):
        first = f"The first {len(readers):,} of {total:,} pictures are used."
        notes = {first: None, **notes}
    return PictureSet([], [], readers, tuple(notes), Shelf())


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
        raise ImageError(item.name, "leads out of the folders that may be shown")
    return dataset.read_photo(item)
