"""Checkpoints that pages may choose: those of the runs, and files of this server."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ppap.checkpoints.opening import LoadedSegmenter, load_segmenter
from ppap.evaluation.crf import CrfPool, why_unavailable
from ppap.settings import excerpt
from ppap.studio.access.owners import EVERYBODYS, Ownership, owner_now
from ppap.studio.near import close, did_you_mean
from ppap.studio.requests import RequestError
from ppap.studio.sources import Progress, Sources
from trainers.launching.runner import Runner
from trainers.runs.folder import LAST, REPORTED, Run
from trainers.runs.standing import standing
from trainers.runs.values import whole

# A segmenter holds its backbone, too.
MAX_LOADED = 2
WHICH = {"reported": REPORTED, "last": LAST}


class Chosen(NamedTuple):
    """What a page chose."""

    file: Path
    title: str
    run: Run | None
    """The run it belongs to; None for a file."""


class Checkpoints:
    """Finds checkpoints and keeps those used last in memory. Safe for many threads.

    Args:
        runs: the folder of all runs; it need not exist.
        sources: says which files pages may name.
        ownership: says who may see which runs.
    """

    def __init__(self, runs: Path, sources: Sources, ownership: Ownership = EVERYBODYS) -> None:
        self.runs, self.sources, self.ownership = runs, sources, ownership
        self._loaded: OrderedDict[tuple[Path, int, int, int], LoadedSegmenter] = OrderedDict()
        self._lock = threading.Lock()

    def runner(self) -> Runner:
        """All that can be done to the runs, by whoever asks."""
        return Runner(
            self.runs,
            owner=owner_now,
            sees=self.ownership.sees_run,
            holds=self.ownership.holds_back,
        )

    def found(self) -> list[Run]:
        """The runs that have a checkpoint, the newest checkpoint first."""
        aged: list[tuple[float, Run]] = []
        try:
            entries = list(os.scandir(self.runs))
        except OSError:
            entries = []
        for entry in entries:
            # Links may lead anywhere.
            if entry.name.startswith(".") or not entry.is_dir(follow_symlinks=False):
                continue
            run = Run(Path(entry.path))
            if not self.ownership.sees_run(run.folder):
                continue
            times = [age(run.checkpoints / name) for name in WHICH.values()]
            if any(times):
                aged.append((max(times), run))
        return [run for _, run in sorted(aged, key=lambda pair: (-pair[0], pair[1].folder.name))]

    def listed(self) -> list[dict[str, Any]]:
        """For the page's list: run, which of its checkpoints there are, and what it is about."""
        listed = []
        for run in self.found():
            state = run.state()
            now = standing(run.folder)
            which = [key for key, name in WHICH.items() if (run.checkpoints / name).is_file()]
            listed.append(
                {
                    "run": run.folder.name,
                    "which": which,
                    "state": now.state,
                    "step": whole(state.get("step")),
                    "data": now.data or "",
                    "unlearnt": now.unlearnt,
                }
            )
        return listed

    def choose(self, raw: Any) -> Chosen:
        """What a page names: ``{"run": …, "which": …}`` or ``{"file": …}``.

        Raises:
            RequestError: there is no such checkpoint, or the page may not see it.
        """
        if not isinstance(raw, Mapping):
            raise RequestError("Choose a checkpoint.")
        name = raw.get("run")
        if not name:
            file = raw.get("file")
            if not isinstance(file, str) or not file.strip():
                raise RequestError("Choose a run, or enter a checkpoint file on this server.")
            path = self.sources.file(file.strip())
            return Chosen(path, path.name, None)
        for run in self.found():
            if run.folder.name == name:
                return self._of(run, raw.get("which") or "reported")
        names = [run.folder.name for run in self.found()]
        offers = close(name, names) if isinstance(name, str) else []
        raise RequestError(
            f"There is no run called {excerpt(name)} with a checkpoint.{did_you_mean(offers)}",
            offers=offers,
        )

    @staticmethod
    def _of(run: Run, which: object) -> Chosen:
        if not isinstance(which, str) or which not in WHICH:
            raise RequestError(f"Choose the checkpoint {' or '.join(WHICH)}.")
        for key in dict.fromkeys((which, *WHICH)):  # the other one, while there is no such
            file = run.checkpoints / WHICH[key]
            if file.is_file():
                return Chosen(file, f"{run.folder.name} ({key})", run)
        raise RequestError(f"{run.folder.name} has no checkpoint yet.")

    def load(self, file: Path, progress: Progress) -> LoadedSegmenter:
        """A checkpoint, ready to use; BackboneError where it cannot be."""
        # Training writes the same file again and again; some disks keep whole seconds only.
        found = file.stat()
        key = (file, found.st_mtime_ns, found.st_ino, found.st_size)
        with self._lock:
            if key not in self._loaded:
                progress("Loading the checkpoint", 0)
                self._loaded[key] = load_segmenter(file, progress=progress)
            self._loaded.move_to_end(key)
            while len(self._loaded) > MAX_LOADED:
                self._loaded.popitem(last=False)
            return self._loaded[key]


def age(file: Path) -> float:
    """When a file was written; 0 where there is none."""
    try:
        return file.stat().st_mtime if file.is_file() else 0.0
    except OSError:
        return 0.0


class CrfProcesses:
    """The CRF's processes, started when first needed."""

    def __init__(self) -> None:
        self._pool: CrfPool | None = None
        self._lock = threading.Lock()

    @staticmethod
    def why_not() -> str | None:
        """Why there is no CRF; None where there is."""
        return why_unavailable()

    def pool(self) -> CrfPool:
        """The processes; RequestError where there is no CRF."""
        reason = why_unavailable()
        if reason:
            raise RequestError(reason)
        with self._lock:
            if self._pool is None:
                self._pool = CrfPool()
            return self._pool

    def renew(self) -> None:
        """After one of them ended: others next time."""
        with self._lock:
            if self._pool is not None:
                self._pool.close()
                self._pool = None

    close = renew
