"""Where a folder of one's own keeps its pictures, label maps and splits."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from ppap.data.formats import is_image_name
from ppap.data.listing import has_folder, images_in, is_dropping, names_in, natural_key
from ppap.data.searching import is_folder, is_label_folder, most_entries

# The order in which splits are told.
SPLITS = ("train", "val", "test")
_SPLIT_WORDS = {
    "train": ("train", "training", "trainset", "train_set"),
    "val": ("val", "valid", "validation", "valset", "val_set"),
    "test": ("test", "testing", "testset", "test_set"),
}
SPLIT_OF = {word: split for split, words in _SPLIT_WORDS.items() for word in words}
IMAGES = "images"
_PHOTO_NAMES = """
    images image imgs img jpegimages img_dir photos photo pictures inputs input rgb
    original_images leftimg8bit
"""
_PHOTO_FOLDERS = _PHOTO_NAMES.split()
# Where several folders hold label maps, these are meant before all others.
_FIRST_LABELS = ("labels", "label", "segmentationclass")
_LIST_FOLDERS = ("", "splits", "split", "lists", "ImageSets/Segmentation", "ImageSets", "imagesets")
_LIST_ENDINGS = (".txt", ".csv", ".lst", ".tsv")


class Part(NamedTuple):
    """Pictures that lie together, and where their label maps may be; paths below the root."""

    split: str
    """Empty where the folders tell of none."""
    photos: str
    labels: tuple[str, ...]
    """Folders that may hold label maps, the likeliest first."""


def folders_in(folder: Path) -> list[str]:
    """Names of the folders in a folder."""
    try:
        with os.scandir(folder) as entries:
            found = [e.name for e in entries if not is_dropping(e.name) and is_folder(e)]
    except OSError:
        return []
    return sorted(found, key=natural_key)


def photo_folder(folders: Iterable[str]) -> str | None:
    """The folder that is named like one of pictures."""
    by_name = {name.casefold(): name for name in reversed(list(folders))}
    return next((by_name[name] for name in _PHOTO_FOLDERS if name in by_name), None)


def label_folders(folders: Iterable[str]) -> list[str]:
    """Those that are named like ones of label maps, the likeliest first."""
    found = [n for n in folders if is_label_folder(n) and n.casefold() != "segmentationobject"]
    order = {name: place for place, name in enumerate(_FIRST_LABELS)}
    return sorted(found, key=lambda name: order.get(name.casefold(), len(order)))


def parts_of(root: Path) -> list[Part]:
    """The parts of a folder, as its sub-folders' names tell them."""
    folders = folders_in(root)
    photos = photo_folder(folders)
    whole = [Part("", photos or "", tuple(label_folders(folders)))]
    if photos and has_picture(root / photos):
        return whole
    named = {name: SPLIT_OF[name.casefold()] for name in folders if name.casefold() in SPLIT_OF}
    if "train" in named.values():
        parts = [part_of_split(root, folders, name, split) for name, split in named.items()]
        return sorted(parts, key=lambda part: SPLITS.index(part.split))
    return whole


def outside(root: Path, parts: list[Part]) -> list[str]:
    """Folders of pictures beside those of splits; none where there are no such."""
    if not any(part.split for part in parts):
        return []
    known = {part.photos.partition("/")[0] for part in parts}
    others = [n for n in folders_in(root) if n not in known and not is_label_folder(n)]
    return [name for name in others if has_picture(root / name)]


def part_of_split(root: Path, folders: list[str], name: str, split: str) -> Part:
    """``train``: with folders of pictures and label maps in it, or pictures and its like beside."""
    inside = folders_in(root / name)
    own = [f"{name}/{each}" for each in label_folders(inside)]
    photos = photo_folder(inside)
    if photos:
        return Part(split, f"{name}/{photos}", tuple(own))
    beside = [
        each for each in label_folders(folders) if each.casefold().startswith(name.casefold())
    ]
    below = [f"{each}/{name}" for each in label_folders(folders) if has_folder(root / each, name)]
    return Part(split, name, (*own, *beside, *below))


def has_picture(folder: Path, *, labels: bool = False) -> bool:
    """Whether there is a picture in a folder or below it."""
    return any(found_below(folder, labels))


def found_below(folder: Path, labels: bool) -> Iterator[bool]:
    """True for each picture; nothing is sorted, since one is enough."""
    waiting, entries, seen = [os.fspath(folder)], 0, set()
    while waiting and entries < most_entries():
        place = waiting.pop()
        real = os.path.realpath(place)
        if real in seen:
            continue
        seen.add(real)
        try:
            with os.scandir(place) as found:
                for entry in found:
                    entries += 1
                    if is_dropping(entry.name):
                        continue
                    if not is_folder(entry):
                        yield is_image_name(entry.name)
                    elif labels or not is_label_folder(entry.name):
                        waiting.append(entry.path)
        except OSError:
            continue


def split_folders(photos: Path) -> dict[str, str]:
    """Sub-folder → split, where a folder of pictures is divided so: ``images/train``.

    One such folder alone is a name like others; and pictures beside them belong to no split.
    """
    found = {n: SPLIT_OF[n.casefold()] for n in folders_in(photos) if n.casefold() in SPLIT_OF}
    return found if len(set(found.values())) > 1 and not images_in(photos) else {}


def list_files(root: Path) -> dict[str, Path]:
    """The lists of splits that there are: ``train.txt``, ``splits/Val.csv`` and the like."""
    found: dict[str, Path] = {}
    for folder in _LIST_FOLDERS:
        for name in names_in(root / folder):
            stem, dot, ending = name.rpartition(".")
            split = SPLIT_OF.get(stem.casefold())
            known = f"{dot}{ending}".lower() in _LIST_ENDINGS and not is_dropping(name)
            if split and known and (root / folder / name).is_file():
                found.setdefault(split, root / folder / name)
    return {split: found[split] for split in SPLITS if split in found}
