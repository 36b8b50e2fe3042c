"""Requests for a batch → batches, one after another in the background, with progress."""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ppap.backbones import Backbone, as_path, called, load_backbone
from ppap.backbones.naming import absolute
from ppap.batches import fitted, make_batch, rounded_size
from ppap.studio.access.shares import Shares, Turns
from ppap.studio.access.visitor import asking, current, on_page
from ppap.studio.requests import (
    Request,
    RequestError,
    at_field,
    mapping,
    read_request,
    refused,
)
from ppap.studio.sources import Progress, Sources
from ppap.studio.store import BatchStore, Held
from trainers.command import expanded

# Of one user, or where nobody logs in, of one page; and of all together.
MAX_JOBS, MAX_ALL_JOBS = 200, 4000
MAX_BACKBONES = 2


class Cancelled(Exception):
    """A newer request of the same page made this one pointless."""


@dataclass
class Job:
    """One request under way."""

    page: str
    owner: str = ""
    """The user who asked; empty where nobody logs in."""
    state: str = "waiting"
    """waiting, running, then done, failed or cancelled."""
    text: str = "Waiting for another batch"
    share: float = 0.0
    batch: str = ""
    """Done: the batch's id in the store, which may let go of it again."""
    problems: list[str] = field(default_factory=list)
    error: str = ""
    refused: dict[str, Any] = field(default_factory=dict)
    """Failed: the error as pages get it."""
    cancelled: threading.Event = field(default_factory=threading.Event)


class Jobs:
    """The jobs that pages ask about, within limits that everybody has a share of.

    Safe for many threads.
    """

    def __init__(self) -> None:
        self._jobs: Shares[Job] = Shares(MAX_JOBS, MAX_ALL_JOBS)
        self._lock = threading.Lock()

    def add(self, job: Job) -> str:
        """Keep a job under a new id; older ones of the same page are no longer wanted."""
        key = secrets.token_urlsafe(9)
        with self._lock:
            for other in self._jobs.values():
                if job.page and (other.page, other.owner) == (job.page, job.owner):
                    other.cancelled.set()
            for forgotten in self._jobs.put(key, job, current().share):
                forgotten.cancelled.set()
        return key

    def get(self, key: object) -> Job | None:
        """A job of whoever asks right now; None where there is none of that id."""
        with self._lock:
            job = self._jobs.get(key)
        return job if job is not None and current().owns(job.owner) else None


class Loader:
    """Runs requests one at a time; the newest request of a page cancels its older one.

    Args:
        store: gets the batches.
        sources: reads the images.
        device: where backbones run.
        backbone: the one the studio was started with, which pages may always use, even where it
            is a file that they could not choose themselves.
    """

    def __init__(
        self, store: BatchStore, sources: Sources, *, device: str = "cpu", backbone: str = ""
    ) -> None:
        self.store, self.sources, self.device = store, sources, device
        self._own = backbone
        self._jobs = Jobs()
        self._turns = Turns("batches")
        self._closing = threading.Event()
        self._backbones: OrderedDict[object, Backbone] = OrderedDict()
        self._loading = threading.Lock()

    def start(self, raw: Any) -> str:
        """Begin a request and return the id of its job; RequestError when it makes no sense."""
        request = read_request(self._with_uploads(raw))
        with asking(on_page(mapping(raw).get("page"))) as who:
            job = Job(page=who.page, owner=who.user)
            key = self._jobs.add(job)
            self._turns.submit(who.share, self._run, job, request)
        return key

    def job(self, key: object) -> Job:
        """A job by its id."""
        found = self._jobs.get(key)
        if found is None:
            raise RequestError("This request is no longer known. Load the images again.")
        return found

    def load(self, raw: Any) -> Job:
        """Run a request to its end (scripts and start-up); RequestError as ``start``."""
        who = current()
        job = Job(page="", owner=who.user)
        request = read_request(self._with_uploads(raw))
        self._turns.submit(who.share, self._run, job, request).result()
        return job

    def _with_uploads(self, raw: Any) -> Any:
        """A request for "the files of that batch" with the files themselves, whose paths a page
        that was opened by a link never learns; BatchGone when the batch is."""
        raw = mapping(raw)
        if raw.get("source") != "files" or raw.get("of") is None:
            return raw
        held = self.store.get(raw["of"])
        return {**raw, "files": [file._asdict() for file in held.uploads]}

    def close(self) -> None:
        """Give up what is under way and what waits."""
        self._closing.set()
        self._turns.shutdown(wait=False)

    def _run(self, job: Job, request: Request) -> None:
        def progress(text: str, share: float) -> None:
            if job.cancelled.is_set() or self._closing.is_set():
                raise Cancelled
            job.text, job.share = text, share

        try:
            progress("Loading", 0)
            job.state = "running"
            held, job.problems = self._make(request, progress)
            job.batch = held.key
            job.state = "done"
        except Cancelled:
            job.state = "cancelled"
        except MemoryError:
            job.error = "This batch needs more memory than there is. Choose fewer images."
            job.state = "failed"
        except Exception as error:  # the page must learn of anything that stops a job
            job.refused = refused(error)
            job.error, job.state = job.refused["error"], "failed"

    def _make(self, request: Request, progress: Progress) -> tuple[Held, list[str]]:
        recipe = request.recipe()
        file = self._file(request)
        # Files and folders can change between two requests; the sample photos cannot.
        if request.source == "samples" and file is None:
            known = self.store.find(recipe)
            if known:
                return known, []
        with at_field("backbone" if file is None else "checkpoint"):
            backbone = self.backbone(request.backbone if file is None else file, progress)
        size = rounded_size(request.size, backbone.patch_size)
        loaded = self.sources.read(
            request,
            # At once: many whole photos would not fit in memory.
            lambda example: fitted(example, size, backbone.patch_size, request.picture),
            lambda text, share: progress(text, share * 0.2),
        )
        batch = make_batch(
            loaded.examples,
            backbone,
            size=size,
            picture=request.picture,
            classes=loaded.classes,
            colours=loaded.colours,
            progress=lambda text, share: progress(text, 0.2 + 0.8 * share),
        )
        # What the loader says of a folder goes wherever the batch goes.
        batch = replace(batch, notes=(*loaded.notes, *batch.notes))
        recipe = {**in_full(recipe), "indices": loaded.indices}
        # Everybody has the same sample photos; a file of somebody's makes another batch of them.
        shared = request.source == "samples" and file is None
        return self.store.add(batch, recipe, request.files, shared=shared), loaded.problems

    def _file(self, request: Request) -> str | Path | None:
        """The checkpoint that a request names, if pages may read it, in full, with the model's name
        before it where it has one; None for other backbones."""
        if request.backbone == "checkpoint":
            with at_field("checkpoint"):
                return self._weights(request.checkpoint)
        if as_path(request.backbone) is None:
            return None
        if request.backbone == self._own:
            return as_source(request.backbone)
        with at_field("backbone"):
            return self._weights(request.backbone)

    def _weights(self, text: str) -> str | Path:
        if as_path(text) is None:  # a file, whatever it is called
            return self.sources.file(text)
        return as_source(self.sources.weights(text))

    def backbone(self, source: str | Path, progress: Progress) -> Backbone:
        """A backbone by name or file; the two used last stay in memory."""
        key: object = source
        file = as_path(source)
        if file is not None and file.is_file():
            # Training writes the same file again and again.
            key = (source, file.stat().st_mtime_ns)
        with self._loading:
            if key in self._backbones:
                self._backbones.move_to_end(key)
                return self._backbones[key]
            progress("Loading the backbone", 0)
            loaded = load_backbone(source, device=self.device, progress=progress)
            self._backbones[key] = loaded
            while len(self._backbones) > MAX_BACKBONES:
                self._backbones.popitem(last=False)
            return loaded


def as_source(name: str) -> str | Path:
    """A file as a path, whatever its name; a file with a model's name before it as it is."""
    model, file = called(name)
    return file if file is not None and model is None else name


def in_full(recipe: dict[str, Any]) -> dict[str, Any]:
    """A recipe whose folder and checkpoint mean the same for a studio started elsewhere."""
    full = dict(recipe)
    if full.get("folder"):
        full["folder"] = str(expanded(full["folder"]))
    if full["checkpoint"] and as_path(full["checkpoint"]) is None:  # a file, whatever it is called
        full["checkpoint"] = str(expanded(full["checkpoint"]))
    elif full["checkpoint"]:
        full["checkpoint"] = absolute(full["checkpoint"])
    if as_path(full["backbone"]) is not None:
        full["backbone"] = absolute(full["backbone"])
    return full
