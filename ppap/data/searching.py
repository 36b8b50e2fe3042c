"""A bounded search for pictures in a folder and everything below it, links included."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from ppap.data.confining import is_inside, leads_out
from ppap.data.errors import printable
from ppap.data.formats import (
    HEIF_SUFFIXES,
    INSTALL_HEIF,
    UNREADABLE_SUFFIXES,
    is_image_name,
    suffix_of,
)
from ppap.data.listing import is_dropping, natural_key

# A search of someone's whole disk has to end.
MAX_ENTRIES = 200_000
# Of what was left out, that many are named.
NAMED = 3
_LABEL_NAMES = """
    label labels labelmap labelmaps annotation annotations annots gt gts gtfine gtcoarse
    ann_dir ground_truth groundtruth ground-truth mask masks segmentation segmentations
    segmentationclass segmentationclassaug segmentationobject
"""
_LABEL_FOLDERS = frozenset(_LABEL_NAMES.split())
_LABEL_ENDS = """
    annot -segmentation _label _labels -labels _masks -masks _gt -gt _annotations
    -annotations
"""
_LABEL_ENDINGS = tuple(_LABEL_ENDS.split())


def is_label_folder(name: str) -> bool:
    """Whether people keep label maps in a folder of this name."""
    name = name.casefold()
    return name in _LABEL_FOLDERS or name.endswith(_LABEL_ENDINGS)


_BOUND: ContextVar[int | None] = ContextVar("bound", default=None)


@contextmanager
def bounded(entries: int) -> Iterator[None]:
    """Meanwhile a search ends after so many files and folders, for a look that must be quick."""
    token = _BOUND.set(entries)
    try:
        yield
    finally:
        _BOUND.reset(token)


def most_entries() -> int:
    """After how many files and folders a search ends."""
    bound = _BOUND.get()
    return MAX_ENTRIES if bound is None else min(bound, MAX_ENTRIES)


class _Real(NamedTuple):
    """A folder itself, whatever path leads to it."""

    device: int
    inode: int


@dataclass
class Search:
    """Pictures in ``root`` and below it; what was passed by is told once it is over.

    A linked folder is followed where it leads out of ``root`` and not above it: one that leads to
    a place inside would give its pictures twice, and one that leads above would never end.
    """

    root: Path
    inside_labels: bool = False
    """Whether to look into folders that are named like those of label maps."""
    natural: bool = True
    """Whether the order is one that people expect; another is faster."""
    entries: int = 0
    """Files and folders looked at so far."""
    unreadable: Counter[str] = field(default_factory=Counter)
    """Files passed by that people may take for photos, by their suffix."""
    cut: bool = False
    """Whether ``most_entries`` ended it."""
    label_folders: list[str] = field(default_factory=list)
    """Folders with label maps passed by: they are pictures to the eye of a program only."""
    links: list[str] = field(default_factory=list)
    """Linked folders passed by."""
    outside: list[str] = field(default_factory=list)
    """Links passed by that lead out of what may be looked into."""
    closed: list[str] = field(default_factory=list)
    """Folders that may not be looked into."""

    def __iter__(self) -> Iterator[str]:
        """Paths below the root, with ``/``; folder by folder, each in natural order."""
        self._home = os.path.realpath(self.root)
        self._followed: set[_Real] = set()
        waiting = [""]
        while waiting:
            below = waiting.pop()
            folders, files = self._entries_of(below)
            key = natural_key if self.natural else None
            for name in sorted(files, key=key):
                if is_image_name(name):
                    yield below + name
                elif (suffix := suffix_of(name)) in HEIF_SUFFIXES | UNREADABLE_SUFFIXES:
                    self.unreadable[suffix] += 1
            if self.entries >= most_entries() and (folders or waiting):
                self.cut = True
                return
            waiting += [f"{below}{name}/" for name in sorted(folders, key=key)][::-1]

    def _entries_of(self, below: str) -> tuple[list[str], list[str]]:
        """Folders to look into, and files."""
        folders, files = [], []
        try:
            with os.scandir(self.root / below) as found:
                # In an order, so that of two links to one place always the same is followed.
                for entry in sorted(found, key=name_of):
                    self.entries += 1
                    if is_dropping(entry.name):
                        continue
                    if entry.is_symlink() and leads_out(entry.path):
                        self.outside.append(below + entry.name)
                        continue
                    if not is_folder(entry):
                        files.append(entry.name)
                    elif not self.inside_labels and is_label_folder(entry.name):
                        self.label_folders.append(below + entry.name)
                    elif self._is_to_follow(entry, below):
                        folders.append(entry.name)
        except OSError:
            if below:
                self.closed.append(below.rstrip("/"))
        return folders, files

    def _is_to_follow(self, entry: os.DirEntry[str], below: str) -> bool:
        """Whether a folder is to be searched; of links, each place once."""
        if not entry.is_symlink() and not self._followed:
            return True
        place = os.path.realpath(entry.path)
        about = os.stat(place)  # noqa: PTH116
        real = _Real(about.st_dev, about.st_ino)
        if entry.is_symlink():
            above = is_inside(self._home, place)
            if above or is_inside(place, self._home) or real in self._followed:
                self.links.append(below + entry.name)
                return False
        elif is_inside(place, self._home):
            return True
        if real in self._followed:
            return False
        self._followed.add(real)
        return True

    def notes(self) -> tuple[str, ...]:
        """What the finished search left out."""
        notes = []
        heif = sum(self.unreadable[suffix] for suffix in HEIF_SUFFIXES)
        if heif:
            what = "1 HEIC image was" if heif == 1 else f"{heif} HEIC images were"
            them = "it" if heif == 1 else "them"
            notes.append(
                f"{what} left out: install the reader with {INSTALL_HEIF}, or save {them} as JPEG "
                "or PNG."
            )
        for suffix in sorted(self.unreadable.keys() - HEIF_SUFFIXES):
            count = self.unreadable[suffix]
            files, them = ("1 file", "it") if count == 1 else (f"{count} files", "them")
            were = "was" if count == 1 else "were"
            notes.append(
                f"{files} of the kind {suffix} {were} left out: save {them} as JPEG or PNG."
            )
        if self.label_folders:
            notes.append(f"Label maps were left out: {counted(self.label_folders, 'folder')}.")
        if self.links:
            notes.append(
                f"{counted(self.links, 'linked folder')} left out: what they lead to is already "
                "listed, or lies above this folder."
            )
        if self.outside:
            notes.append(
                f"{counted(self.outside, 'link')} left out: they lead outside the folders that "
                "may be shown."
            )
        if self.closed:
            notes.append(f"{counted(self.closed, 'folder')} left out: no permission to read.")
        if self.cut:
            notes.append(
                f"The search stopped after {self.entries} files: choose a smaller folder to see "
                "the rest."
            )
        return tuple(notes)


def name_of(entry: os.DirEntry[str]) -> str:
    """To sort by."""
    return entry.name


def counted(names: list[str], what: str) -> str:
    """``["a", "b"]`` → ``2 folders (a, b)``, the first few by name."""
    named = ", ".join(printable(name) for name in sorted(names)[:NAMED])
    more = ", …" if len(names) > NAMED else ""
    return f"{len(names)} {what}{'s' * (len(names) != 1)} ({named}{more})"


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Also of what a link leads to; a link to nothing is a file that will be missed."""
    try:
        return entry.is_dir()
    except OSError:
        return False
