"""What the Explore page asks about notes, and what scripts share with it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any

from ppap.studio.answers import answering
from ppap.studio.explore.exports import Shown, rule_json
from ppap.studio.explore.note_page import as_page
from ppap.studio.explore.notes import PICTURE, Notes, read_view, read_words
from ppap.studio.explore.server import Server
from ppap.studio.requests import mapping, require_allowed
from ppap.studio.store import Held


class Noting:
    """The notes' side of the Explore page.

    Args:
        server: of the page.
        notes: on disk.
        allowed: whether pages may keep, change and delete notes; they can be read all the same.
    """

    def __init__(self, server: Server, notes: Notes, *, allowed: bool = True) -> None:
        self.server, self.kept, self.allowed = server, notes, allowed

    def calls(self) -> list[Callable[[Any], Any]]:
        """What the page may call, by its name."""
        return [self.notes, self.keep_note, self.change_note, self.remove_note]

    @answering
    def notes(self, _: Any) -> dict[str, Any]:
        """All notes, the newest first."""
        return {"notes": self.kept.listed(), "closed": not self.allowed}

    @answering
    def keep_note(self, request: Any) -> dict[str, Any]:
        """Keep what is shown: {name, text, view: parts of its link, state: as of ``take``}."""
        request = mapping(request)
        key = self.keep(request, read_view(request.get("view")), mapping(request.get("state")))
        return {"key": key, "notes": self.kept.listed()}

    @answering
    def change_note(self, request: Any) -> dict[str, Any]:
        """Give a note another name and sentence: {key, name, text}."""
        request = mapping(request)
        self.change(request.get("key"), request)
        return {"notes": self.kept.listed()}

    @answering
    def remove_note(self, key: Any) -> dict[str, Any]:
        """Delete a note."""
        self.remove(key)
        return {"notes": self.kept.listed()}

    # What the above share with the scripts' endpoints.

    def keep(self, words: Mapping[str, Any], view: dict[str, str], state: Mapping[str, Any]) -> str:
        """Keep a note of what ``state`` asks for; its id. Errors are sentences."""
        require_allowed(self.allowed, "save notes")
        name, text = read_words(words)
        held = self.server.store.get(state.get("batch"))
        # The picture first: it checks all of the request.
        picture = self.server.file({**state, "format": "png"})
        seen = self.server.shown(held, state)
        second = [] if seen.second is None else [seen.second.shown]
        rival = [] if seen.rival is None else [seen.rival]
        note = {
            "name": name,
            "text": text,
            "view": view,
            "about": facts(held, state, seen.own),
            "shown": [numbers(one) for one in (seen.own, *rival, *second)],
        }
        return self.kept.keep(note, picture.data)

    def change(self, key: object, words: Mapping[str, Any]) -> None:
        """Rename a note; errors are sentences."""
        require_allowed(self.allowed, "change notes")
        self.kept.change(key, *read_words(words))

    def remove(self, key: object) -> None:
        """Delete a note; errors are sentences."""
        require_allowed(self.allowed, "delete notes")
        self.kept.remove(key)

    def page(self, key: object) -> str:
        """A note as a page that stands alone; RequestError where there is none."""
        return as_page(self.kept.read(key), self.kept.file(key, PICTURE).read_bytes())


def facts(held: Held, state: Mapping[str, Any], own: Shown) -> dict[str, Any]:
    """What a note is of, in words by name."""
    batch = held.batch
    where = batch.position(int(own.view.sets.anchors[0]))
    names = list(itertools.islice(batch.names, 12))
    more = len(batch.names) - len(names)
    recipe = {
        name: held.recipe[name]
        for name in ("folder", "split", "seed", "run", "at", "output")
        if held.recipe.get(name) not in (None, "", 0)
    }
    look = mapping(state.get("look") or {})
    return {
        "images": ", ".join(names) + (f" and {more} more" if more else ""),
        **recipe,
        "features": batch.backbone.title,
        "anchor": f"{batch.names[where.image]}, row {where.row}, column {where.column}",
        "step": state.get("step"),
        "overlay": str(look.get("style", "sets"))[:40],
    }


def numbers(shown: Shown) -> dict[str, Any]:
    """A rule's settings, and the numbers of every step without the lists of patches."""
    found = rule_json(shown)
    steps = [
        {name: value for name, value in step.items() if not name.endswith("_patches")}
        for step in found["steps"]
    ]
    title = f"{found['title']}, {shown.features}" if shown.features else found["title"]
    return {"title": title, "settings": found["settings"], "steps": steps}
