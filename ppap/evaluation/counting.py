"""Clusterings with any number of centroids, found on training images and scored on a split."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ppap.checks import check_count
from ppap.data import Dataset
from ppap.evaluation.clusterings import Agreement, agreement, majority, map_record
from ppap.evaluation.metrics import Confusion, Scores, match, number, scores
from ppap.evaluation.source import BATCH, SIZE, WORKERS, EvaluationBatch, batches_of, labelled
from ppap.evaluation.split import EvaluationStoppedError, features_of
from ppap.rivals.neighbours import cluster_patches_unit
from ppap.segmenter import ClusterProbe, Segmenter, merged_start, spread_start
from ppap.segmenter.inference import PLAIN, Inference
from ppap.segmenter.prediction import largest

METHODS = {
    "merged": "small k-means clusters, merged by average linkage",
    "kmeans": "k-means",
    "probe": "cluster probe with spread-out starting centroids",
}
MOST_CLUSTERS = 2048
# Of training images: what the centroids are found in, and what the map is learnt on.
PATCHES, IMAGES = 20_000, 200
# Of a cluster probe on its own: enough for its loss to stand still on a few thousand patches.
STEPS, ROWS, RATE = 400, 4096, 5e-3


@dataclass(frozen=True, eq=False)
class Clustering:
    """One set of centroids, and how it does on a split."""

    method: str
    """A key of METHODS."""
    clusters: int
    loss: float
    """−mean cosine of training patches with their centroid: what the method itself can see."""
    hungarian: Scores
    """One cluster for each class; those left over count as wrong."""
    learnt: Scores
    """Each cluster stands for the class that most of its pixels have on training images."""
    optimistic: Scores
    """The same, on the split itself: no number to compare with others."""
    agreement: Agreement

    def record(self) -> dict[str, Any]:
        """For JSON."""
        found = self.agreement._asdict()
        return {
            "method": self.method,
            "clusters": self.clusters,
            "loss": self.loss,
            "hungarian": map_record(self.hungarian),
            "learnt": map_record(self.learnt),
            "optimistic": map_record(self.optimistic),
            **{name: number(value) for name, value in found.items()},
        }


def count_clusters(
    segmenter: Segmenter,
    train: Dataset,
    split: Dataset,
    counts: Sequence[int],
    *,
    methods: Sequence[str] = tuple(METHODS),
    seed: int = 0,
    size: int = SIZE,
    batch: int = BATCH,
    workers: int = WORKERS,
    inference: Inference = PLAIN,
    frozen: bool = False,
    images: int = IMAGES,
    patches: int = PATCHES,
    progress: Callable[[str, float], None] | None = None,
    stopped: Callable[[], bool] | None = None,
) -> list[Clustering]:
    """Find centroids on training images, with each method and number, and score them on a split.

    Labels of training images decide only which class a cluster stands for.

    Args:
        segmenter: its features are clustered; its own probes take no part.
        train: where centroids are found and the map is learnt: at most ``images`` labelled ones,
            drawn evenly over the split.
        split: what is scored.
        counts: numbers of clusters, none below the number of classes.
        methods: keys of METHODS.
        seed: of the draws.
        size, batch, workers, inference: as of ``evaluate_split``.
        frozen: cluster the backbone's own features instead of the trained ones.
        images: training images, at most.
        patches: of them, at most, that the centroids are found in.
        progress: told what is being done, and the share done, 0 to 1.
        stopped: asked before every batch; True ends it.

    Raises:
        DataError: an image or label map cannot be read, or nothing is labelled.
        EvaluationStoppedError: ``stopped`` said so.
        ValueError: a number or a method that cannot be, or splits with other classes.
    """
    _check(split, train, counts, methods, images, patches)
    chosen = spread(labelled(train), images)
    how = (segmenter, inference, frozen)

    def batches(dataset: Dataset, which: Sequence[int], said: str, begin: float, end: float) -> Any:
        source = batches_of(dataset, which, size=size, batch=batch, workers=workers)
        return told(source, len(which), said, (begin, end), progress, stopped)

    each = max(1, -(-patches // len(chosen)))
    found = sampled(how, batches(train, chosen, "Reading training images", 0, 0.2), each, seed)
    centroids: dict[tuple[str, int], Tensor] = {}
    for place, (method, count) in enumerate((m, k) for k in counts for m in methods):
        if stopped is not None and stopped():
            raise EvaluationStoppedError("the evaluation was stopped")
        if progress is not None:
            share = 0.2 + 0.3 * place / (len(counts) * len(methods))
            progress(f"Finding {count} clusters: {METHODS[method]}", share)
        centroids[method, count] = find(found, count, method, seed)
    learnt = counted(how, batches(train, chosen, "Learning the map", 0.5, 0.7), centroids, split)
    which = labelled(split)
    scored = counted(how, batches(split, which, "Scoring", 0.7, 1), centroids, split)
    return [
        _clustering(key, centroids[key], found, learnt[key], scored[key], split.classes)
        for key in centroids
    ]


def _check(
    split: Dataset,
    train: Dataset,
    counts: Sequence[int],
    methods: Sequence[str],
    images: int,
    patches: int,
) -> None:
    check_splits(train, split)
    if not counts or not methods:
        raise ValueError("give at least one number of clusters and one method")
    for count in counts:
        check_count("clusters", count, len(split.classes), MOST_CLUSTERS)
    for method in methods:
        if method not in METHODS:
            raise ValueError(f"method must be one of {', '.join(METHODS)}, not {method!r}")
    check_count("images", images, 1)
    check_count("patches", patches, 1)


def check_splits(train: Dataset, split: Dataset) -> None:
    """ValueError where two splits have other classes."""
    if train.classes != split.classes:
        raise ValueError("both splits must have the same classes")


def told(
    source: Iterable[EvaluationBatch],
    total: int,
    said: str,
    shares: tuple[float, float],
    progress: Callable[[str, float], None] | None,
    stopped: Callable[[], bool] | None,
) -> Iterator[EvaluationBatch]:
    """The batches that hold something, with word of how far they are."""
    begin, end = shares
    done = 0
    with closing(source) as each:  # type: ignore[type-var]
        for batch in each:
            if stopped is not None and stopped():
                raise EvaluationStoppedError("the evaluation was stopped")
            if progress is not None:
                progress(f"{said}: {done} of {total}", begin + (end - begin) * done / total)
            done += len(batch.indices) + len(batch.skipped)
            if batch.indices:
                yield batch


def spread(indices: Sequence[int], most: int) -> list[int]:
    """At most so many of the indices, evenly over them all."""
    if len(indices) <= most:
        return list(indices)
    return [indices[(2 * i + 1) * len(indices) // (2 * most)] for i in range(most)]


How = tuple[Segmenter, Inference, bool]


def _features(how: How, batch: EvaluationBatch) -> Tensor:
    """``(B, h, w, D)``, trained or frozen."""
    segmenter, inference, frozen = how
    return features_of(segmenter, batch.inputs, inference, frozen=frozen).float()


@torch.no_grad()
def sampled(how: How, source: Iterable[EvaluationBatch], each: int, seed: int) -> Tensor:
    """Unit features of random patches, as many of each image: ``(N, D)``."""
    chance = torch.Generator().manual_seed(seed)
    parts = []
    for batch in source:
        for image in _features(how, batch):
            rows = image.flatten(0, 1)
            drawn = torch.randperm(len(rows), generator=chance)[:each]
            parts.append(F.normalize(rows[drawn.to(rows.device)].float(), dim=1))
    if not parts:
        raise ValueError("no training image could be read")
    return torch.cat(parts)


@torch.no_grad()
def find(f: Tensor, count: int, method: str, seed: int) -> Tensor:
    """Centroids of unit features: unit vectors ``(count, D)``; ValueError for too few patches."""
    check_count("clusters", count, 1, len(f))
    if method == "merged":
        return merged_start(f, count, seed)
    if method == "kmeans":
        labels = cluster_patches_unit(f, count, seed)
        sums = f.new_zeros(count, f.shape[1]).index_add_(0, labels, f)
        return F.normalize(sums, dim=1)
    return learn_probe(f, count, seed)


@torch.enable_grad()
def learn_probe(f: Tensor, count: int, seed: int, steps: int = STEPS) -> Tensor:
    """The centroids of a cluster probe that learns on these patches alone, from a spread start."""
    chance = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):  # the probe begins with noise, which is not used
        probe = ClusterProbe(f.shape[1], count).to(f.device)
    with torch.no_grad():
        probe.clusters.copy_(spread_start(f, count, chance))
    optimizer = torch.optim.Adam(probe.parameters(), lr=RATE)
    for _ in range(steps):
        rows = f[torch.randperm(len(f), generator=chance)[:ROWS].to(f.device)]
        optimizer.zero_grad()
        probe.loss(rows.view(1, 1, *rows.shape)).backward()
        optimizer.step()
    return F.normalize(probe.clusters.detach(), dim=1)


@torch.no_grad()
def counted(
    how: How,
    source: Iterable[EvaluationBatch],
    centroids: dict[tuple[str, int], Tensor],
    dataset: Dataset,
) -> dict[tuple[str, int], Confusion]:
    """Every clustering's contingency table over the batches."""
    tables = {key: Confusion(len(dataset.classes), len(c)) for key, c in centroids.items()}
    for batch in source:
        features = _features(how, batch)
        labels = batch.labels.to(features.device)
        height, width = labels.shape[1:]
        for key, found in centroids.items():
            products = (features @ found.to(features).T).permute(0, 3, 1, 2)
            tables[key].update(labels, largest(products, (height, width)))
    return tables


def _clustering(
    key: tuple[str, int],
    centroids: Tensor,
    patches: Tensor,
    learnt: Confusion,
    scored: Confusion,
    names: Sequence[str],
) -> Clustering:
    method, count = key
    return Clustering(
        method=method,
        clusters=count,
        loss=-float((patches @ centroids.T).max(dim=1).values.mean()),
        hungarian=scores(scored, names, match(scored)),
        learnt=scores(scored, names, majority(learnt)),
        optimistic=scores(scored, names, majority(scored)),
        agreement=agreement(scored),
    )
