from __future__ import annotations

from collections import Counter

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ppap.segmenter import merged_start, spread_start


def chance(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def rows_of(centroids: Tensor, features: Tensor) -> list[int]:
    """Which patches they are."""
    same = (centroids.unsqueeze(1) - F.normalize(features, dim=1)).abs().amax(dim=2) < 1e-6
    assert same.any(dim=1).all()
    return same.float().argmax(dim=1).tolist()


def test_they_are_patches_of_unit_length_and_no_two_the_same() -> None:
    features = torch.randn(30, 5, generator=chance()) * 7
    for seed in range(10):
        centroids = spread_start(features, 12, chance(seed))
        torch.testing.assert_close(centroids.norm(dim=1), torch.ones(12))
        assert len(set(rows_of(centroids, features))) == 12
    assert sorted(rows_of(spread_start(features, 30, chance()), features)) == list(range(30))


def test_the_seed_decides() -> None:
    features = torch.randn(30, 5, generator=chance())
    assert torch.equal(spread_start(features, 4, chance(3)), spread_start(features, 4, chance(3)))
    found = {tuple(rows_of(spread_start(features, 4, chance(s)), features)) for s in range(8)}
    assert len(found) > 4


def test_groups_far_apart_get_one_each() -> None:
    """1,000 patches of one kind and one of each other: chance alone would hardly find those."""
    kinds = torch.eye(6)
    features = torch.cat([kinds[:1].repeat(1000, 1), kinds[1:]])
    for seed in range(20):
        centroids = spread_start(features, 6, chance(seed))
        assert sorted(centroids.argmax(dim=1).tolist()) == [0, 1, 2, 3, 4, 5]


def test_the_second_is_drawn_by_its_distance() -> None:
    """From each of three patches, the others come as often as 1 − cos says."""
    angles = torch.tensor([0.0, 0.6, 2.0])
    features = torch.stack([angles.cos(), angles.sin()], dim=1)
    source = chance()
    drawn = Counter(
        tuple(rows_of(spread_start(features, 2, source), features)) for _ in range(4000)
    )
    distance = 1 - (angles.unsqueeze(1) - angles).cos()
    for first in range(3):
        for second in range(3):
            wanted = float(distance[first, second] / distance[first].sum()) / 3
            assert drawn[first, second] / 4000 == pytest.approx(wanted, abs=0.03)


def test_patches_that_are_all_alike() -> None:
    features = torch.tensor([[1.0, 0], [2, 0], [0, 3], [0, 1], [5, 0]])
    centroids = spread_start(features, 4, chance())
    # Both kinds first; then there is nothing left to choose by.
    assert sorted(centroids[:2].argmax(dim=1).tolist()) == [0, 1]
    assert centroids.isfinite().all()
    assert spread_start(torch.ones(3, 2), 3, chance()).shape == (3, 2)


def test_half_precision_and_zeros() -> None:
    features = torch.randn(9, 4, generator=chance()).half()
    features[3] = 0
    assert spread_start(features, 5, chance()).dtype == torch.float32


@pytest.mark.parametrize("start", ["spread", "merged"])
def test_what_cannot_be(start: str) -> None:
    def begin(features: Tensor, count: int) -> Tensor:
        if start == "merged":
            return merged_start(features, count, 0)
        return spread_start(features, count, chance())

    with pytest.raises(ValueError, match="count must be a whole number, from 1 to 3, not 4"):
        begin(torch.ones(3, 2), 4)
    with pytest.raises(ValueError, match="count must be"):
        begin(torch.ones(3, 2), 0)
    with pytest.raises(ValueError, match="NaN or infinity, first in row 1"):
        begin(torch.tensor([[1.0], [float("nan")]]), 1)
    with pytest.raises(TypeError, match="floating-point"):
        begin(torch.ones(3, 2, dtype=torch.int64), 1)


# --- merged from smaller clusters


def groups(sizes: list[int], spread: float = 0.05) -> tuple[Tensor, Tensor]:
    """Patches around orthogonal directions, and the group of each."""
    owner = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
    noise = spread * torch.randn(len(owner), 8, generator=chance(1))
    return torch.eye(8)[owner] + noise, owner


def test_a_frequent_group_is_not_cut() -> None:
    features, owner = groups([400, 30, 20, 10])
    centroids = merged_start(features, 4, seed=0, pieces=20)
    torch.testing.assert_close(centroids.norm(dim=1), torch.ones(4))
    assigned = (F.normalize(features, dim=1) @ centroids.T).argmax(dim=1)
    for group in range(4):
        assert len(assigned[owner == group].unique()) == 1
    assert len(assigned.unique()) == 4


def test_the_most_alike_are_merged_first() -> None:
    """Of three directions, the two 30° apart become one whose centre lies between them."""
    angles = torch.deg2rad(torch.tensor([0.0, 30, 120]))
    features = torch.stack([angles.cos(), angles.sin()], dim=1).repeat_interleave(10, dim=0)
    centroids = merged_start(features, 2, seed=0, pieces=3)
    found = torch.rad2deg(torch.atan2(centroids[:, 1], centroids[:, 0])).sort().values
    torch.testing.assert_close(found, torch.tensor([15.0, 120.0]))


def test_merged_is_the_same_for_a_seed() -> None:
    features, _ = groups([40, 40, 40])
    assert torch.equal(merged_start(features, 3, 5), merged_start(features, 3, 5))


def test_fewer_kinds_than_centroids() -> None:
    features = torch.eye(3).repeat(4, 1)
    centroids = merged_start(features, 5, seed=0)
    assert centroids.shape == (5, 3)
    assert centroids.isfinite().all()
    assert sorted(set(centroids.argmax(dim=1).tolist())) == [0, 1, 2]
