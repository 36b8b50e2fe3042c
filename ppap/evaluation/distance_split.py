"""Distance matching over ImageNet-S: the bank from one split, the score on another (Table 4)."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ppap.checks import check_count
from ppap.data import DataError, Dataset
from ppap.evaluation.distance import (
    NEIGHBOURS,
    TEMPERATURE,
    bank_of,
    classify,
    join,
    to_image_size,
)
from ppap.evaluation.metrics import Confusion, Scores, scores
from ppap.evaluation.source import SIZE, WORKERS, in_order, labelled
from ppap.evaluation.split import EvaluationStoppedError
from ppap.fitting import resized, seen_whole, work_size
from ppap.segmenter import Segmenter

BANK, SCORED = "train-semi", "validation"
# Images that may wait, decoded.
AHEAD = 8


@dataclass(frozen=True, eq=False)
class DistanceScores:
    """What distance matching reached on a split."""

    scores: Scores
    """Over the classes and "other"."""
    images: int
    bank: int
    """Vectors in the bank."""
    frozen: bool
    """Whether the backbone's own features were used, not the trained ones."""
    k: int
    temperature: float
    size: int
    """The shorter side of the images, in pixels."""


class Whole(NamedTuple):
    """One image as the network sees it, and its label map as it is stored."""

    rgb: np.ndarray
    """uint8 ``(h, w, 3)``, both multiples of the patch size."""
    labels: Tensor
    """int64 ``(1, H, W)``, −1 where void."""


def evaluate_distance(
    segmenter: Segmenter,
    bank: Dataset,
    dataset: Dataset,
    *,
    size: int = SIZE,
    frozen: bool = False,
    k: int = NEIGHBOURS,
    temperature: float = TEMPERATURE,
    progress: Callable[[str, int, int], None] | None = None,
    stopped: Callable[[], bool] | None = None,
    workers: int = WORKERS,
) -> DistanceScores:
    """Classify every pixel of ``dataset`` by its nearest vectors from ``bank``.

    Whole images are seen, in their proportions, and scored at the size of their label maps.

    Args:
        segmenter: gives the features; its probes are not used.
        bank: labelled images, ImageNet-S's ``train-semi``.
        dataset: labelled images with the same classes, ``validation``.
        size: the shorter side of the images, in pixels.
        frozen: use the backbone's own features, not the trained ones.
        k: neighbours that vote.
        temperature: of their votes.
        progress: told what is done, how many images of it, and of how many.
        stopped: asked before every image; True ends the evaluation.
        workers: threads that decode; 0 decodes in this one.

    Raises:
        EvaluationStoppedError: ``stopped`` said so.
        DataError: a file cannot be read, nothing is labelled, or the splits' classes differ.
        ValueError: a setting outside its range.
    """
    check_count("size", size, 1)
    check_count("workers", workers, 0)
    if bank.classes != dataset.classes:
        raise DataError(
            dataset.root, f"has other classes in '{bank.split}' than in '{dataset.split}'"
        )

    def over(data: Dataset, what: str) -> Generator[tuple[Tensor, Tensor], None, None]:
        """Features ``(1, D, h, w)`` and labels ``(1, H, W)``, image by image."""
        chosen = labelled(data)
        patch = segmenter.backbone.patch_size
        read = partial(read_whole, data, size=size, patch=patch)
        features = partial(features_of, segmenter, frozen)
        with closing(in_order(read, chosen, ahead=AHEAD, workers=workers)) as images:
            for done, one in enumerate(images, 1):
                if stopped is not None and stopped():
                    raise EvaluationStoppedError("the evaluation was stopped")
                found = seen_whole(features, one.rgb, patch=patch, size=size)
                yield found.permute(0, 3, 1, 2), one.labels
                if progress is not None:
                    progress(what, done, len(chosen))

    with closing(over(bank, "bank images")) as each:
        vectors = join(bank_of(*one) for one in each)
    confusion = Confusion(len(dataset.classes))
    images = 0
    with closing(over(dataset, "images")) as each:
        for features, labels in each:
            found = classify(
                features, vectors, classes=confusion.classes, k=k, temperature=temperature
            )
            height, width = labels.shape[1:]
            confusion.update(labels, to_image_size(found.cpu(), height, width))
            images += 1
    return DistanceScores(
        scores(confusion, dataset.classes), images, len(vectors), frozen, k, temperature, size
    )


def read_whole(dataset: Dataset, index: int, *, size: int, patch: int) -> Whole:
    """One item as distance matching sees it.

    Raises:
        DataError: it cannot be read, or has no label map; names the file.
    """
    example = dataset.load(index)
    if example.labels is None:
        raise DataError(dataset.items[index].image, "has no label map")
    rgb = example.photo.rgb
    work = work_size(rgb.shape[0], rgb.shape[1], size, patch)
    return Whole(resized(rgb, work), torch.from_numpy(example.labels).unsqueeze(0))


@torch.no_grad()
def features_of(segmenter: Segmenter, frozen: bool, images: Tensor) -> Tensor:
    """The trained features of images, or those of the backbone alone; ``(B, h, w, D)``."""
    if frozen:
        return segmenter.backbone.finish(segmenter.trunk(images))
    return segmenter.features(images)
