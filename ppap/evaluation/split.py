"""A segmenter on a whole split → the scores of both probes, as they are and refined."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from ppap.backbones import TrunkOutput
from ppap.data import Dataset
from ppap.evaluation.borders import WIDTH
from ppap.evaluation.crf import CrfInput
from ppap.evaluation.metrics import FrequencyGroups, Scores, frequency_groups
from ppap.evaluation.per_image import PerImage
from ppap.evaluation.source import (
    BATCH,
    SIZE,
    WORKERS,
    EvaluationBatch,
    Skipped,
    batches_of,
    labelled,
)
from ppap.evaluation.tally import Counts, Measures, kept_borders, kept_counts, ready
from ppap.segmenter import Prediction, Segmenter, predict
from ppap.segmenter.half import predict_in_half
from ppap.segmenter.inference import PLAIN, Inference, look, precision

# Log-probabilities that exist at once beside those that are being refined.
LOGS_BYTES = 256 * 2**20


class EvaluationStoppedError(RuntimeError):
    """``stopped`` said so; there are no scores."""


class Refiner(Protocol):
    """What makes predictions follow the colours of their image: a CrfPool, or Pamr."""

    name: str
    """Under which reports keep its scores."""

    def map(self, inputs: Iterable[CrfInput]) -> Generator[Tensor, None, None]:
        """Probabilities or their logarithms, ``(C, H, W)`` each, in the order of the inputs."""


class BothMeasures(NamedTuple):
    """Of one image, by probe."""

    cluster: Measures
    linear: Measures


class BothScores(NamedTuple):
    """Of a split, by probe."""

    cluster: Scores
    linear: Scores


@dataclass(frozen=True)
class ImageScore:
    """What was measured on one image."""

    index: int
    """Which item of the data set it is."""
    name: str
    cluster: Measures
    linear: Measures
    refined: dict[str, BothMeasures] = field(default_factory=dict)
    """The same after each refinement, by its name."""


class SplitScores(NamedTuple):
    """What was measured on a split."""

    cluster: Scores
    linear: Scores
    refined: dict[str, BothScores]
    """The same after each refinement, by its name: matched by itself, from its own confusion
    matrix."""
    images: list[ImageScore]
    """In the order they were read."""
    groups: FrequencyGroups
    """Names of the classes by how many pixels the split has of them."""
    skipped: tuple[Skipped, ...] = ()
    """Images that could not be read, and are not among ``images``."""
    counts: PerImage | None = None
    """The confusion of every one of ``images``."""
    borders: dict[str, Any] | None = None
    """Borders and interiors apart, as reports have them; None without a band."""


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
    """What a refinement makes of one image, int64 ``(H, W)`` each."""

    clusters: Tensor
    classes: Tensor


def evaluate_split(
    segmenter: Segmenter,
    dataset: Dataset,
    *,
    size: int = SIZE,
    batch: int = BATCH,
    refiners: Sequence[Refiner] = (),
    inference: Inference = PLAIN,
    border_width: int = WIDTH,
    seen: Callable[[Predicted, dict[str, Refined]], None] | None = None,
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
        refiners: also refine both probes' predictions, with each by itself.
        inference: how images are looked at; left out, once, as published.
        border_width: how far from a change of label the border reaches, in pixels; 0 sets no
            borders apart.
        seen: is given every image as it is predicted, and what refinements make of it.
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
            refiners=refiners,
            inference=inference,
            border_width=border_width,
            seen=seen,
            total=len(chosen),
            progress=progress,
            stopped=stopped,
        )


def evaluate_batches(
    segmenter: Segmenter,
    source: Iterable[EvaluationBatch],
    names: Sequence[str],
    *,
    refiners: Sequence[Refiner] = (),
    inference: Inference = PLAIN,
    border_width: int = 0,
    seen: Callable[[Predicted, dict[str, Refined]], None] | None = None,
    total: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    stopped: Callable[[], bool] | None = None,
) -> SplitScores:
    """Score a segmenter on batches, wherever they are from; kept trunk outputs, for example.

    Args:
        segmenter: as in ``evaluate_split``.
        source: batches, taken one at a time.
        names: of the classes.
        refiners: as in ``evaluate_split``; every batch must then have its ``rgb``.
        border_width: as in ``evaluate_split``.
        seen: as in ``evaluate_split``.
        inference: as in ``evaluate_split``; anything beyond one look needs images, not trunk
            outputs.
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
    plain = Counts(segmenter.n_classes, clusters)
    after = {one.name: Counts(segmenter.n_classes, clusters) for one in refiners}
    read: list[tuple[int, str]] = []
    skipped: list[Skipped] = []
    # Closed, so that what no refiner has begun is dropped, whatever ends this.
    with closing(examined(segmenter, readable(source, skipped), refiners, inference)) as each:
        for one, better in each:
            if stopped is not None and stopped():
                raise EvaluationStoppedError("the evaluation was stopped")
            truth = ready(one.labels, segmenter.n_classes, border_width)
            plain.add(truth, one.clusters, one.classes)
            for name, refined in better.items():
                after[name].add(truth, refined.clusters, refined.classes)
            if seen is not None:
                seen(one, better)
            read.append((one.index, one.name))
            if progress is not None:
                progress(len(read) + len(skipped), total or 0)
    if not read:
        reason = f": {skipped[0].reason}" if skipped else ""
        raise ValueError(f"there are no images to evaluate{reason}")
    found = plain.scores(names)
    others = {name: counts.scores(names) for name, counts in after.items()}
    return SplitScores(
        found.cluster,
        found.linear,
        {name: BothScores(one.cluster, one.linear) for name, one in others.items()},
        [
            ImageScore(
                *which,
                *measures,
                {name: BothMeasures(*one.images[place]) for name, one in others.items()},
            )
            for place, (which, measures) in enumerate(zip(read, found.images, strict=True))
        ],
        frequency_groups(plain.linear.whole, names),
        tuple(skipped),
        kept_counts([index for index, _ in read], {"": found, **others}),
        kept_borders(border_width, {"": found, **others}) if border_width else None,
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
    segmenter: Segmenter,
    source: Iterable[EvaluationBatch],
    refiners: Sequence[Refiner] = (),
    inference: Inference = PLAIN,
) -> Generator[tuple[Predicted, dict[str, Refined]], None, None]:
    """Images one by one: what the probes say, and what each refiner makes of that."""
    found = predicted(segmenter, source, logs=bool(refiners), inference=inference)
    if not refiners:
        yield from ((one, {}) for one in found)
    elif len(refiners) == 1:
        with closing(refined(found, refiners[0])) as each:
            yield from ((one, {refiners[0].name: better}) for one, better in each)
    else:
        # One image at a time: each refiner would run ahead of the others otherwise.
        for one in found:
            better = {}
            for refiner in refiners:
                with closing(refined([one], refiner)) as each:
                    better[refiner.name] = next(each)[1]
            yield one, better


def predicted(
    segmenter: Segmenter,
    source: Iterable[EvaluationBatch],
    *,
    logs: bool,
    inference: Inference = PLAIN,
) -> Iterator[Predicted]:
    """Images one by one with their predictions, with log-probabilities where ``logs`` says so."""
    maps = 2 * segmenter.n_classes + segmenter.extra_clusters
    for batch in source:
        if logs and batch.rgb is None:
            raise ValueError("a refinement needs the images: give every batch its rgb")
        features = features_of(segmenter, batch.inputs, inference)
        height, width = batch.labels.shape[1:]
        at_once = len(features)
        if logs:
            at_once = max(1, LOGS_BYTES // (4 * maps * height * width))
        labels = batch.labels.to(features.device)
        for start in range(0, len(features), at_once):
            part = (predict_in_half if inference.half else predict)(
                features[start : start + at_once],
                segmenter.cluster_probe,
                segmenter.linear_probe,
                (height, width),
                log_probabilities=logs,
            )
            for place in range(len(part.clusters)):
                yield _one(batch, labels, part, start + place, place)


@torch.no_grad()
def features_of(
    segmenter: Segmenter,
    inputs: Tensor | TrunkOutput,
    inference: Inference = PLAIN,
    *,
    frozen: bool = False,
) -> Tensor:
    """The trained features of a batch, or those of the backbone alone: ``(B, h, w, D)``.

    ValueError for looks that a kept trunk output cannot give.
    """

    def once(source: Tensor | TrunkOutput) -> Tensor:
        if not frozen:
            return segmenter.features(source)
        output = source if isinstance(source, TrunkOutput) else segmenter.trunk(source)
        return segmenter.backbone.finish(segmenter.placed(output))

    if inference.plain:
        with precision(inference, segmenter.backbone.mean.device):
            return once(inputs)
    if isinstance(inputs, TrunkOutput):
        raise ValueError(
            "mirror, scales, windows and shifts need the images, not what was kept of them"
        )
    return look(once, inputs, inference, patch=segmenter.backbone.patch_size)


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
    found: Iterable[Predicted], refiner: Refiner
) -> Generator[tuple[Predicted, Refined], None, None]:
    """Every image with the clusters and classes that a refiner makes of its log-probabilities."""
    waiting: deque[Predicted] = deque()

    def inputs() -> Iterator[CrfInput]:
        for one in found:
            assert one.rgb is not None
            assert one.cluster_logs is not None
            assert one.class_logs is not None
            waiting.append(replace(one, cluster_logs=None, class_logs=None))
            yield CrfInput(one.rgb, one.cluster_logs)
            yield CrfInput(one.rgb, one.class_logs)

    with closing(refiner.map(inputs())) as results:
        for clusters in results:
            classes = next(results)
            yield waiting.popleft(), Refined(clusters.argmax(dim=0), classes.argmax(dim=0))
