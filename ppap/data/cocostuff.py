"""COCO-Stuff-27: the curated lists, COCO's photos, and the 182 ids as 27 classes."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from ppap.data.base import Dataset, Item, Items, Layout
from ppap.data.classes import COCOSTUFF27, COCOSTUFF_FINE_TO_COARSE
from ppap.data.errors import printable
from ppap.data.formats import LABEL_SUFFIXES, suffix_of
from ppap.data.labels import VOID, label_table
from ppap.data.listing import Spelled, files_by_stem, has_folder, names_in, without_suffix
from ppap.data.lists import read_list

TITLE = "COCO-Stuff-27"
FOLDERS = {"train": "train2017", "val": "val2017"}
# The validation list is the shorter one, which the published results are on.
LISTS = {"train": "Coco164kFull_Stuff_Coarse.txt", "val": "Coco164kFull_Stuff_Coarse_7.txt"}
# COCO's photos are .jpg; some copies were saved anew.
PHOTOS = (".jpg", ".jpeg", ".png")
TABLE = label_table({**dict(enumerate(COCOSTUFF_FINE_TO_COARSE.tolist())), 255: VOID})


def splits(root: Path) -> tuple[str, ...]:
    """Splits whose photos are there."""
    return tuple(s for s, folder in FOLDERS.items() if has_folder(root / "images", folder))


def item(images: Spelled, annotations: Spelled | None, name: str) -> Item:
    """The item of one image id."""
    return Item(printable(name), images(name), annotations(name) if annotations else None)


def open_split(root: Path, split: str) -> Dataset:
    """The curated images of a split; all annotated ones where the list is missing."""
    images = root / "images" / FOLDERS[split]
    annotations = root / "annotations" / FOLDERS[split]
    curated = root / "curated" / FOLDERS[split] / LISTS[split]
    notes = []
    labelled = has_folder(root / "annotations", FOLDERS[split])
    if not labelled:
        notes.append(f"annotations/{FOLDERS[split]} is missing: opened without labels.")
    if curated.is_file():
        names = read_list(curated)
    else:
        names = [without_suffix(n) for n in names_in(images) if suffix_of(n) in PHOTOS]
        if labelled:
            annotated = files_by_stem(annotations, LABEL_SUFFIXES)
            names = [name for name in names if name in annotated]
        notes.append(
            f"The list curated/{FOLDERS[split]}/{LISTS[split]} is missing: all {len(names)} "
            f"{'annotated ' if labelled else ''}images are used. Published results use only the "
            "images in the list."
        )
    build = partial(
        item,
        Spelled(images, PHOTOS, ".jpg"),
        Spelled(annotations, LABEL_SUFFIXES, ".png") if labelled else None,
    )
    return Dataset(
        name=LAYOUT.kind,
        title=TITLE,
        root=root,
        split=split,
        splits=splits(root),
        items=Items(names, build),
        class_list=COCOSTUFF27,
        table=TABLE,
        notes=tuple(notes),
    )


LAYOUT = Layout(
    kind="cocostuff27",
    title=TITLE,
    expected=(
        "images/{train2017,val2017}/*.jpg, annotations/{train2017,val2017}/*.png, "
        f"curated/train2017/{LISTS['train']} and curated/val2017/{LISTS['val']}"
    ),
    recognises=lambda root: bool(splits(root)),
    splits=splits,
    open=open_split,
)
