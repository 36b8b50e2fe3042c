"""Your own data set: pictures, and where there are any, label maps and lists of splits."""

from __future__ import annotations

import os
import re
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from ppap.data.base import Dataset, Item, Items, Layout, read_upright
from ppap.data.class_files import CLASSES, USUAL_VOID, Named, class_file, read_classes
from ppap.data.classes import ClassList, with_palette
from ppap.data.coding import Coding
from ppap.data.contents import (
    Contents,
    Pair,
    by_split,
    contents_of,
    label_maps_beside,
    stray_note,
)
from ppap.data.errors import DataError, LayoutError, printable
from ppap.data.known_classes import VOC21, with_known_colours
from ppap.data.labels import VOID, label_table, read_labels
from ppap.data.listing import has_folder, images_in
from ppap.data.numbered import named_by_number, note_on, numbers_in
from ppap.data.parts import IMAGES, SPLITS, has_picture, list_files, parts_of, split_folders

TITLE = "Folder with images"
# Label maps that are opened to tell masks of 0 and 255 from class ids.
PEEKED = 32
MOST_PEEKED = 320
_CROPS = re.compile(r".+_five_crop_[0-9.]+")


def recognises(root: Path) -> bool:
    """Whether there is a folder of pictures, or there are splits, or label maps and their classes.

    A folder called ``images`` is enough. Pictures that lie otherwise are a data set where folders
    divide them, or where there are label maps and a file says what they mean, or numbers do.
    """
    if _CROPS.fullmatch(root.resolve().name):
        return False
    parts = parts_of(root)
    if len(parts) == 1 and parts[0].photos.casefold() == IMAGES:
        return has_picture(root / parts[0].photos)
    filled = [part for part in parts if has_picture(root / part.photos)]
    if len({part.split for part in filled}) > 1:
        return True
    folders = [folder for part in filled for folder in part.labels]
    labelled = any(has_picture(root / folder, labels=True) for folder in folders)
    if not filled:
        return False
    if class_file(root) is not None or is_voc(root):
        return labelled or contents_of(root).labelled
    beside = any(label_maps_beside(images_in(root / part.photos)) for part in filled)
    return (labelled or beside) and has_numbered_maps(root)


def has_numbered_maps(root: Path) -> bool:
    """Whether pictures have label maps whose numbers can be classes; a few are opened."""
    try:
        pairs = contents_of(root).pairs.values()
    except LayoutError:
        return False
    maps = [pair.labels for pair in pairs if pair.labels is not None]
    return bool(numbers_in(root, spread(maps, PEEKED), stored_values) - {USUAL_VOID})


def is_voc(root: Path) -> bool:
    """Whether the folders are called as in PASCAL VOC, whose classes everybody knows."""
    return has_folder(root, "JPEGImages") and has_folder(root, "SegmentationClass")


def splits(root: Path) -> tuple[str, ...]:
    """Train and val, test where a list or folder says so, and all together."""
    parts = parts_of(root)
    if not any(part.split or has_folder(root, part.photos) for part in parts):
        return ()
    if list_files(root):
        return (*(s for s in SPLITS if s != "test" or s in list_files(root)), "all")
    named = {part.split for part in parts}
    if len(named) < 2:  # one folder alone divides nothing
        named = set(split_folders(root / parts[0].photos).values()) or {"train", "val"}
    return (*(s for s in SPLITS if s in named), "all")


def class_names(root: Path, labelled: bool) -> ClassList:
    """The names in the classes' file, class 0 first; none when nothing is labelled.

    Raises:
        LayoutError: labels without names, or as ``read_classes``.
    """
    path = class_file(root)
    if path is not None:
        return read_classes(path).class_list
    if labelled:
        raise LayoutError(root, NO_CLASSES)
    return with_palette(())


NO_CLASSES = f"has labels but no {CLASSES}: write one name per line, class 0 first"


def named_classes(root: Path, found: Contents) -> Named:
    """The classes, and how label maps store them.

    Raises:
        LayoutError: as ``class_names``.
    """
    places = [root, *(root / part.photos for part in parts_of(root) if part.split)]
    path = next((file for place in places if (file := class_file(place)) is not None), None)
    if path is not None and not found.labelled and path.name.casefold() != CLASSES:
        path = None  # such as the labels.csv of a set that is for telling whole pictures apart
    if path is not None:
        return with_known_colours(read_classes(path))
    if found.labelled and is_voc(root):
        found.notes.append(f"No {CLASSES}: the classes are assumed to be PASCAL VOC's.")
        numbers = {**{i: i for i in range(len(VOC21))}, 255: VOID}
        return with_known_colours(Named(root / CLASSES, list(VOC21), numbers))
    if found.labelled and (guessed := named_by_numbers(root, found)) is not None:
        return guessed
    if found.labelled:
        if parts_of(root)[0].photos.casefold() == IMAGES:
            folder = printable(found.label_folders[0])
            raise LayoutError(root, f"{NO_CLASSES} (the label maps are in {folder}/)")
        folders = ", ".join(printable(f) for f in dict.fromkeys(found.label_folders))
        found.warnings.append(
            f"The label maps in {folders} were left out: there is no {CLASSES} to say what they "
            "mean. Write one name per line, class 0 first."
        )
        found.without_labels()
    return Named(root / CLASSES)


def named_by_numbers(root: Path, found: Contents) -> Named | None:
    """A class for every number in the label maps; None where they hold no such numbers."""
    maps = [pair.labels for pair in found.pairs.values() if pair.labels is not None]
    looked = spread(maps, MOST_PEEKED)
    numbers = numbers_in(root, looked, stored_values)
    if not numbers or numbers == {USUAL_VOID}:
        return None
    named = named_by_number(root, numbers)
    found.warnings.append(note_on(named, len(looked), len(maps)))
    return named


def open_split(root: Path, split: str) -> Dataset:
    """The images of a split, in the order of its list where there is one."""
    found = contents_of(root)
    divided = by_split(root, found)
    named = named_classes(root, found)
    whole = splits(root)
    stems = list(found.pairs) if split == "all" else divided.get(split, [])
    pairs = [found.pairs[stem] for stem in stems]
    if is_black_and_white(root, found, named):
        found.warnings.append(
            "The label maps contain only 0 and 255: 255 is read as the second class, "
            f"'{printable(named.names[1])}'. If 255 means no class, write a line 'void 255' into "
            f"{named.file.name}."
        )
        named.numbers = {0: 0, 255: 1}
    notes = [*found.notes, *meaning_notes(named, found), *stray_note(found)]
    numbers = named.numbers
    coding = Coding(
        tuple(sorted(numbers)),
        tuple(sorted(named.colours.items())),
        implied=named.implied,
        numbered=not named.counted,
    )
    return Dataset(
        name=LAYOUT.kind,
        title=printable(root.resolve().name) or TITLE,
        root=root,
        split=split,
        splits=whole,
        items=Items(pairs, partial(item, root)),
        class_list=named.class_list,
        table=label_table(numbers, max(256, max(numbers, default=0) + 1)),
        notes=(*found.warnings, *notes),
        warnings=tuple(found.warnings),
        remedy=remedy(named),
        read_photo=read_upright,
        read_stored=partial(read_labels, coding=coding),
    )


def item(root: Path, pair: Pair) -> Item:
    """The item of a picture."""
    labels = None if pair.labels is None else root / pair.labels
    return Item(pair.name, root / pair.image, labels)


def meaning_notes(named: Named, found: Contents) -> list[str]:
    """What was made of the classes' file, where that is more than an order of names."""
    if not found.labelled:
        return []
    void = sorted(n for n, class_id in named.numbers.items() if class_id == VOID and n != 255)
    told = []
    if not named.counted and not named.guessed:
        told.append(f"{named.file.name} gives the numbers of the classes.")
    if void:
        told.append(f"Numbers without a class: {', '.join(map(str, void))} and 255.")
    return told


def remedy(named: Named) -> str:
    """What to do about a number that has no class."""
    if not named.names:
        return ""
    if named.guessed:
        return f"write every number with its class into {CLASSES}, as in '7 road'"
    return (
        f"if it is a class, give every class its number in {named.file.name}, as in "
        f"'7 {printable(named.names[0])}'; if it means no class, write a line 'void 7'"
    )


def is_black_and_white(root: Path, found: Contents, named: Named) -> bool:
    """Whether the label maps of two classes are masks of 0 and 255, as most programs draw them.

    Some label maps are opened for that. Should another one hold a 1, reading it fails loudly.
    """
    plain = named.counted and not named.void_declared and not named.colours
    if not plain or len(named.names) != 2:
        return False
    labelled = [pair.labels for pair in found.pairs.values() if pair.labels is not None]
    values: set[int] = set()
    for looked, name in enumerate(spread(labelled, MOST_PEEKED)):
        # What is rare may be in none of the first: then more are looked into.
        if looked >= PEEKED and values != {0}:
            break
        try:
            about = os.stat(root / name)  # noqa: PTH116
            values |= stored_values(root / name, about.st_size, about.st_mtime_ns)
        except (OSError, DataError):
            continue
        if values - {0, 255}:
            return False
    return values == {0, 255}


def spread(names: list[str], most: int) -> list[str]:
    """At most so many of the names, in an order that is spread evenly from the beginning on."""
    count = min(most, len(names))
    steps = [i * len(names) // count for i in range(count)]
    stride = max(1, count // PEEKED)
    return [names[i] for start in range(stride) for i in steps[start::stride]]


@lru_cache(maxsize=4096)
def stored_values(path: Path, size: int, changed: int) -> frozenset[int]:
    """The numbers in a label map; remembered while the file stays as it is."""
    return frozenset(np.unique(read_labels(path)).tolist())


LAYOUT = Layout(
    kind="folder",
    title=TITLE,
    expected=(
        "images/ with the images; for labels, labels/<same name>.png with class ids (255 = void) "
        f"and {CLASSES}; optionally train.txt and val.txt with names without suffix"
    ),
    recognises=recognises,
    splits=splits,
    open=open_split,
)
