"""A folder → the data set in it, whichever kind it is."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from ppap.data import (
    camvid,
    cityscapes,
    cocostuff,
    crops,
    folder,
    image_folder,
    imagenet_s,
    potsdam,
    sample_photos,
)
from ppap.data.base import Dataset, Layout
from ppap.data.class_files import class_file
from ppap.data.errors import LayoutError, printable
from ppap.data.lookalikes import lookalike, nested
from ppap.data.parts import parts_of
from ppap.data.sample_photos import samples_dataset

# The order in which a folder is tried; any folder with pictures passes the last. Crops come late:
# a data set stays what it is when crops of it are put into it.
LAYOUTS: tuple[Layout, ...] = (
    imagenet_s.LAYOUT,
    cocostuff.LAYOUT,
    cityscapes.LAYOUT,
    potsdam.LAYOUT,
    camvid.LAYOUT,
    folder.LAYOUT,
    crops.LAYOUT,
    image_folder.LAYOUT,
)
KINDS: tuple[str, ...] = (*(layout.kind for layout in LAYOUTS), sample_photos.KIND)
ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar")
SAME_SPLIT = {"val": "validation", "validation": "val"}


def detect_kind(path: str | Path) -> str | None:
    """What kind of data set a folder looks like, from names alone; None for nothing known."""
    root = Path(path)
    if not os.path.isdir(root):  # noqa: PTH112  (no error without permission)
        return None
    return next((layout.kind for layout in LAYOUTS if layout.recognises(root)), None)


def available_splits(path: str | Path, *, kind: str | None = None) -> tuple[str, ...]:
    """The splits that are on disk.

    Raises:
        LayoutError: as ``open_dataset``.
    """
    root = existing(path)
    return layout_of(root, kind).splits(root)


def open_dataset(
    path: str | Path | None, *, kind: str | None = None, split: str = "train"
) -> Dataset:
    """Open one split; its files are listed, not read.

    Args:
        path: the data set's folder; None for the sample photos.
        kind: one of KINDS; found out from the folder's contents when None.
        split: as the data set calls it; ``val`` and ``validation`` are the same. Data without
            splits (``images``, ``samples``) take any and say ``all``.

    Raises:
        LayoutError: no such folder, kind or split, or files missing; says what was expected.
    """
    if kind == sample_photos.KIND:
        if path is not None:
            raise LayoutError(path, "is not needed: the sample photos come with the project")
        return samples_dataset()
    if path is None:
        raise LayoutError("The data set folder", "is not given")
    root = existing(path)
    layout = layout_of(root, kind)
    present = layout.splits(root)
    if not present:
        hint = likeness(root)
        expected = f"does not have the layout '{layout.title}': expected {layout.expected}"
        raise LayoutError(root, f"{expected}. It {hint}" if hint else expected)
    if present == ("all",):
        split = "all"
    if split not in present:
        split = SAME_SPLIT.get(split, split)
    if split not in present:
        raise LayoutError(root, f"has no split '{split}', only: {', '.join(present)}")
    dataset = layout.open(root, split)
    if not len(dataset):
        empty = f"has no images in its split '{split}': expected {layout.expected}"
        hint = lookalike(root)
        raise LayoutError(root, f"{empty}. It {hint}" if hint else empty)
    return with_likeness(dataset) if kind is None else dataset


def likeness(root: Path) -> str | None:
    """What a folder looks like that is not as it was published, and what to do."""
    if found := lookalike(root):
        return found
    inner = nested(root, known_kind)
    if inner is None:
        return None
    place, title = inner
    return f"contains a data set ({title}): choose {printable(place)}"


def known_kind(root: Path) -> str | None:
    """The title of the data set in a folder; None for pictures without anything else."""
    for layout in LAYOUTS[:-1]:
        if layout.recognises(root):
            if layout.kind != folder.LAYOUT.kind:
                return layout.title
            labelled = any(part.labels for part in parts_of(root))
            return "images with label maps" if labelled or class_file(root) else None
    return None


def with_likeness(dataset: Dataset) -> Dataset:
    """The data set, with a warning where it looks like another in an unusual layout."""
    if dataset.name == image_folder.LAYOUT.kind:
        if (found := likeness(dataset.root)) is None:
            return dataset
        # What it looks like says better what to do with its label maps.
        notes = [note for note in dataset.notes if note not in dataset.warnings]
        warnings: tuple[str, ...] = ()
    else:
        if (found := lookalike(dataset.root)) is None:
            return dataset
        notes, warnings = list(dataset.notes), dataset.warnings
    told = f"The folder {found}."
    return replace(dataset, notes=(told, *notes), warnings=(told, *warnings))


def existing(path: str | Path) -> Path:
    """``path`` if it is a folder."""
    root = Path(path)
    if not os.path.exists(root):  # noqa: PTH110
        raise LayoutError(root, "does not exist")
    if not os.path.isdir(root):  # noqa: PTH112
        if root.name.lower().endswith(ARCHIVES):
            raise LayoutError(root, "is an archive: unpack it and choose the resulting folder")
        raise LayoutError(root, "is not a folder")
    return root


def layout_of(root: Path, kind: str | None) -> Layout:
    """The layout called ``kind``, or the one that ``root`` looks like."""
    found = kind or detect_kind(root)
    for layout in LAYOUTS:
        if layout.kind == found:
            return layout
    if kind is not None:
        raise LayoutError(
            f"'{kind}'", f"is not a kind of data set; choose one of {', '.join(KINDS)}"
        )
    if hint := likeness(root):
        raise LayoutError(root, f"contains no images that can be read. It {hint}")
    expected = "; ".join(f"{layout.title}: {layout.expected}" for layout in LAYOUTS)
    raise LayoutError(root, f"contains no images that can be read. Expected one of: {expected}")
