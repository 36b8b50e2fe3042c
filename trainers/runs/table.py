"""A run's numbers in memory: rows that only grow, by columns, and curves made of them.

Whoever looks while somebody adds rows sees those that were there when he began: a column that
becomes too small is replaced by a larger one, and no row changes once it is counted.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from trainers.runs.lines import MOST_NAMES, Rows, missing

# Points of one curve in one reply.
POINTS = 800
# Rows for which there is room at first.
ROOM = 64

Curve = dict[str, list[Any]]


class Table:
    """Rows of one kind, by columns; NaN where a row has no such number."""

    def __init__(self) -> None:
        self.count = 0
        self._steps = np.zeros(ROOM, np.int64)
        self._columns: dict[str, NDArray[np.float32]] = {}

    def add(self, rows: Rows) -> None:
        """Add rows; one thread at a time."""
        begin, end = self.count, self.count + len(rows.steps)
        if end > len(self._steps):
            room = max(end, 2 * len(self._steps))
            self._steps = np.concatenate([self._steps, np.zeros(room - begin, np.int64)])[:room]
            for name, column in self._columns.items():
                self._columns[name] = np.concatenate([column, missing(room - begin)])[:room]
        self._steps[begin:end] = rows.steps
        for name, values in rows.columns.items():
            if name not in self._columns:
                if len(self._columns) == MOST_NAMES:
                    continue
                self._columns[name] = missing(len(self._steps))
            self._columns[name][begin:end] = values
        self.count = end

    def now(self) -> Table:
        """The rows so far, which stay as they are while others are added."""
        taken = Table()
        # First: what is there once this many are counted stays.
        taken.count = self.count
        taken._steps = self._steps
        taken._columns = dict(self._columns)
        return taken

    def since(self, row: int) -> dict[str, Curve]:
        """Every curve from ``row`` on, thinned."""
        return self._curves(slice(row, self.count)) if row < self.count else {}

    def between(self, first: float, last: float) -> dict[str, Curve]:
        """Every curve from one step to another, both included, thinned."""
        steps = self._steps[: self.count]
        return self._curves(np.flatnonzero((steps >= first) & (steps <= last)))

    def last(self) -> dict[str, float]:
        """The last number of every column."""
        found = {}
        for name, column in self._columns.items():
            known = np.flatnonzero(np.isfinite(column[: self.count]))
            if len(known):
                found[name] = rounded(float(column[known[-1]]))
        return found

    def _curves(self, rows: slice | NDArray[np.int64]) -> dict[str, Curve]:
        steps = self._steps[: self.count][rows]
        found = {}
        for name, column in self._columns.items():
            curve = thinned(steps, column[: self.count][rows])
            if curve.x:
                found[name] = {k: v for k, v in curve._asdict().items() if v is not None}
        return found


class Thinned(NamedTuple):
    """Points of a curve."""

    x: list[int]
    y: list[float]
    m: list[float] | None
    """The mean of the stretch that each point stands for; None where all points are there."""


def thinned(steps: NDArray[np.int64], values: NDArray[np.float32], most: int = POINTS) -> Thinned:
    """At most ``most`` points: of each stretch the least and the largest; NaN left out.

    Args:
        steps: int64 ``(N,)``.
        values: float32 ``(N,)``.
        most: 2 or more.
    """
    known = np.isfinite(values)
    steps, values = steps[known], values[known]
    if len(values) <= most:
        return Thinned(steps.tolist(), [rounded(value) for value in values.tolist()], None)
    size = math.ceil(len(values) / (most // 2))
    stretches = math.ceil(len(values) / size)
    # The last stretch is filled up with its own last value, which is no new extreme.
    filled = np.pad(values, (0, stretches * size - len(values)), mode="edge")
    rows = filled.reshape(stretches, size)
    begins = np.arange(stretches) * size
    ends = np.stack([begins + rows.argmin(1), begins + rows.argmax(1)], 1)
    ends = np.sort(np.minimum(ends, len(values) - 1), 1)
    means = rows.mean(1, dtype=np.float64)
    means[-1] = values[begins[-1] :].mean(dtype=np.float64)
    once = np.stack([np.ones(stretches, bool), ends[:, 0] != ends[:, 1]], 1).ravel()
    kept = ends.ravel()[once]
    m = np.repeat(means, 2)[once]
    y = [rounded(value) for value in values[kept].tolist()]
    return Thinned(steps[kept].tolist(), y, [rounded(value) for value in m.tolist()])


def rounded(value: float) -> float:
    """Six digits: all that the columns' half precision holds."""
    return float(f"{value:.6g}")
