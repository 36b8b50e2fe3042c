"""The rival rules against cases small enough to work out by hand."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ppap import propagation
from ppap.backbones import load_backbone
from ppap.batches import make_batch
from ppap.data import samples_dataset
from ppap.propagation import PatchSets, propagate, unit
from ppap.rivals import (
    RULES,
    Choice,
    ans_only,
    baseline,
    cluster_patches,
    gather_unit,
    hidden_positives,
    k_nearest,
    kmeans,
    pool_similarity,
    prepare,
    same_cluster,
    sample_pool,
    tps_only,
)
from ppap.rivals.pool import draw_evenly
from ppap.settings import RANGES, SettingError, Settings

quick = settings(max_examples=40, deadline=None, derandomize=True)
ABLATIONS = (tps_only, ans_only, baseline)


def at_degrees(*angles: float) -> Tensor:
    radians = torch.tensor(angles, dtype=torch.float64) * math.pi / 180
    return torch.stack([radians.cos(), radians.sin()], dim=1)


def cos(angle: float) -> float:
    return math.cos(math.radians(angle))


def members(mask: Tensor) -> list[int]:
    return mask.nonzero().flatten().tolist()


def sets_of(sets: PatchSets, t: int = -1, row: int = 0) -> list[list[int]]:
    return [members(part[row]) for part in sets.at(t)]


def clusters_of(seed: int, n: int, d: int) -> Tensor:
    g = torch.Generator().manual_seed(seed)
    centres = torch.randn(3, d, generator=g, dtype=torch.float64)
    own = torch.randint(3, (n,), generator=g)
    return centres[own] + 0.6 * torch.randn(n, d, generator=g, dtype=torch.float64)


def crowded(seed: int, n: int, d: int) -> Tensor:
    """Small whole numbers: duplicates, zero vectors and exact ties."""
    g = torch.Generator().manual_seed(seed)
    return torch.randint(-1, 2, (n, d), generator=g).double()


@st.composite
def patches(draw: st.DrawFn) -> tuple[Tensor, Tensor]:
    """Features of 2 to 30 patches, and up to 5 anchors."""
    make = draw(st.sampled_from([clusters_of, crowded]))
    n = draw(st.integers(2, 30))
    picks = draw(st.lists(st.integers(0, n - 1), max_size=5))
    features = make(draw(st.integers(0, 9999)), n, draw(st.integers(1, 5)))
    return features, torch.tensor(picks, dtype=torch.int64)


def everyone(features: Tensor, anchors: Tensor) -> list[PatchSets]:
    """The sets of every rule, with parameters that fit any number of patches."""
    pool = features[: max(1, len(features) // 4)]
    return [
        *(rule(features, anchors, phi0=0.6, psi0=0.2, steps=2) for rule in ABLATIONS),
        hidden_positives(features, anchors, pool=pool, rho=0.3),
        k_nearest(features, anchors, k=max(1, len(features) // 3)),
        same_cluster(features, anchors, torch.arange(len(features)) % 3),
    ]


# --- Table 5's ablations. Proxies at 0, 20 and 40 degrees; see test_two_steps_by_hand.

LINE = (0, 40, 80, 100, 105, -70, 125)
FIVE: dict[str, Any] = {
    "phi0": cos(50),
    "psi0": 0,
    "sigma_pos": 0.3,
    "sigma_amb": 0.5,
    "steps": 2,
}


def test_what_the_ablations_are_taken_from() -> None:
    sets = propagate(at_degrees(*LINE), torch.tensor([0]), **FIVE)
    # Φ² = 0.241 reaches 76.1° and Ψ² = 0.241 as far: P is all between −36° and 116°.
    assert sets_of(sets, 0) == [[1], [2, 5], [3, 4, 6]]
    assert sets_of(sets) == [[1, 2, 3, 4], [], [5, 6]]


def test_tps_keeps_the_positives_and_makes_the_rest_negative() -> None:
    sets = tps_only(at_degrees(*LINE), torch.tensor([0]), **FIVE)
    assert sets_of(sets, 0) == [[1], [], [2, 3, 4, 5, 6]]
    assert sets_of(sets, 1) == [[1, 2], [], [3, 4, 5, 6]]
    assert sets_of(sets, 2) == [[1, 2, 3, 4], [], [5, 6]]
    assert torch.equal(sets.psi, sets.phi)


def test_ans_keeps_the_negatives_with_the_first_positives() -> None:
    sets = ans_only(at_degrees(*LINE), torch.tensor([0]), **FIVE)
    assert sets_of(sets, 0) == [[1], [2, 5], [3, 4, 6]]
    # At 1: v at 20°, Φ¹ = cos 63.8°, Ψ¹ = cos 83.1°; 80° is in P¹ and not in P⁰: left out.
    assert sets_of(sets, 1) == [[1], [2, 3], [4, 5, 6]]
    # At 2 the patches at 80°, 100° and 105° are in P² and not in P⁰: left out, not negative.
    assert sets_of(sets, 2) == [[1], [2, 3, 4], [5, 6]]


def test_ans_keeps_a_first_positive_that_propagation_ends_up_calling_negative() -> None:
    # P⁰ of the anchor at 0° is {−49°, 40°, 45°}; the mean of those and 0° points to 10.1°. With
    # σ_pos huge Φ¹ stays cos 50°, so −49° (at 59.1°) is no positive; Ψ⁰ = Φ⁰ makes it negative.
    f = at_degrees(0, -49, 40, 45)
    five: dict[str, Any] = {"phi0": cos(50), "psi0": cos(50), "sigma_pos": 1000, "steps": 1}
    assert sets_of(propagate(f, torch.tensor([0]), **five)) == [[2, 3], [], [1]]
    assert sets_of(ans_only(f, torch.tensor([0]), **five)) == [[1, 2, 3], [], []]


def test_the_baseline_is_p0_and_everything_else() -> None:
    sets = baseline(at_degrees(*LINE), torch.tensor([0]), **FIVE)
    assert sets.steps == 0
    assert sets_of(sets) == [[1], [], [2, 3, 4, 5, 6]]


@quick
@given(patches())
def test_ablations_are_the_right_halves_of_propagation_at_every_step(
    given_patches: tuple[Tensor, Tensor],
) -> None:
    features, anchors = given_patches
    five: dict[str, Any] = {"phi0": 0.6, "psi0": 0.2, "sigma_pos": 1, "sigma_amb": 2, "steps": 3}
    whole, tps, ans = (rule(features, anchors, **five) for rule in (propagate, tps_only, ans_only))
    base = baseline(features, anchors, **five)
    for t in range(4):
        assert torch.equal(tps.at(t).positive, whole.at(t).positive)
        assert torch.equal(ans.at(t).positive, whole.at(0).positive)
        assert torch.equal(ans.at(t).negative, whole.at(t).negative & ~whole.at(0).positive)
        assert not tps.at(t).ambiguous.any()
    assert torch.equal(base.positive, whole.at(0).positive)
    assert not base.ambiguous.any()
    for sets in (tps, ans):
        last = sets.at(-1)
        assert last.positive is sets.positive
        assert last.negative is sets.negative
        assert torch.equal(sets.proxies, whole.proxies)


@pytest.mark.parametrize("rule", ABLATIONS)
@pytest.mark.parametrize(
    ("name", "value"),
    [("phi0", 2), ("psi0", -2), ("sigma_pos", 0), ("sigma_amb", math.nan), ("steps", -1)],
)
def test_ablations_check_all_five_settings(
    rule: Callable[..., PatchSets], name: str, value: float
) -> None:
    with pytest.raises(ValueError, match=f"{name} must be"):
        rule(torch.ones(3, 2), torch.tensor([0]), **{name: value})


# --- hidden positives


def test_pool_similarity_is_the_cosine_of_the_nearest_in_the_pool() -> None:
    found = pool_similarity(5 * at_degrees(0, 50, 100), 3 * at_degrees(80, 120))
    torch.testing.assert_close(found, torch.tensor([cos(80), cos(30), cos(20)]).double())


def test_hidden_positives_by_hand() -> None:
    # The pool lies at 80°, so R of 0°, 30°, 45°, 70°, −60° is cos 80, 50, 35, 10, 140.
    f, pool = at_degrees(0, 30, 45, 70, -60), at_degrees(80)
    sets = hidden_positives(f, torch.tensor([0, 3]), pool=pool, rho=1)
    # From 0°: 30°, 45°, 60° and 70° away are all less than the anchor's own 80°.
    assert sets_of(sets, row=0) == [[1, 2, 3, 4], [], []]
    # From 70°, whose own reach is 10°: 40° to 30° is within R_j = cos 50; 25° to 45° within 35;
    # 70° to 0° within 80; 130° to −60° within 140.
    assert sets_of(sets, row=1) == [[0, 1, 2, 4], [], []]
    # With a pool on both sides, −60° is 12° from it: too far from 70° for either.
    both = hidden_positives(f, torch.tensor([3]), pool=at_degrees(80, -72), rho=1)
    assert sets_of(both) == [[0, 1, 2], [], [4]]
    torch.testing.assert_close(both.phi, torch.tensor([[cos(70)]]).double())


def test_each_of_the_two_comparisons_of_hp_counts() -> None:
    # Reach: 0° has 90° (the pool's 90°), 85° has 5°; they are 85° apart. Both ways they are
    # positives: once by the anchor's own R_i, once by the other's R_j.
    f, pool = at_degrees(0, 85), at_degrees(90)
    sets = hidden_positives(f, torch.tensor([0, 1]), pool=pool)
    assert sets_of(sets, row=0)[0] == [1]
    assert sets_of(sets, row=1)[0] == [0]
    # Equal is not closer: 45° is exactly as far from the anchor as the anchor from the pool.
    f32 = torch.tensor([[1.0, 0, 0, 0], [1, 1, 1, 1]])
    tie = hidden_positives(f32, torch.tensor([0]), pool=f32[1:], rho=1)
    assert sets_of(tie) == [[], [], [1]]


def test_rho_is_the_share_of_the_others_that_is_negative() -> None:
    g = torch.Generator().manual_seed(1)
    f = torch.randn(4000, 8, generator=g)
    anchors, pool = torch.arange(20), torch.randn(50, 8, generator=g)
    sets = hidden_positives(f, anchors, pool=pool, rho=0.1)
    others = (~sets.positive).sum(1) - 1
    share = sets.negative.sum().item() / others.sum().item()
    assert share == pytest.approx(0.1, abs=0.005)  # 80,000 draws: 4.7 standard deviations
    assert (sets.positive | sets.negative | sets.ambiguous).sum(1).tolist() == [3999] * 20
    assert not torch.equal(sets.negative[0], sets.negative[1])
    none = hidden_positives(f, anchors, pool=pool, rho=0)
    assert not none.negative.any()
    assert torch.equal(none.positive, sets.positive)
    everything = hidden_positives(f, anchors, pool=pool, rho=1)
    assert not everything.ambiguous.any()


def test_hidden_positives_repeat_with_the_generator() -> None:
    f, anchors = clusters_of(0, 200, 4), torch.arange(5)

    def draw(generator: torch.Generator | None) -> Tensor:
        return hidden_positives(f, anchors, pool=f[:9], rho=0.5, generator=generator).negative

    assert torch.equal(draw(None), draw(None))
    seeded = [torch.Generator().manual_seed(seed) for seed in (3, 3, 4)]
    first, again, other = map(draw, seeded)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert not torch.equal(first, draw(seeded[0]))  # the generator has moved on


def test_the_pool_patch_that_sets_the_bar_is_not_closer_than_it() -> None:
    # Every patch is in the pool: each anchor's R is 1, and so is every other's.
    f = clusters_of(8, 500, 37).float()
    assert not hidden_positives(f, torch.arange(500), pool=f).positive.any()
    # The first ten are: none of them is closer to the anchor than the nearest of them.
    few = hidden_positives(f, torch.arange(10, 500), pool=f[:10])
    assert few.positive.any()
    assert not few.positive[:, :10].any()


# --- the pool


def test_a_pool_from_the_batch_holds_only_other_images_by_hand() -> None:
    # Three images of two patches; all six are in the pool. R by hand, in degrees to the nearest
    # patch of another image: 0° and 4° look at 50°, 90° at 60°, 50° at 4°, 60° at 90°, 150° at 90°.
    f = at_degrees(0, 4, 50, 90, 60, 150)
    found = prepare(Choice("hp", pool_size=6), f, images=3)
    assert found is not None
    apart = [50, 46, 10, 30, 10, 60]
    torch.testing.assert_close(found, f.new_tensor([cos(a) for a in apart]))
    # 0° is closer to 4° than to any other image; of the whole pool, it would be closest to itself.
    sets = gather_unit(Choice("hp", rho=1), f, torch.tensor([0]), found)
    assert sets_of(sets) == [[1], [], [2, 3, 4, 5]]
    torch.testing.assert_close(pool_similarity(f, f), torch.ones(6, dtype=f.dtype))


@pytest.mark.parametrize("size", [2, 3, 7, 40, 60])
def test_a_patch_s_own_image_never_counts(size: int) -> None:
    f, choice = unit(clusters_of(8, 60, 5)), Choice("hp", pool_size=size, seed=4)
    numbered = torch.arange(60.0).view(4, 3, 5, 1)
    chance = torch.Generator().manual_seed(4)
    drawn = sample_pool(numbered, size=size, generator=chance).flatten().long()
    found = prepare(choice, f, images=4)
    assert found is not None
    for i in range(60):
        others = [j for j in drawn.tolist() if j // 15 != i // 15]
        torch.testing.assert_close(found[i], (f[others] @ f[i]).max())


def test_a_pool_from_the_batch_repeats_with_the_seed() -> None:
    f = unit(clusters_of(8, 60, 5))
    first, again, other = (
        prepare(Choice("hp", pool_size=7, seed=seed), f, images=4) for seed in (1, 1, 2)
    )
    assert first is not None
    assert again is not None
    assert other is not None
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_hidden_positives_of_the_sample_photos_have_positives() -> None:
    photos = samples_dataset()
    examples = [photos.load(i) for i in range(len(photos))]
    batch = make_batch(examples, load_backbone("embedded"), size=224)
    assert batch.grids == ((14, 14),) * len(batch)
    # The cheetah's muzzle, and the middles of three other photos.
    places = ((0, 7, 6), (1, 7, 7), (3, 7, 7), (5, 7, 7))
    anchors = torch.tensor([batch.index(*place) for place in places])
    choice = Choice("hp", pool_size=512)
    prepared = prepare(choice, batch.features, images=len(batch))
    assert prepared is not None
    assert (prepared[anchors] < 0.9).all()
    sets = gather_unit(choice, batch.features, anchors, prepared)
    assert (sets.positive.sum(dim=1) > 10).all()


def test_a_pool_takes_one_patch_from_each_of_enough_images() -> None:
    image = torch.arange(10.0).view(10, 1, 1, 1).expand(10, 4, 5, 2)
    for size, most in ((10, 1), (7, 1), (25, 3)):
        drawn = sample_pool(image, size=size)[:, 0].long()
        counts = drawn.bincount(minlength=10)
        assert len(drawn) == size
        assert counts.max() == most
        assert counts.max() - counts.min() <= 1


def test_a_pool_holds_no_patch_twice_and_no_more_than_there_are() -> None:
    numbered = torch.arange(60.0).view(3, 4, 5, 1)
    assert sorted(sample_pool(numbered, size=2048).flatten().tolist()) == list(range(60))
    assert sample_pool(numbered, size=40).unique().numel() == 40


def test_a_pool_repeats_with_the_generator() -> None:
    numbered = torch.arange(600.0).view(30, 4, 5, 1)
    first, again, other = (
        sample_pool(numbered, size=20, generator=torch.Generator().manual_seed(seed))
        for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(sample_pool(numbered, size=20), sample_pool(numbered, size=20))


# --- k nearest and k-means


def test_k_nearest_by_hand() -> None:
    f = at_degrees(0, 10, -20, 90, 190)
    sets = k_nearest(f, torch.tensor([0, 3]), k=2)
    assert sets_of(sets, row=0) == [[1, 2], [], [3, 4]]
    assert sets_of(sets, row=1) == [[0, 1], [], [2, 4]]
    torch.testing.assert_close(sets.phi[0, 0], torch.tensor(cos(20)).double())
    assert torch.equal(sets.psi, sets.phi)
    assert sets_of(k_nearest(f, torch.tensor([0]), k=4)) == [[1, 2, 3, 4], [], []]


def test_duplicates_of_the_anchor_do_not_push_it_into_its_own_set() -> None:
    sets = k_nearest(torch.ones(5, 3), torch.tensor([2]), k=3)
    assert len(members(sets.positive[0])) == 3
    assert not sets.positive[0, 2]


@quick
@given(patches(), st.data())
def test_k_nearest_are_k_and_none_outside_is_nearer(
    given_patches: tuple[Tensor, Tensor], data: st.DataObject
) -> None:
    features, anchors = given_patches
    k = data.draw(st.integers(1, len(features) - 1))
    sets = k_nearest(features, anchors, k=k)
    assert sets.positive.sum(1).tolist() == [k] * len(anchors)
    similarity = sets.similarity(0)
    inside = similarity.masked_fill(~sets.positive, math.inf).amin(1)
    outside = similarity.masked_fill(~sets.negative, -math.inf).amax(1)
    assert (inside >= outside).all()
    torch.testing.assert_close(sets.phi[0], inside.clamp(max=1))


def test_same_cluster_by_hand() -> None:
    f = at_degrees(0, 10, 100, 110, 250)
    labels = torch.tensor([7, 7, 1, 1, -4])
    sets = same_cluster(f, torch.tensor([0, 3, 4]), labels)
    assert sets_of(sets, row=0) == [[1], [], [2, 3, 4]]
    assert sets_of(sets, row=1) == [[2], [], [0, 1, 4]]
    assert sets_of(sets, row=2) == [[], [], [0, 1, 2, 3]]
    torch.testing.assert_close(sets.phi, torch.tensor([[cos(10), cos(10), 1]]).double())


def test_kmeans_finds_three_directions_whatever_their_length() -> None:
    f = torch.cat([at_degrees(0, 5, -5), 100 * at_degrees(120, 125), 0.01 * at_degrees(240, 245)])
    labels = cluster_patches(f, 3)
    assert labels.dtype == torch.int64
    groups = [labels[:3], labels[3:5], labels[5:]]
    assert all(group.unique().numel() == 1 for group in groups)
    assert labels.unique().numel() == 3
    sets = kmeans(f, torch.tensor([4]), clusters=3)
    assert sets_of(sets) == [[3], [], [0, 1, 2, 5, 6]]


def test_kmeans_repeats_with_the_seed_and_takes_fewer_points_than_clusters() -> None:
    f = clusters_of(3, 300, 6).float()
    assert torch.equal(cluster_patches(f, 8, seed=5), cluster_patches(f, 8, seed=5))
    assert not torch.equal(cluster_patches(f, 8, seed=5), cluster_patches(f, 8, seed=6))
    assert cluster_patches(torch.ones(6, 2), 4).unique().numel() == 1
    assert cluster_patches(f[:1], 1).tolist() == [0]


# --- what holds for all of them


@quick
@given(patches())
def test_the_anchor_and_the_three_sets_share_out_all_patches(
    given_patches: tuple[Tensor, Tensor],
) -> None:
    features, anchors = given_patches
    own = torch.nn.functional.one_hot(anchors, len(features)).int()
    for sets in everyone(features, anchors):
        for t in range(sets.steps + 1):
            p, a, n = sets.at(t)
            assert torch.equal(p.int() + a.int() + n.int(), 1 - own)
        assert torch.isfinite(sets.phi).all()
        assert sets.phi.shape == sets.psi.shape == (sets.steps + 1, len(anchors))


def test_rules_without_a_proxy_have_the_anchor_for_one_and_no_steps() -> None:
    f, anchors = clusters_of(1, 20, 4), torch.tensor([4, 9, 4])
    for sets in everyone(f, anchors)[3:]:
        assert sets.steps == 0
        assert torch.equal(sets.proxies, unit(f)[anchors].unsqueeze(0))
        assert sets.moved.shape == (0, 3)
        assert torch.equal(sets.psi, sets.phi)
        assert sets.at(0).positive is sets.positive
        with pytest.raises(IndexError, match="step 1 does not exist"):
            sets.at(1)


@pytest.mark.parametrize("anchors_per_block", [1, 3, 4])
def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch, anchors_per_block: int) -> None:
    f, anchors = clusters_of(2, 40, 5), torch.arange(0, 40, 3)
    whole, r = everyone(f, anchors), pool_similarity(f, f[:7])
    monkeypatch.setattr(propagation, "CHUNK_BYTES", 40 * 8 * anchors_per_block)
    for pieces, before in zip(everyone(f, anchors), whole, strict=True):
        assert all(map(torch.equal, pieces.at(-1), before.at(-1)))
        assert all(map(torch.equal, pieces.at(0), before.at(0)))
        torch.testing.assert_close(pieces.phi, before.phi)
    torch.testing.assert_close(pool_similarity(f, f[:7]), r)


def test_half_precision_gradients_and_int32_anchors() -> None:
    f = clusters_of(5, 30, 4).half().requires_grad_()
    for sets in everyone(f, torch.tensor([3, 8], dtype=torch.int32)):
        assert sets.features.dtype == torch.float32
        assert not sets.features.requires_grad
        assert sets.anchors.dtype == torch.int64


def test_no_anchors() -> None:
    for sets in everyone(clusters_of(5, 30, 4), torch.empty(0, dtype=torch.int64)):
        assert sets.at(0).positive.shape == (0, 30)
        assert sets.phi.shape == (sets.steps + 1, 0)


# --- errors

F, A = torch.ones(4, 3), torch.tensor([0])


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda: k_nearest(F, A, k=0), ValueError, "k must be a whole number, from 1 to 3, not 0"),
        (lambda: k_nearest(F, A, k=4), ValueError, "k must be a whole number, from 1 to 3, not 4"),
        (lambda: k_nearest(F, A, k=True), ValueError, "k must be a whole number"),
        (lambda: k_nearest(F[:1], A, k=1), ValueError, "at least 2 patches"),
        (lambda: kmeans(F, A, clusters=0), ValueError, "clusters must be.*from 1 to 4, not 0"),
        (lambda: kmeans(F, A, clusters=5), ValueError, "clusters must be.*from 1 to 4, not 5"),
        (lambda: kmeans(F, A, clusters=2, seed=-1), ValueError, "seed must be.*from 0"),
        (lambda: cluster_patches(F.int(), 2), TypeError, "features must be a floating-point"),
        (lambda: same_cluster(F, A, torch.zeros(4)), TypeError, "labels must be an int64"),
        (lambda: same_cluster(F, A, A), ValueError, r"labels must have.*\(4,\).*not \(1,\)"),
        (lambda: hidden_positives(F, A, pool=F, rho=1.1), ValueError, "rho must be.*0 and 1"),
        (lambda: hidden_positives(F, A, pool=F, rho=math.nan), ValueError, "rho must be"),
        (lambda: hidden_positives(F, A, pool=F[0]), ValueError, r"pool must have the shape \(M"),
        (lambda: hidden_positives(F, A, pool=F[:0]), ValueError, "pool are empty|pool is empty"),
        (lambda: hidden_positives(F, A, pool=F * math.nan), ValueError, "pool.*NaN.*row 0"),
        (lambda: hidden_positives(F, A, pool=F.int()), TypeError, "pool must be a floating"),
        (lambda: hidden_positives(F, A, pool=F[:, :2]), ValueError, "features' D = 3, not 2"),
        (lambda: pool_similarity(F, F[:, :2]), ValueError, "features' D = 3, not 2"),
        (lambda: pool_similarity(F[0], F), ValueError, r"features must have the shape \(N"),
        (lambda: sample_pool(F), ValueError, r"\(B, h, w, D\)"),
        (lambda: sample_pool(F[None, None], size=0), ValueError, "size must be.*1 or more"),
        (lambda: sample_pool(F[None, None].int()), TypeError, "features must be a floating"),
    ],
)
def test_errors(call: Callable[[], object], error: type[Exception], sentence: str) -> None:
    with pytest.raises(error, match=sentence):
        call()


@pytest.mark.parametrize("at", range(6))
def test_every_rule_checks_features_and_anchors(at: int) -> None:
    def run(features: Tensor, anchors: Tensor) -> PatchSets:
        return [
            *(lambda rule=rule: rule(features, anchors) for rule in ABLATIONS),
            lambda: hidden_positives(features, anchors, pool=F),
            lambda: k_nearest(features, anchors, k=1),
            lambda: kmeans(features, anchors, clusters=2),
        ][at]()

    with pytest.raises(ValueError, match="features hold NaN or infinity, first in row 0"):
        run(F * math.inf, A)
    with pytest.raises(IndexError, match="anchor 9 is outside the features: 0 to 3"):
        run(F, torch.tensor([9]))
    with pytest.raises(TypeError, match="anchors must be an int64"):
        run(F, torch.tensor([0.5]))


# --- the registry


def test_rules_are_listed_with_settings_that_exist() -> None:
    assert list(RULES) == ["ppap", "tps", "ans", "baseline", "hp", "knn", "kmeans"]
    for key, rule in RULES.items():
        assert rule.key == key
        assert rule.explanation.endswith(".")
        assert set(rule.settings) <= set(RANGES)
        for name, default, allowed in rule.parameters:
            assert getattr(Choice(), name) == default
            assert allowed.least <= allowed.slider[0] <= allowed.slider[1] <= allowed.most
            assert allowed.least <= default <= allowed.most


def test_the_registry_runs_the_rules() -> None:
    f, anchors = unit(clusters_of(6, 60, 5)), torch.tensor([0, 30])
    five = Settings(0.7, 0.1, 2, 3, 2)
    pool = sample_pool(f.view(3, 4, 5, 5), size=9)
    own: dict[str, Any] = {"k": 7, "clusters": 4, "pool_size": 9, "rho": 0.4, "seed": 3}
    chance = torch.Generator().manual_seed(3)
    kwargs: dict[str, Any] = five.as_dict()
    expected = {
        "ppap": propagate(f, anchors, **kwargs),
        "tps": tps_only(f, anchors, **kwargs),
        "ans": ans_only(f, anchors, **kwargs),
        "baseline": baseline(f, anchors, **kwargs),
        "hp": hidden_positives(f, anchors, pool=pool, rho=0.4, generator=chance),
        "knn": k_nearest(f, anchors, k=7),
        "kmeans": kmeans(f, anchors, clusters=4, seed=3),
    }
    for key in RULES:
        choice = Choice(key, five, **own)
        prepared = prepare(choice, f, pool=pool)
        assert (prepared is None) == (key not in ("hp", "kmeans"))
        sets = gather_unit(choice, f, anchors, prepared)
        assert sets.steps == expected[key].steps
        for t in range(sets.steps + 1):
            assert all(map(torch.equal, sets.at(t), expected[key].at(t)))


@pytest.mark.parametrize("key", RULES)
def test_settings_a_rule_does_not_read_change_nothing(key: str) -> None:
    f, anchors = unit(clusters_of(6, 60, 5)), torch.tensor([0, 30])
    usual = {"phi0": 0.7, "psi0": 0.1, "sigma_pos": 2.0, "sigma_amb": 3.0, "steps": 2}
    other = {"phi0": 0.5, "psi0": 0.4, "sigma_pos": 0.4, "sigma_amb": 0.2, "steps": 3}
    changed = {n: usual[n] if n in RULES[key].settings else other[n] for n in usual}

    def run(five: dict[str, Any]) -> PatchSets:
        choice = Choice(key, Settings(**five), k=9, clusters=3)
        return gather_unit(choice, f, anchors, prepare(choice, f, pool=f[:5]))

    assert all(map(torch.equal, run(usual).at(-1), run(changed).at(-1)))
    if key in ("ppap", "ans"):
        for name in RULES[key].settings:
            one = run({**usual, name: other[name]})
            assert not all(map(torch.equal, run(usual).at(-1), one.at(-1))), name


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rule", "nearest"),
        ("k", 0),
        ("k", 1.5),
        ("clusters", 0),
        ("pool_size", 1),
        ("rho", 1.5),
        ("seed", -1),
        ("seed", 2**32),
    ],
)
def test_a_choice_names_the_field_that_cannot_be(name: str, value: Any) -> None:
    with pytest.raises(SettingError) as caught:
        Choice(**{name: value})
    assert caught.value.field == name


def test_a_choice_turns_whole_floats_into_whole_numbers() -> None:
    choice = Choice("knn", k=20.0)  # type: ignore[arg-type]
    assert isinstance(choice.k, int)


def test_the_registry_says_what_does_not_fit_the_batch() -> None:
    f, anchors = unit(clusters_of(6, 10, 5)), torch.tensor([0])
    for call, field in (
        (lambda: gather_unit(Choice("knn", k=10), f, anchors), "k"),
        (lambda: prepare(Choice("kmeans", clusters=11), f), "clusters"),
        (lambda: prepare(Choice("hp"), f), "pool_size"),
        (lambda: prepare(Choice("hp", pool_size=5), f, images=1), "pool_size"),
        (lambda: prepare(Choice("hp", pool_size=11), f, images=2), "pool_size"),
        (lambda: gather_unit(Choice("hp"), f, anchors), "rule"),
        (lambda: gather_unit(Choice("kmeans"), f, anchors), "rule"),
    ):
        with pytest.raises(SettingError) as caught:
            call()
        assert caught.value.field == field


def test_the_registry_says_why_no_pool_can_be_drawn() -> None:
    f = unit(clusters_of(6, 10, 5))
    with pytest.raises(SettingError, match="at least two images to draw a pool from"):
        prepare(Choice("hp", pool_size=5), f, images=1)
    with pytest.raises(SettingError, match="pool must be from 2 to 10 for this batch, not 11"):
        prepare(Choice("hp", pool_size=11), f, images=2)
    with pytest.raises(ValueError, match="must divide the 10 patches evenly, not 3"):
        prepare(Choice("hp", pool_size=5), f, images=3)
    with pytest.raises(ValueError, match="images must be"):
        prepare(Choice("hp", pool_size=5), f, images=0)


@pytest.mark.parametrize("counts", [(3, 5, 2), (1, 1, 8), (4, 4, 4)])
def test_a_pool_is_spread_over_images_of_any_size(counts: tuple[int, ...]) -> None:
    starts = [sum(counts[:i]) for i in range(len(counts))]
    total = sum(counts)
    for size in range(1, total + 1):
        drawn = draw_evenly(counts, size, torch.Generator().manual_seed(size)).tolist()
        assert len(set(drawn)) == len(drawn) == size
        by_image = [sum(s <= d < s + n for d in drawn) for s, n in zip(starts, counts, strict=True)]
        assert sum(by_image) == size
        # Nobody has a second before all that can have had a first, and so on.
        most = max(by_image)
        assert all(n >= min(most - 1, count) for n, count in zip(by_image, counts, strict=True))


def test_images_of_equal_size_draw_as_they_did() -> None:
    """``draw_evenly`` before images could differ."""
    chance = torch.Generator().manual_seed(5)
    order = torch.rand(4, 6, generator=chance).argsort(1)
    turn = torch.randperm(4, generator=chance)
    before = (order[turn] + turn.unsqueeze(1) * 6).T.reshape(-1)[:9]
    assert draw_evenly([6] * 4, 9, torch.Generator().manual_seed(5)).tolist() == before.tolist()


def test_hidden_positives_of_images_of_any_size_compare_with_the_others_only() -> None:
    f = unit(torch.randn(10, 4, generator=torch.Generator().manual_seed(1)))
    counts = (2, 5, 3)
    found = prepare(Choice("hp", pool_size=10), f, images=counts)
    owner = torch.tensor([0] * 2 + [1] * 5 + [2] * 3)
    cosines = (f @ f.T).masked_fill(owner.unsqueeze(1) == owner, -2)
    assert found is not None
    torch.testing.assert_close(found, cosines.amax(dim=1))  # the pool holds every patch
    with pytest.raises(ValueError, match="hold 9 patches together, not 10"):
        prepare(Choice("hp", pool_size=5), f, images=(4, 5))
