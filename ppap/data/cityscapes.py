"""Cityscapes with 27 classes: the fine label ids from 7 on."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from ppap.data.base import Dataset, Item, Items, Layout
from ppap.data.classes import CITYSCAPES27
from ppap.data.formats import IMAGE_SUFFIXES, LABEL_SUFFIXES
from ppap.data.labels import VOID, label_table
from ppap.data.listing import Spelled, has_folder, images_in, names_in, without_suffix

TITLE = "Cityscapes, 27 classes"
SPLITS = ("train", "val", "test")
PHOTO, LABELS = "_leftImg8bit", "_gtFine_labelIds"
FIRST_ID = 7
# Id −1 (licence plate) is written as 255 where it is drawn at all.
TABLE = label_table(
    {id_: id_ - FIRST_ID if id_ >= FIRST_ID else VOID for id_ in range(34)} | {255: VOID}
)


def splits(root: Path) -> tuple[str, ...]:
    """Splits whose photos are there."""
    return tuple(split for split in SPLITS if has_folder(root / "leftImg8bit", split))


def item(images: Spelled, labels: Spelled | None, key: str) -> Item:
    """The item of ``city/city_000000_000019``."""
    return Item(
        key.rpartition("/")[2],
        images(key + PHOTO),
        labels(key + LABELS) if labels else None,
    )


def open_split(root: Path, split: str) -> Dataset:
    """All frames of a split, city by city."""
    images, labels = root / "leftImg8bit" / split, root / "gtFine" / split
    keys = [
        f"{city}/{stem[: -len(PHOTO)]}"
        for city in names_in(images)
        for name in images_in(images / city)
        if (stem := without_suffix(name)).endswith(PHOTO)
    ]
    notes = []
    if split == "test":
        notes.append("The labels of the test split are not public: its label maps are all void.")
    if not has_folder(root / "gtFine", split):
        notes = [f"gtFine/{split} is missing: opened without labels."]
    labelled = has_folder(root / "gtFine", split)
    build = partial(
        item,
        Spelled(images, IMAGE_SUFFIXES, ".png"),
        Spelled(labels, LABEL_SUFFIXES, ".png") if labelled else None,
    )
    return Dataset(
        name=LAYOUT.kind,
        title=TITLE,
        root=root,
        split=split,
        splits=splits(root),
        items=Items(keys, build),
        class_list=CITYSCAPES27,
        table=TABLE,
        notes=tuple(notes),
    )


LAYOUT = Layout(
    kind="cityscapes27",
    title=TITLE,
    expected=(
        f"leftImg8bit/{{train,val,test}}/<city>/*{PHOTO}.png and "
        f"gtFine/{{train,val,test}}/<city>/*{LABELS}.png"
    ),
    recognises=lambda root: bool(splits(root)),
    splits=splits,
    open=open_split,
)
