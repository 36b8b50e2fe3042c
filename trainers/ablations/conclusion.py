"""What a table of runs shows, in a sentence or two, and what its columns mean."""

from __future__ import annotations

import math
from collections.abc import Sequence

from trainers.ablations.cells import Cell

MEASURE = "U-mIoU"
_HINTS = {
    "U-Acc": "Percentage of correct pixels, with clusters matched one to one with the classes "
    "(Hungarian matching).",
    "U-mIoU": "Intersection over union, averaged over the classes, with clusters matched one to "
    "one with the classes (Hungarian matching).",
    "L-Acc": "Percentage of pixels that the linear probe classifies correctly; it is trained with "
    "labels.",
    "L-mIoU": "Intersection over union of the linear probe, averaged over the classes; it is "
    "trained with labels.",
    "paper": "The paper's number, for its own settings.",
    "paper's table": "The paper's table that these numbers are from.",
    "minutes": "Wall-clock training time, mean over the seeds.",
    "seeds": "Finished runs, each with its own seed.",
    "recipe": "The recipe that this combination starts from.",
}


def hint(column: str) -> str:
    """A sentence on a column; for a setting that was varied, that it was."""
    return _HINTS.get(column.split(",")[0], f"The setting {column}, which was varied.")


def conclusion(rows: Sequence[tuple[str, Cell]]) -> str:
    """Which combination is best, and whether the seeds leave it open; empty for less than two.

    Args:
        rows: the title of each combination that has scores, with its U-mIoU.
    """
    known = [(title, one) for title, one in rows if not math.isnan(one.mean)]
    if len(known) < 2:
        return ""
    (title, best), (other, next_) = sorted(known, key=lambda row: -row[1].mean)[:2]
    said = f"{MEASURE} is highest with {title}: {best}. The next is {other}: {next_}"
    spread = max(best.deviation, next_.deviation, key=lambda one: -1 if math.isnan(one) else one)
    if math.isnan(spread):
        return f"{said}; with a single seed, this may be chance."
    if best.mean - next_.mean <= spread:
        return f"{said}, a difference within the spread of the seeds."
    return f"{said}, a difference larger than the spread of the seeds."
