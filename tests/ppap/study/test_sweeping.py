"""A sweep must give what propagate and trust give at each of its settings."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ppap.evaluation.trust import trust
from ppap.propagation import propagate, unit
from ppap.settings import Settings
from ppap.study import sweeping as module
from ppap.study.sweeping import Measured, sweep

FIELDS = (
    "positives",
    "precision",
    "recall",
    "ambiguous",
    "purity",
    "negatives",
    "false_negatives",
)


def clustered(count: int, classes: int, seed: int, noise: float = 0.8) -> tuple[Tensor, Tensor]:
    chance = torch.Generator().manual_seed(seed)
    centres = unit(torch.randn(classes, 12, generator=chance, dtype=torch.float64))
    labels = torch.randint(-1, classes, (count,), generator=chance)
    noises = unit(torch.randn(count, 12, generator=chance, dtype=torch.float64))
    return centres[labels] + noise * noises, labels


def agree(found: Measured, features: Tensor, anchors: Tensor, labels: Tensor) -> None:
    sets = propagate(features, anchors, **found.settings.as_dict())  # type: ignore[arg-type]
    each = trust(sets, anchors, labels)
    mean = each.mean()
    for name in FIELDS:
        got, wanted = getattr(found, name), getattr(mean, name)
        assert got == pytest.approx(wanted, abs=1e-9, nan_ok=True), (name, found.settings)
    known = each.known
    p, r = each.precision.nan_to_num(0)[known], each.recall[known]
    f1 = torch.where(p + r > 0, 2 * p * r / (p + r), torch.where(r.isnan(), torch.nan, 0))
    # Alone in its class and with an empty P, an anchor has no F1; with false positives it is 0.
    f1 = torch.where(r.isnan() & (each.positives[known] > 0), 0, f1)
    assert found.f1 == pytest.approx(float(f1.nanmean()), abs=1e-9, nan_ok=True)
    assert found.empty == pytest.approx(float((each.positives[known] == 0).double().mean()))
    moved = sets.moved.sum(dim=0)[known].mean()
    assert found.moved == pytest.approx(float(moved), abs=1e-9)


GRID = [
    Settings(phi0, psi0, sigma_pos, sigma_amb, steps)
    for phi0 in (0.3, 0.7)
    for psi0 in (0.1, 0.8)
    for sigma_pos in (0.5, 4)
    for sigma_amb in (0.3, 5)
    for steps in (3, 0, 1)
]


@given(seed=st.integers(0, 10**6), classes=st.integers(1, 5), noise=st.floats(0.1, 2))
@settings(max_examples=6, deadline=None, derandomize=True)
def test_it_equals_propagate_and_trust(seed: int, classes: int, noise: float) -> None:
    features, labels = clustered(90, classes, seed, noise)
    labels[0] = 0  # one at least has a class
    anchors = torch.randperm(90, generator=torch.Generator().manual_seed(seed))[:25]
    anchors = torch.cat([anchors, torch.tensor([0])]).unique()
    found = sweep(features, anchors, GRID, labels=labels)
    assert [one.settings for one in found] == GRID
    for one in found:
        agree(one, features, anchors, labels)


def test_parts_of_the_anchors_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    features, labels = clustered(120, 4, 3)
    anchors = torch.arange(0, 120, 3)
    whole = sweep(features, anchors, GRID, labels=labels)
    monkeypatch.setattr(module, "ANCHORS_AT_ONCE", 7)
    parts = sweep(features, anchors, GRID, labels=labels)
    for a, b in zip(whole, parts, strict=True):
        for name in Measured._fields[1:]:
            assert getattr(a, name) == pytest.approx(getattr(b, name), abs=1e-9, nan_ok=True)


def test_without_labels_there_are_sizes_only() -> None:
    features, labels = clustered(80, 3, 1)
    labels = torch.zeros_like(labels)
    anchors = torch.arange(0, 80, 4)
    plain = sweep(features, anchors, GRID)
    for one, other in zip(plain, sweep(features, anchors, GRID, labels=labels), strict=True):
        assert one.positives == other.positives
        assert one.ambiguous == other.ambiguous
        assert one.negatives == other.negatives
        assert all(
            math.isnan(getattr(one, name))
            for name in ("precision", "recall", "f1", "purity", "false_negatives")
        )


def test_progress_grows_to_one_and_may_end_the_sweep() -> None:
    features, labels = clustered(60, 3, 1)
    shares: list[float] = []
    sweep(features, torch.arange(20), GRID, labels=labels, progress=shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1)
    assert len(shares) == 4  # trajectories of two Φ⁰ and two σ_pos

    class Enough(Exception):
        pass

    def enough(share: float) -> None:
        raise Enough

    with pytest.raises(Enough):
        sweep(features, torch.arange(20), GRID, labels=labels, progress=enough)


def test_what_does_not_fit_is_refused() -> None:
    features, labels = clustered(60, 3, 1)
    with pytest.raises(ValueError, match="60 patches, not 59"):
        sweep(features, torch.arange(20), GRID, labels=labels[:59])
    with pytest.raises(IndexError):
        sweep(features, torch.tensor([60]), GRID, labels=labels)


def test_equal_to_a_criterion_is_not_above_it() -> None:
    # Cosines with the first patch: 1, exactly 0 = Ψ⁰, 0.6, −1.
    features = torch.tensor([[1, 0], [0, 1], [0.6, 0.8], [-1, 0]], dtype=torch.float64)
    (found,) = sweep(features, torch.tensor([0]), [Settings(0.9, 0, 3, 4, 0)])
    assert (found.positives, found.ambiguous, found.negatives) == (0, 1, 2)
