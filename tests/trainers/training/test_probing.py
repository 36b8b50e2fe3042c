from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ppap.propagation import unit
from ppap.segmenter import ClusterProbe, Segmenter
from ppap.settings import SettingError
from tests.support.small_runs import ALONE
from tests.support.small_segmenters import small_vit
from trainers.training import probing as module
from trainers.training.distributed import World
from trainers.training.probing import Probing, some_patches

DIM = small_vit().dim


@pytest.fixture
def segmenter() -> Segmenter:
    torch.manual_seed(0)
    return Segmenter(small_vit(), 3)


def patches(seed: int, count: int = 40) -> Tensor:
    return torch.randn(count, DIM, generator=torch.Generator().manual_seed(seed))


def maps(seed: int) -> Tensor:
    return patches(seed, 24).view(2, 3, 4, DIM)


def test_a_single_probe_is_the_segmenters_own(segmenter: Segmenter) -> None:
    probing = Probing(segmenter, "noise", 1, ALONE)
    assert probing.clusters() == [segmenter.cluster_probe]
    loss = probing.cluster_loss(maps(0))
    assert torch.equal(loss, segmenter.cluster_probe.loss(maps(0)))


def test_rivals_learn_apart_and_the_best_is_kept(segmenter: Segmenter) -> None:
    probing = Probing(segmenter, "spread", 3, ALONE)
    own = segmenter.cluster_probe.clusters.detach().clone()
    probing.begin(patches(0), seed=5)
    assert segmenter.cluster_probe not in probing.clusters()
    starts = [probe.clusters.detach().clone() for probe in probing.clusters()]
    assert not torch.equal(starts[0], starts[1])
    summed = torch.zeros(3)
    for step in range(4):
        losses = [probe.loss(maps(step)) for probe in probing.clusters()]
        total = probing.cluster_loss(maps(step))
        torch.testing.assert_close(total, sum(losses))
        total.backward()
        for probe, loss in zip(probing.clusters(), losses, strict=True):
            (alone,) = torch.autograd.grad(loss, probe.clusters)
            torch.testing.assert_close(probe.clusters.grad, alone)
            probe.clusters.grad = None
        summed += torch.stack(losses).detach()
    assert probing.best() == int(summed.argmin())
    assert torch.equal(segmenter.cluster_probe.clusters, own)
    probing.settle()
    assert torch.equal(segmenter.cluster_probe.clusters, starts[probing.best()])
    probing.end_of_epoch()
    assert probing.counted == 0
    # Nothing is measured yet: the best of the last epoch stays.
    probing.settle()
    assert torch.equal(segmenter.cluster_probe.clusters, starts[int(summed.argmin())])


@pytest.mark.parametrize("start", ["noise", "spread", "merged"])
def test_where_they_start(segmenter: Segmenter, start: str) -> None:
    found = []
    for seed in (1, 1, 2):
        probing = Probing(segmenter, start, 2, ALONE)
        torch.manual_seed(99)
        probing.begin(None if start == "noise" else patches(3, 300), seed=seed)
        linear = segmenter.linear_probe.weight.detach().clone()
        found.append([linear, *(probe.clusters.detach().clone() for probe in probing.clusters())])
    first, again, other = found
    assert all(map(torch.equal, first, again))
    assert not any(map(torch.equal, first, other))
    lengths = first[1].norm(dim=1)
    if start == "noise":
        assert (lengths > 5).all()
    else:
        torch.testing.assert_close(lengths, torch.ones(3))
    if start == "spread":
        same = (first[1].unsqueeze(1) - unit(patches(3, 300))).abs().amax(dim=2) < 1e-6
        assert same.any(dim=1).all()


def test_to_begin_again_forgets_what_was_measured(segmenter: Segmenter) -> None:
    probing = Probing(segmenter, "spread", 2, ALONE)
    probing.begin(patches(0), seed=0)
    probing.cluster_loss(maps(0))
    probing.begin(patches(0), seed=0)
    assert (probing.counted, probing.totals.tolist()) == (0, [0, 0])


def test_fewer_patches_than_centroids(segmenter: Segmenter) -> None:
    probing = Probing(segmenter, "spread", 1, ALONE)
    with pytest.raises(SettingError, match="3 centroids cannot start from 2 patches") as found:
        probing.begin(patches(0, 2), seed=0)
    assert found.value.field == "cluster_start"


def test_the_state_goes_on(segmenter: Segmenter) -> None:
    probing = Probing(segmenter, "spread", 2, ALONE)
    probing.begin(patches(0), seed=0)
    probing.cluster_loss(maps(0))
    state = probing.state()
    clusters = [probe.clusters.detach().clone() for probe in probing.clusters()]
    with torch.no_grad():
        for probe in probing.clusters():
            probe.clusters.zero_()
    probing.cluster_loss(maps(1))
    other = Probing(segmenter, "spread", 2, ALONE)
    other.load(state)
    assert all(map(torch.equal, clusters, (probe.clusters for probe in other.clusters())))
    assert other.counted == 1
    assert other.totals.abs().sum() > 0
    other.load(other.state())
    assert other.best() == Probing.best(other)


def test_processes_choose_together(segmenter: Segmenter, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each process saw its own images; the sum decides, and can be added to afterwards."""
    mine, theirs = torch.tensor([-3.0, -2.0]), torch.tensor([-1.0, -4.0])
    probing = Probing(segmenter, "spread", 2, World(0, 2, 0, torch.device("cpu")))
    probing.begin(patches(0), seed=0)
    probing.totals.copy_(mine)
    probing.counted = 1

    def summed(numbers: list[float], world: World) -> list[float]:
        return [a + b for a, b in zip(numbers, theirs.tolist(), strict=True)]

    monkeypatch.setattr(module, "sum_numbers", summed)
    assert probing.best() == 0
    probing.settle()
    assert probing.best() == 1
    assert probing.totals.tolist() == [-2, -3]
    assert torch.equal(segmenter.cluster_probe.clusters, probing.clusters()[1].clusters)


def test_some_patches(monkeypatch: pytest.MonkeyPatch) -> None:
    features = maps(0) * 9
    found = some_patches(features, seed=3)
    assert found.shape == (24, DIM)
    torch.testing.assert_close(found.norm(dim=1), torch.ones(24))
    rows = unit(features.flatten(0, 2))
    assert sorted((found @ rows.T).argmax(dim=1).tolist()) == list(range(24))
    monkeypatch.setattr(module, "START_PATCHES", 7)
    assert torch.equal(some_patches(features, seed=3), found[:7])
    assert not torch.equal(some_patches(features, seed=4), found[:7])


def test_candidates_are_probes(segmenter: Segmenter) -> None:
    made = Probing(segmenter, "merged", 4, ALONE).clusters()
    assert len(made) == 4
    assert all(isinstance(probe, ClusterProbe) for probe in made)
