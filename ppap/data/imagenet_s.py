"""ImageNet-S with 919, 300 or 50 classes, and class 0 for everything else."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

from ppap.data.base import Dataset, Item, Items, Layout
from ppap.data.classes import ClassList, with_palette
from ppap.data.errors import LayoutError, printable
from ppap.data.formats import LABEL_SUFFIXES
from ppap.data.labels import VOID, label_table, read_labels
from ppap.data.listing import Spelled, has_folder, images_in, names_in, without_suffix

TITLE = "ImageNet-S"
SPLITS = ("train", "train-semi", "validation", "test")
# Those that come with masks.
LABELLED = ("train-semi", "validation")
IGNORED = 1000
_NAMED = re.compile(r"ImageNetS(\d+)", re.IGNORECASE)


def home(root: Path) -> Path:
    """The folder of one ImageNet-S: ``root`` itself, or the only ``ImageNetS<n>`` inside it."""
    inside = [name for name in names_in(root) if _NAMED.fullmatch(name) and has_folder(root, name)]
    if any(has_folder(root, split) for split in ("train-semi", "validation")) or not inside:
        return root
    if len(inside) > 1:
        raise LayoutError(root, f"contains several: choose one of {', '.join(inside)}")
    return root / inside[0]


def splits(root: Path) -> tuple[str, ...]:
    """Splits whose photos are there."""
    return tuple(split for split in SPLITS if has_folder(home(root), split))


def recognises(root: Path) -> bool:
    """Whether the masks' folders, or the name, are ImageNet-S's."""
    try:
        folder = home(root)
    except LayoutError:
        return True
    masks = any(has_folder(folder, f"{split}-segmentation") for split in LABELLED)
    return masks or (bool(_NAMED.fullmatch(folder.name)) and bool(splits(root)))


def class_names(folder: Path) -> ClassList:
    """``other``, then the WordNet ids in alphabetic order, as the masks count them.

    Where folders are missing, their ids cannot be known: classes are then called by number.
    """
    wnids = max(
        ([n for n in sorted(names_in(folder / s)) if has_folder(folder / s, n)] for s in SPLITS),
        key=len,
    )
    named = _NAMED.fullmatch(folder.name)
    count = int(named[1]) if named else len(wnids)
    names = wnids if len(wnids) == count else [f"class {i}" for i in range(1, count + 1)]
    return with_palette(["other", *names])


def item(images: Path, masks: Spelled | None, key: str) -> Item:
    """The item of ``wnid/file.JPEG``."""
    stem = without_suffix(key)
    labels = masks(stem) if masks else None
    return Item(printable(stem.rpartition("/")[2]), images / key, labels)


def open_split(root: Path, split: str) -> Dataset:
    """All photos of a split, class by class."""
    folder = home(root)
    images, masks = folder / split, folder / f"{split}-segmentation"
    keys = [f"{wnid}/{name}" for wnid in names_in(images) for name in images_in(images / wnid)]
    labelled = split in LABELLED and masks.is_dir()
    notes = []
    if split in LABELLED and not labelled:
        notes.append(f"{masks.name} is missing: opened without labels.")
    classes = class_names(folder)
    if classes.names[-1].startswith("class "):
        notes.append("Not all class folders are there: classes are called by number.")
    ids = {i: i for i in range(len(classes))}
    return Dataset(
        name=LAYOUT.kind,
        title=f"{TITLE}, {len(classes) - 1} classes",
        root=folder,
        split=split,
        splits=splits(root),
        items=Items(
            keys,
            partial(item, images, Spelled(masks, LABEL_SUFFIXES, ".png") if labelled else None),
        ),
        class_list=classes,
        table=label_table({**ids, IGNORED: VOID}, IGNORED + 1),
        notes=tuple(notes),
        read_stored=partial(read_labels, two_channel=True),
    )


LAYOUT = Layout(
    kind="imagenet_s",
    title=TITLE,
    expected=(
        "ImageNetS<n>/{train,train-semi,validation}/<wnid>/*.JPEG and "
        "{train-semi,validation}-segmentation/<wnid>/*.png"
    ),
    recognises=recognises,
    splits=splits,
    open=open_split,
)
