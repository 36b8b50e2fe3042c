from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, precision_recall_curve
from torch import Tensor

from ppap.propagation import unit
from ppap.study import same_class as module
from ppap.study.same_class import same_class


def clustered(count: int, classes: int, seed: int, noise: float) -> tuple[Tensor, Tensor]:
    chance = torch.Generator().manual_seed(seed)
    centres = unit(torch.randn(classes, 12, generator=chance, dtype=torch.float64))
    labels = torch.randint(-1, classes, (count,), generator=chance)
    labels[:2] = 0  # one pair of a class at least
    noises = unit(torch.randn(count, 12, generator=chance, dtype=torch.float64))
    return centres[labels] + noise * noises, labels


def pairs(features: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Whether each pair is of one class, and its cosine."""
    f, labels = unit(features)[labels >= 0], labels[labels >= 0]
    i, j = torch.triu_indices(len(f), len(f), 1)
    return (labels[i] == labels[j]).long(), (f[i] * f[j]).sum(dim=1)


@given(
    seed=st.integers(0, 10**6),
    classes=st.integers(2, 6),
    noise=st.floats(0.1, 3),
    count=st.integers(20, 90),
)
@settings(max_examples=15, deadline=None, derandomize=True)
def test_the_area_is_scikit_learns(seed: int, classes: int, noise: float, count: int) -> None:
    features, labels = clustered(count, classes, seed, noise)
    same, cosines = pairs(features, labels)
    found = same_class(features, labels)
    exact = average_precision_score(same.numpy(), cosines.numpy())
    assert abs(found.area - exact) <= found.within + 1e-12
    assert found.within < 0.02
    assert found.pairs == len(same)
    assert found.chance == pytest.approx(float(same.double().mean()))


def test_in_bins_it_is_scikit_learns_to_the_last_digit() -> None:
    features, labels = clustered(80, 4, 3, 1.0)
    same, cosines = pairs(features, labels)
    binned = ((cosines + 1) * (module.BINS / 2)).long()
    found = same_class(features, labels)
    exact = average_precision_score(same.numpy(), binned.numpy())
    assert found.area == pytest.approx(exact, abs=1e-12)
    precision, recall, _ = precision_recall_curve(same.numpy(), binned.numpy())
    exactly = {(round(r, 9), round(p, 9)) for r, p in zip(recall, precision, strict=True)}
    assert len(found.curve) == 100
    for step, point in enumerate(found.curve, 1):
        assert (round(point.recall, 9), round(point.precision, 9)) in exactly
        assert point.recall >= step / 100 - 1e-9
        above = cosines >= point.cosine
        assert float(same[above].sum()) / float(same.sum()) == pytest.approx(point.recall, abs=1e-9)


def test_with_few_bins_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    features, labels = clustered(60, 3, 1, 1.0)
    same, cosines = pairs(features, labels)
    fine = same_class(features, labels)
    monkeypatch.setattr(module, "BINS", 20)
    coarse = same_class(features, labels)
    exact = average_precision_score(same.numpy(), cosines.numpy())
    assert fine.within < coarse.within < 0.2
    assert abs(coarse.area - exact) <= coarse.within


def test_rows_at_once_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    features, labels = clustered(80, 4, 2, 1.0)
    whole = same_class(features, labels)
    monkeypatch.setattr(module, "ROWS_AT_ONCE", 7)
    shares: list[float] = []
    assert same_class(features, labels, progress=shares.append) == whole
    assert shares == sorted(shares)
    assert shares[-1] == 1


def test_perfect_features_and_none() -> None:
    labels = torch.tensor([0, 0, 1, 1, -1])
    f = torch.tensor([[1, 0], [1, 0], [0, 1], [0, 1], [1, 1.0]])
    found = same_class(f, labels)
    assert (found.area, found.pairs) == (1, 6)
    assert found.chance == pytest.approx(1 / 3)
    apart = same_class(f, torch.tensor([0, 1, 2, 3, -1]))
    assert math.isnan(apart.area)
    assert (apart.chance, apart.curve) == (0, ())
    assert same_class(f, torch.full((5,), -1)).pairs == 0


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="one for every patch"):
        same_class(torch.ones(4, 2), torch.zeros(3, dtype=torch.int64))
