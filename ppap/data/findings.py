"""What is missing or broken in a data set, before hours are spent on it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ppap.data.base import Dataset, Item
from ppap.data.errors import DataError, ImageError, LabelError, printable
from ppap.data.opening import open_dataset

Severity = Literal["error", "warning", "note"]
ORDER: tuple[Severity, ...] = ("error", "warning", "note")
# Of one kind of complaint, that many are listed and the rest counted.
LISTED = 50
# Items whose files are looked up by name.
LOOKED_UP = 200_000


@dataclass(frozen=True)
class Finding:
    """Something to know about one file or folder."""

    severity: Severity
    file: str
    """For showing; printable."""
    text: str
    """Completes the sentence that begins with ``file``, or is a sentence of its own (notes)."""

    def __str__(self) -> str:
        """A line for a log."""
        about = "" if self.severity == "note" else f"{self.file} "
        return f"{self.severity.capitalize()}: {about}{self.text}"


def preflight(
    path: str | Path | None,
    kind: str | None = None,
    *,
    split: str = "train",
    open_files: int = 200,
) -> list[Finding]:
    """Look for missing and broken files; errors first.

    Args:
        path: as ``open_dataset``.
        kind: as ``open_dataset``.
        split: as ``open_dataset``.
        open_files: how many items are read in full, spread evenly over the split. All others are
            only looked up by name.
    """
    try:
        dataset = open_dataset(path, kind=kind, split=split)
    except DataError as error:
        return [Finding("error", error.name, error.reason)]
    root = printable(dataset.root)
    findings = [Finding("note", root, note) for note in dataset.notes]
    present: list[int] = []
    findings += missing(dataset, present)
    count = min(open_files, len(present))
    chosen = [present[i * len(present) // count] for i in range(count)]
    findings += broken(dataset, chosen)
    if len(chosen) < len(present):
        text = f"{len(chosen)} of {len(present)} items were opened, the others only looked up."
        findings.append(Finding("note", root, text))
    return sorted(findings, key=lambda finding: ORDER.index(finding.severity))


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
    unlabelled: list[Item] = []
    twice: list[Finding] = []
    seen: set[Path] = set()
    for index, item in enumerate(dataset.items):
        if index >= LOOKED_UP:
            break
        if item.image in seen:
            twice.append(Finding("warning", printable(item.image), "is listed more than once"))
        seen.add(item.image)
        if not listings.has(item.image):
            images.append(Finding("error", printable(item.image), "does not exist"))
        elif item.labels is not None and not listings.has(item.labels):
            text = f"does not exist, but its image {printable(item.image.name)} does"
            labels.append(Finding("error", printable(item.labels), text))
        else:
            present.append(index)
        if item.labels is None:
            unlabelled.append(item)
    some = 0 < len(unlabelled) < len(seen)
    bare = [Finding("warning", printable(i.image), "has no label map") for i in unlabelled if some]
    return [*short(images), *short(labels), *short(twice), *short(bare)]


def broken(dataset: Dataset, chosen: Iterable[int]) -> list[Finding]:
    """Items that cannot be read, whose sizes differ, or whose ids are out of range."""
    images: list[Finding] = []
    labels: list[Finding] = []
    for index in chosen:
        try:
            dataset.load(index)
        except ImageError as error:
            images.append(Finding("error", error.name, error.reason))
        except LabelError as error:
            labels.append(Finding("error", error.name, error.reason))
    return [*short(images), *short(labels)]


def short(findings: list[Finding]) -> list[Finding]:
    """The first LISTED, and how many more there are."""
    if len(findings) <= LISTED:
        return findings
    first, rest = findings[:LISTED], len(findings) - LISTED
    return [*first, Finding(first[0].severity, f"{rest} more files", f"likewise: {first[0].text}")]
