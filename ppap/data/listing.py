"""Which files a folder holds, in an order people expect, without opening any of them."""

from __future__ import annotations

import codecs
import os
import re
from collections.abc import Iterable
from pathlib import Path

from ppap.data.confining import LEADS_OUT, leads_out
from ppap.data.errors import LayoutError, printable
from ppap.data.formats import is_image_name, suffix_of

_DIGITS = re.compile(r"([0-9]+)")
# What network disks, archives and systems leave in every folder, thumbnails of the photos among it.
_LEFT_BEHIND = """
    @eadir #recycle #snapshot @recycle @recently-snapshot @synoeastream @sharesnap __macosx
    $recycle.bin recycler lost+found thumbs.db ehthumbs.db desktop.ini __pycache__
"""
_DROPPINGS = {*_LEFT_BEHIND.split(), "system volume information", "icon\r"}


def is_dropping(name: str) -> bool:
    """Whether a name is hidden, or what a system leaves behind: never somebody's picture."""
    return name.startswith((".", "~$")) or name.casefold() in _DROPPINGS


def natural_key(name: str) -> tuple[tuple[tuple[int, int, str], ...], str]:
    """Sort key: ``2.png`` before ``10.png``, capitals beside small letters, never ambiguous."""
    parts = _DIGITS.split(name.casefold())
    key = tuple((0, int(p), "") if p.isdecimal() else (1, 0, p) for p in parts if p)
    return key, name


def names_in(folder: Path) -> list[str]:
    """Names of a folder's visible entries in natural order; none when there is no such folder."""
    try:
        names = [name for name in os.listdir(folder) if not is_dropping(name)]  # noqa: PTH208
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise LayoutError(folder, f"cannot be listed: {error.strerror}") from None
    return sorted(names, key=natural_key)


def has_folder(folder: Path, name: str) -> bool:
    """Whether ``folder/name`` is a folder one may look into."""
    return os.path.isdir(folder / name)  # noqa: PTH112  (no error without permission)


def without_suffix(name: str) -> str:
    """``a/b.c.png`` → ``a/b.c``."""
    return os.path.splitext(name)[0]  # noqa: PTH122


def images_in(folder: Path) -> list[str]:
    """Names of the pictures directly in a folder, in natural order."""
    return [name for name in names_in(folder) if is_image_name(name)]


def twice_in(names: Iterable[str]) -> dict[str, list[str]]:
    """Name without suffix → the names that share it, wherever several do."""
    by_stem: dict[str, list[str]] = {}
    for name in names:
        by_stem.setdefault(without_suffix(name), []).append(name)
    return {stem: found for stem, found in by_stem.items() if len(found) > 1}


def images_by_stem(folder: Path, names: list[str], *, labelled: bool = True) -> dict[str, str]:
    """Name without suffix → name; of pictures that share a stem, the whole name → name.

    Raises:
        LayoutError: two pictures would share a label map. Without label maps they are harmless.
    """
    twice = twice_in(names)
    if labelled:
        for first, second, *_ in twice.values():
            raise LayoutError(
                folder,
                f"contains both {printable(first)} and {printable(second)}, which would share one "
                "label map: rename one of them",
            )
    return {name if (stem := without_suffix(name)) in twice else stem: name for name in names}


def files_by_stem(folder: Path, suffixes: Iterable[str]) -> dict[str, str]:
    """Name without suffix → name, of the files with one of ``suffixes`` in any case."""
    wanted = tuple(suffixes)
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if not is_dropping(entry.name)]
    except OSError:
        return {}
    # The spelling that was published wins over the others.
    chosen = sorted((n for n in names if suffix_of(n) in wanted), key=lambda n: suffix_of(n) in n)
    return {without_suffix(name): name for name in chosen}


class Spelled:
    """The files of a folder by their names without suffix, whatever the suffix's capitals.

    Each folder is listed once, when the first of its files is asked for.
    """

    def __init__(self, folder: Path, suffixes: Iterable[str], default: str) -> None:
        """``default``: the suffix that a missing file should have."""
        self.folder, self.suffixes, self.default = folder, tuple(suffixes), default
        self._names: dict[str, dict[str, str]] = {}

    def __call__(self, stem: str) -> Path:
        """The path of ``city/name``; of a file that is missing, the path that it should have."""
        below, _, base = stem.rpartition("/")
        if below not in self._names:
            self._names[below] = files_by_stem(self.folder / below, self.suffixes)
        return self.folder / below / self._names[below].get(base, base + self.default)


def read_lines(path: Path) -> list[str]:
    """The lines of a text file without the white space around them; no blank ones at the end.

    Raises:
        LayoutError: no such file, or not text.
    """
    if leads_out(path):
        raise LayoutError(path, LEADS_OUT)
    try:
        raw = path.read_bytes()
        # What PowerShell writes begins with the mark of UTF-16, what Notepad writes with UTF-8's.
        utf16 = raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        text = raw.decode("utf-16" if utf16 else "utf-8-sig")
    except UnicodeDecodeError:
        raise LayoutError(path, "is not a text file (UTF-8)") from None
    except OSError as error:
        raise LayoutError(path, f"cannot be read: {error.strerror}") from None
    # Only real ends of line: str.splitlines would also cut at characters that names may hold.
    # "\r" alone ended lines on the first Macintoshes, and still does in what Excel saves there.
    return [line.strip() for line in re.split("\r\n|\n|\r", text.rstrip())]
