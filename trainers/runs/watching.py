"""What is new about runs since somebody last looked: numbers, log, pictures.

A run's ``metrics.jsonl`` is read once, by byte offset, into columns of numbers; whoever watches
asks for the rows after those that he has. Long series are thinned to the least and the largest
value of each stretch, so that peaks stay and 100,000 points cost as much as a thousand. Nothing
here reads, parses or sends more than a bounded amount at a time, and nobody who looks waits for
longer than somebody else takes to read one part of a file.
"""

from __future__ import annotations

import contextlib
import math
import os
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from trainers.runs.launch import CONSOLE
from trainers.runs.lines import KINDS, parse
from trainers.runs.table import Table
from trainers.runs.values import opened

METRICS = "metrics.jsonl"
# Bytes of metrics parsed at a time, and of log sent at a time.
METRICS_BYTES, LOG_BYTES = 4 * 2**20, 32 * 2**10
# For how long somebody waits for another who reads the same run; then he is told to ask again.
PATIENCE_SECONDS = 0.05
# Threads that read runs of which there is more to read than so many bytes.
READERS, LITTLE = 2, 2**20
# For how long a call goes on reading one run's metrics.
READING_SECONDS = 0.1
# Of a log, that much is searched, and that many lines are found.
SEARCHED_BYTES, FOUND_LINES = 8 * 2**20, 200
# Runs whose series are kept in memory: those of two pages at least.
KEPT_RUNS = 48
PICTURE = re.compile(r"step-(\d{8})-image-(\d{4})\.png")


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


class Tables(NamedTuple):
    """The numbers of one file."""

    file: int
    """Its number; 0 where there is none."""
    kinds: Mapping[str, Table]

    def news(self, cursor: Cursor) -> dict[str, Any]:
        """All curves after the cursor's rows, as ``Watching.changes`` tells them."""
        rows = {kind: table.count for kind, table in self.kinds.items()}
        ahead = any(getattr(cursor, kind) > count for kind, count in rows.items())
        reset = cursor.file != self.file or ahead
        after = Cursor() if reset else cursor
        found = {kind: table.since(getattr(after, kind)) for kind, table in self.kinds.items()}
        return {
            "more": False,
            "reset": reset,
            "series": {kind: curves for kind, curves in found.items() if curves},
            "cursor": Cursor(self.file, **rows),
        }


class Series:
    """The numbers of one run, read as far as they have been asked for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._begin(0)

    def _begin(self, file: int) -> None:
        """Forget everything, and read the file of that number from its beginning."""
        self._offset = 0
        self._tables = Tables(file, {kind: Table() for kind in KINDS})

    def read(self, path: Path, until: float) -> bool:
        """Take in new whole lines; whether there are more to come at once.

        Args:
            path: the run's metrics.
            until: of ``time.monotonic``; what is begun by then is still finished, and one part of
                the file is always read, unless somebody else reads it meanwhile.
        """
        while True:
            # Nobody waits until somebody else has read a whole file.
            if not self._lock.acquire(timeout=PATIENCE_SECONDS):
                return True
            try:
                more = self._read_part(path)
            finally:
                self._lock.release()
            if not more or time.monotonic() >= until:
                return more

    def behind(self, path: Path) -> bool:
        """Whether there is more than a little to read."""
        try:
            return path.stat().st_size - self._offset > LITTLE
        except OSError:
            return False

    def now(self) -> Tables:
        """What has been read so far."""
        with self._lock:
            file, kinds = self._tables
            return Tables(file, {kind: table.now() for kind, table in kinds.items()})

    def _read_part(self, path: Path) -> bool:
        try:
            stat = path.stat()
        except OSError:
            self._begin(0)
            return False
        # A run that goes on writes a new file with fewer lines.
        if stat.st_ino != self._tables.file or stat.st_size < self._offset:
            self._begin(stat.st_ino)
        if stat.st_size == self._offset:
            return False
        try:
            with opened(path) as stream:
                stream.seek(self._offset)
                data = stream.read(METRICS_BYTES)
        except OSError:
            return False
        whole = data[: data.rfind(b"\n") + 1]
        if not whole and len(data) == METRICS_BYTES:
            whole = data  # a line that long is none of ours
        self._offset += len(whole)
        for kind, rows in parse(whole).items():
            self._tables.kinds[kind].add(rows)
        return len(data) == METRICS_BYTES


class Watching:
    """Reads runs for everybody who watches them."""

    def __init__(self) -> None:
        self._known: OrderedDict[Path, Series] = OrderedDict()
        self._lock = threading.Lock()

    def changes(
        self, folder: Path, cursor: Cursor, *, log: bool = True, until: float | None = None
    ) -> dict[str, Any]:
        """What is new of one run.

        Args:
            folder: the run's.
            cursor: how far the one who asks has read.
            log: whether the log and the pictures are wanted, too.
            until: when to leave the rest of the numbers for the next call, of ``time.monotonic``;
                None: after READING_SECONDS. A little is read at any time.

        Returns:
            ``cursor`` for the next call; ``reset``: forget what came before; ``series`` by kind and
            name, ``{x, y}`` each, and ``m`` where points are left out: the mean of the stretch that
            each point stands for; ``more``: there are no series yet, ask again at once; ``log``:
            new text, ``gap`` where some of it was left out; ``pictures``: steps and images of all
            predictions.
        """
        series = self._series(folder)
        until = time.monotonic() + READING_SECONDS if until is None else until
        file = folder / METRICS
        more = (time.monotonic() >= until and series.behind(file)) or series.read(file, until)
        reply: dict[str, Any] = {"more": True, "reset": False, "series": {}, "cursor": cursor}
        # What is half read would be thinned again and again, to many times the points.
        if not more:
            reply = series.now().news(cursor)
        at = cursor.log
        if log:
            part = log_part(folder, cursor.log)
            at = part.offset
            reply |= {"log": part.text, "gap": part.gap, "pictures": pictures(folder)}
        return {**reply, "cursor": reply["cursor"]._replace(log=at)._asdict()}

    def read(self, folders: Iterable[Path], until: float) -> None:
        """Of runs of which there is much to read, read a part each, and more while there is time.

        Several are read at once: numpy lets other threads work meanwhile.

        Args:
            folders: the runs'.
            until: as for ``changes``.
        """
        files = [(self._series(folder), folder / METRICS) for folder in folders]
        behind = [(series, file) for series, file in files if series.behind(file)]
        if behind:
            with ThreadPoolExecutor(READERS) as readers:
                list(readers.map(lambda one: one[0].read(one[1], until), behind))

    def between(self, folder: Path, first: float, last: float) -> dict[str, Any]:
        """A run's numbers from one step to another, as finely as a reply holds them.

        Returns:
            ``file``: which it was, as in a cursor; ``series`` as in ``changes``, of the rows that
            are read by now.
        """
        tables = self._series(folder).now()
        found = {kind: table.between(first, last) for kind, table in tables.kinds.items()}
        series = {kind: curves for kind, curves in found.items() if curves}
        return {"file": tables.file, "series": series}

    def latest(self, folder: Path) -> dict[str, float]:
        """The last number of every series, the validation's under their own names."""
        series = self._series(folder)
        while series.read(folder / METRICS, math.inf):
            pass  # somebody else reads it, too
        kinds = series.now().kinds
        validation = kinds["validation"].last()
        named = {f"validation: {name}": value for name, value in validation.items()}
        return kinds["step"].last() | named

    def last(self, folder: Path, name: str) -> float | None:
        """The last number of one series of steps."""
        return self.latest(folder).get(name)

    def forget(self, folder: Path) -> None:
        """Let go of a run."""
        with self._lock:
            self._known.pop(folder, None)

    def _series(self, folder: Path) -> Series:
        with self._lock:
            series = self._known.pop(folder, None) or Series()
            self._known[folder] = series
            while len(self._known) > KEPT_RUNS:
                self._known.popitem(last=False)
            return series


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
        with opened(file, folder.parent) as stream:
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
        with opened(log_file(folder), folder.parent) as stream:
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
