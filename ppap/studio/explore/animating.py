"""What the Explore page asks about animations: made in the background, one at a time."""

from __future__ import annotations

import contextlib
import io
import os
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from ppap.settings import excerpt
from ppap.studio.access.visitor import Visitor, asking, current, on_page
from ppap.studio.answers import answering
from ppap.studio.explore.animation import TYPES, animate, encoder, with_map
from ppap.studio.explore.exports import File
from ppap.studio.explore.maps import stand_in_of
from ppap.studio.explore.server import Server
from ppap.studio.requests import RequestError, mapping, refusal
from ppap.studio.temporary import FILES

# Waiting and done, of all pages together.
MOST_JOBS, MOST_WAITING = 24, 8
NICE = 10  # clicks come first


class Cancelled(Exception):
    """Nobody waits for it any more."""


@dataclass
class Job:
    """One animation."""

    visitor: Visitor
    state: str = "waiting"
    """waiting, running, done, failed or cancelled."""
    text: str = "Waiting for another animation"
    share: float = 0.0
    error: str = ""
    name: str = ""
    type: str = ""
    file: Path | None = None
    cancelled: threading.Event = field(default_factory=threading.Event)

    def told(self) -> dict[str, Any]:
        """For the page."""
        return {"state": self.state, "text": self.text, "share": self.share, "name": self.name}


class Animating:
    """The animations of all Explore pages.

    Args:
        server: of the page.
    """

    def __init__(self, server: Server) -> None:
        self.server = server
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._lock = threading.Lock()
        self._turn = threading.Lock()

    def calls(self) -> list[Callable[[Any], Any]]:
        """What the page may call, by its name."""
        return [self.animation_formats, self.animate, self.animation, self.cancel_animation]

    @answering
    def animation_formats(self, _: Any) -> dict[str, Any]:
        """Kinds of files that this machine can make."""
        return {"formats": [one for one in TYPES if one != "mp4" or encoder()]}

    @answering
    def animate(self, request: Any) -> dict[str, Any]:
        """Begin: what ``take`` is asked for, with a format of ``TYPES``, and {map: true or false}.

        An older one of the same page ends.
        """
        request = mapping(request)
        self.check(request)
        job = Job(on_page(request.get("page")))
        key = secrets.token_urlsafe(9)
        with self._lock:
            waiting = [one for one in self._jobs.values() if one.state in ("waiting", "running")]
            for one in waiting:
                if job.visitor.page and one.visitor == job.visitor:
                    one.cancelled.set()
            if len(waiting) >= MOST_WAITING:
                raise RequestError("Other animations are waiting. Try again in a minute.")
            self._jobs[key] = job
            while len(self._jobs) > MOST_JOBS:
                _, old = self._jobs.popitem(last=False)
                old.cancelled.set()
                discard(old)
        threading.Thread(
            target=self._run, args=(key, job, request), name="animation", daemon=True
        ).start()
        return {"job": key}

    @answering
    def animation(self, key: Any) -> dict[str, Any]:
        """How far it is; its name when it is done."""
        job = self.job(key)
        return {"error": job.error} if job.state == "failed" else job.told()

    @answering
    def cancel_animation(self, key: Any) -> dict[str, Any]:
        """End it before the next picture."""
        job = self.job(key)
        job.cancelled.set()
        return job.told()

    # What the above share with the scripts' endpoint and the routes.

    def job(self, key: object) -> Job:
        """A job of whoever asks right now; RequestError where there is none."""
        with self._lock:
            job = self._jobs.get(key) if isinstance(key, str) else None
        if job is None or not current().owns(job.visitor.user):
            raise RequestError("This animation is no longer available. Make it again.")
        return job

    def check(self, request: Mapping[str, Any]) -> None:
        """RequestError or another refusal where a request makes no sense; draws one step."""
        format = request.get("format")
        if not isinstance(format, str) or format not in TYPES:
            said = f"The format must be one of {', '.join(TYPES)}, not {excerpt(format)}."
            raise RequestError(said, field="format")
        if not isinstance(request.get("map", False), bool):
            raise RequestError("map must be true or false.")
        held = self.server.store.get(request.get("batch"))
        shown = self.server.shown(held, request)
        if shown.rival_error:
            raise RequestError(shown.rival_error)

    def make(self, request: Mapping[str, Any], tell: Callable[[str, float], None]) -> File:
        """Make one; errors are sentences.

        Args:
            request: as ``animate`` takes it.
            tell: see ``animation.Progress``.
        """
        self.check(request)
        held = self.server.store.get(request.get("batch"))
        view = self.server.shown(held, request).own.view
        places = None
        if request.get("map"):
            fitted = self.server.maps.result(held.key)
            places = stand_in_of(held) if fitted is None else fitted

        def draw(step: int) -> Image.Image:
            file = self.server.file({**request, "format": "png", "step": step})
            with Image.open(io.BytesIO(file.data)) as image:
                picture = image.convert("RGB")
            return picture if places is None else with_map(picture, view, step, places)

        kind = str(request["format"])
        data = animate(draw, len(view.steps) - 1, kind, tell)
        where = held.batch.position(int(view.sets.anchors[0]))
        name = f"ppap-{where.image}-{where.row}-{where.column}.{kind}"
        return File(name, TYPES[kind], data)

    def _run(self, key: str, job: Job, request: Mapping[str, Any]) -> None:
        with contextlib.suppress(OSError, AttributeError):  # of this thread, on Linux
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)

        def tell(text: str, share: float) -> None:
            if job.cancelled.is_set():
                raise Cancelled
            job.state, job.text, job.share = "running", text, share

        with self._turn, asking(job.visitor):
            try:
                made = self.make(request, tell)
                tell("Writing", 1.0)
                folder = FILES.folder / "animations"
                folder.mkdir(parents=True, exist_ok=True)
                file = folder / key
                file.write_bytes(made.data)
                job.name, job.type, job.file = made.name, made.type, file
                job.state = "done"
            except Cancelled:
                job.state = "cancelled"
            except Exception as error:
                job.state, job.error = "failed", refusal(error)
        if job.cancelled.is_set():
            discard(job)


def discard(job: Job) -> None:
    """Remove what a job has made."""
    if job.file is not None:
        job.file.unlink(missing_ok=True)
