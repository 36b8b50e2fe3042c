from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from torch import Tensor

from ppap.inspection.components import components, likely_background, otsu, principal


def drawn(patches: int = 300, dim: int = 9, seed: int = 0) -> Tensor:
    """Vectors that vary most along few directions, far from the origin."""
    chance = torch.Generator().manual_seed(seed)
    spread = torch.linspace(3, 0.2, dim)
    mixed = torch.randn(patches, dim, generator=chance) * spread
    return mixed @ torch.linalg.qr(torch.randn(dim, dim, generator=chance))[0] + 5


def two_sides() -> tuple[Tensor, np.ndarray]:
    """A background of one kind of patch, and a foreground of two; whether a patch is foreground."""
    chance = torch.Generator().manual_seed(1)
    kinds = torch.tensor([[9.0, 0, 0, 0], [0, 4.0, 2, 0], [0, 4.0, -2, 0]])
    which = torch.tensor([0] * 60 + [1] * 20 + [2] * 20)
    noise = 0.1 * torch.randn(100, 4, generator=chance)
    return kinds[which] + noise, which.numpy() > 0


@pytest.mark.parametrize("dim", [9, 40])
def test_they_are_those_of_scikit_learn(dim: int) -> None:
    features = drawn(dim=dim)
    by_sklearn = PCA(3, svd_solver="full").fit(features.double().numpy())
    found = principal(features)
    expected = by_sklearn.transform(features.double().numpy())
    # A sign is free: scikit-learn's own rule fixes it.
    assert found.values == pytest.approx(expected, abs=1e-4)
    assert found.explained == pytest.approx(by_sklearn.explained_variance_ratio_, rel=1e-5)


def test_many_patches_are_taken_in_parts_between_which_others_get_their_turn() -> None:
    features = drawn(9000, 5)
    turns: list[None] = []
    found = principal(features, pause=lambda: turns.append(None))
    assert len(turns) == 3
    expected = PCA(3, svd_solver="full").fit_transform(features.double().numpy())
    assert found.values == pytest.approx(expected, abs=1e-3)


def test_fewer_dimensions_than_colours_leave_the_others_even() -> None:
    found = components(drawn(50, 2))
    assert not found.projection.values[:, 2].any()
    assert found.projection.explained.sum() == pytest.approx(1)
    assert len(np.unique(found.rgb[:, 2])) == 1


def test_colours_run_from_the_first_to_the_last_percentile() -> None:
    features = drawn(1000)
    features[0] *= 100  # a single patch far out
    found = components(features)
    assert found.foreground.all()
    assert found.threshold is None
    low, high = np.percentile(found.projection.values, (1, 99), axis=0)
    inner = np.clip((found.projection.values - low) / (high - low), 0, 1)
    assert (np.abs(found.rgb - 255 * inner) <= 0.51).all()
    assert ((found.rgb == 0).sum(axis=0) >= 10).all()
    assert found.rgb.std(axis=0).min() > 30  # the outlier leaves the others their differences


def test_equal_features_have_a_colour() -> None:
    found = components(torch.ones(20, 4))
    assert len(np.unique(found.rgb, axis=0)) == 1
    assert not found.projection.explained.any()


@pytest.mark.parametrize(("patch", "kept"), [(0, True), (99, False)])
def test_the_side_of_a_patch_is_taken_away(patch: int, kept: bool) -> None:
    features, foreground = two_sides()
    found = components(features, background=patch)
    assert (found.foreground == (foreground == kept)).all()
    assert not found.rgb[~found.foreground].any()
    assert not found.projection.values[~found.foreground].any()
    part = principal(features[torch.from_numpy(found.foreground)])
    assert found.projection.values[found.foreground] == pytest.approx(part.values, abs=1e-5)
    if kept:  # worked out anew, the first component tells the foreground's two kinds apart
        first = found.projection.values[:, 0]
        assert (first[60:80] > 0).all() != (first[80:] > 0).all()


def test_a_background_that_is_everything_leaves_nothing() -> None:
    found = components(torch.ones(20, 4), background=3)
    assert not found.foreground.any()
    assert not found.rgb.any()


def test_a_patch_that_is_not_there_is_refused() -> None:
    with pytest.raises(IndexError, match="from 0 to 49, not 50"):
        components(drawn(50), background=50)
    with pytest.raises(ValueError, match="features"):
        components(torch.full((5, 3), torch.nan))


def test_the_likely_background_is_what_lies_at_the_edges() -> None:
    features, foreground = two_sides()
    border = ~foreground
    border[:10] = False  # also within
    for flipped in (features, -features):
        assert not foreground[likely_background(flipped, border)]
        assert foreground[likely_background(flipped, foreground)]


def test_otsu_leaves_the_least_variance_within_both_sides() -> None:
    chance = np.random.default_rng(0)
    values = np.concatenate([chance.normal(0, 1, 300), chance.normal(7, 2, 100)])

    def within(cut: float) -> float:
        sides = values[values <= cut], values[values > cut]
        return sum(len(side) * side.var() for side in sides if len(side))

    best = min(within(cut) for cut in np.sort(values)[:-1])
    assert within(otsu(values)) <= 1.01 * best
    assert otsu(np.full(5, 2.5)) == 2.5
