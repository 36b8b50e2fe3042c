"""Requests for a batch → batches, one after another in the background, with progress."""

from __future__ import annotations

import itertools
import logging
import random
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from ppap.backbones import Backbone, BackboneError, known_backbones, load_backbone
from ppap.batches import make_batch
from ppap.data import DataError, Example, ImageError, open_dataset, read_image, samples_dataset
from ppap.studio.store import BatchStore, Held

log = logging.getLogger(__name__)

SIZES = (224, 320, 448)
MAX_IMAGES = 64
# The cheetah's muzzle: (row, column) as shares of the first sample photo.
SAMPLES_START = (0.55, 0.45)


class RequestError(ValueError):
    """A request that cannot be served; the text is for the person who made it."""


class Cancelled(Exception):
    """A newer request of the same page made this one pointless."""


class Request(NamedTuple):
    """What to load; the strings were checked for their kind, not yet for their meaning."""

    source: str
    size: int
    backbone: str
    checkpoint: str
    files: tuple[tuple[str, str], ...]
    folder: str
    split: str
    count: int
    seed: int

    def recipe(self) -> dict[str, Any]:
        """What makes the same batch again; goes to the page and into links."""
        recipe: dict[str, Any] = {
            "source": self.source,
            "size": self.size,
            "backbone": self.backbone,
            "checkpoint": self.checkpoint,
        }
        if self.source == "files":
            recipe["files"] = [name for _, name in self.files]
        if self.source == "folder":
            recipe.update(folder=self.folder, split=self.split, count=self.count, seed=self.seed)
        return recipe


def read_request(raw: Mapping[str, Any]) -> Request:
    """Check a request from a page or a script; RequestError says which part is wrong."""
    source = raw.get("source", "samples")
    if source not in ("samples", "files", "folder"):
        raise RequestError("The source must be samples, files or folder.")
    size = raw.get("size", 448)
    if size not in SIZES or isinstance(size, bool):
        raise RequestError(f"The resolution must be one of {', '.join(map(str, SIZES))}.")
    texts = {name: str(raw.get(name) or "")[:4096] for name in ("checkpoint", "folder", "split")}
    files = raw.get("files") or []
    if source == "files" and not files:
        raise RequestError("Choose at least one image.")
    if len(files) > MAX_IMAGES:
        raise RequestError(f"A batch holds at most {MAX_IMAGES} images, not {len(files)}.")
    count = _whole(raw.get("count", 8), 1, MAX_IMAGES, "The number of images")
    return Request(
        source=source,
        size=int(size),
        backbone=str(raw.get("backbone") or "embedded")[:200],
        checkpoint=texts["checkpoint"],
        files=tuple((str(f["path"]), str(f["name"])[:255]) for f in files) if source == "files" else (),
        folder=texts["folder"],
        split=texts["split"] or "train",
        count=count,
        seed=_whole(raw.get("seed", 0), 0, 10**9, "The batch number"),
    )


def _whole(value: object, least: int, most: int, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value // 1:
        raise RequestError(f"{name} must be a whole number from {least} to {most}.")
    if not least <= value <= most:
        raise RequestError(f"{name} must be from {least} to {most}, not {value:g}.")
    return int(value)


class Loaded(NamedTuple):
    """Photos of a request, with what could not be read."""

    examples: list[Example]
    problems: list[str]
    indices: tuple[int, ...] = ()
    """Which items of the data set the photos are."""
    classes: tuple[str, ...] = ()
    colours: tuple[tuple[int, int, int], ...] = ()


class Sources:
    """Where images may come from: the samples, uploads, and the folders of this server."""

    def __init__(self, folders: list[Path], *, uploads: Path, any_folder: bool) -> None:
        self.folders = [folder.resolve() for folder in folders]
        self.uploads = uploads.resolve()
        self.any_folder = any_folder

    def read(self, request: Request, progress: Callable[[str, float], None]) -> Loaded:
        """Read the photos that a request names; RequestError when there is none to show."""
        if request.source == "files":
            loaded = self._files(request, progress)
        else:
            loaded = self._dataset(request, progress)
        if not loaded.examples:
            raise RequestError(" ".join(loaded.problems) or "There is no image to show.")
        return loaded

    def _files(self, request: Request, progress: Callable[[str, float], None]) -> Loaded:
        examples, problems = [], []
        for i, (path, name) in enumerate(request.files):
            progress(f"Reading image {i + 1} of {len(request.files)}", i / len(request.files))
            resolved = Path(path).resolve()
            if not resolved.is_relative_to(self.uploads):
                raise RequestError(f"{name} was not uploaded to this studio.")
            try:
                examples.append(Example(read_image(resolved, name=name), None))
            except ImageError as error:
                problems.append(str(error))
        return Loaded(examples, problems)

    def _dataset(self, request: Request, progress: Callable[[str, float], None]) -> Loaded:
        if request.source == "samples":
            dataset = samples_dataset()
            chosen = list(range(len(dataset)))
        else:
            dataset = open_dataset(self.allowed(request.folder), split=request.split)
            order = list(range(len(dataset)))
            # Every batch of a seedless walk differs: batch n takes the n-th slice of one shuffle.
            random.Random(0).shuffle(order)
            start = request.seed * request.count % max(1, len(order))
            chosen = list(itertools.islice(itertools.cycle(order), start, start + request.count))
            chosen = chosen[: len(order)]
        examples, problems, read = [], [], []
        for i, index in enumerate(chosen):
            progress(f"Reading image {i + 1} of {len(chosen)}", i / len(chosen))
            try:
                examples.append(dataset.load(index))
                read.append(index)
            except (ImageError, DataError) as error:
                problems.append(str(error))
        return Loaded(
            examples, problems, tuple(read), tuple(dataset.classes), tuple(dataset.colours)
        )

    def allowed(self, folder: str) -> Path:
        """The folder, if pages may look into it."""
        if not folder:
            raise RequestError("Name a folder on this server.")
        path = Path(folder).expanduser().resolve()
        if not self.any_folder and not any(path.is_relative_to(root) for root in self.folders):
            raise RequestError(
                "This studio is open to other machines, so it shows only the folders it was "
                "started with (--images FOLDER)."
            )
        if not path.is_dir():
            raise RequestError(f"There is no folder {folder} on this server.")
        return path


@dataclass
class Job:
    """One request under way."""

    page: str
    state: str = "waiting"
    text: str = "Waiting for another batch"
    share: float = 0.0
    held: Held | None = None
    problems: list[str] = field(default_factory=list)
    error: str = ""
    cancelled: threading.Event = field(default_factory=threading.Event)


class Loader:
    """Runs requests one at a time; the newest request of a page cancels its older one."""

    def __init__(self, store: BatchStore, sources: Sources, device: str = "cpu") -> None:
        self.store, self.sources, self.device = store, sources, device
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="batches")
        self._backbones: OrderedDict[tuple[str, str], Backbone] = OrderedDict()

    def start(self, raw: Mapping[str, Any]) -> str:
        """Begin a request and return the id of its job; RequestError when it makes no sense."""
        request = read_request(raw)
        job, key = Job(page=str(raw.get("page", ""))[:64]), secrets.token_urlsafe(9)
        with self._lock:
            for other in self._jobs.values():
                if job.page and other.page == job.page:
                    other.cancelled.set()
            self._jobs[key] = job
            while len(self._jobs) > 200:
                self._jobs.popitem(last=False)
        self._pool.submit(self._run, job, request)
        return key

    def job(self, key: object) -> Job:
        """A job by its id."""
        with self._lock:
            if not isinstance(key, str) or key not in self._jobs:
                raise RequestError("This request is no longer known. Load the images again.")
            return self._jobs[key]

    def load(self, raw: Mapping[str, Any]) -> Job:
        """Run a request to its end (scripts and start-up)."""
        job = Job(page="")
        self._pool.submit(self._run, job, read_request(raw)).result()
        return job

    def _run(self, job: Job, request: Request) -> None:
        def progress(text: str, share: float) -> None:
            if job.cancelled.is_set():
                raise Cancelled
            job.text, job.share = text, share

        try:
            progress("Loading", 0)
            job.state = "running"
            job.held, job.problems = self._make(request, progress)
            job.state = "done"
        except Cancelled:
            job.state = "cancelled"
        except (RequestError, BackboneError, DataError, ImageError, ValueError) as error:
            job.error, job.state = str(error), "failed"
        except Exception as error:  # the page must learn of anything that stops a job
            log.exception("loading a batch failed")
            job.error, job.state = f"{type(error).__name__}: {error}", "failed"

    def _make(
        self, request: Request, progress: Callable[[str, float], None]
    ) -> tuple[Held, list[str]]:
        recipe = request.recipe()
        # Files and folders can change between two requests; the sample photos cannot.
        known = self.store.find(recipe) if request.source == "samples" else None
        if known:
            return known, []
        backbone = self.backbone(request.backbone, request.checkpoint, progress)
        loaded = self.sources.read(request, lambda text, share: progress(text, share * 0.2))
        batch = make_batch(
            loaded.examples,
            backbone,
            size=self._size(request.size, backbone),
            classes=loaded.classes,
            colours=loaded.colours,
            progress=lambda text, share: progress(text, 0.2 + 0.8 * share),
        )
        recipe = {**recipe, "indices": loaded.indices}
        return self.store.add(batch, recipe), loaded.problems

    @staticmethod
    def _size(size: int, backbone: Backbone) -> int:
        """The nearest size the backbone can take: 14-pixel patches do not divide 320."""
        patch = backbone.patch_size
        return max(1, round(size / patch)) * patch

    def backbone(
        self, name: str, checkpoint: str, progress: Callable[[str, float], None]
    ) -> Backbone:
        """A backbone by name or file; the two used last stay in memory."""
        key = (name, checkpoint)
        if key in self._backbones:
            self._backbones.move_to_end(key)
            return self._backbones[key]
        progress("Loading the backbone", 0)
        source = str(self._checkpoint(checkpoint)) if name == "checkpoint" else name
        loaded = load_backbone(source, device=self.device, progress=progress)
        self._backbones[key] = loaded
        while len(self._backbones) > 2:
            self._backbones.popitem(last=False)
        return loaded

    def _checkpoint(self, text: str) -> Path:
        path = Path(text).expanduser()
        if not self.sources.any_folder:
            self.sources.allowed(str(path.parent))
        if not path.is_file():
            raise RequestError(f"There is no file {text} on this server.")
        return path


def backbone_choices() -> list[dict[str, Any]]:
    """Backbones for the page's list."""
    return [{"name": b.name, "title": b.title, "note": b.note} for b in known_backbones()]


