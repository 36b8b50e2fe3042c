"""From a folder of another method's predictions and a split to a report."""

from __future__ import annotations

import time
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
    "retrieval": "--retrieval",
    "mirror": "--mirror",
    "scales": "--scales",
    "window": "--window",
    "shifts": "--shifts",
    "backbone": "--backbone",
    "heads": "--heads",
    "write_predictions": "--write-predictions",
}


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
            f"lacks the predictions of {count} of {len(chosen)} images: "
            f"{in_short(paired.missing)}. To score the others, --on-error skip",
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
    usual = {one.name: one.default for one in fields(Wanted)}
    for name, option in OF_NETWORKS.items():
        if getattr(wanted, name) != usual[name]:
            raise SettingError(name, f"{option} needs a checkpoint: --predictions are files.")
    if wanted.target is not None:
        raise SettingError(
            "predictions", "Name a run, a checkpoint or --predictions, and not two of them."
        )
    if wanted.map is not None and wanted.predictions_are == "classes":
        raise SettingError("map", "--map is for clusters: classes are what they are.")


def task_of_files(wanted: Wanted) -> Task:
    """The folder and the data set; SettingError where nothing says where the data are."""
    assert wanted.predictions is not None
    data = wanted.data and expanded(wanted.data)
    if data is None and wanted.kind != "samples":
        raise SettingError("data", "Say where the data set is: --data DIR.")
    return Task(
        expanded(wanted.predictions),
        None if wanted.kind == "samples" else data,
        wanted.kind,
        wanted.split or "val",
        wanted.split is not None,
        wanted.on_error or "stop",
        Protocol.of(wanted.protocol) if wanted.protocol else STUDIO,
    )
