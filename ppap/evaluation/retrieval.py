"""Dense k-NN retrieval: every patch takes the labels of its nearest labelled patches.

How good features are by themselves, without a probe that learns: as Balažević et al. (NeurIPS
2023) evaluate in-context scene understanding, with their 30 neighbours and temperature 0.02. Their
memory holds ten million patches; here it holds what is asked for, drawn evenly over the training
images (theirs prefers rare classes). It works on the squares of the evaluation, on any labelled
set. (``distance.py`` is the paper's own protocol for ImageNet-S, with one vector for each class of
an image.)
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
from ppap.evaluation.metrics import VOID, Confusion, Scores, scores
from ppap.evaluation.source import BATCH, SIZE, WORKERS, EvaluationBatch, batches_of, labelled
from ppap.evaluation.split import EvaluationStoppedError, features_of
from ppap.segmenter import Segmenter
from ppap.segmenter.inference import PLAIN, Inference
from ppap.segmenter.prediction import largest

NEIGHBOURS, TEMPERATURE = 30, 0.02
MEMORY = 200_000
# One block of similarities.
BLOCK_BYTES = 64 * 2**20

Progress = Callable[[int, int], None]


class Memory(NamedTuple):
    """Labelled patches."""

    vectors: Tensor
    """Unit length, float32 ``(M, D)``."""
    shares: Tensor
    """Share of each class among a patch's labelled pixels, float32 ``(M, C)``, summing to 1."""


@dataclass(frozen=True)
class RetrievalScores:
    """What dense retrieval reached on a split."""

    scores: Scores
    images: int
    memory: int
    """Patches in the memory."""
    frozen: bool
    """Whether the backbone's own features were used, not the trained ones."""
    k: int
    temperature: float

    def record(self) -> dict[str, Any]:
        """For JSON."""
        return {
            **self.scores.record(),
            "images": self.images,
            "memory": self.memory,
            "features": "frozen" if self.frozen else "trained",
            "neighbours": self.k,
            "temperature": self.temperature,
        }


def patch_shares(labels: Tensor, rows: int, columns: int, classes: int) -> Tensor:
    """Share of each class in every patch: ``(B, H, W)`` → float32 ``(B, rows, columns, C)``.

    Pixel y lies in row ⌊y · rows / H⌋. Void pixels do not count; a patch without others is all 0.
    """
    images, height, width = labels.shape
    row = torch.arange(height, device=labels.device) * rows // height
    column = torch.arange(width, device=labels.device) * columns // width
    place = (row[:, None] * columns + column).expand(images, -1, -1)
    place = place + rows * columns * torch.arange(images, device=labels.device).view(-1, 1, 1)
    known = labels != VOID
    pairs = place[known] * classes + labels[known]
    counts = torch.bincount(pairs, minlength=images * rows * columns * classes)
    counts = counts.view(images, rows, columns, classes).float()
    return counts / counts.sum(dim=3, keepdim=True).clamp(min=1)


def retrieve(
    queries: Tensor,
    memory: Memory,
    *,
    k: int = NEIGHBOURS,
    temperature: float = TEMPERATURE,
) -> Tensor:
    """The labels of the nearest: unit vectors ``(Q, D)`` → float32 ``(Q, C)``, summing to 1.

    The k most similar patches of the memory count by softmax(similarity / temperature). The
    memory is on the queries' device; similarities exist a block at a time.

    Raises:
        ValueError: k or temperature that cannot be, or an empty memory.
    """
    check_count("k", k, 1)
    if not temperature > 0:
        raise ValueError(f"temperature must be above 0, not {temperature!r}")
    if not len(memory.vectors):
        raise ValueError("the memory is empty: no training image has a labelled patch")
    k = min(k, len(memory.vectors))
    found = queries.new_empty(len(queries), memory.shares.shape[1])
    at_once = max(1, BLOCK_BYTES // (4 * len(memory.vectors)))
    for start in range(0, len(queries), at_once):
        near = (queries[start : start + at_once] @ memory.vectors.T).topk(k, dim=1)
        weight = (near.values / temperature).softmax(dim=1)
        labels = memory.shares[near.indices]
        found[start : start + at_once] = torch.einsum("qk,qkc->qc", weight, labels)
    return found


@dataclass(frozen=True)
class Retrieval:
    """Fill a memory from one split, then score another."""

    segmenter: Segmenter
    frozen: bool = False
    size: int = SIZE
    batch: int = BATCH
    workers: int = WORKERS
    inference: Inference = PLAIN
    k: int = NEIGHBOURS
    temperature: float = TEMPERATURE
    stopped: Callable[[], bool] | None = None

    @torch.no_grad()
    def fill(
        self,
        dataset: Dataset,
        most: int = MEMORY,
        *,
        seed: int = 0,
        progress: Progress | None = None,
    ) -> Memory:
        """A memory of at most so many labelled patches, as many of each image.

        Raises:
            DataError: a file cannot be read, or nothing is labelled.
            EvaluationStoppedError: ``stopped`` said so.
            ValueError: ``most`` is not above 0.
        """
        check_count("most", most, 1)
        chosen = labelled(dataset)
        each = max(1, most // len(chosen))
        chance = torch.Generator().manual_seed(seed)
        vectors, shares = [], []
        for batch in self._over(dataset, chosen, progress):
            features = self._features(batch)
            images, rows, columns, _ = features.shape
            labels = batch.labels.to(features.device)
            share = patch_shares(labels, rows, columns, len(dataset.classes))
            for image in range(images):
                one, label = features[image].flatten(0, 1), share[image].flatten(0, 1)
                known = label.sum(dim=1).nonzero()[:, 0].cpu()
                drawn = known[torch.randperm(len(known), generator=chance)[:each]].to(one.device)
                vectors.append(one[drawn])
                shares.append(label[drawn])
        if not vectors:
            raise ValueError("no training image could be read")
        return Memory(torch.cat(vectors)[:most], torch.cat(shares)[:most])

    @torch.no_grad()
    def score(
        self, dataset: Dataset, memory: Memory, progress: Progress | None = None
    ) -> RetrievalScores:
        """Label the patches of a split; label shares are upsampled bilinearly to its squares.

        Raises:
            DataError, EvaluationStoppedError: as ``fill``.
            ValueError: the memory is empty, or has other classes.
        """
        classes = len(dataset.classes)
        if memory.shares.shape[1] != classes:
            raise ValueError(
                f"the memory has {memory.shares.shape[1]} classes, the data set {classes}"
            )
        confusion = Confusion(classes)
        chosen, images = labelled(dataset), 0
        for batch in self._over(dataset, chosen, progress):
            features = self._features(batch)
            count, rows, columns, _ = features.shape
            found = retrieve(features.flatten(0, 2), memory, k=self.k, temperature=self.temperature)
            maps = found.view(count, rows, columns, classes).permute(0, 3, 1, 2)
            labels = batch.labels.to(features.device)
            confusion.update(labels, largest(maps, (labels.shape[1], labels.shape[2])))
            images += count
        return RetrievalScores(
            scores(confusion, dataset.classes),
            images,
            len(memory.vectors),
            self.frozen,
            self.k,
            self.temperature,
        )

    def _features(self, batch: EvaluationBatch) -> Tensor:
        """Unit features ``(B, h, w, D)``."""
        found = features_of(self.segmenter, batch.inputs, self.inference, frozen=self.frozen)
        return F.normalize(found.float(), dim=3)

    def _over(
        self, dataset: Dataset, chosen: Sequence[int], progress: Progress | None
    ) -> Iterable[EvaluationBatch]:
        source = batches_of(dataset, chosen, size=self.size, batch=self.batch, workers=self.workers)
        done = 0
        with closing(source):
            for batch in source:
                if self.stopped is not None and self.stopped():
                    raise EvaluationStoppedError("the evaluation was stopped")
                if batch.indices:
                    yield batch
                done += len(batch.indices) + len(batch.skipped)
                if progress is not None:
                    progress(done, len(chosen))
