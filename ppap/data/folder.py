"""Your own data set: ``images/``, and where there are any, ``labels/`` and lists."""

from __future__ import annotations

import hashlib
from functools import partial
from pathlib import Path

from ppap.data.base import Dataset, Item, Items, Layout, read_upright
from ppap.data.classes import ClassList, with_palette
from ppap.data.errors import LayoutError, printable
from ppap.data.labels import VOID, label_table
from ppap.data.listing import (
    Search,
    has_folder,
    images_by_stem,
    read_lines,
    read_list,
    without_suffix,
)

TITLE = "Folder with images"
LISTS = {"train": "train.txt", "val": "val.txt"}
# Without lists, one image in five is for validation.
IN_FIVE = 5
MOST_CLASSES = 255


def recognises(root: Path) -> bool:
    """Whether there is a folder called images with a picture somewhere in it."""
    return has_folder(root, "images") and next(iter(Search(root / "images")), None) is not None


def splits(root: Path) -> tuple[str, ...]:
    """Train and val, and both together."""
    return ("train", "val", "all") if has_folder(root, "images") else ()


def drawn(stem: str) -> bytes:
    """A number drawn for a name, the same on every machine and for ever."""
    return hashlib.sha256(stem.encode("utf-8", "surrogatepass")).digest()


def divide(stems: list[str]) -> dict[str, list[str]]:
    """Train and val without lists: the fifth with the smallest drawn numbers is val.

    Which images those are depends on their names alone, not on the order or the machine, and
    hardly changes when images are added.
    """
    val = set(sorted(stems, key=drawn)[: len(stems) // IN_FIVE])
    return {"train": [s for s in stems if s not in val], "val": [s for s in stems if s in val]}


def listed(root: Path, files: dict[str, str]) -> tuple[dict[str, list[str]], list[str]]:
    """Stems by split, from the lists that are there, and notes. What one list lacks is the other's.

    Raises:
        LayoutError: a list names an image that does not exist.
    """
    given: dict[str, list[str]] = {}
    for split, name in LISTS.items():
        if (root / name).is_file():
            given[split] = read_list(root / name)
            for stem in given[split]:
                if stem not in files:
                    raise LayoutError(
                        root / name, f"names '{printable(stem)}', but images/ holds no such picture"
                    )
    if not given:
        note = "No train.txt and val.txt: one image in five is val, chosen by a fixed rule."
        return divide(list(files)), [note]
    if len(given) == 1:
        ((split, known),) = given.items()
        other = "val" if split == "train" else "train"
        taken = set(known)
        given[other] = [stem for stem in files if stem not in taken]
        return given, [f"No {LISTS[other]}: {other} is every image that {LISTS[split]} leaves."]
    both = set(given["train"]) & set(given["val"])
    notes = [f"{len(both)} images are in both train.txt and val.txt."] if both else []
    return given, notes


def class_names(root: Path, labelled: bool) -> ClassList:
    """The names in classes.txt, class 0 first; none when nothing is labelled.

    Raises:
        LayoutError: labels without names, or names that are blank or occur twice.
    """
    path = root / "classes.txt"
    if not path.is_file():
        if labelled:
            raise LayoutError(
                root, "has labels but no classes.txt: write one name a line, class 0 first"
            )
        return with_palette(())
    names = read_lines(path)
    for number, name in enumerate(names, 1):
        if not name:
            raise LayoutError(path, f"has a blank line {number}, which would shift the classes")
        if name in names[: number - 1]:
            raise LayoutError(path, f"names '{printable(name)}' twice, again in line {number}")
    if len(names) > MOST_CLASSES:
        raise LayoutError(path, f"has {len(names)} names; at most {MOST_CLASSES} can be told apart")
    return with_palette(names)


def item(root: Path, labels: frozenset[str], name: str) -> Item:
    """The item of a picture's path below images/."""
    stem = without_suffix(name)
    path = root / "labels" / f"{stem}.png" if stem in labels else None
    return Item(printable(stem), root / "images" / name, path)


def open_split(root: Path, split: str) -> Dataset:
    """The images of a split, in the order of its list where there is one."""
    search = Search(root / "images")
    files = images_by_stem(root / "images", list(search))
    masks = Search(root / "labels")
    labels = frozenset(without_suffix(name) for name in masks if name.lower().endswith(".png"))
    by_split, notes = listed(root, files)
    stems = list(files) if split == "all" else by_split[split]
    classes = class_names(root, bool(labels))
    if stray := sorted(labels - files.keys()):
        first = printable(stray[0])
        notes.append(f"{len(stray)} label maps have no image, the first is labels/{first}.png.")
    return Dataset(
        name=LAYOUT.kind,
        title=printable(root.resolve().name) or TITLE,
        root=root,
        split=split,
        splits=splits(root),
        items=Items([files[stem] for stem in stems], partial(item, root, labels)),
        class_list=classes,
        table=label_table({**{i: i for i in range(len(classes))}, 255: VOID}),
        notes=(*notes, *search.notes()),
        read_photo=read_upright,
    )


LAYOUT = Layout(
    kind="folder",
    title=TITLE,
    expected=(
        "images/ with pictures; and if there are labels, labels/<same name>.png with class ids "
        "(255 = void) and classes.txt; and if you like, train.txt and val.txt with names "
        "without suffix"
    ),
    recognises=recognises,
    splits=splits,
    open=open_split,
)
