"""How large every difference to the published code is: the numbers of docs/deviations.md.

``python -m tests.benchmarks.bench_deviations DIR … [--run RUN]``: labelled data sets, of each of
which 12 random images are taken; and a run on the first of them, of which 24 images are evaluated.
The embedded backbone stands in for DINO. Without a GPU, halves are rounded as a GPU rounds them.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ppap.backbones import Backbone, TrunkOutput, load_backbone
from ppap.checkpoints.opening import load_segmenter
from ppap.contrast import chunked_loss
from ppap.contrast.in_half import loss_in_half, sets_in_half
from ppap.data import Dataset, five_crops, open_dataset, square, square_labels
from ppap.data.base import Items
from ppap.data.crops import PUBLISHED_QUALITY
from ppap.evaluation.crf import CrfPool
from ppap.evaluation.distance_split import DistanceMatching
from ppap.evaluation.published import AsPublished, cut_off
from ppap.evaluation.source import as_images, batches_of
from ppap.evaluation.split import Predicted, Refined, Refiner, examined
from ppap.propagation import Partition, propagate, unit
from ppap.segmenter import Segmenter
from ppap.segmenter.inference import PLAIN, Inference
from ppap.settings import RANGES, Settings
from trainers.training.objective import GROUP, anchors_of

IMAGES, OF_A_RUN, SIZE, ANCHORS = 12, 24, 320, 600
DRAWS = 40
SETTINGS = Settings(0.6, 0.3, 3, 4, 2)


@dataclass(frozen=True, eq=False)
class Measured:
    """Features of some squares, and what is drawn on them."""

    f: Tensor
    """Unit vectors ``(N, D)``."""
    anchors: Tensor

    def sets(self) -> Partition:
        """PPAP's sets in float32."""
        five = SETTINGS.as_dict()
        found = propagate(self.f, self.anchors, **five)  # type: ignore[arg-type]
        return Partition(found.positive, found.ambiguous, found.negative)


def main(folders: list[Path], run: Path | None) -> None:
    """Print everything, a line a difference and set."""
    backbone = load_backbone("embedded")
    of_the_loss()
    of_stego()
    for folder in folders:
        dataset = some(open_dataset(folder, split="train"), IMAGES)
        print(f"\n{folder.name}, {len(dataset)} images, {SIZE} px")
        of_pictures(dataset, backbone)
        of_sets(dataset, backbone)
        of_groups(dataset, backbone)
        if run is None or folder != folders[0]:
            of_matching(folder, backbone)
    if run is not None:
        of_evaluation(run, folders[0])


def some(dataset: Dataset, count: int) -> Dataset:
    """Random images of a split."""
    chance = torch.Generator().manual_seed(0)
    chosen = sorted(torch.randperm(len(dataset), generator=chance)[:count].tolist())
    return replace(dataset, items=Items(chosen, dataset.items.__getitem__))


def told(what: str, *values: str) -> None:
    """One line of results."""
    print(f"  {what}: {'; '.join(values)}", flush=True)


# --- pictures


def squares(dataset: Dataset) -> np.ndarray:
    """uint8 ``(B, S, S, 3)``."""
    rgb = [square(dataset.load(i).photo.rgb, SIZE, dataset.resizing) for i in range(len(dataset))]
    return np.stack(rgb)


@torch.no_grad()
def features(backbone: Backbone, rgb: np.ndarray, *, kept: bool = False) -> Measured:
    """Of squares; ``kept``: by way of the cache's half precision."""
    parts = []
    for one in as_images(rgb).split(8):
        trunk = backbone.trunk(one)
        if kept:
            beside = None if trunk.beside is None else trunk.beside.half().float()
            trunk = TrunkOutput(trunk.tokens.half().float(), beside, trunk.grid)
        parts.append(backbone.finish(trunk))
    f = unit(torch.cat(parts).flatten(0, 2))
    chance = torch.Generator().manual_seed(1)
    return Measured(f, torch.randperm(len(f), generator=chance)[:ANCHORS])


def compared(ours: Measured, theirs: Measured) -> tuple[str, str]:
    """How alike features are, and the sets made of them."""
    cosine = (ours.f * theirs.f).sum(dim=1)
    return f"cosine of features {cosine.mean():.4f}", flipped(ours.sets(), theirs.sets())


def flipped(ours: Partition, theirs: Partition) -> str:
    """Memberships that differ."""
    changed = torch.zeros_like(ours.positive)
    for one, other in zip(ours, theirs, strict=True):
        changed |= one != other
    positives = (ours.positive != theirs.positive).sum() / ours.positive.sum()
    return (
        f"{100 * changed.float().mean():.3f} % of the memberships, "
        f"{100 * positives:.2f} % of the positives"
    )


def of_pictures(dataset: Dataset, backbone: Backbone) -> None:
    """Resizing, the crops' JPEG, label squares, and features kept in half precision."""
    ours = features(backbone, squares(dataset))
    jagged = squares(replace(dataset, resizing="nearest"))
    told("nearest pixel", *compared(ours, features(backbone, jagged)))
    told(
        "cache in half precision", *compared(ours, features(backbone, squares(dataset), kept=True))
    )
    moved = []
    for i in range(len(dataset)):
        labels = dataset.load(i).labels
        assert labels is not None
        moved.append((square_labels(labels, SIZE) != square_labels(labels, SIZE, "nearest")).mean())
    told(
        "label squares",
        f"{100 * np.mean(moved):.3f} % of the pixels, {100 * max(moved):.2f} % most",
    )
    cut, written = five_crops(dataset), five_crops(dataset, 0.5, PUBLISHED_QUALITY)
    few = range(0, len(cut), 5)
    pairs = [(cut.load(i).photo.rgb, written.load(i).photo.rgb) for i in few]
    error = np.mean([np.abs(a.astype(int) - b).mean() for a, b in pairs])
    own, theirs = (np.stack([square(pair[side], SIZE) for pair in pairs]) for side in (0, 1))
    told(
        "crops as JPEG, 4:2:0",
        f"{error:.1f} of 255 a byte",
        *compared(features(backbone, own), features(backbone, theirs)),
    )
    lower = (cut_off(squares(dataset)) != squares(dataset)).mean()
    told("bytes cut off for the CRF", f"{100 * lower:.1f} % are one lower")


# --- sets and loss


def of_sets(dataset: Dataset, backbone: Backbone) -> None:
    """Half precision, emptied sets, and Ψ above Φ."""
    ours = features(backbone, squares(dataset))
    told(
        "criteria in half precision",
        flipped(ours.sets(), sets_in_half(ours.f, ours.anchors, SETTINGS)),
    )
    found = propagate(ours.f, ours.anchors, **SETTINGS.as_dict())  # type: ignore[arg-type]
    emptied = [(found.similarity(t) > found.phi[t].unsqueeze(1)).sum(dim=1) == 0 for t in range(2)]
    passed = found.psi[-1] > found.phi[-1]
    between = found.similarity(-1) > found.phi[-1].unsqueeze(1)
    between &= found.similarity(-1) < found.psi[-1].unsqueeze(1)
    told(
        "sets that empty, Ψ above Φ",
        f"{int(torch.stack(emptied).sum())} emptied sets",
        f"Ψ is above Φ for {100 * passed.float().mean():.2f} % of the anchors, "
        f"{100 * between.float().mean():.3f} % of the memberships are double there",
    )


def of_groups(dataset: Dataset, backbone: Backbone) -> None:
    """Anchors by image or by four images, at 224 px: the loss over random draws."""
    with torch.no_grad():
        rgb = np.stack([square(dataset.load(i).photo.rgb, 224) for i in range(len(dataset))])
        found = backbone.finish(backbone.trunk(as_images(rgb)))
    f = unit(found.flatten(0, 2))
    patches = found.shape[1] * found.shape[2]
    losses: dict[int, list[float]] = {patches: [], GROUP: []}
    for group, values in losses.items():
        for draw in range(DRAWS):
            own = anchors_of(len(f) // group, group, 0.25, 0, draw).flatten()
            loss = chunked_loss(
                lambda some: propagate(f, some, **SETTINGS.as_dict()),  # type: ignore[arg-type]
                f,
                own,
                temperature=0.8,
                images=own // group,
                published_scale=True,
            ).loss
            values.append(float(loss))
    told(
        "groups of anchors",
        *(
            f"{'by image' if group == patches else 'by 784 patches'} "
            f"{np.mean(values):.3f} ± {np.std(values):.3f}"
            for group, values in losses.items()
        ),
    )


def of_the_loss() -> None:
    """Recorded inputs: Eq. 8 in half precision, and what a scaler's start makes of its gradient."""
    print("Recorded inputs (tests/golden)")
    for file in sorted(Path("tests/golden").glob("*_vit[sb]*.npz")):
        with np.load(file) as stored:
            numbers = dict(stored)
        f = unit(torch.from_numpy(numbers["features"]).permute(0, 2, 3, 1).flatten(0, 2))
        anchors = torch.from_numpy(numbers["anchors"]).long()
        phi0, psi0, sigma_pos, sigma_amb, steps = (numbers[name].item() for name in RANGES)
        settings = Settings(phi0, psi0, sigma_pos, sigma_amb, steps)
        parts = []
        for factor in (2.0**11, 2.0**16):
            z = torch.from_numpy(numbers["projected"]).requires_grad_()
            loss = loss_in_half(
                lambda some, f=f, settings=settings: sets_in_half(f, some, settings),  # type: ignore[misc]
                z,
                anchors,
                temperature=float(numbers["tau"]),
                images=anchors // GROUP,
                published_scale=True,
            ).loss
            (loss * factor).backward()
            assert z.grad is not None
            wanted = torch.from_numpy(numbers["grad_projected"])
            off = (z.grad / factor - wanted).norm() / wanted.norm()
            parts.append(f"gradient at a scale of {factor:,.0f} off by {off:.1e}")
        share = float(loss.detach()) / float(numbers["loss"]) - 1
        told(file.stem, f"loss off by {share:+.1e}", *parts)


def of_stego(batch: int = 16) -> None:
    """How often STEGO's published permutations are none."""
    chance = torch.Generator().manual_seed(0)
    none = 0
    for _ in range(10_000):
        drawn = torch.randperm(batch, generator=chance)
        drawn[drawn == torch.arange(batch)] += 1
        none += len((drawn % batch).unique()) < batch
    told("STEGO", f"{none / 100:.0f} % of the permutations of {batch} images are none")


# --- evaluation


def of_matching(folder: Path, backbone: Backbone) -> None:
    """Distance matching our way and PASS's, a labelled set standing in for ImageNet-S."""
    train = some(open_dataset(folder, split="train"), 4 * IMAGES)
    split = open_dataset(folder, split="val")
    split = some(split, min(len(split), 2 * IMAGES))
    segmenter = Segmenter(backbone, len(split.classes)).eval()
    parts = []
    for size, as_pass in ((SIZE, False), (256, False), (256, True)):
        matching = DistanceMatching(segmenter, size=size, frozen=True, as_pass=as_pass)
        matching.fill(train)
        found = matching.score(split)
        present = np.nanmean(list(found.scores.iou.values()))
        parts.append(
            f"{'PASS' if as_pass else 'ours'} at {size} px: mIoU {found.scores.miou:.2f} "
            f"({present:.2f} of the classes that occur), {found.bank} vectors"
        )
    told("distance matching", *parts)


def of_evaluation(run: Path, folder: Path) -> None:
    """A run's pixels and scores with each difference of the evaluation."""
    segmenter = load_segmenter(run).segmenter
    dataset = some(open_dataset(folder, split="val"), OF_A_RUN)
    print(
        f"\n{folder.name}, {len(dataset)} images of val, a run of {segmenter.backbone.info.title}"
    )
    smooth = list(seen(segmenter, dataset))
    jagged = replace(dataset, resizing="nearest")
    told("as here", scored(smooth))
    for what, found in (
        ("half precision", seen(segmenter, dataset, Inference(half=True))),
        ("nearest pixel", seen(segmenter, jagged)),
        ("both", seen(segmenter, jagged, Inference(half=True))),
    ):
        told(what, *differing(smooth, list(found)))
    few = replace(dataset, items=dataset.items[:8])
    with CrfPool() as pool:
        ours, theirs = (
            list(seen(segmenter, few, refiner=one)) for one in (pool, AsPublished(pool))
        )
    told("bytes cut off for the CRF, 8 images", *differing(ours, theirs))


class Seen(NamedTuple):
    """One image."""

    image: Predicted
    clusters: Tensor
    classes: Tensor


def seen(
    segmenter: Segmenter,
    dataset: Dataset,
    inference: Inference = PLAIN,
    refiner: Refiner | None = None,
) -> Iterator[Seen]:
    """Each image with its clusters and classes."""
    source = batches_of(dataset, range(len(dataset)), size=SIZE, batch=4)
    refiners = [] if refiner is None else [refiner]
    for one, better in examined(segmenter, source, refiners, inference):
        last = better[refiner.name] if refiner else Refined(one.clusters, one.classes)
        yield Seen(one, last.clusters, last.classes)


def scored(found: list[Seen]) -> str:
    """The linear probe's accuracy; clusters have none without a matching."""
    labels = torch.stack([each.image.labels for each in found])
    classes = torch.stack([each.classes for each in found])
    right = (classes == labels)[labels >= 0]
    return f"linear accuracy {100 * right.float().mean():.2f}"


def differing(ours: list[Seen], theirs: list[Seen]) -> tuple[str, ...]:
    """Pixels with another answer."""
    shares = []
    for kind in ("clusters", "classes"):
        one, other = (
            torch.stack([getattr(each, kind) for each in found]) for found in (ours, theirs)
        )
        shares.append(100 * (one != other).float().mean())
    return (
        f"{shares[0]:.3f} % of the cluster pixels",
        f"{shares[1]:.3f} % of the classes",
        scored(theirs),
    )


if __name__ == "__main__":
    made = argparse.ArgumentParser(description=__doc__)
    made.add_argument("folders", nargs="*", type=Path, metavar="DIR")
    made.add_argument("--run", type=Path, help="a run's checkpoint, trained on the first DIR")
    given = made.parse_args()
    torch.manual_seed(0)
    main(given.folders, given.run)
