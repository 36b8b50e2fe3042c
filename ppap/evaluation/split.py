"""A segmenter on a whole split → the scores of both probes, with and without CRF."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from torch import Tensor

from ppap.data import Dataset
from ppap.evaluation.crf import CrfInput, CrfPool
from ppap.evaluation.metrics import FrequencyGroups, Scores, frequency_groups
from ppap.evaluation.source import (
    BATCH,
    SIZE,
    WORKERS,
    EvaluationBatch,
    Skipped,
    batches_of,
    labelled,
)
from ppap.evaluation.tally import Counts, Measures
from ppap.segmenter import Prediction, Segmenter, predict

# Log-probabilities that exist at once beside those that the CRF works on.
LOGS_BYTES = 256 * 2**20


class EvaluationStoppedError(RuntimeError):
    """``stopped`` said so; there are no scores."""


@dataclass(frozen=True)
class ImageScore:
    """What was measured on one image."""

    index: int
    """Which item of the data set it is."""
    name: str
    cluster: Measures
    linear: Measures
    cluster_crf: Measures | None = None
    linear_crf: Measures | None = None


class SplitScores(NamedTuple):
    """What was measured on a split."""

    cluster: Scores
    linear: Scores
    cluster_crf: Scores | None
    """None without a CRF. Matched by itself, from its own confusion matrix."""
    linear_crf: Scores | None
    images: list[ImageScore]
    """In the order they were read."""
    groups: FrequencyGroups
    """Names of the classes by how many pixels the split has of them."""
    skipped: tuple[Skipped, ...] = ()
    """Images that could not be read, and are not among ``images``."""


@dataclass(frozen=True, eq=False)
class Predicted:
    """One image with what the probes say of it."""

    index: int
    name: str
    rgb: np.ndarray | None
    labels: Tensor
    """int64 ``(H, W)``."""
    clusters: Tensor
    classes: Tensor
    cluster_logs: Tensor | None
    """``(K, H, W)``."""
    class_logs: Tensor | None


class Refined(NamedTuple):
    """What the CRF makes of one image, int64 ``(H, W)`` each, on the CPU."""

    clusters: Tensor
    classes: Tensor


def evaluate_split(
    segmenter: Segmenter,
    dataset: Dataset,
    *,
    size: int = SIZE,
    batch: int = BATCH,
    crf: CrfPool | None = None,
    indices: Sequence[int] | None = None,
    progress: Callable[[int, int], None] | None = None,
    stopped: Callable[[], bool] | None = None,
    workers: int = WORKERS,
) -> SplitScores:
    """Score a segmenter on the labelled images of a split.

    Args:
        segmenter: in whichever mode; nothing of it changes.
        dataset: images without a label map are passed over.
        size: side in pixels of the squares, cut from the middle, and of their label maps.
        batch: images at a time.
        crf: also refine both probes' predictions with it.
        indices: only these items; left out, all.
        progress: told after every image how many are done, and of how many.
        stopped: asked before every image; True ends the evaluation.
        workers: threads that decode; 0 decodes in this one.

    Raises:
        EvaluationStoppedError: ``stopped`` said so.
        DataError: an image or label map cannot be read (names the file), or nothing is labelled.
        ValueError: the data set has another number of classes than the segmenter, or a count is
            outside its range.
    """
    chosen = labelled(dataset, indices)
    source = batches_of(dataset, chosen, size=size, batch=batch, workers=workers)
    with closing(source):
        return evaluate_batches(
            segmenter,
            source,
            dataset.classes,
            crf=crf,
            total=len(chosen),
            progress=progress,
            stopped=stopped,
        )


def evaluate_batches(
    segmenter: Segmenter,
    source: Iterable[EvaluationBatch],
    names: Sequence[str],
    *,
    crf: CrfPool | None = None,
    total: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    stopped: Callable[[], bool] | None = None,
) -> SplitScores:
    """Score a segmenter on batches, wherever they are from; kept trunk outputs, for example.

    Args:
        segmenter: as in ``evaluate_split``.
        source: batches, taken one at a time.
        names: of the classes.
        crf: as in ``evaluate_split``; every batch must then have its ``rgb``.
        total: how many images there will be, for ``progress`` (left out, 0).
        progress: as in ``evaluate_split``.
        stopped: as in ``evaluate_split``.

    Raises:
        EvaluationStoppedError: ``stopped`` said so.
        ValueError: not as many names as classes, a batch that does not fit, or no batch at all.
    """
    if len(names) != segmenter.n_classes:
        raise ValueError(
            f"the segmenter knows {segmenter.n_classes} classes, but the data set has {len(names)}"
        )
    clusters = segmenter.n_classes + segmenter.extra_clusters
    plain, smooth = (Counts(segmenter.n_classes, clusters) for _ in range(2))
    read: list[tuple[int, str]] = []
    skipped: list[Skipped] = []
    # Closed, so that what the CRF has not begun is dropped, whatever ends this.
    with closing(examined(segmenter, readable(source, skipped), crf)) as each:
        for one, better in each:
            if stopped is not None and stopped():
                raise EvaluationStoppedError("the evaluation was stopped")
            plain.add(one.labels, one.clusters, one.classes)
            if better is not None:
                smooth.add(one.labels, better.clusters, better.classes)
            read.append((one.index, one.name))
            if progress is not None:
                progress(len(read) + len(skipped), total or 0)
    if not read:
        reason = f": {skipped[0].reason}" if skipped else ""
        raise ValueError(f"there are no images to evaluate{reason}")
    found = plain.scores(names)
    with_crf = None if crf is None else smooth.scores(names)
    pairs = [(None, None)] * len(read) if with_crf is None else with_crf.images
    return SplitScores(
        found.cluster,
        found.linear,
        None if with_crf is None else with_crf.cluster,
        None if with_crf is None else with_crf.linear,
        [
            ImageScore(*which, *measures, *others)
            for which, measures, others in zip(read, found.images, pairs, strict=True)
        ],
        frequency_groups(plain.linear.whole, names),
        tuple(skipped),
    )


def readable(
    source: Iterable[EvaluationBatch], skipped: list[Skipped]
) -> Iterator[EvaluationBatch]:
    """The batches with something in them; what was skipped is added to ``skipped``."""
    for batch in source:
        skipped += batch.skipped
        if batch.indices:
            yield batch


def examined(
    segmenter: Segmenter, source: Iterable[EvaluationBatch], crf: CrfPool | None
) -> Generator[tuple[Predicted, Refined | None], None, None]:
    """Images one by one: what the probes say, and what a CRF makes of that."""
    found = predicted(segmenter, source, logs=crf is not None)
    if crf is None:
        yield from ((one, None) for one in found)
    else:
        with closing(refined(found, crf)) as each:
            yield from each


def predicted(
    segmenter: Segmenter, source: Iterable[EvaluationBatch], *, logs: bool
) -> Iterator[Predicted]:
    """Images one by one with their predictions, with log-probabilities where ``logs`` says so."""
    maps = 2 * segmenter.n_classes + segmenter.extra_clusters
    for batch in source:
        if logs and batch.rgb is None:
            raise ValueError("a CRF needs the pictures: give every batch its rgb")
        features = segmenter.features(batch.inputs)
        height, width = batch.labels.shape[1:]
        at_once = len(features)
        if logs:
            at_once = max(1, LOGS_BYTES // (4 * maps * height * width))
        labels = batch.labels.to(features.device)
        for start in range(0, len(features), at_once):
            part = predict(
                features[start : start + at_once],
                segmenter.cluster_probe,
                segmenter.linear_probe,
                (height, width),
                log_probabilities=logs,
            )
            for place in range(len(part.clusters)):
                yield _one(batch, labels, part, start + place, place)


def _one(
    batch: EvaluationBatch, labels: Tensor, part: Prediction, at: int, place: int
) -> Predicted:
    """Image ``at`` of a batch, which is ``place`` in ``part``."""
    clusters, classes = part.cluster_log_probabilities, part.class_log_probabilities
    return Predicted(
        batch.indices[at],
        batch.names[at],
        None if batch.rgb is None else batch.rgb[at],
        labels[at],
        part.clusters[place],
        part.classes[place],
        None if clusters is None else clusters[place],
        None if classes is None else classes[place],
    )


def refined(
    found: Iterable[Predicted], crf: CrfPool
) -> Generator[tuple[Predicted, Refined], None, None]:
    """Every image with the clusters and classes that the CRF makes of its log-probabilities."""
    waiting: deque[Predicted] = deque()

    def inputs() -> Iterator[CrfInput]:
        for one in found:
            assert one.rgb is not None
            assert one.cluster_logs is not None
            assert one.class_logs is not None
            waiting.append(replace(one, cluster_logs=None, class_logs=None))
            yield CrfInput(one.rgb, one.cluster_logs)
            yield CrfInput(one.rgb, one.class_logs)

    with closing(crf.map(inputs())) as results:
        for clusters in results:
            classes = next(results)
            yield waiting.popleft(), Refined(clusters.argmax(dim=0), classes.argmax(dim=0))
