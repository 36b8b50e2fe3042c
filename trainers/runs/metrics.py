"""Numbers by step, a line of JSON each: ``metrics.jsonl``."""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from ppap.writing import writing
from trainers.runs.folder import Run, finite


class Metrics:
    """Numbers by step, appended to ``metrics.jsonl``; flushed line by line."""

    def __init__(self, run: Run, *, from_step: int, validated: bool = True) -> None:
        """Go on after ``from_step``: later lines are cut off, since their steps come again.

        So is that step's validation, unless it is ``validated`` already.
        """
        self.tell: Callable[[str, int, dict[str, Any]], None] | None = None
        """Whoever else is told of each line."""
        self.file = run.metrics_file
        if self.file.exists():
            kept = cut(self.file.read_bytes(), from_step, validated=validated)
            if kept.damaged:
                _keep_damaged(self.file, kept.damaged)
            with writing(self.file) as partial:
                partial.write_bytes(b"".join(kept.lines))
        self.stream = self.file.open("ab", buffering=0)

    def write(self, kind: str, step: int, **numbers: Any) -> None:
        """Add a line.

        Raises:
            OSError: the disk takes no more; names the file, which holds whole lines only.
        """
        record = finite({"kind": kind, "step": step, **numbers})
        line = (json.dumps(record, ensure_ascii=False) + "\n").encode("utf-8", "backslashreplace")
        end = os.fstat(self.stream.fileno()).st_size
        try:
            while line:
                line = line[self.stream.write(line) :]
        except OSError as error:
            error.filename = str(self.file)
            with contextlib.suppress(OSError):
                os.ftruncate(self.stream.fileno(), end)
            raise
        if self.tell is not None:
            self.tell(kind, step, record)

    def size(self) -> int:
        """Bytes of all lines so far."""
        return os.fstat(self.stream.fileno()).st_size

    def close(self) -> None:
        """Close the file."""
        self.stream.close()


class Cut(NamedTuple):
    """What is kept of a file of metrics."""

    lines: list[bytes]
    """Whole lines, each with its end."""
    damaged: int
    """How many lines could not be understood, but for one that was torn at the end."""


def cut(content: bytes, step: int, *, validated: bool = True) -> Cut:
    """Whole lines of steps up to ``step``; without its validation, unless ``validated``."""
    lines, damaged = [], 0
    whole, _, _ = content.rpartition(b"\n")
    for line in whole.split(b"\n") if whole else []:
        record = read_line(line)
        if record is None:
            damaged += bool(line.strip())
            continue
        repeated = record["step"] == step and record["kind"] == "validation" and not validated
        if record["step"] <= step and not repeated:
            lines.append(line + b"\n")
    return Cut(lines, damaged)


def read_line(line: bytes) -> dict[str, Any] | None:
    """The numbers in a line of metrics; None where it cannot be understood.

    Bytes that are no text may stand in a name; the numbers beside it count all the same.
    """
    try:
        record = json.loads(line.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict) or type(record.get("step")) is not int:
        return None
    return record if isinstance(record.get("kind"), str) else None


def _keep_damaged(file: Path, count: int) -> None:
    """Keep what could not be understood in a file of its own, and say so."""
    kept = next(
        one
        for number in itertools.count(1)
        if not (one := file.with_name(f"{file.stem}.damaged-{number}{file.suffix}")).exists()
    )
    with writing(kept) as partial:
        shutil.copyfile(file, partial)
    lines = "1 line of it" if count == 1 else f"{count:,} lines of it"
    logging.getLogger("trainers").warning(
        "%s is damaged: %s cannot be read and %s left out. The file as it was is kept as %s.",
        file,
        lines,
        "is" if count == 1 else "are",
        kept.name,
    )


def read_metrics(file: Path) -> list[dict[str, Any]]:
    """All lines that can be understood; none where there is no file yet."""
    try:
        content = file.read_bytes()
    except OSError:
        return []
    found = (read_line(line) for line in cut(content, sys.maxsize).lines)
    return [record for record in found if record is not None]
