"""Any folder with pictures in it or below it, without labels."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from ppap.data.base import Dataset, Item, Items, Layout, read_upright
from ppap.data.classes import with_palette
from ppap.data.errors import printable
from ppap.data.labels import label_table
from ppap.data.listing import Search


def recognises(root: Path) -> bool:
    """Whether a bounded search finds a picture."""
    return next(iter(Search(root)), None) is not None


def item(root: Path, name: str) -> Item:
    """The item of a path below the root."""
    return Item(printable(name), root / name)


def open_split(root: Path, split: str) -> Dataset:
    """Every picture, as the only split there is."""
    search = Search(root)
    names = list(search)
    return Dataset(
        name=LAYOUT.kind,
        title=printable(root.resolve().name) or LAYOUT.title,
        root=root,
        split=split,
        splits=("all",),
        items=Items(names, partial(item, root)),
        class_list=with_palette(()),
        table=label_table({}),
        notes=search.notes(),
        read_photo=read_upright,
    )


LAYOUT = Layout(
    kind="images",
    title="Images without labels",
    expected="pictures in the folder or below it",
    recognises=recognises,
    splits=lambda root: ("all",),
    open=open_split,
)
