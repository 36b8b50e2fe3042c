"""The stages of training that Explore can show: a run's kept checkpoints, and its own images."""

from __future__ import annotations

import contextlib
import threading
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ppap.backbones import BackboneError
from ppap.backbones.files import read_checkpoint
from ppap.evaluation.files import JSON
from ppap.places import ROOT
from ppap.settings import RANGES, Preset, SettingError, excerpt, read_settings
from ppap.studio.checkpoints import Checkpoints
from ppap.studio.near import close, did_you_mean
from ppap.studio.requests import RequestError
from ppap.studio.sources import Sources, is_folder
from trainers.runs.folder import BEST, LAST, REPORTED, Run, RunError
from trainers.runs.standing import Standing, standing
from trainers.runs.values import number, read_json, whole

# Steps of files that no name tells: each is read once, as long as it stays what it is.
MOST_KNOWN = 512
SAMPLES = "samples"
# Images of a run that are opened at once.
IMAGES = 8
NAMES = {"reported": REPORTED, "best": BEST, "last": LAST}


class Stage(NamedTuple):
    """A checkpoint that a run has kept."""

    step: int
    """Optimizer steps, from 1."""
    file: Path
    names: tuple[str, ...]
    """What it is besides: reported, best, last."""


class Stages:
    """Finds the kept checkpoints of runs. Safe for many threads.

    Args:
        checkpoints: says which runs whoever asks may see.
    """

    def __init__(self, checkpoints: Checkpoints) -> None:
        self.checkpoints = checkpoints
        self._steps: OrderedDict[tuple[Path, int, int, int], int | None] = OrderedDict()
        self._lock = threading.Lock()

    def run(self, name: object) -> Run:
        """A run by its name; RequestError where there is none, or it has no checkpoint."""
        runs = {run.folder.name: run for run in self.checkpoints.found()}
        if isinstance(name, str) and name in runs:
            return runs[name]
        offers = close(name, list(runs)) if isinstance(name, str) else []
        raise RequestError(
            f"There is no run called {excerpt(name)} with a checkpoint.{did_you_mean(offers)}",
            field="run",
            offers=offers,
        )

    def kept(self, run: Run) -> list[Stage]:
        """The checkpoints of a run, by step; the earliest first."""
        found: dict[int, Path] = {}
        for file in run.steps():
            text = file.stem.removeprefix("step-")
            if text.isascii() and text.isdigit():
                found[int(text)] = file
        names: dict[int, list[str]] = {}
        for name, link in NAMES.items():
            step = self._step_of(run.checkpoints / link, found)
            if step is not None:
                found.setdefault(step, run.checkpoints / link)
                names.setdefault(step, []).append(name)
        return [
            Stage(step, file, tuple(names.get(step, ()))) for step, file in sorted(found.items())
        ]

    def choose(self, name: object, at: int) -> tuple[Run, Stage]:
        """A run and its checkpoint at a step, 0 for the newest.

        RequestError where it has none; names those that there are.
        """
        run = self.run(name)
        kept = self.kept(run)
        if not kept:
            raise RequestError(f"{run.folder.name} has no checkpoint yet.", field="run")
        for stage in [kept[-1]] if at == 0 else kept:
            if at in (0, stage.step):
                return run, stage
        steps = ", ".join(f"{stage.step:,}" for stage in kept[:20])
        raise RequestError(
            f"{run.folder.name} has no checkpoint at step {at:,}; it has checkpoints at {steps}.",
            field="at",
        )

    def _step_of(self, file: Path, numbered: Mapping[int, Path]) -> int | None:
        """The step of ``last.pt`` and its like, most of which are links to a numbered file."""
        with contextlib.suppress(OSError):
            mark = file.stat()
            for step, other in numbered.items():
                if other.stat().st_ino == mark.st_ino and other.samefile(file):
                    return step
            key = (file, mark.st_mtime_ns, mark.st_ino, mark.st_size)
            with self._lock:
                if key in self._steps:
                    return self._steps[key]
            found = read_step(file)
            with self._lock:
                self._steps[key] = found
                while len(self._steps) > MOST_KNOWN:
                    self._steps.popitem(last=False)
            return found
        return None

    # --- for pages

    def listed(self) -> list[dict[str, Any]]:
        """The runs to choose from, the newest checkpoint first."""
        return [
            {
                "run": run.folder.name,
                "state": now.state,
                "step": now.step,
                "data": "sample photos" if now.dataset == SAMPLES else now.data or "",
                "rule": now.rule,
                "miou": score_of(run),
            }
            for run, now in ((run, standing(run.folder)) for run in self.checkpoints.found())
        ]

    def about(self, run: Run) -> dict[str, Any]:
        """The steps that can be chosen, how many there were, and how to keep more."""
        now = standing(run.folder)
        kept = self.kept(run)
        return {
            "run": run.folder.name,
            "steps": [{"step": stage.step, "names": list(stage.names)} for stage in kept],
            "total": max([now.steps, *(stage.step for stage in kept)]),
            "keep": setting_of(run, "keep"),
        }


def read_step(file: Path) -> int | None:
    """The step that a checkpoint says it is of; None where it says none."""
    try:
        return whole(read_checkpoint(file).get("step"))
    except BackboneError:
        return None


def score_of(run: Run) -> float | None:
    """Mean IoU of the clusters in a run's report, in per cent; None where there is none."""
    cluster = read_json(run.folder / JSON).get("cluster")
    return number(cluster.get("miou")) if isinstance(cluster, dict) else None


def setting_of(run: Run, name: str) -> Any:
    """A setting of a run; None where its configuration cannot be read."""
    with contextlib.suppress(RunError, SettingError):
        return getattr(run.config(), name)
    return None


def training_of(config: Mapping[str, Any], title: str) -> Preset | None:
    """Φ⁰, Ψ⁰, σ and T of a configuration; None where it does not say them all."""
    try:
        settings = read_settings({name: config.get(name) for name in RANGES})
    except SettingError:
        return None
    return Preset("training", title, settings)


def run_images(run: Run, sources: Sources) -> dict[str, Any]:
    """The part of a request for a batch that names a run's own images: those of its evaluation.

    RequestError where nobody knows any more where they are, or they are gone.
    """
    name = run.folder.name
    now: Standing = standing(run.folder)
    size, split = setting_of(run, "eval_size"), setting_of(run, "eval_split")
    if size is None:
        raise RequestError(f"The settings of {name} cannot be read, so its images are not known.")
    if now.dataset == SAMPLES:
        return {"source": SAMPLES, "size": size}
    if not now.data:
        raise RequestError(
            f"{name} does not record where its images are. Load a folder, then choose the run "
            "under Features."
        )
    return images_in(str(ROOT / now.data), now.dataset, split, size, name, sources)


def images_in(
    folder: str, kind: str, split: str, size: int, title: str, sources: Sources
) -> dict[str, Any]:
    """The part of a request for a batch that names images of a data set.

    RequestError where it is gone, may not be shown here, or lacks the split.
    """
    if sources.any_folder and not is_folder(Path(folder)):
        raise RequestError(
            f"The images of {title} are no longer at {folder}. Load another folder, then choose "
            "the run under Features."
        )
    with sources.links():
        sources.check_split(sources.folder(folder), split, kind or None)
    return {
        "source": "folder",
        "folder": folder,
        "kind": kind,
        "split": split,
        "size": size,
        "count": IMAGES,
        "seed": 0,
    }
