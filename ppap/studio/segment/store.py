"""Segmented pictures that pages look at: kept small, in memory, by ids that cannot be guessed."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from ppap.data.classes import Colour
from ppap.data.fitting import at_size
from ppap.studio.access.shares import Shares
from ppap.studio.access.visitor import current
from ppap.studio.answers import Packed, packed
from ppap.studio.requests import RequestError

# Sides of what a page draws, for few pictures and for many.
SHOWN, SHOWN_OF_MANY, MANY = 1024, 640, 12
# Of one user, or where nobody logs in, of one page; and of all together.
MAX_SETS, MAX_ALL_SETS = 3, 64
MAX_RESULTS, MAX_RESULT_BYTES = 16, 2**30
# Sets that keep what makes them fast; others make it again when they are segmented again.
MAX_FULL = 4
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
    photo: bytes = b""
    """JPEG, at ``shown``."""
    shown: Size = field(default_factory=lambda: Size(1, 1))
    kept: np.ndarray | None = None

    @property
    def rgb(self) -> np.ndarray:
        """uint8 ``(H, W, 3)``; DataError where the file has gone meanwhile."""
        kept = self.kept  # another thread may let go of it meanwhile
        return self.read() if kept is None else kept


@dataclass(eq=False)
class PictureSet:
    """Pictures that are segmented together."""

    pictures: list[Picture]
    problems: list[str]
    key: str = field(default_factory=lambda: secrets.token_urlsafe(12))
    seen: tuple[object, Any] = (None, None)
    """Features of the frozen backbone: which, and what they are."""
    owner: str = field(default_factory=lambda: current().user)
    """The user whose it is; empty where nobody logs in."""

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
    maps: Sequence[Packed]

    def shares(self) -> list[float]:
        """Of all pixels of all pictures, by id."""
        counts = np.zeros(len(self.names))
        for one in self.maps:
            # Shifted by one: of no class comes first.
            counts += np.bincount(one.ids().ravel() + 1, minlength=len(counts) + 1)[
                1 : len(counts) + 1
            ]
        total = counts.sum() or 1
        return [float(share) for share in counts / total]


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
    drawn: dict[tuple[int, str], Packed] = field(default_factory=dict)
    owner: str = field(default_factory=lambda: current().user)
    """The user whose it is; empty where nobody logs in."""

    @property
    def memory(self) -> int:
        """Bytes of the large parts."""
        maps = sum(len(one.data) for layer in self.layers.values() for one in layer.maps)
        return maps + sum(len(one.photo) for one in self.pictures.pictures)

    def photo(self, image: int) -> bytes:
        """A picture as JPEG; RequestError where there is none."""
        if not 0 <= image < len(self.pictures.pictures):
            raise RequestError("There is no such picture.")
        return self.pictures.pictures[image].photo

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
        if key not in self.drawn:
            size = self.pictures.pictures[image].shown
            self.drawn[key] = reduced(layer.maps[image], size)
        return self.drawn[key]


class SegmentStore:
    """Keeps the sets and results used last, within limits that everybody has a share of.

    Whoever logs in finds only their own. Safe for many threads.
    """

    def __init__(self) -> None:
        self._sets: Shares[PictureSet] = Shares(MAX_SETS, MAX_ALL_SETS)
        self._results: Shares[Result] = Shares(
            MAX_RESULTS, MAX_RESULT_BYTES, lambda one: one.memory
        )
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
        if found is not None and current().owns(found.owner):
            return found
        raise RequestError("This segmentation is no longer in memory. Segment again.")
