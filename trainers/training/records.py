"""What a run leaves behind as it goes on: numbers, its state, checkpoints and their names."""

from __future__ import annotations

import logging
import math
import resource
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ppap.checkpoints.own import Checkpoint, save_checkpoint
from trainers.config import Config
from trainers.progress import Pace, in_words
from trainers.runs.folder import BEST, LAST, REPORTED, STEP, Run
from trainers.runs.metrics import Metrics
from trainers.tracking.about import About, told
from trainers.tracking.trackers import Trackers
from trainers.training.distributed import World, sum_numbers

logger = logging.getLogger("trainers")

# Numbers that the log shows of a step.
SHOWN = ("loss", "positives", "precision", "cluster_loss", "linear_loss")


@dataclass
class Best:
    """The best validation so far."""

    score: float = -math.inf
    step: int = 0


class Records:
    """Writes a run's folder; of several processes, the first one's does."""

    def __init__(self, config: Config, run: Run, *, world: World, total: int) -> None:
        self.config, self.run, self.world, self.total = config, run, world, total
        self.best = Best()
        self.before = 0.0
        """Seconds that the run took before this process."""
        self.began = time.monotonic()
        self.pace = Pace()
        self.metrics: Metrics | None = None
        self.trackers: Trackers | None = None

    @property
    def seconds(self) -> float:
        """That the run has taken so far."""
        return self.before + time.monotonic() - self.began

    def begin(self, step: int, *, validated: bool) -> None:
        """Go on with the metrics after ``step``; ``validated``: as of ``Metrics``."""
        self.began = time.monotonic()
        if self.world.rank == 0:
            self.metrics = Metrics(self.run, from_step=step, validated=validated)
            self._begin_trackers(step)

    def _begin_trackers(self, step: int) -> None:
        if not self.config.track or self.metrics is None:
            return
        folder = self.run.folder
        about = About(
            folder,
            folder.resolve().name,
            self.config.track_project,
            told(self.config.as_dict()),
            from_step=step,
            known=self.metrics.size(),
        )
        self.trackers = Trackers(self.config.track, about)
        self.metrics.tell = self.trackers.write

    def close(self) -> None:
        """Close the metrics; trackers wait for the report."""
        if self.metrics is not None:
            self.metrics.close()

    def end_trackers(self, step: int, scores: Mapping[str, float], *, failed: bool) -> None:
        """Tell trackers how it ended: the report's scores, none where there is no report."""
        if self.trackers is not None:
            self.trackers.report(step, scores)
            self.trackers.close(failed=failed)
            self.trackers = None

    def log(
        self,
        step: int,
        epoch: float,
        lr: float,
        numbers: Mapping[str, float | Tensor],
        *,
        unlearnt: str = "",
    ) -> None:
        """Tell of a step; all processes do, and the mean over them is written.

        ``unlearnt``: what has not learnt so far, in a sentence.
        """
        known = {name: float(value) for name, value in numbers.items()}
        if self.world.size > 1:
            sums = sum_numbers([known[name] for name in sorted(known)], self.world)
            known = {n: s / self.world.size for n, s in zip(sorted(known), sums, strict=True)}
        if self.metrics is None:
            return
        speed, left = self.pace.per_second(), self.pace.left(self.total - step)
        images = None if speed is None else speed * self.config.batch
        self.metrics.write(
            "step",
            step,
            epoch=epoch,
            lr=lr,
            **known,
            images_per_second=images,
            memory_mb=memory_mb(self.world.device),
            seconds=self.seconds,
        )
        self.run.write_state(
            "running",
            step=step,
            steps=self.total,
            time_left=left,
            seconds=self.seconds,
            images_per_second=images,
            unlearnt=unlearnt,
        )
        # Without labels no precision is known.
        shown = ", ".join(
            f"{n} {known[n]:.4g}"
            for n in SHOWN
            if n in known and not (n == "precision" and math.isnan(known[n]))
        )
        wait = "" if left is None else f", {in_words(left)} left"
        logger.info("Step %d of %d: %s%s", step, self.total, shown, wait)

    def validated(
        self, step: int, epoch: int, score: float, numbers: Mapping[str, float | str]
    ) -> None:
        """Tell of a validation, and remember the best."""
        if self.metrics is not None:
            self.metrics.write("validation", step, epoch=epoch, **numbers)
        if score > self.best.score:
            self.best = Best(score, step)

    def save(self, checkpoint: Checkpoint) -> None:
        """Write a checkpoint, which becomes the last one."""
        file = self.run.checkpoints / STEP.format(checkpoint.step)
        save_checkpoint(checkpoint, file)
        self.run.link(file, LAST)
        self.run.thin_out(self.config.keep, file)

    def keep_best(self, step: int) -> None:
        """Name the checkpoint of ``step`` the best, if it is; it is there."""
        if self.world.rank == 0 and step and self.best.step == step:
            self.run.link(self.run.checkpoints / STEP.format(step), BEST)

    def name_reported(self) -> None:
        """Name the checkpoint that the report is about."""
        if self.world.rank:
            return
        folder = self.run.checkpoints
        chosen = LAST
        if self.config.selection != "last" and (folder / BEST).exists():
            chosen = BEST
        self.run.link(folder / chosen, REPORTED)


def memory_mb(device: torch.device) -> float:
    """The most memory used so far: of the GPU, or of this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)
