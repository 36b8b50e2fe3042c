"""Counting a split: over all its pixels, and image by image, for both probes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ppap.evaluation.metrics import Confusion, Scores, match, scores
from ppap.evaluation.per_image import Gathering, Kind


class Measures(NamedTuple):
    """One image under the split's assignment, in per cent; NaN where every pixel is void."""

    accuracy: float
    miou: float
    """Mean over the classes that occur in the image or its prediction."""


class Tally:
    """Counts of one method over a split, and of every image in it."""

    def __init__(self, classes: int, predictions: int) -> None:
        self.whole = Confusion(classes, predictions)
        # Sparse: an image has few of the pairs that 919 classes make.
        self.images = Gathering(predictions)

    def add(self, truth: Tensor, prediction: Tensor) -> None:
        """Count one image; ``(H, W)`` each."""
        one = Confusion(self.whole.classes, self.whole.predictions)
        one.update(truth, prediction.to(truth.device))
        self.whole.merge(one)
        flat = one.counts.flatten()
        pairs = flat.nonzero().flatten()
        self.images.add(pairs.numpy(), flat[pairs].numpy())

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


class ProbeScores(NamedTuple):
    """Both probes on a split, and on each of its images."""

    cluster: Scores
    linear: Scores
    images: list[tuple[Measures, Measures]]
    kinds: tuple[Kind, Kind]
    """Every image's counts."""


class Counts:
    """What is counted while a split is read, for both probes."""

    def __init__(self, classes: int, clusters: int) -> None:
        self.cluster = Tally(classes, clusters)
        self.linear = Tally(classes, classes)

    def add(self, truth: Tensor, clusters: Tensor, classes: Tensor) -> None:
        """Count one image; ``(H, W)`` each."""
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
        return ProbeScores(cluster, linear, list(images), kinds)
