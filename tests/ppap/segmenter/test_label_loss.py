"""The fused cross-entropy at label size against torch's own operations."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ppap.segmenter import label_loss
from ppap.segmenter.label_loss import upsampled_cross_entropy

VOID = -1


def plain(logits: Tensor, labels: Tensor) -> Tensor:
    """All at label size, as one writes it down."""
    whole = F.interpolate(logits, labels.shape[1:], mode="bilinear", align_corners=False)
    total = F.cross_entropy(whole, labels, ignore_index=VOID, reduction="sum")
    return total / (labels != VOID).sum().clamp(min=1)


def case(classes: int = 5, scale: float = 2.0) -> tuple[Tensor, Tensor]:
    """Three images of 4 × 3 patches and 17 × 24 pixels, one of them all void."""
    g = torch.Generator().manual_seed(0)
    logits = scale * torch.randn(3, classes, 4, 3, generator=g, dtype=torch.float64)
    labels = torch.randint(VOID, classes, (3, 17, 24), generator=g)
    labels[1] = VOID
    return logits.requires_grad_(), labels


def slope(loss: Tensor, logits: Tensor) -> Tensor:
    return torch.autograd.grad(loss, logits)[0]


@pytest.mark.parametrize("classes", [1, 5])
# The largest is beyond what exp can hold without its greatest taken off.
@pytest.mark.parametrize("scale", [0.0, 2.0, 30.0, 1000.0])
@pytest.mark.parametrize("rows", [0, 1, 6, 17, 40, 51])
def test_loss_and_gradient_are_those_of_plain_operations(
    monkeypatch: pytest.MonkeyPatch, classes: int, scale: float, rows: int
) -> None:
    logits, labels = case(classes, scale)
    monkeypatch.setattr(label_loss, "CPU_BYTES", rows * classes * 24 * 8)
    expected = {0: (1, 1), 1: (1, 1), 6: (1, 6), 17: (1, 17), 40: (2, 17), 51: (3, 17)}
    assert label_loss.at_once(logits, labels) == expected[rows]
    ours, theirs = upsampled_cross_entropy(logits, labels, VOID), plain(logits, labels)
    torch.testing.assert_close(ours, theirs)
    by_plain = slope(theirs, logits)
    torch.testing.assert_close(slope(ours, logits), by_plain)
    thrice = slope(3 * upsampled_cross_entropy(logits, labels, VOID), logits)
    torch.testing.assert_close(thrice, 3 * by_plain)


def test_in_single_precision_too() -> None:
    logits, labels = case()
    single = logits.detach().float().requires_grad_()
    loss = upsampled_cross_entropy(single, labels, VOID)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss.double(), plain(logits, labels), rtol=1e-6, atol=0)
    expected = slope(plain(logits, labels), logits)
    torch.testing.assert_close(slope(loss, single).double(), expected, rtol=1e-4, atol=1e-8)


@pytest.mark.parametrize("pixels", [1, 3, 7, 100])
def test_other_sizes_smaller_ones_too(pixels: int) -> None:
    logits, _ = case()
    labels = torch.randint(0, 5, (3, pixels, pixels), generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(upsampled_cross_entropy(logits, labels, VOID), plain(logits, labels))


def test_only_void_is_no_loss_and_no_gradient() -> None:
    logits, labels = case()
    loss = upsampled_cross_entropy(logits, torch.full_like(labels, VOID), VOID)
    assert loss.item() == 0
    assert not slope(loss, logits).any()


def test_what_is_no_number_gives_a_loss_that_is_none() -> None:
    logits, labels = case()
    with torch.no_grad():
        logits[0, 0, 0, 0] = float("nan")
    assert upsampled_cross_entropy(logits, labels, VOID).isnan()


def test_the_inputs_stay_as_they_were_and_autocast_changes_nothing() -> None:
    logits, labels = case()
    single = logits.detach().float().requires_grad_()
    before, kept = single.detach().clone(), labels.clone()
    alone = upsampled_cross_entropy(single, labels, VOID)
    with torch.autocast("cpu", torch.bfloat16):
        inside = upsampled_cross_entropy(single, labels, VOID)
    assert torch.equal(alone, inside)
    assert torch.equal(single, before)
    assert torch.equal(labels, kept)


def test_without_gradients_none_is_worked_out(monkeypatch: pytest.MonkeyPatch) -> None:
    logits, labels = case()
    expected = upsampled_cross_entropy(logits, labels, VOID)
    monkeypatch.setattr(Tensor, "scatter_add_", None)
    with torch.no_grad():
        assert torch.equal(upsampled_cross_entropy(logits, labels, VOID), expected)
    assert torch.equal(upsampled_cross_entropy(logits.detach(), labels, VOID), expected)
