"""Five crops of every picture: the four corners and the middle, each half as high and wide.

The published training runs read such crops from files written beforehand (``LAYOUT``);
``five_crops`` cuts them from any data set while it is read, without recompressing them, but
decodes the whole picture for each.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from ppap.data.base import Dataset, Example, Item, Items, Layout
from ppap.data.classes import CAMVID11, CITYSCAPES27, COCOSTUFF27, POTSDAM3, ClassList
from ppap.data.errors import LayoutError, printable
from ppap.data.folder import class_names
from ppap.data.formats import LABEL_SUFFIXES
from ppap.data.images import Photo
from ppap.data.labels import VOID, label_table
from ppap.data.listing import (
    Spelled,
    has_folder,
    images_by_stem,
    images_in,
    names_in,
    without_suffix,
)

TITLE = "Five crops"
CROPS = ("top left", "top right", "bottom left", "bottom right", "centre")
CLASSES = {
    "cocostuff27": COCOSTUFF27,
    "cityscapes": CITYSCAPES27,
    "cityscapes27": CITYSCAPES27,
    "potsdam": POTSDAM3,
    "potsdam3": POTSDAM3,
    "camvid": CAMVID11,
}
# Of the JPEG files that the published code writes: Pillow's own.
PUBLISHED_QUALITY = 75
# Crops of one's own folder: their classes are in the classes.txt beside img and label.
OWN = "folder"
_NAMED = re.compile(r"(.+)_five_crop_[0-9.]+")


class CropFolder(NamedTuple):
    """A folder with ``img`` and ``label``, and the data set that its name begins with."""

    path: Path
    of: str


def folder_name(of: str, ratio: float) -> str:
    """What the published runs call the crops of a data set: ``camvid_five_crop_0.5``."""
    return f"{of}_five_crop_{float(ratio)!r}"


def named_after(folder: str) -> str | None:
    """The data set in a name such as ``folder_name`` gives; None for other names."""
    named = _NAMED.fullmatch(folder)
    return named[1] if named else None


def home(root: Path) -> CropFolder | None:
    """``root`` itself, or the one such folder in it or in its ``cropped``; None without one."""
    if named := named_after(root.resolve().name):
        return CropFolder(root, named) if has_folder(root, "img") else None
    parent = root / "cropped" if has_folder(root, "cropped") else root
    inside = {name: named for name in names_in(parent) if (named := named_after(name))}
    if len(inside) > 1:
        raise LayoutError(parent, f"contains several: choose one of {', '.join(inside)}")
    return next((CropFolder(parent / name, of) for name, of in inside.items()), None)


def recognises(root: Path) -> bool:
    """Whether ``home`` finds one or several."""
    try:
        return home(root) is not None
    except LayoutError:
        return True


def splits(root: Path) -> tuple[str, ...]:
    """Splits whose crops are there."""
    folder = home(root)
    if folder is None:
        return ()
    return tuple(split for split in names_in(folder.path / "img") if "." not in split)


def item(images: Path, labels: Spelled | None, name: str) -> Item:
    """The item of ``<n>.jpg``, n = 5 · image + crop."""
    stem = without_suffix(name)
    return Item(stem, images / name, labels(stem) if labels else None)


def numbered(folder: Path) -> list[str]:
    """Names of the pictures in a folder; LayoutError for one that is no number."""
    names = images_by_stem(folder, images_in(folder))
    for stem, name in names.items():
        if not (stem.isascii() and stem.isdigit()):
            raise LayoutError(folder / name, "should be a number: 5 · image + crop")
    return list(names.values())


def classes_of(folder: CropFolder) -> ClassList:
    """The classes in a crop folder's own classes.txt, or those of the data set it is named after.

    Raises:
        LayoutError: neither is known, or as ``folder.class_names``.
    """
    own = (folder.path / "classes.txt").is_file()
    if own or (folder.of == OWN and not has_folder(folder.path, "label")):
        return class_names(folder.path, labelled=own)
    if folder.of in CLASSES:
        return CLASSES[folder.of]
    raise LayoutError(
        folder.path,
        f"contains crops of '{printable(folder.of)}', whose classes are not known: add a "
        "classes.txt (one name per line, class 0 first), or start the folder's name with one of "
        f"{', '.join(CLASSES)}",
    )


def record_file(folder: Path, split: str) -> Path:
    """Where a crop folder says what the crops of a split were made of."""
    return folder / f"crops_{split}.json"


def images_cropped(folder: Path, split: str) -> int | None:
    """How many images the crops of a split are made of; None where nobody wrote that down."""
    try:
        images = json.loads(record_file(folder, split).read_text(encoding="utf-8"))["images"]
    except (OSError, ValueError, LookupError, TypeError):
        return None
    return images if isinstance(images, int) else None


def open_split(root: Path, split: str) -> Dataset:
    """All crops of a split; stored labels are one higher than the class, 0 is void."""
    folder = home(root)
    if folder is None:
        raise LayoutError(root, f"contains no crops: expected {LAYOUT.expected}")
    classes = classes_of(folder)
    images, labels = folder.path / "img" / split, folder.path / "label" / split
    names = numbered(images)
    notes = []
    labelled = labels.is_dir()
    if not labelled:
        notes.append(f"label/{split} is missing: opened without labels.")
    made_of = images_cropped(folder.path, split)
    if made_of is not None and len(names) != made_of * len(CROPS):
        all_crops = made_of * len(CROPS)
        notes.append(
            f"Only {len(names)} of {all_crops} crops exist: writing them was not finished."
        )
    elif len(names) % len(CROPS):
        notes.append(f"{len(names)} crops are not a multiple of five, so some are missing.")
    shifted = {i + 1: i for i in range(len(classes))}
    return Dataset(
        name=LAYOUT.kind,
        title=f"{TITLE} of {folder.of}",
        root=folder.path,
        split=split,
        splits=splits(root),
        items=Items(
            names,
            partial(item, images, Spelled(labels, LABEL_SUFFIXES, ".png") if labelled else None),
        ),
        class_list=classes,
        table=label_table({0: VOID, **shifted}, max(256, len(classes) + 1)),
        notes=tuple(notes),
    )


LAYOUT = Layout(
    kind="five_crops",
    title=TITLE,
    expected="cropped/<data set>_five_crop_0.5/{img,label}/{train,val}/<n>.{jpg,png}",
    recognises=recognises,
    splits=splits,
    open=open_split,
)


@dataclass(frozen=True, eq=False)
class FiveCrops(Dataset):
    """A data set whose item 5 · i + c is crop c of item i of another."""

    ratio: float = 0.5

    def load(self, index: int) -> Example:
        """As ``Dataset.load``, cut to the crop."""
        whole = super().load(index)
        height, width = whole.photo.rgb.shape[:2]
        rows, columns = part(height, width, range(len(self))[index] % len(CROPS), self.ratio)
        rgb = np.ascontiguousarray(whole.photo.rgb[rows, columns])
        photo = Photo(self.items[index].name, rgb, whole.photo.notes)
        labels = None if whole.labels is None else whole.labels[rows, columns].copy()
        return Example(photo, labels, whole.skipped)


@dataclass(frozen=True, eq=False)
class CompressedCrops(FiveCrops):
    """Crops with the traces of JPEG that those written by the published code have."""

    quality: int = PUBLISHED_QUALITY

    def load(self, index: int) -> Example:
        """As ``FiveCrops.load``, written and read again; colours at half size, as Pillow does."""
        cut = super().load(index)
        written = io.BytesIO()
        Image.fromarray(cut.photo.rgb).save(written, format="JPEG", quality=self.quality)
        rgb = np.array(Image.open(written))
        return replace(cut, photo=replace(cut.photo, rgb=rgb))


def part(height: int, width: int, crop: int, ratio: float) -> tuple[slice, slice]:
    """Rows and columns of one of CROPS; fractions of pixels are dropped, the middle is rounded."""
    tall, wide = max(1, int(height * ratio)), max(1, int(width * ratio))
    if crop == 4:
        top, left = round((height - tall) / 2), round((width - wide) / 2)
    else:
        top, left = (height - tall) * (crop // 2), (width - wide) * (crop % 2)
    return slice(top, top + tall), slice(left, left + wide)


def crop_item(items: Sequence[Item], index: int) -> Item:
    """Item ``index // 5`` under the name of its crop."""
    whole = items[index // len(CROPS)]
    return Item(f"{whole.name}, {CROPS[index % len(CROPS)]}", whole.image, whole.labels)


def five_crops(
    dataset: Dataset, ratio: float = 0.5, quality: int | None = None
) -> FiveCrops | CompressedCrops:
    """The five crops of every picture of ``dataset``, ``ratio`` as high and wide.

    With a ``quality`` they look as if they were read from the JPEG files that the published code
    writes.

    Raises:
        ValueError: a ratio that is not above 0 and at most 1.
    """
    if not 0 < ratio <= 1:
        raise ValueError(f"ratio must be above 0 and at most 1, not {ratio}")
    same = {f.name: getattr(dataset, f.name) for f in fields(Dataset)}
    crops = range(len(CROPS) * len(dataset))
    same["title"] = f"{dataset.title}, five crops"
    same["items"] = Items(crops, partial(crop_item, dataset.items))
    if quality is not None:
        return CompressedCrops(**same, ratio=ratio, quality=quality)
    return FiveCrops(**same, ratio=ratio)
