"""A cell of a table of runs: one number of their reports, over the seeds."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ppap.evaluation.starts_text import numbers_of
from trainers.runs.folder import Run

COLUMNS = (
    ("U-Acc", "cluster", "accuracy"),
    ("U-mIoU", "cluster", "miou"),
    ("L-Acc", "linear", "accuracy"),
    ("L-mIoU", "linear", "miou"),
)


class Cell(NamedTuple):
    """One number over the seeds."""

    mean: float
    deviation: float
    """Sample standard deviation; NaN for a single seed."""

    def __str__(self) -> str:
        if math.isnan(self.mean):
            return "–"
        if math.isnan(self.deviation):
            return f"{self.mean:.1f}"
        return f"{self.mean:.1f} ± {self.deviation:.1f}"


def numbers(run: Run) -> Iterator[tuple[str, float]]:
    """What one run's report says."""
    report = json.loads((run.folder / "report.json").read_text(encoding="utf-8"))
    for suffix, part in (("", report), (", CRF", report.get("crf"))):
        for name, probe, measure in COLUMNS:
            if part and part.get(probe) and part[probe][measure] is not None:
                yield name + suffix, float(part[probe][measure])
    yield from numbers_of(report)
    seconds = run.state().get("seconds")
    if seconds:
        yield "minutes", float(seconds) / 60


def cell(values: Sequence[float]) -> Cell:
    """Mean and sample deviation."""
    spread = statistics.stdev(values) if len(values) > 1 else math.nan
    return Cell(statistics.fmean(values), spread)
