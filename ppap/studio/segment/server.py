"""What the Segment page asks of the server: plain functions on JSON-like values.

As on Explore, every argument is validated and every refusal is a sentence. Colours, names and
opacity are the page's own: the server hears of them when something is taken away.
"""

from __future__ import annotations

import secrets
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ppap.evaluation.crf import CrfWorkerError
from ppap.output.label_files import Segmented, merged, write_zip
from ppap.output.naming import file_stems
from ppap.settings import SettingError
from ppap.studio.access.shares import Shares, Turns
from ppap.studio.access.visitor import asking, current, on_page
from ppap.studio.answers import answering
from ppap.studio.checkpoints import Checkpoints, CrfProcesses
from ppap.studio.choices import backbone_choices
from ppap.studio.loading import Cancelled, Job, Jobs, Loader
from ppap.studio.requests import (
    MAX_IMAGES,
    SIZES,
    RequestError,
    mapping,
    read_request,
    refused,
    require_allowed,
)
from ppap.studio.segment.requests import (
    CLUSTERS,
    MOST_CLUSTERS,
    Wanted,
    read_colours,
    read_model,
    read_names,
    read_opacity,
)
from ppap.studio.segment.store import Result, SegmentStore
from ppap.studio.segment.work import Work
from ppap.studio.store import Upload
from ppap.studio.temporary import FILES

# Of one user, or where nobody logs in, of one set of pictures; and of all together.
MAX_DOWNLOADS, MAX_ALL_DOWNLOADS = 8, 64
RECIPE = "samples"


class Taken(NamedTuple):
    """A ZIP that can be fetched."""

    file: Path
    name: str
    owner: str
    """The user whose it is; empty where nobody logs in."""


class Segmenting:
    """The state behind all Segment pages.

    Args:
        loader: has the backbones, and says which the pages may use.
        checkpoints: that the pages may choose.
        crf: processes for the CRF.
        backbone: the one that the studio was started with.
        trains: whether pages may start runs.
    """

    def __init__(
        self,
        loader: Loader,
        checkpoints: Checkpoints,
        crf: CrfProcesses,
        *,
        backbone: str,
        trains: bool = True,
    ) -> None:
        self.loader, self.checkpoints, self.crf = loader, checkpoints, crf
        self.trains = trains
        self.first_backbone = backbone
        self.store = SegmentStore()
        self.work = Work(loader, checkpoints, crf, self.store)
        self._jobs, self._turns = Jobs(), Turns("segmenting")
        self._lock = threading.Lock()
        self._closing = threading.Event()
        FILES.open(self)
        self._folder = tempfile.TemporaryDirectory(prefix="segment-", dir=FILES.folder)
        self._taken: Shares[Taken] = Shares(MAX_DOWNLOADS, MAX_ALL_DOWNLOADS)

    @property
    def folder(self) -> str:
        """A folder for files on their way out; it goes when the studio is closed."""
        return self._folder.name

    def calls(self) -> list[Callable[[Any], Any]]:
        """What the page may call, by its name."""
        return [self.hello, self.load, self.progress, self.take, self.make, self.making]

    @answering
    def hello(self, _: Any) -> dict[str, Any]:
        """Lists and limits that the page needs before anything else."""
        return {
            "page": secrets.token_urlsafe(9),
            "max_images": MAX_IMAGES,
            "sizes": SIZES,
            "clusters": CLUSTERS,
            "most_clusters": MOST_CLUSTERS,
            "backbone": self.first_backbone,
            "backbones": backbone_choices(self.first_backbone),
            "checkpoints": self.checkpoints.listed(),
            "files": self.checkpoints.sources.any_folder,
            "crf": self.crf.why_not(),
            "make": self.trains and can_make(),
        }

    @answering
    def load(self, request: Any) -> dict[str, Any]:
        """Begin to segment; the newest request of a page cancels its older one."""
        wanted = self.read(request)
        with asking(on_page(mapping(request).get("page"))) as who:
            job = Job(page=who.page, owner=who.user)
            job.text = "Waiting for other pictures"
            key = self._jobs.add(job)
            self._turns.submit(who.share, self._run, job, wanted)
        return {"job": key}

    @answering
    def progress(self, job: Any) -> dict[str, Any]:
        """How far a job is, and what it found when it is done."""
        found = self._jobs.get(job)
        if found is None:
            raise RequestError("This request is no longer known. Segment again.")
        if found.state == "failed":
            return found.refused or {"error": found.error}
        reply: dict[str, Any] = {"state": found.state, "text": found.text, "share": found.share}
        if found.state == "done":
            reply["result"] = result_reply(self.store.result(found.batch))
        return reply

    @answering
    def take(self, request: Any) -> dict[str, Any]:
        """Make a ZIP of a result, in the page's names and colours; where it can be fetched."""
        key = secrets.token_urlsafe(12)
        file = Path(self.folder) / f"{key}.zip"
        result = self.zip(mapping(request), file)
        stem = file_stems([one.name for one in result.pictures.pictures])[0][:80]
        many = len(result.pictures.pictures) > 1
        name = f"segments-{stem}{'-and-more' if many else ''}.zip"
        user = current().user
        share = user or f"set {result.pictures.key}"
        taken = Taken(file, name, user)
        with self._lock:
            for gone in self._taken.put(key, taken, share):
                gone.file.unlink(missing_ok=True)
        return {"url": f"studio/segment/{key}.zip", "name": taken.name}

    @answering
    def make(self, _: Any) -> dict[str, Any]:
        """Begin to train a small checkpoint on the sample photos."""
        require_allowed(self.trains, "start runs")
        from trainers.launching.orders import read_order
        from trainers.launching.runner import free_name
        from trainers.runs.folder import RunError

        runner = self.checkpoints.runner()
        runner.root.mkdir(parents=True, exist_ok=True)
        name = free_name(runner.root, RECIPE)
        order, errors = read_order({"recipe": RECIPE, "name": name, "settings": {}})
        if order is None:
            raise RequestError(" ".join(errors.values()))
        try:
            return making_reply(runner.start(order))
        except RunError as error:
            raise RequestError(str(error)) from None

    @answering
    def making(self, name: Any) -> dict[str, Any]:
        """How far that is."""
        try:
            reply = making_reply(self.checkpoints.runner().standing(name))
        except SettingError as error:
            raise RequestError(str(error)) from None
        if reply["state"] == "finished":
            reply["checkpoints"] = self.checkpoints.listed()
        return reply

    # What the page's calls share with the scripts' endpoints and the addresses of pictures.

    def read(self, raw: Any) -> Wanted:
        """Check a request; RequestError says which part is wrong."""
        raw = mapping(raw)
        source = raw.get("source", "samples")
        if source not in ("samples", "files"):
            raise RequestError("The source must be samples or files.")
        kept = None if raw.get("of") is None else self.store.set(raw["of"])
        files: tuple[Upload, ...] = ()
        if source == "files" and kept is None:
            files = read_request({"source": "files", "files": raw.get("files")}).files
        model = read_model(raw, self.checkpoints, self.first_backbone)
        crf = raw.get("crf", False)
        if not isinstance(crf, bool):
            raise RequestError("CRF must be true or false.")
        if crf and (reason := self.crf.why_not()):
            raise RequestError(reason)
        return Wanted(files, kept, model, crf)

    def run(self, raw: Any) -> Result:
        """Segment to the end (scripts); RequestError where that fails."""
        who = current()
        job = Job(page="", owner=who.user)
        self._turns.submit(who.share, self._run, job, self.read(raw)).result()
        if job.error:
            raise RequestError(job.error)
        return self.store.result(job.batch)

    def zip(self, request: Mapping[str, Any], file: Path) -> Result:
        """Write a result's ZIP; the result."""
        result = self.store.result(request.get("result"))
        layer = result.layer(request.get("kind", "clusters"))
        names, colours = read_names(request, layer), read_colours(request, layer)
        opacity = read_opacity(request)
        classes, table = merged(names, colours)

        def pictures() -> Iterator[Segmented]:
            for one, map_ in zip(result.pictures.pictures, layer.maps, strict=True):
                yield Segmented(one.name, one.rgb, table[map_.ids()])

        with file.open("wb") as stream:
            write_zip(
                stream,
                pictures(),
                classes,
                names=[one.name for one in result.pictures.pictures],
                opacity=opacity,
                outline=bool(request.get("outline")),
            )
        return result

    def taken(self, key: str) -> Taken:
        """A ZIP by the id in its address; RequestError when it is gone."""
        with self._lock:
            taken = self._taken.get(key)
        if taken is None or not current().owns(taken.owner) or not taken.file.is_file():
            raise RequestError("This file is no longer here. Download it again.")
        return taken

    def close(self) -> None:
        """Give up what is under way and what waits."""
        self._closing.set()
        self._turns.shutdown(wait=True)
        self._folder.cleanup()
        FILES.close(self)

    # The work itself, in a thread of its own.

    def _run(self, job: Job, wanted: Wanted) -> None:
        def progress(text: str, share: float) -> None:
            if job.cancelled.is_set() or self._closing.is_set():
                raise Cancelled
            job.text, job.share = text, share

        try:
            progress("Reading the pictures", 0)
            job.state = "running"
            result = self.work.segment(wanted, progress)
            job.batch = result.key
            job.state = "done"
        except Cancelled:
            job.state = "cancelled"
        except MemoryError:
            job.error = "These pictures need more memory than there is. Choose fewer."
            job.state = "failed"
        except CrfWorkerError as error:
            self.crf.renew()
            job.error, job.state = str(error), "failed"
        except Exception as error:  # the page must learn of anything that stops a job
            job.refused = refused(error)
            job.error, job.state = job.refused["error"], "failed"


def result_reply(result: Result) -> dict[str, Any]:
    """What the page must know of a result; pictures and maps come by address."""
    pictures = result.pictures.pictures
    return {
        "set": result.pictures.key,
        "result": result.key,
        "title": result.title,
        "crf": result.crf,
        "problems": result.pictures.problems,
        "notes": result.notes,
        "pictures": [
            {
                "name": one.name,
                "width": one.width,
                "height": one.height,
                "shown": [one.shown.width, one.shown.height],
                "photo": f"studio/segment/{result.key}/{i}/photo",
            }
            for i, one in enumerate(pictures)
        ],
        "layers": [
            {
                "kind": layer.kind,
                "title": layer.title,
                "names": layer.names,
                "colours": layer.colours,
                "shares": layer.shares(),
                "maps": [
                    f"studio/segment/{result.key}/{i}/{layer.kind}" for i in range(len(pictures))
                ],
            }
            for layer in result.layers.values()
        ],
    }


def can_make() -> bool:
    """Whether the trainer can be started from here."""
    try:
        import trainers.launching.runner  # noqa: F401
    except ImportError:
        return False
    return True


def making_reply(standing: Any) -> dict[str, Any]:
    """Where the training of the sample checkpoint stands."""
    return {
        "name": standing.name,
        "state": standing.state,
        "text": standing.text,
        "share": standing.step / standing.steps if standing.steps else 0.0,
        "time_left": standing.time_left,
    }
