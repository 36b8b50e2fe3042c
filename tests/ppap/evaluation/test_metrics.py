"""Scores against hand-made cases, scikit-learn's confusion matrix and all possible matchings."""

from __future__ import annotations

import itertools
import json
import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ppap.evaluation.metrics import (
    Confusion,
    FrequencyGroups,
    assigned,
    frequency_groups,
    group_means,
    identity,
    match,
    scores,
)

quick = settings(max_examples=80, deadline=None, derandomize=True)
NAN = math.nan


def confusion(rows: list[list[int]]) -> Confusion:
    made = Confusion(len(rows), len(rows[0]))
    made.counts += torch.tensor(rows)
    return made


def letters(count: int) -> tuple[str, ...]:
    return tuple("abcdefghijklm"[:count])


def test_the_linear_probe_by_hand() -> None:
    found = scores(confusion([[6, 2, 0], [1, 3, 0], [0, 4, 4]]), ("a", "b", "c"))
    assert found.accuracy == pytest.approx(100 * 13 / 20)
    assert found.iou == pytest.approx({"a": 600 / 9, "b": 300 / 10, "c": 400 / 8})
    assert found.miou == pytest.approx((600 / 9 + 30 + 50) / 3)
    assert found.confusion.tolist() == [[6, 2, 0, 0], [1, 3, 0, 0], [0, 4, 4, 0]]


def test_clusters_by_hand() -> None:
    # Greedily, cluster 0 would go to class a (9) and leave b with 1; crossed, 8 + 7 are right.
    clusters = confusion([[9, 8], [7, 1]])
    assert match(clusters).tolist() == [1, 0]
    found = scores(clusters, ("a", "b"), match(clusters))
    assert found.accuracy == pytest.approx(100 * 15 / 25)
    assert found.iou == pytest.approx({"a": 800 / 18, "b": 700 / 17})
    assert found.confusion.tolist() == [[8, 9, 0], [1, 7, 0]]


def test_clusters_left_over_are_wrong() -> None:
    clusters = confusion([[5, 4, 0], [0, 1, 8]])
    assert match(clusters).tolist() == [0, -1, 1]
    found = scores(clusters, ("a", "b"), match(clusters))
    assert found.confusion.tolist() == [[5, 0, 4], [0, 8, 1]]
    assert found.accuracy == pytest.approx(100 * 13 / 18)
    assert found.iou == pytest.approx({"a": 500 / 9, "b": 800 / 9})
    assert found.miou == pytest.approx(1300 / 18), "the rest is no class of its own in the mean"


def test_fewer_clusters_than_classes() -> None:
    clusters = confusion([[1, 0], [0, 9], [5, 0]])
    assert match(clusters).tolist() == [2, 1]
    found = scores(clusters, ("a", "b", "c"), match(clusters))
    assert found.iou == pytest.approx({"a": 0, "b": 100, "c": 500 / 6})


def test_only_absent_classes_are_left_out_of_the_mean() -> None:
    # a: in the truth only. b: in the prediction only. d: in neither.
    found = scores(confusion([[0, 2, 0, 0], [0, 0, 0, 0], [0, 0, 6, 0], [0] * 4]), letters(4))
    assert found.iou == pytest.approx({"a": 0, "b": 0, "c": 100, "d": NAN}, nan_ok=True)
    assert found.miou == pytest.approx(100 / 3)


def test_nothing_counted_is_not_a_number_and_json_has_none_for_it() -> None:
    found = scores(Confusion(2), ("a", "b"))
    assert math.isnan(found.accuracy)
    assert math.isnan(found.miou)
    assert json.loads(json.dumps(found.record(), allow_nan=False)) == {
        "accuracy": None,
        "miou": None,
        "iou": {"a": None, "b": None},
        "assignment": [0, 1],
        "confusion": [[0, 0, 0], [0, 0, 0]],
    }


def test_a_record_holds_the_numbers() -> None:
    record = scores(confusion([[3, 1], [0, 4]]), ("a", "b")).record()
    assert record["accuracy"] == pytest.approx(87.5)
    assert record["miou"] == pytest.approx((75 + 80) / 2)
    assert record["iou"] == pytest.approx({"a": 75, "b": 80})


@st.composite
def labelled(draw: st.DrawFn) -> tuple[Tensor, Tensor, int, int]:
    classes, clusters = draw(st.integers(1, 5)), draw(st.integers(1, 6))
    n = draw(st.integers(1, 40))
    truth = draw(st.lists(st.integers(-1, classes - 1), min_size=n, max_size=n))
    prediction = draw(st.lists(st.integers(0, clusters - 1), min_size=n, max_size=n))
    return torch.tensor(truth), torch.tensor(prediction), classes, clusters


@quick
@given(labelled(), st.integers(0, 40))
def test_counts_are_those_of_scikit_learn_in_whatever_parts(
    case: tuple[Tensor, Tensor, int, int], cut: int
) -> None:
    from sklearn.metrics import confusion_matrix

    truth, prediction, classes, clusters = case
    first, second = Confusion(classes, clusters), Confusion(classes, clusters)
    first.update(truth[:cut], prediction[:cut])
    second.update(truth[cut:].unsqueeze(0), prediction[cut:].unsqueeze(0).to(torch.uint8))
    first.merge(second)
    known = truth != -1
    labels = list(range(max(classes, clusters, 2)))
    if not known.any():
        assert not first.counts.any()
        return
    theirs = confusion_matrix(truth[known], prediction[known], labels=labels)
    assert first.counts.tolist() == theirs[:classes, :clusters].tolist()
    assert first.counts.dtype == torch.int64


@quick
@given(labelled())
def test_no_assignment_has_more_pixels_right(case: tuple[Tensor, Tensor, int, int]) -> None:
    truth, prediction, classes, clusters = case
    counted = Confusion(classes, clusters)
    counted.update(truth, prediction)
    table = counted.counts.tolist()
    if clusters >= classes:
        every = itertools.permutations(range(clusters), classes)
        best = max(sum(table[c][k] for c, k in enumerate(order)) for order in every)
    else:
        every = itertools.permutations(range(classes), clusters)
        best = max(sum(table[c][k] for k, c in enumerate(order)) for order in every)
    assignment = match(counted)
    used = assignment[assignment >= 0].tolist()
    assert len(set(used)) == len(used) == min(classes, clusters)
    assert int(assigned(counted, assignment).diagonal().sum()) == best


@quick
@given(labelled())
def test_scores_as_pixel_by_pixel(case: tuple[Tensor, Tensor, int, int]) -> None:
    truth, prediction, classes, clusters = case
    counted = Confusion(classes, clusters)
    counted.update(truth, prediction)
    assignment = match(counted)
    found = scores(counted, letters(classes), assignment)
    known = truth != -1
    mapped, true = assignment[prediction][known], truth[known]
    ious = []
    for class_id, name in enumerate(letters(classes)):
        both = int(((mapped == class_id) & (true == class_id)).sum())
        either = int(((mapped == class_id) | (true == class_id)).sum())
        ious.append(100 * both / either if either else NAN)
        assert found.iou[name] == pytest.approx(ious[-1], nan_ok=True)
    present = [iou for iou in ious if not math.isnan(iou)]
    assert found.miou == pytest.approx(sum(present) / len(present) if present else NAN, nan_ok=True)
    share = 100 * float((mapped == true).double().mean()) if len(true) else NAN
    assert found.accuracy == pytest.approx(share, nan_ok=True)
    assert int(found.confusion.sum()) == len(true)


def test_void_may_be_another_number_and_hides_any_prediction() -> None:
    counted = Confusion(2)
    counted.update(torch.tensor([0, 255, 1], dtype=torch.uint8), torch.tensor([1, 77, 1]), void=255)
    assert counted.counts.tolist() == [[0, 1], [0, 1]]
    with pytest.raises(ValueError, match="truth holds 255"):
        counted.update(torch.tensor([0, 255], dtype=torch.uint8), torch.tensor([1, 1]))


def test_groups_are_thirds_by_pixels() -> None:
    rows = [[0] * 7 for _ in range(7)]
    for class_id, pixels in enumerate((50, 10, 0, 40, 10, 30, 20)):
        rows[class_id][class_id] = pixels
    rows[0][1], rows[0][0] = 25, 25  # a: 25 of 50; b: 10 of 35
    counted = confusion(rows)
    groups = frequency_groups(counted, letters(7))
    # From 6 classes with pixels; b comes before e, c has none.
    assert groups == FrequencyGroups(("b", "e"), ("g", "f"), ("d", "a"))
    means = group_means(scores(counted, letters(7)), groups)
    assert means == pytest.approx(((1000 / 35 + 100) / 2, 100, (100 + 50) / 2))


@pytest.mark.parametrize(
    ("count", "sizes"),
    [(0, (0, 0, 0)), (1, (0, 1, 0)), (2, (1, 0, 1)), (4, (1, 2, 1)), (27, (9, 9, 9))],
)
def test_sizes_of_the_groups(count: int, sizes: tuple[int, int, int]) -> None:
    counted = Confusion(max(count, 1))
    counted.counts += torch.eye(max(count, 1)).long() * bool(count)
    names = tuple(str(i) for i in range(max(count, 1)))
    groups = frequency_groups(counted, names)
    assert tuple(len(group) for group in groups) == sizes
    if not count:
        assert math.isnan(group_means(scores(counted, names), groups).few)


A, B = torch.tensor([0, 1]), torch.tensor([0, 1, 1])


@pytest.mark.parametrize(
    ("truth", "prediction", "error", "sentence"),
    [
        (A.float(), A, TypeError, "truth must be a tensor of whole numbers, not torch.float32"),
        (A, A.bool(), TypeError, "prediction must be a tensor of whole numbers, not torch.bool"),
        ([0, 1], A, TypeError, "truth must be a tensor of whole numbers, not list"),
        (A, B, ValueError, r"truth \(2,\) and prediction \(3,\) must have the same shape"),
        (A + 1, A, ValueError, "truth holds 2: it must be from 0 to 1 or -1 for void"),
        (A - 2, A, ValueError, "truth holds -2"),
        (A, A - 1, ValueError, "prediction holds -1: it must be from 0 to 1"),
        (A, A + 1, ValueError, "prediction holds 2"),
    ],
)
def test_errors_of_update(
    truth: Any, prediction: Any, error: type[Exception], sentence: str
) -> None:
    counted = Confusion(2)
    with pytest.raises(error, match=sentence):
        counted.update(truth, prediction)
    assert not counted.counts.any()


def test_other_errors() -> None:
    with pytest.raises(ValueError, match=r"cannot add counts \(2, 3\) to \(2, 2\)"):
        Confusion(2).merge(Confusion(2, 3))
    with pytest.raises(ValueError, match="classes must be a whole number, 1 or more"):
        Confusion(0)
    with pytest.raises(ValueError, match="3 predictions for 2 classes are clusters"):
        identity(Confusion(2, 3))
    with pytest.raises(ValueError, match="2 classes need as many different names, not 2 names"):
        scores(Confusion(2), ("food", "food"))
    with pytest.raises(ValueError, match=r"assignment must have the shape \(3,\)"):
        scores(Confusion(2, 3), ("a", "b"), A)
    with pytest.raises(ValueError, match=r"assignment holds 2.*or −1 for unmatched"):
        scores(Confusion(2), ("a", "b"), A + 1)
    with pytest.raises(TypeError, match="assignment must be a tensor of whole numbers"):
        scores(Confusion(2), ("a", "b"), A.float())
