"""What the numbers in label maps tell of a mistake in how they were declared."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from ppap.data.base import Dataset
from ppap.data.class_files import CLASSES, class_file
from ppap.data.errors import LabelError, printable
from ppap.data.labels import VOID, spans

# Only whoever wrote the list of classes can have written it wrongly.
OWN = "folder"
# Classes that are named, of those that do not occur.
NAMED = 6
# So many numbers more than twice the classes come from smoothing, not from another numbering.
SHADES = 8
# More different numbers than this are no classes.
MOST_NUMBERS = 300


class LabelFinding(NamedTuple):
    """As ``Finding``, which is made of it."""

    severity: Literal["error", "warning", "note"]
    file: str
    text: str


class LabelCounts:
    """Which classes and numbers occur in the label maps that were opened."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset
        self.classes: set[int] = set()
        self.numbers: set[int] = set()
        """As they are stored; looked at only once one is refused."""
        self.opened = 0
        self.refused: list[Path] = []

    def add(self, labels: np.ndarray | None) -> None:
        """One label map as class ids."""
        if labels is not None and self.dataset.name == OWN:
            self.opened += 1
            self.classes.update(np.unique(labels).tolist())

    def add_refused(self, path: Path | None) -> None:
        """One with numbers that have no class."""
        if path is not None and self.dataset.name == OWN:
            try:
                found = np.unique(self.dataset.read_stored(path)).tolist()
            except LabelError:
                return
            self.numbers.update(found)
            self.refused.append(path)

    def findings(self) -> list[LabelFinding]:
        """An offer for numbers without a class, and classes that do not occur."""
        if self.refused:
            return self.offer()
        names = self.dataset.classes
        if not self.opened or not names:
            return []
        occurring = sorted(self.classes - {VOID})
        maps = (
            "The label map that was opened"
            if self.opened == 1
            else (f"The {self.opened} label maps that were opened")
        )
        if not occurring:
            return [LabelFinding("warning", "", f"{maps} contain no class, only void.")]
        if len(occurring) == 1 and self.opened > 1:
            only = printable(names[occurring[0]])
            text = f"{maps} contain only one class, '{only}': every score would be perfect."
            if VOID in self.classes:
                text += (
                    " If 255 is a class, too, give every class its number in classes.txt, as in "
                    "'0 background' and '255 object'."
                )
            return [LabelFinding("warning", "", text)]
        absent = [printable(name) for i, name in enumerate(names) if i not in self.classes]
        if not absent:
            return []
        named = ", ".join(absent[:NAMED])
        named += f" and {len(absent) - NAMED} more" if len(absent) > NAMED else ""
        verb = "does" if len(absent) == 1 else "do"
        text = f"{named} {verb} not occur in the {self.opened} label maps that were opened."
        return [LabelFinding("note", printable(self.dataset.root), text)]

    def offer(self) -> list[LabelFinding]:
        """What to write into the list of classes, where the numbers suggest it."""
        names = [printable(name) for name in self.dataset.classes]
        table = self.dataset.table
        void = {n for n in self.numbers if n < len(table) and table[n] == VOID}
        # What was read without a complaint counts, too.
        known = np.flatnonzero(np.isin(table, sorted(self.classes - {VOID})))
        found = sorted({*(self.numbers - void), *known.tolist()})
        if not found or len(found) > MOST_NUMBERS:
            return []
        text = f"names {len(names)} classes, but the label maps contain the numbers {spans(found)}"
        if len(found) > 2 * len(names) + SHADES:
            text = (
                f"names {len(names)} classes, but the label maps contain {len(found)} different "
                "numbers: were they saved as JPEG or resized with smoothing? If so, export them "
                "again without either"
            )
        elif len(found) == len(names):
            lines = ", ".join(f"'{n} {name}'" for n, name in zip(found, names, strict=True))
            text += f": if the classes are in this order, write {lines} into it, one per line"
        elif len(found) == len(names) + 1 and found[0] == 0:
            text += (
                ": if 0 means no class, write 'void 0' into its first line; the names then count "
                "from 1"
            )
        else:
            text += ": give every class its number in it, as in '7 road'"
        file = class_file(self.dataset.root) or self.dataset.root / CLASSES
        return [LabelFinding("error", printable(file), text)]
