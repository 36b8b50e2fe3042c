"""Segmented pictures that pages look at: kept small, in memory, by ids that cannot be guessed."""

from __future__ import annotations

import secrets
import threading
from bisect import insort
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from ppap.data import DataError, Photo
from ppap.data.classes import Colour
from ppap.data.fitting import at_size
from ppap.studio.access.shares import Shares
from ppap.studio.access.visitor import current
from ppap.studio.answers import Packed, jpeg, packed
from ppap.studio.requests import RequestError
from ppap.studio.segment.shelf import Maps, Shelf, Slip

# Sides of what a page draws, for few pictures and for many.
SHOWN, SHOWN_OF_MANY, MANY = 1024, 640, 12
# Of one user, or where nobody logs in, of one page; and of all together.
MAX_SETS, MAX_ALL_SETS = 3, 64
MAX_RESULTS, MAX_RESULT_BYTES = 16, 2**30
# Sets that keep what makes them fast; others make it again when they are segmented again.
MAX_FULL = 4
# Reduced label maps of a result.
MAX_DRAWN = 256
MAX_PROBLEMS = 20
# Decoded pictures of a set that stay in memory; others are read again.
MAX_PIXELS = 40_000_000


class Size(NamedTuple):
    """Pixels."""

    height: int
    width: int


def shown_size(height: int, width: int, pictures: int) -> Size:
    """The size at which a page draws a picture, one of ``pictures``."""
    most = SHOWN if pictures <= MANY else SHOWN_OF_MANY
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


@dataclass(eq=False)
class Picture:
    """One picture of a set."""

    name: str
    read: Callable[[], np.ndarray]
    """Decodes it: uint8 ``(H, W, 3)``."""
    height: int
    width: int
    notes: tuple[str, ...] = ()
    photo: bytes | Slip = b""
    """JPEG, at ``shown``."""
    number: int = 0
    """Which of the set's readers it comes from."""
    shown: Size = field(default_factory=lambda: Size(1, 1))
    kept: np.ndarray | None = None

    @property
    def rgb(self) -> np.ndarray:
        """uint8 ``(H, W, 3)``; DataError where the file has gone meanwhile."""
        kept = self.kept  # another thread may let go of it meanwhile
        return self.read() if kept is None else kept


class Reader(NamedTuple):
    """A picture that can be read."""

    name: str
    read: Callable[[], Photo]


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
        name, read = self.readers[number]
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
        one.photo = drawn if self.shelf is None else self.shelf.put(drawn)
        self._pixels += height * width
        if self._pixels <= MAX_PIXELS:
            one.kept = rgb
        self._by_number[number] = one
        insort(self.pictures, one, key=lambda each: each.number)
        return one, rgb

    def said(self) -> list[str]:
        """What could not be read."""
        more = self.unread - len(self.problems)
        return [*self.problems, *([f"{more} more pictures cannot be read."] if more > 0 else [])]

    def lighten(self) -> None:
        """Let go of what can be made again; results still know the pictures."""
        self.seen = (None, None)
        for one in self.pictures:
            one.kept = None


class Layer(NamedTuple):
    """One segmentation of every picture of a set."""

    kind: str
    """clusters or classes."""
    title: str
    names: tuple[str, ...]
    colours: tuple[Colour, ...]
    maps: Maps


@dataclass(eq=False)
class Result:
    """A set, segmented."""

    pictures: PictureSet
    layers: dict[str, Layer]
    title: str
    """What segmented it."""
    crf: bool
    notes: list[str] = field(default_factory=list)
    key: str = field(default_factory=lambda: secrets.token_urlsafe(12))
    done: list[Picture] = field(default_factory=list)
    """The pictures that are segmented; those of every layer's maps."""
    drawn: dict[tuple[int, str], Packed] = field(default_factory=dict)
    owner: str = field(default_factory=lambda: current().user)
    """The user whose it is; empty where nobody logs in."""

    @property
    def memory(self) -> int:
        """Bytes of the large parts."""
        previews = [one.photo for one in self.pictures.pictures]
        photos = sum(len(one) for one in previews if isinstance(one, bytes))
        shelved = 0 if self.pictures.shelf is None else self.pictures.shelf.size // 4
        return photos + shelved + sum(layer.maps.memory for layer in self.layers.values())

    def photo(self, image: int) -> bytes:
        """A picture as JPEG; RequestError where there is none."""
        if not 0 <= image < len(self.done):
            raise RequestError("There is no such picture.")
        found = self.done[image].photo
        return found if isinstance(found, bytes) else found.read()

    def layer(self, kind: object) -> Layer:
        """A segmentation by its kind; RequestError where there is none."""
        if not isinstance(kind, str) or kind not in self.layers:
            raise RequestError(f"The kind must be {' or '.join(self.layers)}.")
        return self.layers[kind]

    def drawing(self, image: int, kind: object) -> Packed:
        """A label map at the size at which it is drawn; RequestError where there is none."""
        layer = self.layer(kind)
        if not 0 <= image < len(layer.maps):
            raise RequestError("There is no such picture.")
        key = (image, layer.kind)
        found = self.drawn.get(key)
        if found is None:
            found = reduced(layer.maps[image], self.done[image].shown)
            if len(self.drawn) >= MAX_DRAWN:
                self.drawn.clear()
            self.drawn[key] = found
        return found


class SegmentStore:
    """Keeps the sets and results used last, within limits that everybody has a share of.

    Whoever logs in finds only their own. Safe for many threads.
    """

    def __init__(self) -> None:
        self._sets: Shares[PictureSet] = Shares(MAX_SETS, MAX_ALL_SETS)
        self._results: Shares[Result] = Shares(
            MAX_RESULTS, MAX_RESULT_BYTES, lambda one: one.memory
        )
        self._growing: dict[str, Result] = {}
        self._lock = threading.Lock()

    def add_set(self, one: PictureSet) -> None:
        """Keep a set, for whoever asks right now."""
        with self._lock:
            for gone in self._sets.put(one.key, one, current().share):
                gone.lighten()
            self._lighten()

    def _lighten(self) -> None:
        for old in list(self._sets.values())[MAX_FULL:]:
            old.lighten()

    def add_result(self, one: Result) -> None:
        """Keep a result, for whoever asks right now."""
        with self._lock:
            self._results.put(one.key, one, current().share)

    @contextmanager
    def growing(self, one: Result) -> Iterator[None]:
        """Meanwhile the result can be looked at, as far as it is."""
        with self._lock:
            self._growing[one.key] = one
        try:
            yield
        finally:
            with self._lock:
                del self._growing[one.key]

    def set(self, key: object) -> PictureSet:
        """A set by its id; RequestError when it is gone."""
        with self._lock:
            found = self._sets.get(key)
            self._lighten()
        if found is not None and current().owns(found.owner):
            return found
        raise RequestError("These pictures are no longer in memory. Choose them again.")

    def result(self, key: object) -> Result:
        """A result by its id; RequestError when it is gone."""
        with self._lock:
            found = self._results.get(key)
            if found is None and isinstance(key, str):
                found = self._growing.get(key)
        if found is not None and current().owns(found.owner):
            return found
        raise RequestError("This segmentation is no longer in memory. Segment again.")
