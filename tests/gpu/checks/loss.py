"""What the loss costs at 64 × 784 patches of which a quarter are anchors; see ``bench_loss``."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from unittest import mock

import torch
from torch import Tensor

from ppap import SetLoss, ppap_loss
from ppap.contrast import eq8
from ppap.propagation import propagate
from tests.benchmarks.bench_loss import PATCHES, STEPS, Inputs, inputs
from tests.gpu.sheet import Place, Sheet

IMAGES, CHANNELS, SHARE = 64, 384, 4
ROUNDS = 5
TEMPERATURE = 0.8
SIDE = 8192
# Anchors at a time are as many as fill a block of so much.
BLOCKS = {"128 MB": 128 * 2**20, "512 MB": 512 * 2**20}


def check(place: Place, sheet: Sheet) -> None:
    """Time, peak memory and share of the card's products; the dense form beside it."""
    images, channels = (2, 32) if place.small else (IMAGES, CHANNELS)
    batch = on(inputs(images, channels, SHARE), place.device)
    side = 256 if place.small else SIDE
    speed = 2 * side**3 / seconds(square_product(side, place.device), place.device)
    sheet.tell(f"products of {side} × {side} in float32", speed / 1e12, "TFLOP/s")
    count, patches = len(batch.anchors), len(batch.features)
    work = (2 * STEPS + 4) * 2.0 * count * patches * channels
    sheet.tell(f"anchors among {patches:,} patches", count)
    found = step(batch)
    spent = seconds(lambda: step(batch), place.device)
    sheet.tell("loss, forward and backward", 1000 * spent, "ms")
    sheet.tell("its products", work / spent / 1e12, "TFLOP/s")
    share = work / spent / speed
    sheet.tell("share of the card's product throughput", 100 * share, "%")
    memory = peak(lambda: step(batch), place.device)
    if memory is not None:
        sheet.most("peak memory above the inputs", memory / 2**30, 2, "GB")
    for name, size in BLOCKS.items():
        with mock.patch.multiple(eq8, CHUNK_BYTES=size, ENOUGH_ANCHORS=10**6):
            taken = seconds(lambda: step(batch), place.device)
        sheet.tell(f"in blocks of {name}", 1000 * taken, "ms")
    beside_dense(batch, found, place.device, sheet)


def beside_dense(batch: Inputs, found: SetLoss, device: torch.device, sheet: Sheet) -> None:
    """The same loss with all of (anchors × patches) in memory, by autograd."""
    slope = gradient(batch)
    try:
        loss = dense(batch)
        taken = seconds(lambda: dense(batch), device)
        memory = peak(lambda: dense(batch), device)
    except torch.OutOfMemoryError:
        sheet.tell("dense", "does not fit into this card's memory")
        return
    sheet.tell("dense", 1000 * taken, "ms")
    if memory is not None:
        sheet.tell("dense, peak memory above the inputs", memory / 2**30, "GB")
    gap = abs(loss.item() - found.loss.item()) / abs(loss.item())
    sheet.most("dense: loss, off by", gap, 1e-4)
    sheet.most(
        "dense: gradient, off by", ((gradient(batch) - slope).norm() / slope.norm()).item(), 1e-3
    )


def on(batch: Inputs, device: torch.device) -> Inputs:
    """The batch on a device; the projected features keep their gradient."""
    projected = batch.projected.detach().to(device).requires_grad_()
    return Inputs(batch.features.to(device), projected, batch.anchors.to(device))


def step(batch: Inputs) -> SetLoss:
    """Loss and gradient, as in training."""
    batch.projected.grad = None
    found = ppap_loss(
        *batch, steps=STEPS, temperature=TEMPERATURE, images=(batch.anchors // PATCHES).cpu()
    )
    found.loss.backward()
    return found


def dense(batch: Inputs) -> Tensor:
    """Eq. 8 written plainly, every image's anchors all with positives; forward and backward."""
    batch.projected.grad = None
    sets = propagate(batch.features, batch.anchors, steps=STEPS)
    z = batch.projected
    logits = z[batch.anchors] @ z.T / TEMPERATURE
    allowed = sets.positive | sets.negative
    logits = logits.masked_fill(~allowed, float("-inf"))
    away = logits.logsumexp(dim=1, keepdim=True)
    count = sets.positive.sum(dim=1)
    each = (away.squeeze(1) * count - logits.masked_fill(~sets.positive, 0).sum(dim=1)) / count
    loss = each.nan_to_num().view(-1, PATCHES // SHARE).mean(dim=1).mean()
    loss.backward()
    return loss.detach()


def gradient(batch: Inputs) -> Tensor:
    """What the last call left."""
    assert batch.projected.grad is not None
    return batch.projected.grad.clone()


def square_product(side: int, device: torch.device) -> Callable[[], Tensor]:
    """A product of two random squares."""
    a, b = (torch.randn(side, side, device=device) for _ in range(2))
    return lambda: a @ b


def seconds(work: Callable[[], object], device: torch.device) -> float:
    """Median of a few, after one that warms up."""
    work()
    spent = []
    for _ in range(ROUNDS):
        wait(device)
        begun = time.perf_counter()
        work()
        wait(device)
        spent.append(time.perf_counter() - begun)
    return statistics.median(spent)


def peak(work: Callable[[], object], device: torch.device) -> float | None:
    """Bytes above what lay there before; None on a CPU."""
    if device.type != "cuda":
        return None
    torch.cuda.empty_cache()
    before = torch.cuda.memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    work()
    wait(device)
    return torch.cuda.max_memory_allocated(device) - before


def wait(device: torch.device) -> None:
    """Until all is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
