"""Train from a recipe: ``python -m trainers.train RECIPE --data DIR --out runs/NAME``."""

from __future__ import annotations

import argparse
import contextlib
import os
import shlex
import signal
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType

from ppap.backbones import BackboneError
from ppap.checkpoint import load_checkpoint
from ppap.data import DataError, preflight
from ppap.settings import SettingError
from trainers import evaluate
from trainers.cache import CacheError, CacheStoppedError
from trainers.config import KIND, Config, limits, parse_changes
from trainers.distributed import World, setup
from trainers.prepare import prepare
from trainers.progress import in_words
from trainers.recipes import find, names
from trainers.runs import Run, RunError, locked, start_log, write_text
from trainers.trainer import Trainer, TrainingError

# What may change between a run's beginning and its continuation: nothing of what it computes.
CHANGEABLE = (
    "cache",
    "cache_gb",
    "checkpoint_every",
    "crf",
    "device",
    "keep",
    "log_every",
    "tensorboard",
    "workers",
)
EXPECTED = (
    BackboneError,
    CacheError,
    DataError,
    RunError,
    SettingError,
    TrainingError,
)

EXAMPLES = """
examples:
  python -m trainers.train camvid --data ~/CamVid --out runs/camvid
  python -m trainers.train camvid --data ~/CamVid --out runs/tps --set rule=tps seed=1
  python -m trainers.train samples --out runs/samples
  python -m trainers.train camvid --data ~/CamVid --out runs/camvid --resume
  torchrun --nproc-per-node 4 -m trainers.train coco_vits16 --data ~/COCO-Stuff --out runs/coco

Ctrl+C or SIGTERM writes a checkpoint and ends; --resume goes on from it exactly.
"""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog="python -m trainers.train",
        description="Train a segmenter without labels (they only teach the linear probe).",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument(
        "recipe", nargs="?", help="which settings to begin with; --list shows all, and --show NAME"
    )
    made.add_argument("--data", metavar="DIR", type=Path, help="the data set's folder")
    made.add_argument("--out", metavar="RUN", type=Path, help="the run's folder, such as runs/NAME")
    made.add_argument(
        "--set",
        metavar="KEY=VALUE",
        nargs="+",
        action="extend",
        default=[],
        help="change settings of the recipe; --settings shows all",
    )
    made.add_argument(
        "--resume", action="store_true", help="go on from the last checkpoint in RUN, exactly"
    )
    made.add_argument(
        "--cache",
        metavar="DIR",
        type=Path,
        default=default_cache(),
        help="where cached features are kept (%(default)s)",
    )
    made.add_argument("--no-report", action="store_true", help="do not evaluate at the end")
    made.add_argument("--list", action="store_true", help="list the recipes and exit")
    made.add_argument("--show", metavar="NAME", help="show a recipe and exit")
    made.add_argument("--settings", action="store_true", help="list all settings and exit")
    return made


def default_cache() -> Path:
    """PPAP_CACHE, or a folder where programs keep what they can make again."""
    if os.environ.get("PPAP_CACHE"):
        return Path(os.environ["PPAP_CACHE"])
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "ppap-studio" / "features"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit code: 0 done or stopped on request, 1 failed, 2 wrong arguments."""
    given = parser().parse_args(arguments)
    if given.list or given.show or given.settings:
        return show(given)
    try:
        run, config = read(given)
    except EXPECTED as error:
        return complain(error)
    stop = Stop()
    with stop.listening(), setup(config.device) as world:
        return train(given, run, config, world, stop)


def complain(error: Exception) -> int:
    """One sentence on stderr, and the exit code."""
    sys.stderr.write(f"{error}\n")
    return 2


def show(given: argparse.Namespace) -> int:
    """What --list, --show and --settings ask for."""
    if given.list:
        for name in names():
            print(f"{name:24} {find(name).title}")
    if given.show:
        try:
            recipe = find(given.show)
        except SettingError as error:
            return complain(error)
        print(recipe.text)
    if given.settings:
        defaults = Config()
        for name, kind in KIND.items():
            allowed = limits(name)
            default = getattr(defaults, name)
            print(f"{name:17} {allowed.meaning}\n{'':17} {allowed.sentence(kind)}; {default!r}")
    return 0


def read(given: argparse.Namespace) -> tuple[Run, Config]:
    """The run's folder and its configuration.

    Raises:
        SettingError, RunError, DataError: something on the command line does not fit.
    """
    changes = parse_changes(given.set)
    if given.out is None:
        raise SettingError("out", "Say where the run shall be kept: --out runs/NAME.")
    run = Run(given.out)
    if given.resume:
        config = _resumed(given, run, changes)
        known = run.state().get("data")
        if given.data is None and known:
            given.data = Path(known)
        return run, config
    if given.recipe is None:
        raise SettingError("recipe", f"Name a recipe: {', '.join(names())}.")
    if run.exists():
        raise RunError(
            f"{run.folder} holds a run already. Go on with it by --resume, or choose another --out."
        )
    if given.out.exists() and not given.out.is_dir():
        raise RunError(f"{given.out} is a file, not a folder.")
    config = find(given.recipe).config.with_(changes)
    if given.data is None and config.dataset != "samples":
        raise SettingError("data", "Say where the data set is: --data DIR.")
    return run, config


def _resumed(given: argparse.Namespace, run: Run, changes: dict[str, str]) -> Config:
    config = run.config()
    if given.recipe is not None and given.recipe != config.recipe:
        raise RunError(f"{run.folder} is a run of the recipe {config.recipe}, not {given.recipe}.")
    for name in changes:
        if name not in CHANGEABLE:
            raise SettingError(
                name,
                f"{name} cannot change in the middle of a run; only: {', '.join(CHANGEABLE)}. "
                "Start a new run instead.",
            )
    return config.with_(changes)


class Stop:
    """Whether somebody asked to stop: SIGTERM or Ctrl+C. A second Ctrl+C ends at once."""

    def __init__(self) -> None:
        self.asked = False
        self.at_once = False
        """Whether to be interrupted right where it is, since nothing more needs saving."""

    def __call__(self) -> bool:
        """Whether to stop."""
        return self.asked

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Take the signals meanwhile."""
        before = {s: signal.signal(s, self._take) for s in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _take(self, number: int, frame: FrameType | None) -> None:
        if self.at_once or (self.asked and number == signal.SIGINT):
            raise KeyboardInterrupt
        self.asked = True


def train(given: argparse.Namespace, run: Run, config: Config, world: World, stop: Stop) -> int:
    """Prepare, train and report, in one of several processes or alone; the exit code."""
    first = world.rank == 0
    try:
        with locked(run) if first else contextlib.nullcontext():
            log = start_log(run.log_file if first else None, quiet=not first)
            if first:
                refuse_bad_data(config, given.data)
                run.write_config(config)
                if not given.resume:
                    write_text(run.folder / "command.txt", command_line(given) + "\n")
                run.write_state("running", step=0, steps=0, data=data_of(given))
            return _train(given, run, config, world, stop)
    except CacheStoppedError:
        if first:
            run.write_state("stopped", step=0, steps=0, data=data_of(given))
            log.info("Stopped before the first step. Go on with --resume.")
        return 0
    except EXPECTED as error:
        if first:
            fail(run, error)
        return complain(error)
    except KeyboardInterrupt:
        if first:
            fail(run, RunError("Interrupted twice: ended without a last checkpoint."))
        return 130
    except Exception as error:
        if first:
            fail(run, error)
        traceback.print_exc()
        return 1


def _train(given: argparse.Namespace, run: Run, config: Config, world: World, stop: Stop) -> int:
    began = time.monotonic()
    log = start_log(run.log_file if world.rank == 0 else None, quiet=world.rank > 0)
    latest = run.latest() if given.resume else None
    prepared = prepare(config, given.data, world=world, cache_root=given.cache, stopped=stop)
    trainer = Trainer(config, prepared, run, world=world, stopped=stop)
    if latest is not None:
        trainer.restore(load_checkpoint(latest), latest.name)
        log.info("Going on from %s: step %d of %d.", latest, trainer.step, trainer.total)
    log.info(
        "%s images, %d steps of %d, on %s.",
        f"{len(prepared.source):,}",
        trainer.total,
        config.batch,
        world.device,
    )
    outcome = trainer.fit()
    if world.rank:
        return 0
    facts = {"step": trainer.step, "steps": trainer.total, "data": data_of(given)}
    if outcome == "stopped":
        run.write_state("stopped", **facts)
        log.info("stopped at step %d of %d. Go on with --resume.", trainer.step, trainer.total)
        return 0
    if not given.no_report and prepared.splits.evaluation is not None:
        run.write_state("running", **facts, doing="report")
        stop.at_once = True
        code = evaluate.main(report_arguments(given, run, config))
        if code == evaluate.INTERRUPTED:
            run.write_state("stopped", **facts)
            log.info("stopped during the report. Make it with --resume.")
            return 0
        if code:
            raise TrainingError("The report failed; checkpoints are fine. --resume tries again.")
    run.write_state("finished", **facts, seconds=trainer.seconds + time.monotonic() - began)
    log.info("finished in %s: %s", in_words(time.monotonic() - began), run.folder)
    return 0


def report_arguments(given: argparse.Namespace, run: Run, config: Config) -> list[str]:
    """What the evaluation at the end of a run is asked for."""
    words = [str(run.folder), "--split", config.eval_split, "--device", config.device]
    words += ["--data", str(given.data)] if given.data else []
    words += ["--kind", config.dataset] if config.dataset else []
    words += ["--crf"] if config.crf else []
    words += ["--workers", str(config.workers)]
    return [
        *words,
        "--json",
        str(run.folder / "report.json"),
        "--pictures",
        str(run.folder / "report"),
    ]


def refuse_bad_data(config: Config, folder: Path | None) -> None:
    """Look for missing and broken files before anything runs.

    Raises:
        DataError: there are some; the first of them, the others are printed.
    """
    kind = config.dataset or None
    if kind == "samples":
        return
    findings = preflight(folder, kind, split=config.train_split)
    for finding in findings:
        if finding.severity != "note":
            sys.stderr.write(f"{finding.severity}: {finding.file} {finding.text}\n")
    errors = [finding for finding in findings if finding.severity == "error"]
    if errors:
        raise DataError(errors[0].file, errors[0].text)


def fail(run: Run, error: Exception) -> None:
    """Leave word of a failure in the run's folder, if it is one."""
    if not run.exists():
        return
    reason = str(error) or type(error).__name__
    with contextlib.suppress(OSError):
        run.write_state("failed", **{**_kept(run), "reason": reason})
        with run.log_file.open("a", encoding="utf-8") as log:
            log.write(f"failed: {reason}\n")


def _kept(run: Run) -> dict[str, object]:
    known = run.state()
    return {name: known[name] for name in ("step", "steps", "data") if name in known}


def data_of(given: argparse.Namespace) -> str | None:
    """The data set's folder, to be found again."""
    return None if given.data is None else str(given.data.resolve())


def command_line(given: argparse.Namespace) -> str:
    """What would begin the same run."""
    words = ["python", "-m", "trainers.train"]
    words += [given.recipe] if given.recipe else []
    words += ["--data", str(given.data)] if given.data else []
    words += ["--out", str(given.out)]
    words += ["--set", *given.set] if given.set else []
    return shlex.join(words)


if __name__ == "__main__":
    sys.exit(main())
