"""What is missing or broken in a data set, before hours are spent on it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Literal

from ppap.data.base import Dataset, Item, OnError, check_sizes, read_upright, way_of_labels
from ppap.data.errors import DataError, ImageError, LabelError, printable
from ppap.data.label_findings import LabelCounts
from ppap.data.opening import open_dataset

Severity = Literal["error", "warning", "note"]
ORDER: tuple[Severity, ...] = ("error", "warning", "note")
# Of one kind of complaint, that many are listed and the rest counted.
LISTED = 50
# Items whose files are looked up by name; with paths of 100 letters that is half a gigabyte.
LOOKED_UP = 2_000_000
# Files are looked at by several threads, so many items at a time: network disks answer slowly.
THREADS = 4
AT_ONCE = 64

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Finding:
    """Something to know about one file or folder."""

    severity: Severity
    file: str
    """For showing; printable. Empty where a warning is about the whole data set."""
    text: str
    """Completes the sentence that begins with ``file``, or is a sentence of its own: notes, and
    where there is no file."""

    def __str__(self) -> str:
        """A line for a log."""
        about = "" if self.severity == "note" or not self.file else f"{self.file} "
        return f"{self.severity.capitalize()}: {about}{self.text}"


def preflight(
    path: str | Path | None,
    kind: str | None = None,
    *,
    split: str = "train",
    open_files: int = 200,
    seconds: float | None = None,
    on_error: OnError = "stop",
    progress: Progress | None = None,
) -> list[Finding]:
    """Look for missing and broken files; errors first.

    Args:
        path: as ``open_dataset``.
        kind: as ``open_dataset``.
        split: as ``open_dataset``.
        open_files: how many items are read in full, spread evenly over the split. Of all others
            the headers and ends of the files are looked at.
        seconds: give that up after so long, and say so; None looks at all of them.
        on_error: "skip" makes warnings of what is wrong with single files, which are left out.
        progress: told how many items were looked at, and of how many.
    """
    try:
        dataset = open_dataset(path, kind=kind, split=split)
    except DataError as error:
        return [Finding("error", error.name, error.reason)]
    root = printable(dataset.root)
    findings = [
        Finding("warning", "", note) if note in dataset.warnings else Finding("note", root, note)
        for note in dataset.notes
    ]
    present: list[int] = []
    files = missing(dataset, present)
    checked = Checked()
    files += checked.all(dataset, present, seconds, progress)
    count = min(open_files, len(checked.sound))
    chosen = [checked.sound[i * len(checked.sound) // count] for i in range(count)]
    counts = LabelCounts(dataset)
    files += broken(dataset, chosen, counts)
    if on_error == "skip":
        files = [left_out(finding) for finding in files]
        if not checked.sound:
            files.append(Finding("error", root, "contains no image that can be read"))
    # An offer for all label maps comes before what it would mend of each.
    findings += [Finding(*found) for found in counts.findings()]
    findings += files
    findings += [Finding("note", root, text) for text in checked.notes(len(present), len(chosen))]
    return sorted(findings, key=lambda finding: ORDER.index(finding.severity))


def left_out(finding: Finding) -> Finding:
    """What is wrong with a single file as a warning, since the file will be left out."""
    if finding.severity != "error":
        return finding
    return replace(finding, severity="warning", text=f"{finding.text} (left out: on_error=skip)")


class Listings:
    """Which names a folder holds, each folder listed once."""

    def __init__(self) -> None:
        self.known: dict[Path, frozenset[str]] = {}

    def has(self, path: Path) -> bool:
        """Whether the file is there."""
        if path.parent not in self.known:
            try:
                self.known[path.parent] = frozenset(os.listdir(path.parent))  # noqa: PTH208
            except OSError:
                self.known[path.parent] = frozenset()
        return path.name in self.known[path.parent]


def missing(dataset: Dataset, present: list[int]) -> list[Finding]:
    """Files that do not exist, images listed twice; fills ``present`` with the sound items."""
    listings = Listings()
    images: list[Finding] = []
    labels: list[Finding] = []
    twice: list[Finding] = []
    seen: set[int] = set()
    bare = 0
    for index, item in enumerate(islice(dataset.items, LOOKED_UP)):
        if hash(item.image) in seen:
            twice.append(Finding("warning", printable(item.image), "is listed more than once"))
        seen.add(hash(item.image))
        if not listings.has(item.image):
            images.append(Finding("error", printable(item.image), "does not exist"))
        elif item.labels is not None and not listings.has(item.labels):
            text = f"does not exist, but its image {printable(item.image.name)} does"
            labels.append(Finding("error", printable(item.labels), text))
        else:
            present.append(index)
        bare += item.labels is None
    unlabelled = list(without_labels(dataset)) if 0 < bare < len(dataset) else []
    if (rest := bare - len(unlabelled)) > 0 and unlabelled:
        unlabelled.append(replace(unlabelled[0], file=f"{rest} more images", text="also have none"))
    return [*short(images), *short(labels), *short(twice), *unlabelled]


def without_labels(dataset: Dataset) -> Iterator[Finding]:
    """The first images that have no label map, where others have one."""
    bare = (item for item in dataset.items if item.labels is None)
    for item in islice(bare, LISTED):
        yield Finding("warning", printable(item.image), "has no label map")


class Checked:
    """Every file's header and end."""

    def __init__(self) -> None:
        self.sound: list[int] = []
        """Items whose files look whole."""
        self.looked = 0
        self.alike = 0
        """Label maps that will be turned as their images are."""
        self.unsure: list[Finding] = []

    def all(
        self,
        dataset: Dataset,
        indices: list[int],
        seconds: float | None,
        progress: Progress | None,
    ) -> list[Finding]:
        """Look at these items; what is wrong with them."""
        began = time.monotonic()
        blocks = [indices[at : at + AT_ONCE] for at in range(0, len(indices), AT_ONCE)]
        images: list[Finding] = []
        labels: list[Finding] = []

        def looked(block: list[int]) -> list[DataError | None]:
            return [self.look(dataset, dataset.items[index]) for index in block]

        with ThreadPoolExecutor(THREADS, thread_name_prefix="look") as pool:
            at = 0
            while at < len(blocks):
                if seconds is not None and time.monotonic() - began > seconds:
                    break
                some = blocks[at : at + 2 * THREADS]
                for block, errors in zip(some, pool.map(looked, some), strict=True):
                    for index, error in zip(block, errors, strict=True):
                        if error is None:
                            self.sound.append(index)
                        elif isinstance(error, LabelError):
                            labels.append(Finding("error", error.name, error.reason))
                        else:
                            images.append(Finding("error", error.name, error.reason))
                    self.looked += len(block)
                at += len(some)
                if progress is not None:
                    progress(self.looked, len(indices))
        # Those that time did not suffice for may be opened, for all that is known.
        self.sound += indices[self.looked :]
        return [*short(images), *short(labels), *short(sorted(self.unsure, key=by_file))]

    def look(self, dataset: Dataset, item: Item) -> DataError | None:
        """What is wrong with one item."""
        try:
            image = dataset.look_at(item.image, False)
            if item.labels is None:
                return None
            labels = dataset.look_at(item.labels, True)
        except DataError as error:
            return error
        size, own = (image.height, image.width), (labels.height, labels.width)
        if dataset.read_photo is read_upright and image.orientation != 1:
            if image.orientation >= 5:
                size = size[::-1]
            way = way_of_labels(size, own, image.orientation)
            if way == "as stored":
                self.alike += 1
                own = own[::-1]
            elif way == "unknown":
                self.unsure.append(Finding("warning", printable(item.image), UNSURE))
        try:
            check_sizes(item.labels, own, size)
        except DataError as error:
            return error
        return None

    def notes(self, present: int, opened: int) -> list[str]:
        """How much was looked at, and what was found in passing."""
        told = []
        if self.alike:
            maps = "1 label map is" if self.alike == 1 else f"{self.alike} label maps are"
            told.append(
                f"{maps} rotated along with the image, as its EXIF data says: both are stored at "
                "the same size."
            )
        if self.looked < present:
            told.append(
                f"{self.looked:,} of {present:,} items were checked in the time available; for "
                "the rest, only the file names were looked up. A run checks all of them before "
                "it starts."
            )
        elif opened < len(self.sound):
            told.append(
                f"{opened} of {len(self.sound)} items were opened; for the rest, only the headers "
                "and ends of the files were checked."
            )
        return told


def by_file(finding: Finding) -> str:
    """The order of what several threads found."""
    return finding.file


UNSURE = (
    "is rotated by its EXIF data, and its size does not tell whether its label map was drawn on "
    "the rotated image; this is assumed. If that is wrong, rotate the image itself and remove "
    "its EXIF data"
)


def broken(dataset: Dataset, chosen: Iterable[int], counts: LabelCounts) -> list[Finding]:
    """Items that cannot be read, whose sizes differ, or whose ids are out of range."""
    images: list[Finding] = []
    labels: list[Finding] = []
    for index in chosen:
        try:
            example = dataset.load(index)
        except ImageError as error:
            images.append(Finding("error", error.name, error.reason))
        except LabelError as error:
            labels.append(Finding("error", error.name, error.reason))
            counts.add_refused(dataset.items[index].labels)
        else:
            counts.add(example.labels)
    return [*short(images), *short(labels)]


def short(findings: list[Finding]) -> list[Finding]:
    """The first LISTED, and how many more there are."""
    if len(findings) <= LISTED:
        return findings
    first, rest = findings[:LISTED], len(findings) - LISTED
    return [
        *first,
        Finding(first[0].severity, f"{rest} more files", f"the same problem: {first[0].text}"),
    ]
