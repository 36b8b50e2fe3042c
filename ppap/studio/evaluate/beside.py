"""Several reports beside each other: what tells them apart, and whether they can be compared."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

from ppap.evaluation.paired import Differences, Interval, NotPairedError, Side, in_words, paired
from ppap.evaluation.per_image import PerImage
from ppap.evaluation.report import REFINEMENTS, Report, refinements
from ppap.segmenter.inference import in_words as looks_in_words

MOST = 4
"""Reports that one page shows."""
MOST_KEPT = 32
NO_COUNTS = (
    "no intervals for the differences, because the report has no counts per image. Evaluate "
    "again to get them."
)


def _step(report: Report) -> str:
    return "" if report["step"] is None else f"step {report['step']:,}"


def _file(report: Report) -> str:
    return str(report["checkpoint"].replace("\\", "/").rpartition("/")[2])


def _refined(report: Report) -> str:
    found = list(refinements(report))
    return f"with {' and '.join(found)}" if found else "not refined"


def _protocol(report: Report) -> str:
    return ", ".join(report.get("protocol") or ()) or "studio"


# What headings name where it differs: how a report says it.
ASPECTS: dict[str, Callable[[Report], str]] = {
    "checkpoint": _file,
    "step": _step,
    "rule": lambda report: f"rule {report['rule']}" if report.get("rule") else "",
    "recipe": lambda report: f"recipe {report['recipe']}" if report.get("recipe") else "",
    "seed": lambda report: "" if report.get("seed") is None else f"seed {report['seed']}",
    "backbone": lambda report: str(report["backbone"]["title"]),
    "size": lambda report: f"{report['size']} pixels" if report.get("size") else "",
    "refinement": _refined,
    "looks": lambda report: looks_in_words(report.get("inference") or {}) or "default inference",
    "protocol": lambda report: f"protocol {_protocol(report)}",
    "data": lambda report: f"{report['dataset']['title']}, {report['dataset']['split']}",
}
# Those that change numbers without anything having been learnt otherwise.
NOTED = {
    "refinement": "They were not all refined in the same way",
    "size": "They were evaluated at different sizes",
    "looks": "They used different inference settings",
    "protocol": "They follow different protocols",
    "data": "They were evaluated on different data",
}


def headings(reports: Sequence[Report], titles: Sequence[str]) -> list[dict[str, str]]:
    """What each is called, and what tells it apart: ``title`` and ``differs``."""
    # A refinement has rows and pictures of its own; those without it would seem refined, too.
    told_elsewhere = "refinement"
    said = {
        name: [say(one) for one in reports]
        for name, say in ASPECTS.items()
        if name != told_elsewhere
    }
    telling = [values for values in said.values() if len(set(values)) > 1]
    told = [
        " · ".join(values[i] for values in telling if values[i] and values[i] not in titles[i])
        for i in range(len(reports))
    ]
    found = []
    for i, (title, differs) in enumerate(zip(titles, told, strict=True)):
        twins = [j for j in range(len(titles)) if (titles[j], told[j]) == (title, differs)]
        number = f" ({twins.index(i) + 1})" if len(twins) > 1 else ""
        found.append({"title": title + number, "differs": differs})
    return found


def notes(reports: Sequence[Report], titles: Sequence[str]) -> list[str]:
    """Sentences on what was not measured alike."""
    found = []
    for name, sentence in NOTED.items():
        values = [ASPECTS[name](one) for one in reports]
        if len(set(values)) > 1:
            each = "; ".join(
                f"{title}: {value}" for title, value in zip(titles, values, strict=True)
            )
            found.append(f"{sentence}. {each}.")
    return found


def same_images(one: Report, other: Report) -> bool:
    """Whether two reports are of the same images and classes."""
    return _about(one) == _about(other)


def _about(report: Report) -> Any:
    images = [(one["index"], one["name"]) for one in report.get("images") or ()]
    return report["cluster"] is not None, report.get("classes"), images


PROBES = ("cluster", "linear")
MEASURES = ("U-Acc", "U-mIoU", "L-Acc", "L-mIoU")


class Intervals:
    """The intervals computed last: thousands of images take seconds. Safe for many threads."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, str], dict[str, Differences]] = OrderedDict()
        self._lock = threading.Lock()

    def between(self, one: Side, other: Side) -> dict[str, Differences]:
        """As ``paired`` finds them; NotPairedError."""
        key = (one.counts.stamp, other.counts.stamp)
        with self._lock:
            if key not in self._kept:
                self._kept[key] = paired([one], [other])
            self._kept.move_to_end(key)
            while len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
            return self._kept[key]


def differences(
    reports: Sequence[Report],
    counts: Sequence[PerImage | None],
    titles: Sequence[str],
    kept: Intervals,
) -> dict[str, Any]:
    """By how much the others differ from the first, with paired 95 % intervals.

    Args:
        reports: those that are compared.
        counts: theirs, None where a report has none.
        titles: what they are called.
        kept: intervals that were computed before.

    Returns:
        ``measures``, and ``rows``, one for each other report and each refinement that both have:
        ``title`` and ``values`` in points: difference, low, high (None with fewer images than an
        interval needs), and whether it is ``apart`` from zero. ``classes``: for each of the
        reports and kind of prediction, the same of every class's IoU; nothing for the first.
        ``about``: what an interval is, and why there is none where that is so.
    """
    rows: list[dict[str, Any]] = []
    reasons: list[str] = []
    classes: list[dict[str, Any]] = [{} for _ in reports]
    others = list(enumerate(zip(reports, counts, titles, strict=True)))[1:]
    for place, (report, own, title) in others:
        if counts[0] is None or own is None:
            reasons.append(f"{titles[0] if counts[0] is None else title}: {NO_COUNTS}")
            continue
        try:
            found = kept.between(Side(reports[0], counts[0]), Side(report, own))
        except NotPairedError as error:
            reasons.append(f"{title}: {error}")
            continue
        classes[place] = {kind: [said(part) for part in one.iou] for kind, one in found.items()}
        for name, called in ({"": ""} | REFINEMENTS).items():
            probes = [found.get(f"{probe}_{name}" if name else probe) for probe in PROBES]
            if any(probes):
                parts = [part for one in probes for part in (one[:2] if one else (None, None))]
                named = f"{title}, with {called}" if called else title
                rows.append({"title": named, "values": [part and said(part) for part in parts]})
    about = " ".join([*([in_words()] if rows else []), *dict.fromkeys(reasons)])
    return {"measures": list(MEASURES), "rows": rows, "classes": classes, "about": about}


def said(interval: Interval) -> dict[str, Any]:
    """An interval for JSON."""
    return {**interval._asdict(), "apart": interval.apart}
