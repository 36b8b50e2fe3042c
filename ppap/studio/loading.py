"""Requests for a batch → batches, one after another in the background, with progress."""

from __future__ import annotations

import math
import secrets
import threading
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ppap.backbones import Backbone, as_path
from ppap.backbones.naming import absolute
from ppap.batches import Batch, fitted, make_batch, rounded_size, with_features_of
from ppap.studio.access.shares import Shares, Turns
from ppap.studio.access.visitor import asking, current, on_page
from ppap.studio.alike import FEATURES, Alike
from ppap.studio.costs import Costs, model_of
from ppap.studio.networks import Network, Networks
from ppap.studio.own_source import Own, own_source
from ppap.studio.requests import (
    LEAST_SIZE,
    OWN,
    Request,
    RequestError,
    at_field,
    mapping,
    read_request,
    refused,
)
from ppap.studio.sources import Progress, Sources
from ppap.studio.stages import Stages
from ppap.studio.store import BatchGone, BatchStore, Held, Upload
from trainers.command import expanded

# Of one user, or where nobody logs in, of one page; and of all together.
MAX_JOBS, MAX_ALL_JOBS = 200, 4000


class Cancelled(Exception):
    """Whoever asked gave it up, or a newer request of the same page made it pointless."""


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
        stages: the runs' checkpoints; without, none can be opened.
    """

    def __init__(
        self,
        store: BatchStore,
        sources: Sources,
        *,
        device: str = "cpu",
        backbone: str = "",
        stages: Stages | None = None,
    ) -> None:
        self.store, self.sources = store, sources
        self.networks = Networks(sources, stages, device=device, own=backbone)
        self.alike = Alike()
        self.costs = Costs()
        self.given: dict[str, Own] = {}
        """Batches that a script of this process has given, by their names."""
        self._jobs = Jobs()
        self._turns = Turns("batches")
        self._closing = threading.Event()

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
            raise RequestError("This request has expired. Load the images again.")
        return found

    def cancel(self, key: object) -> None:
        """Give up a job, at the next image at the latest; RequestError for an unknown one."""
        self.job(key).cancelled.set()

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
        if raw.get("source") not in ("files", "npz") or raw.get("of") is None:
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
            job.error = "This batch needs more memory than is available. Choose fewer images."
            job.state = "failed"
        except Exception as error:  # the page must learn of anything that stops a job
            job.refused = refused(error)
            job.error, job.state = job.refused["error"], "failed"

    def _make(self, request: Request, progress: Progress) -> tuple[Held, list[str]]:
        if request.like:
            try:
                return self._alike(request, progress), []
            except BatchGone:
                if not request.whole:
                    raise
        if request.source in OWN:
            return self._own_features(request, progress), []
        # Files and folders can change between two requests; the sample photos cannot.
        if request.source == "samples" and self.networks.is_everybodys(request):
            known = self.store.find(request.recipe())
            if known:
                return known, []
        network = self._network(request, progress)
        model = model_of(network.backbone)
        size = rounded_size(request.size, model.patch)
        begun = time.perf_counter()
        loaded = self.sources.read(
            request,
            # At once: many whole photos would not fit in memory.
            lambda one: fitted(one, size, model.patch, request.picture),
            lambda text, share: progress(text, share * 0.2),
            expect=lambda images: self.costs.check(request, images, model),
        )
        read = time.perf_counter()
        batch = make_batch(
            loaded.examples,
            network.backbone,
            size=size,
            picture=request.picture,
            classes=loaded.classes,
            colours=loaded.colours,
            progress=lambda text, share: progress(text, 0.2 + 0.8 * share),
        )
        self.costs.learn(request, model, batch.counts, (read - begun, time.perf_counter() - read))
        # What the loader says of a folder goes wherever the batch goes.
        batch = replace(batch, notes=(*loaded.notes, *batch.notes))
        recipe = in_full({**request.recipe(), **network.recipe, "indices": loaded.indices})
        # Everybody has the same sample photos; a file of somebody's makes another batch of them.
        shared = request.source == "samples" and not network.own_file
        held = self._add(batch, recipe, network, request.files, shared=shared)
        self.alike.remember(held.key, network.key, held.key)
        return held, loaded.problems

    def _network(self, request: Request, progress: Progress) -> Network:
        with at_field("checkpoint" if request.backbone == "checkpoint" else "backbone"):
            return self.networks.open(request, progress)

    def _add(
        self,
        batch: Batch,
        recipe: dict[str, Any],
        network: Network | None,
        uploads: tuple[Upload, ...] = (),
        *,
        shared: bool = False,
    ) -> Held:
        held = self.store.add(batch, recipe, uploads, shared=shared)
        held.training = None if network is None else network.training
        return held

    def _alike(self, request: Request, progress: Progress) -> Held:
        """The images of a batch that is there already, with other features."""
        base = self.store.get(request.like)
        network = self._network(request, progress)
        known = self.alike.find(base.key, network.key, self.store)
        if known is not None:
            return known
        if base.recipe.get("pictures") is False:
            raise RequestError(
                "These features came without images, so no network can be compared with them."
            )
        self._check_again(request, base.batch, network.backbone)
        batch = with_features_of(base.batch, network.backbone, progress=progress)
        images = {name: base.recipe[name] for name in base.recipe if name not in FEATURES}
        wanted = {name: value for name, value in request.recipe().items() if name in FEATURES}
        recipe = in_full({**images, **wanted, **network.recipe})
        shared = base.owner == "" and not network.own_file
        held = self._add(batch, recipe, network, base.uploads, shared=shared)
        self.alike.remember(base.key, network.key, held.key)
        return held

    def _check_again(self, request: Request, batch: Batch, backbone: Backbone) -> None:
        """RequestError where other features of a batch's images are too much: a network with
        smaller patches has many more of them."""
        pixels = max(image.shape[0] * image.shape[1] for image in batch.images)
        side = max(LEAST_SIZE, math.isqrt(pixels))
        self.costs.check(replace(request, size=side), len(batch), model_of(backbone))

    def _own_features(self, request: Request, progress: Progress) -> Held:
        """Features of one's own; or, with a backbone, the pictures that came with them."""
        progress("Reading the features", 0)
        own = own_source(request, self.sources, self.given)
        recipe = {**request.recipe(), "pictures": own.pictures}
        if request.backbone == request.source:
            return self._add(own.batch, in_full(recipe), None, request.files)
        if not own.pictures:
            raise RequestError(
                "These features came without images, so no network can be run on them.",
                field="backbone",
            )
        network = self._network(request, progress)
        self._check_again(request, own.batch, network.backbone)
        batch = with_features_of(own.batch, network.backbone, progress=progress)
        return self._add(batch, in_full({**recipe, **network.recipe}), network, request.files)

    def backbone_of(self, held: Held) -> Backbone:
        """What gave a batch its features; opened again where it was let go of.

        Raises:
            RequestError, BackboneError: it cannot be had any more, whoever asks may not use it, or
                the features came from a file.
        """
        recipe = {name: held.recipe[name] for name in FEATURES if name in held.recipe}
        if recipe["backbone"] in OWN:
            raise RequestError("These are features of your own, so there is no network to load.")
        request = read_request({"source": "samples", **recipe})
        return self._network(request, lambda text, share: None).backbone

    def backbone(self, source: str | Path, progress: Progress) -> Backbone:
        """See ``Networks.backbone``."""
        return self.networks.backbone(source, progress)


def in_full(recipe: dict[str, Any]) -> dict[str, Any]:
    """A recipe whose folder and checkpoint mean the same for a studio started elsewhere."""
    full = dict(recipe)
    for name in ("folder", "npz"):
        if full.get(name):
            full[name] = str(expanded(full[name]))
    if full["checkpoint"] and as_path(full["checkpoint"]) is None:  # a file, whatever it is called
        full["checkpoint"] = str(expanded(full["checkpoint"]))
    elif full["checkpoint"]:
        full["checkpoint"] = absolute(full["checkpoint"])
    if as_path(full["backbone"]) is not None:
        full["backbone"] = absolute(full["backbone"])
    return full
