"""From a number to its images: how many pixels of a cell, or of a class, every image holds."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ppap.evaluation import per_image
from ppap.evaluation.files import JSON
from ppap.evaluation.per_image import NO_CLASS, Gathering, Kind, PerImage
from ppap.evaluation.report import Report
from ppap.settings import excerpt
from ppap.studio import sample
from ppap.studio.requests import RequestError

PARTS = ("any", "missed", "called")
"""Of a class: all pixels that its IoU is made of, those it lost, and those wrongly called so."""
MOST_KEPT = 4


class CountsOfReports:
    """The counts of the reports that were asked about last. Calls must not overlap."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[Path, str], PerImage] = OrderedDict()

    def of(self, report: Report, file: Path) -> PerImage:
        """The counts of a report that was read from a file.

        Raises:
            RequestError: there are none that belong to it.
        """
        found = self.any_of(report, file)
        if found is None:
            raise RequestError(per_image.AGAIN)
        return found

    def any_of(self, report: Report, file: Path) -> PerImage | None:
        """The same; None where there are none."""
        known = report.get(per_image.KEY)
        key = (file, str(known.get("stamp")) if isinstance(known, Mapping) else "")
        found = self._kept.pop(key, None)
        if found is None:
            found = sample_counts() if file.parent == sample.RUN else per_image.read(report, file)
        if found is None:
            return None
        self._kept[key] = found
        while len(self._kept) > MOST_KEPT:
            self._kept.popitem(last=False)
        return found


def pixels_reply(counts: PerImage, request: Mapping[str, Any]) -> dict[str, Any]:
    """How many pixels of what is asked for every image holds.

    Args:
        counts: of the report.
        request: ``kind``, a key of the counts; and either ``class`` with ``part``, one of PARTS,
            or a cell: ``truth`` and ``predicted``, −1 for clusters without a class.

    Returns:
        In the order of the report's images: ``pixels``, and for a class its ``iou`` in per cent,
        None where an image has it neither in truth nor in prediction; and the ``total``.

    Raises:
        RequestError: there is no such kind or class.
    """
    name = request.get("kind", "cluster")
    if not isinstance(name, str) or name not in counts.kinds:
        raise RequestError(f"The report has no prediction {excerpt(name)}.")
    kind = counts.kinds[name]
    iou = None
    if request.get("class") is not None:
        one = _class(request["class"], kind)
        pixels = _of_class(kind, one, request.get("part", "any"))
        iou = [None if np.isnan(value) else round(float(value), 2) for value in kind.iou(one)]
    else:
        truth = _class(request.get("truth"), kind)
        pixels = kind.pixels(truth, _class(request.get("predicted"), kind, NO_CLASS))
    return {"pixels": pixels.tolist(), "total": int(pixels.sum()), "iou": iou}


def _of_class(kind: Kind, one: int, part: object) -> np.ndarray:
    if part == "missed":
        return kind.wrong(truth=one)
    if part == "called":
        return kind.wrong(predicted=one)
    if part == "any":
        return kind.pixels(truth=one) + kind.wrong(predicted=one)
    raise RequestError(
        f"The part of a class must be one of {', '.join(PARTS)}, not {excerpt(part)}."
    )


def _class(value: object, kind: Kind, least: int = 0) -> int:
    whole = isinstance(value, int) and not isinstance(value, bool)
    if not whole or not least <= value < kind.classes:  # type: ignore[operator]
        raise RequestError(f"There is no class number {excerpt(value)}.")
    return value  # type: ignore[return-value]


def sample_counts() -> PerImage:
    """Those of the sample report, from the predictions that come with it.

    RequestError where the photos are not at hand.
    """
    report = json.loads((sample.RUN / JSON).read_text(encoding="utf-8"))
    classes = len(report["classes"])
    assignment = np.append(np.arange(classes), NO_CLASS)  # the last: pixels of no class
    indices = [one["index"] for one in report["images"]]
    gathered = {kind: Gathering(classes + 1) for kind in sample.KINDS}
    for index in indices:
        truth = sample.square(index).labels
        for kind, gathering in gathered.items():
            predicted = sample.prediction(index, kind) % (classes + 1)
            pairs = (truth * (classes + 1) + predicted)[truth >= 0]
            gathering.add(*np.unique(pairs, return_counts=True))
    kinds = {kind: one.kind(classes, assignment) for kind, one in gathered.items()}
    return PerImage(np.array(indices, np.int64), kinds)
