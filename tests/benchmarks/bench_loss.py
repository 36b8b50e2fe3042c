"""What a training step's loss costs: time beside the bare matrix products, and peak memory.

Run from the project's folder: ``python -m tests.benchmarks.bench_loss`` (under a minute on two
cores). ``--images 8 --rounds 5`` are the timing's defaults; ``--memory-images 0`` leaves the memory
out. Memory is read from /proc, so it needs Linux.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from ppap import SetLoss, ppap_loss

ROOT = Path(__file__).parent.parent.parent
PATCHES = 784
SHARE = 16
CLASSES = 27
STEPS = 2
MEGABYTE = 2**20


class Inputs(NamedTuple):
    """One mini-batch."""

    features: Tensor
    projected: Tensor
    anchors: Tensor


def inputs(images: int, channels: int, share: int = SHARE) -> Inputs:
    """Overlapping clusters, so that the three sets are all well filled; one in ``share`` patches
    is an anchor."""
    g = torch.Generator().manual_seed(0)
    centres = torch.randn(CLASSES, channels, generator=g)
    features = torch.randn(images * PATCHES, channels, generator=g)
    for image in features.split(PATCHES):  # image by image: no second tensor of that size
        # Neighbours among the centres share a direction, which leaves some patches ambiguous.
        own = torch.randint(CLASSES, (PATCHES,), generator=g)
        image.mul_(0.6).add_(centres[own]).add_(centres[(own + 1) % CLASSES], alpha=0.5)
    # z as a projection head gives it: of unit length.
    projected = torch.randn(images * PATCHES, channels, generator=g)
    projected.div_(projected.norm(dim=1, keepdim=True)).requires_grad_()
    each = PATCHES // share
    anchors = torch.cat(
        [torch.randperm(PATCHES, generator=g)[:each] + i * PATCHES for i in range(images)]
    )
    return Inputs(features, projected, anchors)


def step(batch: Inputs) -> SetLoss:
    """Loss and gradient, as in training."""
    batch.projected.grad = None
    found = ppap_loss(*batch, steps=STEPS, images=batch.anchors // PATCHES)
    found.loss.backward()
    return found


def bare_products(batch: Inputs) -> None:
    """The matrix products of one step with nothing around them.

    Cosines for v^0 … v^T, T means of Eq. 2, the logits, and the two sides of their gradient.
    """
    z, v = batch.features, batch.features[batch.anchors]
    for _ in range(STEPS + 2):
        block = v @ z.T
    for _ in range(STEPS + 1):
        block @ z
    block.T @ v


def seconds(work: Callable[[], object]) -> float:
    """Wall-clock time of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def timing(images: int, channels: int, rounds: int) -> None:
    """Print the loss and the products, measured in turn so that other load falls on both."""
    batch = inputs(images, channels)
    found = step(batch)
    bare_products(batch)
    pairs = [
        (seconds(lambda: step(batch)), seconds(lambda: bare_products(batch))) for _ in range(rounds)
    ]
    ours, bare = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratio = statistics.median(mine / theirs for mine, theirs in pairs)
    print(
        f"{images} × {PATCHES} patches, D {channels}, {len(batch.anchors)} anchors, T {STEPS}, "
        f"{torch.get_num_threads()} threads; mean |P| {found.positives:.0f}, "
        f"|A| {found.ambiguous:.0f}, |N| {found.negatives:.0f}"
    )
    print(f"loss, forward and backward   median {ours:6.3f} s   n {rounds}")
    print(f"bare matrix products         median {bare:6.3f} s")
    print(f"ratio                        median {ratio:6.2f}     limit 1.5", flush=True)


def memory(images: int, channels: int) -> None:
    """Print by how much the peak of this process rises above its inputs; for a fresh process."""
    batch = inputs(images, channels)
    before = of_process("VmRSS")
    taken = seconds(lambda: step(batch))
    print(
        f"{images} × {PATCHES} patches, D {channels}, {len(batch.anchors)} anchors: "
        f"peak {of_process('VmHWM') - before:.0f} MB above the inputs (limit 700), {taken:.1f} s"
    )


def of_process(field: str) -> float:
    """A field of /proc/self/status in MB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024 / MEGABYTE
    raise KeyError(f"/proc/self/status has no {field}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=8)
    parser.add_argument("--channels", type=int, default=384)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--memory-images", type=int, default=64)
    parser.add_argument("--only-memory", action="store_true", help="in this process, no timing")
    arguments = parser.parse_args()
    if arguments.only_memory:
        memory(arguments.memory_images, arguments.channels)
        return
    timing(arguments.images, arguments.channels, arguments.rounds)
    if arguments.memory_images:
        options = ["--memory-images", str(arguments.memory_images), "--only-memory"]
        options += ["--channels", str(arguments.channels)]
        module = "tests.benchmarks.bench_loss"
        subprocess.run([sys.executable, "-m", module, *options], cwd=ROOT, check=True)


if __name__ == "__main__":
    main()
