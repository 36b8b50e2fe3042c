"""Previews and label maps of many pictures: in a file of their own, not in memory."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, overload

import numpy as np

from ppap.studio.answers import Packed, packed
from ppap.studio.requests import RequestError
from ppap.studio.temporary import FILES

# Of one file; and what other programs keep of the disk.
MAX_BYTES, LEAST_FREE = 4 * 2**30, 2**30
FULL = "The disk for temporary files is full. Choose fewer images."


class DiskFull(RequestError):
    """There is no room for more."""


def check_room(size: int) -> None:
    """DiskFull where so many bytes would leave other programs too little of the disk."""
    if shutil.disk_usage(FILES.folder).free - size < LEAST_FREE:
        raise DiskFull(FULL)


class Shelf:
    """Bytes in a file without a name, which goes with this object. Safe for many threads."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(dir=FILES.folder)  # noqa: SIM115  (closed with it)
        weakref.finalize(self, self._file.close)
        self._lock = threading.Lock()
        self.size = 0

    def put(self, data: bytes) -> Slip:
        """Keep some bytes; DiskFull where there is no room for them."""
        if self.size + len(data) > MAX_BYTES:
            raise DiskFull(FULL)
        check_room(len(data))
        with self._lock:
            self._file.seek(self.size)
            self._file.write(data)
            self._file.flush()
            slip = Slip(self, self.size, len(data))
            self.size += len(data)
        return slip

    def get(self, at: int, length: int) -> bytes:
        """They again."""
        return os.pread(self._file.fileno(), length, at)


@dataclass(frozen=True)
class Slip:
    """Where some bytes are."""

    shelf: Shelf
    at: int
    length: int

    def read(self) -> bytes:
        """The bytes."""
        return self.shelf.get(self.at, self.length)


class _Place(NamedTuple):
    height: int
    width: int
    depth: int
    data: bytes | Slip


class Maps(Sequence[Packed]):
    """Label maps one after another, with the pixels of every id counted.

    Args:
        ids: how many there are.
        shelf: where they are kept; in memory without one.
    """

    def __init__(self, ids: int, shelf: Shelf | None = None) -> None:
        self._shelf = shelf
        self._places: list[_Place] = []
        self._counts = np.zeros(ids)

    def append(self, ids: np.ndarray) -> None:
        """Add a label map, whole numbers ``(H, W)``, −1 where there is no id."""
        one = packed(ids)
        data = one.data if self._shelf is None else self._shelf.put(one.data)
        known = np.bincount(ids.ravel() + 1, minlength=len(self._counts) + 1)
        self._counts += known[1 : len(self._counts) + 1]
        self._places.append(_Place(one.height, one.width, one.depth, data))

    def shares(self) -> list[float]:
        """Of all pixels that have an id, by id."""
        total = self._counts.sum() or 1
        return [float(share) for share in self._counts / total]

    @property
    def memory(self) -> int:
        """Bytes in memory; those on disk count as a quarter, so that they are let go of, too."""
        kept = sum(len(one.data) for one in self._places if isinstance(one.data, bytes))
        return kept + (0 if self._shelf is None else self._shelf.size // 4)

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, index: int) -> Packed: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Packed]: ...
    def __getitem__(self, index: int | slice) -> Packed | Sequence[Packed]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        height, width, depth, data = self._places[index]
        return Packed(height, width, depth, data if isinstance(data, bytes) else data.read())

    def __iter__(self) -> Iterator[Packed]:
        return (self[i] for i in range(len(self)))
