"""What the Segment page asks of the server: plain functions on JSON-like values.

As on Explore, every argument is validated and every refusal is a sentence. Colours, names and
opacity are the page's own: the server hears of them when something is taken away.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from ppap.studio.access.shares import Turns
from ppap.studio.access.visitor import asking, current, on_page
from ppap.studio.answers import answering
from ppap.studio.checkpoints import Checkpoints, CrfProcesses
from ppap.studio.choices import backbone_choices
from ppap.studio.loading import Jobs, Loader
from ppap.studio.requests import (
    MAX_IMAGES,
    SIZES,
    Mistakes,
    RequestError,
    mapping,
    read_request,
    require_allowed,
)
from ppap.studio.segment.jobs import SegmentJob, do, progress_of
from ppap.studio.segment.making import begin_run, can_make, run_so_far
from ppap.studio.segment.packing import Packing
from ppap.studio.segment.replies import result_reply
from ppap.studio.segment.requests import (
    CLUSTERS,
    MOST_CLUSTERS,
    Wanted,
    check_looks,
    read_folder,
    read_model,
)
from ppap.studio.segment.store import Result, SegmentStore
from ppap.studio.segment.switches import read_switches
from ppap.studio.segment.work import Follow, Work
from ppap.studio.store import Upload


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
        # Whoever segments a whole folder, or takes it away, delays nobody else.
        self._jobs, self._turns = Jobs(), Turns("segmenting")
        self._long, self._packing = Turns("folders"), Turns("packing")
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self.packing = Packing(self.store)

    def calls(self) -> list[Callable[[Any], Any]]:
        """What the page may call, by its name."""
        return [
            self.hello,
            self.check,
            self.load,
            self.progress,
            self.stop,
            self.pictures,
            self.take,
            self.make,
            self.making,
        ]

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
    def check(self, request: Any) -> dict[str, Any]:
        """What is wrong with a folder and its split, by field; from names alone."""
        mistakes = Mistakes()
        with mistakes.at("folder"):
            read_folder(mapping(request), self.loader.sources)
        return mistakes.reply()

    @answering
    def load(self, request: Any) -> dict[str, Any]:
        """Begin to segment; the newest request of a page cancels its older one."""
        wanted = self.read(request)
        with asking(on_page(mapping(request).get("page"))) as who:
            job = SegmentJob(page=who.page, owner=who.user)
            job.text = "Waiting for other images"
            key = self._jobs.add(job)
            turns = self._long if wanted.many else self._turns
            turns.submit(who.share, self._run, job, wanted)
        return {"job": key}

    @answering
    def progress(self, job: Any) -> dict[str, Any]:
        """How far a job is, what is done of it, and what it found in the end."""
        found = self._jobs.get(job)
        if not isinstance(found, SegmentJob):
            raise RequestError("This request has expired. Segment again.")
        if found.state == "failed":
            return found.refused or {"error": found.error}
        reply: dict[str, Any] = {"state": found.state, "text": found.text, "share": found.share}
        if found.state == "done" and found.taken:
            reply["result"] = self.packing.taken_reply(found.taken)
        elif found.state == "done":
            reply["result"] = result_reply(self.store.result(found.batch))
        elif found.growing:
            with suppress(RequestError):  # it has ended meanwhile
                result = self.store.result(found.growing)
                reply["part"] = {"result": result.key, "done": len(result.done)}
        return reply

    @answering
    def stop(self, job: Any) -> dict[str, Any]:
        """Let a job do no more: what it has done by now is its result."""
        found = self._jobs.get(job)
        if isinstance(found, SegmentJob):
            found.stop.set()
            if not found.growing:
                found.cancelled.set()
        return {}

    @answering
    def pictures(self, request: Any) -> dict[str, Any]:
        """A result from one of its pictures on; also of one that is not finished."""
        request = mapping(request)
        result = self.store.result(request.get("result"))
        start = request.get("start", 0)
        if isinstance(start, bool) or not isinstance(start, int) or not 0 <= start <= 10**6:
            raise RequestError("The start must be the number of an image.")
        return result_reply(result, min(start, max(0, len(result.done) - 1)))

    @answering
    def take(self, request: Any) -> dict[str, Any]:
        """Make a ZIP of a result, in the page's names and colours; where it can be fetched.

        Of many pictures it takes a while: then it is the result of a job.
        """
        request = mapping(request)
        result = self.store.result(request.get("result"))
        if len(result.done) <= MAX_IMAGES:
            return self.packing.taken_reply(self.packing.pack(request))
        self.packing.read_take(request, result)  # refused at once, if it is
        who = current()
        job = SegmentJob(page="", owner=who.user)
        key = self._jobs.add(job)
        self._packing.submit(who.share, self._run_packing, job, request)
        return {"job": key}

    @answering
    def make(self, _: Any) -> dict[str, Any]:
        """Begin to train a small checkpoint on the sample photos."""
        require_allowed(self.trains, "start runs")
        return begin_run(self.checkpoints)

    @answering
    def making(self, name: Any) -> dict[str, Any]:
        """How far that is."""
        return run_so_far(self.checkpoints, name)

    # What the page's calls share with the scripts' endpoints and the addresses of pictures.

    def read(self, raw: Any) -> Wanted:
        """Check a request; RequestError says which part is wrong."""
        raw = mapping(raw)
        source = raw.get("source", "samples")
        if source not in ("samples", "files", "folder"):
            raise RequestError("The source must be samples, files or folder.")
        kept = None if raw.get("of") is None else self.store.set(raw["of"])
        files: tuple[Upload, ...] = ()
        if source == "files" and kept is None:
            files = read_request({"source": "files", "files": raw.get("files")}).files
        folder, split = None, ""
        if source == "folder" and kept is None:
            folder, split = read_folder(raw, self.loader.sources)
        model = read_model(raw, self.checkpoints, self.first_backbone)
        switches = read_switches(raw, self.crf.why_not)
        check_looks(model, switches)
        return Wanted(files, kept, model, switches, folder, split)

    def run(self, raw: Any) -> Result:
        """Segment to the end (scripts); RequestError where that fails."""
        who = current()
        job, wanted = SegmentJob(page="", owner=who.user), self.read(raw)
        turns = self._long if wanted.many else self._turns
        turns.submit(who.share, self._run, job, wanted).result()
        if job.error:
            raise RequestError(job.error)
        return self.store.result(job.batch)

    def close(self) -> None:
        """Give up what is under way and what waits."""
        self._closing.set()
        for turns in (self._turns, self._long, self._packing):
            turns.shutdown(wait=True)
        self.packing.close()

    # The work itself, in threads of its own.

    def _run(self, job: SegmentJob, wanted: Wanted) -> None:
        progress = progress_of(job, self._closing)

        def begun(result: Result) -> None:
            if wanted.many:
                job.growing = result.key

        def work() -> None:
            job.batch = self.work.segment(wanted, Follow(progress, begun, job.stop)).key

        do(job, "Reading the images", work, progress, self.crf)
        job.growing = ""

    def _run_packing(self, job: SegmentJob, request: Mapping[str, Any]) -> None:
        progress = progress_of(job, self._closing)

        def work() -> None:
            job.taken = self.packing.pack(request, progress)

        do(job, "Packing the images", work, progress, self.crf)
