"""The training itself: from prepared data to checkpoints, one step after the other."""

from __future__ import annotations

import contextlib
import logging
import math
import resource
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from ppap.backbones import TrunkOutput
from ppap.checkpoint import Checkpoint, save_checkpoint, weights_digest
from ppap.data import patch_labels
from ppap.evaluation.split import EvaluationStoppedError
from ppap.segmenter import ChannelDropout, Part, TrainingFeatures
from ppap.settings import SettingError
from trainers.chance import generator, seed_everything
from trainers.config import FROZEN, STEGO, Config
from trainers.distributed import (
    World,
    broadcast_parameters,
    global_mean,
    sum_gradients,
    sum_numbers,
)
from trainers.loading import TrainingBatch, batches, load, steps_in_epoch
from trainers.objective import Objective, StepLoss
from trainers.prepare import Prepared, data_digest
from trainers.probing import START_IMAGES, Probing, some_patches
from trainers.progress import Pace, in_words
from trainers.runs import BEST, LAST, REPORTED, STEP, Metrics, Run
from trainers.validation import Validation

logger = logging.getLogger("trainers")

Outcome = Literal["finished", "stopped"]
# The gradient scaler halves its factor when a gradient is not finite; below this it is hopeless.
LEAST_SCALE = 2.0**-10


class TrainingError(RuntimeError):
    """A training that cannot go on; the message says why and what to do."""


@dataclass
class Best:
    """The best validation so far."""

    score: float = -math.inf
    step: int = 0


class Trainer:
    """A run in progress.

    Two stretches, either of which may be empty: the network learns for ``main_steps`` steps (the
    probes beside it, unless they have a stretch of their own), then new probes learn on the
    finished features.
    """

    def __init__(
        self,
        config: Config,
        prepared: Prepared,
        run: Run,
        *,
        world: World,
        stopped: Callable[[], bool],
    ) -> None:
        self.config, self.prepared, self.run, self.world = config, prepared, run, world
        self.stopped = stopped
        self.segmenter = prepared.segmenter
        self.device = world.device
        self.check_batch()
        self.per_epoch = steps_in_epoch(len(prepared.source), config.batch)
        limit = config.max_steps or sys.maxsize
        self.main_steps = min(config.epochs * self.per_epoch, limit)
        probe_steps = config.probe_epochs * self.per_epoch
        self.total = min(self.main_steps + probe_steps, limit)
        self.probing = Probing(self.segmenter, config.cluster_start, config.cluster_starts)
        self.objective = Objective(
            config, classes=len(prepared.class_list), world=world, pool=prepared.pool
        )
        self.validation = Validation(config, prepared, run, world=world)
        self._set_up_optimizers()
        self.step = 0
        self.best = Best()
        self.seconds = 0.0
        self.pending = False
        self.began = time.monotonic()
        self.pace = Pace()
        self.metrics: Metrics | None = None
        self.digest = weights_digest(self.segmenter.backbone)
        self.data = data_digest(prepared.splits.training)
        if world.size > 1:
            images = config.batch // world.size
            part = Part(world.rank * images, config.batch)
            for module in self.segmenter.modules():
                if isinstance(module, ChannelDropout):
                    module.part = part
            broadcast_parameters(self.segmenter, world)

    def check_batch(self) -> None:
        """SettingError where the batch does not divide among the processes."""
        if self.config.batch % self.world.size:
            raise SettingError(
                "batch",
                f"A batch of {self.config.batch} images does not divide among {self.world.size} "
                f"processes: use a multiple of {self.world.size}.",
            )

    def _set_up_optimizers(self) -> None:
        config = self.config
        net = list(self.segmenter.head.parameters())
        kind = torch.optim.AdamW if config.optimizer == "adamw" else torch.optim.Adam
        self.net = net
        self.optimizers: dict[str, torch.optim.Optimizer] = {
            "net": kind(net, lr=config.lr, weight_decay=config.weight_decay),
            "cluster": torch.optim.Adam(self.probing.candidates.parameters(), lr=config.cluster_lr),
            "linear": torch.optim.Adam(
                self.segmenter.linear_probe.parameters(), lr=config.linear_lr
            ),
        }
        self.autocast = precision_of(config, self.device)
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=self.autocast is torch.float16)
        if config.compile:
            self.segmenter.head.compile()

    # --- the loop ---------------------------------------------------------------------------

    def fit(self) -> Outcome:
        """Train from where it stands to the end, or until ``stopped``."""
        self.began = time.monotonic()
        if self.world.rank == 0:
            self.metrics = Metrics(
                self.run, from_step=self.step, tensorboard=self.config.tensorboard
            )
        if self.step == 0:
            self._begin()
        try:
            # A run that was stopped at an epoch's end has its validation still to come.
            if self.pending and not self._end_of_epoch():
                return "stopped"
            while self.step < self.total:
                for batch in self._rest_of_epoch():
                    if self.step == self.main_steps > 0:
                        self._begin_probes()
                    self._one_step(batch)
                    if not self._after_step():
                        return "stopped"
            self._report_choice()
            return "finished"
        finally:
            if self.metrics is not None:
                self.metrics.close()

    def _after_step(self) -> bool:
        """Save and validate where it is time to; False when the run shall stop here."""
        ended = self.step % self.per_epoch == 0 or self.step >= self.total
        if self._must_stop():
            self.save(pending=ended)
            return False
        if ended:
            return self._end_of_epoch()
        every = self.config.checkpoint_every
        if every and self.step % every == 0:
            self.save()
        return True

    def _rest_of_epoch(self) -> Iterator[TrainingBatch]:
        epoch, first = divmod(self.step, self.per_epoch)
        images = self.config.batch // self.world.size
        part = slice(self.world.rank * images, (self.world.rank + 1) * images)
        wanted = batches(
            len(self.prepared.source),
            self.config.batch,
            seed=self.config.seed,
            epoch=epoch,
            first=first,
            part=part,
        )
        return load(
            self.prepared.source,
            wanted[: self.total - self.step],
            workers=self.config.workers,
            pin=self.device.type == "cuda",
        )

    def _must_stop(self) -> bool:
        wanted = self.stopped()
        if self.world.size > 1:  # all processes stop after the same step
            wanted = sum_numbers([float(wanted)], self.world)[0] > 0
        return wanted

    def _begin(self) -> None:
        """Before the first step; with an empty first stretch the probes begin here."""
        if self.main_steps == 0 or self.config.cluster_start != "noise":
            self._begin_probes()

    def _begin_probes(self) -> None:
        """Start the probes anew on the features as they are now."""
        config = self.config
        features = None
        if config.cluster_start != "noise":
            count = min(START_IMAGES, len(self.prepared.source))
            order = torch.randperm(
                len(self.prepared.source), generator=generator(config.seed, "start images")
            )
            found = []
            for some in order[:count].split(8):
                batch = self.prepared.source.batch(some.tolist())
                with self._precision():
                    found.append(self.segmenter.features(self._trunk(batch)))
            features = some_patches(torch.cat(found), config.seed)
        self.probing.begin(features, config.seed)
        for name in ("cluster", "linear"):
            self.optimizers[name].state.clear()

    def _precision(self) -> contextlib.AbstractContextManager[object]:
        if self.autocast is None:
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, self.autocast)

    def _trunk(self, batch: TrainingBatch) -> TrunkOutput:
        if isinstance(batch.inputs, Tensor):
            return self.segmenter.trunk(batch.inputs.to(self.device).float() / 255)
        return self.segmenter.placed(batch.inputs)

    # --- a step -----------------------------------------------------------------------------

    @property
    def learning(self) -> bool:
        """Whether the network itself learns in this step."""
        return self.step < self.main_steps and self.config.rule != FROZEN

    @property
    def probes_learn(self) -> bool:
        """Whether the probes do."""
        return self.config.probe_epochs == 0 or self.step >= self.main_steps

    def _one_step(self, batch: TrainingBatch) -> None:
        config = self.config
        logged = (self.step + 1) % config.log_every == 0 or self.step + 1 == self.total
        seed_everything(config.seed, "step", self.step)
        self.segmenter.train(self.learning)
        found: StepLoss | None = None
        numbers: dict[str, float] = {}
        parts: list[Tensor] = []
        with self._precision():
            trunk = self._trunk(batch)
            if self.learning:
                streams = self.segmenter.forward_training(trunk, batch.frozen)
                found = self.objective(
                    streams,
                    self.step,
                    near=self._near(batch),
                    patch_labels=self._patch_labels(batch, streams) if logged else None,
                )
                parts.append(global_mean(found.loss, found.counted, self.world))
                tuned = streams.tuned
            elif self.probes_learn:
                tuned = self.segmenter.features(trunk)
            if self.probes_learn:
                parts += self._probe_losses(tuned, batch.labels, numbers)
        if parts:
            self._update(torch.stack(parts).sum(), numbers, logged)
        self.step += 1
        self.pace.at(self.step)
        if logged:
            self._log(found, numbers)

    def _near(self, batch: TrainingBatch) -> TrainingFeatures | None:
        if self.config.rule != STEGO:
            return None
        near = self.prepared.near
        assert near is not None
        rows = near[batch.indices]
        chance = generator(self.config.seed, "near", self.step, self.world.rank)
        column = torch.randint(rows.shape[1], (len(rows), 1), generator=chance)
        partners = self.prepared.source.batch(rows.gather(1, column).squeeze(1).tolist())
        return self.segmenter.forward_training(self._trunk(partners), partners.frozen)

    def _patch_labels(self, batch: TrainingBatch, streams: TrainingFeatures) -> Tensor | None:
        if batch.labels is None:
            return None
        rows, columns = streams.guidance.shape[1:3]
        maps = [patch_labels(one, rows, columns) for one in batch.labels.numpy()]
        return torch.cat([torch.from_numpy(one).flatten() for one in maps])

    def _probe_losses(
        self, tuned: Tensor, labels: Tensor | None, numbers: dict[str, float]
    ) -> list[Tensor]:
        images = torch.tensor(len(tuned), device=self.device)
        cluster = self.probing.cluster_loss(tuned)
        numbers["cluster_loss"] = float(cluster.detach()) / len(self.probing.candidates)
        parts = [global_mean(cluster, images, self.world)]
        if labels is not None:
            labels = labels.to(self.device, torch.int64)
            linear = self.segmenter.linear_probe.loss(tuned, labels)
            numbers["linear_loss"] = float(linear.detach())
            parts.append(global_mean(linear, (labels >= 0).sum(), self.world))
        return parts

    def _update(self, loss: Tensor, numbers: dict[str, float], logged: bool) -> None:
        for optimizer in self.optimizers.values():
            optimizer.zero_grad(set_to_none=True)
        if (logged or self.device.type == "cpu") and not self.scaler.is_enabled():
            self._check_finite(loss)
        self.scaler.scale(loss).backward()
        if self.world.size > 1:
            sum_gradients(self._parameters(), self.world)
        if self.learning:
            net = self.optimizers["net"]
            for group in net.param_groups:
                group["lr"] = self.learning_rate(self.step)
            self.scaler.unscale_(net)
            norm = nn.utils.clip_grad_norm_(self.net, self.config.clip)
            if logged:
                numbers["gradient_norm"] = float(norm)
            self.scaler.step(net)
        if self.probes_learn:
            for name in ("cluster", "linear"):
                if any(p.grad is not None for p in self._of(name)):
                    self.scaler.step(self.optimizers[name])
        self.scaler.update()
        if self.scaler.is_enabled() and logged and self.scaler.get_scale() < LEAST_SCALE:
            raise TrainingError(
                f"Gradients are not finite, step after step, up to step {self.step + 1}: use "
                "precision=bfloat16 or float32, or a smaller lr."
            )

    def _of(self, name: str) -> list[nn.Parameter]:
        return [p for group in self.optimizers[name].param_groups for p in group["params"]]

    def _parameters(self) -> list[nn.Parameter]:
        return [p for name in self.optimizers for p in self._of(name)]

    def _check_finite(self, loss: Tensor) -> None:
        if not bool(torch.isfinite(loss)):
            raise TrainingError(
                f"The loss is no longer a number at step {self.step + 1}. Use a smaller lr or a "
                "larger temperature; checkpoints before this step are fine."
            )

    def learning_rate(self, step: int) -> float:
        """The network's at a step."""
        if self.config.schedule == "constant":
            return self.config.lr
        return self.config.lr * (1 + math.cos(math.pi * step / max(1, self.main_steps))) / 2

    # --- what is kept of it -----------------------------------------------------------------

    def _log(self, found: StepLoss | None, numbers: dict[str, float]) -> None:
        sums: list[float] = []
        if found is not None:
            numbers["loss"] = float(found.loss.detach())
            for name in ("positives", "ambiguous", "negatives", "empty", "precision"):
                numbers[name] = getattr(found, name)
        names = sorted(numbers)
        if self.world.size > 1:
            sums = sum_numbers([numbers[name] for name in names], self.world)
            numbers = {n: s / self.world.size for n, s in zip(names, sums, strict=True)}
        if self.metrics is None:
            return
        speed, left = self.pace.per_second(), self.pace.left(self.total - self.step)
        seconds = self.seconds + time.monotonic() - self.began
        self.metrics.write(
            "step",
            self.step,
            epoch=self.step / self.per_epoch,
            lr=self.learning_rate(self.step - 1),
            **numbers,
            images_per_second=None if speed is None else speed * self.config.batch,
            memory_mb=memory_mb(self.device),
            seconds=seconds,
        )
        self.run.write_state(
            "running",
            step=self.step,
            steps=self.total,
            time_left=left,
            seconds=seconds,
            images_per_second=None if speed is None else speed * self.config.batch,
        )
        shown = ", ".join(f"{n} {numbers[n]:.4g}" for n in SHOWN if n in numbers)
        wait = "" if left is None else f", {in_words(left)} left"
        logger.info("Step %d of %d: %s%s", self.step, self.total, shown, wait)

    def _end_of_epoch(self) -> bool:
        """Validate where it is time to, and save; False when told to stop meanwhile."""
        self.probing.settle()
        epoch, rest = divmod(self.step, self.per_epoch)
        at_end = self.step >= self.total
        every = self.config.validate_every
        due = every > 0 and (at_end or (rest == 0 and epoch % every == 0))
        # Probes that have not begun to learn say nothing.
        learned = self.config.probe_epochs == 0 or self.step > self.main_steps
        improved = False
        if due and learned:
            self.save(pending=True)  # a validation takes a while; what was learned is safe
            try:
                found = self.validation.run_at(self.step, stopped=self.stopped)
            except EvaluationStoppedError:
                return False
            if found is not None:
                if self.metrics is not None:
                    self.metrics.write("validation", self.step, epoch=epoch, **found.numbers)
                improved = found.score > self.best.score
                if improved:
                    self.best = Best(found.score, self.step)
        if not at_end:
            self.probing.end_of_epoch()
        self.save()
        if improved and self.world.rank == 0:
            self.run.link(self.run.checkpoints / STEP.format(self.step), BEST)
        return True

    def _report_choice(self) -> None:
        """Name the checkpoint that the report is about."""
        if self.world.rank:
            return
        folder = self.run.checkpoints
        chosen = folder / LAST
        if self.config.selection != "last" and (folder / BEST).exists():
            chosen = folder / BEST
        self.run.link(chosen, REPORTED)

    def save(self, *, pending: bool = False) -> None:
        """Write a checkpoint of this step; ``pending``: the end of its epoch is still to come."""
        self.pending = pending
        if self.world.rank:
            return
        file = self.run.checkpoints / STEP.format(self.step)
        save_checkpoint(self.checkpoint(), file)
        self.run.link(file, LAST)
        self.run.thin_out(self.config.keep)

    def checkpoint(self) -> Checkpoint:
        """The run as it stands."""
        class_list = self.prepared.class_list
        return Checkpoint(
            trained=self.segmenter.trained(),
            backbone_digest=self.digest,
            classes=class_list.names,
            colours=class_list.colours,
            size=self.config.eval_size,
            step=self.step,
            config=self.config.as_dict(),
            training={
                "optimizers": {name: o.state_dict() for name, o in self.optimizers.items()},
                "scaler": self.scaler.state_dict(),
                "probing": self.probing.state(),
                "best": {"score": self.best.score, "step": self.best.step},
                "seconds": self.seconds + time.monotonic() - self.began,
                "data": self.data,
                "pending": self.pending,
            },
        )

    def restore(self, checkpoint: Checkpoint, name: str) -> None:
        """Go on from a checkpoint of this run.

        Raises:
            TrainingError: it is of other data or another backbone.
        """
        training = checkpoint.training
        if training is None:
            raise TrainingError(f"{name} holds the result only; a run cannot go on from it.")
        if checkpoint.backbone_digest != self.digest:
            raise TrainingError(
                f"{name} was trained on other weights of {self.config.backbone} than there are now."
            )
        if training["data"] != self.data:
            raise TrainingError(
                f"{name} was trained on other images than the {len(self.prepared.source):,} that "
                f"are in {self.prepared.splits.training.root} now: start a new run."
            )
        self.segmenter.load_trained(checkpoint.trained, self.run.checkpoints / name)
        for key, optimizer in self.optimizers.items():
            optimizer.load_state_dict(training["optimizers"][key])
        self.scaler.load_state_dict(training["scaler"])
        self.probing.load(training["probing"])
        self.best = Best(**training["best"])
        self.seconds = training["seconds"]
        self.pending = training["pending"]
        self.step = checkpoint.step


SHOWN = ("loss", "positives", "precision", "cluster_loss", "linear_loss")


def precision_of(config: Config, device: torch.device) -> torch.dtype | None:
    """The type of autocast; None for none."""
    chosen = config.precision
    if chosen == "auto":
        chosen = "float16" if device.type == "cuda" else "float32"
    return {"float16": torch.float16, "bfloat16": torch.bfloat16}.get(chosen)


def memory_mb(device: torch.device) -> float:
    """The most memory used so far: of the GPU, or of this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)
