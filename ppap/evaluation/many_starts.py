"""Clusterings from many starts, each chosen by its own loss: what a start adds to a score.

A cluster probe ends where its start leads it, so one start says as much about the start as about
the features. Here many clusterings with the probe's loss are found in the same patches of training
images; of each kind of start the one with the least loss is kept, which takes no labels, and all of
them are scored, so that the spread is known. Trained features and the backbone's own are treated
alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ppap.checks import check_count
from ppap.data import Dataset
from ppap.evaluation.counting import (
    IMAGES,
    check_splits,
    sampled,
    spread,
    told,
)
from ppap.evaluation.metrics import Confusion, Scores, match, number, scores
from ppap.evaluation.per_image import Kind
from ppap.evaluation.source import BATCH, SIZE, WORKERS, EvaluationBatch, batches_of, labelled
from ppap.evaluation.split import EvaluationStoppedError, features_of
from ppap.evaluation.tally import Tally
from ppap.segmenter import Segmenter, merged_start, spread_start
from ppap.segmenter.inference import PLAIN, Inference
from ppap.segmenter.prediction import largest

STARTS = {
    "noise": "from noise, as in the published probe",
    "spread": "from patches far from each other (k-means++)",
    "merged": "from merged clusters",
    "linkage": "the merged clusters themselves (average linkage of small k-means clusters)",
}
# These begin alike, with what takes the longest.
MERGED = ("merged", "linkage")
COUNT, MOST = 10, 100
# Of training images: a third of what other clusterings take, for ten times as many.
PATCHES = 8192
# Of Lloyd's; most starts stand still after 20 to 60.
STEPS = 200


@dataclass(frozen=True, eq=False)
class StartScores:
    """All clusterings of one kind of start, on one kind of features."""

    start: str
    """A key of STARTS."""
    frozen: bool
    """Whether the features are the backbone's own."""
    losses: tuple[float, ...]
    """−mean cosine of training patches with their centroid, for each of them."""
    scores: tuple[Scores, ...]
    """Each matched one to one with the classes."""
    images: Kind
    """Every image's counts, of the chosen one."""

    @property
    def chosen(self) -> int:
        """The one with the least loss."""
        return least(self.losses)

    @property
    def name(self) -> str:
        """Tells it from the others of a report."""
        return f"{self.start}_{'frozen' if self.frozen else 'trained'}"

    def record(self) -> dict[str, Any]:
        """For JSON."""
        best = self.scores[self.chosen]
        return {
            "start": self.start,
            "features": "frozen" if self.frozen else "trained",
            "chosen": self.chosen,
            "losses": list(self.losses),
            "accuracies": [number(one.accuracy) for one in self.scores],
            "mious": [number(one.miou) for one in self.scores],
            "accuracy": number(best.accuracy),
            "miou": number(best.miou),
            "iou": {name: number(value) for name, value in best.iou.items()},
        }


class Found(NamedTuple):
    """All centroids of one kind of start, on one kind of features."""

    centroids: Tensor
    """Unit vectors ``(count, classes, D)``."""
    losses: tuple[float, ...]


class Looks(NamedTuple):
    """How images are read, and who is told."""

    size: int = SIZE
    batch: int = BATCH
    workers: int = WORKERS
    inference: Inference = PLAIN
    progress: Callable[[str, float], None] | None = None
    stopped: Callable[[], bool] | None = None

    def batches(
        self, dataset: Dataset, which: Sequence[int], said: str, shares: tuple[float, float]
    ) -> Any:
        """Batches of these items; progress goes from the first share to the second."""
        source = batches_of(dataset, which, size=self.size, batch=self.batch, workers=self.workers)
        return told(source, len(which), said, shares, self.progress, self.stopped)

    def tell(self, said: str, share: float) -> None:
        """Progress; EvaluationStoppedError where it is to stop."""
        if self.stopped is not None and self.stopped():
            raise EvaluationStoppedError("the evaluation was stopped")
        if self.progress is not None:
            self.progress(said, share)


Key = tuple[str, bool]
"""A kind of start, and whether the features are the backbone's own."""


def least(losses: Sequence[float]) -> int:
    """Which of them is the one to keep; of equals the first."""
    return min(range(len(losses)), key=losses.__getitem__)


def from_many_starts(
    segmenter: Segmenter,
    train: Dataset,
    split: Dataset,
    *,
    count: int = COUNT,
    starts: Sequence[str] = tuple(STARTS),
    features: Sequence[str] = ("trained", "frozen"),
    seed: int = 0,
    size: int = SIZE,
    batch: int = BATCH,
    workers: int = WORKERS,
    inference: Inference = PLAIN,
    images: int = IMAGES,
    patches: int = PATCHES,
    progress: Callable[[str, float], None] | None = None,
    stopped: Callable[[], bool] | None = None,
) -> list[StartScores]:
    """Cluster training images from ``count`` starts of each kind; score all of them on a split.

    Args:
        segmenter: its features are clustered, with as many centroids as classes; its own probes
            take no part.
        train: where centroids are found: at most ``images`` images, drawn evenly over the split.
        split: what is scored.
        count: starts of each kind.
        starts: keys of STARTS.
        features: "trained", "frozen" or both.
        seed: of the draws. The same seed gives the same patches, whatever the features are of.
        size, batch, workers, inference: as of ``evaluate_split``.
        images, patches: as of ``count_clusters``.
        progress: told what is being done, and the share done, 0 to 1.
        stopped: asked before every batch and every kind of start; True ends it.

    Raises:
        DataError: an image or label map cannot be read, or nothing is labelled.
        EvaluationStoppedError: ``stopped`` said so.
        ValueError: a number or a name that cannot be, or splits with other classes.
    """
    check_splits(train, split)
    check_count("count", count, 1, MOST)
    for name in starts:
        if name not in STARTS:
            raise ValueError(f"start must be one of {', '.join(STARTS)}, not {name!r}")
    for name in features:
        if name not in ("trained", "frozen"):
            raise ValueError(f"features must be trained or frozen, not {name!r}")
    how = Looks(size, batch, workers, inference, progress, stopped)
    found = find_starts(
        segmenter, train, count, starts, features, seed, how, images=images, patches=patches
    )
    return score_starts(segmenter, split, found, how)


def find_starts(
    segmenter: Segmenter,
    train: Dataset,
    count: int,
    starts: Sequence[str],
    features: Sequence[str],
    seed: int,
    how: Looks,
    *,
    images: int = IMAGES,
    patches: int = PATCHES,
) -> dict[Key, Found]:
    """The first half of ``from_many_starts``: cluster training images."""
    chosen = spread(labelled(train), images)
    each = max(1, -(-patches // len(chosen)))
    found = {}
    for half, name in enumerate(features):
        share = 0.6 * half / len(features)
        said = f"Reading training images, {name} features"
        source = how.batches(train, chosen, said, (share, share + 0.2 / len(features)))
        with closing(source) as reading:
            f = sampled((segmenter, how.inference, name == "frozen"), reading, each, seed)
        begun: dict[str, Tensor] = {}
        for start in starts:
            how.tell(f"Clustering {count} times: {STARTS[start]}", share + 0.2)
            kind = MERGED[0] if start in MERGED else start
            if kind not in begun:
                begun[kind] = begin(f, len(train.classes), kind, count, seed)
            made = ended(f, begun[kind], start)
            found[start, name == "frozen"] = Found(made, tuple(loss(f, one) for one in made))
    return found


def score_starts(
    segmenter: Segmenter, split: Dataset, found: dict[Key, Found], how: Looks
) -> list[StartScores]:
    """The second half: score all of them on a split."""
    with closing(how.batches(split, labelled(split), "Scoring", (0.6, 1))) as scoring:
        return _scored(segmenter, how.inference, scoring, split.classes, found)


@torch.no_grad()
def loss(f: Tensor, found: Tensor) -> float:
    """−mean over unit patches ``(N, D)`` of the best cosine with centroids ``(K, D)``."""
    return -float((f @ found.T).max(dim=1).values.double().mean())


def begin(f: Tensor, classes: int, start: str, count: int, seed: int) -> Tensor:
    """Where so many clusterings of one kind start: ``(count, classes, D)``.

    Raises:
        ValueError: there are fewer patches than classes.
    """
    if len(f) < classes:
        raise ValueError(f"{len(f)} training patches are fewer than the {classes} classes")
    return torch.stack([_start(f, classes, start, seed + 1000 * k) for k in range(count)])


def ended(f: Tensor, begun: Tensor, start: str) -> Tensor:
    """Unit vectors ``(count, classes, D)`` that come of them."""
    return F.normalize(begun, dim=2) if start == "linkage" else settle(f, begun)


def _start(f: Tensor, classes: int, start: str, seed: int) -> Tensor:
    if start in MERGED:
        return merged_start(f, classes, seed)
    chance = torch.Generator().manual_seed(seed)
    if start == "spread":
        return spread_start(f, classes, chance)
    return torch.randn(classes, f.shape[1], generator=chance).to(f)


@torch.no_grad()
def settle(f: Tensor, begun: Tensor, steps: int = STEPS) -> Tensor:
    """Spherical k-means (Lloyd's steps) from S starts side by side.

    Its objective is the cluster probe's loss, and where it stands still the gradient of that loss
    is 0: a probe that learns for long enough ends at such a place. A centroid that no patch is
    nearest to stays where it is, as a probe's does.

    Args:
        f: unit patches ``(N, D)``.
        begun: where they start, ``(S, K, D)``, any length.
        steps: at most; fewer where no patch changes its centroid any more.

    Returns:
        Unit vectors ``(S, K, D)``.
    """
    probes, clusters, width = begun.shape
    found = F.normalize(begun, dim=2)
    offsets = clusters * torch.arange(probes, device=f.device)
    before: Tensor | None = None
    for _ in range(steps):
        products = (f @ found.view(-1, width).T).view(len(f), probes, clusters)
        nearest = products.argmax(dim=2) + offsets
        if before is not None and torch.equal(nearest, before):
            break
        before = nearest
        # One product with a matrix of 0 and 1: many times as fast as adding row by row.
        member = f.new_zeros(len(f), probes * clusters).scatter_(1, nearest, 1)
        sums, some = member.T @ f, member.any(dim=0)
        sums = torch.where(some.unsqueeze(1), sums, found.view(-1, width))
        found = F.normalize(sums, dim=1).view(probes, clusters, width)
    return found


@torch.no_grad()
def _scored(
    segmenter: Segmenter,
    inference: Inference,
    source: Iterable[EvaluationBatch],
    names: Sequence[str],
    found: dict[Key, Found],
) -> list[StartScores]:
    classes = len(names)
    chosen = {key: least(one.losses) for key, one in found.items()}
    whole = {key: [Confusion(classes) for _ in one.centroids] for key, one in found.items()}
    images = {key: Tally(classes, classes) for key in found}
    for batch in source:
        for frozen in dict.fromkeys(frozen for _, frozen in found):
            features = features_of(segmenter, batch.inputs, inference, frozen=frozen).float()
            labels = batch.labels.to(features.device)
            size = (labels.shape[1], labels.shape[2])
            for key in (key for key in found if key[1] == frozen):
                for place, one in enumerate(found[key].centroids):
                    products = (features @ one.to(features).T).permute(0, 3, 1, 2)
                    maps = largest(products, size)
                    whole[key][place].update(labels, maps)
                    if place == chosen[key]:
                        for truth, map_ in zip(labels, maps, strict=True):
                            images[key].add(truth, map_)
    made = []
    for key, kind in found.items():
        each = tuple(scores(one, names, match(one)) for one in whole[key])
        kept = images[key].kind(each[chosen[key]].assignment)
        made.append(StartScores(*key, kind.losses, each, kept))
    return made
