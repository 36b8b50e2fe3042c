"""Clusterings from many starts for a report: trained features beside frozen ones."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

from ppap.checkpoints.opening import LoadedSegmenter
from ppap.data import Dataset
from ppap.evaluation import per_image
from ppap.evaluation.counting import IMAGES
from ppap.evaluation.many_starts import STARTS, from_many_starts
from ppap.evaluation.paired import of_kinds
from ppap.evaluation.source import labelled
from ppap.settings import SettingError
from trainers.progress import Progress
from trainers.reporting.wanted import Wanted

# Progress counts whole numbers: per cent.
STEPS = 100


class FromStarts(NamedTuple):
    """What a report gets."""

    record: dict[str, Any]
    """Its ``starts``."""
    kinds: dict[str, per_image.Kind]
    """Every image's counts of the chosen ones, beside those of the probes."""


def many_starts(
    wanted: Wanted, loaded: LoadedSegmenter, train: Dataset, dataset: Dataset, size: int
) -> FromStarts:
    """Cluster from ``wanted.starts`` starts of each kind, and score what came of it.

    Raises:
        DataError: the training images are not labelled, or cannot be read.
        SettingError: the number cannot be.
    """
    with Progress("Many starts", STEPS, "%", every=wanted.progress_every) as progress:
        try:
            found = from_many_starts(
                loaded.segmenter,
                train,
                dataset,
                count=wanted.starts,
                seed=wanted.seed,
                size=size,
                batch=wanted.batch,
                workers=wanted.workers,
                inference=wanted.inference,
                progress=lambda _, share: progress.at(round(STEPS * share), STEPS),
            )
        except ValueError as error:
            raise SettingError("starts", f"--starts: {error}.") from None
    by_name = {one.name: one for one in found}
    gains = {}
    for start in STARTS:
        one, other = by_name[f"{start}_frozen"], by_name[f"{start}_trained"]
        gains[start] = of_kinds([one.images], [other.images]).record(dataset.classes)
    record = {
        "split": train.split,
        "images": min(IMAGES, len(labelled(train))),
        "seed": wanted.seed,
        "rows": [one.record() for one in found],
        "gains": gains,
    }
    kinds = {f"{per_image.START}{name}": one.images for name, one in by_name.items()}
    return FromStarts(record, kinds)


def with_starts(
    report: dict[str, Any], counts: per_image.PerImage | None, found: FromStarts
) -> per_image.PerImage | None:
    """Put it into a report; returns the report's counts with those of the chosen ones."""
    report["starts"] = found.record
    if counts is None:
        return None
    counts = replace(counts, kinds={**counts.kinds, **found.kinds})
    report[per_image.KEY] = {"stamp": counts.stamp}
    return counts
