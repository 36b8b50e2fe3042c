"""What a table of runs shows, in a sentence or two, and what its columns mean."""

from __future__ import annotations

import math
from collections.abc import Sequence

from trainers.ablations.cells import Cell

MEASURE = "U-mIoU"
_HINTS = {
    "U-Acc": "Share of the pixels that are right, in per cent, with each cluster taken as the "
    "class that suits it best (Hungarian matching).",
    "U-mIoU": "Intersection over union of each class, averaged over the classes, with each cluster "
    "taken as the class that suits it best (Hungarian matching).",
    "L-Acc": "Share of the pixels that the linear probe has right, in per cent; it is trained with "
    "labels.",
    "L-mIoU": "Intersection over union of each class with the linear probe, averaged over the "
    "classes; it is trained with labels.",
    "paper": "The paper's number, for its own settings.",
    "paper's table": "The table of the paper that these are from.",
    "minutes": "Training time by the clock, mean over the seeds.",
    "seeds": "Finished runs, each with a seed of its own.",
    "recipe": "The recipe that the combination starts from.",
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
        return f"{said}; a single seed does not tell whether that is chance."
    if best.mean - next_.mean <= spread:
        return f"{said}, no farther away than seeds are from each other."
    return f"{said}, farther away than seeds are from each other."
