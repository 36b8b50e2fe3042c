"""How much faster a later epoch is with cached features, and where the rest of its time goes.

Run from the project's folder: ``python -m tests.benchmarks.bench_cache`` (some minutes on two
cores). The ViT has random weights: its sets are larger than those of trained ones, and take the loss
a little longer. Epochs with and without the cache alternate, so that other load falls on both.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from ppap import ppap_loss
from ppap.backbones import Backbone, TrunkOutput, build_vit, load_backbone
from ppap.data import Dataset, open_dataset
from ppap.data.samples import samples
from ppap.evaluation.source import as_images
from ppap.segmenter import Segmenter
from trainers.cache import FeatureCache, open_cache, plan_cache, read_square

# COCO's usual size.
HEIGHT, WIDTH = 480, 640
WORKERS = 2


class Case(NamedTuple):
    """One backbone as two cores train it: small batches; the thresholds are its recipe's."""

    name: str
    size: int
    batch: int
    anchors: int
    """One patch in so many is an anchor."""
    classes: int
    phi0: float
    psi0: float
    limit: float


CASES = (
    Case("ViT-S/16", 224, 8, 4, 27, 0.55, 0.15, 4.0),
    Case("embedded", 320, 8, 8, 11, 0.6, 0.4, 2.0),
)
PARTS = ("read", "decode", "trunk", "streams", "loss", "probes", "backward", "optimizers")


class Batch(NamedTuple):
    """What a step begins with."""

    trunk: TrunkOutput
    frozen: Tensor | None
    labels: Tensor


class Timer:
    """Seconds by part of a step."""

    def __init__(self) -> None:
        self.seconds = dict.fromkeys(PARTS, 0.0)
        self.last = time.perf_counter()

    def at(self, part: str) -> None:
        """Everything since the last call was ``part``."""
        now = time.perf_counter()
        self.seconds[part] += now - self.last
        self.last = now


class Training:
    """The step of a run, without its bookkeeping."""

    def __init__(self, case: Case, backbone: Backbone) -> None:
        torch.manual_seed(0)
        self.case = case
        self.segmenter = Segmenter(backbone, case.classes).train()
        groups = self.segmenter.parameter_groups()
        self.optimizers = [
            torch.optim.AdamW(groups.net, 1e-3, fused=True),
            torch.optim.Adam(groups.cluster, 1e-3, fused=True),
            torch.optim.Adam(groups.linear, 1e-3, fused=True),
        ]

    def step(self, batch: Batch, timer: Timer) -> None:
        """Streams, sets, losses, gradients, new weights."""
        streams = self.segmenter.forward_training(batch.trunk, batch.frozen)
        timer.at("streams")
        patches = streams.guidance[0, :, :, 0].numel()
        images = torch.arange(len(streams.guidance)).unsqueeze(1)
        drawn = torch.rand(len(images), patches).argsort(dim=1)[:, : patches // self.case.anchors]
        anchors = (images * patches + drawn).flatten()
        loss = ppap_loss(
            streams.guidance.flatten(0, 2),
            streams.projected,
            anchors,
            phi0=self.case.phi0,
            psi0=self.case.psi0,
            images=anchors // patches,
        ).loss
        timer.at("loss")
        probes = self.segmenter.probe_losses(streams.tuned, batch.labels)
        assert probes.linear is not None
        timer.at("probes")
        for optimizer in self.optimizers:
            optimizer.zero_grad()
        (loss + probes.cluster + probes.linear).backward()
        timer.at("backward")
        for optimizer in self.optimizers:
            optimizer.step()
        timer.at("optimizers")


def photos(folder: Path, count: int, classes: int) -> Dataset:
    """Parts of the sample photos as JPEG files, with label maps by chance; layout ``folder``."""
    g = np.random.default_rng(0)
    found = [Image.open(sample.photo).convert("RGB") for sample in samples()]
    for kind in ("images", "labels"):
        (folder / kind).mkdir(parents=True)
    for index in range(count):
        photo = found[index % len(found)]
        share = g.uniform(0.3, 0.9) * min(photo.width / WIDTH, photo.height / HEIGHT)
        left = g.uniform(0, photo.width - share * WIDTH)
        top = g.uniform(0, photo.height - share * HEIGHT)
        box = (left, top, left + share * WIDTH, top + share * HEIGHT)
        part = photo.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC, box=box)
        part.save(folder / f"images/{index:03}.jpg", quality=92)
        ids = Image.fromarray(g.integers(0, classes, (12, 16), np.uint8))
        ids.resize((WIDTH, HEIGHT), Image.Resampling.NEAREST).save(
            folder / f"labels/{index:03}.png"
        )
    names = (f"{index:03}" for index in range(count))
    (folder / "train.txt").write_text("\n".join(names), encoding="utf-8")
    (folder / "classes.txt").write_text("\n".join(f"class {i}" for i in range(classes)))
    return open_dataset(folder, kind="folder")


def decoded(
    dataset: Dataset, case: Case, lists: list[Tensor], timer: Timer
) -> Iterator[tuple[Tensor, Tensor]]:
    """Without a cache: squares and label maps, by threads that read ahead."""
    waiting: deque[Future[tuple[Tensor, Tensor]]] = deque()

    def read(indices: Tensor) -> tuple[Tensor, Tensor]:
        squares = [read_square(dataset, index, case.size) for index in indices.tolist()]
        labels = [torch.from_numpy(each.labels) for each in squares]
        return as_images(np.stack([each.rgb for each in squares])), torch.stack(labels)

    with ThreadPoolExecutor(WORKERS) as pool:
        waiting.extend(pool.submit(read, indices) for indices in lists)
        while waiting:
            found = waiting.popleft().result()
            timer.at("decode")
            yield found


Pairs = list[tuple[Tensor, Tensor]]


def without_cache(
    training: Training, dataset: Dataset, lists: list[Tensor], ready: Pairs | None = None
) -> Timer:
    """An epoch that decodes, unless the photos are ``ready``, and runs the trunk."""
    timer = Timer()
    for images, labels in ready or decoded(dataset, training.case, lists, timer):
        trunk = training.segmenter.trunk(images)
        timer.at("trunk")
        training.step(Batch(trunk, None, labels), timer)
    return timer


def with_cache(training: Training, cache: FeatureCache, lists: list[Tensor]) -> Timer:
    """An epoch that reads both from the cache."""
    timer = Timer()
    for indices in lists:
        kept = cache.batch(indices)
        timer.at("read")
        assert kept.labels is not None
        training.step(Batch(kept.trunk, kept.frozen, kept.labels), timer)
    return timer


def measure(case: Case, folder: Path, images: int, rounds: int, decode: bool) -> None:
    """Print both epochs, their ratio, and the parts of the cached one."""
    torch.manual_seed(0)
    named = case.name == "embedded"
    backbone = load_backbone("embedded") if named else build_vit("vit_small_patch16_224.dino")
    dataset = photos(folder / "photos", images, case.classes)
    plan = plan_cache(dataset, backbone, size=case.size, root=folder / "cache")
    print(
        f"\n{case.name}, {case.size} px, {images} images in batches of {case.batch}, anchors "
        f"1/{case.anchors}, {case.classes} classes, {torch.get_num_threads()} threads\n{plan.sentence()}"
    )
    start = time.perf_counter()
    with open_cache(plan, dataset, backbone) as cache:
        print(f"built in {time.perf_counter() - start:.1f} s")
        training = Training(case, backbone)
        lists = list(torch.randperm(images).split(case.batch))
        with_cache(training, cache, lists[:1]), without_cache(training, dataset, lists[:1])
        ready = None if decode else list(decoded(dataset, case, lists, Timer()))
        kept, fresh = [], []
        for _ in range(rounds):
            kept.append(with_cache(training, cache, lists))
            fresh.append(without_cache(training, dataset, lists, ready))
    report(case, images, kept, fresh)


def report(case: Case, images: int, kept: list[Timer], fresh: list[Timer]) -> None:
    """Medians, per image."""
    totals = [[sum(timer.seconds.values()) for timer in timers] for timers in (kept, fresh)]
    ratio = statistics.median(b / a for a, b in zip(*totals, strict=True))
    print(f"{'ms per image':16}{'cached':>10}{'not':>10}")
    for part in PARTS:
        row = [1e3 / images * statistics.median(t.seconds[part] for t in s) for s in (kept, fresh)]
        print(f"{part:16}{row[0]:10.2f}{row[1]:10.2f}")
    both = [1e3 / images * statistics.median(total) for total in totals]
    print(f"{'epoch':16}{both[0]:10.2f}{both[1]:10.2f}")
    print(f"{ratio:.2f} times as fast with the cache (limit {case.limit:g})", flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=48)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--anchors", type=int, help="one patch in so many, instead of the recipe's")
    parser.add_argument(
        "--decoded", action="store_true", help="leave the decoding of photos out of the epochs"
    )
    arguments = parser.parse_args()
    print(f"load of the machine before: {os.getloadavg()[0]:.1f}")
    for case in CASES:
        with tempfile.TemporaryDirectory() as folder:
            case = case._replace(anchors=arguments.anchors or case.anchors)
            measure(case, Path(folder), arguments.images, arguments.rounds, not arguments.decoded)


if __name__ == "__main__":
    main()
