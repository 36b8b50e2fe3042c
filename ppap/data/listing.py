"""Which files a folder holds, in an order people expect, without opening any of them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ppap.data.errors import LayoutError, printable

_SUFFIXES = ".jpg .jpeg .png .webp .avif .gif .bmp .tif .tiff .ppm .pgm .pbm .jp2"
IMAGE_SUFFIXES = frozenset(_SUFFIXES.split())
# Photos people will look for; they are counted, so that their absence can be explained.
UNREADABLE_SUFFIXES = frozenset((".heic", ".heif"))
# A search of someone's whole disk has to end.
MAX_ENTRIES = 200_000
_DIGITS = re.compile(r"([0-9]+)")


def natural_key(name: str) -> tuple[tuple[tuple[int, int, str], ...], str]:
    """Sort key: ``2.png`` before ``10.png``, capitals beside small letters, never ambiguous."""
    parts = _DIGITS.split(name.casefold())
    key = tuple((0, int(p), "") if p.isdecimal() else (1, 0, p) for p in parts if p)
    return key, name


def names_in(folder: Path) -> list[str]:
    """Names of a folder's visible entries in natural order; none when there is no such folder."""
    try:
        names = [name for name in os.listdir(folder) if not name.startswith(".")]  # noqa: PTH208
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise LayoutError(folder, f"cannot be listed: {error.strerror}") from None
    return sorted(names, key=natural_key)


def has_folder(folder: Path, name: str) -> bool:
    """Whether ``folder/name`` is a folder one may look into."""
    return os.path.isdir(folder / name)  # noqa: PTH112  (no error without permission)


def is_image_name(name: str) -> bool:
    """Whether the name ends like a picture's."""
    return os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES  # noqa: PTH122


def without_suffix(name: str) -> str:
    """``a/b.c.png`` → ``a/b.c``."""
    return os.path.splitext(name)[0]  # noqa: PTH122


def images_in(folder: Path) -> list[str]:
    """Names of the pictures directly in a folder, in natural order."""
    return [name for name in names_in(folder) if is_image_name(name)]


def images_by_stem(folder: Path, names: list[str]) -> dict[str, str]:
    """Name without suffix → name; LayoutError where two pictures would share a label map."""
    found: dict[str, str] = {}
    for name in names:
        stem = without_suffix(name)
        if stem in found:
            raise LayoutError(
                folder,
                f"holds both {printable(found[stem])} and {printable(name)}, "
                "which would share one label map: rename one of them",
            )
        found[stem] = name
    return found


def is_label_folder(name: str) -> bool:
    """Whether the published layouts keep label maps in a folder of this name."""
    name = name.lower()
    return name in ("labels", "label", "annotations", "gtfine", "gt", "masks") or name.endswith(
        ("annot", "-segmentation")
    )


@dataclass
class Search:
    """A bounded search for pictures in a folder and everything below it."""

    root: Path
    entries: int = 0
    """Files and folders looked at so far."""
    unreadable: int = 0
    """HEIC photos passed by."""
    cut: bool = False
    """Whether MAX_ENTRIES ended it."""
    label_folders: int = 0
    """Folders with label maps passed by: they are pictures to the eye of a program only."""

    def __iter__(self) -> Iterator[str]:
        """Paths below the root, with ``/``; folder by folder, each in natural order."""
        for folder, folders, files in os.walk(self.root):
            self.entries += len(folders) + len(files)
            wanted = [f for f in folders if not f.startswith(".") and not is_label_folder(f)]
            self.label_folders += sum(is_label_folder(f) for f in folders)
            folders[:] = sorted(wanted, key=natural_key)
            for name in sorted(files, key=natural_key):
                if name.startswith("."):
                    continue
                path = Path(folder, name).relative_to(self.root).as_posix()
                if is_image_name(name):
                    yield path
                elif os.path.splitext(name)[1].lower() in UNREADABLE_SUFFIXES:  # noqa: PTH122
                    self.unreadable += 1
            if self.entries >= MAX_ENTRIES and folders:
                self.cut = True
                return

    def notes(self) -> tuple[str, ...]:
        """What the finished search left out."""
        notes = []
        if self.unreadable:
            notes.append(f"{self.unreadable} HEIC photos were left out: save them as JPEG or PNG.")
        if self.label_folders:
            folders = "folder" if self.label_folders == 1 else "folders"
            notes.append(f"{self.label_folders} {folders} of label maps were left out.")
        if self.cut:
            notes.append(
                f"The search stopped after {self.entries} files: "
                "choose a smaller folder to see the others."
            )
        return tuple(notes)


def read_lines(path: Path) -> list[str]:
    """The lines of a text file without the white space around them; no blank ones at the end.

    Raises:
        LayoutError: no such file, or not text.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise LayoutError(path, "is not a text file (UTF-8)") from None
    except OSError as error:
        raise LayoutError(path, f"cannot be read: {error.strerror}") from None
    # Only real ends of line: str.splitlines would also cut at characters that names may hold.
    return [line.strip() for line in text.rstrip().split("\n")]


def read_list(path: Path) -> list[str]:
    """The names in a list, one a line; blank lines are passed over.

    Raises:
        LayoutError: as ``read_lines``, or a name that would lead out of the data set.
    """
    names = read_lines(path)
    for number, name in enumerate(names, 1):
        if name.startswith("/") or "\0" in name or ".." in PurePosixPath(name).parts:
            raise LayoutError(path, f"names a file outside the data set in line {number}")
    return [name for name in names if name]
