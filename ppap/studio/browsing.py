"""The folders of this server that pages may show: listed, searched, completed while one types.

Everything goes through ``Sources``: a studio that others can reach shows the folders that it was
started with and what is below them, no link out of them, and nothing of another user.
"""

from __future__ import annotations

import heapq
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ppap.backbones.folders import has_weights
from ppap.data import printable
from ppap.data.formats import is_image_name, suffix_of
from ppap.data.listing import is_dropping, natural_key
from ppap.settings import excerpt
from ppap.studio.access.visitor import current
from ppap.studio.answers import answering
from ppap.studio.looking import Looking
from ppap.studio.near import absolute, as_typed, exists
from ppap.studio.patience import Patience
from ppap.studio.requests import LONGEST_TEXT, RequestError, mapping, sendable
from ppap.studio.sources import WEIGHTS, Sources, is_folder, resolved

# Entries of a folder that are told at once, that are kept in order, and that are looked at.
PAGE, KEPT, LOOKED_AT = 200, 20_000, 500_000
COMPLETIONS = 12
RECENT = 12
SECONDS, TYPING_SECONDS = 6.0, 2.0
LONGEST_FILTER = 255
COMPUTER = "This computer"
# What is looked for → the files that fit it; folders are told in any case.
WANTS: Mapping[str, frozenset[str]] = {
    "folder": frozenset(),
    "checkpoint": WEIGHTS,
    "backbone": WEIGHTS,  # and folders that hold a model's
    "features": frozenset((".npz",)),
}


@dataclass
class Listing:
    """What a folder holds, as far as it may be told."""

    entries: list[dict[str, Any]] = field(default_factory=list)
    """name, path and kind of each; size in bytes and time of files; model, where a folder is one
    that a backbone can be."""
    total: int = 0
    """How many fit, of which ``entries`` are a part."""
    pictures: int = 0
    outside: int = 0
    """Links that lead out of what may be shown."""
    odd: int = 0
    """Names that are no text."""
    cut: bool = False
    """Whether there are more than were looked at, or kept in order."""


class Browsing:
    """What all pages ask of the server about its folders.

    Args:
        sources: says what may be shown.
        folders: as the studio was started with.
        runs: the folder of all runs.
    """

    def __init__(self, sources: Sources, *, folders: Sequence[Path], runs: Path) -> None:
        self.sources, self.runs = sources, runs
        self.given = [absolute(str(folder)) or folder for folder in folders]
        self.patience = Patience()
        self.looking = Looking(sources, self.patience)

    def calls(self) -> list[Callable[[Any], Any]]:
        """What the pages may call, by its name."""
        return [self.browse_folder, self.complete_path, self.looking.look_at_folder]

    @answering
    def browse_folder(self, request: Any) -> dict[str, Any]:
        """The entries of a folder; of a path that is not there, of the nearest above it that is.

        Without a path: where one may begin, those of the paths in ``recent`` first that are there.
        """
        raw = mapping(request)
        text, want = read_path(raw.get("path")), read_want(raw.get("want"))
        wanted, start = read_filter(raw.get("filter")), read_start(raw.get("start"))
        recent = raw.get("recent")
        recent = recent[:RECENT] if isinstance(recent, list) else []

        def work() -> dict[str, Any]:
            if not text:
                return self.beginning(recent, want)
            return self.browse(text, want, wanted, start, nearest=bool(raw.get("nearest")))

        return self.patience.within(SECONDS, work)

    @answering
    def complete_path(self, request: Any) -> dict[str, Any]:
        """How a path may go on that somebody types; nothing where there is nothing to tell."""
        raw = mapping(request)
        text, want = read_path(raw.get("text")), read_want(raw.get("want"))
        return self.patience.within(TYPING_SECONDS, lambda: {"paths": self.complete(text, want)})

    # What the pages' calls share with the scripts' endpoints.

    def browse(
        self, text: str, want: str, wanted: str = "", start: int = 0, *, nearest: bool = False
    ) -> dict[str, Any]:
        """A folder as pages and scripts get it; RequestError where it may not be shown."""
        folder, marked, said = self._nearest(text) if nearest else (self._shown(text), "", "")
        found = self.listing(folder, want, wanted, start)
        return {
            "path": str(folder),
            "name": printable(folder.name or COMPUTER),
            "crumbs": [
                {"name": printable(each.name or COMPUTER), "path": str(each)}
                for each in self._way_to(folder)
            ],
            "up": self._above(folder),
            "marked": marked,
            "entries": found.entries,
            "start": start,
            "total": found.total,
            "pictures": found.pictures,
            "said": [said] * bool(said) + notes_on(found),
        }

    def beginning(self, recent: Sequence[object], want: str) -> dict[str, Any]:
        """Where one may begin."""
        places = []
        for one in recent:
            path = self._if_shown(one)
            if path is not None and (path.is_dir() or suffix_of(path.name) in WANTS[want]):
                places.append(place(path, "recent", file=not path.is_dir()))
        starts = [(folder, "") for folder in self.given]
        if want == "checkpoint":
            starts.append((self.runs, "Runs"))
        if self.sources.any_folder:
            home = absolute("~")
            starts += [] if home is None else [(home, "Home")]
            starts.append((Path(Path.cwd().anchor), COMPUTER))
        known = set()
        for start, name in starts:
            shown = self._if_shown(str(start))
            if shown is not None and shown.is_dir() and shown not in known:
                known.add(shown)
                places.append(place(shown, "places", name))
        return {"path": "", "places": places, "who": current().user, "said": []}

    def complete(self, text: str, want: str) -> list[dict[str, str]]:
        """Paths that begin like ``text``, written as it is written; at most COMPLETIONS."""
        offers = [
            {"path": str(root), "kind": "folder"}
            for root in self.given
            if str(root).startswith(text) and str(root) != text and self._if_shown(str(root))
        ]
        above, slash, begun = text.rpartition("/")
        folder = self._if_shown(above or slash) if slash else None
        if folder is not None and is_folder(folder):
            try:
                found = self.listing(folder, want, begun, 0, beginning=True, most=COMPLETIONS)
            except RequestError:
                return offers
            for entry in found.entries:
                path = as_typed(Path(entry["path"]), text)
                offers.append({"path": path, "kind": entry["kind"]})
        return list({offer["path"]: offer for offer in offers}.values())[:COMPLETIONS]

    def listing(
        self,
        folder: Path,
        want: str,
        wanted: str,
        start: int,
        *,
        beginning: bool = False,
        most: int = PAGE,
    ) -> Listing:
        """Folders first, then files that fit, in an order that people expect.

        Args:
            folder: one that may be shown.
            want: one of WANTS.
            wanted: what names must hold, or with ``beginning`` begin with, in any case.
            start: how many of them to pass by.
            beginning: see ``wanted``.
            most: how many to tell.

        Raises:
            RequestError: it cannot be read.
        """
        found = Listing()
        wanted = wanted.casefold()

        def fits(name: str) -> bool:
            own = name.casefold()
            return own.startswith(wanted) if beginning else wanted in own

        def keyed() -> Iterator[tuple[bool, Any, str]]:
            for name, is_file in self._names(folder, want, found):
                if fits(name):
                    found.total += 1
                    yield is_file, natural_key(name), name

        try:
            # In bounded memory, however many there are.
            kept = heapq.nsmallest(min(start + most, KEPT), keyed())
        except OSError as error:
            raise RequestError(f"{folder} cannot be opened: {error.strerror or error}.") from None
        found.cut = found.cut or found.total > KEPT
        found.entries = [entry_of(folder / name, is_file) for is_file, _, name in kept[start:]]
        if want == "backbone":
            for entry in found.entries:
                if entry["kind"] == "folder" and has_weights(Path(entry["path"])):
                    entry["model"] = True
        return found

    def _names(self, folder: Path, want: str, found: Listing) -> Iterator[tuple[str, bool]]:
        """Names of what may be told, and whether each is a file; the rest is counted."""
        real = resolved(str(folder)) or folder
        with os.scandir(folder) as entries:
            for number, entry in enumerate(entries):
                if number >= LOOKED_AT:
                    found.cut = True
                    return
                name = entry.name
                if is_dropping(name):
                    continue
                if sendable(name) != name:
                    found.odd += 1
                    continue
                link = entry.is_symlink()
                is_file = not is_directory(entry)
                if is_file and is_image_name(name):
                    found.pictures += 1
                if is_file and suffix_of(name) not in WANTS[want]:
                    continue
                place = resolved(entry.path) if link else real / name
                if place is None or not self.sources.shows(place):
                    found.outside += link
                    continue
                yield name, is_file

    def _shown(self, text: str) -> Path:
        """A folder that may be shown, by the path that people know; RequestError otherwise."""
        real = self.sources.folder(text)
        path = absolute(text)
        # "a/link/.." is not "a", and links to a folder's own place are no way that is shown.
        if path is None or ".." in Path(text).parts or not self._is_below(path):
            return real
        return path

    def _if_shown(self, text: object) -> Path | None:
        """The path if it may be told of; None otherwise, without a word."""
        try:
            path = absolute(read_path(text))
        except RequestError:
            return None
        if path is None or not str(text):
            return None
        real = resolved(str(path))
        if real is None or not self.sources.shows(real) or not exists(real):
            return None
        return path

    def _nearest(self, text: str) -> tuple[Path, str, str]:
        """The folder to open for a path, the entry to mark in it, and what to say."""
        path = absolute(text)
        if path is not None:
            for above in (path, *path.parents):
                shown = self._if_shown(str(above))
                if shown is None:
                    continue
                if not is_folder(shown):
                    return self._shown(str(shown.parent)), str(shown), ""
                said = "" if above == path else f"There is no {excerpt(text)} on this server."
                return self._shown(str(shown)), "", said
        return self._shown(text), "", ""

    def _is_below(self, path: Path) -> bool:
        """Whether a path lies, by its name, in what may be shown."""
        return self.sources.any_folder or any(
            path.is_relative_to(root) for root in (*self.sources.folders, *self.given)
        )

    def _way_to(self, folder: Path) -> list[Path]:
        """The folders above one, as far as they may be shown, and itself."""
        way = [*reversed(folder.parents), folder]
        return [each for each in way if self._is_below(each)]

    def _above(self, folder: Path) -> str:
        """The folder above; empty where that is where one begins."""
        above = folder.parent
        return str(above) if above != folder and self._is_below(above) else ""


def read_path(value: object) -> str:
    """A path that somebody names; RequestError for what can be none."""
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > LONGEST_TEXT:
        raise RequestError(f"A path must be text of at most {LONGEST_TEXT} characters.")
    if "\0" in value or sendable(value) != value:
        raise RequestError("The path contains characters that are not allowed.")
    return value


def read_want(value: object) -> str:
    """What is looked for; RequestError for what is no such thing."""
    if value is None:
        return "folder"
    if not isinstance(value, str) or value not in WANTS:
        raise RequestError(f"What is wanted must be one of {', '.join(WANTS)}.")
    return value


def read_filter(value: object) -> str:
    """What names must hold; RequestError for what is no text."""
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > LONGEST_FILTER:
        raise RequestError(f"A filter must be text of at most {LONGEST_FILTER} characters.")
    return value


def read_start(value: object) -> int:
    """How many entries to pass by; RequestError for what is no such number."""
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= KEPT:
        raise RequestError(f"The start must be a whole number from 0 to {KEPT}.")
    return value


def is_directory(entry: os.DirEntry[str]) -> bool:
    """Also of what a link leads to; what cannot be looked at is none."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def entry_of(path: Path, is_file: bool) -> dict[str, Any]:
    """An entry as pages get it."""
    told: dict[str, Any] = {
        "name": printable(path.name),
        "path": str(path),
        "kind": "file" if is_file else "folder",
    }
    if is_file:
        try:
            about = path.stat()
        except OSError:
            return told
        told |= {"size": about.st_size, "time": about.st_mtime}
    return told


def place(path: Path, group: str, name: str = "", *, file: bool = False) -> dict[str, str]:
    """Where one may begin, as pages get it."""
    kind = "file" if file else "folder"
    name = name or printable(path.name or str(path))
    return {"name": name, "path": str(path), "group": group, "kind": kind}


def notes_on(found: Listing) -> list[str]:
    """What was not told of a folder."""
    said = []
    if found.outside:
        links = "1 link was" if found.outside == 1 else f"{found.outside} links were"
        said.append(f"{links} left out, as they lead outside the folders that may be shown.")
    if found.odd:
        names = "1 entry was" if found.odd == 1 else f"{found.odd} entries were"
        said.append(f"{names} left out, because the name is not valid text.")
    if found.cut:
        said.append(f"There are more than {KEPT:,} entries. Type part of a name to filter them.")
    return said
