"""Φ⁰ and Ψ⁰ for the images that a run is to train on, from a sample of them, in the background."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import torch

from ppap.backbones import Backbone
from ppap.backbones.embedded import is_embedded
from ppap.batches import Batch, fitted, make_batch
from ppap.data import Example
from ppap.machine import memory
from ppap.settings import SettingError
from ppap.studio.access.shares import Shares, Turns
from ppap.studio.access.visitor import current
from ppap.studio.answers import answering
from ppap.studio.costs import SPARE, model_of, too_much
from ppap.studio.networks import Networks, as_source
from ppap.studio.requests import RequestError, at_field, mapping, refused
from ppap.study.advice import advise_unit
from ppap.study.expectation import AIMS, UNPROVEN, Aim
from trainers.launching.orders import Order
from trainers.rules import reads
from trainers.training.prepare import check_size
from trainers.training.splits import open_splits

# Images that are looked at: as many as a step takes, within these.
LEAST, MOST = 8, 32
# Jobs that are remembered, of one visitor and of all.
OWN_JOBS, ALL_JOBS = 20, 400
SEED = 0
# Of the whole work, the part that reading the images takes.
READING = 0.2
TOO_LITTLE = "These images need more memory than is available. Choose a smaller size."
# What a reason for a setting begins with.
SIGNS = {"psi0": "Ψ⁰", "sigma_pos": "σ"}


class Cancelled(Exception):
    """Whoever asked gave it up."""


@dataclass
class Job:
    """One suggestion under way."""

    owner: str = ""
    state: str = "waiting"
    """waiting, running, then done, failed or cancelled."""
    text: str = "Waiting for another suggestion"
    share: float = 0.0
    advice: dict[str, Any] = field(default_factory=dict)
    """Done: by aim, the settings, and sentences."""
    error: dict[str, Any] = field(default_factory=dict)
    """Failed: as pages get it."""
    cancelled: threading.Event = field(default_factory=threading.Event)

    def told(self, key: str) -> dict[str, Any]:
        """For JSON."""
        if self.state == "failed":
            return self.error
        names = ("state", "text", "share", "advice")
        return {"key": key, **{name: getattr(self, name) for name in names}}


class Suggesting:
    """Looks at samples of training images, one after the other. Safe for many threads.

    Args:
        networks: opens backbones, and keeps those used last.
        sound_order: an order from an untrusted request; raises what is wrong with it.
        available: bytes of memory that can still be taken.
    """

    def __init__(
        self,
        networks: Networks,
        sound_order: Callable[[Any], Order],
        available: Callable[[], int] = lambda: memory().available,
    ) -> None:
        self.networks, self.sound_order = networks, sound_order
        self._available = available
        self._jobs: Shares[Job] = Shares(OWN_JOBS, ALL_JOBS)
        self._lock = threading.Lock()
        self._turns = Turns("suggestions")
        self._closing = threading.Event()

    def calls(self) -> list[Callable[[Any], Any]]:
        """What the page may call, by its name."""
        return [self.suggest, self.suggested]

    @answering
    def suggest(self, request: Any) -> dict[str, Any]:
        """Begin to look at a sample of an order's images; the order needs no name yet."""
        key, job, _ = self._begin(mapping(request))
        return job.told(key)

    def worked_out(self, request: Any) -> dict[str, Any]:
        """The suggestion, once it is there (scripts); as pages get it."""
        key, job, done = self._begin(mapping(request))
        done.result()
        return job.told(key)

    def _begin(self, request: Mapping[str, Any]) -> tuple[str, Job, Future[Any]]:
        # Another name would be refused where a run has it; none is made here.
        order = self.sound_order({**request, "name": "suggested", "on": "here"})
        if not reads(order.config.rule, "phi0"):
            raise RequestError(f"rule={order.config.rule} has no thresholds.", field="rule")
        job, key = Job(owner=current().user), secrets.token_urlsafe(9)
        with self._lock:
            for gone in self._jobs.put(key, job, current().share):
                gone.cancelled.set()
        return key, job, self._turns.submit(current().share, self._run, job, order)

    @answering
    def suggested(self, request: Any) -> dict[str, Any]:
        """How far it is, and what came of it; ``cancel`` gives it up."""
        request = mapping(request)
        key = request.get("key")
        with self._lock:
            job = self._jobs.get(key)
        if job is None or not current().owns(job.owner):
            raise RequestError("This suggestion is no longer known. Ask for it again.")
        if request.get("cancel") is True:
            job.cancelled.set()
        return job.told(str(key))

    def close(self) -> None:
        """Give up what is under way and what waits."""
        self._closing.set()
        self._turns.shutdown(wait=False)

    def _run(self, job: Job, order: Order) -> None:
        def progress(text: str, share: float) -> None:
            if job.cancelled.is_set() or self._closing.is_set():
                raise Cancelled
            job.text, job.share = text, share

        try:
            progress("Reading the data", 0)
            job.state = "running"
            batch, images = self._sample(order, progress)
            progress("Comparing patches", 1)
            job.advice = {aim: advice_of(batch, aim, order.config.rule) for aim in AIMS}
            job.text = f"From {len(batch)} of {images:,} training images, as the run sees them."
            job.share, job.state = 1.0, "done"
        except Cancelled:
            job.state = "cancelled"
        except MemoryError:
            job.error = {**refused(SettingError("size", TOO_LITTLE)), "gone": False}
            job.state = "failed"
        except Exception as error:  # the page must learn of anything that stops a job
            job.error = {**refused(error), "gone": False}
            job.state = "failed"

    def _fitting(self, backbone: Backbone, size: int, most: int) -> int:
        """As many images as this machine takes together; SettingError where that is not one."""
        model, free = model_of(backbone), int(self._available() * (1 - SPARE))
        for count in range(most, 0, -1):
            if not (problem := too_much(count, size, model, free)):
                return count
        raise SettingError("size", problem)

    def _sample(self, order: Order, progress: Callable[[str, float], None]) -> tuple[Batch, int]:
        """Some training images and their features, and how many images there are."""
        config = order.config
        with at_field("data"):
            dataset = open_splits(config, order.data).training
        with at_field("backbone"):
            backbone = self.networks.backbone(as_source(config.backbone), progress)
        check_size(backbone, "size", config.size)
        wanted = self._fitting(backbone, config.size, min(len(dataset), sample_size(config.batch)))
        chance = torch.Generator().manual_seed(SEED)
        chosen = torch.randperm(len(dataset), generator=chance)[:wanted].sort().values.tolist()
        examples: list[Example] = []
        for done, index in enumerate(chosen):
            progress(f"Reading image {done + 1} of {wanted}", READING * done / wanted)
            # At once: many whole photos would not fit in memory.
            with at_field("data"):
                example = dataset.load(index)
            examples.append(fitted(example, config.size, backbone.patch_size))
        batch = make_batch(
            examples,
            backbone,
            size=config.size,
            progress=lambda text, share: progress(text, READING + (1 - READING) * share),
        )
        if max(batch.counts) < 2:
            raise SettingError(
                "size", "Every image is a single patch, so there is nothing to compare."
            )
        return batch, len(dataset)


def sample_size(batch: int) -> int:
    """Images that are looked at, for a batch size."""
    return max(LEAST, min(batch, MOST))


def advice_of(batch: Batch, aim: Aim, rule: str) -> dict[str, Any]:
    """Settings, the share of positives that should be right (0 to 1), and reasons, as Explore gives
    them: of what the rule reads."""
    # With more of its stages trained, its frozen features are the same.
    embedded = is_embedded(batch.backbone.name)
    advice = advise_unit(
        batch.features, images=batch.counts, grids=batch.grids, aim=aim, embedded=embedded
    )
    expected = None if advice.expected is None else advice.expected._asdict()
    settings = advice.settings.as_dict()
    unread = tuple(sign for name, sign in SIGNS.items() if not reads(rule, name))
    reasons = [reason for reason in advice.reasons if not reason.startswith(unread)]
    return {
        "settings": {name: value for name, value in settings.items() if reads(rule, name)},
        "expected": expected,
        "reasons": [*reasons, *([] if embedded else [UNPROVEN])],
    }
