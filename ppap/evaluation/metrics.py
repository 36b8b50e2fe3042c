"""Predictions against truth: one confusion matrix over a whole split → accuracy and mIoU."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypedDict

import numpy as np
import torch
from torch import Tensor

from ppap.checks import check_count, described

VOID = -1
# The class of a cluster that the matching left over.
UNMATCHED = -1
WHOLE = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)


class Confusion:
    """How many pixels of each class were given each prediction: ``counts[truth, prediction]``.

    ``counts`` is int64 ``(classes, predictions)`` on the CPU, wherever the pixels are.
    """

    def __init__(self, classes: int, predictions: int | None = None) -> None:
        """``predictions`` is the number of clusters; left out, as many as there are classes."""
        predictions = classes if predictions is None else predictions
        check_count("classes", classes, 1)
        check_count("predictions", predictions, 1)
        self.counts = torch.zeros(classes, predictions, dtype=torch.int64)

    @property
    def classes(self) -> int:
        """Number of classes."""
        return self.counts.shape[0]

    @property
    def predictions(self) -> int:
        """Number of classes or clusters that may be predicted."""
        return self.counts.shape[1]

    def update(self, truth: Tensor, prediction: Tensor, void: int = VOID) -> None:
        """Count pixels; those whose truth is ``void`` do not count, whatever was predicted.

        The published code drops every pixel whose truth or prediction is outside the classes.
        Here a number that has no meaning is an error, because it hides a wrong label table.

        Args:
            truth: class ids, whole numbers of any shape.
            prediction: classes or clusters, the same shape, on the same device.
            void: the id of pixels without a class.

        Raises:
            TypeError: not whole numbers.
            ValueError: different shapes, or an id out of range.
        """
        check_whole("truth", truth)
        check_whole("prediction", prediction)
        if truth.shape != prediction.shape:
            raise ValueError(
                f"truth {tuple(truth.shape)} and prediction {tuple(prediction.shape)} "
                "must have the same shape"
            )
        truth = truth.long()  # before comparing: as uint8, −1 would be 255
        known = truth != void
        truth, prediction = truth[known], prediction[known].long()
        if not len(truth):
            return
        check_range("truth", truth, self.classes, f" or {void} for void")
        check_range("prediction", prediction, self.predictions)
        pairs = torch.bincount(truth * self.predictions + prediction, minlength=self.counts.numel())
        self.counts += pairs.cpu().view_as(self.counts)

    def merge(self, other: Confusion) -> None:
        """Add what another process or part counted; ValueError if the shapes differ."""
        if other.counts.shape != self.counts.shape:
            raise ValueError(
                f"cannot add counts {tuple(other.counts.shape)} to {tuple(self.counts.shape)}"
            )
        self.counts += other.counts


def check_whole(name: str, values: Tensor) -> None:
    """Raise TypeError unless ``values`` is a tensor of whole numbers."""
    if not isinstance(values, Tensor) or values.dtype not in WHOLE:
        kind = described(values, "dtype")
        raise TypeError(f"{name} must be a tensor of whole numbers, not {kind}")


def check_range(name: str, values: Tensor, count: int, besides: str = "") -> None:
    """Raise ValueError unless all of ``values``, not empty, are from 0 to ``count`` − 1."""
    least, most = (int(end) for end in values.aminmax())
    if least < 0 or most >= count:
        wrong = least if least < 0 else most
        raise ValueError(f"{name} holds {wrong}: it must be from 0 to {count - 1}{besides}")


def match(confusion: Confusion) -> Tensor:
    """Hungarian matching: the one-to-one assignment of clusters to classes with most pixels right.

    Returns:
        The class of each cluster, int64 ``(predictions,)``. Of more clusters than classes, those
        left over are UNMATCHED (−1); of fewer, some classes are no cluster's.
    """
    from scipy.optimize import linear_sum_assignment

    classes, clusters = linear_sum_assignment(confusion.counts.numpy(), maximize=True)
    assignment = torch.full((confusion.predictions,), UNMATCHED, dtype=torch.int64)
    assignment[torch.from_numpy(np.asarray(clusters))] = torch.from_numpy(np.asarray(classes))
    return assignment


def identity(confusion: Confusion) -> Tensor:
    """The linear probe's assignment: prediction i is class i.

    Raises:
        ValueError: not as many predictions as classes.
    """
    if confusion.predictions != confusion.classes:
        raise ValueError(
            f"{confusion.predictions} predictions for {confusion.classes} classes are clusters: "
            "match them"
        )
    return torch.arange(confusion.classes)


class ScoresRecord(TypedDict):
    """``Scores`` as JSON holds them: None instead of NaN."""

    accuracy: float | None
    miou: float | None
    iou: dict[str, float | None]
    assignment: list[int]
    confusion: list[list[int]]


@dataclass(frozen=True, eq=False)
class Scores:
    """What a split's confusion matrix says; all in per cent, NaN where nothing was measured."""

    accuracy: float
    """Share of all pixels that are right."""
    miou: float
    """Mean of ``iou`` over the classes that occur in the truth or the prediction."""
    iou: dict[str, float]
    """Intersection over union by class name; NaN for a class in neither truth nor prediction."""
    assignment: Tensor
    """The class of each prediction, int64 ``(predictions,)``, −1 for an unmatched cluster."""
    confusion: Tensor
    """Rows: true classes. Columns: predicted classes, then all unmatched clusters together;
    int64 ``(classes, classes + 1)``."""

    def record(self) -> ScoresRecord:
        """For JSON."""
        return {
            "accuracy": number(self.accuracy),
            "miou": number(self.miou),
            "iou": {name: number(value) for name, value in self.iou.items()},
            "assignment": self.assignment.tolist(),
            "confusion": self.confusion.tolist(),
        }


def number(value: float) -> float | None:
    """NaN → None: JSON has no NaN."""
    return None if math.isnan(value) else value


def assigned(confusion: Confusion, assignment: Tensor) -> Tensor:
    """Counts by class instead of by cluster, int64 ``(classes, classes + 1)``.

    The last column takes the unmatched clusters.

    Raises:
        TypeError: the assignment is not whole numbers.
        ValueError: it does not fit the matrix.
    """
    check_whole("assignment", assignment)
    if tuple(assignment.shape) != (confusion.predictions,):
        raise ValueError(
            f"assignment must have the shape ({confusion.predictions},), one class for each "
            f"prediction, not {tuple(assignment.shape)}"
        )
    assignment = assignment.cpu().long()
    unmatched = assignment == UNMATCHED
    if not unmatched.all():
        check_range("assignment", assignment[~unmatched], confusion.classes, " or −1 for unmatched")
    columns = torch.where(unmatched, confusion.classes, assignment)
    table = torch.zeros(confusion.classes, confusion.classes + 1, dtype=torch.int64)
    return table.index_add_(1, columns, confusion.counts)


def scores(confusion: Confusion, names: Sequence[str], assignment: Tensor | None = None) -> Scores:
    """Accuracy, mIoU and the IoU of every class.

    Pixels of unmatched clusters are wrong: they count against the accuracy and against the IoU of
    their true class. (The published metric, in a mode that none of its configurations uses, takes
    them for one more class with IoU 0 in the mean, and does not count the pixels of clusters
    numbered beyond the classes.)

    Args:
        confusion: counts of the whole split; a mean of batches' mIoU would be another number.
        names: of the classes, all different.
        assignment: ``match(confusion)`` for clusters; left out, ``identity(confusion)``.

    Raises:
        TypeError, ValueError: names or assignment do not fit the matrix.
    """
    check_names(names, confusion.classes)
    table = assigned(confusion, identity(confusion) if assignment is None else assignment)
    right = table.diagonal().double()
    pixels = table.sum(dim=1)
    union = pixels + table[:, :-1].sum(dim=0) - right
    iou = 100 * right / union  # 0 / 0 is NaN: the class is in neither
    return Scores(
        accuracy=float(100 * right.sum() / pixels.sum()),
        miou=float(iou.nanmean()),
        iou=dict(zip(names, iou.tolist(), strict=True)),
        assignment=identity(confusion) if assignment is None else assignment.long().cpu(),
        confusion=table,
    )


def check_names(names: Sequence[str], classes: int) -> None:
    """Raise ValueError unless there is one name for each class, all different."""
    if len(names) != classes or len(set(names)) != classes:
        raise ValueError(
            f"{classes} classes need as many different names, not {len(names)} names of which "
            f"{len(set(names))} differ"
        )


class FrequencyGroups(NamedTuple):
    """Names of the classes by how many pixels they have, fewest first (the paper's Table 8)."""

    few: tuple[str, ...]
    medium: tuple[str, ...]
    many: tuple[str, ...]


class GroupMeans(NamedTuple):
    """mIoU in per cent by class frequency; NaN for a group without classes."""

    few: float
    medium: float
    many: float


def frequency_groups(confusion: Confusion, names: Sequence[str]) -> FrequencyGroups:
    """Cut the classes into thirds by their number of true pixels.

    The cut is ours: the paper does not say where its groups end, and theirs are of unequal size
    (the mean of Table 8's three columns is not its "All"), so that only the direction compares.
    Classes without a pixel are in no group. Equal counts are ordered by class id; where the number
    does not divide by three, the thirds are rounded to the nearest class.

    Raises:
        ValueError: names do not fit the matrix.
    """
    check_names(names, confusion.classes)
    pixels = confusion.counts.sum(dim=1)
    order = [int(i) for i in pixels.argsort(stable=True) if pixels[i]]
    ranked = tuple(names[i] for i in order)
    first, second = round(len(ranked) / 3), round(2 * len(ranked) / 3)
    return FrequencyGroups(ranked[:first], ranked[first:second], ranked[second:])


def group_means(found: Scores, groups: FrequencyGroups) -> GroupMeans:
    """The mean IoU of each group; KeyError for a class that ``found`` does not name."""

    def mean(group: tuple[str, ...]) -> float:
        return float(torch.tensor([found.iou[name] for name in group]).double().nanmean())

    return GroupMeans(mean(groups.few), mean(groups.medium), mean(groups.many))
