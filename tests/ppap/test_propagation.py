"""Propagation against hand-computed angles, the published implementation and plain loops."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ppap import propagation
from ppap.propagation import (
    Partition,
    PatchSets,
    ambiguity_criterion,
    ambiguous,
    distance_moved,
    initial_positives,
    negatives,
    partition,
    positiveness_criterion,
    positives,
    propagate,
    relocate,
    sum_of_members,
    unit,
    without_anchors,
)

quick = settings(max_examples=60, deadline=None, derandomize=True)


def at_degrees(*angles: float) -> Tensor:
    """Unit vectors in the plane, float64 ``(N, 2)``."""
    radians = torch.tensor(angles, dtype=torch.float64) * math.pi / 180
    return torch.stack([radians.cos(), radians.sin()], dim=1)


def cos(angle: float) -> float:
    return math.cos(math.radians(angle))


def t64(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def members(mask: Tensor) -> list[int]:
    return mask.nonzero().flatten().tolist()


def gaussian(seed: int, n: int, d: int) -> Tensor:
    """A few loose clusters, float64: no cosine comes within rounding of a criterion."""
    g = torch.Generator().manual_seed(seed)
    centres = torch.randn(3, d, generator=g, dtype=torch.float64)
    own = torch.randint(3, (n,), generator=g)
    return centres[own] + 0.6 * torch.randn(n, d, generator=g, dtype=torch.float64)


def crowded(seed: int, n: int, d: int) -> Tensor:
    """Small whole numbers: full of duplicates, zero vectors, right angles and exact ties."""
    g = torch.Generator().manual_seed(seed)
    return torch.randint(-1, 2, (n, d), generator=g).float()


class Case(dict[str, Any]):
    """Features, anchors and settings of one call; printed by hypothesis when a test fails."""


@st.composite
def cases(draw: st.DrawFn, features: Any = gaussian) -> Case:
    seed, n, d = draw(st.integers(0, 9999)), draw(st.integers(1, 40)), draw(st.integers(1, 6))
    picks = draw(st.lists(st.integers(0, n - 1), max_size=5))
    return Case(
        features=features(seed, n, d),
        anchors=torch.tensor(picks, dtype=torch.int64),
        phi0=draw(st.floats(-1, 1)),
        psi0=draw(st.floats(-1, 1)),
        sigma_pos=draw(st.floats(0.2, 10)),
        sigma_amb=draw(st.floats(0.2, 10)),
        steps=draw(st.integers(0, 3)),
    )


# --- one function an equation, with angles that can be checked on paper


def test_eq1_takes_what_is_more_similar_than_phi0() -> None:
    f = at_degrees(0, 30, 60, 90)
    anchors = torch.tensor([0, 3])
    found = initial_positives(f, anchors, t64(0.6, 0.4))  # cos 30 = 0.866, cos 60 = 0.5
    assert members(found[0]) == [0, 1]
    assert members(found[1]) == [1, 2, 3]  # 90 to 30 degrees is cos 60 = 0.5 > 0.4


def test_eq2_is_the_mean_of_the_positives_made_a_unit_vector() -> None:
    f = at_degrees(0, 60, 90, 0)
    mask = torch.tensor([[True, True, False, False], [True, False, True, True]])
    moved = relocate(f, mask, at_degrees(45, 45))
    torch.testing.assert_close(moved[0], at_degrees(30)[0])
    torch.testing.assert_close(moved[1], t64(2, 1) / math.sqrt(5))  # (1,0) + (0,1) + (1,0)


def test_eq2_keeps_the_previous_proxy_where_the_mean_has_no_direction() -> None:
    f = at_degrees(0, 180, 90)
    empty_and_opposite = torch.tensor([[False, False, False], [True, True, False]])
    previous = at_degrees(10, 20)
    assert torch.equal(relocate(f, empty_and_opposite, previous), previous)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("sparse", [0.0, 0.5, 1.1])
@pytest.mark.parametrize("share", [0.0, 0.02, 0.3, 0.97, 1.0])
def test_the_three_ways_to_a_sum_agree(
    monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype, sparse: float, share: float
) -> None:
    chance = torch.Generator().manual_seed(3)
    f = torch.randn(300, 16, generator=chance, dtype=dtype)
    members = torch.rand(40, 300, generator=chance) < share
    monkeypatch.setattr(propagation, "SPARSE", sparse)
    sizes = members.sum(dim=1, keepdim=True)
    wanted = torch.stack([f[row].double().sum(dim=0) for row in members])
    found = sum_of_members(f, members, sizes)
    assert found.dtype == dtype
    assert torch.allclose(found.double(), wanted, atol=1e-4 if dtype == torch.float32 else 1e-10)


def test_distance_moved_is_one_minus_the_cosine() -> None:
    moved = distance_moved(at_degrees(0, 0, 0), at_degrees(60, 90, 180))
    torch.testing.assert_close(moved, t64(0.5, 1, 2))


def test_a_proxy_that_stays_has_moved_by_exactly_nothing() -> None:
    v = torch.cat([unit(torch.randn(50, 7)), torch.zeros(1, 7)])
    assert torch.equal(distance_moved(v, v), torch.zeros(51))


def test_eq3_lowers_phi_by_the_distance_over_sigma() -> None:
    found = positiveness_criterion(t64(0.55, 0.55), t64(0.3, 0), 3)
    torch.testing.assert_close(found, t64(0.45, 0.55))


def test_eq4_is_strict() -> None:
    found = positives(t64(0.7, 0.5, 0.5000001).unsqueeze(0), t64(0.5))
    assert members(found[0]) == [0, 2]


def test_eq5_raises_psi_by_the_distance_over_sigma() -> None:
    found = ambiguity_criterion(t64(0.15, 0.15), t64(0.4, 0), 4)
    torch.testing.assert_close(found, t64(0.25, 0.15))


def test_eq6_lies_strictly_between_psi_and_phi() -> None:
    similarity = t64(0.1, 0.15, 0.3, 0.55, 0.7).expand(2, -1)
    found = ambiguous(similarity, t64(0.55, 0.15), t64(0.15, 0.55))
    assert members(found[0]) == [2]
    assert members(found[1]) == []  # psi has overtaken phi


def test_eq7_is_what_neither_of_the_others_has() -> None:
    p = torch.tensor([[True, False, False, False]])
    a = torch.tensor([[False, True, False, False]])
    assert members(negatives(p, a)[0]) == [2, 3]


def test_where_psi_has_overtaken_phi_the_sets_stay_apart() -> None:
    sets = partition(t64(0.2, 0.4, 0.6).unsqueeze(0), t64(0.3), t64(0.5))
    assert [members(part[0]) for part in sets] == [[1, 2], [], [0]]


def test_without_anchors_takes_each_anchor_out_of_its_own_sets_only() -> None:
    full = Partition(*(torch.ones(2, 3, dtype=torch.bool) for _ in range(3)))
    for part in without_anchors(full, torch.tensor([0, 2])):
        assert part.tolist() == [[False, True, True], [True, True, False]]


# --- whole runs by hand: proxies at 0, 20 and 40 degrees

LINE = (0, 40, 80, 100, 105, -70)


def test_one_step_by_hand() -> None:
    # P⁰ = {0°, 40°} → v¹ at 20°, moved m = 1 − cos 20° = 0.0603.
    # Φ¹ = cos 50° − m/0.5 = 0.522: 80°, at cos 60° = 0.5, stays out.
    # Ψ¹ = 0 + m/0.5 = 0.121: 100° (cos 80° = 0.174) is ambiguous, 105° (cos 85° = 0.087) is not.
    sets = propagate(
        at_degrees(*LINE),
        torch.tensor([0]),
        phi0=cos(50),
        psi0=0,
        sigma_pos=0.5,
        sigma_amb=0.5,
        steps=1,
    )
    m = 1 - cos(20)
    torch.testing.assert_close(sets.proxies[:, 0], at_degrees(0, 20))
    torch.testing.assert_close(sets.moved[:, 0], t64(m))
    torch.testing.assert_close(sets.phi[:, 0], t64(cos(50), cos(50) - 2 * m))
    torch.testing.assert_close(sets.psi[:, 0], t64(0, 2 * m))
    assert members(sets.positive[0]) == [1]
    assert members(sets.ambiguous[0]) == [2, 3]
    assert members(sets.negative[0]) == [4, 5]


def test_two_steps_by_hand() -> None:
    # As above with σ_pos = 0.3: Φ¹ = 0.442 lets 80° in, so v² is the mean of 0°, 40°, 80°: 40°.
    # Φ² = 0.241, that is 76.1° around 40°: all but −70°, at 110°.
    sets = propagate(
        at_degrees(*LINE),
        torch.tensor([0]),
        phi0=cos(50),
        psi0=0,
        sigma_pos=0.3,
        sigma_amb=0.5,
        steps=2,
    )
    m = 1 - cos(20)
    torch.testing.assert_close(sets.proxies[:, 0], at_degrees(0, 20, 40))
    torch.testing.assert_close(sets.moved[:, 0], t64(m, m))
    torch.testing.assert_close(sets.phi[2], t64(cos(50) - 2 * m / 0.3))
    torch.testing.assert_close(sets.psi[2], t64(4 * m))
    assert members(sets.at(0).positive[0]) == [1]
    assert members(sets.at(1).positive[0]) == [1, 2]
    assert members(sets.at(2).positive[0]) == [1, 2, 3, 4]
    assert members(sets.negative[0]) == [5]


def test_a_similarity_equal_to_a_criterion_is_outside_it() -> None:
    # (1,1,1,1)/2 and (1,0,0,0) have the cosine 0.5, exactly, in floating point too.
    f = torch.tensor([[1.0, 0, 0, 0], [1, 1, 1, 1]])
    at_phi = propagate(f, torch.tensor([0]), phi0=0.5, psi0=0.1, steps=0)
    assert members(at_phi.negative[0]) == [1]  # in neither P nor A, hence in N (Eq. 7)
    at_psi = propagate(f, torch.tensor([0]), phi0=0.9, psi0=0.5, steps=0)
    assert members(at_psi.negative[0]) == [1]
    between = propagate(f, torch.tensor([0]), phi0=0.500001, psi0=0.499999, steps=0)
    assert members(between.ambiguous[0]) == [1]


# --- the published implementation's numbers

GOLDEN = ("coco_vits16", "cityscapes_vitb8", "potsdam_vitb8")
FIVE = ("phi0", "psi0", "sigma_pos", "sigma_amb", "steps")


def golden_case(path: Path) -> tuple[dict[str, np.ndarray], Case]:
    with np.load(path) as stored:
        numbers = dict(stored)
    case = Case({name: numbers[name].item() for name in FIVE})
    case["features"] = torch.from_numpy(numbers["features"]).permute(0, 2, 3, 1).flatten(0, 2)
    case["anchors"] = torch.from_numpy(numbers["anchors"])
    return numbers, case


@pytest.mark.parametrize("name", GOLDEN)
def test_counts_are_those_of_the_published_implementation(golden: Path, name: str) -> None:
    numbers, case = golden_case(golden / f"{name}.npz")
    sets = propagate(**case)
    # Its negatives are all below Ψ^T, which is Eq. 7 as long as Ψ^T stays below Φ^T.
    assert (sets.psi[-1] < sets.phi[-1]).all()
    assert sets.positive.sum(1).double().mean().item() == pytest.approx(
        numbers["mean_positives"].item(), abs=1e-3
    )
    assert sets.negative.sum(1).double().mean().item() == pytest.approx(
        numbers["mean_negatives"].item(), abs=1e-3
    )


def by_plain_loops(
    raw: np.ndarray, anchor: int, case: Case
) -> tuple[list[float], float, float, set[int], set[int]]:
    """Section 3.2 and 3.3 read aloud, in float64, one anchor at a time: sims, Φ^T, Ψ^T, P, A."""
    f = raw / np.sqrt((raw * raw).sum(axis=1, keepdims=True))
    v, phi, psi = f[anchor], case["phi0"], case["psi0"]
    for _ in range(case["steps"]):
        gathered = [f[j] for j, s in enumerate((f @ v).tolist()) if s > phi]
        total = np.zeros_like(v)
        for vector in gathered:
            total = total + vector
        new = total / len(gathered)
        new = new / math.sqrt(float(new @ new))
        moved = 1 - float(v @ new)
        v, phi, psi = new, phi - moved / case["sigma_pos"], psi + moved / case["sigma_amb"]
    similarity = (f @ v).tolist()
    p = {j for j, s in enumerate(similarity) if s > phi and j != anchor}
    a = {j for j, s in enumerate(similarity) if psi < s < phi and j != anchor}
    return similarity, phi, psi, p, a


@pytest.mark.parametrize("name", GOLDEN)
def test_sets_are_those_of_plain_loops(golden: Path, name: str) -> None:
    _, case = golden_case(golden / f"{name}.npz")
    sets = propagate(**case)
    raw = case["features"].double().numpy()
    for row, anchor in enumerate(case["anchors"].tolist()):
        similarity, phi, psi, p, a = by_plain_loops(raw, anchor, case)
        assert sets.phi[-1, row].item() == pytest.approx(phi, abs=1e-5)
        assert sets.psi[-1, row].item() == pytest.approx(psi, abs=1e-5)
        found_p, found_a = set(members(sets.positive[row])), set(members(sets.ambiguous[row]))
        for j in (found_p ^ p) | (found_a ^ a):
            assert min(abs(similarity[j] - phi), abs(similarity[j] - psi)) < 1e-5
        rest = set(range(len(raw))) - found_p - found_a - {anchor}
        assert set(members(sets.negative[row])) == rest


# --- what holds for any input


@quick
@given(st.one_of(cases(), cases(crowded)))
def test_the_anchor_and_the_three_sets_share_out_all_patches(case: Case) -> None:
    sets = propagate(**case)
    for t in range(case["steps"] + 1):
        p, a, n = sets.at(t)
        assert torch.equal(p.int() + a.int() + n.int(), 1 - own(sets))


def own(sets: PatchSets) -> Tensor:
    """1 where a patch is the row's anchor, int ``(A, N)``."""
    return torch.nn.functional.one_hot(sets.anchors, len(sets.features)).int()


@quick
@given(st.one_of(cases(), cases(crowded)))
def test_shapes_finiteness_and_direction_of_the_criteria(case: Case) -> None:
    sets = propagate(**case)
    steps, count = case["steps"], len(case["anchors"])
    assert sets.steps == steps
    assert sets.proxies.shape == (steps + 1, count, case["features"].shape[1])
    assert sets.phi.shape == sets.psi.shape == (steps + 1, count)
    assert sets.moved.shape == (steps, count)
    for values in (sets.proxies, sets.phi, sets.psi, sets.moved):
        assert torch.isfinite(values).all()
    assert (sets.moved >= 0).all()
    assert (sets.moved <= 2).all()
    assert (sets.phi.diff(dim=0) <= 0).all()
    assert (sets.psi.diff(dim=0) >= 0).all()


@quick
@given(st.one_of(cases(), cases(crowded)))
def test_at_the_last_step_are_the_stored_sets_and_at_0_eq1(case: Case) -> None:
    sets = propagate(**case)
    last = sets.at(sets.steps)
    assert last.positive is sets.positive
    assert last.ambiguous is sets.ambiguous
    assert last.negative is sets.negative
    assert all(map(torch.equal, sets.at(-1), last))
    alone = propagate(**Case(case, steps=0))
    assert all(map(torch.equal, sets.at(0), alone.at(0)))
    f = unit(case["features"])
    phi0 = torch.full((len(sets.anchors),), case["phi0"], dtype=f.dtype)
    expected = initial_positives(f, sets.anchors, phi0) & ~own(sets).bool()
    assert torch.equal(sets.at(0).positive, expected)


@quick
@given(cases())
def test_steps_before_the_last_do_not_depend_on_how_many_follow(case: Case) -> None:
    longer = propagate(**Case(case, steps=case["steps"] + 1))
    shorter = propagate(**case)
    assert torch.equal(longer.phi[:-1], shorter.phi)
    assert torch.equal(longer.proxies[:-1], shorter.proxies)
    assert all(map(torch.equal, longer.at(case["steps"]), shorter.at(case["steps"])))


@quick
@given(cases(), st.randoms(use_true_random=False))
def test_the_order_of_the_patches_does_not_matter(case: Case, random: Any) -> None:
    order = list(range(len(case["features"])))
    random.shuffle(order)
    shuffle = torch.tensor(order)
    there = torch.empty_like(shuffle)
    there[shuffle] = torch.arange(len(order))
    sets = propagate(**case)
    moved = propagate(
        **Case(case, features=case["features"][shuffle], anchors=there[case["anchors"]])
    )
    torch.testing.assert_close(moved.proxies, sets.proxies)
    for part, shuffled in zip(sets.at(-1), moved.at(-1), strict=True):
        assert torch.equal(part[:, shuffle], shuffled)


@quick
@given(st.one_of(cases(), cases(crowded)), st.integers(0, 9999))
def test_the_length_of_the_features_does_not_matter(case: Case, seed: int) -> None:
    # Powers of two scale without rounding, so that not even ties may change.
    n = len(case["features"])
    powers = torch.randint(-60, 61, (n, 1), generator=torch.Generator().manual_seed(seed))
    sets = propagate(**case)
    scaled = propagate(**Case(case, features=torch.ldexp(case["features"], powers)))
    assert torch.equal(scaled.proxies, sets.proxies)
    assert all(map(torch.equal, scaled.at(-1), sets.at(-1)))


@pytest.mark.parametrize("scale", [1e-42, 1e-30, 1e30, 1e37])
def test_no_scale_overflows_or_vanishes(scale: float) -> None:
    f = gaussian(1, 30, 5).float()
    lengths = unit(f * scale).norm(dim=1)
    # Near 1e-42 float32 has few digits left: unit length still, the direction is coarse.
    torch.testing.assert_close(lengths, torch.ones(30))
    if scale > 1e-40:
        torch.testing.assert_close(unit(f * scale), unit(f))


@pytest.mark.parametrize("patches_per_block", [1, 30, 70, 10_000])
def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch, patches_per_block: int) -> None:
    f, anchors = gaussian(4, 30, 5), torch.arange(0, 30, 2)
    whole = propagate(f, anchors, phi0=0.7, psi0=0.1, steps=3)
    monkeypatch.setattr(propagation, "CHUNK_BYTES", 8 * patches_per_block)
    pieces = propagate(f, anchors, phi0=0.7, psi0=0.1, steps=3)
    torch.testing.assert_close(pieces.proxies, whole.proxies)
    torch.testing.assert_close(pieces.phi, whole.phi)
    for t in range(4):
        assert all(map(torch.equal, pieces.at(t), whole.at(t)))
    torch.testing.assert_close(pieces.similarity(1), whole.similarity(1))


def test_no_block_of_similarities_is_larger_than_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []

    def watched(v: Tensor, f: Tensor) -> Tensor:
        out = v @ f.T
        sizes.append(out.numel() * out.element_size())
        return out

    monkeypatch.setattr(propagation, "cosines", watched)
    monkeypatch.setattr(propagation, "CHUNK_BYTES", 4000)
    sets = propagate(torch.randn(100, 3), torch.arange(95))
    sets.at(1)
    assert max(sizes) == 4000  # ten anchors at a time, and five in the last block
    assert min(sizes) == 2000


def test_a_large_batch_runs() -> None:
    f = torch.randn(200_000, 16, generator=torch.Generator().manual_seed(0))
    sets = propagate(f, torch.tensor([0, 7, 199_999]))
    total = sets.positive.sum(1) + sets.ambiguous.sum(1) + sets.negative.sum(1)
    assert total.tolist() == [199_999] * 3
    assert sets.positive.any(dim=1).all()


# --- edges


def test_without_steps_the_proxy_is_the_anchor() -> None:
    f = gaussian(2, 20, 4)
    sets = propagate(f, torch.tensor([3]), steps=0)
    assert sets.moved.shape == (0, 1)
    assert torch.equal(sets.proxies, unit(f)[3].expand(1, 1, -1))


def test_duplicates_of_the_anchor_are_positive_and_it_stays() -> None:
    f = torch.cat([torch.tensor([[1.0, 2, 2]]).repeat(4, 1), torch.tensor([[-1.0, 0, 0]])])
    sets = propagate(f, torch.tensor([1]), steps=3)
    assert members(sets.positive[0]) == [0, 2, 3]
    torch.testing.assert_close(sets.moved, torch.zeros(3, 1))


def test_a_zero_vector_is_like_nothing_and_stays_so() -> None:
    f = torch.cat([torch.zeros(1, 4), gaussian(3, 20, 4).float()])
    sets = propagate(f, torch.tensor([0, 1]), phi0=0.5, psi0=0.1, steps=5)
    assert members(sets.positive[0]) == []
    assert members(sets.negative[0]) == list(range(1, 21))
    assert sets.phi[:, 0].tolist() == [0.5] * 6
    assert not sets.positive[1, 0]
    assert torch.isfinite(sets.proxies).all()


def test_phi0_of_1_leaves_no_positive_and_the_proxy_where_it_was() -> None:
    f = torch.eye(4)  # cosines are exact, also with itself
    sets = propagate(f, torch.tensor([0, 2]), phi0=1, psi0=0.5, steps=3)
    assert not sets.positive.any()
    assert torch.equal(sets.proxies, f[[0, 2]].expand(4, 2, 4))
    assert torch.equal(sets.phi, torch.ones(4, 2))
    inexact = propagate(gaussian(5, 40, 6).float(), torch.arange(40), phi0=1, steps=3)
    assert torch.isfinite(inexact.proxies).all()
    assert not inexact.positive.any()


def test_phi0_of_minus_1_takes_everything_but_the_exact_opposite() -> None:
    f = torch.tensor([[1.0, 0], [0, 1], [-1, 0], [1, 1]])
    sets = propagate(f, torch.tensor([0]), phi0=-1, psi0=-1, steps=0)
    assert members(sets.positive[0]) == [1, 3]


def test_no_anchors_give_empty_sets_at_every_step() -> None:
    sets = propagate(gaussian(0, 6, 3), torch.empty(0, dtype=torch.int64), steps=2)
    assert sets.positive.shape == (0, 6)
    assert sets.proxies.shape == (3, 0, 3)
    assert sets.similarity(0).shape == (0, 6)
    assert sets.at(0).negative.shape == (0, 6)


def test_a_single_patch_has_nothing_around_it() -> None:
    sets = propagate(torch.tensor([[3.0, 4.0]]), torch.tensor([0]))
    assert not any(part.any() for part in sets.at(-1))


def test_a_repeated_anchor_gets_the_same_sets_each_time() -> None:
    sets = propagate(gaussian(6, 30, 4), torch.tensor([5, 9, 5]))
    for part in sets.at(-1):
        assert torch.equal(part[0], part[2])


def test_int32_anchors_become_int64() -> None:
    f = gaussian(6, 30, 4)
    sets = propagate(f, torch.tensor([5, 9], dtype=torch.int32))
    assert sets.anchors.dtype == torch.int64
    assert torch.equal(sets.positive, propagate(f, torch.tensor([5, 9])).positive)


@pytest.mark.parametrize(
    ("given_as", "kept_as"),
    [
        (torch.float16, torch.float32),
        (torch.bfloat16, torch.float32),
        (torch.float32, torch.float32),
        (torch.float64, torch.float64),
    ],
)
def test_precision(given_as: torch.dtype, kept_as: torch.dtype) -> None:
    f = gaussian(7, 50, 6).to(given_as)
    sets = propagate(f, torch.arange(10), phi0=0.6, steps=2)
    assert {x.dtype for x in (sets.features, sets.proxies, sets.phi, sets.psi)} == {kept_as}
    exact = propagate(f.double(), torch.arange(10), phi0=0.6, steps=2)
    assert all(map(torch.equal, sets.at(-1), exact.at(-1)))


def test_autocast_does_not_blur_the_cosines() -> None:
    f, anchors = gaussian(8, 300, 16).float(), torch.arange(0, 300, 3)
    plain = propagate(f, anchors, phi0=0.6, steps=2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast = propagate(f, anchors, phi0=0.6, steps=2)
        early = cast.at(0)
    assert torch.equal(cast.proxies, plain.proxies)
    assert all(map(torch.equal, cast.at(-1), plain.at(-1)))
    assert all(map(torch.equal, early, plain.at(0)))


def test_no_gradient_is_kept() -> None:
    f = gaussian(9, 20, 4).requires_grad_()
    sets = propagate(f, torch.arange(3))
    assert not sets.features.requires_grad
    assert not sets.similarity(0).requires_grad


def test_the_input_is_left_as_it_was() -> None:
    f, anchors = gaussian(9, 20, 4), torch.arange(3)
    before = f.clone()
    propagate(f, anchors)
    assert torch.equal(f, before)
    assert anchors.tolist() == [0, 1, 2]


# --- errors name the field and its range

F_OK, A_OK = torch.ones(4, 3), torch.tensor([0])
BAD_ROW = torch.tensor([[1.0, 2], [3, 4], [math.nan, 5]])


@pytest.mark.parametrize(
    ("features", "anchors", "error", "sentence"),
    [
        (F_OK.numpy(), A_OK, TypeError, r"features must be a floating-point.*not ndarray"),
        (F_OK.int(), A_OK, TypeError, r"features must be a floating-point.*int32"),
        (torch.ones(1, 2, 2, 3), A_OK, ValueError, r"features must have the shape \(N, D\).*flat"),
        (torch.ones(0, 3), A_OK, ValueError, r"features are empty: shape \(0, 3\)"),
        (torch.ones(3, 0), A_OK, ValueError, r"features are empty"),
        (BAD_ROW, A_OK, ValueError, r"features hold NaN or infinity, first in row 2"),
        (F_OK * math.inf, A_OK, ValueError, r"first in row 0"),
        (F_OK, [0], TypeError, r"anchors must be an int64.*not list"),
        (F_OK, torch.tensor([0.0]), TypeError, r"anchors must be an int64.*float32"),
        (F_OK, torch.tensor([True, False]), TypeError, r"anchors must be an int64.*bool"),
        (F_OK, torch.tensor([[0]]), ValueError, r"anchors must have the shape \(A,\)"),
        (F_OK, torch.tensor([0, 4]), IndexError, r"anchor 4 is outside the features: 0 to 3"),
        (F_OK, torch.tensor([-1]), IndexError, r"anchor -1 is outside the features: 0 to 3"),
    ],
)
def test_errors_about_the_tensors(
    features: Any, anchors: Any, error: type[Exception], sentence: str
) -> None:
    with pytest.raises(error, match=sentence):
        propagate(features, anchors)


@pytest.mark.parametrize("value", [1.01, -1.01, math.nan, math.inf, "0.5", None])
@pytest.mark.parametrize("name", ["phi0", "psi0"])
def test_errors_about_the_cosines(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"{name} must be a cosine between -1 and 1"):
        propagate(F_OK, A_OK, **{name: value})


@pytest.mark.parametrize("value", [0, -1, math.nan, math.inf, "3", None])
@pytest.mark.parametrize("name", ["sigma_pos", "sigma_amb"])
def test_errors_about_the_sigmas(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"{name} must be a number above 0"):
        propagate(F_OK, A_OK, **{name: value})


@pytest.mark.parametrize("value", [-1, 1.5, 2.0, True, "2", math.nan, math.inf, None])
def test_errors_about_the_steps(value: Any) -> None:
    with pytest.raises(ValueError, match="steps must be a whole number, 0 or more"):
        propagate(F_OK, A_OK, steps=value)


def test_numbers_of_numpy_are_numbers() -> None:
    sets = propagate(F_OK, A_OK, phi0=np.float32(0.5), steps=np.int64(1))  # type: ignore[arg-type]
    assert sets.steps == 1


@pytest.mark.parametrize("t", [3, -4])
def test_a_step_that_does_not_exist(t: int) -> None:
    sets = propagate(F_OK, A_OK, steps=2)
    for ask in (sets.at, sets.similarity):
        with pytest.raises(
            IndexError, match=rf"step {t} does not exist: these sets have steps 0 to 2"
        ):
            ask(t)


def test_unit_vectors_of_any_scale() -> None:
    x = torch.randn(50, 7, generator=torch.Generator().manual_seed(0))
    scaled = x * torch.logspace(-30, 30, 50).unsqueeze(1)
    scaled[3] = 0
    found = unit(scaled)
    expected = torch.nn.functional.normalize(x.double(), dim=1).float()
    expected[3] = 0
    torch.testing.assert_close(found, expected)
