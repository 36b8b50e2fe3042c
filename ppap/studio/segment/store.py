"""Segmented pictures that pages look at: kept small, in memory, by ids that cannot be guessed."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

from ppap.data import DataError
from ppap.data.classes import Colour
from ppap.studio.access.shares import Shares
from ppap.studio.access.visitor import current
from ppap.studio.answers import Packed, jpeg
from ppap.studio.requests import RequestError
from ppap.studio.segment.pictures import Picture, PictureSet, reduced, reduced_photo
from ppap.studio.segment.shelf import Maps
from ppap.studio.segment.switches import Switches

# Of one user, or where nobody logs in, of one page; and of all together.
MAX_SETS, MAX_ALL_SETS = 3, 64
MAX_RESULTS, MAX_RESULT_BYTES = 16, 2**30
# Sets that keep what makes them fast; others make it again when they are segmented again.
MAX_FULL = 4
# Reduced label maps of a result.
MAX_DRAWN = 256
# Whole pictures that are decoded at once, for whoever looks closely.
READING = threading.BoundedSemaphore(2)


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
    switches: Switches = field(default_factory=Switches)
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0
    """What a picture took, on average."""
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

    def photo(self, image: int, *, large: bool = False) -> bytes:
        """A picture as JPEG; RequestError where there is none."""
        one = self._picture(image)
        if one.photo is not None and not (large and one.large != one.shown):
            return one.photo if isinstance(one.photo, bytes) else one.photo.read()
        with READING:
            try:
                return jpeg(reduced_photo(one.rgb, one.large if large else one.shown))
            except DataError as error:
                raise RequestError(str(error)) from None

    def _picture(self, image: int) -> Picture:
        if not 0 <= image < len(self.done):
            raise RequestError("There is no such image.")
        return self.done[image]

    def layer(self, kind: object) -> Layer:
        """A segmentation by its kind; RequestError where there is none."""
        if not isinstance(kind, str) or kind not in self.layers:
            raise RequestError(f"The kind must be {' or '.join(self.layers)}.")
        return self.layers[kind]

    def drawing(self, image: int, kind: object, *, large: bool = False) -> Packed:
        """A label map at the size at which it is drawn; RequestError where there is none."""
        layer, one = self.layer(kind), self._picture(image)
        if large:
            with READING:
                return reduced(layer.maps[image], one.large)
        key = (image, layer.kind)
        found = self.drawn.get(key)
        if found is None:
            found = reduced(layer.maps[image], one.shown)
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
        raise RequestError("These images are no longer in memory. Choose them again.")

    def result(self, key: object) -> Result:
        """A result by its id; RequestError when it is gone."""
        with self._lock:
            found = self._results.get(key)
            if found is None and isinstance(key, str):
                found = self._growing.get(key)
        if found is not None and current().owns(found.owner):
            return found
        raise RequestError("This segmentation is no longer in memory. Segment again.")
