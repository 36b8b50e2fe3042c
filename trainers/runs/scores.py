"""What a run has scored, for lists of many: from its report, or else from its last validation.

Lists are asked for twice a second, and a report may have megabytes: each file is read once, and
again when it has changed; of a run that goes on only what is new of its metrics is read.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ppap.evaluation.many_starts import STARTS
from ppap.evaluation.report import FORMAT, REFINEMENTS
from trainers.runs.metrics import read_line
from trainers.runs.values import number, opened, text, whole

REPORT, METRICS = "report.json", "metrics.jsonl"
REPORTED, VALIDATED = "report", "validation"
KINDS = (("u", "cluster"), ("l", "linear"))
# A larger report is not read for a list.
LARGEST_REPORT = 64 * 2**20
# Where a report's scores of each image begin.
IMAGES = b'\n "images": [\n'
# Of metrics, so much is read at a time, from the end, and so much at most until a validation.
BLOCK, FARTHEST = 2**18, 32 * 2**20
# Seconds within which a file may change once more without looking different on a coarse disk.
FRESH = 5.0
# Files whose contents are remembered.
MOST = 5000


class Score(NamedTuple):
    """U-Acc, U-mIoU, L-Acc and L-mIoU in per cent; None for what was not measured."""

    way: str
    """How its clusters came about: empty for the run's own probes; a refinement of ``REFINEMENTS``;
    or a start of ``STARTS``, the best of many by its loss."""
    u_accuracy: float | None = None
    u_miou: float | None = None
    l_accuracy: float | None = None
    l_miou: float | None = None


class Scores(NamedTuple):
    """All that a run has scored, and where that is from."""

    source: str
    """REPORTED or VALIDATED."""
    step: int | None
    split: str
    rows: tuple[Score, ...]
    """The run's own probes first."""
    reservation: str = ""
    """What flatters it, or makes it differ from others, in words."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON; numbers as fine as anybody reads them."""
        rows = [
            {n: round(v, 2) if isinstance(v, float) else v for n, v in row._asdict().items()}
            for row in self.rows
        ]
        return {**self._asdict(), "rows": rows}


class Mark(NamedTuple):
    """What tells that a file has changed."""

    time: int
    size: int
    number: int

    @classmethod
    def of(cls, file: Path) -> Mark | None:
        """Of a file; None where there is none."""
        try:
            found = file.stat()
        except OSError:
            return None
        return cls(found.st_mtime_ns, found.st_size, found.st_ino)

    def fresh(self) -> bool:
        """Whether the file was written a moment ago."""
        return abs(time.time() - self.time / 1e9) < FRESH


class _Metrics(NamedTuple):
    """How far a file of metrics has been read, and the last validation in it."""

    number: int
    end: int
    found: Scores | None


class ScoreReader:
    """Reads the scores of runs for everybody who looks at lists. Safe for many threads."""

    def __init__(self) -> None:
        self._reports: dict[Path, tuple[Mark, Scores | None]] = {}
        self._metrics: dict[Path, _Metrics] = {}

    def of(self, folder: Path, *, ended: bool) -> Scores | None:
        """What a run has scored; None where nothing is known.

        Args:
            folder: the run's.
            ended: whether it has: one that goes on may have a report of an earlier end, which
                counts only until it has validated later.
        """
        report = self._report(folder / REPORT)
        if report is not None and ended:
            return report
        validated = self._validation(folder / METRICS)
        if report is None or (validated is not None and (validated.step or 0) > (report.step or 0)):
            return validated
        return report

    def knows(self, folder: Path) -> bool:
        """Whether its scores can be told without reading a report."""
        file = folder / REPORT
        mark, known = Mark.of(file), self._reports.get(file)
        return mark is None or (known is not None and known[0] == mark)

    def _report(self, file: Path) -> Scores | None:
        mark = Mark.of(file)
        if mark is None:
            self._reports.pop(file, None)
            return None
        known = self._reports.get(file)
        settled = mark.size > BLOCK or not mark.fresh()
        if known is not None and known[0] == mark and settled:
            return known[1]
        found = read_report(file) if mark.size <= LARGEST_REPORT else None
        _remember(self._reports, file, (mark, found))
        return found

    def _validation(self, file: Path) -> Scores | None:
        mark = Mark.of(file)
        if mark is None:
            self._metrics.pop(file, None)
            return None
        known = self._metrics.get(file)
        # A run that goes on writes a new file with fewer lines.
        if known is None or known.number != mark.number or known.end > mark.size:
            known = _Metrics(mark.number, 0, None)
        if known.end < mark.size:
            last, end = last_validation(file, known.end, mark.size)
            known = _Metrics(mark.number, end, last or known.found)
            _remember(self._metrics, file, known)
        return known.found


def _remember(known: dict[Path, Any], file: Path, value: Any) -> None:
    if len(known) >= MOST and file not in known:
        known.clear()
    known[file] = value


def read_report(file: Path) -> Scores | None:
    """The scores of a report; None where there is none that can be read."""
    try:
        with opened(file) as stream:
            content = without_images(stream.read())
        raw = json.loads(content.decode("utf-8", "replace"))
    except (OSError, ValueError, RecursionError):
        return None
    return from_report(raw)


def without_images(content: bytes) -> bytes:
    """A report as it is written here, without its scores of each image: nearly all of it.

    Whatever is written otherwise stays as it is.
    """
    begin = content.find(IMAGES)
    # Nothing else ends so little indented, and texts in JSON hold no ends of lines.
    end = content.find(b"\n ]", begin) if begin >= 0 else -1
    return content if end < 0 else content[: begin + len(IMAGES)] + content[end:]


def from_report(raw: object) -> Scores | None:
    """The scores of a report's values, which anybody may have edited."""
    if not isinstance(raw, Mapping) or raw.get("format") != FORMAT:
        return None
    own = _probes("", raw)
    if own is None:
        return None
    rows = [own]
    for name in REFINEMENTS:
        found = _probes(name, raw.get(name))
        rows += [] if found is None else [found]
    dataset = raw.get("dataset")
    split = text(dataset.get("split")) if isinstance(dataset, Mapping) else None
    rows += _starts(raw.get("starts"))
    return Scores(REPORTED, whole(raw.get("step")), split or "", tuple(rows), _reservation(raw))


def _probes(way: str, part: object) -> Score | None:
    """The four numbers of the probes; None where there is none of them."""
    if not isinstance(part, Mapping):
        return None
    found = {}
    for short, kind in KINDS:
        scores = part.get(kind)
        if isinstance(scores, Mapping):
            for measure in ("accuracy", "miou"):
                found[f"{short}_{measure}"] = percent(scores.get(measure))
    return Score(way, **found) if any(one is not None for one in found.values()) else None


def _starts(part: object) -> list[Score]:
    """What clusterings of trained features came to, of each kind of start."""
    rows = part.get("rows") if isinstance(part, Mapping) else None
    found = {}
    for row in rows[: 4 * len(STARTS)] if isinstance(rows, list) else ():
        if isinstance(row, Mapping) and row.get("features") == "trained":
            start = row.get("start")
            if isinstance(start, str) and start in STARTS:
                accuracy, miou = percent(row.get("accuracy")), percent(row.get("miou"))
                found[start] = Score(start, u_accuracy=accuracy, u_miou=miou)
    return [found[start] for start in STARTS if start in found]


def _reservation(raw: Mapping[str, Any]) -> str:
    selection = raw.get("selection")
    told = []
    if isinstance(selection, Mapping) and selection.get("flatters") is True:
        told.append("checkpoint selected on the reported split")
    if raw.get("inference"):
        told.append("several passes per image")
    return ", ".join(told)


def percent(value: object) -> float | None:
    """A number from 0 to 100."""
    found = number(value)
    return found if found is not None and 0 <= found <= 100 else None


def last_validation(file: Path, start: int, end: int) -> tuple[Scores | None, int]:
    """The last validation in a part of a file of metrics, and where its last whole line ends.

    It is looked for from the end, over ``FARTHEST`` bytes at most.
    """
    whole_lines = start
    with contextlib.suppress(OSError), opened(file) as stream:
        rest, at = b"", end
        while at > start and end - at < FARTHEST:
            begin = max(start, at - BLOCK)
            stream.seek(begin)
            block = stream.read(at - begin) + rest
            if whole_lines == start:
                whole_lines = begin + block.rfind(b"\n") + 1
            found = _in_block(block)
            if found is not None:
                return found, whole_lines
            # The first line may have begun before; one that long is none of ours.
            rest, at = block[: min(block.find(b"\n") + 1, BLOCK)], begin
    return None, max(whole_lines, start)


def _in_block(block: bytes) -> Scores | None:
    at = len(block)
    while (at := block.rfind(b'"validation"', 0, at)) >= 0:
        begin, end = block.rfind(b"\n", 0, at) + 1, block.find(b"\n", at)
        record = read_line(block[begin:end]) if end >= 0 else None
        if record is not None and record["kind"] == VALIDATED:
            found = from_validation(record)
            if found is not None:
                return found
    return None


def from_validation(record: Mapping[str, Any]) -> Scores | None:
    """The scores in a line of metrics."""
    kinds = {f"{short}_{m}": f"{kind}_{m}" for short, kind in KINDS for m in ("accuracy", "miou")}
    found = {name: percent(record.get(key)) for name, key in kinds.items()}
    if all(one is None for one in found.values()):
        return None
    split = text(record.get("split")) or ""
    return Scores(VALIDATED, whole(record.get("step")), split, (Score("", **found),))
