"""What crops are made of, written down beside them, so that no two kinds get mixed."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ppap.data import Dataset, printable
from ppap.data.crops import record_file
from ppap.data.listing import names_in


class TargetError(ValueError):
    """The crops cannot go where they were to go; the message says what to change."""


@dataclass(frozen=True)
class Record:
    """What the crops of a split are made of, as it stands in a file beside them."""

    dataset: str
    """What the folder is named after."""
    split: str
    ratio: float
    quality: int
    """Of the JPEG files."""
    images: int
    list_sha256: str
    """Of the images' and label maps' paths, in their order."""
    labelled: bool
    classes: tuple[str, ...]


# How a difference between two records is told; the first that there is.
DIFFERENCES = {
    "dataset": "of '{old}', not '{new}'",
    "split": "of the split {old}, not {new}",
    "ratio": "with ratio {old}, not {new}",
    "quality": "with quality {old}, not {new}",
    "images": "of {old} images, not {new}",
    "labelled": "from images whose label maps were {old}; now they are {new}",
    "classes": "with different classes",
    "list_sha256": "from different images or label maps: their names or their order differ",
}
PRESENCE = {True: "there", False: "missing"}


def record_of(dataset: Dataset, of: str, ratio: float, quality: int) -> Record:
    """What the crops of ``dataset`` are going to be made of."""
    listed = hashlib.sha256()
    labelled = False
    for item in dataset.items:
        paths = [os.path.relpath(item.image, dataset.root)]
        if item.labels is not None:
            labelled = True
            paths.append(os.path.relpath(item.labels, dataset.root))
        listed.update("\0".join(paths).encode("utf-8", "surrogatepass") + b"\n")
    return Record(
        dataset=of,
        split=dataset.split,
        ratio=float(ratio),
        quality=quality,
        images=len(dataset),
        list_sha256=listed.hexdigest(),
        labelled=labelled,
        classes=dataset.classes,
    )


def check_folder(folder: Path, record: Record) -> None:
    """TargetError unless ``folder`` is new, or holds crops that ``record`` tells of."""
    file = record_file(folder, record.split)
    elsewhere = "choose another folder with --out, or delete it"
    if not file.exists():
        if names_in(folder / "img" / record.split):
            raise TargetError(
                f"{printable(folder)} already contains crops, but not {file.name}, which would "
                f"say what they were made from: {elsewhere}"
            )
    else:
        try:
            found = json.loads(file.read_text(encoding="utf-8"))
            if not isinstance(found, dict):
                raise ValueError
        except (OSError, ValueError):
            raise TargetError(
                f"{printable(file)}, which says what the crops were made from, cannot be read: "
                f"{elsewhere}"
            ) from None
        if made := difference(found, record):
            raise TargetError(f"{printable(folder)} contains crops made {made}: {elsewhere}")
    names = folder / "classes.txt"
    if names.is_file() and names.read_bytes() != class_file(record.classes):
        raise TargetError(f"{printable(names)} contains different classes: {elsewhere}")


def difference(found: dict[str, Any], record: Record) -> str | None:
    """What a stored record says otherwise, in words; None if it is the same."""
    wanted = json.loads(json.dumps(asdict(record)))
    for field, words in DIFFERENCES.items():
        old, new = found.get(field), wanted[field]
        if old != new:
            if field == "labelled":
                old, new = PRESENCE.get(old is True), PRESENCE[new]
            return printable(words.format(old=old, new=new))
    return None


def class_file(classes: tuple[str, ...]) -> bytes:
    """classes.txt: one name a line, class 0 first."""
    return "".join(f"{name}\n" for name in classes).encode("utf-8", "surrogatepass")
