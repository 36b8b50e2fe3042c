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


def training_images(wanted: Wanted, loaded: LoadedSegmenter, task: Task) -> Dataset | None:
    """The split that clusters, and what retrieval remembers, are from; None where neither is asked.

    Raises:
        DataError: it is not there, or has files that cannot be read.
    """
    if not (wanted.clusters or wanted.retrieval or wanted.starts):
        return None
    return sound(task, wanted.train_split or str(loaded.config.get("train_split") or "train"))


def check_counts(wanted: Wanted, dataset: Dataset) -> None:
    """SettingError for fewer clusters than classes: said before hours of work, not after."""
    least = len(dataset.classes)
    for count in wanted.clusters:
        if count < least:
            raise SettingError(
                "clusters", f"--clusters {count} is fewer than the data set's {least} classes."
            )


def clusterings(
    wanted: Wanted, loaded: LoadedSegmenter, train: Dataset, dataset: Dataset, size: int
) -> dict[str, Any]:
    """The report's ``clusterings``.

    Raises:
        DataError: the training images are not labelled.
        SettingError: a number of clusters that cannot be.
    """
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
