"""A folder of predictions as PNG files: which is of which image, what is in it, and writing one.

Any program can write such a folder: one file an image, its pixels the numbers of clusters or
classes, in 8 or 16 bits or as a palette file's indices. Files are told by their paths: that of the
image below the data set's folder, with another ending, or the last part of it where that is enough.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal, NamedTuple

import numpy as np
from PIL import Image

from ppap.data import DataError, Dataset, printable, square_labels
from ppap.data.coding import GREY, PLAIN, Coding, numbers_in, raw_modes
from ppap.data.errors import ImageError, LabelError
from ppap.data.images import DEEP_GREY, opened
from ppap.data.labels import check_lossless
from ppap.data.squares import Resizing

SUFFIX = ".png"
# What stands for "no prediction", by the depth of the file.
NO_PREDICTION = {8: 255, 16: 65_535}
MOST_VALUE = 65_535
MOST_FILES = 2_000_000
# Of files that are missing or too many, so many are named.
NAMED = 5
Holding = Literal["clusters", "classes"]
NONE = -1


class Paired(NamedTuple):
    """The files of a folder, by the items of a data set that they are of."""

    root: Path
    files: dict[int, Path]
    """Below ``root``, by item."""
    missing: tuple[str, ...]
    """Names of the wanted items that have none."""
    extra: tuple[str, ...]
    """Files that are of no item of the split."""


def pair_files(folder: Path, dataset: Dataset, wanted: Sequence[int]) -> Paired:
    """Tell which file is of which item.

    Args:
        folder: with PNG files, in folders below it or not.
        dataset: a split.
        wanted: the items that need a prediction.

    Raises:
        DataError: no such folder, no PNG file in it, none that fits, or two for one image.
    """
    names = _listed(folder)
    if not names:
        raise DataError(folder, "contains no PNG files")
    known = _by_last_part(dataset)
    best: dict[int, list[tuple[int, str]]] = defaultdict(list)
    extra = []
    for name in names:
        parts = PurePosixPath(name).with_suffix("").parts
        fits: dict[int, int] = {}
        for index, own in known.get(parts[-1], ()):
            fits[index] = max(fits.get(index, 0), _alike(parts, own))
        likest = [index for index, alike in fits.items() if alike == max(fits.values())]
        if len(likest) == 1:
            best[likest[0]].append((fits[likest[0]], name))
        else:
            extra.append(name)
    files = {}
    for index, found in best.items():
        found.sort(reverse=True)
        if len(found) > 1 and found[0][0] == found[1][0]:
            raise DataError(
                folder,
                f"contains two predictions for {dataset.items[index].name}: {found[0][1]} and "
                f"{found[1][1]}",
            )
        files[index] = Path(found[0][1])
        extra += [name for _, name in found[1:]]
    if not any(index in files for index in wanted):
        raise DataError(
            folder,
            f"matches none of the {len(wanted)} images: its first file is {names[0]}, the first "
            f"image {path_of(dataset, wanted[0])}",
        )
    missing = tuple(dataset.items[index].name for index in wanted if index not in files)
    return Paired(folder, files, missing, tuple(sorted(extra)))


def _listed(folder: Path) -> list[str]:
    """Paths of all PNG files below a folder, hidden ones left out, in order; DataError where not
    all of it can be read."""
    if not folder.is_dir():
        raise DataError(folder, "is not a folder")
    found: list[str] = []

    def unreadable(error: OSError) -> None:
        raise DataError(error.filename or folder, f"cannot be read: {error.strerror or error}")

    for at, folders, files in os.walk(folder, onerror=unreadable):
        folders[:] = sorted(one for one in folders if not one.startswith("."))
        inside = PurePosixPath(Path(at).relative_to(folder).as_posix())
        found += [
            str(inside / one)
            for one in sorted(files)
            if one.lower().endswith(SUFFIX) and not one.startswith(".")
        ]
        if len(found) > MOST_FILES:
            raise DataError(folder, f"contains more than {MOST_FILES:,} PNG files")
    return found


def path_of(dataset: Dataset, index: int) -> str:
    """An item's image below the data set's folder; its name where it lies elsewhere."""
    item = dataset.items[index]
    try:
        return item.image.relative_to(dataset.root).as_posix()
    except ValueError:
        return item.image.name


def _by_last_part(dataset: Dataset) -> dict[str, list[tuple[int, tuple[str, ...]]]]:
    """Items with all paths that they go by, by the last part of those."""
    known: dict[str, list[tuple[int, tuple[str, ...]]]] = defaultdict(list)
    for index in range(len(dataset)):
        path = PurePosixPath(path_of(dataset, index))
        ways = {
            path.parts,
            path.with_suffix("").parts,
            PurePosixPath(dataset.items[index].name).parts,
        }
        for parts in ways:
            if parts:
                known[parts[-1]].append((index, parts))
    return known


def _alike(one: tuple[str, ...], other: tuple[str, ...]) -> int:
    """How many parts at their ends are the same; equal paths are likest."""
    if one == other:
        return len(one) + 1
    count = 0
    for a, b in zip(reversed(one), reversed(other), strict=False):
        if a != b:
            break
        count += 1
    return count


def in_short(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    first = ", ".join(printable(name) for name in names[:NAMED])
    more = len(names) - NAMED
    return f"{first} and {more:,} more" if more > 0 else first


@dataclass(frozen=True)
class Reading:
    """How files are read."""

    holding: Holding
    ignore: int | None = None
    """The number that stands for no prediction; None: 255 in 8 bits, 65,535 in 16."""
    colours: tuple[tuple[int, int, int], ...] = ()
    """Of the classes: in files of classes, colours may stand for them."""


def read_prediction(path: Path, how: Reading) -> np.ndarray:
    """The numbers of one file, int64 ``(H, W)``, NONE (−1) where nothing is predicted.

    Raises:
        LabelError: it cannot be read, or holds anything else.
    """
    try:
        with opened(path, str(path)) as image:
            check_lossless(image, path)
            raw = raw_modes(image)
            image.load()
            deep = image.mode in DEEP_GREY
            stored = _numbers(image, raw, how, path)
    except ImageError as error:
        raise LabelError(error.name, error.reason) from None
    numbers: np.ndarray = stored.astype(np.int64)
    ignore = NO_PREDICTION[16 if deep else 8] if how.ignore is None else how.ignore
    numbers[numbers == ignore] = NONE
    if numbers.size and (numbers.min() < NONE or numbers.max() > MOST_VALUE):
        raise LabelError(path, f"contains numbers outside 0 to {MOST_VALUE:,}")
    return numbers


def _numbers(image: Image.Image, raw: tuple[str, ...], how: Reading, path: Path) -> np.ndarray:
    if image.mode in (*GREY, "1", "P", "F"):
        return numbers_in(image, raw, PLAIN, path)
    if how.holding == "clusters" or not how.colours:
        raise LabelError(
            path, "is a colour image: save the numbers as one grey channel, or with a palette"
        )
    coding = Coding(colours=tuple((colour, i) for i, colour in enumerate(how.colours)))
    return numbers_in(image, raw, coding, path)


def usual_size(paired: Paired, dataset: Dataset, wanted: Sequence[int], otherwise: int) -> int:
    """The side of the squares to score: that of the files where they are such squares.

    The first file tells: square, and of another size than its label map. DataError where it, or its
    image, cannot be read; where the data set skips what is damaged, the next one tells.
    """
    for index in wanted:
        if index not in paired.files:
            continue
        path = paired.root / paired.files[index]
        try:
            with opened(path, str(path)) as image:
                width, height = image.size
        except ImageError:
            if dataset.on_error != "skip":
                raise
            continue
        labels = dataset.load(index).labels
        full = None if labels is None else labels.shape
        return width if width == height and (height, width) != full else otherwise
    return otherwise


Fit = Literal["same", "square", "resized"]


def as_square(
    numbers: np.ndarray, labels: tuple[int, ...], size: int, resizing: Resizing, path: Path
) -> tuple[np.ndarray, Fit]:
    """A prediction as the square that is scored, ``(size, size)``.

    Args:
        numbers: ``(H, W)``: of the label map's size; or the square itself; or of the label map's
            shape in another size, of which the nearest pixels are taken.
        labels: height and width of the label map.
        size: side of the square.
        resizing: how label maps are resized.
        path: of the prediction.

    Raises:
        LabelError: another shape.
    """
    if numbers.shape == labels:
        return square_labels(numbers, size, resizing), "same"
    if numbers.shape == (size, size):
        return numbers, "square"
    height, width = numbers.shape
    full_height, full_width = labels
    # Whichever side was rounded, by less than a pixel.
    if (
        abs(width - height * full_width / full_height) < 1
        or abs(height - width * full_height / full_width) < 1
    ):
        return square_labels(numbers, size, resizing), "resized"
    raise LabelError(
        path,
        f"has {width}×{height} pixels: neither the {full_width}×{full_height} of the label map, "
        f"nor its shape, nor the evaluated square of {size} pixels",
    )


class Writer:
    """Writes predictions of squares into a folder that ``pair_files`` finds them in.

    Args:
        folder: made with its first file.
        dataset: whose items they are of.
    """

    def __init__(self, folder: Path, dataset: Dataset) -> None:
        self.folder = folder
        paths = [PurePosixPath(path_of(dataset, index)) for index in range(len(dataset))]
        bare: dict[PurePosixPath, int] = defaultdict(int)
        for path in paths:
            bare[path.with_suffix("")] += 1
        # a.jpg beside a.png: both keep their endings.
        self._names = [
            str(path if bare[path.with_suffix("")] > 1 else path.with_suffix("")) for path in paths
        ]

    def write(self, kind: str, index: int, numbers: np.ndarray) -> Path:
        """One image's numbers ``(H, W)``, none negative, as ``folder/kind/….png``; OSError."""
        file = self.folder / kind / f"{self._names[index]}{SUFFIX}"
        file.parent.mkdir(parents=True, exist_ok=True)
        # 255 stands for no prediction in 8 bits.
        depth = np.uint8 if int(numbers.max(initial=0)) < NO_PREDICTION[8] else np.uint16
        Image.fromarray(numbers.astype(depth)).save(file, "PNG")
        return file


def distinct(parts: Iterable[np.ndarray]) -> list[int]:
    """All numbers that occur, but for NONE, in order."""
    seen = np.zeros(MOST_VALUE + 1, bool)
    for numbers in parts:
        values = np.unique(numbers)
        seen[values[values >= 0]] = True
    return [int(value) for value in np.flatnonzero(seen)]
