"""Images' names → names of files, as near to them as every system allows."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ppap.data.formats import LABEL_SUFFIXES, UNREADABLE_SUFFIXES, is_image_name, suffix_of
from ppap.data.pairing import marked

# What some systems take for something else, and what turns text around. Everything else stays: an
# image's label map is found by the image's own name.
_FORBIDDEN = frozenset('/\\<>:"|?*\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069')
_UNSEEN = frozenset(("Cc", "Cs", "Cn", "Zl", "Zp"))
# Windows' names of devices, whatever follows after a dot.
_DEVICES = frozenset(
    ["con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in "123456789¹²³")]
)
# Bytes of UTF-8 that every system allows for a name, suffix and all.
LONGEST = 255
SUFFIX = ".png"
# Of a stem that leaves room for any image's suffix and ".png" behind it.
_ROOMY = LONGEST - len(".jpeg") - len(SUFFIX)


class FileNames(NamedTuple):
    """What an image is called in all files of a ZIP."""

    stem: str
    """Of its label map and its overlay."""
    image: str
    """Of the image itself, and in the JSON: its own name, unless another image has it or some
    system cannot store it."""


def file_names(names: Sequence[str]) -> list[FileNames]:
    """Names for files, all different, as near as they can be to what the images are called.

    A label map has its image's name without suffix, by which a data set of kind ``folder`` finds
    it. Images of one name and several formats (``a.jpg``, ``a.png``) have label maps with the
    suffix in their names (``a.jpg.png``). The first image of a name keeps it; later ones get a
    number.
    """
    own = [split_name(name) for name in names]
    images = told_apart(own)
    shared = Counter(folded(stem) for stem, _ in images)
    found = []
    for stem, suffix in images:
        image = stem + suffix
        found.append(FileNames(image if shared[folded(stem)] > 1 else stem, image))
    return found


def told_apart(names: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Stems and suffixes of which no two are one file, nor one another's label map, anywhere."""
    found: list[tuple[str, str] | None] = []
    taken: set[str] = set()
    stems = {folded(stem) for stem, _ in names}
    wholes = {folded(stem + suffix) for stem, suffix in names}
    for stem, suffix in names:
        # Where there is no room for the suffix in a label map's name, stems must differ.
        own = folded(stem + suffix if len(stem.encode()) <= _ROOMY else stem)
        fine = own not in taken and not misleads(stem, suffix, stems, wholes)
        found.append((stem, suffix) if fine else None)
        taken |= {own} if fine else set()
    last: dict[str, int] = {}  # number given to a name: thousands of images may share one
    for place, (stem, suffix) in enumerate(names):
        while found[place] is None:
            number = last[folded(stem)] = last.get(folded(stem), 1) + 1
            candidate = numbered(stem, number)
            if folded(candidate) not in stems:
                found[place] = (candidate, suffix)
                stems.add(folded(candidate))
    return [one for one in found if one is not None]


def misleads(stem: str, suffix: str, stems: set[str], wholes: set[str]) -> bool:
    """Whether a data set would take the image, or its label map, for another image's label map:
    ``a_mask.png`` beside ``a.jpg``, ``a.jpg.png`` beside ``a.jpg``."""
    if folded(stem) in wholes:
        return True
    photo = marked(stem) if suffix_of(f"x{suffix}") in LABEL_SUFFIXES else None
    return photo is not None and folded(photo) in stems


def base_name(name: str) -> str:
    """The last part of a path of any system."""
    last = name.replace("\\", "/").rpartition("/")[2]
    return last.encode("utf-8", "replace").decode()  # half a surrogate pair cannot be written


def folded(name: str) -> str:
    """What some systems take for one file: "A" and "a", and an accent written in two ways."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def split_name(name: str) -> tuple[str, str]:
    """What an image is called, as a file's stem and its suffix; ".png" where it has none."""
    whole = base_name(name)
    stem, dot, suffix = whole.rpartition(".")
    known = is_image_name(f"x.{suffix}")
    if dot and (known or suffix_of(f"x.{suffix}") in UNREADABLE_SUFFIXES):
        suffix = dot + suffix if known else SUFFIX
    else:
        stem, suffix = whole, SUFFIX
    # A dot in front hides a file, and so does "~$".
    safe = "".join(map(safe_character, stem)).lstrip(".")
    if safe.startswith("~$"):
        safe = f"_{safe[1:]}"
    if safe.partition(".")[0].rstrip(" ").casefold() in _DEVICES:
        safe = f"_{safe}"
    safe = shortened(safe, LONGEST - max(len(suffix), len(SUFFIX)))
    return (safe if safe.strip() else "image"), suffix


def safe_character(character: str) -> str:
    """The character, or an underscore in its place."""
    fine = character not in _FORBIDDEN and unicodedata.category(character) not in _UNSEEN
    return character if fine else "_"


def shortened(stem: str, most: int) -> str:
    """At most so many bytes of it, cut between characters."""
    return stem.encode()[:most].decode("utf-8", "ignore")


def numbered(stem: str, number: int) -> str:
    """``name (2)``, short enough."""
    ending = f" ({number})"
    return shortened(stem, _ROOMY - len(ending)) + ending


def file_stems(names: Sequence[str]) -> list[str]:
    """The ``stem`` of every name."""
    return [one.stem for one in file_names(names)]


def renamed(names: Iterable[str], found: Iterable[FileNames]) -> list[tuple[str, str]]:
    """Of the images that could not keep their names: name, with its folders where these were
    given, and new name."""
    return [
        (name.encode("utf-8", "replace").decode(), one.image)
        for name, one in zip(names, found, strict=True)
        if base_name(name) != one.image
    ]
