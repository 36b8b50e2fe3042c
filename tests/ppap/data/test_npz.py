"""Archives from strangers: read exactly, or refused before they take memory."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ppap.data import DataError
from ppap.data.npz import MOST_ARRAYS, Npz


def header(shape: str, dtype: str = "<f4", order: str = "False") -> bytes:
    """The beginning of an array's file, with whatever shape it claims."""
    text = f"{{'descr': {dtype!r}, 'fortran_order': {order}, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


def archive(file: Path, packing: int = zipfile.ZIP_DEFLATED, **members: bytes) -> Path:
    """A ZIP of arrays, byte for byte."""
    with zipfile.ZipFile(file, "w", packing) as made:
        for name, data in members.items():
            made.writestr(f"{name}.npy", data)
    return file


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays_come_as_they_were_saved(tmp_path: Path, save: Callable[..., None]) -> None:
    arrays: dict[str, np.ndarray] = {
        "plain": np.arange(24, dtype=np.float32).reshape(2, 3, 4),
        "columns_first": np.asfortranarray(np.arange(6, dtype=np.int16).reshape(2, 3)),
        "big_endian": np.arange(4, dtype=">f8"),
        "half": np.ones((2, 2), np.float16),
        "texts": np.array(["sky", "Straße"]),
        "empty": np.empty((0, 3), np.uint8),
    }
    save(tmp_path / "a.npz", **arrays)
    with Npz(tmp_path / "a.npz") as found:
        assert set(found.headers) == set(arrays)
        for name, wanted in arrays.items():
            given = found.read(name)
            assert np.array_equal(given, wanted)
            assert given.dtype == wanted.dtype.newbyteorder("=")
            assert given.flags.c_contiguous
            assert found.headers[name].shape == wanted.shape
        with pytest.raises(KeyError):
            found.read("other")


def test_objects_are_never_unpickled(tmp_path: Path) -> None:
    class Bad:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (tmp_path / "ran",))

    np.savez(tmp_path / "a.npz", features=np.array([Bad()], object))
    with pytest.raises(DataError, match=r"a\.npz contains Python objects in features"):
        Npz(tmp_path / "a.npz")
    assert not (tmp_path / "ran").exists()
    np.savez(tmp_path / "b.npz", features=np.zeros(2, [("x", "f4")]))
    with pytest.raises(DataError, match="in features, which is not supported"):
        Npz(tmp_path / "b.npz")


def test_what_would_take_too_much_memory_is_refused_from_headers(tmp_path: Path) -> None:
    for shape in ("(1000, 1000, 1000, 1000)", f"({10**15},)", f"({'9' * 300},)"):
        file = archive(tmp_path / "bomb.npz", features=header(shape))
        with pytest.raises(DataError, match=r"unpacks to .* GB, more than the 2\.0 GB"):
            Npz(file)
    small = archive(tmp_path / "two.npz", a=header("(40,)"), b=header("(40,)"))
    with pytest.raises(DataError, match="unpacks to"):
        Npz(small, most=300)


def test_more_than_the_header_says_is_not_unpacked(tmp_path: Path) -> None:
    file = archive(tmp_path / "long.npz", a=header("(2,)") + bytes(10**7))
    with Npz(file) as found, pytest.raises(DataError, match="its length does not match its header"):
        found.read("a")
    file = archive(tmp_path / "short.npz", a=header("(2,)") + bytes(4))
    with Npz(file) as found, pytest.raises(DataError, match="its length does not match its header"):
        found.read("a")


@pytest.mark.parametrize(
    ("member", "said"),
    [
        (header("(-1, 4)"), "the shape is invalid"),
        (header("(1, 1, 1, 1, 1, 1, 1, 1, 1)"), "the shape is invalid"),
        (header("__import__('os')"), "is damaged"),
        (header("(2,)", "|O"), "Python objects"),
        (header("(2,)", "nonsense"), "is damaged"),
        (b"\x93NUMPY\x03\x00" + bytes(60), "version"),
        (b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**31) + bytes(100), "header is too long"),
        (b"not an array", "is damaged"),
        (b"", "is damaged"),
    ],
)
def test_headers_that_make_no_sense(tmp_path: Path, member: bytes, said: str) -> None:
    file = archive(tmp_path / "odd.npz", features=member)
    with pytest.raises(DataError, match=said):
        Npz(file)


def test_other_ways_of_packing_are_refused(tmp_path: Path) -> None:
    file = archive(tmp_path / "b.npz", zipfile.ZIP_BZIP2, features=header("(1,)") + bytes(4))
    with pytest.raises(DataError, match="in a way that numpy does not use"):
        Npz(file)


def test_directories_of_millions_of_entries_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "many.npz"
    with zipfile.ZipFile(file, "w") as made:
        for i in range(MOST_ARRAYS + 1):
            made.writestr(f"a{i}.npy", b"")
    with pytest.raises(DataError, match=f"contains 513 arrays; at most {MOST_ARRAYS}"):
        Npz(file)
    # A directory that says that it is short, but is not, is measured by its bytes.
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, 2**30, 0, 0)
    file.write_bytes(b"PK\x03\x04" + bytes(100) + end)
    with pytest.raises(DataError, match="at most"):
        Npz(file)
    # The 64-bit directory says its size elsewhere.
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, 100, 0, 0)
    file.write_bytes(bytes(100) + struct.pack("<4sLQL", b"PK\x06\x07", 0, 0, 1) + end)
    with pytest.raises(DataError, match="larger than 2 GB"):
        Npz(file)


@pytest.mark.parametrize("data", [b"", b"PK", b"<html>", bytes(1000), b"PK\x05\x06" + bytes(3)])
def test_what_is_no_archive(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "x.npz"
    file.write_bytes(data)
    with pytest.raises(DataError, match=r"mine\.npz is not a file written by numpy\.savez"):
        Npz(file, name="mine.npz")
    with pytest.raises(DataError, match=r"gone\.npz cannot be read"):
        Npz(tmp_path / "gone.npz")


def test_a_flipped_byte_never_gets_through_as_anything_but_a_refusal(tmp_path: Path) -> None:
    out = io.BytesIO()
    np.savez_compressed(out, features=np.arange(64, dtype=np.float32), names=np.array(["a"]))
    whole = out.getvalue()
    file = tmp_path / "flipped.npz"
    for place in range(0, len(whole), 3):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        try:
            with Npz(file) as found:
                for name in found.headers:
                    found.read(name)
        except DataError:
            continue


def test_an_array_is_there_once(tmp_path: Path) -> None:
    file = tmp_path / "twice.npz"
    with zipfile.ZipFile(file, "w") as made:
        made.writestr("a.npy", header("(1,)") + bytes(4))
        made.writestr("a", header("(1,)") + bytes(4))
    with pytest.raises(DataError, match="contains a twice"):
        Npz(file)
    with zipfile.ZipFile(file, "w"):
        pass
    with pytest.raises(DataError, match="contains no arrays"):
        Npz(file)
