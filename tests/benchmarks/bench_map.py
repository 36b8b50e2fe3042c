"""How long the map of patches takes, and what clicks cost meanwhile.

Run from the project's folder: ``python -m tests.benchmarks.bench_map`` (about a minute).
``--niceness`` and ``--threads`` try other settings of the worker; ``--patches`` other batches.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from ppap.embedding.service import MapService, nearest_patches, pca_map
from ppap.propagation import propagate_unit, unit

CLASSES = 27
HIDDEN = 40


def clustered(patches: int, channels: int, seed: int) -> np.ndarray:
    """Rectified mixtures of a few hidden directions, overlapping like patches of photos do."""
    random = np.random.default_rng(seed)
    centres = random.normal(size=(CLASSES, HIDDEN))
    hidden = centres[random.integers(CLASSES, size=patches)]
    hidden = hidden + random.normal(scale=0.7, size=hidden.shape)
    mixed = hidden @ random.normal(size=(HIDDEN, channels))
    mixed += random.normal(scale=0.5, size=mixed.shape)
    return np.maximum(mixed, 0).astype(np.float32)


def click(features: torch.Tensor) -> float:
    """Seconds for what one click computes: three relocations of one anchor."""
    start = time.perf_counter()
    propagate_unit(
        features, torch.tensor([7]), phi0=0.55, psi0=0.15, sigma_pos=3, sigma_amb=4, steps=3
    )
    return time.perf_counter() - start


def clicks(features: torch.Tensor, going_on: Callable[[], bool]) -> str:
    """Click every 50 ms while something goes on; what that took."""
    taken = []
    while going_on():
        taken.append(click(features))
        time.sleep(0.05)
    worst = statistics.quantiles(taken, n=20)[-1] if len(taken) > 1 else taken[0]
    return (
        f"{len(taken)} clicks: median {1000 * statistics.median(taken):.1f} ms, "
        f"95 % below {1000 * worst:.1f} ms, longest {1000 * max(taken):.1f} ms"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patches", type=int, default=12_500)
    parser.add_argument("--channels", type=int, default=624)
    parser.add_argument("--later", type=int, default=3, help="how many maps after the first")
    parser.add_argument("--niceness", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    shape = (arguments.patches, arguments.channels)

    features = clustered(*shape, seed=0)
    unit_features = unit(torch.from_numpy(features))
    idle_until = time.perf_counter() + 3
    click(unit_features)
    print(f"{shape[0]} patches × {shape[1]} channels, {torch.get_num_threads()} threads here")
    print(
        f"nothing else going on: {clicks(unit_features, lambda: time.perf_counter() < idle_until)}"
    )

    for attempt in ("first", "second"):
        start = time.perf_counter()
        pca_map(features)
        print(f"principal components, {attempt} call: {time.perf_counter() - start:.2f} s")
    start = time.perf_counter()
    nearest_patches(unit_features, unit_features[:100])
    print(f"nearest patches of 100 proxies: {1000 * (time.perf_counter() - start):.1f} ms")

    service = MapService(niceness=arguments.niceness, threads=arguments.threads)

    def while_in(key: str, *states: str) -> str:
        return clicks(unit_features, lambda: service.status(key).state in states)

    start = time.perf_counter()
    service.warm()
    service.submit("first", features)
    line = while_in("first", "warming")
    print(f"worker ready after {time.perf_counter() - start:.1f} s; meanwhile {line}")
    line = while_in("first", "queued", "fitting")
    print(f"first map after {time.perf_counter() - start:.1f} s; meanwhile {line}")
    for number in range(1, arguments.later + 1):
        key, other = f"later {number}", clustered(*shape, seed=number)
        service.submit(key, other)
        line = while_in(key, "queued", "fitting")
        status = service.status(key)
        print(f"map {number + 1}: {status.state} in {status.seconds:.1f} s; meanwhile {line}")
    service.close()


if __name__ == "__main__":
    main()
