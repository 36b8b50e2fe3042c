"""What is new about runs since somebody last looked: numbers, log, pictures.

A run's ``metrics.jsonl`` is read once, by byte offset, into columns of numbers; whoever watches
asks for the rows after those that he has. Long series are thinned to the least and the largest
value of each stretch, so that peaks stay and 100,000 points cost as much as a thousand. Nothing
here reads, parses or sends more than a bounded amount at a time.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import os
import re
import threading
from array import array
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from trainers.runs.launch import CONSOLE
from trainers.runs.metrics import read_line

# Bytes of metrics parsed at a time, and of log sent at a time.
METRICS_BYTES, LOG_BYTES = 4 * 2**20, 32 * 2**10
# Of a log, that much is searched, and that many lines are found.
SEARCHED_BYTES, FOUND_LINES = 8 * 2**20, 200
# Points of one series in one reply.
POINTS = 800
# Runs whose series are kept in memory.
KEPT_RUNS = 32
PICTURE = re.compile(r"step-(\d{8})-image-(\d{4})\.png")
KINDS = ("step", "validation")
# Of a name, a number and a step.
LONGEST_NAME, LARGEST, LARGEST_STEP = 100, 3e38, 2**53
# What is no curve.
NOT_DRAWN = ("kind", "step", "split")


class Cursor(NamedTuple):
    """How far somebody has read."""

    file: int = 0
    """Which file it was: one that is resumed or replaced is read anew."""
    step: int = 0
    """Rows of steps."""
    validation: int = 0
    """Rows of validations."""
    log: int = -1
    """Bytes of the log; −1: begin with its end."""


class Table:
    """Rows of one kind, by columns; NaN where a row has no such number."""

    def __init__(self) -> None:
        self.steps = array("q")
        self.columns: dict[str, array[float]] = {}

    def add(self, step: int, numbers: Mapping[str, object]) -> None:
        """Add a row."""
        count = len(self.steps)
        self.steps.append(step)
        for name, value in numbers.items():
            if name in NOT_DRAWN or isinstance(value, bool) or not isinstance(value, int | float):
                continue
            if len(name) > LONGEST_NAME or not name.isprintable():
                continue
            column = self.columns.get(name)
            if column is None:
                column = self.columns[name] = array("f", [math.nan]) * count
            column.append(drawable(value))
        for column in self.columns.values():
            if len(column) <= count:
                column.append(math.nan)

    def since(self, row: int) -> dict[str, dict[str, list[Any]]]:
        """Every series from ``row`` on, thinned."""
        steps = np.frombuffer(self.steps, np.int64)[row:] if row < len(self.steps) else None
        found: dict[str, dict[str, list[Any]]] = {}
        if steps is not None:
            for name, column in self.columns.items():
                x, y = thinned(steps, np.frombuffer(column, np.float32)[row:])
                if x:
                    found[name] = {"x": x, "y": y}
        return found

    def last(self) -> dict[str, float]:
        """The last number of every column."""
        found = {}
        for name, column in self.columns.items():
            value = next((v for v in reversed(column) if not math.isnan(v)), None)
            if value is not None:
                found[name] = rounded(value)
        return found


def drawable(value: float) -> float:
    """As a column holds it; NaN for what it cannot."""
    try:
        found = float(value)
    except OverflowError:
        return math.nan
    return found if abs(found) <= LARGEST else math.nan


class Series:
    """The numbers of one run, read as far as they have been asked for."""

    def __init__(self) -> None:
        self.begin(0)

    def begin(self, file: int) -> None:
        """Forget everything, and read the file of that number from its beginning."""
        self.file, self.offset = file, 0
        self.tables = {kind: Table() for kind in KINDS}

    def read(self, path: Path) -> bool:
        """Take in new whole lines; whether there are more to come at once."""
        try:
            stat = path.stat()
        except OSError:
            self.begin(0)
            return False
        # A run that goes on writes a new file with fewer lines.
        if stat.st_ino != self.file or stat.st_size < self.offset:
            self.begin(stat.st_ino)
        if stat.st_size == self.offset:
            return False
        try:
            with path.open("rb") as stream:
                stream.seek(self.offset)
                data = stream.read(METRICS_BYTES)
        except OSError:
            return False
        whole = data[: data.rfind(b"\n") + 1]
        if not whole and len(data) == METRICS_BYTES:
            whole = data  # a line that long is none of ours
        self.offset += len(whole)
        for line in whole.splitlines():
            record = read_line(line)
            table = None if record is None else self.tables.get(record["kind"])
            if record is not None and table is not None and 0 <= record["step"] <= LARGEST_STEP:
                table.add(record["step"], record)
        return len(data) == METRICS_BYTES

    def since(self, cursor: Cursor) -> dict[str, Any]:
        """All series after the cursor's rows, by kind and name; kinds without news left out."""
        found = {kind: table.since(getattr(cursor, kind)) for kind, table in self.tables.items()}
        return {kind: series for kind, series in found.items() if series}

    def rows(self) -> dict[str, int]:
        """How many there are, by kind."""
        return {kind: len(table.steps) for kind, table in self.tables.items()}


class Watching:
    """Reads runs for everybody who watches them."""

    def __init__(self) -> None:
        self._known: OrderedDict[Path, Series] = OrderedDict()
        self._lock = threading.Lock()

    def changes(self, folder: Path, cursor: Cursor, *, log: bool = True) -> dict[str, Any]:
        """What is new of one run.

        Returns:
            ``cursor`` for the next call; ``reset``: forget what came before; ``series`` by kind and
            name, ``{x, y}`` each; ``more``: ask again at once; ``log``: new text, ``gap`` where
            some of it was left out; ``pictures``: steps and images of all predictions.
        """
        with self._lock:
            series = self._series(folder)
            more = series.read(folder / "metrics.jsonl")
            rows = series.rows()
            ahead = any(getattr(cursor, kind) > count for kind, count in rows.items())
            reset = cursor.file != series.file or ahead
            found = series.since(Cursor() if reset else cursor)
            file = series.file
        reply: dict[str, Any] = {"reset": reset, "series": found, "more": more}
        at = cursor.log
        if log:
            part = log_part(folder, cursor.log)
            at = part.offset
            reply |= {"log": part.text, "gap": part.gap, "pictures": pictures(folder)}
        return {**reply, "cursor": Cursor(file, **rows, log=at)._asdict()}

    def latest(self, folder: Path) -> dict[str, float]:
        """The last number of every series, the validation's under their own names."""
        with self._lock:
            series = self._read_whole(folder)
            found = series.tables["step"].last()
            validation = series.tables["validation"].last()
            return found | {f"validation: {name}": value for name, value in validation.items()}

    def last(self, folder: Path, name: str) -> float | None:
        """The last number of one series of steps."""
        return self.latest(folder).get(name)

    def forget(self, folder: Path) -> None:
        """Let go of a run."""
        with self._lock:
            self._known.pop(folder, None)

    def _series(self, folder: Path) -> Series:
        series = self._known.pop(folder, None) or Series()
        self._known[folder] = series
        while len(self._known) > KEPT_RUNS:
            self._known.popitem(last=False)
        return series

    def _read_whole(self, folder: Path) -> Series:
        series = self._series(folder)
        while series.read(folder / "metrics.jsonl"):
            pass
        return series


def thinned(steps: np.ndarray, values: np.ndarray) -> tuple[list[int], list[float]]:
    """At most POINTS points: of each stretch the least and the largest; NaN left out.

    Args:
        steps: int64 ``(N,)``.
        values: float32 ``(N,)``.
    """
    known = np.flatnonzero(np.isfinite(values))
    if len(known) > POINTS:
        edges = np.linspace(0, len(known), POINTS // 2 + 1).astype(int)
        kept: set[int] = set()
        for begin, end in itertools.pairwise(edges):
            stretch = values[known[begin:end]]
            kept |= {int(known[begin + stretch.argmin()]), int(known[begin + stretch.argmax()])}
        known = np.array(sorted(kept))
    return steps[known].tolist(), [rounded(value) for value in values[known].tolist()]


def rounded(value: float) -> float:
    """Six digits: all that half the columns' precision holds."""
    return float(f"{value:.6g}")


class LogPart(NamedTuple):
    """New text of a log."""

    text: str
    offset: int
    gap: bool


def log_file(folder: Path) -> Path:
    """What was printed, or, of a run that nobody launched from here, its log."""
    console = folder / CONSOLE
    return console if console.exists() else folder / "log.txt"


def log_part(folder: Path, offset: int) -> LogPart:
    """The log from ``offset`` on, or its end; only whole lines, and a bounded number of bytes."""
    file = log_file(folder)
    try:
        with file.open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            first = offset < 0 or offset > size
            start = max(0 if first else offset, size - LOG_BYTES)
            stream.seek(start)
            data = stream.read(size - start)
    except OSError:
        return LogPart("", 0, False)
    gap = start > (0 if first else offset)
    if gap:
        cut = data.find(b"\n") + 1
        data, start = data[cut:], start + cut
    whole = data[: data.rfind(b"\n") + 1]
    return LogPart(whole.decode("utf-8", "replace"), start + len(whole), gap)


def search_log(folder: Path, words: str) -> list[dict[str, Any]]:
    """The last lines of the log that hold ``words``, capital or not: ``{line, text}``.

    Lines are counted from the first that is searched, which in a very long log is not the first.
    """
    try:
        with log_file(folder).open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(0, size - SEARCHED_BYTES))
            text = stream.read().decode("utf-8", "replace")
    except OSError:
        return []
    wanted = words.casefold()
    lines = enumerate(text.splitlines(), 1)
    found = [{"line": n, "text": line[:1000]} for n, line in lines if wanted in line.casefold()]
    return found[-FOUND_LINES:]


def pictures(folder: Path) -> dict[str, list[int]]:
    """Of which steps and images there are predictions."""
    steps, images = set(), set()
    with contextlib.suppress(OSError):
        for entry in os.scandir(folder / "pictures"):
            named = PICTURE.fullmatch(entry.name)
            if named:
                steps.add(int(named[1]))
                images.add(int(named[2]))
    return {"steps": sorted(steps), "images": sorted(images)}


def picture_file(folder: Path, step: int, image: int) -> Path | None:
    """One prediction's file; None where there is none."""
    file = folder / "pictures" / f"step-{step:08d}-image-{image:04d}.png"
    return file if file.is_file() and not file.is_symlink() else None
