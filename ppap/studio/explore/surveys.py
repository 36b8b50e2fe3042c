"""Every patch of a batch as the anchor, in the background: coarse at once, then finer.

One survey at a time, in small parts, each of which lets clicks go first. It ends early when nobody
asks for it any more: the settings were moved on, or the page was closed.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import NamedTuple

import numpy as np
import torch

from ppap.batches import Batch
from ppap.settings import Settings
from ppap.studio.access.shares import Shares, Turns
from ppap.studio.access.visitor import current
from ppap.studio.explore.device import Device
from ppap.studio.explore.lattice import finest, lattice, len_of, nearest
from ppap.studio.requests import RequestError
from ppap.studio.store import Held
from ppap.study.every_anchor import AnchorTable, anchor_parts

# Multiplications and additions of one survey: all of 13,000 patches with 624 dimensions at T = 3,
# some ten seconds on two cores. Larger batches are sampled.
MOST_WORK = 2 * 13_000**2 * 624 * 7
# Of one part, in which a click has to wait: some 30 ms on two cores. Fewer anchors at once would
# cost more time than they save.
PART_WORK, LEAST_AT_ONCE = 6 * 10**9, 16
# The first pass takes every fourth row and column, the next every second.
COARSER = (4, 2, 1)
# A page that watches asks far more often.
FORGOTTEN_SECONDS = 15.0
# Surveys that are under way or wait, of all pages together; finished ones that are kept, of one
# user or page, and their bytes together.
MOST_UNDER_WAY = 16
MOST_KEPT, MOST_BYTES = 8, 256 * 2**20
COLUMNS = tuple(name for name in AnchorTable._fields if name != "anchors")


class Shot(NamedTuple):
    """A survey as far as it is."""

    values: dict[str, np.ndarray]
    """float32 ``(N,)`` by the columns of AnchorTable; NaN where there is none."""
    seen: np.ndarray
    """bool ``(N,)``: the patch was an anchor."""
    fill: np.ndarray
    """int64 ``(N,)``: the patch whose values stand for it: itself where it was seen."""


class Survey:
    """One walk over the anchors of a batch, filled in by the worker's thread."""

    def __init__(self, batch: Batch, settings: Settings) -> None:
        self.settings = settings
        self.patches = len(batch.features)
        self.grids = grids_of(batch)
        work = work_of(batch, settings)
        self.stride = finest(self.grids, max(1, MOST_WORK // work))
        self.state = "waiting"
        self.error: Exception | None = None
        self.version = 0
        self.done = 0
        self.level = 0
        """The stride of the last pass that is complete; 0: none."""
        self._lock = threading.Lock()
        self._values = {name: np.full(self.patches, np.nan, np.float32) for name in COLUMNS}
        self._seen = np.zeros(self.patches, bool)
        self._watching: dict[str, float] = {}

    @property
    def planned(self) -> int:
        """How many anchors it takes in all."""
        return len_of(self.grids, self.stride)

    @property
    def bytes(self) -> int:
        """Memory that it takes up."""
        return sum(values.nbytes for values in self._values.values()) + self._seen.nbytes

    @property
    def finished(self) -> bool:
        """Whether nothing more will come."""
        return self.state in ("done", "failed", "cancelled")

    def watch(self, who: str) -> None:
        """Somebody wants it."""
        with self._lock:
            self._watching[who] = time.monotonic()

    def leave(self, who: str) -> None:
        """Somebody wants it no longer."""
        with self._lock:
            self._watching.pop(who, None)

    @property
    def wanted(self) -> bool:
        """Whether anybody asked lately."""
        with self._lock:
            now = time.monotonic()
            return any(now - then < FORGOTTEN_SECONDS for then in self._watching.values())

    def shot(self) -> Shot:
        """What is known now."""
        with self._lock:
            values = {name: one.copy() for name, one in self._values.items()}
            seen, level = self._seen.copy(), self.level
        fill = np.arange(self.patches)
        if level > 1:
            fill = np.where(seen, fill, nearest(self.grids, level))
        return Shot(values, seen, fill)

    def take(self, part: AnchorTable) -> None:
        """Fill in the rows of some anchors."""
        rows = part.anchors.cpu().numpy()
        with self._lock:
            for name in COLUMNS:
                self._values[name][rows] = getattr(part, name).cpu().numpy()
            self._seen[rows] = True
            self.done += len(rows)

    def complete(self, level: int) -> None:
        """A pass is done."""
        with self._lock:
            self.level = level
            self.version += 1

    def passes(self) -> Iterator[tuple[int, np.ndarray]]:
        """Strides, and the anchors that each adds."""
        before = np.empty(0, np.int64)
        for times in COARSER:
            now = lattice(self.grids, self.stride * times)
            yield self.stride * times, np.setdiff1d(now, before, assume_unique=True)
            before = now


def grids_of(batch: Batch) -> list[tuple[int, int]]:
    """Rows and columns of each image."""
    return [(grid.rows, grid.columns) for grid in batch.grids]


def work_of(batch: Batch, settings: Settings) -> int:
    """Multiplications and additions for one anchor: cosines at T+1 steps, and T means."""
    return 2 * batch.features.numel() * (2 * settings.steps + 1)


def walk(survey: Survey, batch: Batch, device: Device, stopped: Callable[[], bool]) -> bool:
    """Do a survey part by part; False where it was stopped."""
    at_once = max(LEAST_AT_ONCE, PART_WORK // work_of(batch, survey.settings))
    for stride, anchors in survey.passes():
        parts = anchor_parts(
            batch.features,
            survey.settings,
            labels=batch.labels,
            anchors=torch.from_numpy(anchors),
            at_once=at_once,
        )
        # An image of one row or column may have nothing more to add.
        while len(anchors):
            if stopped():
                return False
            with device.behind():
                part = next(parts, None)
            if part is None:
                break
            survey.take(part)
        survey.complete(stride)
    return True


class Surveys:
    """Surveys of all pages, one under way at a time.

    Args:
        device: whose turn it is to compute.
    """

    def __init__(self, device: Device) -> None:
        self.device = device
        self._turns = Turns("surveys")
        self._kept: Shares[Survey] = Shares(MOST_KEPT, MOST_BYTES, lambda survey: survey.bytes)
        self._under_way: dict[str, Survey] = {}
        self._failed: dict[str, Survey] = {}
        self._lock = threading.Lock()
        self._closing = threading.Event()

    def watched(self, held: Held, settings: Settings, who: str) -> Survey:
        """The survey of a batch under these settings, begun if need be; the only one that ``who``
        watches from now on."""
        key = key_of(held, settings)
        with self._lock:
            survey = self._find(key)
            for other in self._under_way.values():
                if other is not survey:
                    other.leave(who)
            if survey is None:
                survey = self._begin(key, held.batch, settings)
            survey.watch(who)
        return survey

    def known(self, held: Held, settings: Settings) -> Survey | None:
        """The survey of a batch under these settings as far as it is; None where there is none."""
        with self._lock:
            return self._find(key_of(held, settings))

    def whole(self, held: Held, settings: Settings, stride: int = 0) -> Survey:
        """A survey from beginning to end, for a script; ``stride``: coarser than it need be.

        Raises:
            RequestError: it was given up.
        """
        survey = Survey(held.batch, settings)
        survey.stride = max(survey.stride, stride)
        who = "script"
        survey.watch(who)
        future = self._submit(survey, held.batch, lambda: survey.watch(who))
        future.result()
        if survey.state != "done":
            raise survey.error or RequestError("The studio is shutting down.")
        return survey

    def leave(self, who: str) -> None:
        """``who`` watches none any more."""
        with self._lock:
            for survey in self._under_way.values():
                survey.leave(who)

    def close(self) -> None:
        """Give up what is under way and what waits."""
        self._closing.set()
        self._turns.shutdown(wait=False)

    def _find(self, key: str) -> Survey | None:
        # A fault is told once; whoever asks again tries again.
        survey = self._failed.pop(key, None) or self._kept.get(key) or self._under_way.get(key)
        return None if survey is None or survey.state == "cancelled" else survey

    def _begin(self, key: str, batch: Batch, settings: Settings) -> Survey:
        if sum(not one.finished for one in self._under_way.values()) >= MOST_UNDER_WAY:
            raise RequestError("Too many pages are measuring every anchor. Try again in a moment.")
        survey = Survey(batch, settings)
        self._under_way[key] = survey
        share = current().share

        def kept(_: Future[None]) -> None:
            with self._lock:
                if self._under_way.get(key) is survey:
                    del self._under_way[key]
                if survey.state == "failed":
                    self._failed[key] = survey
                    while len(self._failed) > MOST_UNDER_WAY:
                        del self._failed[next(iter(self._failed))]
                if survey.state == "done":
                    self._kept.put(key, survey, share)

        self._submit(survey, batch).add_done_callback(kept)
        return survey

    def _submit(
        self, survey: Survey, batch: Batch, alive: Callable[[], None] | None = None
    ) -> Future[None]:
        return self._turns.submit(current().share, self._run, survey, batch, alive)

    def _run(self, survey: Survey, batch: Batch, alive: Callable[[], None] | None) -> None:
        def stopped() -> bool:
            if alive:
                alive()
            return self._closing.is_set() or not survey.wanted

        survey.state = "running"
        try:
            whole = walk(survey, batch, self.device, stopped)
            survey.state = "done" if whole else "cancelled"
        except Exception as error:  # whoever watches must learn of anything that stops it
            survey.error, survey.state = error, "failed"


def key_of(held: Held, settings: Settings) -> str:
    """What makes two surveys the same."""
    return f"{held.key} {sorted(settings.as_dict().items())}"
