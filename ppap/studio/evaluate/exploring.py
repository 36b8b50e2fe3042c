"""From a report to Explore: the request for its images, with the features of its checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ppap.evaluation.report import Report
from ppap.places import ROOT
from ppap.studio.checkpoints import Checkpoints
from ppap.studio.requests import RequestError
from ppap.studio.stages import SAMPLES, Stages, images_in


def explore_request(
    report: Report, title: str, file: Path, checkpoints: Checkpoints
) -> dict[str, Any]:
    """What Explore is asked for.

    Args:
        report: a report.
        title: what it is called.
        file: the checkpoint that it is about.
        checkpoints: says which runs and folders may be seen.

    Raises:
        RequestError, DataError: the images are gone, or may not be shown.
    """
    about = report["dataset"]
    if about["kind"] == SAMPLES:
        images: dict[str, Any] = {"source": SAMPLES, "size": report["size"]}
    else:
        folder = str(ROOT / about["folder"])
        split, size = about["split"], report["size"]
        images = images_in(folder, about["kind"], split, size, title, checkpoints.sources)
    return {**images, "picture": "square", **features_of(report, file, checkpoints)}


def features_of(report: Report, file: Path, checkpoints: Checkpoints) -> dict[str, Any]:
    """The run and its step, where the checkpoint is a run's that has kept it; else the file."""
    folder, step = file.parent.parent, report["step"]
    of_runs = folder.parent.resolve() == checkpoints.runs.resolve()
    inside = of_runs and file.parent.name == "checkpoints"
    if inside and step:
        try:
            run, stage = Stages(checkpoints).choose(folder.name, step)
            return {
                "backbone": "run",
                "run": run.folder.name,
                "at": stage.step,
                "output": "backbone",
            }
        except RequestError:  # it keeps others by now
            pass
    return {"backbone": "checkpoint", "checkpoint": str(file), "output": "backbone"}
