"""What criteria without labels say of the number of clusters, beside what labels say.

``python -m tests.benchmarks.bench_cluster_count DIR …``: labelled data sets. For draws of their
images, and for made-up clusters first: how many classes there are, the K with the best ARI and the
best mIoU (one to one), and the K that each criterion chooses, for k-means and for merged pieces.
Then, over all draws of the sets, each set with the same weight: by what factor a criterion is off
the number of classes, the same after it was multiplied by what fits the other sets best, how its
order follows theirs, and how much ARI and mIoU it costs against the best K; beside one K for all.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ppap.backbones import Grid
from ppap.evaluation.clusterings import adjusted_rand
from ppap.evaluation.counting import find
from ppap.evaluation.metrics import Confusion, match, scores
from tests.benchmarks.cluster_criteria import (
    COUNTS,
    STRONG,
    Find,
    agreements,
    assigned,
    best,
    effective_rank,
    eigengap,
    knee,
    nearness,
    silhouette,
    spectrum,
)
from tests.benchmarks.labelled_sets import Labelled, batches_of, folders_of

# Images, pixels, seed. Sets with fewer images give all of them, once.
SHAPES = ((8, 320, 0), (8, 320, 1), (8, 320, 2), (32, 320, 0), (32, 320, 1), (96, 320, 0))
PATCHES = 4000
METHODS = ("kmeans", "merged")
# A class counts as present from this share of the labelled patches on.
PRESENT = 0.005
LEVEL = 0.05
ONE_FOR_ALL = (8, 12, 16)
# Made up: so many clusters, and noise in each direction.
BLOBS, NOISE = 12, 0.08


class Tried(NamedTuple):
    """One draw of one set, clustered with one method."""

    name: str
    shape: str
    method: str
    classes: int
    ari: dict[int, float]
    """By K, against the labels."""
    miou: dict[int, float]
    """By K, one cluster for each class, per cent."""
    chosen: dict[str, float]
    """K by criterion."""


def main(folders: Iterable[Path] = ()) -> None:
    """Print a line a draw and method, then what each criterion is worth."""
    for _ in tried_all([made_up()]):
        pass
    found = [one for folder in folders for one in tried_all(batches_of(folder, SHAPES))]
    for method in METHODS:
        summary(method, [one for one in found if one.method == method])


def made_up() -> Labelled:
    """Clusters that every criterion should count: unit vectors with noise, all in every image."""
    chance = torch.Generator().manual_seed(0)
    centres = F.normalize(torch.randn(BLOBS, 64, generator=chance), dim=1)
    labels = torch.randint(BLOBS, (8 * 400,), generator=chance)
    noise = NOISE * torch.randn(len(labels), 64, generator=chance)
    f = F.normalize(centres[labels] + noise, dim=1)
    return Labelled("made up", "8 images", f, labels, (Grid(20, 20),) * 8, (400,) * 8)


def tried_all(batches: Iterable[Labelled]) -> Iterator[Tried]:
    """Every draw with every method, said as soon as it is known."""
    for batch in batches:
        f, labels, images = _some(batch)
        for method in METHODS:
            tried = _tried(batch, f, labels, images, method)
            _say(tried)
            yield tried


def _some(batch: Labelled) -> tuple[Tensor, Tensor, Tensor]:
    """At most PATCHES of the batch, evenly: features, labels and their images."""
    images = torch.arange(len(batch.counts)).repeat_interleave(torch.tensor(batch.counts))
    chance = torch.Generator().manual_seed(0)
    drawn = torch.randperm(len(batch.f), generator=chance)[:PATCHES]
    return batch.f[drawn].float(), batch.labels[drawn], images[drawn]


def _tried(batch: Labelled, f: Tensor, labels: Tensor, images: Tensor, method: str) -> Tried:
    def by(f: Tensor, count: int, seed: int) -> Tensor:
        return find(f, count, method, seed)

    known = labels >= 0
    sizes = torch.bincount(labels[known])
    present = int((sizes >= PRESENT * known.sum()).sum())
    centroids = {count: by(f, count, 0) for count in COUNTS}
    ari, miou = {}, {}
    for count, found in centroids.items():
        ari[count], miou[count] = _against(labels[known], assigned(f[known], found), sizes, count)
    chosen = _chosen(f, images, by, centroids)
    return Tried(batch.name, batch.shape, method, present, ari, miou, chosen)


def _against(truth: Tensor, clusters: Tensor, sizes: Tensor, count: int) -> tuple[float, float]:
    """ARI, and mIoU one to one, of patches. With fewer clusters than classes, nothing is found of
    the others."""
    names = [str(i) for i in range(len(sizes))]
    table = Confusion(len(sizes), max(count, len(sizes)))
    table.update(truth, clusters)
    return adjusted_rand(table.counts.double()), scores(table, names, match(table)).miou


def _chosen(f: Tensor, images: Tensor, by: Find, centroids: dict[int, Tensor]) -> dict[str, float]:
    halves = agreements(f, images, by)
    fits = [silhouette(f, found) for found in centroids.values()]
    near = [nearness(f, found) for found in centroids.values()]
    cosines, nearest = spectrum(f), spectrum(f, 10)
    strong = [k for k, value in zip(COUNTS, halves.strength, strict=True) if value >= STRONG]
    return {
        "stability": best(halves.stability),
        "stability from K = 5": best(halves.stability, 5),
        "strength": max(strong, default=COUNTS[0]),
        "silhouette": best(fits),
        "silhouette from K = 5": best(fits, 5),
        "eigengap, cosines": eigengap(cosines),
        "eigengap, 10 nearest": eigengap(nearest),
        "knee of the loss": knee(near),
        "effective rank": effective_rank(f),
        f"eigenvalues above {LEVEL}": int((cosines > LEVEL).sum()),
    }


def _say(one: Tried) -> None:
    said = ", ".join(f"{name} {k:.0f}" for name, k in one.chosen.items())
    print(
        f"{one.name}, {one.shape}, {one.method}: {one.classes} classes; best ARI at "
        f"{_best(one.ari)}, best mIoU at {_best(one.miou)}; {said}",
        flush=True,
    )


def _best(by: dict[int, float]) -> int:
    return max(by, key=lambda k: by[k])


def summary(method: str, found: Sequence[Tried]) -> None:
    """A line for each criterion."""
    if not found:
        return
    sets = list(dict.fromkeys(one.name for one in found))
    print(f"\n{method}, {len(found)} draws of {len(sets)} sets")
    print("| K by | off by | fitted to the others | rank correlation | ARI lost | mIoU lost |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    rules = {name: [one.chosen[name] for one in found] for name in found[0].chosen}
    rules |= {f"always {k}": [float(k)] * len(found) for k in ONE_FOR_ALL}
    rules["the number of classes"] = [float(one.classes) for one in found]
    rules["best ARI"] = [float(_best(one.ari)) for one in found]
    for name, values in rules.items():
        off = [math.log(k / one.classes) for k, one in zip(values, found, strict=True)]
        fitted = [one - _of_others(off, found, own) for one, own in zip(off, found, strict=True)]
        ari = [max(o.ari.values()) - o.ari[_near(k)] for k, o in zip(values, found, strict=True)]
        miou = [max(o.miou.values()) - o.miou[_near(k)] for k, o in zip(values, found, strict=True)]
        follows = _spearman(values, [one.classes for one in found])
        print(
            f"| {name} | × {_factor(off, found):.2f} | × {_factor(fitted, found):.2f} | "
            f"{follows:+.2f} | {_weighted(ari, found):.3f} | {_weighted(miou, found):.1f} |"
        )


def _of_others(values: Sequence[float], found: Sequence[Tried], own: Tried) -> float:
    """The mean over the draws of all other sets; 0 where there is no other."""
    others = [(v, one) for v, one in zip(values, found, strict=True) if one.name != own.name]
    return _weighted([v for v, _ in others], [one for _, one in others]) if others else 0.0


def _weighted(values: Sequence[float], found: Sequence[Tried]) -> float:
    weights = [1 / sum(other.name == one.name for other in found) for one in found]
    total = sum(value * weight for value, weight in zip(values, weights, strict=True))
    return total / sum(weights)


def _factor(logs: Sequence[float], found: Sequence[Tried]) -> float:
    return math.exp(_weighted([abs(one) for one in logs], found))


def _near(k: float) -> int:
    return min(COUNTS, key=lambda count: abs(math.log(count / max(k, 1))))


def _spearman(one: Sequence[float], other: Sequence[float]) -> float:
    def ranks(values: Sequence[float]) -> Tensor:
        v = torch.tensor(values, dtype=torch.float64)
        below, equal = (v.unsqueeze(1) > v).sum(1), (v.unsqueeze(1) == v).sum(1)
        return below + (equal.double() - 1) / 2

    a, b = ranks(one), ranks(other)
    if a.std() == 0 or b.std() == 0:
        return 0.0
    return float(torch.corrcoef(torch.stack([a, b]))[0, 1])


if __name__ == "__main__":
    main(folders_of(__doc__ or "").folders)
