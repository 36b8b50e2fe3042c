"""Counting a split: over all its pixels, and image by image, for both probes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ppap.evaluation.borders import Apart, borders_record, interior_of, near_border
from ppap.evaluation.metrics import (
    VOID,
    Confusion,
    Scores,
    check_range,
    check_whole,
    match,
    scores,
)
from ppap.evaluation.per_image import PLAIN_KINDS, Gathering, Kind, PerImage


class Measures(NamedTuple):
    """One image under the split's assignment, in per cent; NaN where every pixel is void."""

    accuracy: float
    miou: float
    """Mean over the classes that occur in the image or its prediction."""


class Truth(NamedTuple):
    """One image's true classes, made ready for counting several predictions against them."""

    rows: Tensor
    """int64 ``(H, W)``: class + 1, 0 where void; of the pixels near a border, classes + 1 more."""
    classes: int


def ready(labels: Tensor, classes: int, width: int = 0) -> Truth:
    """Labels of one image, int64 ``(H, W)``, −1 where void; ``width`` as of ``near_border``.

    Raises:
        TypeError: they are not whole numbers.
        ValueError: a class out of range.
    """
    check_whole("truth", labels)
    labels = labels.long()
    if labels.numel():
        known = labels.masked_fill(labels == VOID, 0)
        check_range("truth", known, classes, f" or {VOID} for void")
    rows = labels + 1
    if width:
        rows = rows + (classes + 1) * near_border(labels, width)
    return Truth(rows, classes)


class Tally:
    """Counts of one method over a split, and of every image in it."""

    def __init__(self, classes: int, predictions: int) -> None:
        self.whole = Confusion(classes, predictions)
        self.border = Confusion(classes, predictions)
        # Sparse: an image has few of the pairs that 919 classes make.
        self.images = Gathering(predictions)

    def add(self, truth: Truth | Tensor, prediction: Tensor) -> None:
        """Count one image.

        Args:
            truth: from ``ready``; or what that takes.
            prediction: int64 ``(H, W)``; one of the predictions, at void pixels, too.

        Raises:
            TypeError: the prediction is not whole numbers.
            ValueError: it has another shape than the truth, or a number out of range.
        """
        if isinstance(truth, Tensor):
            truth = ready(truth, self.whole.classes)
        check_whole("prediction", prediction)
        prediction = prediction.to(truth.rows.device, torch.int64)
        if prediction.shape != truth.rows.shape:
            raise ValueError(
                f"truth {tuple(truth.rows.shape)} and prediction {tuple(prediction.shape)} must "
                "have the same shape"
            )
        classes, predictions = self.whole.classes, self.whole.predictions
        if not prediction.numel():
            self.images.add(*_sparse(self.whole.counts.new_zeros(0)))
            return
        check_range("prediction", prediction, predictions)
        # One pass over the pixels for all: whole, border, image. Void rows are dropped.
        pairs = (truth.rows * predictions + prediction).flatten()
        found = torch.bincount(pairs, minlength=2 * (classes + 1) * predictions).cpu()
        inner, near = found.view(2, classes + 1, predictions)[:, 1:]
        one = inner + near
        self.whole.counts += one
        self.border.counts += near
        self.images.add(*_sparse(one.flatten()))

    def apart(self, names: Sequence[str], assignment: Tensor) -> Apart:
        """Border and interior, under the assignment of the whole split."""
        rest = interior_of(self.whole, self.border)
        return Apart(scores(self.border, names, assignment), scores(rest, names, assignment))

    def measures(self, names: Sequence[str], assignment: Tensor) -> list[Measures]:
        """Every image by itself, under the assignment of the whole split."""
        found = []
        one = Confusion(self.whole.classes, self.whole.predictions)
        for pairs, counts in self.images.images:
            one.counts.zero_()
            one.counts.view(-1)[torch.from_numpy(pairs).long()] = torch.from_numpy(counts).long()
            image = scores(one, names, assignment)
            found.append(Measures(image.accuracy, image.miou))
        return found

    def kind(self, assignment: Tensor) -> Kind:
        """Every image's counts, to be kept."""
        return self.images.kind(self.whole.classes, assignment.numpy())


def _sparse(counts: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Where counts are not zero, and those."""
    pairs = counts.nonzero().flatten()
    return pairs.numpy(), counts[pairs].numpy()


class ProbeScores(NamedTuple):
    """Both probes on a split, and on each of its images."""

    cluster: Scores
    linear: Scores
    images: list[tuple[Measures, Measures]]
    kinds: tuple[Kind, Kind]
    """Every image's counts."""
    apart: tuple[Apart, Apart]
    """Border and interior; without a band all is interior."""


class Counts:
    """What is counted while a split is read, for both probes."""

    def __init__(self, classes: int, clusters: int) -> None:
        self.cluster = Tally(classes, clusters)
        self.linear = Tally(classes, classes)

    def add(self, truth: Truth, clusters: Tensor, classes: Tensor) -> None:
        """Count one image; as of ``Tally.add``."""
        self.cluster.add(truth, clusters)
        self.linear.add(truth, classes)

    def scores(self, names: Sequence[str]) -> ProbeScores:
        """Match the clusters with the classes, and score everything."""
        cluster = scores(self.cluster.whole, names, match(self.cluster.whole))
        linear = scores(self.linear.whole, names)
        images = zip(
            self.cluster.measures(names, cluster.assignment),
            self.linear.measures(names, linear.assignment),
            strict=True,
        )
        kinds = self.cluster.kind(cluster.assignment), self.linear.kind(linear.assignment)
        apart = (
            self.cluster.apart(names, cluster.assignment),
            self.linear.apart(names, linear.assignment),
        )
        return ProbeScores(cluster, linear, list(images), kinds, apart)


def kept_counts(indices: Sequence[int], found: Mapping[str, ProbeScores]) -> PerImage:
    """Every image's counts: as predicted, under the name "", and by refinement."""
    kinds = {
        f"{kind}_{name}" if name else kind: counts
        for name, one in found.items()
        for kind, counts in zip(PLAIN_KINDS, one.kinds, strict=True)
    }
    return PerImage(np.array(indices, np.int64), kinds)


def kept_borders(width: int, found: Mapping[str, ProbeScores]) -> dict[str, Any]:
    """Borders and interiors of all that was scored."""
    probes = {name: dict(zip(PLAIN_KINDS, one.apart, strict=True)) for name, one in found.items()}
    return borders_record(width, probes)
