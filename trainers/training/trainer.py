"""The training itself: from prepared data to checkpoints, one step after the other."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator
from contextlib import closing
from typing import Literal

import torch
from torch import Tensor

from ppap.backbones import TrunkOutput
from ppap.checkpoints.learnt import learnt_steps, sentence
from ppap.checkpoints.own import Checkpoint, weights_digest
from ppap.data import patch_labels
from ppap.evaluation.split import EvaluationStoppedError
from ppap.protocol import Protocol
from ppap.segmenter import ChannelDropout, Part, TrainingFeatures
from trainers.config import FROZEN, STEGO, Config
from trainers.runs.folder import Run, RunError
from trainers.training.chance import generator, seed_everything
from trainers.training.distributed import World, broadcast_parameters, global_mean, sum_numbers
from trainers.training.loading import TrainingBatch, batches, load, steps_in_epoch
from trainers.training.objective import SIZES, Objective, StepLoss
from trainers.training.prepare import Prepared
from trainers.training.probing import NOISE, START_IMAGES, Probing, some_patches
from trainers.training.records import Best, Records
from trainers.training.splits import changed_images, data_digest, file_stamps
from trainers.training.updating import TrainingError, Updating
from trainers.training.validation import Validation

logger = logging.getLogger("trainers")

Outcome = Literal["finished", "stopped"]
# Rules in which each process draws by chance for itself.
DRAWN_BY_PROCESS = ("hp", STEGO)
# Of images that have changed, so many are named.
NAMED = 3
# Images at a time whose patches the centroids may start from.
AT_ONCE = 8


class Trainer:
    """A run in progress.

    Two stretches, either of which may be empty: the network learns for ``main_steps`` steps (the
    probes beside it, unless they have a stretch of their own), then new probes learn on the
    finished features. Where the network is frozen and the probes have a stretch of their own, there
    is nothing to do in the first.
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
        self.images = config.batch // world.size
        """Of a step, in this process."""
        self.per_epoch = steps_in_epoch(len(prepared.source), config.batch)
        self.stretches = config.stretches(self.per_epoch)
        self.main_steps, self.total = self.stretches.main, self.stretches.total
        half = Protocol.of(config.protocol).half_probes
        self.probing = Probing(
            self.segmenter, config.cluster_start, config.cluster_starts, world, half=half
        )
        self.objective = Objective(
            config, classes=len(prepared.class_list), world=world, pool=prepared.pool
        )
        self.validation = Validation(config, prepared, run, world=world)
        self.updating = Updating(
            config, self.segmenter, self.probing, world=world, main_steps=self.main_steps
        )
        self.records = Records(config, run, world=world, total=self.total)
        self.step = 0
        self.pending = False
        """Whether the end of this step's epoch, with its validation, is still to come."""
        self.digest = weights_digest(self.segmenter.backbone)
        self.data = data_digest(prepared.splits.training)
        # Of a million files this takes a while; only the first process writes it down.
        self.stamps = None if world.rank else file_stamps(prepared.splits.training)
        self.looked_at = False
        """Whether the backbone's features have been looked at."""
        if config.compile:
            self.segmenter.head.compile()
        if world.size > 1:
            part = Part(world.rank * self.images, config.batch)
            for module in self.segmenter.modules():
                if isinstance(module, ChannelDropout):
                    module.part = part
            broadcast_parameters(self.segmenter, world)

    # --- the loop

    def fit(self) -> Outcome:
        """Train from where it stands to the end, or until ``stopped``."""
        self.records.begin(self.step, validated=not self.pending)
        try:
            if self.step == 0 and self.probes_learn:
                self._begin_probes()
            if self.pending and not self._end_of_epoch():
                return "stopped"
            self.records.keep_best(self.step)
            while self.step < self.total:
                with closing(self._rest_of_epoch()) as loaded:
                    for batch in loaded:
                        if self.step == self.main_steps > 0:
                            self._begin_probes()
                        self._one_step(batch)
                        if not self._after_step():
                            return "stopped"
            self.records.name_reported()
            return "finished"
        finally:
            self.records.close()

    def _rest_of_epoch(self) -> Generator[TrainingBatch, None, None]:
        epoch, first = self.stretches.place(self.step)
        end = self.main_steps if self.step < self.main_steps else self.total
        wanted = batches(
            len(self.prepared.source),
            self.config.batch,
            seed=self.config.seed,
            epoch=epoch,
            first=first,
            part=slice(self.world.rank * self.images, (self.world.rank + 1) * self.images),
        )
        return load(
            self.prepared.source,
            wanted[: end - self.step],
            workers=self.config.workers,
            pin=self.device.type == "cuda",
        )

    def _after_step(self) -> bool:
        """Save and validate where it is time to; False when the run shall stop here."""
        ended = self.stretches.ends(self.step)
        if self._must_stop():
            self.save(pending=ended)
            return False
        if ended:
            return self._end_of_epoch()
        every = self.config.checkpoint_every
        if every and self.step % every == 0:
            self.save()
        return True

    def _must_stop(self) -> bool:
        wanted = self.stopped()
        if self.world.size > 1:  # all processes stop after the same step
            wanted = sum_numbers([float(wanted)], self.world)[0] > 0
        return wanted

    def _end_of_epoch(self) -> bool:
        """Validate where it is time to, and save; False when told to stop meanwhile."""
        self.probing.settle()
        epoch, rest = self.stretches.place(self.step)
        at_end = self.step >= self.total
        every = self.config.validate_every
        due = every > 0 and (at_end or (rest == 0 and epoch % every == 0))
        # Probes that have not begun to learn say nothing.
        learned = self.config.probe_epochs == 0 or self.step > self.main_steps
        if due and learned:
            self.save(pending=True)  # a validation takes a while; what was learned is safe
            try:
                found = self.validation.run_at(self.step, stopped=self.stopped)
            except EvaluationStoppedError:
                return False
            if found is not None:
                self.records.validated(self.step, epoch, found.score, found.numbers)
        if not at_end:
            self.probing.end_of_epoch()
        self.save()
        self.records.keep_best(self.step)
        return True

    # --- a step

    @property
    def learning(self) -> bool:
        """Whether the network itself learns in this step."""
        return self.step < self.main_steps and self.config.rule != FROZEN

    @property
    def probes_learn(self) -> bool:
        """Whether the probes do."""
        return self.config.probe_epochs == 0 or self.step >= self.main_steps

    def _one_step(self, batch: TrainingBatch) -> None:
        after = self.step + 1
        # Few images make epochs shorter than what lies between two lines of metrics.
        logged = after % self.config.log_every == 0 or self.stretches.ends(after)
        learning, probes_learn = self.learning, self.probes_learn
        seed_everything(self.config.seed, "step", self.step)
        self.segmenter.train(learning)
        numbers: dict[str, float | Tensor] = {}
        parts: list[Tensor] = []
        with self.updating.precision():
            trunk = self._trunk(batch)
            self._look_at(trunk, batch)
            if learning:
                streams = self.segmenter.forward_training(trunk, batch.frozen)
                tuned = streams.tuned
                parts.append(self._loss(batch, streams, numbers, logged))
            else:
                tuned = self.segmenter.features(trunk)
            if probes_learn:
                parts += self._probe_losses(tuned, batch.labels, numbers)
        norm = self.updating.update(
            torch.stack(parts).sum(),
            self.step,
            learning=learning,
            probes_learn=probes_learn,
            logged=logged,
        )
        if norm is not None:
            numbers["gradient_norm"] = norm
        self.step += 1
        self.records.pace.at(self.step)
        if logged:
            rate = self.updating.learning_rate(self.step - 1)
            epoch, rest = self.stretches.place(self.step)
            self.records.log(
                self.step,
                epoch + rest / self.per_epoch,
                rate,
                numbers,
                unlearnt=self.unlearnt(),
            )

    def _look_at(self, trunk: TrunkOutput, batch: TrainingBatch) -> None:
        """TrainingError where the backbone's features are none; looked at once, since it waits."""
        if self.looked_at:
            return
        self.looked_at = True
        for index, features in zip(batch.indices.tolist(), trunk.tokens, strict=True):
            if not bool(torch.isfinite(features).all()):
                image = self.prepared.splits.training.items[index].image
                raise TrainingError(
                    f"The backbone {self.config.backbone} computes NaN or infinite values for "
                    f"{image}: its weights are damaged, or too large for this precision. Download "
                    "the file again, or use precision=float32."
                )

    def _trunk(self, batch: TrainingBatch) -> TrunkOutput:
        if isinstance(batch.inputs, Tensor):
            images = batch.inputs.to(self.device, non_blocking=True)
            return self.segmenter.trunk(images.float() / 255)
        return self.segmenter.placed(batch.inputs)

    def _loss(
        self,
        batch: TrainingBatch,
        streams: TrainingFeatures,
        numbers: dict[str, float | Tensor],
        logged: bool,
    ) -> Tensor:
        """The network's loss: this process's part of the mean over all images."""
        found: StepLoss = self.objective(
            streams,
            self.step,
            near=self._near(batch),
            patch_labels=self._patch_labels(batch, streams) if logged else None,
        )
        numbers |= {name: getattr(found, name) for name in SIZES}
        return self._part("loss", found.loss, found.counted, numbers)

    def _near(self, batch: TrainingBatch) -> TrainingFeatures | None:
        """For STEGO, the streams of one near image for each."""
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
        self, tuned: Tensor, labels: Tensor | None, numbers: dict[str, float | Tensor]
    ) -> list[Tensor]:
        images = torch.full((), len(tuned), device=self.device)
        cluster = self.probing.cluster_loss(tuned)
        parts = [self._part("cluster_loss", cluster, images, numbers)]
        numbers["cluster_loss"] /= len(self.probing.candidates)
        if labels is not None:
            # Still on the CPU: there they are checked without waiting for a GPU.
            linear = self.probing.linear_loss(tuned, labels)
            parts.append(self._part("linear_loss", linear, (labels >= 0).sum(), numbers))
        return parts

    def _part(
        self, name: str, loss: Tensor, counted: Tensor, numbers: dict[str, float | Tensor]
    ) -> Tensor:
        """This process's part of a mean over all; noted so that the mean of the notes is it."""
        part = global_mean(loss, counted, self.world)
        numbers[name] = part.detach() * self.world.size
        return part

    def _begin_probes(self) -> None:
        """Start the probes anew on the features as they are now."""
        features = None
        if self.config.cluster_start != NOISE:
            source = self.prepared.source
            chance = generator(self.config.seed, "start images")
            order = torch.randperm(len(source), generator=chance)[:START_IMAGES]
            found = []
            for some in order.split(AT_ONCE):
                with self.updating.precision():
                    trunk = self._trunk(source.batch(some.tolist()))
                    found.append(self.segmenter.features(trunk))
            features = some_patches(torch.cat(found), self.config.seed)
        self.probing.begin(features, self.config.seed)
        self.updating.forget_probes()

    def close(self) -> None:
        """Let go of cached features."""
        self.prepared.close()
        self.validation.close()

    # --- what is kept of it

    def save(self, *, pending: bool = False) -> None:
        """Write a checkpoint of this step; ``pending``: the end of its epoch is still to come."""
        self.pending = pending
        self.updating.check_weights(self.step)
        self.probing.settle()
        if not self.world.rank:
            self.records.save(self.checkpoint())

    def checkpoint(self) -> Checkpoint:
        """The run as it stands."""
        best, class_list = self.records.best, self.prepared.class_list
        return Checkpoint(
            trained=self.segmenter.trained(),
            backbone_digest=self.digest,
            classes=class_list.names,
            colours=class_list.colours,
            size=self.config.eval_size,
            step=self.step,
            config=self.config.as_dict(),
            training={
                **self.updating.state(),
                "probing": self.probing.state(),
                "best": {"score": best.score, "step": best.step},
                "seconds": self.records.seconds,
                "data": self.data,
                "stamps": self.stamps,
                "stretches": list(self.stretches),
                "precut": self.prepared.splits.precut,
                "cached": self.prepared.cached,
                "pending": self.pending,
                "processes": self.world.size,
            },
        )

    def unlearnt(self) -> str:
        """What has not learnt so far, in a sentence; empty where all has."""
        optimizers = {name: each.state_dict() for name, each in self.updating.optimizers.items()}
        steps = learnt_steps({"optimizers": optimizers})
        assert steps is not None
        return sentence(steps, per_epoch=self.per_epoch)

    def _changes(self, before: object, step: int) -> str:
        """What to say of images that are not as they were when the run stopped."""
        if not isinstance(before, Tensor) or self.stamps is None:
            return ""  # an older checkpoint, or not the first process
        changed = changed_images(self.prepared.splits.training, before, self.stamps)
        if not changed:
            return ""
        shown, more = ", ".join(changed[:NAMED]), len(changed) - NAMED
        shown += f" and {more:,} more" if more > 0 else ""
        verb, they = ("has", "it is") if len(changed) == 1 else ("have", "they are")
        return (
            f"{shown} {verb} changed since step {step}, by size or date: the run continues with "
            f"the training images as {they} now, so its result may differ."
        )

    def restore(self, checkpoint: Checkpoint, name: str) -> None:
        """Go on from a checkpoint of this run.

        Raises:
            RunError: it is of other data or another backbone.
        """
        training = checkpoint.training
        if training is None:
            raise RunError(f"{name} contains only the result; a run cannot continue from it.")
        if checkpoint.backbone_digest != self.digest:
            raise RunError(
                f"{name} was trained on different weights of {self.config.backbone} from those "
                "found now."
            )
        if training["data"] != self.data:
            raise RunError(
                f"{name} was trained on different images from the {len(self.prepared.source):,} "
                f"now in {self.prepared.splits.training.root}: start a new run."
            )
        changed = self._changes(training.get("stamps"), checkpoint.step)
        if changed:
            logger.warning("%s", changed)
        if training["cached"] != self.prepared.cached:
            was, now = ("with", "without") if training["cached"] else ("without", "with")
            logger.warning(
                "Until %s it trained %s cached features and continues %s: those are in half "
                "precision, so the last digits may differ from an uninterrupted run's.",
                name,
                was,
                now,
            )
        told = otherwise_shared(
            training.get("processes", self.world.size), self.world.size, self.config.rule
        )
        if told:
            logger.warning("Until %s %s", name, told)
        self.segmenter.load_trained(checkpoint.trained, self.run.checkpoints / name)
        self.updating.load(training)
        self.probing.load(training["probing"])
        self.records.best = Best(**training["best"])
        self.records.before = training["seconds"]
        self.pending = training["pending"]
        self.step = checkpoint.step


def otherwise_shared(before: int, now: int, rule: str) -> str:
    """What to say where each batch is shared by another number of processes than before."""
    if before == now:
        return ""
    count = {1: "one process"}.get(before, f"{before} processes")
    after = {1: "one"}.get(now, str(now))
    if rule in DRAWN_BY_PROCESS:
        return (
            f"each batch was shared by {count}, and from here on by {after}: with rule={rule} "
            "each process draws its own random numbers, so the run continues with different ones "
            "from an uninterrupted run."
        )
    return (
        f"each batch was shared by {count}, and from here on by {after}: every step sees the same "
        "images and anchors, but sums in a different order, so the last digits may differ from "
        "an uninterrupted run's."
    )
