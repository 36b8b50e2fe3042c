"""Scores of random label maps against torchmetrics, and the matching against other solvers."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_array
from scipy.sparse.csgraph import min_weight_full_bipartite_matching
from sklearn.metrics import accuracy_score, jaccard_score
from sklearn.metrics.cluster import contingency_matrix
from torch import Tensor
from torchmetrics.classification import (
    MulticlassAccuracy,
    MulticlassConfusionMatrix,
    MulticlassJaccardIndex,
)

from ppap.evaluation.metrics import UNMATCHED, Confusion, match, scores


@dataclass(frozen=True)
class Split:
    """Label maps and predictions, batch by batch, ``(B, H, W)`` each."""

    classes: int
    predictions: int
    truth: list[Tensor]
    predicted: list[Tensor]
    void: int

    def counted(self) -> Confusion:
        made = Confusion(self.classes, self.predictions)
        for truth, predicted in zip(self.truth, self.predicted, strict=True):
            made.update(truth, predicted, self.void)
        return made

    def names(self) -> tuple[str, ...]:
        return tuple(f"class {i}" for i in range(self.classes))

    def known(self) -> tuple[np.ndarray, np.ndarray]:
        """Truth and prediction of all pixels that are not void, one after the other."""
        truth = torch.cat([one.flatten() for one in self.truth]).long().numpy()
        predicted = torch.cat([one.flatten() for one in self.predicted]).long().numpy()
        return truth[truth != self.void], predicted[truth != self.void]


def split(
    seed: int,
    classes: int,
    predictions: int | None = None,
    *,
    void: int = -1,
    absent: tuple[int, ...] = (),
    unpredicted: tuple[int, ...] = (),
    skill: float = 0.5,
    hidden: float = 0.1,
) -> Split:
    """Three batches of unequal size, in which classes are of very different frequency.

    Args:
        seed: of everything.
        classes: of the truth.
        predictions: classes or clusters predicted; left out, as many as classes.
        void: what stands for no class.
        absent: classes that the truth does not have.
        unpredicted: classes that are never predicted.
        skill: share of the pixels whose prediction follows the truth.
        hidden: share that is void; a void pixel may be predicted anything.
    """
    chance = np.random.default_rng(seed)
    predictions = classes if predictions is None else predictions
    often = chance.dirichlet(np.full(classes, 0.5))
    often[list(absent)] = 0
    cluster_of = chance.permutation(max(classes, predictions))[:classes] % predictions
    if predictions == classes:
        cluster_of = np.arange(classes)
    free = np.setdiff1d(np.arange(predictions), unpredicted)
    truths, guesses = [], []
    for images in (4, 1, 3):
        shape = (images, 19, 23)
        truth = chance.choice(classes, shape, p=often / often.sum())
        guess = np.where(
            chance.random(shape) < skill, cluster_of[truth], chance.choice(free, shape)
        )
        guess = np.where(np.isin(guess, unpredicted), free[0], guess)
        truth = np.where(chance.random(shape) < hidden, void, truth)
        truths.append(torch.from_numpy(truth.astype(np.uint8 if void > 0 else np.int64)))
        guesses.append(torch.from_numpy(guess))
    return Split(classes, predictions, truths, guesses, void)


# Of classes that the linear probe predicts.
SPLITS = {
    "two classes": split(1, 2),
    "27 classes": split(2, 27),
    "void is 255": split(3, 27, void=255),
    "nothing is void": split(4, 5, hidden=0),
    "hardly anything known": split(5, 6, hidden=0.98),
    "no better than chance": split(6, 9, skill=0),
    "all right": split(7, 9, skill=1),
    "classes that are nowhere": split(8, 12, absent=(0, 4, 11), unpredicted=(0, 4, 11)),
    "classes in the prediction alone": split(9, 12, absent=(3, 5)),
    "classes in the truth alone": split(10, 12, unpredicted=(2, 7)),
    "all at once": split(11, 12, absent=(1, 2), unpredicted=(2, 7), void=255),
    "171 classes": split(12, 171),
}
# Classes, clusters, and classes that do not occur.
CLUSTERED = {
    "as many": split(20, 27, 27),
    "more clusters": split(21, 27, 40),
    "many more clusters": split(22, 3, 50),
    "fewer clusters": split(23, 27, 11),
    "absent classes": split(24, 12, 12, absent=(0, 5), unpredicted=(3,)),
    "absent classes, more clusters": split(25, 12, 20, absent=(0, 5), unpredicted=(3, 17)),
    "no better than chance": split(26, 9, 14, skill=0),
    "void is 255": split(27, 27, 30, void=255),
}
given_split = pytest.mark.parametrize("case", SPLITS.values(), ids=SPLITS)
given_clusters = pytest.mark.parametrize("case", CLUSTERED.values(), ids=CLUSTERED)


# --- the linear probe


@given_split
def test_counts_are_those_of_torchmetrics(case: Split) -> None:
    theirs = MulticlassConfusionMatrix(case.classes, ignore_index=case.void)
    for truth, predicted in zip(case.truth, case.predicted, strict=True):
        theirs.update(predicted, truth.long())
    assert torch.equal(case.counted().counts, theirs.compute())


@given_split
def test_accuracy_and_miou_are_those_of_torchmetrics(case: Split) -> None:
    accuracy = MulticlassAccuracy(case.classes, average="micro", ignore_index=case.void)
    miou = MulticlassJaccardIndex(case.classes, average="macro", ignore_index=case.void)
    each = MulticlassJaccardIndex(
        case.classes, average="none", ignore_index=case.void, zero_division=math.nan
    )
    for truth, predicted in zip(case.truth, case.predicted, strict=True):
        for metric in (accuracy, miou, each):
            metric.update(predicted, truth.long())
    found = scores(case.counted(), case.names())
    assert found.accuracy == pytest.approx(100 * accuracy.compute().item(), rel=1e-5)
    assert found.miou == pytest.approx(100 * miou.compute().item(), rel=1e-5)
    theirs = (100 * each.compute()).tolist()
    assert list(found.iou.values()) == pytest.approx(theirs, rel=1e-5, nan_ok=True)


@given_split
def test_accuracy_and_iou_are_those_of_scikit_learn(case: Split) -> None:
    truth, predicted = case.known()
    found = scores(case.counted(), case.names())
    assert found.accuracy == pytest.approx(100 * accuracy_score(truth, predicted))
    for label, iou in enumerate(found.iou.values()):
        if label in truth or label in predicted:
            theirs = jaccard_score(truth, predicted, labels=[label], average=None, zero_division=0)
            assert iou == pytest.approx(100 * theirs[0])
        else:
            assert math.isnan(iou)


def test_the_splits_have_what_they_are_named_for() -> None:
    """An absent class that occurred after all would compare nothing."""
    absent = {
        name: [math.isnan(iou) for iou in scores(case.counted(), case.names()).iou.values()]
        for name, case in SPLITS.items()
    }
    assert [i for i, gone in enumerate(absent["classes that are nowhere"]) if gone] == [0, 4, 11]
    assert 2 in [i for i, gone in enumerate(absent["all at once"]) if gone]
    assert not any(absent["27 classes"])
    for name in ("classes in the prediction alone", "classes in the truth alone"):
        iou = scores(SPLITS[name].counted(), SPLITS[name].names()).iou
        assert list(iou.values()).count(0) >= 2


# --- clusters


def most_right(counts: np.ndarray) -> int:
    """The best one-to-one assignment's pixels, by an algorithm other than the Hungarian one.

    A sparse matrix forgets zeros; one more everywhere leaves the best the best.
    """
    more = csr_array(counts + 1)
    rows, columns = min_weight_full_bipartite_matching(more, maximize=True)
    return int(counts[rows, columns].sum())


@given_clusters
def test_the_matching_is_as_good_as_other_solvers_find(case: Split) -> None:
    assignment = match(case.counted())
    used = assignment[assignment != UNMATCHED].tolist()
    assert len(set(used)) == len(used) == min(case.classes, case.predictions)
    truth, predicted = case.known()
    right = int((assignment.numpy()[predicted] == truth).sum())
    # Their table has rows and columns for what occurs only, in ascending order.
    table = contingency_matrix(truth, predicted)
    assert right == most_right(table)
    rows, columns = linear_sum_assignment(table.max() - table)
    assert right == table[rows, columns].sum()


@given_clusters
def test_clusters_score_as_torchmetrics_scores_their_classes(case: Split) -> None:
    """The unmatched clusters are a class of their own there, which is in no mean here."""
    counted = case.counted()
    assignment = match(counted)
    found = scores(counted, case.names(), assignment)
    mapped = torch.where(assignment == UNMATCHED, case.classes, assignment)
    size, void = case.classes + 1, case.void
    accuracy = MulticlassAccuracy(size, average="micro", ignore_index=void)
    each = MulticlassJaccardIndex(size, average="none", ignore_index=void, zero_division=math.nan)
    table = MulticlassConfusionMatrix(size, ignore_index=void)
    for truth, predicted in zip(case.truth, case.predicted, strict=True):
        for metric in (accuracy, each, table):
            metric.update(mapped[predicted], truth.long())
    assert found.accuracy == pytest.approx(100 * accuracy.compute().item(), rel=1e-5)
    theirs = 100 * each.compute()[:-1]
    assert list(found.iou.values()) == pytest.approx(theirs.tolist(), rel=1e-5, nan_ok=True)
    assert found.miou == pytest.approx(theirs.nanmean().item(), rel=1e-5)
    assert torch.equal(found.confusion, table.compute()[:-1])


def test_a_permutation_is_found_again() -> None:
    """Where clusters are the classes under other numbers, nothing is lost."""
    truth, _ = split(30, 27).known()
    order = np.random.default_rng(31).permutation(27)
    counted = Confusion(27)
    counted.update(torch.from_numpy(truth), torch.from_numpy(order[truth]))
    assignment = match(counted)
    occurring = np.unique(truth)
    assert assignment[order[occurring]].tolist() == occurring.tolist()
    assert scores(counted, split(30, 27).names(), assignment).accuracy == 100
