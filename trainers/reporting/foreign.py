"""From a folder of another method's predictions and a split to a report."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import fields

from ppap.data import DataError
from ppap.evaluation.files import write_report
from ppap.evaluation.foreign import Folder
from ppap.evaluation.foreign_files import Reading, in_short, pair_files, usual_size
from ppap.evaluation.foreign_report import foreign_report, pictured_files
from ppap.evaluation.markdown import as_summary
from ppap.evaluation.report import write_json
from ppap.evaluation.source import SIZE, labelled
from ppap.protocol import STUDIO, Protocol
from ppap.settings import SettingError
from trainers.command import DONE, expanded, say
from trainers.progress import Progress
from trainers.reporting.target import Task, sound
from trainers.reporting.wanted import Wanted

# What needs a network, and can therefore not be asked of files.
OF_NETWORKS = {
    "refine": "--refine",
    "clusters": "--clusters",
    "cluster_by": "--cluster-by",
    "cluster_features": "--cluster-features",
    "train_split": "--train-split",
    "starts": "--starts",
    "retrieval": "--retrieval",
    "memory": "--memory",
    "seed": "--seed",
    "distance_features": "--distance-features",
    "mirror": "--mirror",
    "scales": "--scales",
    "window": "--window",
    "shifts": "--shifts",
    "backbone": "--backbone",
    "heads": "--heads",
    "write_predictions": "--write-predictions",
}
# What says how files are read, and says nothing of a checkpoint.
OF_FILES = {"predictions_are": "--predictions-are", "map": "--map", "ignore": "--ignore"}
# Of the published way, files can only be resized.
PROTOCOLS = (None, "studio", "published", "nearest")


def evaluate_files(wanted: Wanted) -> int:
    """Score, print, write.

    Raises:
        DataError: the data set or the predictions cannot be read, or do not fit.
        SettingError: an option that files cannot have.
        OSError: a file cannot be written.
    """
    began = time.monotonic()
    refuse(wanted)
    task = task_of_files(wanted)
    dataset = sound(task, task.split)
    if not dataset.classes:
        raise DataError(dataset.root, "has no label maps, so there is nothing to score")
    chosen = labelled(dataset)
    reading = Reading(wanted.predictions_are, wanted.ignore, dataset.colours)
    paired = pair_files(task.checkpoint, dataset, chosen)
    if paired.missing and task.on_error == "stop":
        count = len(paired.missing)
        raise DataError(
            task.checkpoint,
            f"lacks the predictions for {count} of {len(chosen)} images: "
            f"{in_short(paired.missing)}. To score the others, use --on-error skip",
        )
    size = wanted.size or usual_size(paired, dataset, chosen, SIZE)
    folder = Folder(paired, dataset, chosen, reading, size=size, workers=wanted.workers)
    with Progress("Scoring", len(chosen), "files", every=wanted.progress_every) as progress:
        found = folder.score(
            map_by=wanted.map, border_width=wanted.border_width, progress=progress.at
        )
    report = foreign_report(folder, found, seconds=time.monotonic() - began)
    if wanted.json is not None:
        write_json(report, wanted.json, found.counts)
        say(f"Written: {wanted.json}")
    print(as_summary(report), flush=True)
    if wanted.pictures is not None:
        shown = pictured_files(report, folder)
        page = write_report(report, wanted.pictures, shown, counts=found.counts)
        say(f"Written: {page}")
    return DONE


def refuse(wanted: Wanted) -> None:
    """SettingError for what is asked of a network."""
    for name, option in asked(wanted, OF_NETWORKS):
        raise SettingError(name, f"{option} needs a checkpoint, not --predictions.")
    if wanted.protocol not in PROTOCOLS:
        raise SettingError(
            "protocol", f"--protocol {wanted.protocol} needs a checkpoint, not --predictions."
        )
    if wanted.target is not None:
        raise SettingError(
            "predictions", "Give either a run or checkpoint, or --predictions, but not both."
        )
    if wanted.map is not None and wanted.predictions_are == "classes":
        raise SettingError("map", "--map is for clusters; classes need no map.")


def refuse_without_files(wanted: Wanted) -> None:
    """SettingError for what says how files are read, where there are none."""
    for name, option in asked(wanted, OF_FILES):
        raise SettingError(name, f"{option} applies only to --predictions.")


def asked(wanted: Wanted, options: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Those options that are not as usual: field and option."""
    usual = {one.name: one.default for one in fields(Wanted)}
    return ((name, said) for name, said in options.items() if getattr(wanted, name) != usual[name])


def task_of_files(wanted: Wanted) -> Task:
    """The folder and the data set; SettingError where nothing says where the data are."""
    assert wanted.predictions is not None
    data = wanted.data and expanded(wanted.data)
    if data is None and wanted.kind != "samples":
        raise SettingError("data", "Give the data set folder: --data DIR.")
    return Task(
        expanded(wanted.predictions),
        None if wanted.kind == "samples" else data,
        wanted.kind,
        wanted.split or "val",
        wanted.split is not None,
        wanted.on_error or "stop",
        Protocol.of(wanted.protocol) if wanted.protocol else STUDIO,
    )
