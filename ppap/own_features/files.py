"""Features of one's own in an NPZ file."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from ppap.batches import BatchError
from ppap.data import printable
from ppap.data.npz import Header, Npz
from ppap.own_features.arrays import MOST_IMAGES, OwnFeatures, check_grids

NAMED = ("features", "images", "labels")
# Of pictures and labels as they are given.
MOST_GIVEN_PIXELS = 100_000_000
_NUMBERED = re.compile(r"(features|images|labels)_([0-9]{1,4})")


def read_npz(file: Path, *, name: str | None = None) -> OwnFeatures:
    """The arrays of an NPZ: ``features``, and ``images``, ``labels``, ``classes`` and ``names``.

    Where grids or pictures differ: ``features_0``, ``features_1``, …, and likewise ``images_0`` and
    ``labels_0``. Other arrays are passed by. What would take too much memory is refused before it
    is unpacked; nothing in the file is run.

    Raises:
        DataError: it cannot be read, or is no such file.
        BatchError: it holds other arrays than those, or too much.
    """
    with Npz(file, name=name) as archive:
        parts = {kind: arrays_of(archive.headers, kind) for kind in NAMED}
        if not parts["features"]:
            found = ", ".join(map(printable, list(archive.headers)[:6]))
            raise BatchError(
                f"{archive.name} contains no array called features; it contains {found}."
            )
        check_headers(archive.headers, parts)
        read = {kind: list(read_parts(archive, names)) for kind, names in parts.items()}
        texts = {
            kind: as_texts(archive.read(kind), kind) if kind in archive.headers else ()
            for kind in ("classes", "names")
        }
    return OwnFeatures(read["features"], read["images"] or None, read["labels"] or None, **texts)


def arrays_of(headers: Mapping[str, Header], kind: str) -> list[str]:
    """The names of the arrays of a kind, in their order."""
    if kind in headers:
        return [kind]
    found = {
        int(m[2]): name for name in headers if (m := _NUMBERED.fullmatch(name)) and m[1] == kind
    }
    if sorted(found) != list(range(len(found))):
        raise BatchError(f"{kind}_0, {kind}_1, … must be numbered from 0 without gaps.")
    return [found[number] for number in sorted(found)]


def check_headers(headers: Mapping[str, Header], parts: Mapping[str, list[str]]) -> None:
    """BatchError for more than ``own_batch`` takes or for other arrays, from headers alone."""
    shapes: list[tuple[int, ...]] = []
    for name in parts["features"]:
        header = headers[name]
        if header.dtype.kind != "f":
            raise BatchError(f"{name} must be floating point, not {header.dtype}.")
        shapes += split_shape(name, header.shape, 4, "(B, h, w, D)")
    check_grids(shapes)
    pixels = 0
    for kind, dimensions, meant in (("images", 4, "(B, H, W, 3)"), ("labels", 3, "(B, H, W)")):
        for name in parts[kind]:
            found = split_shape(name, headers[name].shape, dimensions, meant)
            pixels += sum(int(np.prod(shape[:2], dtype=object)) for shape in found)
    if pixels > MOST_GIVEN_PIXELS:
        raise BatchError(
            f"images and labels have {pixels:,.0f} pixels, more than {MOST_GIVEN_PIXELS:,}: make "
            "them smaller."
        )
    for name in ("classes", "names"):
        if name in headers and headers[name].bytes > 2**20:
            raise BatchError(f"{name} are too long.")


def split_shape(
    name: str, shape: tuple[int, ...], dimensions: int, meant: str
) -> list[tuple[int, ...]]:
    """The shapes of single images, of one array of all or of one image."""
    if "_" in name:
        dimensions, meant = dimensions - 1, meant.replace("B, ", "")
    if len(shape) != dimensions:
        raise BatchError(f"{name} must have the shape {meant}, not {shape}.")
    if "_" in name:
        return [shape]
    if shape[0] > MOST_IMAGES:
        raise BatchError(f"{name} cover {shape[0]:,} images; a batch holds at most {MOST_IMAGES}.")
    return [shape[1:]] * shape[0]


def read_parts(archive: Npz, names: list[str]) -> Iterator[np.ndarray]:
    """Arrays of single images, from one of all or from one each."""
    for name in names:
        array = archive.read(name)
        yield from [array] if "_" in name else array


def as_texts(array: np.ndarray, kind: str) -> tuple[str, ...]:
    """Names out of an array of texts."""
    if array.ndim != 1 or array.dtype.kind != "U":
        raise BatchError(f"{kind} must be a list of texts.")
    return tuple(str(one) for one in array)
