"""Dense retrieval for a report: the trained features beside the frozen backbone's."""

from __future__ import annotations

from typing import Any

from ppap.checkpoints.opening import LoadedSegmenter
from ppap.data import Dataset
from ppap.evaluation.retrieval import Retrieval
from trainers.progress import Progress
from trainers.reporting.wanted import Wanted


def retrieved(
    wanted: Wanted, loaded: LoadedSegmenter, train: Dataset, dataset: Dataset, size: int
) -> dict[str, Any]:
    """The report's ``retrieval``: the split, and a record for each kind of features.

    Raises:
        DataError: the training images cannot be read, or are not labelled.
    """
    found: dict[str, Any] = {"split": train.split}
    for frozen in (False, True):
        one = Retrieval(
            loaded.segmenter,
            frozen=frozen,
            size=size,
            batch=wanted.batch,
            workers=wanted.workers,
            inference=wanted.inference,
        )
        kind = "frozen" if frozen else "trained"
        every = wanted.progress_every
        with Progress(f"Memory ({kind})", len(train), "images", every=every) as progress:
            memory = one.fill(train, wanted.memory, seed=wanted.seed, progress=progress.at)
        with Progress(f"Retrieval ({kind})", len(dataset), "images", every=every) as progress:
            found[kind] = one.score(dataset, memory, progress.at).record()
    return found
