"""What a step costs on more processes and larger batches: the numbers of docs/scale.md.

``python -m tests.benchmarks.bench_scale PART``: ``growth`` (the model's tables, at once),
``processes`` (two and four real ones over gloo, beside the model; half a minute), ``memory`` (one of
64, the others played; a minute), ``ring`` (64 of them, played by threads), or ``sets DIR …`` (what a
cap on candidates does to the sets of labelled data).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor

from ppap.propagation import propagate
from ppap.segmenter import TrainingFeatures
from tests.benchmarks.bench_loss import MEGABYTE, of_process
from tests.benchmarks.labelled_sets import Labelled, batches_of
from tests.support.live_bytes import live_bytes
from tests.support.pretend_processes import in_processes, one_of_many
from trainers.config import Config
from trainers.launching.scaling import (
    VIT_B8,
    VIT_S8,
    Network,
    Step,
    loss_memory,
    loss_products,
    payload,
    sent,
)
from trainers.training.distributed import World, global_mean, sum_gradients
from trainers.training.objective import Objective, candidates_of

ROOT = Path(__file__).parents[2]
MODULE = "tests.benchmarks.bench_scale"
GIGABYTE, TERA = 10**9, 10**12
# COCO-Stuff: its training images, their five crops, five epochs of batches of 64.
IMAGES, CROPS, EPOCHS, BATCH, SIZE = 118_287, 5, 5, 64, 224
# What a card and its link are taken to do where none has been measured: products of the network in
# half precision and of the loss in float32 (TFLOP/s), and what a process sends (GB/s).
SPEEDS = (200.0, 30.0, 25.0)
SIDE, TURNS = 28, 3
SETTINGS: dict[str, Any] = {"phi0": 0.6, "psi0": 0.3, "sigma_pos": 3, "sigma_amb": 4, "steps": 2}


# --- the model


class Case(NamedTuple):
    """A row of the table of growth."""

    network: Network
    batch: int
    processes: int
    exchange: str = "gather"
    candidates: int = 0

    @property
    def step(self) -> Step:
        """As the model takes it."""
        patches = self.network.tokens(SIZE) - 1
        return Step(
            self.batch,
            self.processes,
            patches,
            self.network.dim,
            candidates=self.candidates,
            exchange=self.exchange,
        )


def cases() -> Iterator[Case]:
    """The published batch shared, and 64 images in each process, with what helps against it."""
    for network in (VIT_S8, VIT_B8):
        for processes in (1, 8, 64):
            yield Case(network, BATCH, processes)
        for processes in (8, 64):
            batch = BATCH * processes
            yield Case(network, batch, processes)
            yield Case(network, batch, processes, "ring")
            yield Case(network, batch, processes, "gather", BATCH * 784)


def growth(speeds: Sequence[float] = SPEEDS) -> list[str]:
    """The table's lines, for cards and links of these speeds."""
    of_networks, of_losses, of_links = speeds
    lines = [
        "| network | GPUs | batch | exchange | candidates | steps | network, TFLOP | loss, TFLOP "
        "| sent, MB | memory of the loss, GB | step, ms | run, h |",
        "| --- | ---: | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for case in cases():
        step, network = case.step, case.network
        steps = IMAGES * CROPS // case.batch * EPOCHS
        of_network = step.images * network.step_products(SIZE, cached=False)
        of_loss, bytes_sent = loss_products(step), sent(step, network.trained)
        seconds = of_network / TERA / of_networks + of_loss / TERA / of_losses
        seconds += bytes_sent / GIGABYTE / of_links
        lines.append(
            f"| {network.name} | {case.processes} | {case.batch:,} | {case.exchange} "
            f"| {step.all:,} | {steps:,} | {of_network / TERA:.2f} | {of_loss / TERA:.2f} "
            f"| {bytes_sent / 1e6:,.0f} | {loss_memory(step) / GIGABYTE:.1f} "
            f"| {1000 * seconds:,.0f} | {steps * seconds / 3600:.2f} |"
        )
    return lines


def disk() -> list[str]:
    """Cached features of all crops."""
    lines = ["| network | a crop, MB | 591,435 crops, GB |", "| --- | ---: | ---: |"]
    for network in (VIT_S8, VIT_B8):
        one = network.cached_bytes(SIZE)
        lines.append(f"| {network.name} | {one / 1e6:.2f} | {one * IMAGES * CROPS / 1e9:,.0f} |")
    return lines


# --- real processes


def a_batch(images: int, dim: int, side: int = SIDE) -> tuple[Tensor, Tensor]:
    """Features in few groups ``(images, side, side, dim)``, and z of the patches."""
    chance = torch.Generator().manual_seed(0)
    owner = torch.randint(0, 27, (images * side * side,), generator=chance)
    centres = torch.randn(27, dim, generator=chance)
    features = centres[owner] + 0.6 * torch.randn(len(owner), dim, generator=chance)
    projected = torch.randn(len(owner), dim, generator=chance)
    return features.view(images, side, side, dim), F.normalize(projected, dim=1)


def step_of(
    world: World, config: Config, features: Tensor, projected: Tensor
) -> tuple[Tensor, float]:
    """Gradient and loss of this process's part."""
    z = projected.clone().requires_grad_()
    streams = TrainingFeatures(features, features, z)
    found = Objective(config, classes=27, world=world)(streams, 0)
    mean = global_mean(found.loss, found.counted, world)
    mean.backward()
    assert z.grad is not None
    return z.grad, mean.item()


def on_the_loopback() -> int:
    """Bytes that went over it so far."""
    for line in Path("/proc/net/dev").read_text().splitlines():
        name, _, numbers = line.partition(":")
        if name.strip() == "lo":
            return int(numbers.split()[8])
    raise KeyError("/proc/net/dev has no lo")


def a_process(rank: int, size: int, batch: int, dim: int, exchange: str, folder: Path) -> None:
    """One of several over gloo: a step to warm up, and a few, of which the least is told, since
    whatever else goes on only adds to it."""
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{folder / 'meeting'}", rank=rank, world_size=size
    )
    world = World(rank, size, rank, torch.device("cpu"))
    features, projected = a_batch(batch, dim)
    own = slice(rank * batch // size, (rank + 1) * batch // size)
    rows = slice(own.start * SIDE**2, own.stop * SIDE**2)
    config = Config(batch=batch, anchors=1 / 16, exchange=exchange)
    parameter = torch.nn.Parameter(torch.zeros(VIT_S8.trained // 16))
    spent, moved = [], []
    for _ in range(1 + TURNS):
        dist.barrier()
        before, begun = on_the_loopback(), time.perf_counter()
        gradient, _ = step_of(world, config, features[own], projected[rows])
        parameter.grad = torch.ones_like(parameter)
        sum_gradients([parameter], world)
        dist.barrier()
        spent.append(time.perf_counter() - begun)
        moved.append(on_the_loopback() - before)
    np.save(folder / f"{rank}.npy", gradient.numpy())
    if rank == 0:
        text = json.dumps({"seconds": min(spent), "moved": min(moved)})
        (folder / "found.json").write_text(text)
    dist.destroy_process_group()


def processes(dim: int = 384) -> None:
    """Real processes beside the model."""
    print("| processes | batch | exchange | bytes over the loopback | the model | gradient, off by "
          "| seconds |")  # fmt: skip
    print("| ---: | ---: | --- | ---: | ---: | ---: | ---: |")
    for batch in (4, 8, 16):
        features, projected = a_batch(batch, dim)
        alone = World(0, 1, 0, torch.device("cpu"))
        spent = []
        for _ in range(TURNS):
            begun = time.perf_counter()
            whole, _ = step_of(alone, Config(batch=batch, anchors=1 / 16), features, projected)
            spent.append(time.perf_counter() - begun)
        print(f"| 1 | {batch} | | 0 | 0 | | {min(spent):.2f} |", flush=True)
        for size in (2, 4):
            for exchange in ("gather", "ring"):
                with tempfile.TemporaryDirectory() as folder:
                    gradient, found = started(size, batch, dim, exchange, Path(folder))
                gap = float((gradient - whole).norm() / whole.norm())
                step = Step(batch, size, SIDE**2, dim, exchange=exchange)
                wanted = size * sent(step, VIT_S8.trained // 16)
                print(
                    f"| {size} | {batch} | {exchange} | {found['moved'] / 1e6:.1f} MB "
                    f"| {wanted / 1e6:.1f} MB | {gap:.0e} | {found['seconds']:.2f} |",
                    flush=True,
                )


def started(
    size: int, batch: int, dim: int, exchange: str, folder: Path
) -> tuple[Tensor, dict[str, Any]]:
    """Run so many processes; their gradients together, and what the first measured."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    words = [str(size), str(batch), str(dim), exchange, str(folder)]
    running = [
        subprocess.Popen(
            [sys.executable, "-m", MODULE, "one", str(rank), *words], cwd=ROOT, env=environment
        )
        for rank in range(size)
    ]
    if sum(abs(one.wait()) for one in running):  # all of them, also where the first failed
        raise RuntimeError("a process failed")
    gradient = torch.cat([torch.from_numpy(np.load(folder / f"{r}.npy")) for r in range(size)])
    return gradient, json.loads((folder / "found.json").read_text())


# --- one of 64


def one_of_64(batch: int, dim: int, exchange: str, candidates: int) -> None:
    """Print the most that one of 64 holds above its inputs, as tensors and as a process."""
    torch.set_num_threads(1)
    world = World(0, 64, 0, torch.device("cpu"))
    features, projected = a_batch(batch // 64, dim)
    config = Config(batch=batch, anchors=1 / 16, exchange=exchange, candidates=candidates)
    small = Config(batch=64, anchors=1 / 16, exchange=exchange, candidates=64 * 2)
    with one_of_many():
        step_of(world, small, features[:1], projected[: SIDE**2])  # libraries, threads
        before, begun = of_process("VmRSS"), time.perf_counter()
        step_of(world, config, features, projected)
        spent, peak = time.perf_counter() - begun, of_process("VmHWM") - before
        with live_bytes() as counting:
            step_of(world, config, features, projected)
    step = Step(batch, 64, SIDE**2, dim, candidates=candidates, exchange=exchange)
    print(
        f"| {batch} | {exchange} | {step.all:,} | {counting.most / MEGABYTE:,.0f} MB "
        f"| {loss_memory(step) / MEGABYTE:,.0f} MB | {peak:,.0f} MB "
        f"| {loss_products(step) / 1e9:,.0f} GFLOP | {spent:.1f} |",
        flush=True,
    )


def memory(dim: int = 64) -> None:
    """One of 64 processes in each way, each in a process of its own."""
    print(
        "| batch | exchange | candidates | most bytes of tensors | the model | peak of the process "
        "| products | seconds |"
    )
    print("| ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |", flush=True)
    for batch in (64, 256, 512):
        for exchange, candidates in (("gather", 0), ("ring", 0), ("gather", 64 * 784)):
            if batch == 64 and candidates:
                continue
            words = ["of64", str(batch), str(dim), exchange, str(candidates)]
            subprocess.run([sys.executable, "-m", MODULE, *words], cwd=ROOT, check=True)


def ring() -> None:
    """64 processes played by threads: the gradient of one, and bytes as the model says."""
    features, projected = a_batch(64, 32, side=4)
    config = Config(batch=64, anchors=0.25, exchange="ring")

    def work(world: World) -> Tensor:
        own = slice(world.rank, world.rank + 1)
        rows = slice(16 * world.rank, 16 * world.rank + 16)
        return step_of(world, config, features[own], projected[rows])[0]

    found, played = in_processes(64, work)
    alone = step_of(World(0, 1, 0, torch.device("cpu")), config, features, projected)[0]
    gap = float((torch.cat(found) - alone).norm() / alone.norm())
    step = Step(64, 64, 16, 32, anchors=0.25, exchange="ring")
    same = played.sent == [payload(step)._asdict()] * 64
    print(
        f"64 in a ring: gradient off by {gap:.0e}; each handed on "
        f"{played.sent[0]['handed']:,} bytes, as the model says: {same}"
    )


# --- what a cap does to the sets


SHARES = (2, 4, 8, 16)
DRAWS, ANCHORS = 5, 400


def sets(folders: list[Path]) -> None:
    """Sets of the same anchors among all patches of a batch, and among a share of them."""
    print("| set | candidates | positives, share | precision | ambiguous, share | other membership "
          "| of the positives | without positives |")  # fmt: skip
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |", flush=True)
    for folder in folders:
        for batch in batches_of(folder, [(64, 224, 0), (64, 320, 0)]):
            for line in of_a_cap(batch):
                print(line, flush=True)


def of_a_cap(batch: Labelled) -> Iterator[str]:
    """A line for all patches, and for each share of them, over several draws."""
    images, patches = len(batch.counts), batch.counts[0]
    found: dict[int, list[list[float]]] = {}
    for draw in range(DRAWS):
        chance = torch.Generator().manual_seed(draw)
        least = rows_of(images, patches, SHARES[-1], draw)
        anchors = least[torch.randperm(len(least), generator=chance)[:ANCHORS]]
        whole = propagate(batch.f, anchors, **SETTINGS)
        found.setdefault(1, []).append([*about(batch, whole, anchors), 0, 0])
        for share in SHARES:
            # Anchors are candidates, whatever else is.
            rows = torch.cat([rows_of(images, patches, share, draw), anchors]).unique()
            own = torch.searchsorted(rows, anchors)
            few = propagate(batch.f[rows], own, **SETTINGS)
            part = Labelled(*batch[:2], batch.f[rows], batch.labels[rows], *batch[4:])
            changed = torch.zeros_like(few.positive)
            for name in ("positive", "ambiguous", "negative"):
                changed |= getattr(few, name) != getattr(whole, name)[:, rows]
            moved = few.positive != whole.positive[:, rows]
            found.setdefault(share, []).append(
                [
                    *about(part, few, own),
                    changed.float().mean().item(),
                    (moved.sum() / whole.positive[:, rows].sum()).item(),
                ]
            )
    for share, draws in found.items():
        mean, spread = np.mean(draws, axis=0) * 100, np.std(draws, axis=0) * 100
        what = "all" if share == 1 else f"1/{share}"
        of, precision, between, empty, changed_share, moved_share = (
            f"{m:.2f} ± {s:.2f} %" for m, s in zip(mean, spread, strict=True)
        )
        yield (
            f"| {batch.name}, {batch.shape} | {what} of {images * patches:,} | {of} | {precision} "
            f"| {between} | {changed_share} | {moved_share} | {empty} |"
        )


def rows_of(images: int, patches: int, share: int, draw: int) -> Tensor:
    """Candidates of a batch as a run draws them, flat."""
    few = candidates_of(images, patches, images * patches // share, 0, draw)
    assert few is not None
    return (few + patches * torch.arange(images).unsqueeze(1)).flatten()


def about(batch: Labelled, found: Any, anchors: Tensor) -> list[float]:
    """Shares of positives and ambiguous ones, precision, and anchors without positives."""
    known = (batch.labels >= 0) & (batch.labels[anchors] >= 0).unsqueeze(1)
    same = batch.labels[anchors].unsqueeze(1) == batch.labels
    right = (found.positive & known & same).sum() / (found.positive & known).sum()
    others = len(batch.f) - 1
    return [
        (found.positive.sum(dim=1).float().mean() / others).item(),
        right.item(),
        (found.ambiguous.sum(dim=1).float().mean() / others).item(),
        (found.positive.sum(dim=1) == 0).float().mean().item(),
    ]


def main() -> None:
    """Measure one part and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "part", choices=["growth", "processes", "memory", "ring", "sets", "one", "of64"]
    )
    parser.add_argument("rest", nargs="*", help="of sets: labelled data sets")
    parser.add_argument(
        "--speeds",
        nargs=3,
        type=float,
        default=SPEEDS,
        metavar=("NETWORK", "LOSS", "LINK"),
        help="of growth: TFLOP/s in half precision, TFLOP/s in float32, GB/s of a process's link",
    )
    given = parser.parse_args()
    rest = given.rest
    if given.part == "growth":
        print("\n".join([*growth(given.speeds), "", *disk()]))
    elif given.part == "sets":
        sets([Path(one) for one in rest])
    elif given.part == "one":
        rank, size, batch, dim = (int(one) for one in rest[:4])
        a_process(rank, size, batch, dim, rest[4], Path(rest[5]))
    elif given.part == "of64":
        one_of_64(int(rest[0]), int(rest[1]), rest[2], int(rest[3]))
    else:
        {"processes": processes, "memory": memory, "ring": ring}[given.part]()


if __name__ == "__main__":
    main()
