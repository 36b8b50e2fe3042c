"""Any folder with pictures in it or below it, without labels."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from ppap.data.base import Dataset, Item, Items, Layout, read_upright
from ppap.data.class_files import CLASSES
from ppap.data.classes import with_palette
from ppap.data.errors import printable
from ppap.data.labels import label_table
from ppap.data.listing import twice_in
from ppap.data.parts import has_picture
from ppap.data.searching import Search, counted


def recognises(root: Path) -> bool:
    """Whether a bounded search finds a picture."""
    return has_picture(root)


def item(root: Path, name: str) -> Item:
    """The item of a path below the root."""
    return Item(printable(name), root / name)


def open_split(root: Path, split: str) -> Dataset:
    """Every picture, as the only split there is."""
    search = Search(root)
    names = list(search)
    warnings = []
    filled = [f for f in search.label_folders if has_picture(root / f, labels=True)]
    if filled:
        folders = counted(filled, "folder")
        warnings.append(
            f"Label maps were left out: {folders}. To use them, put a {CLASSES} next to them, "
            "with one class name per line, class 0 first."
        )
    search.label_folders = []
    notes = list(search.notes())
    if twice := twice_in(names):
        first = " and ".join(printable(name) for name in next(iter(twice.values())))
        notes.append(
            f"{len(twice)} names occur with several suffixes, the first as {first}: all of them "
            "are treated as images. Put label maps into a separate folder, labels/."
        )
    return Dataset(
        name=LAYOUT.kind,
        title=printable(root.resolve().name) or LAYOUT.title,
        root=root,
        split=split,
        splits=("all",),
        items=Items(names, partial(item, root)),
        class_list=with_palette(()),
        table=label_table({}),
        notes=(*warnings, *notes),
        warnings=tuple(warnings),
        read_photo=read_upright,
    )


LAYOUT = Layout(
    kind="images",
    title="Images without labels",
    expected="images in the folder or below it",
    recognises=recognises,
    splits=lambda root: ("all",),
    open=open_split,
)
