"""Potsdam-3: aerial photos in MATLAB files, six classes as three."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from ppap.data.base import Dataset, Item, Items, Layout
from ppap.data.classes import POTSDAM3
from ppap.data.confining import LEADS_OUT, leads_out
from ppap.data.errors import DataError, ImageError, LabelError, printable
from ppap.data.images import Photo, check_size
from ppap.data.intact import Look
from ppap.data.labels import VOID, label_table
from ppap.data.listing import Spelled, has_folder
from ppap.data.lists import read_list

TITLE = "Potsdam-3"
# Sizes stand behind what is compressed.
UNKNOWN = Look(0, 0, 1, "MATLAB")
LISTS = {
    "train": "labelled_train.txt",
    "unlabelled_train": "unlabelled_train.txt",
    "val": "labelled_test.txt",
}
TABLE = label_table({0: 0, 4: 0, 1: 1, 5: 1, 2: 2, 3: 2, 255: VOID})


def splits(root: Path) -> tuple[str, ...]:
    """Splits whose list is there."""
    return tuple(split for split, name in LISTS.items() if (root / name).is_file())


def recognises(root: Path) -> bool:
    """Whether there is a list beside the folder of images."""
    return has_folder(root, "imgs") and bool(splits(root))


def item(images: Spelled, labels: Spelled | None, name: str) -> Item:
    """The item of one image id."""
    return Item(printable(name), images(name), labels(name) if labels else None)


def read_matrix(path: Path, key: str, kind: type[DataError]) -> np.ndarray:
    """The array called ``key`` of a MATLAB file; ``kind`` of error when there is none."""
    from scipy.io import loadmat, whosmat  # takes a while to import

    if not path.is_file():
        raise kind(path, "does not exist")
    if leads_out(path):
        raise kind(path, LEADS_OUT)
    try:
        shapes = {name: shape for name, shape, _ in whosmat(path)}
    except NotImplementedError:
        raise kind(path, "is a MATLAB 7.3 file: save it with version 7 or older") from None
    except Exception as error:  # scipy's readers raise almost anything on damaged files
        raise kind(path, f"is not a MATLAB file that can be read ({error})") from None
    if key not in shapes:
        raise kind(path, f"contains no array '{key}', only: {', '.join(shapes) or 'nothing'}")
    if len(shapes[key]) >= 2:
        try:
            check_size((shapes[key][1], shapes[key][0]), str(path))
        except ImageError as error:
            raise kind(path, error.reason) from None
    try:
        return np.asarray(loadmat(path, variable_names=[key])[key])
    except Exception as error:
        raise kind(path, f"is damaged or cut short ({error})") from None


def look_at(path: Path, labels: bool = False) -> Look:
    """Whether a MATLAB file is as long as its parts say; their sizes in pixels stay unknown."""
    kind: type[DataError] = LabelError if labels else ImageError
    if not path.is_file():
        raise kind(path, "does not exist")
    if leads_out(path):
        raise kind(path, LEADS_OUT)
    length, at = path.stat().st_size, 128
    with path.open("rb") as stream:
        head = stream.read(at)
        if not head.startswith(b"MATLAB 5.0"):
            read_matrix(path, "gt" if labels else "img", kind)
            return UNKNOWN
        order: Literal["little", "big"] = "little" if head[126:] == b"IM" else "big"
        while at < length:
            stream.seek(at + 4)
            at += 8 + int.from_bytes(stream.read(4), order)
    if at > length or length <= len(head):
        raise kind(path, "is damaged or cut short")
    return UNKNOWN


def read_photo(item: Item) -> Photo:
    """The first three of four channels; the fourth is infrared."""
    values = read_matrix(item.image, "img", ImageError)
    if values.ndim != 3 or values.shape[2] < 3 or values.dtype != np.uint8:
        raise ImageError(
            item.image, f"must hold uint8 (H, W, 4), not {values.dtype} {values.shape}"
        )
    return Photo(item.name, np.ascontiguousarray(values[:, :, :3]))


def read_stored(path: Path) -> np.ndarray:
    """The six ids and 255, ``(H, W)``."""
    values = read_matrix(path, "gt", LabelError)
    if values.ndim != 2 or values.dtype.kind not in "uib":
        raise LabelError(path, f"must hold whole numbers (H, W), not {values.dtype} {values.shape}")
    return values


def open_split(root: Path, split: str) -> Dataset:
    """The images of a list. ``unlabelled_train`` has no labels (published code: all void)."""
    labelled = has_folder(root, "gt") and split != "unlabelled_train"
    notes: tuple[str, ...] = ()
    if split != "unlabelled_train" and not labelled:
        notes = ("The folder gt is missing: opened without labels.",)
    images = Spelled(root / "imgs", (".mat",), ".mat")
    labels = Spelled(root / "gt", (".mat",), ".mat") if labelled else None
    return Dataset(
        name=LAYOUT.kind,
        title=TITLE,
        root=root,
        split=split,
        splits=splits(root),
        items=Items(read_list(root / LISTS[split]), partial(item, images, labels)),
        class_list=POTSDAM3,
        table=TABLE,
        notes=notes,
        read_photo=read_photo,
        read_stored=read_stored,
        look_at=look_at,
    )


LAYOUT = Layout(
    kind="potsdam3",
    title=TITLE,
    expected=f"imgs/<id>.mat, gt/<id>.mat and the lists {', '.join(LISTS.values())}",
    recognises=recognises,
    splits=splits,
    open=open_split,
)
