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
from ppap.data.fitting import resized, seen_whole, work_size
from ppap.evaluation.distance import (
    NEIGHBOURS,
    TEMPERATURE,
    Bank,
    bank_of,
    classify,
    join,
    to_image_size,
)
from ppap.evaluation.metrics import Confusion, Scores, scores
from ppap.evaluation.published import absent_as_0, bilinear, floored, on_grid
from ppap.evaluation.source import SIZE, WORKERS, in_order, labelled
from ppap.evaluation.split import EvaluationStoppedError, features_of
from ppap.segmenter import Segmenter
from ppap.segmenter.inference import PLAIN, Inference

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
    skipped: bool = False
    """Whether the image could not be read, and another stands in for it."""


Progress = Callable[[int, int], None]


class DistanceMatching:
    """Classifies every pixel by its nearest labelled vectors: ``fill`` the bank, then ``score``.

    Whole images are seen, in their proportions, and scored at the size of their label maps.
    """

    def __init__(
        self,
        segmenter: Segmenter,
        *,
        size: int = SIZE,
        frozen: bool = False,
        k: int = NEIGHBOURS,
        temperature: float = TEMPERATURE,
        inference: Inference = PLAIN,
        as_pass: bool = False,
        stopped: Callable[[], bool] | None = None,
        workers: int = WORKERS,
    ) -> None:
        """Begin with an empty bank.

        Args:
            segmenter: gives the features; its probes are not used.
            size: the shorter side of the images, in pixels.
            frozen: use the backbone's own features, not the trained ones.
            k: neighbours that vote.
            temperature: of their votes.
            inference: how images are looked at; of it, only the precision counts.
            as_pass: do as the benchmark's own code: images made smaller bilinearly, masks brought
                to the grid of the positions, places rounded down, and an absent class's IoU 0.
            stopped: asked before every image; True ends the work with EvaluationStoppedError.
            workers: threads that decode; 0 decodes in this one.

        Raises:
            ValueError: a setting outside its range.
        """
        for name, value, least in (("size", size, 1), ("k", k, 1), ("workers", workers, 0)):
            check_count(name, value, least)
        self.segmenter, self.size, self.frozen = segmenter, size, frozen
        self.inference, self.as_pass = Inference(half=inference.half), as_pass
        self.k, self.temperature = k, temperature
        self.stopped, self.workers = stopped, workers
        self.bank: Bank | None = None
        self.classes: tuple[str, ...] = ()

    def fill(self, dataset: Dataset, progress: Progress | None = None) -> None:
        """Make the bank of the labelled images of a split, ImageNet-S's ``train-semi``.

        Raises:
            EvaluationStoppedError: ``stopped`` said so.
            DataError: a file cannot be read, or nothing is labelled.
        """
        with closing(self._over(dataset, progress)) as each:
            self.bank = join(
                bank_of(features, on_grid(labels, *features.shape[2:]) if self.as_pass else labels)
                for features, labels in each
            )
        self.classes = dataset.classes

    def score(self, dataset: Dataset, progress: Progress | None = None) -> DistanceScores:
        """Classify the labelled images of a split with the bank; ``validation`` in ImageNet-S.

        Raises:
            EvaluationStoppedError: ``stopped`` said so.
            DataError: a file cannot be read, nothing is labelled, or the classes are not the
                bank's.
            ValueError: the bank is empty.
        """
        if self.bank is None:
            raise ValueError("the bank is empty: fill it first")
        if dataset.classes != self.classes:
            raise DataError(
                dataset.root, f"has other classes in its split '{dataset.split}' than the bank's"
            )
        confusion = Confusion(len(dataset.classes))
        enlarged = floored if self.as_pass else to_image_size
        images = 0
        with closing(self._over(dataset, progress)) as each:
            for features, labels in each:
                found = classify(
                    features,
                    self.bank,
                    classes=confusion.classes,
                    k=self.k,
                    temperature=self.temperature,
                )
                height, width = labels.shape[1:]
                confusion.update(labels, enlarged(found.cpu(), height, width))
                images += 1
        measured = scores(confusion, dataset.classes)
        return DistanceScores(
            absent_as_0(measured) if self.as_pass else measured,
            images,
            len(self.bank),
            self.frozen,
            self.k,
            self.temperature,
            self.size,
        )

    def _over(
        self, dataset: Dataset, progress: Progress | None
    ) -> Generator[tuple[Tensor, Tensor], None, None]:
        """Features ``(1, D, h, w)`` and labels ``(1, H, W)``, image by image."""
        chosen = labelled(dataset)
        patch = self.segmenter.backbone.patch_size
        read = partial(read_whole, dataset, size=self.size, patch=patch, as_pass=self.as_pass)
        features = partial(
            features_of, self.segmenter, inference=self.inference, frozen=self.frozen
        )
        with closing(in_order(read, chosen, ahead=AHEAD, workers=self.workers)) as images:
            for done, one in enumerate(images, 1):
                if self.stopped is not None and self.stopped():
                    raise EvaluationStoppedError("the evaluation was stopped")
                if not one.skipped:
                    found = seen_whole(features, one.rgb, patch=patch, size=self.size)
                    yield found.permute(0, 3, 1, 2), one.labels
                if progress is not None:
                    progress(done, len(chosen))


def read_whole(
    dataset: Dataset, index: int, *, size: int, patch: int, as_pass: bool = False
) -> Whole:
    """One item as distance matching sees it.

    Raises:
        DataError: it cannot be read, or has no label map; names the file.
    """
    example = dataset.load(index)
    if example.labels is None:
        raise DataError(dataset.items[index].image, "has no label map")
    rgb = example.photo.rgb
    work = work_size(rgb.shape[0], rgb.shape[1], size, patch)
    seen = bilinear(rgb, *work) if as_pass else resized(rgb, work)
    labels = torch.from_numpy(example.labels).unsqueeze(0)
    return Whole(seen, labels, example.skipped is not None)
