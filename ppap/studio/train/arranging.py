"""What the Train page asks about the queue, and about the tags and notes of runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ppap.settings import excerpt
from ppap.studio import sample
from ppap.studio.answers import answering
from ppap.studio.requests import RequestError, mapping
from trainers.launching.arranging import Arranging, as_reply
from trainers.launching.runner import Runner
from trainers.runs.notes import Notes, checked_notes, read_notes, sound_notes


class ArrangingCalls:
    """Calls beside those of ``Training``; every argument is untrusted.

    Args:
        runner: the runs.
        require_allowed: RequestError where pages may only look.
    """

    def __init__(self, runner: Runner, require_allowed: Callable[[], None]) -> None:
        self.runner, self.require_allowed = runner, require_allowed
        self.arranging = Arranging(runner)

    def calls(self) -> list[Callable[[Any], Any]]:
        """What the page may call, by its name."""
        return [self.queue, self.notes]

    @answering
    def queue(self, request: Any) -> dict[str, Any]:
        """Pause or resume the queue, or move a waiting run in it: first, up or down."""
        return self.arranged(mapping(request))

    @answering
    def notes(self, request: Any) -> dict[str, Any]:
        """A run's tags and note; with ``tags`` or ``note``, those are written first.

        ``known``, if it is there, is what stood there when somebody began to write.
        """
        request = mapping(request)
        name = request.get("name")
        writes = "note" in request or "tags" in request
        if name == sample.KEY and not writes:
            return {"tags": [], "note": ""}
        sample.refuse(name)
        if writes:
            return self.noted(request)
        return read_notes(self.runner.folder(name)).as_dict()

    # What the above share with the scripts' endpoints.

    def arranged(self, request: Any) -> dict[str, Any]:
        """What the queue is then; errors as of ``Arranging``."""
        action, name = request.get("action"), request.get("name")
        sample.refuse(name)
        if action == "look":
            return {"queue": self.standing()}
        self.require_allowed()
        if action == "pause":
            self.arranging.pause()
        elif action == "resume":
            self.arranging.go_on()
        elif action == "move":
            self.arranging.move(name, request.get("to"))
        else:
            raise RequestError(f"There is no action {excerpt(action)!r}.")
        return {"queue": self.standing()}

    def standing(self) -> dict[str, Any]:
        """Whether the queue is paused: ``since``, and whether ``by_all``."""
        return as_reply(self.arranging.paused())

    def noted(self, request: Any) -> dict[str, Any]:
        """Write a run's tags and note; errors as of ``Arranging.note``."""
        self.require_allowed()
        wanted, known = checked_notes(request), request.get("known")
        before = None if known is None else sound_notes(mapping(known))
        parts = [part for part in Notes._fields if part in request]
        return self.arranging.note(request.get("name"), wanted, before, parts).as_dict()
