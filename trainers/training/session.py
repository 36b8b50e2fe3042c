"""A run from its arguments to its end: prepared, trained, stopped or reported, and written down."""

from __future__ import annotations

import argparse
import contextlib
import json
import signal
import time
import traceback
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from types import FrameType
from typing import Any

from ppap.backbones.naming import located
from trainers.cache import CacheStoppedError
from trainers.cache.left_out import forget, left_out
from trainers.command import DONE, FAILED, INTERRUPTED, WRONG
from trainers.config import Config, parse_changes
from trainers.engines.torchrun import lead, to_lead
from trainers.engines.worker import follow_leader, leave_word
from trainers.processes import taking_signals
from trainers.progress import Progress, heard, in_words
from trainers.reporting.report import report
from trainers.rules import reads
from trainers.runs.folder import Run, locked, write_text
from trainers.runs.log import end_log, start_log
from trainers.runs.notes import add_tags
from trainers.runs.values import read_json
from trainers.tracking.about import scores_of
from trainers.training.arguments import command_line, read, require, taken, wanted_report
from trainers.training.distributed import World, broadcast_object, first_alone, setup
from trainers.training.errors import EXPECTED, complain, is_expected, sentence
from trainers.training.prepare import prepare
from trainers.training.resuming import mended, newest
from trainers.training.splits import refuse_bad_data
from trainers.training.trainer import Trainer
from trainers.training.updating import TrainingError

# Between two words of how far what comes before the first step is.
TELLING_SECONDS = 1.0


def run(given: argparse.Namespace) -> int:
    """Train as the arguments say; returns the exit status."""
    stop = Stop()
    try:
        target, config = read(given)
        require(config, report=not given.no_report)
        share = to_lead(config)
        if share is not None:
            return lead(given.words, target, share)
        follow_leader()
        with stop.listening(), setup(config.device) as world, contextlib.ExitStack() as held:

            def take() -> None:
                held.enter_context(locked(target))
                if target.exists() and not given.resume:
                    raise taken(target)

            first_alone(take, world)
            held.callback(end_log)
            return Training(given, target, config, world, stop).whole()
    except EXPECTED as error:
        complain(error)
        leave_word(sentence(error))
        return WRONG


class Stop:
    """Whether somebody asked to stop: SIGTERM, Ctrl+C, or a terminal that was closed.

    A second Ctrl+C ends at once. Under ``nohup`` a closed terminal means nothing.
    """

    def __init__(self) -> None:
        self.asked = False
        self.at_once = False
        """Whether to be interrupted right where it is, since nothing more needs saving."""

    def __call__(self) -> bool:
        """Whether to stop."""
        return self.asked

    def listening(self) -> contextlib.AbstractContextManager[None]:
        """Take the signals meanwhile."""
        return taking_signals(self._take)

    def _take(self, number: int, frame: FrameType | None) -> None:
        if self.at_once or (self.asked and number == signal.SIGINT):
            raise KeyboardInterrupt
        self.asked = True


# --- the run


def number_in(state: Mapping[str, Any], name: str) -> int:
    """A count that a run's state knows, 0 where it does not."""
    value = state.get(name)
    return value if isinstance(value, int) else 0


class Training:
    """One run in one process; the first of several processes writes the run's folder."""

    def __init__(
        self, given: argparse.Namespace, target: Run, config: Config, world: World, stop: Stop
    ) -> None:
        self.given, self.target, self.config = given, target, config
        self.world, self.stop = world, stop
        self.first = world.rank == 0
        self.began = time.monotonic()
        self.log = start_log(target.log_file if self.first else None, quiet=not self.first)
        self.before = target.state()
        self.started = False
        """Whether the training itself has begun."""
        self.trainer: Trainer | None = None
        self.reported = False
        self.tells_at = 0.0

    def whole(self) -> int:
        """Prepare, train and report; the exit status."""
        code = FAILED
        try:
            code = self._answered()
        finally:
            self._end_trackers(failed=code != DONE)
        return code

    def _answered(self) -> int:
        """The same, with whatever is raised turned into an exit status."""
        try:
            return self._whole()
        except CacheStoppedError:
            self._say("stopped", "Stopped before the first step. Continue with --resume.")
            return DONE
        except KeyboardInterrupt:
            self._fail("Interrupted twice: ended without writing a final checkpoint.")
            return INTERRUPTED
        except Exception as error:
            self._fail(sentence(error))
            if not is_expected(error):
                traceback.print_exc()
                return FAILED
            complain(error)
            return FAILED if self.started else WRONG

    def _whole(self) -> int:
        forget()
        # The first decides for all: the configuration may have to be mended.
        with heard(self._tell) if self.first else contextlib.nullcontext():
            first_alone(self._begin, self.world)
            self.config = broadcast_object(self.config, self.world)
            trainer = self.trainer = self._prepared()
        if self.first:
            self.target.write_state("running")  # it no longer prepares
        self.started = True
        try:
            outcome = trainer.fit()
        finally:
            trainer.close()
        if not self.first:
            return DONE
        unlearnt = trainer.unlearnt()
        steps = {"step": trainer.step, "steps": trainer.total, "unlearnt": unlearnt}
        training = trainer.prepared.splits.training
        if count := max(left_out(training), number_in(self.before, "left_out")):
            steps["left_out"] = count
        if unlearnt:
            self.log.warning("%s", unlearnt)
        at = f"step {trainer.step} of {trainer.total}"
        if outcome == "stopped":
            self._say("stopped", f"Stopped at {at}. Continue with --resume.", **steps)
            return DONE
        if self._wants_report(trainer) and not self._report(steps):
            self._say("stopped", "Stopped before the report. Make it with --resume.", **steps)
            return DONE
        seconds = trainer.records.before + time.monotonic() - self.began
        self._say(
            "finished",
            f"Finished in {in_words(seconds)}: {self.target.folder}",
            **steps,
            seconds=seconds,
        )
        without = trainer.prepared.splits.no_evaluation
        if without and not self.given.no_report:
            self.log.info("There is no report: %s.", without)
        return DONE

    def _begin(self) -> None:
        """Look at the data and begin the run's folder, with the configuration that it has."""
        self.target.clear()
        data = self.given.data
        known: dict[str, Any] = {"data": None if data is None else str(data.resolve())}
        if not (self.given.resume and self.before):
            known |= {"step": 0, "steps": 0, "unlearnt": ""}
        self.target.write_state("running", **known)
        named = parse_changes(self.given.set)
        if self.given.resume:
            self.config = self._mended(named)
        refuse_bad_data(self.config, data, report=not self.given.no_report, named=named)
        self.target.write_config(self.config)
        add_tags(self.target.folder, self.given.tag)
        if not self.given.resume:
            write_text(self.target.folder / "command.txt", command_line(self.given) + "\n")

    def _mended(self, changes: Mapping[str, str]) -> Config:
        """The configuration that the run was trained with, and what is to be said of it."""
        latest = newest(self.target, lambda _: None)
        trained_with = None if latest is None else latest[1].config
        found = mended(self.target, trained_with, changes)
        for told in found.told:
            self.log.warning("%s", told)
        backbone = located(found.config.backbone, self.target.folder)
        return replace(found.config, backbone=backbone)

    def _tell(self, progress: Progress, **facts: Any) -> None:
        """Write down how far what comes before the first step, or after the last, is, now and
        then; ``facts``: of the run's state."""
        now = time.monotonic()
        if now < self.tells_at:
            return
        self.tells_at = now + TELLING_SECONDS
        found = {"title": progress.title, "done": progress.done, "of": progress.total}
        found |= {"unit": progress.unit, "left": progress.left}
        with contextlib.suppress(OSError):  # what cannot be told is done all the same
            self.target.write_state("running", stage=found, **facts)

    def _prepared(self) -> Trainer:
        config, latest = self.config, None
        if self.given.resume:
            latest = newest(self.target, self.log.warning)
        training = latest[1].training if latest is not None else None
        prepared = prepare(
            config,
            self.given.data,
            world=self.world,
            cache_root=self.given.cache,
            stopped=self.stop,
            precut=None if training is None else training["precut"],
        )
        trainer = Trainer(config, prepared, self.target, world=self.world, stopped=self.stop)
        if latest is not None:
            file, checkpoint = latest
            trainer.restore(checkpoint, file.name)
            self.log.info("Continuing from %s: step %d of %d.", file, trainer.step, trainer.total)
        if config.rule in ("ans", "ppap") and config.psi0 >= config.phi0:
            # Ψ only rises, and Φ only falls.
            self.log.info(
                "Note: psi0 is not below phi0: there is no ambiguous zone, and everything below "
                "phi is negative."
            )
        for name in parse_changes(self.given.set):
            if not reads(config.rule, name):
                self.log.info("Note: rule=%s does not use %s.", config.rule, name)
        self.log.info(
            "%s images, %s with a batch of %d, on %s.",
            f"{len(prepared.source):,}",
            "1 step" if trainer.total == 1 else f"{trainer.total:,} steps",
            config.batch,
            self.world.device,
        )
        return trainer

    def _wants_report(self, trainer: Trainer) -> bool:
        return not self.given.no_report and trainer.prepared.splits.evaluation is not None

    def _report(self, steps: dict[str, Any]) -> bool:
        """Evaluate the reported checkpoint; False when told to stop meanwhile."""
        if self.stop():
            return False
        self.target.write_state("running", **steps, doing="report")
        # From here on a signal interrupts: there is nothing to save.
        self.stop.at_once = True
        try:
            with heard(partial(self._tell, **steps, doing="report")):
                code = report(wanted_report(self.given, self.target, self.config))
        except KeyboardInterrupt:
            code = INTERRUPTED
        finally:
            self.stop.at_once = False
        if code not in (DONE, INTERRUPTED):
            raise TrainingError(
                "The report failed; the checkpoints are intact. --resume tries again."
            )
        self.reported = code == DONE
        return self.reported

    def _end_trackers(self, *, failed: bool) -> None:
        """Tell trackers how it ended; they may take a moment."""
        if self.trainer is None:
            return
        found = read_json(self.target.folder / "report.json") if self.reported else {}
        self.trainer.records.end_trackers(self.trainer.step, scores_of(found), failed=failed)

    def _say(self, state: Any, text: str, **facts: Any) -> None:
        if self.first:
            self.target.write_state(state, **facts)
            self.log.info("%s", text)

    def _fail(self, reason: str) -> None:
        """Leave word of a failure in the run's folder, and for whoever leads several processes."""
        leave_word(reason)
        if not self.first:
            return
        with contextlib.suppress(OSError):
            if self.started or not self.given.resume:
                self.target.write_state("failed", reason=reason)
            else:  # what was asked for does not fit the run; the run is as it was
                self.target.write_last_word(json.dumps(self.before) + "\n")
            if not self.started and not self.given.resume:
                # It never ran: the folder may be used again, with other settings.
                self.target.config_file.unlink(missing_ok=True)
            with self.target.log_file.open("a", encoding="utf-8") as log:
                log.write(f"failed: {reason}\n")
