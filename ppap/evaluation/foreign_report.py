"""Scores of another method's files as a report that opens, prints and compares as ours do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ppap.data import Dataset, printable, square
from ppap.evaluation import per_image
from ppap.evaluation.borders import borders_record
from ppap.evaluation.clusterings import map_record
from ppap.evaluation.foreign import Folder, ForeignScores, folder_of, shown
from ppap.evaluation.foreign_files import Paired, Reading, in_short
from ppap.evaluation.later import later_rows
from ppap.evaluation.metrics import group_means, number
from ppap.evaluation.pictures import Pictured
from ppap.evaluation.report import (
    FORMAT,
    VERSION,
    Report,
    chosen_images,
    measures_record,
    versions,
)

KEY, SOURCE = "predictions", "predictions"
FOREIGN = "Predictions of another method, read from files; how they were made is not known."


def foreign_report(folder: Folder, found: ForeignScores, *, seconds: float | None = None) -> Report:
    """The report on a folder of predictions.

    Its ``cluster`` holds the scores, of clusters or of classes, and ``linear`` is None;
    ``predictions`` tells what the files hold and how they became classes; each of ``images`` names
    its ``file`` below the folder, which is the report's ``checkpoint``.
    """
    dataset, paired = folder.dataset, folder.paired
    name = printable(paired.root.name) or "predictions"
    report: Report = {
        "format": FORMAT,
        "version": VERSION,
        "checkpoint": printable(paired.root),
        "digest": folder.digest(),
        "step": None,
        "source": SOURCE,
        "rule": "",
        "recipe": "",
        "seed": None,
        "selection": {"choice": "named", "sentence": FOREIGN, "flatters": False},
        "backbone": {"name": "", "title": f"predictions from {name}", "note": ""},
        "dataset": {
            "kind": dataset.name,
            "title": dataset.title,
            "folder": printable(dataset.root),
            "split": dataset.split,
            "notes": list(dataset.notes),
        },
        "size": folder.size,
        "inference": {},
        "protocol": ["nearest"] if dataset.resizing == "nearest" else [],
        "classes": list(dataset.classes),
        "colours": [list(colour) for colour in dataset.colours],
        KEY: predictions_record(found, paired, folder.reading),
        **scored(found, dataset),
        "paper": [],
        "paper_groups": None,
        "later": later_rows(dataset.name),
        "left_out": 0,
        "seconds": None if seconds is None else round(seconds, 1),
        "versions": versions(),
    }
    report["notes"] = list(notes(report, found, paired))
    return report


def predictions_record(found: ForeignScores, paired: Paired, reading: Reading) -> dict[str, Any]:
    """What the files hold, and how they became classes."""
    made: dict[str, Any] = {
        "holding": found.holding,
        "map": found.map,
        "clusters": len(found.values),
        "values": list(found.values),
        "ignore": reading.ignore,
        "fits": {fit: found.fits.get(fit, 0) for fit in ("same", "square", "resized")},
        "missing": len(paired.missing),
        "extra": len(paired.extra),
        "unpredicted": found.unpredicted,
    }
    if found.agreement is not None:
        measures = found.agreement._asdict()
        made["agreement"] = {name: number(value) for name, value in measures.items()}
    if found.one_to_one is not None:
        made["one_to_one"] = map_record(found.one_to_one)
    return made


def scored(found: ForeignScores, dataset: Dataset) -> Report:
    """Everything of the report that comes from the scores."""
    means = group_means(found.whole, found.groups)
    nothing = {"accuracy": None, "miou": None}
    made: Report = {
        "cluster": found.whole.record(),
        "linear": None,
        "groups": {
            name: {"classes": list(names), "cluster": number(mean), "linear": None}
            for name, names, mean in zip(found.groups._fields, found.groups, means, strict=True)
        },
        "images": [
            {
                "index": index,
                "name": name,
                "file": file,
                "cluster": measures_record(measures),
                "linear": nothing,
            }
            for index, name, file, measures in found.images
        ],
        "unlabelled": sum(1 for item in dataset.items if item.labels is None),
        "skipped": [
            {"index": one.index, "name": one.name, "reason": printable(one.reason)}
            for one in found.skipped
        ],
        per_image.KEY: {"stamp": found.counts.stamp},
    }
    if found.apart is not None:
        made["borders"] = {
            **borders_record(found.border_width, {"": {"cluster": found.apart}}),
            "linear": None,
        }
    return made


def notes(report: Report, found: ForeignScores, paired: Paired) -> Iterator[str]:
    """What a reader must know to judge the numbers, the weightiest first."""
    if found.one_to_one is not None:
        other = found.one_to_one
        yield (
            f"Reservation: each of the {len(found.values):,} clusters takes the class that most "
            "of its pixels have in these same images, which inflates the scores. Matched one to "
            f"one with the classes: accuracy {other.accuracy:.1f} %, mIoU {other.miou:.1f} %."
        )
    total = len(found.images) + len(found.skipped)
    if found.skipped:
        first = found.skipped[0]
        yield (
            f"Warning: {len(found.skipped)} of {total} images do not count; the first, "
            f"{printable(first.name)}: {printable(first.reason)}."
        )
    yield FOREIGN
    known = sum(sum(row) for row in report["cluster"]["confusion"])
    if found.unpredicted:
        share = 100 * found.unpredicted / max(1, known)
        yield f"{share:.2f} % of the pixels have no prediction and count as wrong."
    if resized := found.fits.get("resized"):
        yield (
            f"{resized} of {len(found.images)} predictions differ in size from their label map "
            "and were resized to the nearest pixel."
        )
    if squares := found.fits.get("square"):
        yield (
            f"{squares} of {len(found.images)} predictions are squares of {report['size']} "
            "pixels: each is assumed to show the centre of its image, not the whole image "
            "squeezed into a square."
        )
    if paired.extra:
        count = len(paired.extra)
        fit = "file fits" if count == 1 else "files fit"
        yield f"{count:,} {fit} no image of the split: {in_short(paired.extra)}."
    if found.agreement is not None:
        one = found.agreement
        missed = (
            f"{one.missed} of {len(report['classes'])} classes are not the most frequent class of "
            "any cluster"
        )
        yield (
            f"Without matching the {len(found.values):,} clusters: purity {one.purity:.1f} %, NMI "
            f"{one.nmi:.3f}, ARI {one.ari:.3f}; {missed}.".replace("-", "−")
        )
    if report["unlabelled"]:
        yield f"{report['unlabelled']} images of the split have no label map and do not count."


def maps_of(report: Mapping[str, Any], root: Path, dataset: Dataset, index: int) -> Any:
    """One image of a report, to be drawn: the example, and its classes by what they are called.

    Args:
        report: of predictions from files.
        root: the folder, which whoever asks may look into.
        dataset: the report's split.
        index: one of the report's images.

    Returns:
        The example as the data set has it; int64 ``(S, S)`` each, −1 where there is none: the
        truth, and the predictions by kind.

    Raises:
        DataError: a file is gone, cannot be read, or has other numbers by now.
    """
    folder = folder_of(report, root, dataset)
    example = dataset.load(index)
    one = folder.square_of(index, example)
    return example, one.truth, {"cluster": shown(report, one, folder.file_of(index))}


def pictured_files(report: Report, folder: Folder) -> Iterator[Pictured]:
    """The best, the median and the worst images of a report, read once more; DataError."""
    dataset = folder.dataset
    for kind, some in chosen_images(report).items():
        for index in some:
            example = dataset.load(index)
            one = folder.square_of(index, example)
            rgb = square(example.photo.rgb, folder.size, dataset.resizing)
            classes: np.ndarray = shown(report, one, folder.file_of(index))
            item = dataset.items[index]
            yield Pictured(kind, index, item.name, rgb, one.truth, {"clusters": classes})
