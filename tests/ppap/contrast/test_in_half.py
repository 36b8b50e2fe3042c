"""Eq. 1 to 8 in half precision: beside the recorded numbers, and the same written plainly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ppap.contrast.in_half import loss_in_half, product_in_half, sets_in_half
from ppap.propagation import Partition, propagate, unit
from ppap.settings import Settings
from tests.support.golden import FIVE, GOLDEN, golden_case

# One step of float16 at 1.
STEP = 2.0**-10
Case = dict[str, Any]


def of(case: Case) -> Settings:
    return Settings(*(case[name] for name in FIVE))


def loss_of(case: Case, factor: float = 1) -> tuple[float, Tensor, Any]:
    f = unit(case["features"])
    z = case["projected"].detach().requires_grad_()
    found = loss_in_half(
        lambda anchors: sets_in_half(f, anchors, of(case)),
        z,
        case["anchors"].long(),
        temperature=case["temperature"],
        images=case["images"],
        published_scale=True,
    )
    (found.loss * factor).backward()
    return found.loss.item(), z.grad / factor, found


@pytest.mark.parametrize("name", GOLDEN)
def test_it_is_the_published_loss_but_for_the_rounding(golden: Path, name: str) -> None:
    numbers, case = golden_case(golden / f"{name}.npz")
    loss, gradient, found = loss_of(case, 2048)
    assert loss == pytest.approx(numbers["loss"].item(), rel=STEP / 2)
    assert loss != pytest.approx(numbers["loss"].item(), rel=1e-6), "this is float32"
    expected = torch.from_numpy(numbers["grad_projected"])
    assert (gradient - expected).norm() < 0.02 * expected.norm()
    assert found.positives.item() == pytest.approx(numbers["mean_positives"].item(), rel=1e-3)
    assert found.negatives.item() == pytest.approx(numbers["mean_negatives"].item(), rel=1e-3)
    assert found.empty == 0
    assert found.counted == 2


@pytest.mark.parametrize("name", GOLDEN)
def test_few_memberships_differ(golden: Path, name: str) -> None:
    _, case = golden_case(golden / f"{name}.npz")
    f, anchors = unit(case["features"]), case["anchors"].long()
    ours = propagate(f, anchors, **{name: case[name] for name in FIVE})
    theirs = sets_in_half(f, anchors, of(case))
    assert not theirs.positive[torch.arange(len(anchors)), anchors].any()
    share = (ours.positive != theirs.positive).float().mean().item()
    assert 0 < share < 1e-3


def plainly(case: Case, own: Tensor) -> tuple[Tensor, Partition]:
    """Written down as it is described, every product with a tensor of its own; one group."""
    f, z, s = unit(case["features"]), case["projected"].detach(), of(case)
    v = f[own]
    half = torch.float16
    cosine = (v.to(half).float() @ f.to(half).float().T).to(half)
    phi: Tensor = torch.full((len(own), 1), s.phi0, dtype=half)
    psi: Tensor = torch.full((len(own), 1), s.psi0, dtype=half)
    for _ in range(s.steps):
        members = (cosine > phi).to(half)
        proxy = F.normalize((f.unsqueeze(0) * members.unsqueeze(2)).mean(dim=1), dim=1)
        moved = 1 - F.cosine_similarity(v, proxy, dim=1).unsqueeze(1)
        phi, psi, v = phi - moved / s.sigma_pos, psi + moved / s.sigma_amb, proxy
        cosine = (proxy.to(half).float() @ f.to(half).float().T).to(half)
    positive, negative = cosine > phi, cosine < psi
    rows = torch.arange(len(own))
    ambiguous = ~(positive | negative)
    for members in (positive, ambiguous, negative):
        members[rows, own] = False
    logits = (z[own].to(half).float() @ z.to(half).float().T).to(half) / case["temperature"]
    logits = logits - logits.max(dim=1, keepdim=True).values
    total = (logits.exp() * (positive | negative).to(half)).sum(dim=1, keepdim=True)
    log = (logits - total.log()).float()
    each = (log * positive).sum(dim=1) / positive.sum(dim=1)
    mean = -each.mean() * case["temperature"] / 0.07
    return mean, Partition(positive, ambiguous, negative)


def test_it_is_what_is_written_down_plainly(golden: Path) -> None:
    _, case = golden_case(golden / "coco_vits16.npz")
    own = case["anchors"].long()[:60]
    case |= {"anchors": own, "images": own // 784}
    loss, sets = plainly(case, own)
    theirs = sets_in_half(unit(case["features"]), own, of(case))
    for one, other in zip(theirs, sets, strict=True):
        assert (one != other).sum() <= 2, "sums in another order"
    assert loss_of(case)[0] == pytest.approx(loss.item(), rel=1e-4)


def test_groups_count_alike_and_those_without_positives_not() -> None:
    z = F.normalize(torch.randn(6, 8, generator=torch.Generator().manual_seed(0)), dim=1)
    anchors, images = torch.tensor([0, 1, 2, 3, 4]), torch.tensor([0, 0, 0, 1, 2])

    def sets_of(own: Tensor) -> Partition:
        positive = torch.zeros(len(own), 6, dtype=torch.bool)
        positive[own < 4, 5] = True
        return Partition(positive, torch.zeros_like(positive), ~positive)

    def loss(rows: list[int]) -> float:
        some = torch.tensor(rows)
        found = loss_in_half(sets_of, z, anchors[some], temperature=0.5, images=images[some])
        return float(found.loss)

    whole = loss_in_half(sets_of, z, anchors, temperature=0.5, images=images)
    assert float(whole.loss) == pytest.approx((loss([0, 1, 2]) + loss([3])) / 2, rel=1e-5)
    assert (whole.counted, whole.empty) == (2, 1)
    assert loss([4]) == 0


def test_products_are_rounded_once() -> None:
    a, b = torch.tensor([[1.0, 2.0**-11]]), torch.tensor([[1.0], [1.0]])
    assert product_in_half(a, b).dtype == torch.float16
    assert product_in_half(a, b).item() == 1  # a tie, to even
    assert product_in_half(a * 3, b, torch.tensor([2.0**-11])).item() == np.float16(3 + 2.0**-9)
    assert product_in_half(torch.tensor([[1 + 2.0**-12]]), torch.tensor([[1.0]])).item() == 1
