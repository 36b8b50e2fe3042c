"""How long a 10 × 10 sweep takes over 2,000 anchors on 12,500 patches; the limit is 60 s.

Run from the project's folder: ``python -m tests.benchmarks.bench_sweep`` (two minutes on two
cores). Patches are random vectors around a few centres, as many numbers long as the embedded
backbone's; how long they take depends on how many of them the sets hold, hence on no photos.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from ppap.propagation import unit
from ppap.settings import Settings
from ppap.study.grid import Grid, evenly
from ppap.study.sweeping import sweep

ANCHORS, PATCHES, DIMENSIONS, CENTRES, NOISE = 2000, 12_500, 624, 24, 1.1
LIMIT_SECONDS = 60
AXES = {
    "phi0": (0.3, 0.75),
    "psi0": (0.05, 0.5),
    "sigma_pos": (1, 10),
    "sigma_amb": (1, 10),
}
PAIRS = (("phi0", "psi0"), ("phi0", "sigma_pos"), ("sigma_pos", "sigma_amb"))


def main() -> None:
    """Measure every pair and print."""
    print(f"load of the machine before: {os.getloadavg()[0]:.1f}")
    chance = torch.Generator().manual_seed(0)
    centres = unit(torch.randn(CENTRES, DIMENSIONS, generator=chance))
    labels = torch.randint(0, CENTRES, (PATCHES,), generator=chance)
    noise = unit(torch.randn(PATCHES, DIMENSIONS, generator=chance))
    features = centres[labels] + NOISE * noise
    anchors = torch.randperm(PATCHES, generator=chance)[:ANCHORS]
    base = Settings(0.5, 0.3, 3, 4, 2)
    for x, y in PAIRS:
        grid = Grid(evenly(x, *AXES[x], 10), evenly(y, *AXES[y], 10), base)
        begin = time.perf_counter()
        found = sweep(features, anchors, [s for _, _, s in grid.cells()], labels=labels)
        seconds = time.perf_counter() - begin
        sizes = [one.positives for one in found]
        print(
            f"{grid.x.symbol} × {grid.y.symbol}, 10 × 10, {ANCHORS:,} anchors, {PATCHES:,} patches"
            f" ({min(sizes):,.0f} to {max(sizes):,.0f} positives): {seconds:.1f} s "
            f"(limit {LIMIT_SECONDS})",
            flush=True,
        )


if __name__ == "__main__":
    main()
