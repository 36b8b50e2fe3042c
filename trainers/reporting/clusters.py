"""Any number of clusters for a report: centroids found on training images, scored on a split."""

from __future__ import annotations

from typing import Any

from ppap.checkpoints.opening import LoadedSegmenter
from ppap.data import Dataset
from ppap.evaluation.counting import IMAGES, METHODS, count_clusters
from ppap.evaluation.source import labelled
from ppap.settings import SettingError
from trainers.progress import Progress
from trainers.reporting.target import Task, sound
from trainers.reporting.wanted import Wanted

# Progress counts whole numbers: per cent.
STEPS = 100


def clusterings(
    wanted: Wanted, loaded: LoadedSegmenter, task: Task, dataset: Dataset, size: int
) -> dict[str, Any]:
    """The report's ``clusterings``.

    Raises:
        DataError: the training images cannot be read, or are not labelled.
        SettingError: a number of clusters that cannot be.
    """
    least = len(dataset.classes)
    for count in wanted.clusters:
        if count < least:
            raise SettingError(
                "clusters", f"--clusters {count} is less than the {least} classes of the data set."
            )
    train = sound(task, wanted.train_split or str(loaded.config.get("train_split") or "train"))
    frozen = wanted.cluster_features == "frozen"
    with Progress("Counting clusters", STEPS, "%", every=wanted.progress_every) as progress:
        try:
            found = count_clusters(
                loaded.segmenter,
                train,
                dataset,
                wanted.clusters,
                methods=wanted.cluster_by or tuple(METHODS),
                seed=wanted.seed,
                size=size,
                batch=wanted.batch,
                workers=wanted.workers,
                inference=wanted.inference,
                frozen=frozen,
                progress=lambda _, share: progress.at(round(STEPS * share), STEPS),
            )
        except ValueError as error:
            raise SettingError("clusters", f"--clusters: {error}.") from None
    return {
        "split": train.split,
        "images": min(IMAGES, len(labelled(train))),
        "features": "frozen" if frozen else "trained",
        "seed": wanted.seed,
        "rows": [one.record() for one in found],
    }
