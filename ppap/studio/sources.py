"""Where the images of a batch come from: the samples, uploads, and the folders of this server."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from ppap.batches import squared
from ppap.data import (
    DataError,
    Dataset,
    Example,
    open_dataset,
    read_image,
    samples_dataset,
)
from ppap.studio.requests import Request, RequestError

Progress = Callable[[str, float], None]


class Loaded(NamedTuple):
    """Photos of a request, with what could not be read."""

    examples: list[Example]
    problems: list[str]
    indices: tuple[int, ...] = ()
    """Which items of the data set the photos are."""
    classes: tuple[str, ...] = ()
    colours: tuple[tuple[int, int, int], ...] = ()


class Sources:
    """Reads what pages and scripts may see.

    Args:
        folders: data folders the studio was started with.
        uploads: the folder that uploaded files come into.
        any_folder: whether every folder of this machine may be looked into: only where no other
            machine can reach the studio.
    """

    def __init__(self, folders: Iterable[Path], *, uploads: Path, any_folder: bool) -> None:
        self.folders = [folder.resolve() for folder in folders]
        self.uploads = uploads.resolve()
        self.any_folder = any_folder

    def read(self, request: Request, size: int, progress: Progress) -> Loaded:
        """Read the photos that a request names, cut to squares of ``size`` pixels.

        RequestError when there is none to show.
        """
        if request.source == "files":
            loaded = self._files(request, size, progress)
        else:
            loaded = self._dataset(request, size, progress)
        if not loaded.examples:
            raise RequestError("\n".join(loaded.problems) or "There is no image to show.")
        return loaded

    def _files(self, request: Request, size: int, progress: Progress) -> Loaded:
        examples, problems = [], []
        for i, file in enumerate(request.files):
            progress(f"Reading image {i + 1} of {len(request.files)}", i / len(request.files))
            path = resolved(file.path)
            if path is None or not path.is_relative_to(self.uploads):
                raise RequestError(f"{file.name} was not uploaded to this studio.")
            try:
                examples.append(squared(Example(read_image(path, name=file.name)), size))
            except DataError as error:
                problems.append(str(error))
        return Loaded(examples, problems)

    def _dataset(self, request: Request, size: int, progress: Progress) -> Loaded:
        dataset = self._open(request)
        if request.source == "samples":
            chosen = list(range(len(dataset)))
        elif request.images:
            chosen = list(request.images)
            if max(chosen) >= len(dataset):
                raise RequestError(
                    f"There is no image number {max(chosen)}: {request.folder} has {len(dataset)} "
                    "images, counted from 0."
                )
        else:
            chosen = list(turn(len(dataset), request.count, request.seed))
        examples, problems, read = [], [], []
        for i, index in enumerate(chosen):
            progress(f"Reading image {i + 1} of {len(chosen)}", i / len(chosen))
            try:
                examples.append(squared(dataset.load(index), size))
                read.append(index)
            except DataError as error:
                problems.append(str(error))
        return Loaded(examples, problems, tuple(read), dataset.classes, dataset.colours)

    def _open(self, request: Request) -> Dataset:
        if request.source == "samples":
            return samples_dataset()
        return open_dataset(self.folder(request.folder), split=request.split)

    def folder(self, text: str) -> Path:
        """The folder, if it may be looked into; RequestError otherwise."""
        if not text:
            raise RequestError("Name a folder on this server.")
        path = self._allowed(text)
        if path is None or not is_folder(path):
            raise RequestError(f"There is no folder {text} on this server.")
        return path

    def file(self, text: str) -> Path:
        """The file, if it may be read; RequestError otherwise."""
        if not text:
            raise RequestError("Name a file on this server.")
        path = self._allowed(text)
        if path is None or not is_file(path):
            raise RequestError(f"There is no file {text} on this server.")
        return path

    def _allowed(self, text: str) -> Path | None:
        # Resolved first, so that neither ".." nor a link leads out of the folders. Whether
        # something exists outside them is not told either.
        path = resolved(text)
        inside = path is not None and any(path.is_relative_to(root) for root in self.folders)
        if not self.any_folder and not inside:
            raise RequestError(
                "This studio is open to other machines, so it shows only the folders it was "
                "started with (--images FOLDER)."
            )
        return path


def turn(length: int, count: int, seed: int) -> Iterator[int]:
    """Batch ``seed`` of ``length`` items: the next ``count`` of one shuffle, over and over."""
    order = list(range(length))
    random.Random(0).shuffle(order)
    count = min(count, length)
    start = seed * count % max(1, length)
    return itertools.islice(itertools.cycle(order), start, start + count)


def resolved(text: str) -> Path | None:
    """A path with its links followed and ``~`` put in; None for what can be no path."""
    try:
        return Path(text).expanduser().resolve()
    except (OSError, RuntimeError, ValueError):  # too long, links in a circle, no such user, NUL
        return None


def is_folder(path: Path) -> bool:
    """Whether it is a folder that can be seen."""
    try:
        return path.is_dir()
    except OSError:
        return False


def is_file(path: Path) -> bool:
    """Whether it is a file that can be seen."""
    try:
        return path.is_file()
    except OSError:
        return False
