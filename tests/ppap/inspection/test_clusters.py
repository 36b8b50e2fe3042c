from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.cluster import KMeans
from torch import Tensor

from ppap.inspection import clusters as module
from ppap.inspection.clusters import clusters


def blobs(kinds: int = 12, each: int = 60, dim: int = 24, noise: float = 0.25) -> Tensor:
    """Unit vectors around some directions."""
    chance = torch.Generator().manual_seed(3)
    middles = F.normalize(torch.randn(kinds, dim, generator=chance), dim=1)
    around = noise * torch.randn(kinds, each, dim, generator=chance)
    return F.normalize((middles.unsqueeze(1) + around).flatten(0, 1), dim=1)


def inertia(f: Tensor, labels: np.ndarray) -> float:
    """Squared distances to the means, as scikit-learn has it."""
    parts = [f[torch.from_numpy(labels == one)] for one in np.unique(labels)]
    return float(sum(((part - part.mean(0)) ** 2).sum() for part in parts))


@pytest.mark.parametrize("count", [2, 7, 12, 30])
def test_they_are_as_tight_as_those_of_scikit_learn(count: int) -> None:
    f = blobs()
    best = KMeans(count, n_init=10, random_state=0).fit(f.numpy()).inertia_
    # Spherical k-means seeks a neighbouring goal.
    assert inertia(f, clusters(f, count).labels) <= 1.03 * best


def test_every_patch_is_with_its_nearest_centre_and_centres_are_means() -> None:
    f = blobs(noise=0.4)
    found = clusters(f, 9)
    assert (found.labels == (f @ found.centres.T).argmax(1).numpy()).all()
    assert found.centres.norm(dim=1).numpy() == pytest.approx(1, abs=1e-5)
    for one, centre in enumerate(found.centres):
        mean = F.normalize(f[torch.from_numpy(found.labels == one)].mean(0), dim=0)
        assert float(mean @ centre) > 0.999
    own = found.centres[torch.from_numpy(found.labels)]
    assert found.cosine == pytest.approx(float((f * own).sum(1).mean()), abs=1e-5)


def test_clear_clusters_are_found_whole_the_largest_first() -> None:
    f = torch.cat([blobs(4, 50, noise=0.02), blobs(4, 50, noise=0.02)[:30]])
    found = clusters(f, 4)
    assert found.sizes.tolist() == [80, 50, 50, 50]
    assert np.bincount(found.labels).tolist() == [80, 50, 50, 50]
    for start in range(0, 200, 50):
        assert len(np.unique(found.labels[start : start + 50])) == 1


def test_only_directions_count() -> None:
    f = blobs()
    longer = f * torch.linspace(0.1, 20, len(f)).unsqueeze(1)
    assert (clusters(longer, 5).labels == clusters(f, 5).labels).all()


def test_the_same_seed_gives_the_same_clusters() -> None:
    f = blobs(noise=0.5)
    one, again, other = (clusters(f, 20, seed=seed) for seed in (4, 4, 5))
    assert (one.labels == again.labels).all()
    assert (one.labels != other.labels).any()


def test_others_get_their_turn_and_one_start_is_enough_for_many_patches(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    f = blobs()
    turns: list[None] = []

    def counted() -> int:
        turns.clear()
        clusters(f, 6, pause=lambda: turns.append(None))
        return len(turns)

    four = counted()
    monkeypatch.setattr(module, "COSINES", 100)
    assert 5 < counted() < four


def test_fewer_different_patches_than_clusters_leave_some_empty() -> None:
    found = clusters(torch.eye(3).repeat(4, 1), 5)
    assert found.sizes.sum() == 12
    assert found.cosine == pytest.approx(1)
    assert not {*found.labels[::3]} & {*found.labels[1::3]}


def test_what_makes_no_sense_is_refused() -> None:
    f = blobs(2, 5)
    with pytest.raises(ValueError, match="count"):
        clusters(f, 11)
    with pytest.raises(ValueError, match="seed"):
        clusters(f, 2, seed=-1)
    with pytest.raises(ValueError, match="features"):
        clusters(torch.full((5, 3), torch.inf), 2)
