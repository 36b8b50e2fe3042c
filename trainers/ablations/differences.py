"""Rows of a table of runs against one of them: differences with intervals, images redrawn."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from threading import Lock
from typing import Any, NamedTuple

from ppap.evaluation import per_image
from ppap.evaluation.paired import Interval, NotPairedError, Side, in_words, paired
from ppap.evaluation.report import REFINEMENTS
from ppap.evaluation.shape import misfit
from trainers.ablations.cells import COLUMNS
from trainers.runs.folder import Run
from trainers.runs.values import read_json

OLD = "Some reports have no counts per image: evaluate those runs again to get intervals."
# Pages ask for a table again and again, while most of it stays the same.
MOST_KEPT = 256
_kept: OrderedDict[Any, Against] = OrderedDict()
_lock = Lock()


class Against(NamedTuple):
    """One row against another, in points."""

    intervals: dict[str, Interval]
    """``U-Acc`` …, and the same with ``, CRF``; empty where nothing is finished."""
    reason: str = ""
    """Why there are no intervals; a sentence."""


NOTHING = Against({})
NO_INTERVAL = Interval(None, None, None)


def against(first: Sequence[Run], second: Sequence[Run]) -> Against:
    """The second row's runs minus the first's; the seeds of each, as many as there are, averaged.

    A row against itself has nothing to say.
    """
    if list(first) == list(second):
        return NOTHING
    rows = [scored(some) for some in (first, second)]
    if not all(rows):
        return NOTHING
    key = tuple(tuple(mark_of(report) for _, report in row) for row in rows)
    if None in (*key[0], *key[1]):
        return Against({}, OLD)
    return remembered(key, lambda: _measured(rows))


def remembered(key: Any, measure: Callable[[], Against]) -> Against:
    """What was measured under this key, or is now; all that it depends on is in the key."""
    with _lock:
        if key in _kept:
            _kept.move_to_end(key)
            return _kept[key]
    found = measure()
    if not found.intervals:
        return found  # its files may be mended
    with _lock:
        _kept[key] = found
        while len(_kept) > MOST_KEPT:
            _kept.popitem(last=False)
    return found


Row = list[tuple[Run, dict[str, Any]]]


def scored(runs: Sequence[Run]) -> Row:
    """Those that have a report with scores, with it."""
    read = [(run, read_json(run.folder / per_image.REPORT)) for run in runs]
    return [(run, report) for run, report in read if report.get("cluster") is not None]


def mark_of(report: Mapping[str, Any]) -> tuple[Any, ...] | None:
    """All that an interval depends on; None where a report has no counts, or is damaged."""
    known = report.get(per_image.KEY)
    if not isinstance(known, Mapping) or misfit(report):
        return None
    images = tuple(one["name"] for one in report.get("images", ()))
    return known["stamp"], report.get("size"), tuple(report.get("classes", ())), images


def _measured(rows: Sequence[Row]) -> Against:
    sides: list[list[Side]] = []
    for row in rows:
        sides.append([])
        for run, report in row:
            counts = per_image.read(report, run.folder / per_image.REPORT)
            if counts is None:
                return Against({}, OLD)
            sides[-1].append(Side(report, counts))
    try:
        found = paired(sides[0], sides[1])
    except NotPairedError as error:
        return Against({}, str(error))
    intervals = {}
    for suffix, name in (("", ""), *((f", {title}", f"_{n}") for n, title in REFINEMENTS.items())):
        for title, probe, measure in COLUMNS:
            if probe + name in found:
                intervals[title + suffix] = getattr(found[probe + name], measure)
    return Against(intervals)


def columns_of(found: Mapping[str, Against]) -> list[str]:
    """Measures that some row has, in the order of tables."""
    names = [
        name + suffix
        for suffix in ("", *(f", {title}" for title in REFINEMENTS.values()))
        for name, _, _ in COLUMNS
    ]
    return [name for name in names if any(name in one.intervals for one in found.values())]


def about(reference: str, found: Mapping[str, Against], seeds: int) -> list[str]:
    """What the differences are, in sentences; and why some are missing."""
    said = []
    if columns_of(found):
        said.append(f"Difference from {reference} in points; + is better. {in_words(seeds)}")
    return [*said, *dict.fromkeys(one.reason for one in found.values() if one.reason)]


def record(found: Against) -> dict[str, Any]:
    """For JSON."""
    return {name: interval._asdict() for name, interval in found.intervals.items()}
