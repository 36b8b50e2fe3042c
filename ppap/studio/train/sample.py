"""The sample run as the Train page shows it: finished, and read only."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import Any

from ppap.studio import sample
from ppap.studio.requests import RequestError
from ppap.studio.train.listing import Listing
from trainers.launching.orders import command_line
from trainers.launching.runner import as_text
from trainers.recipes import find
from trainers.runs.standing import Reading, last_lines, settings_of, standing
from trainers.runs.watching import Cursor, Watching, search_log


class SampleRun:
    """What ``Runner`` says of runs, of the one that comes with the project."""

    def __init__(self, listing: Listing) -> None:
        self.reading, self.listing = Reading(), listing
        self.watching = Watching()

    @cached_property
    def standing(self) -> dict[str, Any] | None:
        """Where it stands; None where it did not come along."""
        if not sample.there():
            return None
        one = standing(sample.RUN, self.reading)
        told = self.listing.row(sample.RUN, replace(one, name=sample.KEY, asked=one.updated))
        # Nobody's run is folded with it.
        return {**told, "fold": "", "sample": True}

    @cached_property
    def _step(self) -> int:
        return int((self.standing or {}).get("step") or 0)

    def changes(self, cursor: Cursor, *, log: bool) -> dict[str, Any]:
        """As ``Watching.changes``."""
        found = self.watching.changes(sample.RUN, cursor, log=log)
        if log:
            found["pictures"] = self.pictures
        return found

    @property
    def pictures(self) -> dict[str, list[int]]:
        """Of which steps and images there are predictions."""
        return {"steps": [self._step], "images": [index for index, _ in sample.pictured()]}

    def details(self, free_name: str) -> dict[str, Any]:
        """Its settings, its command, the end of its log, and the order of one like it."""
        config = settings_of(sample.RUN, self.reading)
        usual = find(str(config["recipe"])).config.as_dict()
        changed = {n: as_text(v) for n, v in config.items() if v != usual[n] and n != "recipe"}
        about = {"recipe": config["recipe"], "data": None, "settings": changed}
        return {
            **about,
            "config": config,
            "command": command_line(about, sample.RUN.with_name("samples")),
            "last_lines": last_lines(sample.RUN),
            "free_name": free_name,
        }

    def search(self, words: str) -> list[dict[str, Any]]:
        """The lines of its log that hold some words."""
        return search_log(sample.RUN, words)

    def picture(self, step: int, image: int) -> bytes | None:
        """What it predicted of a photo, as a PNG; None where it is not at hand."""
        if step != self._step:
            return None
        try:
            return sample.strip(image)
        except (RequestError, OSError):
            return None
