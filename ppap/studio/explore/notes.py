"""Notes on disk: views of Explore kept under a name with a sentence, beside the runs."""

from __future__ import annotations

import io
import json
import secrets
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from ppap.settings import excerpt
from ppap.studio.access.owners import EVERYBODYS, Ownership, claim, release
from ppap.studio.jobs import folders_in, named
from ppap.studio.requests import RequestError
from ppap.writing import writing

# Hidden, so that it is taken for no run; what is being written is hidden in it.
FOLDER, NEW = ".notes", ".new-"
FORMAT = "ppap-studio note 1"
NOTE, PICTURE, THUMBNAIL = "note.json", "picture.png", "thumbnail.jpg"
THUMBNAIL_SIDES = (360, 240)
LONGEST_NAME, LONGEST_TEXT = 80, 600
# Of one user, or where nobody logs in, of all; and bytes of one picture.
MOST, MOST_BYTES = 300, 32 * 2**20
MOST_PARTS, LONGEST_PART, LONGEST_VIEW = 80, 1000, 6000


class Notes:
    """Notes by their ids.

    Args:
        runs: the folder of all runs.
        ownership: says who may see which.
    """

    def __init__(self, runs: Path, ownership: Ownership = EVERYBODYS) -> None:
        self.folder, self.ownership = runs / FOLDER, ownership

    def _folders(self) -> list[Path]:
        return list(filter(self.ownership.sees, folders_in(self.folder)))

    def listed(self) -> list[dict[str, Any]]:
        """All that can be opened, the newest first, each without its numbers."""
        found = []
        for folder in self._folders():
            note = read_note(folder)
            if note is not None:
                shown = {part: note[part] for part in ("name", "text", "time", "view", "about")}
                found.append({"key": folder.name, **shown})
        return sorted(found, key=lambda one: (-one["time"], one["key"]))

    def folder_of(self, key: object) -> Path:
        """Where a note is; RequestError where there is none of that id."""
        found = named(self._folders(), key, NOTE)
        if found is None:
            raise RequestError(f"There is no note called {excerpt(key)}.")
        return found

    def read(self, key: object) -> dict[str, Any]:
        """A whole note; RequestError where there is none that this version reads."""
        note = read_note(self.folder_of(key))
        if note is None:
            raise RequestError("The note was saved by another version of the studio.")
        return note

    def file(self, key: object, name: object) -> Path:
        """A note's picture or its thumbnail; RequestError where there is none."""
        folder = self.folder_of(key)
        if name not in (PICTURE, THUMBNAIL) or not (folder / str(name)).is_file():
            raise RequestError(f"The note has no file {excerpt(name)}.")
        return folder / str(name)

    def keep(self, note: Mapping[str, Any], picture: bytes) -> str:
        """Keep a note with its picture, a PNG; its id. Whole or not at all.

        Raises:
            RequestError: there are too many, or the picture is too large.
            OSError: it cannot be written.
        """
        if len(self._folders()) >= MOST:
            raise RequestError(f"There are already {MOST} notes. Delete some to save more.")
        if len(picture) > MOST_BYTES:
            raise RequestError("The picture is too large for a note. Show fewer images.")
        key = f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(4)}"
        new = self.folder / f"{NEW}{key}"
        new.mkdir(parents=True)
        try:
            (new / PICTURE).write_bytes(picture)
            (new / THUMBNAIL).write_bytes(thumbnail(picture))
            write(new, {"format": FORMAT, "time": time.time(), **note})
            claim(new)
            new.rename(self.folder / key)
        except BaseException:
            shutil.rmtree(new, ignore_errors=True)
            raise
        return key

    def change(self, key: object, name: str, text: str) -> None:
        """Give a note another name and sentence; errors as ``read``."""
        note = self.read(key)
        write(self.folder_of(key), {**note, "name": name, "text": text})

    def remove(self, key: object) -> None:
        """Delete a note; RequestError where there is none of that id."""
        folder = self.folder_of(key)
        release(folder)
        shutil.rmtree(folder)


def write(folder: Path, note: Mapping[str, Any]) -> None:
    """Write what a note says, whole or not at all."""
    text = json.dumps(note, ensure_ascii=False, indent=1)
    with writing(folder / NOTE) as partial:
        partial.write_text(f"{text}\n", encoding="utf-8")


def read_note(folder: Path) -> dict[str, Any] | None:
    """What a note says; None where there is none that this version reads."""
    try:
        note = json.loads((folder / NOTE).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(note, dict) or note.get("format") != FORMAT:
        return None
    texts = all(isinstance(note.get(part), str) for part in ("name", "text"))
    kinds = (("time", int | float), ("view", dict), ("about", dict), ("shown", list))
    fine = texts and all(isinstance(note.get(part), kind) for part, kind in kinds)
    return note if fine else None


def thumbnail(picture: bytes) -> bytes:
    """A small JPEG of a PNG."""
    with Image.open(io.BytesIO(picture)) as image:
        small = image.convert("RGB")
    small.thumbnail(THUMBNAIL_SIDES, Image.Resampling.LANCZOS)
    out = io.BytesIO()
    small.save(out, "JPEG", quality=85)
    return out.getvalue()


def read_words(raw: Mapping[str, Any]) -> tuple[str, str]:
    """Name and sentence from untrusted values; RequestError names the field."""
    name, text = raw.get("name"), raw.get("text") or ""
    if not isinstance(name, str) or not name.strip():
        raise RequestError("Enter a name for the note.", field="name")
    if not isinstance(text, str):
        raise RequestError("The description must be text.", field="text")
    name, text = " ".join(name.split()), text.strip()
    if len(name) > LONGEST_NAME:
        raise RequestError(f"The name must have at most {LONGEST_NAME} characters.", field="name")
    if len(text) > LONGEST_TEXT:
        said = f"The description must have at most {LONGEST_TEXT} characters."
        raise RequestError(said, field="text")
    for field, words in (("name", name), ("text", text)):
        if any(not (one.isprintable() or one == "\n") for one in words):
            raise RequestError("Some of these characters cannot be displayed.", field=field)
    return name, text


def read_view(raw: object) -> dict[str, str]:
    """What the link of a view says, from untrusted values; pages check what it means.

    RequestError where it cannot be such a link.
    """
    if not isinstance(raw, Mapping) or len(raw) > MOST_PARTS:
        raise RequestError("The view must be the parameters of a link.")
    view = dict(raw)
    for name, value in view.items():
        if not isinstance(name, str) or not isinstance(value, str) or len(name) > LONGEST_NAME:
            raise RequestError("The view must be the parameters of a link.")
    try:
        "".join([*view, *view.values()]).encode()
    except UnicodeEncodeError:  # halves of characters, which no file can hold
        raise RequestError("Some characters in the link to this view cannot be saved.") from None
    longest = max(map(len, view.values()), default=0)
    if longest > LONGEST_PART or sum(map(len, view.values())) > LONGEST_VIEW:
        raise RequestError("The link to this view is too long for a note.")
    return view
