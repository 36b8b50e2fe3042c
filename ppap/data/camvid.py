"""CamVid with 11 classes, as SegNet's authors published it. Not in the paper; fits a CPU."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from ppap.data.base import Dataset, Item, Items, Layout
from ppap.data.classes import CAMVID11
from ppap.data.errors import printable
from ppap.data.formats import LABEL_SUFFIXES
from ppap.data.labels import VOID, label_table
from ppap.data.listing import Spelled, has_folder, images_by_stem, images_in, without_suffix

TITLE = "CamVid, 11 classes"
SPLITS = ("train", "val", "test")
TABLE = label_table({**{i: i for i in range(len(CAMVID11))}, 11: VOID})


def splits(root: Path) -> tuple[str, ...]:
    """Splits whose photos are there."""
    return tuple(split for split in SPLITS if has_folder(root, split))


def recognises(root: Path) -> bool:
    """Whether some split has its folder of annotations beside it."""
    return any(has_folder(root, f"{split}annot") for split in splits(root))


def item(images: Path, labels: Spelled | None, name: str) -> Item:
    """The item of one photo's file name."""
    stem = without_suffix(name)
    return Item(printable(stem), images / name, labels(stem) if labels else None)


def open_split(root: Path, split: str) -> Dataset:
    """All frames of a split; the photos may be PNG (as published) or JPEG."""
    images, labels = root / split, root / f"{split}annot"
    labelled = has_folder(root, f"{split}annot")
    names = list(images_by_stem(images, images_in(images), labelled=labelled).values())
    notes = () if labelled else (f"{split}annot is missing: opened without labels.",)
    return Dataset(
        name=LAYOUT.kind,
        title=TITLE,
        root=root,
        split=split,
        splits=splits(root),
        items=Items(
            names,
            partial(item, images, Spelled(labels, LABEL_SUFFIXES, ".png") if labelled else None),
        ),
        class_list=CAMVID11,
        table=TABLE,
        notes=notes,
    )


LAYOUT = Layout(
    kind="camvid",
    title=TITLE,
    expected="{train,val,test}/*.png (or .jpg) and {train,val,test}annot/*.png of the same names",
    recognises=recognises,
    splits=splits,
    open=open_split,
)
