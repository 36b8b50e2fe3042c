"""Eq. 8 against hand-computed numbers, the published implementation, plain loops and autograd."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import ppap
from ppap import propagate
from ppap.contrast import SetLoss, eq8, objective
from ppap.propagation import Partition, PatchSets, unit
from ppap.rivals import Choice, gather_unit, prepare
from tests.support.golden import GOLDEN, golden_case

# Most cases here are of any length: where nothing else is said, the loss normalises them.
contrastive_loss = partial(ppap.contrastive_loss, normalise=True)
chunked_loss = partial(ppap.contrast.chunked_loss, normalise=True)
ppap_loss = partial(ppap.ppap_loss, normalise=True)

quick = settings(max_examples=60, deadline=None, derandomize=True)
MEAN_OVER = ("anchors", "images")
# The sets and the mean sizes that belong to them.
FIELD = {"positive": "positives", "ambiguous": "ambiguous", "negative": "negatives"}


def normal(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def random_sets(seed: int, anchors: Tensor, patches: int, likely: float = 0.3) -> Partition:
    """P, A and N by chance, some P empty; no anchor in its own."""
    drawn = torch.rand(
        len(anchors), patches, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    )
    positive, negative = drawn < likely, drawn > 0.6
    positive[1::3] = False
    rows = torch.arange(len(anchors))
    for members in (positive, negative):
        members[rows, anchors] = False
    ambiguous = ~(positive | negative)
    ambiguous[rows, anchors] = False
    return Partition(positive, ambiguous, negative)


def in_plain_loops(
    projected: Tensor,
    anchors: Tensor,
    sets: PatchSets | Partition,
    temperature: float,
    images: Tensor | None = None,
) -> Tensor:
    """Eq. 8 read aloud, one anchor and one positive at a time; autograd does the rest."""
    z = [row / row.square().sum().sqrt() for row in projected]
    by_image: dict[int, list[Tensor]] = {}
    for row, i in enumerate(anchors.tolist()):
        p = [j for j in range(len(z)) if sets.positive[row, j] and j != i]
        n = [j for j in range(len(z)) if sets.negative[row, j] and j != i]
        if not p:
            continue
        below = torch.stack([torch.exp(z[i] @ z[j] / temperature) for j in {*n, *p}]).sum()
        logs = [torch.log(torch.exp(z[i] @ z[j] / temperature) / below) for j in p]
        image = row if images is None else int(images[row])
        by_image.setdefault(image, []).append(-torch.stack(logs).sum() / len(p))
    if not by_image:
        return projected.sum() * 0
    return torch.stack([torch.stack(losses).mean() for losses in by_image.values()]).mean()


def with_gradient(loss: Tensor, projected: Tensor) -> tuple[Tensor, Tensor]:
    (slope,) = torch.autograd.grad(loss, projected)
    return loss.detach(), slope


class Case(dict[str, Any]):
    """Arguments of one call of contrastive_loss; printed by hypothesis when a test fails."""


@st.composite
def cases(draw: st.DrawFn) -> Case:
    seed, n, d = draw(st.integers(0, 9999)), draw(st.integers(1, 12)), draw(st.integers(1, 5))
    picks = draw(st.lists(st.integers(0, n - 1), max_size=6))  # the same anchor may come twice
    anchors = torch.tensor(picks, dtype=torch.int64)
    own = draw(st.lists(st.integers(0, 3), min_size=len(picks), max_size=len(picks)))
    return Case(
        projected=normal(seed, n, d).requires_grad_(),
        anchors=anchors,
        sets=random_sets(seed, anchors, n, draw(st.floats(0, 0.6))),
        temperature=draw(st.sampled_from([0.05, 0.07, 0.5, 0.8, 3])),
        images=draw(st.sampled_from([None, torch.tensor(own, dtype=torch.int64)])),
    )


# --- by hand


def test_one_anchor_on_paper() -> None:
    # cosines with the anchor: 1 (P), 0 (P), −1 (N), 0.6 (ambiguous, so nowhere)
    projected = torch.tensor([[2.0, 0], [1, 0], [0, 3], [-5, 0], [6, 8]])
    sets = Partition(
        torch.tensor([[False, True, True, False, False]]),
        torch.tensor([[False, False, False, False, True]]),
        torch.tensor([[False, False, False, True, False]]),
    )
    loss = contrastive_loss(projected, torch.tensor([0]), sets, temperature=0.5)
    below = math.exp(2) + math.exp(0) + math.exp(-2)
    by_hand = -(math.log(math.exp(2) / below) + math.log(math.exp(0) / below)) / 2
    assert loss.item() == pytest.approx(by_hand, rel=1e-6)
    doubled = contrastive_loss(
        projected, torch.tensor([0]), sets, temperature=0.5, published_scale=True
    )
    assert doubled.item() == pytest.approx(by_hand * 0.5 / 0.07, rel=1e-6)


def test_the_gradient_on_paper() -> None:
    # One positive at a right angle and one negative opposite: p = softmax(0, −1/τ).
    projected = torch.tensor([[1.0, 0], [0, 1], [-1, 0]], requires_grad=True)
    sets = Partition(
        torch.tensor([[False, True, False]]),
        torch.zeros(1, 3, dtype=torch.bool),
        torch.tensor([[False, False, True]]),
    )
    contrastive_loss(projected, torch.tensor([0]), sets, temperature=2.0).backward()
    p = 1 / (1 + math.exp(-0.5))
    by_p, by_n = (p - 1) / 2, (1 - p) / 2  # dL / d cosine
    # Along z nothing changes: the anchor may only turn towards (0, 1), the positive towards
    # (1, 0), and the negative, opposite, nowhere.
    expected = torch.tensor([[0, by_p], [by_p, 0], [0, 0]])
    assert projected.grad is not None
    torch.testing.assert_close(projected.grad, expected)
    raw = projected.detach().clone().requires_grad_()
    contrastive_loss(raw, torch.tensor([0]), sets, temperature=2.0, normalise=False).backward()
    assert raw.grad is not None
    torch.testing.assert_close(raw.grad, torch.tensor([[-by_n, by_p], [by_p, 0], [by_n, 0]]))


def test_the_mean_is_over_anchors_or_over_images() -> None:
    projected, anchors = normal(1, 6, 3), torch.tensor([0, 1, 2, 5])
    sets = random_sets(4, anchors, 6, 0.5)  # the second anchor has no positive
    alone = [
        contrastive_loss(
            projected,
            anchors[i : i + 1],
            Partition(*(part[i : i + 1] for part in sets)),
            temperature=0.3,
        ).item()
        for i in range(4)
    ]
    assert alone[1] == 0
    assert min(alone[0], alone[2], alone[3]) > 0
    plain = contrastive_loss(projected, anchors, sets, temperature=0.3)
    assert plain.item() == pytest.approx((alone[0] + alone[2] + alone[3]) / 3)
    by_image = contrastive_loss(
        projected, anchors, sets, temperature=0.3, images=torch.tensor([7, 7, 2, 7])
    )
    assert by_image.item() == pytest.approx(((alone[0] + alone[3]) / 2 + alone[2]) / 2)
    without = contrastive_loss(
        projected, anchors, sets, temperature=0.3, images=torch.tensor([0, 1, 2, 0])
    )
    assert without.item() == pytest.approx(((alone[0] + alone[3]) / 2 + alone[2]) / 2)


@pytest.mark.parametrize("mean_over", MEAN_OVER)
@pytest.mark.parametrize("rows", [1, 3, 100])
def test_what_is_counted_joins_the_means_of_parts(
    monkeypatch: pytest.MonkeyPatch, mean_over: str, rows: int
) -> None:
    monkeypatch.setattr(eq8, "SMALL_CHUNK_BYTES", rows * 8 * 12)
    monkeypatch.setattr(eq8, "CHUNK_BYTES", rows * 8 * 12)
    projected, anchors = normal(1, 12, 3).requires_grad_(), torch.arange(12)
    sets = random_sets(4, anchors, 12, 0.5)  # the anchors 1, 4, 7 and 10 have no positive
    sets.positive[6:9] = False  # nor has any of the third image
    images = anchors // 3 if mean_over == "images" else None

    def of(part: slice) -> SetLoss:
        return chunked_loss(
            lambda chunk: Partition(*(members[chunk] for members in sets)),
            projected,
            anchors[part],
            temperature=0.3,
            images=None if images is None else images[part],
        )

    whole, parts = of(slice(None)), [of(slice(0, 3)), of(slice(3, 12))]
    own = [2, 4] if images is None else [1, 2]
    assert [found.counted.item() for found in (whole, *parts)] == [sum(own), *own]
    assert whole.counted.dtype == torch.int64
    assert not whole.counted.requires_grad
    joined = sum(found.loss * found.counted for found in parts) / whole.counted
    ours, again = with_gradient(joined, projected), with_gradient(whole.loss, projected)
    torch.testing.assert_close(ours, again)


# --- the published implementation's numbers


@pytest.mark.parametrize("mean_over", MEAN_OVER)
@pytest.mark.parametrize("name", GOLDEN)
def test_loss_sizes_and_gradient_are_the_published_ones(
    golden: Path, name: str, mean_over: str
) -> None:
    numbers, case = golden_case(golden / f"{name}.npz")
    if mean_over == "anchors":  # no anchor of theirs is empty, so that both means agree
        case["images"] = None
    found = ppap.ppap_loss(**case, published_scale=True)  # their z is of unit length
    assert found.loss.item() == pytest.approx(numbers["loss"].item(), rel=1e-5)
    assert found.positives.item() == pytest.approx(numbers["mean_positives"].item(), abs=1e-3)
    assert found.negatives.item() == pytest.approx(numbers["mean_negatives"].item(), abs=1e-3)
    assert found.empty.item() == 0
    _, slope = with_gradient(found.loss, case["projected"])
    expected = torch.from_numpy(numbers["grad_projected"])
    torch.testing.assert_close(slope, expected, rtol=1e-3, atol=1e-5 * expected.abs().max().item())
    assert (slope - expected).norm() < 1e-5 * expected.norm()


@pytest.mark.parametrize("name", GOLDEN)
def test_the_gradient_through_the_normalisation_is_the_published_one(
    golden: Path, name: str
) -> None:
    # Theirs is by z. What reaches a network, which normalises before, is the part across z.
    numbers, case = golden_case(golden / f"{name}.npz")
    z, by_z = case["projected"].detach(), torch.from_numpy(numbers["grad_projected"])
    across = by_z - z * (z * by_z).sum(dim=1, keepdim=True)
    found = ppap_loss(**case, published_scale=True)
    assert found.loss.item() == pytest.approx(numbers["loss"].item(), rel=1e-5)
    _, slope = with_gradient(found.loss, case["projected"])
    assert (slope - across).norm() < 1e-5 * across.norm()
    normalised_by_the_caller = F.normalize(case["projected"], dim=1)
    again = ppap_loss(**Case(case, projected=normalised_by_the_caller), published_scale=True)
    _, slope = with_gradient(again.loss, case["projected"])
    assert (slope - across).norm() < 1e-5 * across.norm()


def test_without_the_published_factor_it_is_the_papers(golden: Path) -> None:
    numbers, case = golden_case(golden / "coco_vits16.npz")
    loss = ppap_loss(**case).loss
    assert loss.item() == pytest.approx(numbers["loss"].item() * 0.07 / 0.8, rel=1e-5)


# --- plain loops and autograd


@quick
@given(cases())
def test_loss_and_gradient_are_those_of_plain_loops(case: Case) -> None:
    ours = with_gradient(contrastive_loss(**case), case["projected"])
    plain = with_gradient(in_plain_loops(**case), case["projected"])
    torch.testing.assert_close(ours, plain, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("mean_over", MEAN_OVER)
@pytest.mark.parametrize("normalise", [False, True])
def test_the_gradient_is_that_of_finite_differences(mean_over: str, normalise: bool) -> None:
    anchors = torch.tensor([0, 3, 4, 3])
    sets = random_sets(5, anchors, 7)
    images = torch.tensor([0, 0, 0, 1]) if mean_over == "images" else None

    def loss(projected: Tensor) -> Tensor:
        return contrastive_loss(
            projected,
            anchors,
            sets,
            temperature=0.4,
            images=images,
            published_scale=True,
            normalise=normalise,
        )

    projected = normal(6, 7, 3).requires_grad_()
    assert torch.autograd.gradcheck(loss, projected)


@quick
@given(cases(), st.integers(0, 9999))
def test_the_length_of_a_row_does_not_matter(case: Case, seed: int) -> None:
    n = len(case["projected"])
    powers = torch.randint(-40, 41, (n, 1), generator=torch.Generator().manual_seed(seed))
    scaled = torch.ldexp(case["projected"].detach(), powers).requires_grad_()
    loss, slope = with_gradient(contrastive_loss(**case), case["projected"])
    again = with_gradient(contrastive_loss(**Case(case, projected=scaled)), scaled)
    assert torch.equal(again[0], loss)
    torch.testing.assert_close(torch.ldexp(again[1], powers), slope)


@quick
@given(cases(), st.randoms(use_true_random=False))
def test_the_order_of_the_anchors_does_not_matter(case: Case, random: Any) -> None:
    order = list(range(len(case["anchors"])))
    random.shuffle(order)
    shuffle = torch.tensor(order, dtype=torch.int64)
    mixed = Case(
        case,
        anchors=case["anchors"][shuffle],
        sets=Partition(*(part[shuffle] for part in case["sets"])),
        images=None if case["images"] is None else case["images"][shuffle],
    )
    ours = with_gradient(contrastive_loss(**case), case["projected"])
    again = with_gradient(contrastive_loss(**mixed), case["projected"])
    torch.testing.assert_close(again, ours)


@pytest.mark.parametrize("mean_over", MEAN_OVER)
@pytest.mark.parametrize("rows", [1, 2, 5, 7])
def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch, rows: int, mean_over: str) -> None:
    features, projected = normal(2, 40, 4), normal(3, 40, 4).requires_grad_()
    anchors = torch.randperm(40, generator=torch.Generator().manual_seed(0))[:23]
    images = anchors // 10 if mean_over == "images" else None
    case = Case(anchors=anchors, temperature=0.2, images=images)
    sets = propagate(features, anchors, phi0=0.8, psi0=0.3)
    whole = with_gradient(contrastive_loss(projected, sets=sets, **case), projected)
    sizes = ppap_loss(features, projected, phi0=0.8, psi0=0.3, **case)
    assert sizes.empty > 0
    monkeypatch.setattr(eq8, "anchors_at_once", lambda count, row_bytes: rows)
    pieces = with_gradient(contrastive_loss(projected, sets=sets, **case), projected)
    torch.testing.assert_close(pieces, whole)
    again = ppap_loss(features, projected, phi0=0.8, psi0=0.3, **case)
    torch.testing.assert_close(again[1:], sizes[1:])
    torch.testing.assert_close(with_gradient(again.loss, projected), whole)


def test_no_block_is_larger_than_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(eq8, "SMALL_CHUNK_BYTES", 4000)
    monkeypatch.setattr(eq8, "CHUNK_BYTES", 8000)
    assert eq8.anchors_at_once(1000, 400) == 20  # 8,000 bytes, as 10 anchors are too few
    assert eq8.anchors_at_once(21, 400) == 11  # 11 and 10, not 20 and 1
    assert eq8.anchors_at_once(7, 9999) == 1
    assert eq8.anchors_at_once(0, 400) == 0
    monkeypatch.setattr(eq8, "ENOUGH_ANCHORS", 3)
    assert eq8.anchors_at_once(1000, 400) == 10
    asked = []

    def sets_of(chunk: Tensor) -> Partition:
        asked.append(len(chunk))
        return random_sets(0, chunk, 100)

    chunked_loss(sets_of, torch.randn(100, 3), torch.arange(95), temperature=1)
    assert asked == [10] * 9 + [5]
    asked.clear()
    images = torch.arange(95) // 4  # whole images only: two at a time, the last has three
    chunked_loss(sets_of, torch.randn(100, 3), torch.arange(95), temperature=1, images=images)
    assert asked == [8] * 11 + [7]


# --- which patches take part


def test_ambiguous_patches_and_the_anchor_itself_are_in_no_sum() -> None:
    projected, anchors = normal(4, 9, 4).requires_grad_(), torch.tensor([2])
    kinds = torch.tensor([0, 1, 2, 2, 2, 1, 0, 2, 1])  # P, A, N; the anchor claims to be in N
    sets = Partition(*(kinds.eq(kind).unsqueeze(0) for kind in range(3)))
    loss, slope = with_gradient(
        contrastive_loss(projected, anchors, sets, temperature=0.3), projected
    )
    assert (slope[kinds == 1] == 0).all()
    assert (slope[kinds == 0].abs().sum(dim=1) > 0).all()
    assert (slope[kinds == 2].abs().sum(dim=1) > 0).all()
    z = F.normalize(projected.detach(), dim=1)
    cosines = (z[2] @ z.T).tolist()
    below = sum(math.exp(cosines[j] / 0.3) for j in (0, 3, 4, 6, 7))
    by_hand = [-math.log(math.exp(cosines[j] / 0.3) / below) for j in (0, 6)]
    assert loss.item() == pytest.approx(sum(by_hand) / 2)


def test_an_ambiguous_patch_has_a_gradient_only_from_other_anchors() -> None:
    projected, anchors = normal(4, 5, 4).requires_grad_(), torch.tensor([0, 1])
    kinds = torch.tensor([[3, 0, 2, 1, 1], [0, 3, 2, 1, 2]])
    sets = Partition(*(kinds.eq(kind) for kind in range(3)))
    _, both = with_gradient(contrastive_loss(projected, anchors, sets, temperature=1), projected)
    assert (both[3] == 0).all()
    assert (both[4] != 0).any()
    second = Partition(*(part[1:] for part in sets))
    _, alone = with_gradient(
        contrastive_loss(projected, anchors[1:], second, temperature=1), projected
    )
    torch.testing.assert_close(both[4], alone[4] / 2)


def test_a_patch_both_positive_and_negative_counts_once() -> None:
    projected, anchors = normal(4, 5, 4), torch.tensor([0])
    kinds = torch.tensor([[3, 0, 2, 1, 2]])
    apart = Partition(*(kinds.eq(kind) for kind in range(3)))
    overlapping = apart._replace(negative=apart.negative | apart.positive)
    assert torch.equal(
        contrastive_loss(projected, anchors, overlapping, temperature=1),
        contrastive_loss(projected, anchors, apart, temperature=1),
    )


@pytest.mark.parametrize("rule", ["ppap", "tps", "ans", "baseline", "hp", "knn", "kmeans"])
def test_any_rule_gives_the_same_loss_in_chunks(monkeypatch: pytest.MonkeyPatch, rule: str) -> None:
    f, projected = unit(normal(11, 60, 5)), normal(12, 60, 3).requires_grad_()
    anchors = torch.arange(0, 60, 2)
    # ρ = 1 takes the chance out of hidden positives.
    choice = Choice(rule, k=7, clusters=3, pool_size=8, rho=1)
    prepared = prepare(choice, f, pool=unit(normal(13, 8, 5)))
    sets = gather_unit(choice, f, anchors, prepared)
    assert sets.positive.any()
    at_once = with_gradient(contrastive_loss(projected, anchors, sets, temperature=0.1), projected)
    monkeypatch.setattr(eq8, "anchors_at_once", lambda count, row_bytes: 7)
    found = chunked_loss(
        lambda chunk: gather_unit(choice, f, chunk, prepared), projected, anchors, temperature=0.1
    )
    torch.testing.assert_close(with_gradient(found.loss, projected), at_once)
    for name in FIELD:
        mean = getattr(sets, name).sum(dim=1).float().mean()
        torch.testing.assert_close(getattr(found, FIELD[name]), mean)


# --- nothing to learn from


def no_sets(anchors: int, patches: int) -> Partition:
    empty = torch.zeros(anchors, patches, dtype=torch.bool)
    return Partition(empty, empty.clone(), ~empty)


@pytest.mark.parametrize("mean_over", MEAN_OVER)
@pytest.mark.parametrize("count", [0, 1, 3])
def test_without_positives_the_loss_is_zero_and_can_be_learnt_from(
    count: int, mean_over: str
) -> None:
    projected = normal(0, 5, 2).requires_grad_()
    anchors = torch.arange(count)
    images = anchors if mean_over == "images" else None
    loss = contrastive_loss(projected, anchors, no_sets(count, 5), temperature=0.1, images=images)
    loss.backward()
    assert loss.item() == 0
    assert projected.grad is not None
    assert (projected.grad == 0).all()
    found = ppap_loss(normal(1, 5, 2), projected, anchors, phi0=1, psi0=-1, images=images)
    assert found.loss.item() == 0
    assert found.loss.grad_fn is not None
    assert found.empty.item() == count
    assert found.counted.item() == 0
    assert found.positives.item() == 0
    assert found.ambiguous.item() == (4 if count else 0)


def test_a_single_patch_has_nothing_to_learn_from() -> None:
    projected = torch.ones(1, 2, requires_grad=True)
    found = ppap_loss(torch.ones(1, 2), projected, torch.tensor([0]))
    found.loss.backward()
    assert [float(value.detach()) for value in found] == [0, 0, 0, 0, 1, 0]
    assert projected.grad is not None
    assert (projected.grad == 0).all()


# --- numbers of every size


@pytest.mark.parametrize("temperature", [1e-4, 0.01, 0.07, 100.0])
def test_no_temperature_overflows(temperature: float) -> None:
    features, projected = normal(2, 40, 4).float(), normal(3, 40, 4).float().requires_grad_()
    case = Case(anchors=torch.arange(0, 40, 2), phi0=0.6, psi0=0.2, temperature=temperature)
    found = ppap_loss(features, projected, **case)
    loss, slope = with_gradient(found.loss, projected)
    wide = projected.detach().double().requires_grad_()
    exact = with_gradient(ppap_loss(features, wide, **case).loss, wide)
    torch.testing.assert_close(loss.double(), exact[0], rtol=1e-4, atol=0)
    # At τ = 1e-4 an error of 1e-7 in a cosine moves a probability by 1e-3.
    assert (slope - exact[1]).norm() < 5e-3 * exact[1].norm()


@pytest.mark.parametrize("scale", [1e-37, 1e-30, 1e30, 1e37])
def test_no_scale_overflows_or_vanishes(scale: float) -> None:
    features, projected = normal(2, 40, 4).float(), normal(3, 40, 4).float()
    anchors = torch.arange(0, 40, 2)
    plain = ppap_loss(features, projected, anchors)
    scaled = (projected * scale).requires_grad_()
    again = ppap_loss(features * scale, scaled, anchors)
    torch.testing.assert_close(again.loss.detach(), plain.loss, rtol=1e-4, atol=0)
    torch.testing.assert_close(again[1:], plain[1:])
    again.loss.backward()
    assert scaled.grad is not None
    assert torch.isfinite(scaled.grad).all()


def test_a_zero_row_gets_no_gradient_and_spoils_none() -> None:
    projected, anchors = normal(3, 6, 4), torch.tensor([0, 1])
    projected[1], projected[4] = 0, 1e-320
    projected.requires_grad_()
    sets = random_sets(2, anchors, 6, 0.9)
    sets.positive[:, 2] = True
    loss, slope = with_gradient(
        contrastive_loss(projected, anchors, sets, temperature=0.01), projected
    )
    assert torch.isfinite(loss)
    assert torch.isfinite(slope).all()
    assert (slope[[1, 4]] == 0).all()
    assert (slope[0] != 0).any()


def test_what_is_no_number_gives_a_loss_that_is_none() -> None:
    # A gradient scaler skips such a step and lowers its factor; an error would end the training.
    projected = normal(3, 40, 4)
    projected[7, 1] = math.inf
    projected.requires_grad_()
    found = ppap_loss(normal(2, 40, 4), projected, torch.arange(20))
    found.loss.backward()
    assert found.loss.isnan()
    assert projected.grad is not None
    assert not torch.isfinite(projected.grad).all()


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_single(kind: torch.dtype) -> None:
    features, anchors = normal(2, 40, 4).float(), torch.arange(0, 40, 2)
    half = normal(3, 40, 4).to(kind).requires_grad_()
    wide = half.detach().float().requires_grad_()
    found = ppap_loss(features, half, anchors, phi0=0.6)
    expected = ppap_loss(features, wide, anchors, phi0=0.6)
    assert torch.equal(found.loss, expected.loss)
    # Scaled as a gradient scaler does; unscaled, all of this gradient would be 0 in float16.
    (found.loss * 1e-8 * 2**16).backward()
    (expected.loss * 1e-8 * 2**16).backward()
    assert half.grad is not None
    assert wide.grad is not None
    assert half.grad.dtype == kind
    assert torch.equal(half.grad, wide.grad.to(kind))
    ppap_loss(features.to(kind), half, anchors)


def test_float64_stays_float64() -> None:
    found = ppap_loss(normal(2, 40, 4), normal(3, 40, 4), torch.arange(9))
    assert found.loss.dtype == torch.float64


def test_autocast_changes_nothing() -> None:
    features, anchors = normal(2, 40, 4).float(), torch.arange(0, 40, 2)
    projected = normal(3, 40, 4).float().requires_grad_()
    case = Case(phi0=0.6, temperature=0.05)
    plain = with_gradient(ppap_loss(features, projected, anchors, **case).loss, projected)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast = with_gradient(ppap_loss(features, projected, anchors, **case).loss, projected)
    assert all(map(torch.equal, cast, plain))


# --- the gradient's way


def test_only_projected_gets_a_gradient() -> None:
    features = normal(2, 40, 4).requires_grad_()
    projected = normal(3, 40, 4).requires_grad_()
    found = ppap_loss(features, projected, torch.arange(20))
    found.loss.backward()
    assert features.grad is None
    assert projected.grad is not None
    assert not any(part.requires_grad for part in found[1:])
    assert not ppap_loss(features, projected.detach(), torch.arange(20)).loss.requires_grad


def test_without_gradients_the_loss_is_the_same_and_none_is_worked_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    projected = normal(3, 40, 4).requires_grad_()
    case = Case(features=normal(2, 40, 4), projected=projected, anchors=torch.arange(20))
    loss = ppap_loss(**case).loss
    monkeypatch.setattr(eq8, "through_normalisation", None)
    with torch.no_grad():
        quiet = ppap_loss(**case).loss
    assert quiet.grad_fn is None
    assert torch.equal(quiet, loss)


def test_the_gradient_can_be_asked_for_twice_and_scales_with_what_comes_down() -> None:
    projected = normal(3, 40, 4).requires_grad_()
    loss = ppap_loss(normal(2, 40, 4), projected, torch.arange(20)).loss
    once = torch.autograd.grad(loss, projected, retain_graph=True)[0]
    thrice = torch.autograd.grad(3 * loss, projected, retain_graph=True)[0]
    torch.testing.assert_close(thrice, 3 * once)
    assert torch.equal(torch.autograd.grad(loss, projected)[0], once)


def test_a_step_along_the_gradient_lowers_the_loss() -> None:
    features = normal(2, 60, 6)
    projected = normal(3, 60, 6).requires_grad_()
    case = Case(features=features, anchors=torch.arange(0, 60, 2), phi0=0.5)
    losses = []
    for _ in range(5):
        loss, slope = with_gradient(ppap_loss(projected=projected, **case).loss, projected)
        losses.append(loss.item())
        projected = (projected.detach() - 20 * slope).requires_grad_()
    assert losses == sorted(set(losses), reverse=True)


def test_the_inputs_are_left_as_they_were() -> None:
    anchors = torch.tensor([1, 2])
    features, projected = normal(2, 9, 4), normal(3, 9, 4).requires_grad_()
    sets = random_sets(0, anchors, 9)
    sets.negative[0, 1] = True
    before = [x.clone() for x in (features, projected, *sets)]
    contrastive_loss(projected, anchors, sets, temperature=1, normalise=False).backward()
    contrastive_loss(projected, anchors, sets, temperature=1).backward()
    ppap_loss(features, projected, anchors).loss.backward()
    assert all(map(torch.equal, (features, projected, *sets), before))


def test_int32_anchors_and_images_are_whole_numbers_too() -> None:
    features, projected = normal(2, 9, 4), normal(3, 9, 4)
    anchors, images = torch.tensor([1, 2, 5]), torch.tensor([0, 0, 1])
    expected = ppap_loss(features, projected, anchors, images=images)
    found = ppap_loss(features, projected, anchors.int(), images=images.int())
    assert isinstance(found, SetLoss)
    assert all(map(torch.equal, found, expected))


# --- errors name the field and its range

X_OK, A_OK = torch.ones(4, 3), torch.tensor([0, 2])
S_OK = no_sets(2, 4)


@pytest.mark.parametrize("value", [0, -0.1, math.nan, math.inf, "0.8", None, True])
def test_errors_about_the_temperature(value: Any) -> None:
    sentence = "temperature must be a number above 0"
    with pytest.raises(ValueError, match=sentence):
        contrastive_loss(X_OK, A_OK, S_OK, temperature=value)
    with pytest.raises(ValueError, match=sentence):
        ppap_loss(X_OK, X_OK, A_OK, temperature=value)


@pytest.mark.parametrize(
    ("projected", "error", "sentence"),
    [
        (X_OK.numpy(), TypeError, r"projected must be a floating-point.*not ndarray"),
        (X_OK.int(), TypeError, r"projected must be a floating-point.*int32"),
        (torch.ones(1, 2, 2, 3), ValueError, r"projected must have the shape \(N, D\).*flatten"),
        (torch.ones(4, 0), ValueError, r"projected is empty: shape \(4, 0\)"),
    ],
)
def test_errors_about_projected(projected: Any, error: type[Exception], sentence: str) -> None:
    with pytest.raises(error, match=sentence):
        contrastive_loss(projected, A_OK, S_OK, temperature=1)
    with pytest.raises(error, match=sentence):
        ppap_loss(X_OK, projected, A_OK)


def test_features_and_projected_must_be_of_the_same_patches() -> None:
    with pytest.raises(ValueError, match=r"same patches as features: 4 rows, not 3"):
        ppap_loss(X_OK, X_OK[:3], A_OK)
    ppap_loss(X_OK, torch.ones(4, 7), A_OK)  # their D may differ


def test_errors_of_propagate_come_through() -> None:
    with pytest.raises(ValueError, match="features hold NaN or infinity, first in row 1"):
        ppap_loss(torch.tensor([[1.0], [math.nan]]), torch.ones(2, 1), torch.tensor([0]))
    with pytest.raises(ValueError, match="phi0 must be a cosine"):
        ppap_loss(X_OK, X_OK, A_OK, phi0=2)
    with pytest.raises(IndexError, match="anchor 4 is outside"):
        ppap_loss(X_OK, X_OK, torch.tensor([4]))
    with pytest.raises(IndexError, match="anchor 4 is outside"):
        contrastive_loss(X_OK, torch.tensor([4, 0]), S_OK, temperature=1)


@pytest.mark.parametrize(
    ("images", "error", "sentence"),
    [
        ([0, 0], TypeError, r"images must be an int64 tensor \(A,\), not list"),
        (torch.zeros(2), TypeError, r"images must be an int64.*float32"),
        (torch.tensor([0]), ValueError, r"images must have the shape \(A,\) = \(2,\).*not \(1,\)"),
    ],
)
def test_errors_about_the_images(images: Any, error: type[Exception], sentence: str) -> None:
    with pytest.raises(error, match=sentence):
        ppap_loss(X_OK, X_OK, A_OK, images=images)


def test_errors_about_the_sets() -> None:
    def refused(sets: Any, sentence: str) -> None:
        with pytest.raises(ValueError, match=sentence):
            contrastive_loss(X_OK, A_OK, sets, temperature=1)

    refused(no_sets(2, 5), r"sets.positive must be bool \(A, N\) = \(2, 4\).*\(2, 5\)")
    refused(no_sets(3, 4), r"a row for every anchor.*\(3, 4\)")
    refused(S_OK._replace(negative=S_OK.negative.int()), r"sets.negative must be bool.*int32")
    refused(propagate(X_OK, torch.tensor([0, 1])), "gathered for other anchors: pass sets.anchors")


def test_the_rest_is_refused_before_any_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objective, "propagate_unit", None)
    with pytest.raises(ValueError, match="temperature"):
        ppap_loss(X_OK, X_OK, A_OK, temperature=0)
