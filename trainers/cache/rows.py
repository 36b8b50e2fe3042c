"""The files of one cache: a row for every image, and a checksum for every row.

``rows.bin`` holds the rows one after the other, in one piece each, so that reading an image is one
read of the disk. ``checksums.bin`` holds a number for every row, 0 until the row is stored; it is
written after the row. Whatever a crash leaves behind is therefore either missing or found out.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from trainers.cache.errors import CacheError

ROWS, CHECKSUMS, MANIFEST = "rows.bin", "checksums.bin", "manifest.json"
# Every field begins at a multiple of this, as vector instructions like it.
ALIGNED = 64
# Above the 32 bits of a checksum: this row is stored.
STORED = 1 << 32


def row_type(parts: dict[str, np.dtype]) -> np.dtype:
    """The type of a row: its parts one after the other, each at a multiple of ALIGNED."""
    offsets, end = [], 0
    for part in parts.values():
        offsets.append(end)
        end += -(-part.itemsize // ALIGNED) * ALIGNED
    return np.dtype(
        {
            "names": list(parts),
            "formats": list(parts.values()),
            "offsets": offsets,
            "itemsize": end,
        }
    )


def checksum(row: np.ndarray, index: int) -> int:
    """What CHECKSUMS holds of a stored row; ``row`` are its bytes.

    The index goes in too, so that a row in another's place is found out.
    """
    return STORED | zlib.crc32(row.data, index & 0xFFFFFFFF)


def stored_checksums(folder: Path, images: int, row: np.dtype) -> np.ndarray:
    """uint64 ``(images,)`` as on disk; 0 where a row is missing, and everywhere if files are."""
    nothing = np.zeros(images, np.uint64)
    try:
        if (folder / ROWS).stat().st_size != images * row.itemsize:
            return nothing
        stored = np.fromfile(folder / CHECKSUMS, "<u8")
    except OSError:
        return nothing
    return stored.astype(np.uint64) if len(stored) == images else nothing


class Rows:
    """The rows of a cache whose files are there, open for reading, and for writing when asked."""

    def __init__(self, folder: Path, images: int, row: np.dtype) -> None:
        """Open them, or make them where they are missing or of another size.

        Raises:
            CacheError: they cannot be opened or made.
        """
        self.folder, self.images, self.row = folder, images, row
        with self._told("opened"):
            self._make()
            self.checksums = stored_checksums(folder, images, row)
            self._values = np.asarray(np.memmap(folder / ROWS, row, "r", shape=(images,)))
            self._bytes = np.asarray(
                np.memmap(folder / ROWS, np.uint8, "r", shape=(images, row.itemsize))
            )

    def __reduce__(self) -> tuple[type[Rows], tuple[Path, int, np.dtype]]:
        # Another process opens the files itself; the memory must not travel.
        return Rows, (self.folder, self.images, self.row)

    def _make(self) -> None:
        """Files of the right size; where one is not, both begin again, empty."""
        # The checksums first: none of the old ones may ever stand beside a new row.
        sizes = {CHECKSUMS: self.images * 8, ROWS: self.images * self.row.itemsize}
        files = {self.folder / name: size for name, size in sizes.items()}
        if all(file.exists() and file.stat().st_size == size for file, size in files.items()):
            return
        for file, size in files.items():
            with file.open("wb") as stream:
                stream.truncate(size)

    def missing(self) -> np.ndarray:
        """Indices of the rows that are not stored, ascending."""
        return np.flatnonzero(self.checksums == 0)

    def refresh(self) -> None:
        """Look again at what is stored: another process may have gone on."""
        self.checksums = stored_checksums(self.folder, self.images, self.row)

    def is_whole(self, index: int) -> bool:
        """Whether a stored row is what was written."""
        return checksum(self._bytes[index], index) == self.checksums[index]

    def copy(self, index: int, into: dict[str, np.ndarray], place: int) -> None:
        """Copy each part of a row to ``into[its name][place]``."""
        for name, values in into.items():
            values[place] = self._values[name][index]

    def store(self, indices: np.ndarray, values: np.ndarray) -> None:
        """Write rows, then their checksums.

        Raises:
            CacheError: the disk is full or does not want them.
        """
        raw = values.view(np.uint8).reshape(len(values), self.row.itemsize)
        sums = np.array(
            [checksum(row, int(i)) for row, i in zip(raw, indices, strict=True)], np.uint64
        )
        with self._told("written"), self._writing(ROWS) as rows, self._writing(CHECKSUMS) as marks:
            for start, stop in runs(indices):
                # Not through the mapped memory: there a full disk would end the process.
                written(rows, raw[start:stop], int(indices[start]) * self.row.itemsize)
            for start, stop in runs(indices):
                written(marks, sums[start:stop].astype("<u8"), int(indices[start]) * 8)
        self.checksums[indices] = sums

    def sync(self) -> None:
        """Make what is stored survive a power cut."""
        with self._told("written"):
            for name in (ROWS, CHECKSUMS):
                with self._writing(name) as descriptor:
                    os.fsync(descriptor)

    @contextlib.contextmanager
    def _writing(self, name: str) -> Iterator[int]:
        descriptor = os.open(self.folder / name, os.O_RDWR)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    @contextlib.contextmanager
    def _told(self, what: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise CacheError(
                    f"the disk is full: cached features cannot be {what} in {self.folder}. Free "
                    "some space and start again, which continues from what is stored; or switch "
                    "the cache off"
                ) from error
            raise CacheError(
                f"cached features cannot be {what} in {self.folder}: {error.strerror or error}"
            ) from error


def runs(indices: np.ndarray) -> Iterator[tuple[int, int]]:
    """Where ascending indices follow each other: ``4 5 6 9`` → ``(0, 3), (3, 4)``."""
    breaks = np.flatnonzero(np.diff(indices) != 1) + 1
    ends = [0, *breaks.tolist(), len(indices)]
    yield from ((a, b) for a, b in itertools.pairwise(ends) if b > a)


def written(descriptor: int, values: np.ndarray, offset: int) -> None:
    """Write an array's bytes at ``offset``, all of them."""
    left = np.ascontiguousarray(values).data.cast("B")
    while left:
        count = os.pwrite(descriptor, left, offset)
        left, offset = left[count:], offset + count
