"""Predictions of another method, read from files, scored and drawn as our own are.

The same squares of the same images count, so that both can stand beside each other. Clusters are
matched one to one with the classes where there are at most as many; more of them stand for the
class that most of their pixels have, which is learnt on the very images that are scored, since
nothing else is at hand: it flatters, and the report says so.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ppap.data import DataError, Dataset, Example
from ppap.data.errors import LabelError
from ppap.data.squares import square_labels
from ppap.evaluation.borders import WIDTH, Apart
from ppap.evaluation.clusterings import Agreement, agreement, majority
from ppap.evaluation.foreign_files import (
    NONE,
    Fit,
    Holding,
    Paired,
    Reading,
    as_square,
    distinct,
    read_prediction,
)
from ppap.evaluation.metrics import (
    UNMATCHED,
    Confusion,
    FrequencyGroups,
    Scores,
    frequency_groups,
    match,
    scores,
)
from ppap.evaluation.per_image import PerImage
from ppap.evaluation.shape import table_of, values_of
from ppap.evaluation.source import SIZE, WORKERS, Skipped, in_order
from ppap.evaluation.split import EvaluationStoppedError
from ppap.evaluation.tally import Measures, Tally, ready

Map = Literal["one-to-one", "many-to-one", "given"]
MAPS: tuple[Map, ...] = ("one-to-one", "many-to-one")
AHEAD = 16
MOST_CLUSTERS = 10_000


@dataclass(frozen=True, eq=False)
class ForeignScores:
    """What was measured of a folder."""

    holding: Holding
    map: Map
    """How predictions became classes; "given" where they are classes."""
    values: tuple[int, ...]
    """The numbers that clusters have in the files; of classes, 0 to C − 1."""
    whole: Scores
    """The last entry of its assignment is of pixels without a prediction: −1."""
    one_to_one: Scores | None
    """Of clusters under the other map, so that both can be compared with others."""
    agreement: Agreement | None
    """Of clusters, whatever they are called."""
    images: list[tuple[int, str, str, Measures]]
    """Item, name, file below the folder, and its measures."""
    groups: FrequencyGroups
    skipped: tuple[Skipped, ...]
    counts: PerImage
    apart: Apart | None
    """Border and interior; None without a band."""
    border_width: int
    fits: dict[Fit, int]
    """Files by how they fit the images."""
    unpredicted: int
    """Pixels with a class for which nothing is predicted: they are wrong."""


class One(NamedTuple):
    """One image and its prediction, or why there is none."""

    truth: np.ndarray
    """int64 ``(S, S)``, −1 where void."""
    numbers: np.ndarray
    """int64 ``(S, S)``, −1 where nothing is predicted."""
    fit: Fit
    skipped: str | None = None


class Folder:
    """A folder of predictions, for one split.

    Args:
        paired: from ``pair_files``.
        dataset: the split.
        wanted: the items to score.
        reading: how files are read.
        size: side of the squares, in pixels.
        workers: threads that read.
    """

    def __init__(
        self,
        paired: Paired,
        dataset: Dataset,
        wanted: Sequence[int],
        reading: Reading,
        *,
        size: int = SIZE,
        workers: int = WORKERS,
    ) -> None:
        self.paired, self.dataset, self.reading = paired, dataset, reading
        self.size, self.workers = size, workers
        self.wanted = list(wanted)
        self.here = [index for index in wanted if index in paired.files]

    def score(
        self,
        *,
        map_by: Map | None = None,
        border_width: int = WIDTH,
        progress: Callable[[int, int], None] | None = None,
        stopped: Callable[[], bool] | None = None,
    ) -> ForeignScores:
        """Score it; images without a file are left out and named.

        Args:
            map_by: how clusters become classes; left out, one to one where there are no more than
                classes, else many to one. Ignored for classes.
            border_width: as of ``evaluate_split``.
            progress: told after every file how many are done, and of how many; files of clusters
                are read twice.
            stopped: asked before every file; True ends it.

        Raises:
            DataError: a file cannot be read, holds numbers that are no classes, or does not fit.
            EvaluationStoppedError: ``stopped`` said so.
        """
        told = _Told(progress, stopped, len(self.here) * (1 + (self.reading.holding == "clusters")))
        values = self._values(told)
        if len(values) > MOST_CLUSTERS:
            raise DataError(
                self.paired.root,
                f"contains {len(values):,} different numbers: more than {MOST_CLUSTERS:,} are "
                "perhaps single objects rather than clusters",
            )
        classes = len(self.dataset.classes)
        tally = Tally(classes, len(values) + 1)
        place = _places(values)
        read: list[int] = []
        skipped = [
            Skipped(index, self.dataset.items[index].name, "there is no prediction for it")
            for index in self.wanted
            if index not in self.paired.files
        ]
        fits: Counter[Fit] = Counter()
        for index, one in zip(self.here, told.each(self._in_order(self.one)), strict=True):
            if one.skipped is not None:
                skipped.append(Skipped(index, self.dataset.items[index].name, one.skipped))
                continue
            truth = ready(torch.from_numpy(one.truth), classes, border_width)
            tally.add(truth, torch.from_numpy(place[one.numbers]))
            read.append(index)
            fits[one.fit] += 1
        if not read:
            raise DataError(self.paired.root, f"could not be scored: {skipped[0].reason}")
        return self._scored(tally, values, read, tuple(skipped), dict(fits), map_by, border_width)

    def _scored(
        self,
        tally: Tally,
        values: tuple[int, ...],
        read: list[int],
        skipped: tuple[Skipped, ...],
        fits: dict[Fit, int],
        map_by: Map | None,
        border_width: int,
    ) -> ForeignScores:
        names = self.dataset.classes
        clusters = Confusion(len(names), max(1, len(values)))
        clusters.counts[:] = tally.whole.counts[:, : len(values)] if values else 0
        if self.reading.holding == "classes":
            by: Map = "given"
            assignment, other = torch.arange(len(names)), None
        else:
            by = map_by or ("one-to-one" if len(values) <= len(names) else "many-to-one")
            assignment = match(clusters) if by == "one-to-one" else majority(clusters)
            other = None
            if by == "many-to-one":
                other = scores(tally.whole, names, _with_none(match(clusters), len(values)))
        assignment = _with_none(assignment, len(values))
        whole = scores(tally.whole, names, assignment)
        kind = tally.kind(assignment)
        about = [(i, self.dataset.items[i].name, self.paired.files[i].as_posix()) for i in read]
        return ForeignScores(
            holding=self.reading.holding,
            map=by,
            values=values,
            whole=whole,
            one_to_one=other,
            agreement=None if by == "given" else agreement(clusters),
            images=[
                (*one, measures)
                for one, measures in zip(about, tally.measures(names, assignment), strict=True)
            ],
            groups=frequency_groups(tally.whole, names),
            skipped=skipped,
            counts=PerImage(np.array(read, np.int64), {"cluster": kind}),
            apart=tally.apart(names, assignment) if border_width else None,
            border_width=border_width,
            fits=fits,
            unpredicted=int(tally.whole.counts[:, len(values)].sum()),
        )

    def _values(self, told: _Told) -> tuple[int, ...]:
        """The numbers of all clusters; of classes, all there are."""
        if self.reading.holding == "classes":
            return tuple(range(len(self.dataset.classes)))
        return tuple(distinct(told.each(self._in_order(self._numbers_or_none))))

    def _in_order(self, read: Callable[[int], Any]) -> Iterator[Any]:
        return in_order(read, self.here, ahead=AHEAD, workers=self.workers)

    def _numbers(self, index: int) -> np.ndarray:
        """A file's numbers; DataError names the file."""
        file = self.file_of(index)
        numbers = read_prediction(file, self.reading)
        if self.reading.holding == "classes" and numbers.max(initial=NONE) >= len(
            self.dataset.classes
        ):
            raise DataError(
                file,
                f"contains {int(numbers.max())}, but the classes are 0 to "
                f"{len(self.dataset.classes) - 1}, in the data set's order; for cluster numbers, "
                "use --predictions-are clusters",
            )
        return numbers

    def _numbers_or_none(self, index: int) -> np.ndarray:
        """The same; nothing of a file that is left out."""
        try:
            return self._numbers(index)
        except LabelError:
            if self.dataset.on_error != "skip":
                raise
            return np.empty((0, 0), np.int64)

    def file_of(self, index: int) -> Path:
        """An image's prediction."""
        return self.paired.root / self.paired.files[index]

    def digest(self) -> str:
        """Of all files that are scored, with their names: SHA-256; OSError."""
        found = hashlib.sha256()
        for index in self.here:
            found.update(self.paired.files[index].as_posix().encode("utf-8", "surrogateescape"))
            found.update(hashlib.sha256(self.file_of(index).read_bytes()).digest())
        return found.hexdigest()

    def one(self, index: int) -> One:
        """An image and its prediction; DataError names the file."""
        example = self.dataset.load(index)
        if example.labels is None:
            raise DataError(self.dataset.items[index].image, "has no label map")
        return self.square_of(index, example)

    def square_of(self, index: int, example: Example) -> One:
        """The same of an image that is read already, with its label map."""
        assert example.labels is not None
        resizing = self.dataset.resizing
        truth = square_labels(example.labels, self.size, resizing)
        if example.skipped is not None:
            return One(truth, np.full_like(truth, NONE), "same", example.skipped)
        try:
            fitted, fit = as_square(
                self._numbers(index), example.labels.shape, self.size, resizing, self.file_of(index)
            )
        except LabelError as error:
            if self.dataset.on_error != "skip":
                raise
            return One(truth, np.full_like(truth, NONE), "same", f"its prediction {error.reason}")
        return One(truth, fitted, fit)


class _Told:
    """Progress over several passes, and whether to go on."""

    def __init__(
        self,
        progress: Callable[[int, int], None] | None,
        stopped: Callable[[], bool] | None,
        total: int,
    ) -> None:
        self.progress, self.stopped, self.total, self.done = progress, stopped, total, 0

    def each(self, source: Any) -> Iterator[Any]:
        """The source's items, counted; it is closed at the end, whatever ends it."""
        with closing(source) as items:
            for one in items:
                if self.stopped is not None and self.stopped():
                    raise EvaluationStoppedError("the evaluation was stopped")
                yield one
                self.done += 1
                if self.progress is not None:
                    self.progress(self.done, self.total)


def _places(values: Sequence[int]) -> np.ndarray:
    """Number → its place among the values; the last, for −1 and all others, stands for none."""
    table = np.full(max(values, default=0) + 2, len(values), np.int64)
    table[list(values)] = np.arange(len(values))
    return table


def _with_none(assignment: Tensor, clusters: int) -> Tensor:
    """An assignment of so many clusters, and of what has none."""
    return torch.cat([assignment[:clusters], torch.tensor([UNMATCHED])])


def shown(report: Mapping[str, Any], one: One, file: Path) -> np.ndarray:
    """The classes of an image as its report has them, int64 ``(S, S)``, −1 for none.

    Args:
        report: of predictions from files.
        one: the image, read once more.
        file: its prediction.

    Raises:
        DataError: the file has other numbers by now.
    """
    values = values_of(report)
    if not np.isin(one.numbers, [*values, NONE]).all():
        raise DataError(file, "has changed since this report was made: evaluate the folder again")
    table = table_of(report, report["cluster"], len(values) + 1)
    found: np.ndarray = table[_places(values)[one.numbers]]
    return found


def folder_of(report: Mapping[str, Any], root: Path, dataset: Dataset) -> Folder:
    """The folder that a report is about, as far as it says; to draw images of it.

    Args:
        report: of predictions from files.
        root: the folder, which whoever asks may look into.
        dataset: the report's split.

    Raises:
        DataError: the report names a file outside the folder.
    """
    files = {}
    for one in report["images"]:
        path = PurePosixPath(str(one.get("file", "")))
        if path.is_absolute() or ".." in path.parts or not path.parts:
            raise DataError(root, "does not contain everything its report mentions")
        files[one["index"]] = Path(path)
    told = report["predictions"]
    reading = Reading(told["holding"], told["ignore"], dataset.colours)
    paired = Paired(root, files, (), ())
    return Folder(paired, dataset, list(files), reading, size=report["size"], workers=0)
