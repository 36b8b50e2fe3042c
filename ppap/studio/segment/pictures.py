"""Pictures that are segmented together: read when they are needed, their previews kept."""

from __future__ import annotations

import secrets
from bisect import insort
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from ppap.data import DataError, Photo
from ppap.data.fitting import at_size
from ppap.studio.access.visitor import current
from ppap.studio.answers import Packed, jpeg, packed
from ppap.studio.segment.shelf import Shelf, Slip

# Sides of what a page draws, for few pictures and for many; and of one that is looked at closely.
SHOWN, SHOWN_OF_MANY, MANY = 1024, 640, 12
LARGE = 2048
MAX_PROBLEMS = 20
# Bytes of a set's previews on disk; those of further pictures are drawn when they are looked at.
MAX_PREVIEWS = 2 * 2**30
# Decoded pictures of a set that stay in memory; others are read again.
MAX_PIXELS = 40_000_000


class Size(NamedTuple):
    """Pixels."""

    height: int
    width: int


def shown_size(height: int, width: int, pictures: int) -> Size:
    """The size at which a page draws a picture, one of ``pictures``."""
    return fitted(height, width, SHOWN if pictures <= MANY else SHOWN_OF_MANY)


def fitted(height: int, width: int, most: int) -> Size:
    """A picture's size with neither side above ``most``."""
    scale = min(1.0, most / max(height, width))
    return Size(max(1, round(height * scale)), max(1, round(width * scale)))


def reduced(one: Packed, size: Size) -> Packed:
    """A label map at the size at which it is drawn: each pixel takes the nearest id."""
    import torch

    if size == (one.height, one.width):
        return one
    return packed(at_size(torch.from_numpy(one.ids()), *size))


def reduced_photo(rgb: np.ndarray, size: Size) -> Image.Image:
    """A picture at the size at which it is drawn."""
    image = Image.fromarray(rgb)
    return image.resize((size.width, size.height), Image.Resampling.BICUBIC, reducing_gap=2.0)


def file_of(file: Path | None, rgb: np.ndarray) -> tuple[Path | None, int]:
    """A photo's file and its bytes; without one, those of a PNG at the most."""
    try:
        if file is not None:
            return file, file.stat().st_size
    except OSError:  # gone meanwhile: what was read is here
        pass
    return None, rgb.nbytes


@dataclass(eq=False)
class Picture:
    """One picture of a set."""

    name: str
    read: Callable[[], np.ndarray]
    """Decodes it: uint8 ``(H, W, 3)``."""
    height: int
    width: int
    notes: tuple[str, ...] = ()
    photo: bytes | Slip | None = None
    """JPEG, at ``shown``; None: drawn when it is looked at."""
    file: Path | None = None
    """Where the photo lies; None where that is no file that others read alike."""
    size: int = 0
    """Bytes of the photo when it is taken away."""
    number: int = 0
    """Which of the set's readers it comes from."""
    shown: Size = field(default_factory=lambda: Size(1, 1))
    kept: np.ndarray | None = None

    @property
    def large(self) -> Size:
        """The size at which it is drawn when it is looked at closely."""
        return fitted(self.height, self.width, LARGE)

    @property
    def rgb(self) -> np.ndarray:
        """uint8 ``(H, W, 3)``; DataError where the file has gone meanwhile."""
        kept = self.kept  # another thread may let go of it meanwhile
        return self.read() if kept is None else kept


class Reader(NamedTuple):
    """A picture that can be read."""

    name: str
    read: Callable[[], Photo]
    file: Path | None = None
    """Where it lies; None where that is no file that others read alike."""


@dataclass(eq=False)
class PictureSet:
    """Pictures that are segmented together, read when each is first needed."""

    pictures: list[Picture]
    """Those that have been read, in the order of the readers."""
    problems: list[str]
    """On those that cannot be read; MAX_PROBLEMS at most."""
    readers: Sequence[Reader] = ()
    notes: tuple[str, ...] = ()
    """On the folder they come from."""
    shelf: Shelf | None = None
    """Has their previews, where there are many."""
    unread: int = 0
    """How many cannot be read."""
    key: str = field(default_factory=lambda: secrets.token_urlsafe(12))
    seen: tuple[object, Any] = (None, None)
    """Features of the frozen backbone: which, and what they are."""
    owner: str = field(default_factory=lambda: current().user)
    """The user whose it is; empty where nobody logs in."""
    _by_number: dict[int, Picture | None] = field(default_factory=dict)
    _pixels: int = 0

    @property
    def total(self) -> int:
        """How many there are, readable or not."""
        return len(self.readers) or len(self.pictures)

    def take(self, number: int) -> tuple[Picture, np.ndarray] | None:
        """A picture and what it shows, uint8 ``(H, W, 3)``; None where it cannot be read."""
        if number in self._by_number:
            known = self._by_number[number]
            return None if known is None else (known, known.rgb)
        name, read, file = self.readers[number]
        try:
            photo = read()
        except DataError as error:
            self._by_number[number] = None
            self.unread += 1
            if len(self.problems) < MAX_PROBLEMS:
                self.problems.append(str(error))
            return None
        rgb = photo.rgb
        height, width = rgb.shape[:2]
        one = Picture(name, lambda: read().rgb, height, width, photo.notes, number=number)
        one.shown = shown_size(height, width, len(self.readers))
        drawn = jpeg(reduced_photo(rgb, one.shown))
        if self.shelf is None:
            one.photo = drawn
        elif self.shelf.size < MAX_PREVIEWS:
            one.photo = self.shelf.put(drawn)
        one.file, one.size = file_of(file, rgb)
        self._pixels += height * width
        if self._pixels <= MAX_PIXELS:
            one.kept = rgb
        self._by_number[number] = one
        insort(self.pictures, one, key=lambda each: each.number)
        return one, rgb

    def said(self) -> list[str]:
        """What could not be read."""
        more = self.unread - len(self.problems)
        return [*self.problems, *([f"{more} more images cannot be read."] if more > 0 else [])]

    def lighten(self) -> None:
        """Let go of what can be made again; results still know the pictures."""
        self.seen = (None, None)
        for one in self.pictures:
            one.kept = None
