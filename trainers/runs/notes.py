"""Tags and a note that people give to a run: ``notes.json`` in its folder.

Nothing that trains reads or writes it. Whoever writes it holds the lock of the folder of all runs.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ppap.settings import SettingError, excerpt
from ppap.writing import writing
from trainers.runs.values import read_json

FILE = "notes.json"
# Written as one word, so that a search can name it. Accents that follow their letter belong to it.
TAG = re.compile(r"\w[\w.:/+-]{0,39}")
ACCENTS = ("Mn", "Mc")
MOST_TAGS, LONGEST_NOTE = 20, 4000
# Bytes of the file, whatever it is written in.
LARGEST = 2**17
# Ends of lines of every kind, as text from elsewhere has them.
LINE_ENDS = re.compile("\r\n|[\r\v\f\x85\u2028\u2029]")
# What turns around the text behind it.
TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
TAG_RULE = "begin with a letter or digit, then use letters, digits and - _ . : / +, up to 40"


class Notes(NamedTuple):
    """What people say of a run."""

    tags: tuple[str, ...] = ()
    note: str = ""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"tags": list(self.tags), "note": self.note}


def checked_notes(raw: Mapping[str, Any]) -> Notes:
    """Tags and a note from untrusted values: ``tags``, a list, and ``note``, a text.

    Raises:
        SettingError: at ``tags`` or ``note``, what is wrong with it.
    """
    return Notes(_tags(raw.get("tags")), _note(raw.get("note")))


def _tags(value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise SettingError("tags", "Tags must be a list of words.")
    if len(value) > MOST_TAGS:
        raise SettingError("tags", f"A run has at most {MOST_TAGS} tags.")
    found: dict[str, str] = {}
    for given in value:
        one = unicodedata.normalize("NFC", given[:1000])
        # A letter stands for each accent that has none of its own.
        letters = "".join(
            "a" if i and unicodedata.category(c) in ACCENTS else c for i, c in enumerate(one)
        )
        if not TAG.fullmatch(letters):
            raise SettingError("tags", f"{excerpt(given)!r} cannot be a tag: {TAG_RULE}.")
        # Capital or not, it is the same tag, written as it was first.
        found.setdefault(one.casefold(), one)
    return tuple(found.values())


def _note(value: object) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise SettingError("note", "A note must be text.")
    text = LINE_ENDS.sub("\n", value).strip()
    if len(text) > LONGEST_NOTE:
        raise SettingError("note", f"A note has at most {LONGEST_NOTE:,} characters.")
    if not all(map(_shown, text)):
        raise SettingError("note", "The note has characters that cannot be shown.")
    return text


def _shown(one: str) -> bool:
    """Whether a character of a note can be shown: not controls, nor halves of pairs. Emoji and many
    scripts are joined by some that are not seen themselves."""
    return one in "\n\t" or (unicodedata.category(one) not in ("Cc", "Cs") and one not in TURNING)


def sound_notes(raw: Mapping[str, Any]) -> Notes:
    """What of a file's values makes sense."""
    tags: tuple[str, ...] = ()
    note = ""
    with contextlib.suppress(SettingError):
        tags = _tags(raw.get("tags"))
    with contextlib.suppress(SettingError):
        note = _note(raw.get("note"))
    return Notes(tags, note)


def _free(file: Path) -> Path:
    """A name for a damaged file that no other has."""
    names = (f"{file.stem}.damaged-{number}{file.suffix}" for number in itertools.count(1))
    return next(one for name in names if not (one := file.with_name(name)).exists())


def read_notes(folder: Path) -> Notes:
    """The tags and the note of a run; empty where there are none, or they are damaged."""
    return sound_notes(read_json(folder / FILE, LARGEST))


def changed(folder: Path, known: Notes) -> bool:
    """Whether something else stands there than somebody knows."""
    return read_notes(folder) != known


def add_tags(folder: Path, tags: Sequence[str]) -> None:
    """Add tags to those that a run has; nothing happens for none.

    Raises:
        SettingError: they cannot be, or are too many with those that are there.
        OSError: they cannot be written.
    """
    if tags:
        known = read_notes(folder)
        write_notes(folder, known._replace(tags=_tags([*known.tags, *tags])))


def write_notes(folder: Path, notes: Notes) -> None:
    """Write them whole or not at all; OSError where that is impossible.

    A file that makes no sense is kept beside them.
    """
    file = folder / FILE
    if file.exists() and read_json(file, LARGEST) != read_notes(folder).as_dict():
        file.rename(_free(file))
    text = json.dumps(notes.as_dict(), ensure_ascii=False, indent=1) + "\n"
    with writing(folder / FILE) as partial:
        partial.write_text(text, encoding="utf-8")
