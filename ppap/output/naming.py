"""Images' names → names of files, as near to them as every system allows."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

# What some systems take for something else, and what turns text around. Everything else stays: an
# image's label map is found by the image's own name.
_FORBIDDEN = frozenset('/\\<>:"|?*\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069')
_UNSEEN = frozenset(("Cc", "Cs", "Cn", "Zl", "Zp"))
# With ".png" that makes 255, the most that systems allow: Windows counts UTF-16 units, others count
# bytes. An image's own name is never longer where the image lies.
LONGEST = 251


class FileNames(NamedTuple):
    """What an image is called in all files of a ZIP."""

    stem: str
    """Of its label map and its overlay."""
    image: str
    """In the JSON: the image's own name, told apart from equal ones as ``stem`` is."""


def file_names(names: Sequence[str]) -> list[FileNames]:
    """Names for files, all different, as near as they can be to what the images are called.

    The first image of a name keeps it; later ones get a number.
    """
    own = [split_name(name) for name in names]
    stems: list[str | None] = []
    taken: set[str] = set()
    for stem, _ in own:
        stems.append(None if folded(stem) in taken else stem)
        taken.add(folded(stem))
    found, seen = [], set()
    last: dict[str, int] = {}  # number given to a name: thousands of images may share one
    for (stem, suffix), unique, name in zip(own, stems, names, strict=True):
        number = last.get(folded(stem), 1)
        while unique is None:
            number = last[folded(stem)] = number + 1
            candidate = numbered(stem, number)
            if folded(candidate) not in taken:
                unique = candidate
                taken.add(folded(unique))
        shown = base_name(name) or f"{unique}{suffix}"
        equal = folded(shown) in seen
        seen.add(folded(shown))
        found.append(FileNames(unique, f"{unique}{suffix}" if equal else shown))
    return found


def base_name(name: str) -> str:
    """The last part of a path of any system."""
    last = name.replace("\\", "/").rpartition("/")[2]
    return last.encode("utf-8", "replace").decode()  # half a surrogate pair cannot be written


def folded(name: str) -> str:
    """What some systems take for one file: "A" and "a", and an accent written in two ways."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def split_name(name: str) -> tuple[str, str]:
    """What an image is called, as a file's stem and its suffix."""
    whole = base_name(name)
    stem, dot, suffix = whole.rpartition(".")
    if not stem:
        stem, dot, suffix = whole, "", ""
    # A dot in front hides a file.
    safe = shortened("".join(map(safe_character, stem)).lstrip("."))
    return (safe if safe.strip() else "image"), dot + suffix


def safe_character(character: str) -> str:
    """The character, or an underscore in its place."""
    fine = character not in _FORBIDDEN and unicodedata.category(character) not in _UNSEEN
    return character if fine else "_"


def shortened(stem: str) -> str:
    """At most LONGEST UTF-16 units of it."""
    return stem.encode("utf-16-le", "replace")[: 2 * LONGEST].decode("utf-16-le", "ignore")


def numbered(stem: str, number: int) -> str:
    """``name (2)``, short enough in units and in bytes."""
    ending = f" ({number})"
    return stem.encode()[: LONGEST - len(ending)].decode("utf-8", "ignore") + ending


def file_stems(names: Sequence[str]) -> list[str]:
    """The ``stem`` of every name."""
    return [one.stem for one in file_names(names)]
