"""NumPy archives from strangers: what they hold is known before any of it is unpacked.

An NPZ is a ZIP of arrays, so a file of a kilobyte can unpack to terabytes, its directory can list
millions of entries, and an array of objects runs code when it is read. Here the directory is
measured first, then every array's header is read, and nothing but plain numbers and texts is taken.
"""

from __future__ import annotations

import io
import math
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
from numpy.lib import format as npy

from ppap.data.errors import DataError

# Of the file itself; beyond that a ZIP needs the 64-bit directory, which is refused, too.
MOST_FILE_BYTES = 2**31 - 1
# Of all arrays together, unpacked.
MOST_BYTES = 2**31
MOST_ARRAYS, MOST_DIRECTORY_BYTES = 512, 2**20
# An array of more dimensions is none of ours.
MOST_DIMENSIONS, MOST_HEADER_BYTES = 8, 10_000
# Other ways of packing are unpacked by the megabyte whatever one asks for; numpy uses none.
PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
KINDS = "fiubU"
# The end of a ZIP's directory: signature, …, entries, size and place of the directory, …
_END, _END_64, _END_SIZE, _END_64_SIZE, _COMMENT = b"PK\x05\x06", b"PK\x06\x07", 22, 20, 2**16


class Header(NamedTuple):
    """What an array is, as its file says."""

    shape: tuple[int, ...]
    dtype: np.dtype
    bytes: int


class Npz:
    """An open archive; use it in ``with``.

    Args:
        file: the archive; nothing in it is run.
        name: what it is called in messages; its own name otherwise.
        most: bytes that its arrays may take together, unpacked.

    Raises:
        DataError: it cannot be read, is no such archive, holds what is neither numbers nor text,
            or would take more memory than ``most``.
    """

    def __init__(self, file: Path, *, name: str | None = None, most: int = MOST_BYTES) -> None:
        self.name = name or file.name
        try:
            with file.open("rb") as stream:
                check_directory(stream, self.name)
            self._archive = zipfile.ZipFile(file)
        except OSError as error:
            raise DataError(self.name, f"cannot be read: {error.strerror or error}") from None
        except (zipfile.BadZipFile, ValueError, NotImplementedError, struct.error) as error:
            raise self._damaged(error) from None
        try:
            self.headers = dict(self._read_headers())
            total = sum(header.bytes for header in self.headers.values())
            if total > most:
                raise DataError(
                    self.name,
                    f"unpacks to {gigabytes(total)}, more than the {gigabytes(most)} that are "
                    "read: keep fewer images or dimensions, or float16 features",
                )
        except BaseException:
            self._archive.close()
            raise

    def __enter__(self) -> Npz:
        return self

    def __exit__(self, *_: object) -> None:
        self._archive.close()

    def read(self, array: str) -> np.ndarray:
        """One array, in this machine's byte order and in C order.

        Raises:
            DataError: it is damaged.
            KeyError: there is none of that name.
        """
        header = self.headers[array]
        try:
            with self._archive.open(self._entry(array)) as stream:
                _, fortran, dtype = read_header(stream)
                data = stream.read(header.bytes)
                if len(data) != header.bytes or stream.read(1):
                    raise ValueError("its length does not match its header")
        except (*UNREADABLE,) as error:
            raise self._damaged(error, array) from None
        found = np.frombuffer(data, dtype)
        found = found.reshape(header.shape[::-1]).T if fortran else found.reshape(header.shape)
        return np.ascontiguousarray(found, dtype.newbyteorder("="))

    def _read_headers(self) -> Iterator[tuple[str, Header]]:
        entries = self._archive.infolist()
        if len(entries) > MOST_ARRAYS:
            raise DataError(self.name, f"contains {len(entries):,} arrays, more than {MOST_ARRAYS}")
        if not entries:
            raise DataError(self.name, "contains no arrays")
        seen = set()
        for entry in entries:
            array = entry.filename.removesuffix(".npy")
            if array in seen:
                raise DataError(self.name, f"contains {array} twice")
            seen.add(array)
            yield array, self._header(entry, array)

    def _header(self, entry: zipfile.ZipInfo, array: str) -> Header:
        if entry.flag_bits & 1:
            raise DataError(self.name, "is encrypted: save it without a password")
        if entry.compress_type not in PACKINGS:
            raise DataError(self.name, "is compressed in a way that numpy does not use")
        try:
            with self._archive.open(entry) as stream:
                shape, _, dtype = read_header(stream)
        except (*UNREADABLE,) as error:
            raise self._damaged(error, array) from None
        if dtype.hasobject or dtype.fields or dtype.kind not in KINDS:
            kind = "Python objects" if dtype.hasobject else f"{dtype}"
            raise DataError(
                self.name,
                f"contains {kind} in {array}, which is not supported: save only numbers or text "
                "(for images of different sizes: features_0, features_1, …)",
            )
        return Header(shape, dtype, math.prod(shape) * dtype.itemsize)

    def _entry(self, array: str) -> zipfile.ZipInfo:
        for entry in self._archive.infolist():
            if entry.filename.removesuffix(".npy") == array:
                return entry
        raise KeyError(array)

    def _damaged(self, error: Exception, array: str = "") -> DataError:
        where = f" ({array})" if array else ""
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        return DataError(
            self.name, f"is damaged, or was not written by numpy.savez{where}: {why[:200]}"
        )


# What zipfile, zlib and numpy raise for damaged files.
UNREADABLE = (
    OSError,
    EOFError,
    ValueError,
    SyntaxError,
    TypeError,
    LookupError,
    RuntimeError,  # a password; NotImplementedError, a way of packing that nobody has here
    OverflowError,
    MemoryError,
    RecursionError,
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
)


def read_header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, whether columns come first, and type of an array in ``.npy`` form.

    Raises:
        ValueError: it is no such header, or one of shapes that no array has.
    """
    version = npy.read_magic(stream)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"version {version} of the array format is not supported")
    size = stream.read(2 if version == (1, 0) else 4)
    length = int.from_bytes(size, "little")
    if length > MOST_HEADER_BYTES:  # numpy would read it first, up to 4 GB
        raise ValueError("its header is too long")
    start = io.BytesIO(size + stream.read(length))
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, fortran, dtype = read(start)
    fine = len(shape) <= MOST_DIMENSIONS and all(type(n) is int and n >= 0 for n in shape)
    if not fine:
        raise ValueError("the shape is invalid")
    return shape, fortran, dtype


def check_directory(stream: IO[bytes], name: str) -> None:
    """Measure a ZIP's directory before anything is made of it.

    Raises:
        DataError: it is too long, or that of an archive of 64 bits; or there is none.
    """
    size = stream.seek(0, 2)
    if size > MOST_FILE_BYTES:
        raise DataError(name, f"has {gigabytes(size)}; at most 2 GB are read")
    stream.seek(max(0, size - _END_SIZE - _COMMENT - _END_64_SIZE))
    tail = stream.read()
    place = tail.rfind(_END)
    if place < 0 or len(tail) - place < _END_SIZE:
        raise DataError(name, "is not a file written by numpy.savez (NPZ)")
    entries, length = struct.unpack_from("<HL", tail, place + 10)
    if _END_64 in tail[max(0, place - _END_64_SIZE) : place] or entries == 0xFFFF:
        raise DataError(name, f"contains more than {MOST_ARRAYS} arrays, or is larger than 2 GB")
    if entries > MOST_ARRAYS or length > MOST_DIRECTORY_BYTES:
        raise DataError(name, f"contains {entries:,} arrays; at most {MOST_ARRAYS} are read")


def gigabytes(size: int) -> str:
    """``1.5 GB``; a text of bounded length, however large the number is."""
    return f"{size / 2**30:,.1f} GB" if size < 2**60 else "over a billion GB"
