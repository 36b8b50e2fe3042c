"""The map of patches: a stand-in at once, UMAP from a worker process, and proxies placed on it.

::

    service = MapService()
    service.warm()                        # returns at once; UMAP compiles in the worker
    points = pca_map(features)            # shown meanwhile
    service.submit("batch 7", features)
    service.status("batch 7")             # fitting, 43 %
    service.result("batch 7")             # (N, 2) when ready

This process imports neither UMAP nor its compiler. ``worker`` says how the two processes talk,
``layout`` how a map is made.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np

from ppap.embedding.layout import (
    NearestPatches,
    checked,
    checked_places,
    nearest_by_cosine,
    nearest_patches,
    pca_map,
)
from ppap.embedding.worker import Message, Worker, WorkerEndedError

__all__ = [
    "MapService",
    "MapStatus",
    "NearestPatches",
    "nearest_by_cosine",
    "nearest_patches",
    "pca_map",
]

State = Literal["unknown", "queued", "warming", "fitting", "ready", "failed"]


class MapStatus(NamedTuple):
    """Where the map of one batch stands."""

    state: State
    """``queued`` behind another map, ``warming`` while UMAP compiles, ``fitting``, then ``ready``
    or ``failed``; ``unknown``: never submitted, or let go since."""
    progress: float | None = None
    """While fitting and when ready: the share that is done, 0 to 1, never falling."""
    seconds: float = 0.0
    """Since the batch was submitted, up to the moment its map was ready or failed."""
    error: str | None = None
    """Failed: the reason, for the reader."""
    note: str | None = None
    """Ready, but only with the principal components: the reason, for the reader."""


@dataclass
class _Job:
    features: np.ndarray
    start: np.ndarray | None = None
    submitted: float = field(default_factory=time.monotonic)
    progress: float = 0.0

    def seconds(self) -> float:
        return time.monotonic() - self.submitted


class _Finished(NamedTuple):
    status: MapStatus
    points: np.ndarray | None


class MapService:
    """Makes maps one after another in one worker process; safe to call from several threads.

    The batch submitted last is laid out first, because it is the one being looked at. A map that
    is being fitted is finished first, however: at 12,500 patches that takes seconds.

    Args:
        keep: how many finished maps (or failures) are kept; the longest unused is let go.
        waiting: how many batches may wait; the longest waiting is let go and becomes ``unknown``.
        threads: for the worker's matrix products; the layout itself always runs in one.
        niceness: how far the worker stands back for this process, 0 to 19; the further, the
            longer a map takes beside a training that keeps every core busy.
    """

    def __init__(
        self, *, keep: int = 16, waiting: int = 3, threads: int = 1, niceness: int = 5
    ) -> None:
        self._keep = keep
        self._most_waiting = waiting
        self._threads = threads
        self._niceness = niceness
        # Guards everything below; notified when the manager has something to do.
        self._change = threading.Condition()
        self._waiting: OrderedDict[str, _Job] = OrderedDict()
        self._finished: OrderedDict[str, _Finished] = OrderedDict()
        self._fitting: tuple[str, _Job] | None = None
        self._worker: Worker | None = None
        self._warm = False
        self._wanted = False
        self._closed = False
        self._manager: threading.Thread | None = None

    @property
    def worker_pid(self) -> int | None:
        """The worker's process id, or None before the first start and while it is replaced."""
        worker = self._worker
        return worker.process.pid if worker is not None and worker.alive() else None

    def warm(self) -> None:
        """Start the worker, which compiles UMAP; returns at once, and is harmless when repeated.

        Raises:
            RuntimeError: the service is closed.
        """
        with self._change:
            self._wanted = True
            self._wake()

    def submit(self, key: str, features: np.ndarray, start: np.ndarray | None = None) -> None:
        """Ask for the map of a batch; it comes before all that are waiting.

        A batch that is being fitted or ready stays as it is; one that waits moves to the front,
        one that failed is tried again.

        Args:
            key: names the batch: other features or another start need another key.
            features: float ``(N, D)``, any scale (normalised inside); copied.
            start: places ``(N, 2)`` on another map to begin at, so that patches can be followed
                from there to here; copied. None: their principal components.

        Raises:
            ValueError: a wrong shape, empty or non-finite features or places.
            RuntimeError: the service is closed.
        """
        with self._change:
            if self._settled(key):
                return
        job = _Job(checked(features), checked_places(start, len(features)))
        with self._change:
            if self._settled(key):
                return
            self._finished.pop(key, None)
            self._waiting[key] = job
            while len(self._waiting) > self._most_waiting:
                self._waiting.popitem(last=False)
            self._wake()

    def status(self, key: str) -> MapStatus:
        """Where the map of this batch stands; never blocks."""
        with self._change:
            if self._fitting is not None and self._fitting[0] == key:
                job = self._fitting[1]
                return MapStatus("fitting", job.progress, job.seconds())
            if key in self._waiting:
                state: State = "queued" if self._warm else "warming"
                return MapStatus(state, seconds=self._waiting[key].seconds())
            finished = self._finished.get(key)
            return MapStatus("unknown") if finished is None else finished.status

    def result(self, key: str) -> np.ndarray | None:
        """The map, or None while there is none.

        Returns:
            float32 ``(N, 2)``, read-only, centred, root mean square distance from the centre 1,
            turned to lie close to where it started: ``pca_map`` of the same features, or the
            places that were given with them.
        """
        with self._change:
            finished = self._finished.get(key)
            if finished is None:
                return None
            self._finished.move_to_end(key)
            return finished.points

    def close(self) -> None:
        """End the worker and forget everything that waits; finished maps stay."""
        with self._change:
            self._closed = True
            self._waiting.clear()
            self._change.notify_all()
            # Wakes the manager when it waits for a message.
            if self._worker is not None:
                self._worker.process.kill()
        if self._manager is not None:
            self._manager.join()

    def _settled(self, key: str) -> bool:
        if key in self._waiting:
            self._waiting.move_to_end(key)
            return True
        if self._fitting is not None and self._fitting[0] == key:
            return True
        return key in self._finished and self._finished[key].points is not None

    def _wake(self) -> None:
        if self._closed:
            raise RuntimeError("the map service is closed")
        if self._manager is None:
            self._manager = threading.Thread(target=self._manage, name="maps", daemon=True)
            self._manager.start()
        self._change.notify_all()

    def _manage(self) -> None:
        """The manager thread: the only one that talks to the worker."""
        while True:
            with self._change:
                self._change.wait_for(lambda: self._closed or self._wanted or self._waiting)
                self._wanted = False
                if self._closed:
                    break
            try:
                worker = self._warm_worker()
            except (WorkerEndedError, OSError) as error:
                self._drop_worker()
                self._fail_waiting(str(error))
            else:
                self._fit_newest(worker)
        self._drop_worker()

    def _warm_worker(self) -> Worker:
        """The worker, started and compiled first where need be."""
        if self._worker is not None and self._worker.alive():
            return self._worker
        self._drop_worker()
        worker = Worker(self._threads, self._niceness)
        with self._change:
            self._worker = worker
            if self._closed:
                worker.process.kill()
        answer = worker.receive()
        if answer.kind != "warm":
            raise WorkerEndedError(f"UMAP did not start: {answer.text}")
        with self._change:
            self._warm = True
        return worker

    def _fit_newest(self, worker: Worker) -> None:
        with self._change:
            if not self._waiting:
                return
            key, job = self._waiting.popitem()
            self._fitting = (key, job)
        try:
            answer = self._fit(worker, job)
        except WorkerEndedError as ended:
            self._drop_worker()
            answer = Message("failed", text=str(ended))
        with self._change:
            self._fitting = None
            self._remember(key, job, answer)

    def _fit(self, worker: Worker, job: _Job) -> Message:
        """The last message about this job, ``ready`` or ``failed``."""
        worker.send(Message("fit", array=job.features, start=job.start))
        while (answer := worker.receive()).kind == "progress":
            with self._change:
                job.progress = max(job.progress, answer.progress)
        return answer

    def _remember(self, key: str, job: _Job, answer: Message) -> None:
        if answer.array is not None:
            answer.array.setflags(write=False)
            status = MapStatus("ready", 1.0, job.seconds(), note=answer.text or None)
        else:
            status = MapStatus("failed", seconds=job.seconds(), error=answer.text)
        self._finished[key] = _Finished(status, answer.array)
        while len(self._finished) > self._keep:
            self._finished.popitem(last=False)

    def _fail_waiting(self, reason: str) -> None:
        with self._change:
            while self._waiting:
                key, job = self._waiting.popitem(last=False)
                self._remember(key, job, Message("failed", text=reason))

    def _drop_worker(self) -> None:
        with self._change:
            worker, self._worker, self._warm = self._worker, None, False
        if worker is not None:
            worker.stop()
