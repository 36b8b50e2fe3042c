"""Validation while a run goes on: scores, and pictures of the same few images."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image

from ppap.data import VOID_COLOUR, Dataset
from ppap.evaluation.source import read_square
from ppap.evaluation.split import EvaluationStoppedError, SplitScores, evaluate_batches
from ppap.protocol import Protocol
from ppap.segmenter import Segmenter
from ppap.segmenter.inference import Inference
from ppap.writing import writing
from trainers.cache import CacheStoppedError, FeatureCache
from trainers.config import Config
from trainers.runs.folder import Run
from trainers.runs.pictured import Pictured, write_pictured
from trainers.training.distributed import World, broadcast_object
from trainers.training.prepare import Prepared, cached_features, evaluation_batches

logger = logging.getLogger("trainers")

# Images that every validation draws.
PICTURED = 4


class Validated(NamedTuple):
    """One validation."""

    score: float
    """The sum of the four numbers, by which the best checkpoint is chosen, as published."""
    numbers: dict[str, float | str]


class Validation:
    """Scores on the held-out images, or on the evaluation split where none are held out."""

    def __init__(self, config: Config, prepared: Prepared, run: Run, *, world: World) -> None:
        self.config, self.prepared, self.run, self.world = config, prepared, run, world
        splits = prepared.splits
        self.dataset: Dataset | None = (
            splits.held_out if config.selection == "held_out" else splits.evaluation
        )
        self.split = "held out" if config.selection == "held_out" else config.eval_split
        self.inference = Inference(half=Protocol.of(config.protocol).half_evaluation)
        self.cache: FeatureCache | None = None
        self.opened = False

    def run_at(self, step: int, *, stopped: Callable[[], bool]) -> Validated | None:
        """Validate now; None where nothing is labelled. The first process tells the others.

        Raises:
            EvaluationStoppedError: ``stopped`` said so.
        """
        found, ended = None, False
        if self.world.rank == 0 and self.dataset is not None:
            try:
                self._open(stopped)
                found = self._scores(step, stopped)
            except (EvaluationStoppedError, CacheStoppedError):
                ended = True
        if self.world.size > 1:
            found, ended = broadcast_object((found, ended), self.world)
        if ended:
            raise EvaluationStoppedError("the validation was stopped")
        return found

    def close(self) -> None:
        """Let go of cached features."""
        if self.cache is not None:
            self.cache.close()

    def _open(self, stopped: Callable[[], bool]) -> None:
        if self.opened or self.dataset is None:
            return
        alone = replace(self.world, rank=0, size=1)
        self.cache = cached_features(
            self.config,
            self.dataset,
            self.prepared.segmenter.backbone,
            size=self.config.eval_size,
            root=self.prepared.cache_root,
            world=alone,
            stopped=stopped,
            frozen=False,
        )
        self.opened = True

    def _scores(self, step: int, stopped: Callable[[], bool]) -> Validated:
        assert self.dataset is not None
        segmenter = self.prepared.segmenter
        source = evaluation_batches(
            self.dataset, self.cache, size=self.config.eval_size, workers=self.config.workers
        )
        names = self.prepared.class_list.names
        found = evaluate_batches(
            segmenter, source, names, inference=self.inference, stopped=stopped
        )
        self._draw(step, found)
        cluster, linear = found.cluster, found.linear
        numbers: dict[str, float | str] = {
            "split": self.split,
            "cluster_accuracy": cluster.accuracy,
            "cluster_miou": cluster.miou,
            "linear_accuracy": linear.accuracy,
            "linear_miou": linear.miou,
        }
        logger.info(
            "Validation (%s) at step %d: clusters %.1f %% accuracy, %.1f %% mIoU; "
            "linear %.1f %% and %.1f %%",
            self.split,
            step,
            cluster.accuracy,
            cluster.miou,
            linear.accuracy,
            linear.miou,
        )
        score = cluster.accuracy + cluster.miou + linear.accuracy + linear.miou
        return Validated(score, numbers)

    def _draw(self, step: int, found: SplitScores) -> None:
        """A picture for each of the first images: photo, truth, clusters, classes side by side."""
        assert self.dataset is not None
        assignment = found.cluster.assignment
        self.run.pictures.mkdir(exist_ok=True)
        shown = [image.index for image in found.images[:PICTURED]]
        names = {index: self.dataset.items[index].name for index in shown}
        classes = self.prepared.class_list
        colours = [list(colour) for colour in classes.colours]
        about = Pictured(self.split, list(classes.names), colours, images=names)
        write_pictured(self.run.folder, about)
        for index in shown:
            one = read_square(self.dataset, index, self.config.eval_size)
            strip = drawn(
                self.prepared.segmenter,
                one.rgb,
                one.labels,
                assignment,
                np.array([*self.prepared.class_list.colours, VOID_COLOUR], np.uint8),
            )
            file = self.run.pictures / f"step-{step:08d}-image-{index:04d}.png"
            with writing(file) as partial:
                Image.fromarray(strip).save(partial, format="png")


def drawn(
    segmenter: Segmenter,
    rgb: np.ndarray,
    labels: np.ndarray,
    assignment: torch.Tensor,
    colours: np.ndarray,
) -> np.ndarray:
    """Photo, truth, clusters in the colours of their classes, classes: ``(S, 4·S, 3)``.

    ``colours`` is ``(C + 1, 3)``, the last for void and for clusters without a class.
    """
    inputs = torch.from_numpy(rgb).permute(2, 0, 1).unsqueeze(0).float() / 255
    said = segmenter.predict(inputs)
    clusters = assignment[said.clusters[0].cpu()].numpy()
    # −1 is the last row of the colours.
    return np.concatenate(
        [rgb, colours[labels], colours[clusters], colours[said.classes[0].cpu().numpy()]], axis=1
    )
