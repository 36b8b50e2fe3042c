from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ppap.backbones import load_backbone
from ppap.batches import Batch, make_batch
from ppap.data import Dataset, open_dataset, samples_dataset
from ppap.propagation import unit
from ppap.settings import Settings
from ppap.study import advice as module
from ppap.study import proof
from ppap.study.advice import advise
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
    assert "patches of one image" in found.reasons[0]


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
    with pytest.raises(ValueError, match="images must divide|two patches or more"):
        advise(torch.ones(count, 3), images=images)


def drawn(dataset: Dataset, size: int, seed: int) -> Batch:
    chance = torch.Generator().manual_seed(seed)
    chosen = torch.randperm(len(dataset), generator=chance)[:16].tolist()
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
    found = proof.prove(patches, advised)
    assert found.advised.settings == advised
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
