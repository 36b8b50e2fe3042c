"""The trust measures, counted by hand and by plain loops."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ppap import propagation
from ppap.evaluation.trust import Trust, trust
from ppap.propagation import Partition, propagate

quick = settings(max_examples=60, deadline=None, derandomize=True)
NAN = math.nan
SHARES = ("precision", "recall", "purity", "false_negatives")


def sets_from(codes: list[list[str]]) -> Partition:
    """Rows of letters, one a patch: p, a, n, and . for the anchor."""
    table = torch.tensor([[ord(letter) for letter in row] for row in codes])
    return Partition(*(table == ord(letter) for letter in "pan"))


def check(found: Trust, **expected: list[float]) -> None:
    for name, values in expected.items():
        got = getattr(found, name).double()
        wanted = torch.tensor(values, dtype=torch.float64)
        assert torch.allclose(got, wanted, equal_nan=True), (name, got, wanted)


def test_by_hand() -> None:
    # Class 5 is at 0, 1, 2, 4, 6, 8; the anchor is 0.
    labels = torch.tensor([5, 5, 5, 3, 5, 3, 5, 2, 5, 2])
    sets = sets_from([list(".pppaannnn")])
    check(
        trust(sets, torch.tensor([0]), labels),
        known=[1],
        positives=[3],
        precision=[2 / 3],  # 1, 2 of 1, 2, 3
        recall=[2 / 5],  # of 1, 2, 4, 6, 8
        ambiguous=[2],
        purity=[1 / 2],  # 4 of 4, 5
        negatives=[4],
        false_negatives=[2 / 4],  # 6, 8 of 6, 7, 8, 9
    )


def test_void_patches_count_nowhere() -> None:
    labels = torch.tensor([1, 1, -1, 1, -1, 2, -1, 2, 1])
    sets = sets_from([list(".ppaaannn")])
    check(
        trust(sets, torch.tensor([0]), labels),
        positives=[1],
        precision=[1],
        recall=[1 / 3],
        ambiguous=[2],
        purity=[1 / 2],
        negatives=[2],
        false_negatives=[1 / 2],
    )


def test_a_void_anchor_has_counts_but_no_shares() -> None:
    labels = torch.tensor([-1, 1, -1, 2])
    check(
        trust(sets_from([list(".ppn")]), torch.tensor([0]), labels),
        known=[0],
        positives=[1],
        precision=[NAN],
        recall=[NAN],
        ambiguous=[0],
        purity=[NAN],
        negatives=[1],
        false_negatives=[NAN],
    )


def test_empty_sets_and_a_class_of_one_have_no_share() -> None:
    labels = torch.tensor([0, 1, 1, 1])
    sets = sets_from([list(".nnn"), list("p.aa"), list("aaa.")])
    check(
        trust(sets, torch.tensor([0, 1, 3]), labels),
        positives=[0, 1, 0],
        precision=[NAN, 0, NAN],
        recall=[NAN, 0, 0],
        purity=[NAN, 1, 2 / 3],
        false_negatives=[0, NAN, NAN],
    )


def test_the_void_label_may_be_another_number() -> None:
    labels = torch.tensor([0, 0, 255, -1, -1])
    sets = sets_from([list(".ppnn"), list("nnp.p")])
    found = trust(sets, torch.tensor([0, 3]), labels, void=255)
    check(found, known=[1, 1], positives=[1, 1], precision=[1, 1], recall=[1, 1], negatives=[2, 2])


def test_mean_is_over_the_anchors_with_a_class_and_the_shares_that_exist() -> None:
    labels = torch.tensor([1, 1, 2, -1, 1])
    sets = sets_from([list(".pnnn"), list("n.nnn"), list("ppnp.")[:5], list("ppp.p")])
    found = trust(sets, torch.tensor([0, 1, 4, 3]), labels)
    check(found, positives=[1, 0, 2, 4], precision=[1, NAN, 1, NAN])
    mean = found.mean()
    assert mean.anchors == 3
    assert mean.positives == pytest.approx(1)  # (1 + 0 + 2) / 3: the void anchor's 4 is not in it
    assert mean.precision == pytest.approx(1)  # of two anchors
    assert mean.recall == pytest.approx((1 / 2 + 0 + 1) / 3)
    assert mean.negatives == pytest.approx((2 + 3 + 1) / 3)
    assert math.isnan(mean.purity)


def test_the_mean_of_nothing_is_not_a_number() -> None:
    labels = torch.tensor([-1, -1])
    for anchors in (torch.tensor([0]), torch.empty(0, dtype=torch.int64)):
        codes = torch.zeros(len(anchors), 2, dtype=torch.bool)
        mean = trust(Partition(codes, codes, codes), anchors, labels).mean()
        assert mean.anchors == 0
        assert math.isnan(mean.positives)
        assert math.isnan(mean.precision)


def by_plain_loops(sets: Partition, anchor: int, row: int, labels: list[int]) -> dict[str, float]:
    """Every measure of one anchor, patch by patch."""
    own, n = labels[anchor], len(labels)
    out: dict[str, float] = {}
    names = (("positives", "precision"), ("ambiguous", "purity"), ("negatives", "false_negatives"))
    for part, (count, share) in zip(sets, names, strict=True):
        inside = [labels[j] for j in range(n) if part[row, j] and labels[j] != -1]
        out[count] = len(inside)
        out[share] = inside.count(own) / len(inside) if inside and own != -1 else NAN
    same = [j for j in range(n) if labels[j] == own and j != anchor]
    found = sum(bool(sets.positive[row, j]) for j in same)
    out["recall"] = found / len(same) if same and own != -1 else NAN
    return out


@st.composite
def labelled(draw: st.DrawFn) -> tuple[Tensor, Tensor, Tensor]:
    n = draw(st.integers(1, 30))
    g = torch.Generator().manual_seed(draw(st.integers(0, 9999)))
    labels = draw(st.lists(st.integers(-1, 2), min_size=n, max_size=n))
    anchors = draw(st.lists(st.integers(0, n - 1), max_size=5))
    return (
        torch.randn(n, 3, generator=g),
        torch.tensor(anchors, dtype=torch.int64),
        torch.tensor(labels),
    )


@quick
@given(labelled())
def test_as_plain_loops_count(case: tuple[Tensor, Tensor, Tensor]) -> None:
    features, anchors, labels = case
    sets = propagate(features, anchors)
    for t in range(sets.steps + 1):
        found = trust(sets.at(t), anchors, labels)
        for row, anchor in enumerate(anchors.tolist()):
            for name, value in by_plain_loops(sets.at(t), anchor, row, labels.tolist()).items():
                assert float(getattr(found, name)[row]) == pytest.approx(value, nan_ok=True), name


@quick
@given(labelled())
def test_shares_are_shares_and_true_positives_add_up(
    case: tuple[Tensor, Tensor, Tensor],
) -> None:
    features, anchors, labels = case
    found = trust(propagate(features, anchors), anchors, labels)
    for name in SHARES:
        share = getattr(found, name)
        assert (share.isnan() | ((share >= 0) & (share <= 1))).all()
        assert share[~found.known].isnan().all()
    with_class = (labels != -1).sum()
    counted = found.positives + found.ambiguous + found.negatives
    assert torch.equal(counted, with_class - found.known.long())
    # All of the anchor's class is in one of the three sets.
    same = sum(
        (count * share.nan_to_num())
        for count, share in (
            (found.positives, found.precision),
            (found.ambiguous, found.purity),
            (found.negatives, found.false_negatives),
        )
    )
    others = torch.tensor([(labels == labels[a]).sum() - 1 for a in anchors.tolist()])
    torch.testing.assert_close(same[found.known], others[found.known].double())  # type: ignore[index]


def test_a_result_is_its_last_step() -> None:
    g = torch.Generator().manual_seed(0)
    labels, anchors = torch.randint(3, (50,), generator=g), torch.arange(7)
    sets = propagate(torch.randn(50, 3, generator=g), anchors)
    for one, other in zip(
        trust(sets, anchors, labels), trust(sets.at(-1), anchors, labels), strict=True
    ):
        torch.testing.assert_close(one, other, equal_nan=True)


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    g = torch.Generator().manual_seed(0)
    labels, anchors = torch.randint(-1, 3, (50,), generator=g), torch.arange(0, 50, 3)
    sets = propagate(torch.randn(50, 3, generator=g), anchors)
    whole = trust(sets, anchors, labels)
    monkeypatch.setattr(propagation, "CHUNK_BYTES", 50 * 8 * 2)
    for one, other in zip(trust(sets, anchors, labels), whole, strict=True):
        torch.testing.assert_close(one, other, equal_nan=True)


ONE = sets_from([list(".pan")])


@pytest.mark.parametrize(
    ("sets", "anchors", "labels", "error", "sentence"),
    [
        (ONE, torch.tensor([0]), torch.zeros(4), TypeError, "labels must be an int64"),
        (ONE, torch.tensor([0]), [0] * 4, TypeError, "labels must be an int64.*not list"),
        (ONE, torch.tensor([0]), torch.zeros(2, 2).long(), ValueError, r"shape \(N,\)"),
        (ONE, torch.tensor([0.0]), torch.zeros(4).long(), TypeError, "anchors must be an int64"),
        (ONE, torch.tensor([4]), torch.zeros(4).long(), IndexError, "anchor 4 is outside"),
        (ONE, torch.tensor([0, 1]), torch.zeros(4).long(), ValueError, r"positive.*\(2, 4\)"),
        (ONE, torch.tensor([0]), torch.zeros(5).long(), ValueError, r"positive.*\(1, 5\)"),
        (
            Partition(ONE.positive, ONE.ambiguous.int(), ONE.negative),
            torch.tensor([0]),
            torch.zeros(4).long(),
            ValueError,
            "ambiguous must be bool",
        ),
    ],
)
def test_errors(
    sets: Any, anchors: Tensor, labels: Any, error: type[Exception], sentence: str
) -> None:
    with pytest.raises(error, match=sentence):
        trust(sets, anchors, labels)
