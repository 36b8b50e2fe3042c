"""The pictures of a folder of one's own with their label maps, and the splits they are in."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from ppap.data.errors import LayoutError, printable
from ppap.data.formats import LABEL_SUFFIXES, suffix_of
from ppap.data.listing import twice_in, without_suffix
from ppap.data.lists import Names, pictures_listed
from ppap.data.pairing import is_label_name, marked, pair
from ppap.data.parts import (
    IMAGES,
    SPLITS,
    Part,
    list_files,
    outside,
    parts_of,
    split_folders,
)
from ppap.data.searching import Search, counted

# Without lists, one image in five is for validation.
IN_FIVE = 5


class Pair(NamedTuple):
    """One picture; paths below the data set's folder."""

    name: str
    """For showing; as people would call it."""
    image: str
    labels: str | None


@dataclass
class Contents:
    """Everything in a folder."""

    pairs: dict[str, Pair] = field(default_factory=dict)
    """By stem, unique over all parts."""
    splits: dict[str, list[str]] = field(default_factory=dict)
    """Stems by split, where folders tell of splits."""
    stray: list[str] = field(default_factory=list)
    """Label maps without a picture, below the data set's folder."""
    label_folders: list[str] = field(default_factory=list)
    """Where the label maps lie that are read."""
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def labelled(self) -> bool:
        """Whether any picture has a label map."""
        return any(pair.labels is not None for pair in self.pairs.values())

    def without_labels(self) -> None:
        """Forget the label maps: nobody knows what they mean."""
        self.pairs = {stem: pair._replace(labels=None) for stem, pair in self.pairs.items()}
        self.stray, self.label_folders = [], []


def contents_of(root: Path) -> Contents:
    """List a folder and everything below it; opens no picture.

    Raises:
        LayoutError: pictures would share a label map, or label maps a picture.
    """
    found = Contents()
    parts = parts_of(root)
    for part in parts:
        add_part(root, part, found, alone=len(parts) == 1)
    if len(parts) == 1:
        inside = split_folders(root / parts[0].photos)
        for stem in found.pairs if inside else ():
            if split := inside.get(stem.partition("/")[0]):
                found.splits.setdefault(split, []).append(stem)
    if left_out := outside(root, parts):
        found.warnings.append(
            f"Images outside the splits' folders were left out: {counted(left_out, 'folder')}."
        )
    if len(parts) > 1:
        for stem in found.pairs:
            found.splits.setdefault(stem.partition("/")[0], []).append(stem)
    return found


def add_part(root: Path, part: Part, found: Contents, *, alone: bool) -> None:
    """The pictures of one part. Its split begins the stems where there are several parts."""
    # Of a folder without one for pictures, the label maps' folder lies among them.
    search = Search(root / part.photos)
    files = list(search)
    beside = label_maps_beside(files)
    photos = [file for file in files if file not in beside]
    by_stem = with_stems(photos)
    labels, folder, stray = chosen_labels(root, part, by_stem, beside, found)
    for stem in twice_in(photos):
        shared = [file for file in photos if without_suffix(file) == stem]
        # Without a label map of that name they are harmless.
        if any(stem in (without_suffix(each), marked(without_suffix(each))) for each in stray):
            raise LayoutError(
                root / part.photos,
                f"contains both {printable(shared[0])} and {printable(shared[1])}, which would "
                "share one label map: rename one of them",
            )
    at = f"{part.photos}/" if part.photos else ""
    labels_at = f"{folder}/" if folder else ""
    for stem, file in by_stem.items():
        own = labels.get(stem)
        key = stem if alone else f"{part.split}/{stem}"
        found.pairs[key] = Pair(printable(key), at + file, None if own is None else labels_at + own)
    found.stray += [labels_at + name for name in stray]
    if labels:
        found.label_folders.append(folder or part.photos or ".")
    left_out = [each for each in search.label_folders if (at + each) not in part.labels]
    if left_out:
        found.warnings.append(f"Label maps were left out: {counted(left_out, 'folder')}.")
    search.label_folders = []
    found.notes += search.notes()


def with_stems(photos: list[str]) -> dict[str, str]:
    """Stem → path; of pictures that share a stem, the whole name → path."""
    twice = twice_in(photos)
    return {file if (stem := without_suffix(file)) in twice else stem: file for file in photos}


def label_maps_beside(files: list[str]) -> frozenset[str]:
    """Those among pictures that are label maps of others: ``a_mask.png`` beside ``a.jpg``."""
    stems = {without_suffix(file) for file in files}
    return frozenset(
        file
        for file in files
        if suffix_of(file) in LABEL_SUFFIXES
        and (photo := marked(without_suffix(file))) is not None
        and photo in stems
    )


def chosen_labels(
    root: Path,
    part: Part,
    photos: dict[str, str],
    beside: frozenset[str],
    found: Contents,
) -> tuple[dict[str, str], str, list[str]]:
    """Stem → label map, the folder those lie in, and label maps without a picture.

    Raises:
        LayoutError: several folders could be meant.
    """
    fitting: list[tuple[str, dict[str, str], list[str]]] = []
    unfit: list[str] = []
    for folder in part.labels:
        search = Search(root / folder, inside_labels=True, natural=False)
        files = [file for file in search if is_label_name(file)]
        paired = pair(photos, files, root / folder)
        if paired.labels:
            fitting.append((folder, paired.labels, paired.stray))
        elif files:
            unfit.append(f"{folder}/{files[0]}")
        elif (root / folder).is_dir() and search.entries:
            found.warnings.append(
                f"{printable(folder)}/ contains no label maps that can be read: they must be PNG, "
                "TIFF, BMP or GIF."
            )
    if beside:
        paired = pair(photos, beside, root / part.photos)
        if paired.labels:
            fitting.append((part.photos, paired.labels, paired.stray))
    if not fitting:
        if unfit and photos:
            first = part.photos + "/" if part.photos else ""
            found.warnings.append(
                f"No label map has the name of an image: {printable(unfit[0])} matches no image, "
                f"and {printable(first + next(iter(photos.values())))} has no label map."
            )
        return {}, "", []
    folder, labels, stray = fitting[0]
    others = [name for name, _, _ in fitting[1:]]
    if others:
        if folder.rpartition("/")[2].casefold() not in ("labels", "label", "segmentationclass"):
            raise LayoutError(
                root,
                f"has label maps in both {printable(folder)}/ and {printable(others[0])}/: rename "
                "the one to use to labels/",
            )
        found.warnings.append(
            f"Label maps were left out: {counted(others, 'folder')}, because {printable(folder)}/ "
            "is used."
        )
    return labels, folder, stray


# --- splits


def drawn(stem: str) -> bytes:
    """A number drawn for a name, the same on every machine and for ever."""
    return hashlib.sha256(stem.encode("utf-8", "surrogatepass")).digest()


def divide(stems: Iterable[str]) -> dict[str, list[str]]:
    """Train and val without lists: the fifth with the smallest drawn numbers is val.

    Which images those are depends on their names alone, not on the order or the machine, and
    hardly changes when images are added.
    """
    stems = list(stems)
    val = set(sorted(stems, key=drawn)[: len(stems) // IN_FIVE])
    return {"train": [s for s in stems if s not in val], "val": [s for s in stems if s in val]}


def by_split(root: Path, found: Contents) -> dict[str, list[str]]:
    """Stems by split: as lists say, else as folders do, else by a fixed rule; notes in ``found``.

    What is in one list of train and val only leaves the rest to the other.

    Raises:
        LayoutError: a list names an image that does not exist.
    """
    files = list_files(root)
    if not files:
        return by_folders(found)
    images = {stem: one.image for stem, one in found.pairs.items()}
    names, labels = Names(images), label_names(found)
    given: dict[str, list[str]] = {}
    for split, file in files.items():
        try:
            listed = pictures_listed(file, names, labels, where(found))
        except LayoutError as error:
            if split != "test":
                raise
            # Its pictures are often withheld, and nothing is trained on it.
            found.warnings.append(f"The split test was left out: {error}.")
            continue
        given[split] = []
        for stem, label in listed:
            given[split].append(stem)
            if label is not None:
                found.pairs[stem] = found.pairs[stem]._replace(labels=label)
    return completed(files, given, found)


def completed(
    files: dict[str, Path], given: dict[str, list[str]], found: Contents
) -> dict[str, list[str]]:
    """With the split that has no list, and notes on what is odd."""
    taken = {stem for stems in given.values() for stem in stems}
    for split, other in (("train", "val"), ("val", "train")):
        if split not in given and other in given:
            given[split] = [stem for stem in found.pairs if stem not in taken]
            left = " and ".join(file.name for file in files.values())
            leaves = "leaves" if len(files) == 1 else "leave"
            found.notes.append(f"No {split}.txt: {split} is every image that {left} {leaves}.")
    if "train" not in given:
        rest = [stem for stem in found.pairs if stem not in taken]
        given |= divide(rest)
        found.notes.append("No train.txt and val.txt: one image in five is val, by a fixed rule.")
    order = [split for split in SPLITS if split in given]
    for place, split in enumerate(order):
        for other in order[place + 1 :]:
            if both := set(given[split]) & set(given[other]):
                found.notes.append(f"{len(both)} images are in both {split}.txt and {other}.txt.")
    return given


def by_folders(found: Contents) -> dict[str, list[str]]:
    """As sub-folders say, else by a fixed rule."""
    if not found.splits:
        found.notes.insert(
            0, "No train.txt and val.txt: one image in five is val, chosen by a fixed rule."
        )
        return divide(found.pairs)
    known = sum(len(stems) for stems in found.splits.values())
    if rest := len(found.pairs) - known:
        found.warnings.append(f"{rest} images are in no split's folder, and so only in 'all'.")
    if "train" not in found.splits or "val" not in found.splits:
        names = ", ".join(found.splits)
        found.notes.append(f"The splits are the folders that exist: {names}.")
    return {split: found.splits[split] for split in SPLITS if split in found.splits}


def where(found: Contents) -> str:
    """Where pictures were looked for, in words."""
    first = next(iter(found.pairs.values()), None)
    folder = "" if first is None else first.image.partition("/")[0]
    inside = first is not None and all(
        pair.image.startswith(f"{folder}/") for pair in found.pairs.values()
    )
    return f"{printable(folder)}/" if inside else (f"{IMAGES}/" if first is None else "the folder")


def label_names(found: Contents) -> Names:
    """Of all label maps, with or without a picture of the same name; below their folder, too."""
    own = [pair.labels for pair in found.pairs.values() if pair.labels is not None]
    folders = sorted(found.label_folders, key=len, reverse=True)

    def below(name: str) -> str:
        inside = (folder for folder in folders if name.startswith(f"{folder}/"))
        return name.removeprefix(f"{next(inside, '')}/")

    return Names({name: below(name) for name in (*own, *found.stray)})


def stray_note(found: Contents) -> list[str]:
    """That there are label maps without a picture."""
    named = {pair.labels for pair in found.pairs.values()}
    stray = sorted(name for name in found.stray if name not in named)
    if not stray:
        return []
    first = printable(stray[0])
    if len(stray) == 1:
        return [f"1 label map has no image: {first}."]
    return [f"{len(stray)} label maps have no image, the first is {first}."]
