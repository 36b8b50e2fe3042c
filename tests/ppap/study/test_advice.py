from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from ppap.backbones import load_backbone
from ppap.batches import Batch, make_batch
from ppap.data import Dataset, open_dataset, samples_dataset
from ppap.propagation import unit
from ppap.settings import Settings
from ppap.study import advice as module
from ppap.study import proof
from ppap.study.advice import advise, advise_unit
from ppap.study.every_anchor import every_anchor_unit, spread
from ppap.study.expectation import AIMS, PURE, expect, neighbours
from ppap.study.patches import Patches, sample_anchors


def test_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    # Two images of two patches: 0° and 60°; 90° and 150°. Cosines within an image are 0.5, across
    # 0, −0.866; 0.866, 0. Each pair is seen from both of its patches.
    angles = torch.deg2rad(torch.tensor([0.0, 60.0, 90.0, 150.0], dtype=torch.float64))
    f = torch.stack([angles.cos(), angles.sin()], dim=1)
    found = advise(f, images=2)
    assert found.own_mean == pytest.approx(0.5)
    assert found.own_deviation == pytest.approx(0, abs=1e-9)
    assert found.nearest == pytest.approx(0.8660254)
    assert found.settings == Settings(0.87, 0.5, 3, 4, 2)
    assert "nearest 5 % of the batch" in found.reasons[0]
    # With 40 % allowed, the pairs within images decide.
    monkeypatch.setattr(module, "MOST_POSITIVE", 0.6)
    found = advise(f, images=2)
    assert found.settings.phi0 == 0.5
    assert "patches of the same image" in found.reasons[0]


def test_the_histograms_are_shares_of_all_pairs() -> None:
    f = torch.randn(60, 8, generator=torch.Generator().manual_seed(0))
    found = advise(f, images=3)
    assert sum(found.pairs) == pytest.approx(1)
    assert sum(found.own_pairs) == pytest.approx(1)
    assert len(found.edges) == len(found.pairs) + 1


def test_scale_does_not_matter_and_the_seed_decides() -> None:
    f = torch.randn(2000, 8, generator=torch.Generator().manual_seed(0))
    assert advise(f, images=4) == advise(8 * f, images=4)
    assert advise(f, images=4, seed=1) != advise(f, images=4)


def test_psi_never_passes_phi() -> None:
    f = unit(torch.ones(40, 4) + 1e-3 * torch.randn(40, 4))
    found = advise(f, images=2).settings
    assert found.psi0 <= found.phi0 <= 0.99


@pytest.mark.parametrize(("count", "images"), [(10, 3), (4, 4), (9, 2)])
def test_what_is_no_batch_is_refused(count: int, images: int) -> None:
    with pytest.raises(ValueError, match=r"images must divide|two patches or more"):
        advise(torch.ones(count, 3), images=images)


def blocks(images: int, noise: float, side: int = 8) -> Tensor:
    """Images in which each quarter is of one of forty kinds, so that neighbours are alike."""
    chance = torch.Generator().manual_seed(5)
    kinds = unit(torch.randn(40, 32, generator=chance, dtype=torch.float64))
    quarters = torch.randint(40, (images, 2, 2), generator=chance)
    each = quarters.repeat_interleave(side // 2, 1).repeat_interleave(side // 2, 2).flatten()
    noises = unit(torch.randn(len(each), 32, generator=chance, dtype=torch.float64))
    return kinds[each] + noise * noises


def test_pure_is_stricter_and_says_how_many_should_be_right() -> None:
    f = blocks(10, 0.4)
    complete, pure = (
        advise(f, images=10, embedded=True),
        advise(f, images=10, aim="pure", embedded=True),
    )
    assert (complete.aim, pure.aim) == ("complete", "pure")
    assert pure.settings.phi0 > complete.settings.phi0
    assert pure.settings.psi0 == complete.settings.psi0
    assert complete.expected is not None
    assert pure.expected is not None
    # Another hundredth less would not be expected to do.
    found = neighbours(unit(f), [(8, 8)] * 10)
    assert pure.expected == expect("pure", pure.settings.phi0, found)
    less = expect("pure", pure.settings.phi0 - 0.01, found)
    assert less.precision < PURE <= pure.expected.precision
    middle = round(100 * pure.expected.precision)
    assert pure.reasons[0].startswith(f"About {middle} % of the positives should be correct")
    least = f"Φ⁰ {pure.settings.phi0:.2f}: the lowest value at which 85 %"
    assert pure.reasons[1].startswith(least)


def test_half_of_the_neighbours_stay_positive() -> None:
    # Neighbours so unlike each other that no Φ⁰ below their median is pure enough.
    f = blocks(10, 0.8)
    found = neighbours(unit(f), [(8, 8)] * 10)
    pure = advise(f, images=10, aim="pure", embedded=True)
    assert pure.expected is not None
    assert pure.expected.precision < PURE
    assert found.median - 0.01 < pure.settings.phi0 <= found.median
    assert "their median" in pure.reasons[1]


def test_grids_decide_who_is_a_neighbour() -> None:
    f = blocks(2, 0.4)
    square = advise(f, images=2, aim="pure", embedded=True)
    assert square == advise(f, images=2, grids=[(8, 8), (8, 8)], aim="pure", embedded=True)
    other = advise(f, images=2, grids=[(4, 16), (8, 8)], aim="pure", embedded=True)
    assert square.expected != other.expected
    # No grid can be guessed: no expectation, and nothing pure.
    assert advise(f[:126], images=2, embedded=True).expected is None
    with pytest.raises(ValueError, match="needs the grids"):
        advise(f[:126], images=2, aim="pure")
    with pytest.raises(ValueError, match="grids must hold 64, 64 patches"):
        advise(f, images=2, grids=[(8, 8), (8, 7)])
    with pytest.raises(ValueError, match="complete or pure, not 'best'"):
        advise(f, images=2, aim="best")  # type: ignore[arg-type]


def test_other_features_get_ranks_and_no_number() -> None:
    f = blocks(10, 0.4)
    complete, pure = advise(f, images=10), advise(f, images=10, aim="pure")
    assert complete.expected is None
    assert pure.expected is None
    assert complete.settings == advise(f, images=10, embedded=True).settings
    image = unit(f).view(10, 8, 8, -1)
    beside = torch.cat(
        [
            (image[:, 1:] * image[:, :-1]).sum(dim=3).flatten(),
            (image[:, :, 1:] * image[:, :, :-1]).sum(dim=3).flatten(),
        ]
    )
    share = float((beside > pure.settings.phi0).double().mean())
    assert pure.settings.phi0 == complete.settings.phi0 or share == pytest.approx(0.85, abs=0.02)
    assert "85 % of adjacent patches" in pure.reasons[0]


def drawn(dataset: Dataset, size: int, seed: int, images: int = 16) -> Batch:
    chance = torch.Generator().manual_seed(seed)
    chosen = torch.randperm(len(dataset), generator=chance)[:images].tolist()
    return make_batch([dataset.load(i) for i in chosen], load_backbone("embedded"), size=size)


def shortfall(batch: Batch, monkeypatch: pytest.MonkeyPatch) -> float:
    """Points of F1 between the advice and the best of the labelled sweep."""
    # Of what prove() tries, that which is ever the best; the rest would only cost time.
    monkeypatch.setattr(proof, "SIGMA_POS", (3,))
    monkeypatch.setattr(proof, "PHI0", tuple(p for p in proof.PHI0 if 0.3 <= p <= 0.65))
    assert batch.labels is not None
    anchors = sample_anchors(batch.labels, 80, 0)
    patches = Patches(batch.features, batch.labels, len(batch), anchors)
    advised = advise(batch.features, images=len(batch)).settings
    pure = advise(batch.features, images=len(batch), aim="pure", embedded=True).settings
    found = proof.prove(patches, advised, pure)
    assert (found.advised.settings, found.pure.settings) == (advised, pure)
    assert found.pure.precision > found.advised.precision
    assert found.best.f1 >= max(found.advised.f1, found.paper.f1)
    return 100 * (found.best.f1 - found.advised.f1)


def test_within_three_points_of_the_best_on_the_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shortfall(drawn(samples_dataset(), 448, 0), monkeypatch) < 3


@pytest.mark.parametrize(("folder", "kind"), [("camvid", "camvid"), ("dubai_aerial", "folder")])
def test_within_three_points_of_the_best_on_real_sets(
    shared_data: Path, folder: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = open_dataset(shared_data / folder, kind=kind, split="train")
    assert shortfall(drawn(dataset, 320, 11), monkeypatch) < 3


@pytest.mark.parametrize(("folder", "kind"), [("camvid", "camvid"), ("msrc_half", "folder")])
def test_the_expectation_holds_on_real_sets(shared_data: Path, folder: str, kind: str) -> None:
    batch = drawn(open_dataset(shared_data / folder, kind=kind, split="train"), 320, 12, 8)
    for aim in AIMS:
        advised = advise_unit(
            batch.features, images=batch.counts, grids=batch.grids, aim=aim, embedded=True
        )
        anchors = spread(len(batch.features), 200)
        found = every_anchor_unit(
            batch.features, advised.settings, labels=batch.labels, anchors=anchors
        )
        assert advised.expected is not None
        assert advised.expected.low < found.precision.nanmean() < advised.expected.high


def test_images_may_differ_in_their_number_of_patches() -> None:
    f = torch.randn(100, 8, generator=torch.Generator().manual_seed(3))
    assert advise(f, images=[25] * 4) == advise(f, images=4)
    own = [f[:10], f[10:90], f[90:]]
    found = advise(f, images=[10, 80, 10])
    # Every pair within an image once each way, none of a patch with itself.
    cosines = torch.cat(
        [
            (unit(part) @ unit(part).T)[~torch.eye(len(part), dtype=torch.bool)].double()
            for part in own
        ]
    )
    assert found.own_mean == pytest.approx(float(cosines.mean()), abs=1e-6)
    assert found.own_deviation == pytest.approx(float(cosines.std(unbiased=False)), abs=1e-6)


@pytest.mark.parametrize("images", [[50, 49], [100, 0], [99, 1], []])
def test_patches_that_do_not_add_up_are_refused(images: list[int]) -> None:
    with pytest.raises(ValueError, match=r"patches|whole number"):
        advise(torch.ones(100, 3), images=images)
