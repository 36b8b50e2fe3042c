"""Every image's own confusion, kept beside a report: from a number back to its images.

The scores of a split say how much is wrong, not where. ``images.npz`` lies beside ``report.json``
and has, for each evaluated image and each kind of prediction, how many pixels of each class were
given each cluster or class. An image has few of the pairs that are possible, so only those that
occur are kept: 8 bytes each before compression.

A report names the counts that belong to it (``report["per_image"]["stamp"]``); with those of
another evaluation, or with none, as older versions wrote it, ``read`` gives None.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ppap.writing import writing

FILE, REPORT = "images.npz", "report.json"
KEY = "per_image"
# The kinds that need no refinement; a refinement's are "cluster_crf", "linear_crf" and so on.
PLAIN_KINDS = ("cluster", "linear")
# A file that says it holds more is none of ours: 20,000 images with 500 pairs in six kinds.
MOST_BYTES = 2**29
START = "start_"
"""Begins the names of kinds that are of clusterings from many starts."""
NO_CLASS = -1
"""Asked for as a prediction: pixels of clusters that the matching left without a class."""
AGAIN = "Evaluate again to see which images a number comes from."


@dataclass(frozen=True, eq=False)
class Kind:
    """One kind of prediction: M pairs of truth and prediction, image after image.

    Pixels without a true class are in none of them.
    """

    classes: int
    """C."""
    assignment: np.ndarray
    """Class of each of the P predictions, int64 ``(P,)``; −1 for a cluster without one. Of the
    whole split: the one that the report's scores have."""
    starts: np.ndarray
    """Where each image's pairs begin, and their end, int64 ``(N + 1,)``."""
    pairs: np.ndarray
    """truth × P + prediction, int32 ``(M,)``."""
    counts: np.ndarray
    """Pixels of each pair, int32 ``(M,)``."""

    @cached_property
    def images(self) -> np.ndarray:
        """Which image each pair is of: a place, 0 to N − 1, int64 ``(M,)``."""
        return np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts))

    @cached_property
    def truth(self) -> np.ndarray:
        """True class of each pair, int64 ``(M,)``."""
        return self.pairs.astype(np.int64) // len(self.assignment)

    @cached_property
    def raw(self) -> np.ndarray:
        """Cluster of each pair, or class where classes are predicted, int64 ``(M,)``."""
        return self.pairs.astype(np.int64) % len(self.assignment)

    @cached_property
    def predicted(self) -> np.ndarray:
        """Predicted class of each pair, int64 ``(M,)``; −1 for a cluster without a class."""
        return self.assignment[self.raw]

    def _by_image(self, chosen: np.ndarray) -> np.ndarray:
        weights = np.where(chosen, self.counts, 0)
        found = np.bincount(self.images, weights, minlength=len(self.starts) - 1)
        return found.astype(np.int64)  # exact: far below 2 ** 53 pixels

    def pixels(self, truth: int | None = None, predicted: int | None = None) -> np.ndarray:
        """Pixels of one cell of the confusion in every image, int64 ``(N,)``.

        Args:
            truth: a class; None for any.
            predicted: a class, or NO_CLASS; None for any.

        Raises:
            ValueError: no such class.
        """
        return self._by_image(self._cell(truth, predicted))

    def wrong(self, truth: int | None = None, predicted: int | None = None) -> np.ndarray:
        """The same without what is right: a row or a column off the diagonal, int64 ``(N,)``."""
        return self._by_image(self._cell(truth, predicted) & (self.truth != self.predicted))

    def _cell(self, truth: int | None, predicted: int | None) -> np.ndarray:
        chosen = np.ones(len(self.pairs), bool)
        for ids, wanted, least in ((self.truth, truth, 0), (self.predicted, predicted, NO_CLASS)):
            if wanted is None:
                continue
            if not least <= wanted < self.classes:
                raise ValueError(f"there is no class {wanted}: they are 0 to {self.classes - 1}")
            chosen &= ids == wanted
        return chosen

    def iou(self, class_id: int) -> np.ndarray:
        """IoU of a class in every image, per cent, float64 ``(N,)``.

        NaN where an image has the class neither in its truth nor in its prediction.
        """
        right = self.pixels(class_id, class_id)
        union = self.pixels(truth=class_id) + self.pixels(predicted=class_id) - right
        return np.divide(100.0 * right, union, out=np.full(len(union), np.nan), where=union > 0)

    def accuracy(self) -> np.ndarray:
        """Share of each image that is right, per cent, float64 ``(N,)``; NaN where all is void."""
        total = self.pixels()
        right = total - self.wrong()
        return np.divide(100.0 * right, total, out=np.full(len(total), np.nan), where=total > 0)

    def confusion(self, places: Iterable[int] | None = None) -> np.ndarray:
        """The images' confusions added up, int64 ``(C, C + 1)``, as reports have it.

        Rows: true classes. Columns: predicted ones, then all clusters without a class.

        Args:
            places: of which images, 0 to N − 1, an image twice where it is there twice; left out,
                of all.
        """
        times: np.ndarray | int = 1
        if places is not None:
            times = np.bincount(np.fromiter(places, np.int64), minlength=len(self.starts) - 1)
            times = times[self.images]
        cells = self.truth * (self.classes + 1) + self.predicted % (self.classes + 1)
        found = np.bincount(cells, self.counts * times, minlength=self.classes * (self.classes + 1))
        return found.astype(np.int64).reshape(self.classes, self.classes + 1)

    def by_class(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Per image and class: pixels that are right, true and predicted; int64 ``(N, C)`` each.

        All that accuracy and IoU of any set of images are made of.
        """
        n, c = len(self.starts) - 1, self.classes

        def table(ids: np.ndarray, chosen: np.ndarray) -> np.ndarray:
            cells = self.images[chosen] * c + ids[chosen]
            found = np.bincount(cells, self.counts[chosen], minlength=n * c)
            return found.astype(np.int64).reshape(n, c)

        return (
            table(self.truth, self.truth == self.predicted),
            table(self.truth, np.ones(len(self.truth), bool)),
            table(self.predicted, self.predicted >= 0),
        )


@dataclass(frozen=True, eq=False)
class PerImage:
    """The counts of N images, in the order of the report's ``images``."""

    indices: np.ndarray
    """Which items of the data set they are, int64 ``(N,)``."""
    kinds: dict[str, Kind]
    """``cluster`` and ``linear``, and the same after each refinement: ``cluster_crf`` …"""

    @cached_property
    def stamp(self) -> str:
        """Tells these counts from all others; reports carry it."""
        found = hashlib.sha256(self.indices.astype("<i8").tobytes())
        for name, kind in sorted(self.kinds.items()):
            found.update(f"{name} {kind.classes}".encode())
            for part in (kind.assignment, kind.starts, kind.pairs, kind.counts):
                found.update(part.astype("<i8").tobytes())
        return found.hexdigest()[:32]


class Gathering:
    """Counts of one kind while they are made, image by image."""

    def __init__(self, predictions: int) -> None:
        self.predictions = predictions
        self.images: list[tuple[np.ndarray, np.ndarray]] = []

    def add(self, pairs: np.ndarray, counts: np.ndarray) -> None:
        """One image's: as of ``Kind``."""
        self.images.append((pairs.astype(np.int32), counts.astype(np.int32)))

    def kind(self, classes: int, assignment: np.ndarray) -> Kind:
        """All of them, under an assignment of the predictions, int64 ``(P,)``."""
        lengths = [len(pairs) for pairs, _ in self.images]
        nothing = np.zeros(0, np.int32)
        return Kind(
            classes,
            assignment.astype(np.int64),
            np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
            np.concatenate([nothing, *(pairs for pairs, _ in self.images)]),
            np.concatenate([nothing, *(counts for _, counts in self.images)]),
        )


def file_beside(report: Path) -> Path:
    """Where the counts of a report file lie: ``images.npz``, or ``NAME.images.npz``."""
    return report.with_name(FILE if report.name == REPORT else f"{report.stem}.{FILE}")


def write(found: PerImage, file: Path) -> None:
    """Write counts whole or not at all; OSError where that is impossible."""
    file.parent.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, Any] = {"indices": found.indices, "stamp": np.array(found.stamp)}
    for name, kind in found.kinds.items():
        for part in ("classes", "assignment", "starts", "pairs", "counts"):
            arrays[f"{name}/{part}"] = np.asarray(getattr(kind, part))
    with writing(file) as partial, partial.open("wb") as stream:
        np.savez_compressed(stream, **arrays)


def read(report: Mapping[str, Any], file: Path) -> PerImage | None:
    """The counts that belong to a report.

    Args:
        report: as it was read.
        file: where it was read from; the counts lie beside it.

    Returns:
        None where there are none, or not those of this report: say AGAIN.
    """
    known = report.get(KEY)
    stamp = known.get("stamp") if isinstance(known, Mapping) else None
    if not isinstance(stamp, str):
        return None
    try:
        found = _read(file_beside(file), stamp)
    except Exception:  # zipfile, zlib and NumPy raise almost anything on damaged files
        return None
    images = [one["index"] for one in report.get("images") or ()]
    return found if found is not None and found.indices.tolist() == images else None


def _read(file: Path, stamp: str) -> PerImage | None:
    with zipfile.ZipFile(file) as inside:
        if sum(one.file_size for one in inside.infolist()) > MOST_BYTES:
            return None
    with np.load(file, allow_pickle=False) as arrays:
        if str(arrays["stamp"]) != stamp:
            return None
        names = [name.removesuffix("/pairs") for name in arrays.files if name.endswith("/pairs")]
        kinds = {name: _kind(arrays, name) for name in names}
        found = PerImage(np.asarray(arrays["indices"], np.int64), kinds)
    sound = all(_sound(kind, len(found.indices)) for kind in kinds.values())
    return found if kinds and sound and found.stamp == stamp else None


def _kind(arrays: Mapping[str, np.ndarray], name: str) -> Kind:
    """As it was written: the stamp would tell other types."""
    parts = {part: arrays[f"{name}/{part}"] for part in ("assignment", "starts", "pairs", "counts")}
    if any(part.ndim != 1 or part.dtype.kind != "i" for part in parts.values()):
        raise ValueError("not whole numbers in a row")
    return Kind(int(arrays[f"{name}/classes"]), **parts)


def _sound(kind: Kind, images: int) -> bool:
    """Whether nothing of it would be read out of range."""
    ends, predictions = kind.starts, len(kind.assignment)
    if kind.classes < 1 or not predictions or len(ends) != images + 1:
        return False
    if ends[0] != 0 or ends[-1] != len(kind.pairs) or len(kind.counts) != len(kind.pairs):
        return False
    if (np.diff(ends) < 0).any():
        return False
    if kind.assignment.min() < NO_CLASS or kind.assignment.max() >= kind.classes:
        return False
    if not len(kind.pairs):
        return True
    inside = kind.pairs.min() >= 0 and kind.pairs.max() < kind.classes * predictions
    return bool(inside and kind.counts.min() >= 0)
