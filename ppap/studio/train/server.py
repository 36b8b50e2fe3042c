"""What the Train page asks of the server: plain functions on JSON-like values.

As on Explore, anyone can call these with any argument: every argument is validated, and every
refusal is a sentence, at its field where it has one.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ppap.backbones import as_path
from ppap.settings import SettingError, excerpt
from ppap.studio import sample
from ppap.studio.answers import answering
from ppap.studio.networks import Networks
from ppap.studio.requests import CLOSED, LONGEST_TEXT, RequestError, mapping, refusal
from ppap.studio.sources import Sources
from ppap.studio.train.arranging import ArrangingCalls
from ppap.studio.train.curves import READING_SECONDS, read_ahead, read_range
from ppap.studio.train.faults import findings, near, no_split, wrong_data
from ppap.studio.train.listing import Listing
from ppap.studio.train.predictions import PredictionCalls
from ppap.studio.train.sample import SampleRun
from ppap.studio.train.suggesting import Suggesting
from ppap.studio.train.typed import as_typed
from ppap.studio.training_lists import training_lists
from trainers.launching.estimates import as_reply
from trainers.launching.orders import Order, command_line, plain_text, read_order
from trainers.launching.runner import Runner, free_name
from trainers.recipes import find
from trainers.runs.standing import Standing
from trainers.runs.watching import Cursor, picture_file, search_log

# Runs watched in one call.
WATCHED = 24
LARGEST = 2**63 - 1


class Training:
    """The Train page's side of the server.

    Args:
        runner: the runs.
        sources: which folders and files may be looked into.
        allowed: whether pages may start, change and delete runs.
        networks: opens backbones for suggestions; by default its own.
    """

    def __init__(
        self,
        runner: Runner,
        sources: Sources,
        *,
        allowed: bool = True,
        networks: Networks | None = None,
    ) -> None:
        self.runner, self.sources, self.allowed = runner, sources, allowed
        self.listing = Listing(runner.reading)
        self.arranging = ArrangingCalls(runner, self.require_allowed)
        self.suggesting = Suggesting(networks or Networks(sources, None), self.sound_order)
        self.sample = SampleRun(self.listing)
        self.predicting = PredictionCalls(runner, self.sample)
        # An estimate loads a backbone: two at once would take twice the memory.
        self._estimating = threading.Lock()

    def calls(self) -> list[Callable[[Any], Any]]:
        """What the page may call, by its name."""
        return [
            self.lists,
            self.check,
            self.inspect,
            self.start,
            self.watch,
            self.finer,
            self.act,
            self.details,
            self.search,
            self.compare,
            *self.arranging.calls(),
            *self.suggesting.calls(),
            *self.predicting.calls(),
        ]

    @answering
    def lists(self, _: Any) -> dict[str, Any]:
        """Recipes, settings and limits from which the page builds its form."""
        closed = "" if self.allowed else CLOSED
        return {"root": str(self.runner.root), "closed": closed, **training_lists()}

    @answering
    def check(self, request: Any) -> dict[str, Any]:
        """What is wrong with an order, by field, and the command that would do the same."""
        request = mapping(request)
        order, errors = self.order(request)
        if order is None:
            typed = as_typed(request, self.runner.root, errors)
            said = {"command": typed.command, "command_said": typed.said}
            return {"errors": errors, **said, **self.offers(request, errors)}
        return {"errors": {}, "command": self.command(order), "command_said": ""}

    @answering
    def inspect(self, request: Any) -> dict[str, Any]:
        """The findings about an order's data, and what it will need."""
        request = mapping(request)
        order, errors = self.order(request)
        if order is None:
            offers = self.offers(request, errors)
            return {"errors": errors, "findings": [], "estimate": None, **offers}
        return self.inspected(order)

    @answering
    def start(self, request: Any) -> dict[str, Any]:
        """Begin a run, or put it into the queue."""
        return {"run": self.begin(mapping(request)).as_dict()}

    @answering
    def watch(self, request: Any) -> dict[str, Any]:
        """The list of runs if it has changed, and what is new of those that are watched.

        ``known`` and ``partly`` as for ``Listing.news``.
        """
        request = mapping(request)
        wanted = request.get("watch") or []
        if not isinstance(wanted, list) or len(wanted) > WATCHED:
            raise RequestError(f"At most {WATCHED} runs are watched at a time.")
        partly = request.get("partly") is True
        news = self.listing.news(self.runner, request.get("known"), partly=partly)
        changes = {}
        until = time.monotonic() + READING_SECONDS
        watched = [mapping(one) for one in wanted]
        read_ahead(self.runner, watched, until)
        for one in watched:
            try:
                changes[str(one.get("name"))] = self.changes(
                    one.get("name"), one.get("cursor"), log=bool(one.get("log")), until=until
                )
            except SettingError:
                continue  # it was deleted or renamed meanwhile, as the list tells
        return {
            **news,
            "changes": changes,
            "sample": self.sample.standing,
            "queue": self.arranging.standing(),
        }

    @answering
    def finer(self, request: Any) -> dict[str, Any]:
        """A run's curves between two steps, as finely as a reply holds them."""
        request = mapping(request)
        first, last = read_range(request.get("from"), request.get("to"))
        name = request.get("name")
        if name == sample.KEY and self.sample.standing:
            return self.sample.watching.between(sample.RUN, first, last)
        return self.runner.watching.between(self.runner.folder(name), first, last)

    @answering
    def act(self, request: Any) -> dict[str, Any]:
        """Stop, kill, resume, rename or delete a run."""
        request = mapping(request)
        action, name = request.get("action"), request.get("name")
        sample.refuse(name)
        if action == "contents":
            return {"contents": self.runner.contents(name)._asdict()}
        self.require_allowed()
        if action in ("stop", "kill"):
            return {"run": self.runner.stop(name, now=action == "kill").as_dict()}
        if action == "resume":
            return {"run": self.resumed(name, request).as_dict()}
        if action == "rename":
            return {"run": self.runner.rename(name, request.get("new_name")).as_dict()}
        if action == "delete":
            return {"contents": self.runner.delete(name)._asdict()}
        raise RequestError(f"There is no action {excerpt(action)!r}.")

    @answering
    def details(self, name: Any) -> dict[str, Any]:
        """A run's settings, its command, the end of its log, and a name for one like it."""
        if name == sample.KEY:
            return self.sample.details(free_name(self.runner.root, "samples"))
        about = self.runner.about(name)
        return {
            **about,
            "config": self.runner.settings(name),
            "command": self.runner.command(name),
            "script": self.runner.script(name),
            "last_lines": self.runner.last_lines(name),
            "free_name": free_name(self.runner.root, str(name)),
        }

    @answering
    def search(self, request: Any) -> dict[str, Any]:
        """The lines of a run's log that hold some words."""
        request = mapping(request)
        words = request.get("words")
        if not isinstance(words, str) or not 0 < len(words) <= LONGEST_TEXT:
            raise RequestError("Enter a text to search for.")
        if request.get("name") == sample.KEY:
            return {"lines": self.sample.search(words)}
        return {"lines": search_log(self.runner.folder(request.get("name")), words)}

    @answering
    def compare(self, names: Any) -> dict[str, Any]:
        """Runs side by side."""
        return self.compared(names)

    # What the above share with the scripts' endpoints.

    def require_allowed(self) -> None:
        """RequestError where pages may only look."""
        if not self.allowed:
            raise RequestError(CLOSED)

    def order(self, request: Mapping[str, Any]) -> tuple[Order | None, dict[str, str]]:
        """An order from untrusted values, or what is wrong with it by field."""
        order, errors = read_order(request, folder=self.sources.folder)
        if order is not None and as_path(order.config.backbone) is not None:
            try:
                self.sources.weights(order.config.backbone)
            except RequestError as error:
                return None, {"backbone": str(error)}
        return order, errors

    def offers(self, request: Mapping[str, Any], errors: Mapping[str, str]) -> dict[str, Any]:
        """Under "offers": what paths that are wrong may mean, by field; nothing without any."""
        found: dict[str, list[str]] = {}
        if "data" in errors:
            found["data"] = near(self.sources.folder, request.get("data"))
        settings = request.get("settings")
        backbone = settings.get("backbone") if isinstance(settings, Mapping) else None
        if "backbone" in errors and isinstance(backbone, str):
            found["backbone"] = near(self.sources.file, str(as_path(backbone) or ""))
        found = {field: offers for field, offers in found.items() if offers}
        return {"offers": found} if found else {}

    def sound_order(self, request: Mapping[str, Any]) -> Order:
        """An order; SettingError for the first thing that is wrong with it."""
        order, errors = self.order(request)
        if order is None:
            field, text = next(iter(errors.items()))
            raise SettingError(field, text)
        return order

    def begin(self, request: Mapping[str, Any]) -> Standing:
        """Begin the run that is asked for.

        Raises:
            SettingError, RequestError, RunError: something does not fit; data with errors included.
        """
        self.require_allowed()
        order = self.sound_order(request)
        if said := wrong_data(findings(order), order):
            raise SettingError("data", said)
        if said := no_split(order):
            raise SettingError("eval_split", said)
        with self._estimating:
            return self.runner.start(order)

    def resumed(self, name: object, request: Mapping[str, Any]) -> Standing:
        """Go on with a run: with other ``settings`` of the machine, or ``on`` another place, where
        the request says so.

        Raises:
            SettingError, RequestError, RunError: it cannot go on, or not so.
        """
        place = {part: request[part] for part in ("on", "slurm") if request.get(part)}
        changes = mapping(request.get("settings") or {})
        return self.runner.resume(name, changes, place if "on" in place else None)

    def clone(self, name: object, new: object, changes: Mapping[str, Any]) -> Standing:
        """Begin a run like another, with some settings changed; errors as ``begin``."""
        about = self.runner.about(name)
        settings = {**about["settings"], **mapping(changes)}
        return self.begin({**about, "name": new, "settings": settings})

    def inspected(self, order: Order) -> dict[str, Any]:
        """Findings, and the estimate or why there is none."""
        found = findings(order)
        reply: dict[str, Any] = {"errors": {}, "findings": found, "estimate": None}
        if said := wrong_data(found, order):
            return {**reply, "errors": {"data": said}}
        if said := no_split(order):
            return {**reply, "errors": {"eval_split": said}}
        try:
            with self._estimating:
                return {**reply, "estimate": as_reply(self.runner.estimate(order))}
        except SettingError as error:
            return {**reply, "errors": {error.field: str(error)}}
        except Exception as error:
            return {**reply, "errors": {"": refusal(error)}}

    def command(self, order: Order) -> str:
        """The command line of an order."""
        return command_line(order.about(), self.runner.root / order.name)

    def changes(
        self, name: object, cursor: object, *, log: bool = True, until: float | None = None
    ) -> dict[str, Any]:
        """What is new of a run since a cursor, which may be None; ``until`` as for ``Watching``."""
        if name == sample.KEY and self.sample.standing:
            return self.sample.changes(read_cursor(cursor), log=log)
        folder = self.runner.folder(name)
        return self.runner.watching.changes(folder, read_cursor(cursor), log=log, until=until)

    def standing(self, name: object) -> dict[str, Any]:
        """Where a run stands; SettingError where there is none."""
        if name == sample.KEY and self.sample.standing:
            return self.sample.standing
        return self.runner.standing(name).as_dict()

    def compared(self, names: object) -> dict[str, Any]:
        """Runs side by side; errors as ``Runner.compare``."""
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise RequestError("Name the runs in a list.")
        return self.runner.compare(names[:WATCHED])

    def picture(self, name: str, step: int, image: int) -> Path | bytes | None:
        """One prediction, as a file or as a PNG's bytes; None where there is none."""
        if name == sample.KEY:
            return self.sample.picture(step, image)
        try:
            return picture_file(self.runner.folder(name), step, image)
        except SettingError:
            return None

    def suggested_name(self, recipe: object) -> str:
        """A name for a new run of a recipe; SettingError where there is no such recipe."""
        return free_name(self.runner.root, find(plain_text("recipe", recipe)).name)


def read_cursor(raw: object) -> Cursor:
    """A cursor from untrusted values; what makes no sense in it means the beginning."""
    if not isinstance(raw, Mapping):
        return Cursor()
    found = {}
    for name in Cursor._fields:
        value = raw.get(name)
        least = -1 if name == "log" else 0
        if isinstance(value, int) and not isinstance(value, bool) and least <= value <= LARGEST:
            found[name] = value
    return Cursor(**found)
