"""How much faster the CRF is on all cores than on one.

Run from the project's folder: ``python -m tests.benchmarks.bench_crf`` (a minute on two cores).
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from ppap.evaluation.crf import CrfInput, CrfPool, smooth, why_unavailable
from ppap.machine import cores

LIMIT_ON_TWO = 1.7


def picture(seed: int, size: int, classes: int) -> CrfInput:
    """Smooth colours with a little grain, and unsure predictions in blocks as patches make them."""
    g = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, 12, 12, generator=g)
    rgb = torch.nn.functional.interpolate(coarse, (size, size), mode="bicubic")[0]
    rgb = 255 * rgb + 4 * torch.randn(3, size, size, generator=g)
    logits = 2 * torch.randn(1, classes, 20, 20, generator=g)
    logits = torch.nn.functional.interpolate(logits, (size, size), mode="bilinear")[0]
    image = rgb.clamp(0, 255).byte().permute(1, 2, 0).numpy()
    return CrfInput(np.ascontiguousarray(image), logits.log_softmax(dim=0))


def seconds(pool: CrfPool, inputs: list[CrfInput]) -> float:
    """For all inputs; nothing is kept."""
    start = time.perf_counter()
    for _ in pool.map(inputs):
        pass
    return time.perf_counter() - start


def rounds(inputs: list[CrfInput], workers: int, count: int) -> Iterator[tuple[float, float]]:
    """Seconds with one process and with ``workers``, in turn: other load then hits both alike."""
    with CrfPool(1) as one, CrfPool(workers) as several:
        for pool in (one, several):
            seconds(pool, inputs[:1] * pool.workers)  # the processes are up after this
        for _ in range(count):
            yield seconds(one, inputs), seconds(several, inputs)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=6)
    parser.add_argument("--size", type=int, default=320)
    parser.add_argument("--classes", type=int, default=27)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=cores())
    arguments = parser.parse_args()
    reason = why_unavailable()
    if reason:
        print(reason)
        return
    inputs = [picture(s, arguments.size, arguments.classes) for s in range(arguments.images)]
    print(
        f"{arguments.images} images of {arguments.size}×{arguments.size}, "
        f"{arguments.classes} classes; load of the machine before: {os.getloadavg()[0]:.1f} "
        "(well above 0, other work takes the cores and the comparison means little)"
    )
    start = time.perf_counter()
    smooth(*inputs[0])
    print(f"one image in this process: {time.perf_counter() - start:.2f} s")
    taken = list(rounds(inputs, arguments.workers, arguments.rounds))
    one, several = (min(times) for times in zip(*taken, strict=True))
    limit = f" (limit on two cores: {LIMIT_ON_TWO})" if arguments.workers == 2 else ""
    print(f"1 process: {one:.2f} s; {arguments.workers} processes: {several:.2f} s, best of each")
    print(f"{one / several:.2f} times as fast{limit}")


if __name__ == "__main__":
    main()
