"""Every anchor at once must give what propagate and trust give for each."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import settings as rules
from hypothesis import strategies as st
from torch import Tensor

from ppap.evaluation.trust import trust
from ppap.propagation import propagate, unit
from ppap.settings import Settings
from ppap.study import every_anchor as module
from ppap.study.every_anchor import (
    MEASURES,
    AnchorTable,
    Stopped,
    anchor_parts,
    every_anchor,
    spread,
)

CHOICES = (
    Settings(0.4, 0.1, 3, 4, 2),
    Settings(0.8, 0.7, 1, 0.2, 3),  # Ψ overtakes Φ
    Settings(0.5, 0.2, 3, 4, 0),
    Settings(0.95, 0.3, 3, 4, 2),  # P is empty for most
    Settings(0.3, 0.5, 0.5, 0.3, 1),  # Ψ above Φ from the start
)


def clustered(count: int, classes: int, seed: int, noise: float = 0.8) -> tuple[Tensor, Tensor]:
    chance = torch.Generator().manual_seed(seed)
    centres = unit(torch.randn(classes, 12, generator=chance, dtype=torch.float64))
    labels = torch.randint(-1, classes, (count,), generator=chance)
    noises = unit(torch.randn(count, 12, generator=chance, dtype=torch.float64))
    return centres[labels] + noise * noises, labels


def brute(features: Tensor, labels: Tensor, anchor: int, settings: Settings) -> list[Tensor]:
    """One row of the table from the sets themselves."""
    alone = torch.tensor([anchor])
    sets = propagate(features, alone, **settings.as_dict())  # type: ignore[arg-type]
    shares = trust(sets, alone, labels)
    cosines = sets.similarity(-1)[sets.positive]
    sizes = [members.sum() for members in (sets.positive, sets.ambiguous, sets.negative)]
    return [
        torch.tensor(anchor),
        *sizes,
        1 - sets.proxies[0, 0] @ sets.proxies[-1, 0],
        sizes[1] / (len(features) - 1),
        sizes[0] == 0,
        (sets.psi > sets.phi).any(),
        cosines.mean(),
        shares.precision[0],
        shares.recall[0],
        shares.false_negatives[0],
    ]


def agree(table: AnchorTable, features: Tensor, labels: Tensor, settings: Settings) -> None:
    rows = [brute(features, labels, int(anchor), settings) for anchor in table.anchors]
    for name, wanted in zip(AnchorTable._fields, zip(*rows, strict=True), strict=True):
        found = getattr(table, name).double()
        torch.testing.assert_close(
            found, torch.stack(wanted).double(), rtol=0, atol=1e-7, equal_nan=True, msg=name
        )


@pytest.mark.parametrize("choice", CHOICES)
def test_it_equals_a_loop_over_all_anchors(
    choice: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    features, labels = clustered(90, 5, 1)
    labels[7] = 5  # alone in its class
    agree(every_anchor(features, choice, labels=labels), features, labels, choice)
    monkeypatch.setattr(module, "ANCHORS_AT_ONCE", 7)
    agree(every_anchor(features, choice, labels=labels), features, labels, choice)


@given(seed=st.integers(0, 10**6), classes=st.integers(1, 6), noise=st.floats(0.1, 2))
@rules(max_examples=8, deadline=None, derandomize=True)
def test_any_batch_any_sample(seed: int, classes: int, noise: float) -> None:
    features, labels = clustered(60, classes, seed, noise)
    drawn = torch.randperm(60, generator=torch.Generator().manual_seed(seed))[:25]
    choice = CHOICES[seed % len(CHOICES)]
    table = every_anchor(features, choice, labels=labels, anchors=drawn)
    assert table.anchors.tolist() == sorted(drawn.tolist())
    agree(table, features, labels, choice)


def test_without_labels_the_rest_is_the_same() -> None:
    features, labels = clustered(80, 3, 1)
    plain = every_anchor(features, CHOICES[0])
    for name, column in every_anchor(features, CHOICES[0], labels=labels)._asdict().items():
        found = getattr(plain, name)
        if name in MEASURES and MEASURES[name].labels:
            assert found.isnan().all(), name
        else:
            torch.testing.assert_close(found, column, msg=name)


@pytest.mark.parametrize("label", [-1, 4])
def test_one_class_or_none(label: int) -> None:
    features, labels = clustered(40, 3, 1)
    agree(
        every_anchor(features, CHOICES[0], labels=torch.full_like(labels, label)),
        features,
        torch.full_like(labels, label),
        CHOICES[0],
    )


def test_a_measure_is_a_column() -> None:
    assert set(MEASURES) <= set(AnchorTable._fields)


def test_progress_grows_to_one_and_stop_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ANCHORS_AT_ONCE", 20)
    features, labels = clustered(90, 3, 1)
    shares: list[float] = []
    every_anchor(features, CHOICES[0], labels=labels, progress=shares.append)
    assert shares == pytest.approx([20 / 90, 40 / 90, 60 / 90, 80 / 90, 1])
    shares.clear()
    with pytest.raises(Stopped):
        every_anchor(features, CHOICES[0], progress=shares.append, stop=lambda: len(shares) == 2)
    assert len(shares) == 2


def test_large_batches_take_fewer_anchors_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOCK_BYTES", 8 * 90 * 10)
    features, _ = clustered(90, 3, 1)
    assert [len(part.anchors) for part in anchor_parts(unit(features), CHOICES[0])] == [10] * 9
    parts = anchor_parts(unit(features), CHOICES[0], at_once=4)
    assert [len(part.anchors) for part in parts] == [4] * 22 + [2]


def test_a_sample_is_spread_evenly() -> None:
    drawn = spread(1000, 100)
    assert torch.equal(drawn // 10, torch.arange(100))
    assert drawn.dtype == torch.int64
    assert not torch.equal(drawn, spread(1000, 100, seed=1))
    odd = spread(1000, 999)
    assert len(odd.unique()) == 999
    assert torch.equal(spread(5, 9), torch.arange(5))


def test_what_does_not_fit_is_refused() -> None:
    features, labels = clustered(60, 3, 1)
    with pytest.raises(ValueError, match=r"one for every patch, not \(59,\)"):
        every_anchor(features, CHOICES[0], labels=labels[:59])
    with pytest.raises(IndexError):
        every_anchor(features, CHOICES[0], anchors=torch.tensor([60]))
    with pytest.raises(ValueError, match="twice"):
        every_anchor(features, CHOICES[0], anchors=torch.tensor([6, 6]))
