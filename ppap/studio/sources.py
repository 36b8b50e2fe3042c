"""Where the images of a batch come from: the samples, uploads, and the folders of this server."""

from __future__ import annotations

import itertools
import os
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import NamedTuple

from ppap.backbones.folders import has_weights
from ppap.backbones.naming import called
from ppap.data import (
    DataError,
    Dataset,
    Example,
    available_splits,
    open_dataset,
    read_image,
    samples_dataset,
)
from ppap.data.confining import confined
from ppap.data.opening import SAME_SPLIT
from ppap.settings import excerpt
from ppap.studio.access.uploads import own_folder
from ppap.studio.access.visitor import current
from ppap.studio.near import MOST, close, did_you_mean, near_paths
from ppap.studio.requests import Request, RequestError, at_field
from ppap.studio.store import Upload
from ppap.studio.temporary import use

Progress = Callable[[str, float], None]
Fit = Callable[[Example], Example]
GONE = "{} is no longer here: uploads are deleted after a day without use. Choose the images again."
WEIGHTS = frozenset((".pt", ".pth", ".ckpt", ".bin", ".safetensors", ".tar"))


class Loaded(NamedTuple):
    """Photos of a request, with what could not be read."""

    examples: list[Example]
    problems: list[str]
    notes: tuple[str, ...] = ()
    """What is worth knowing of the folder, such as files that were passed by."""
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
        hides: whether a real path leads to what is another user's.
    """

    def __init__(
        self,
        folders: Iterable[Path],
        *,
        uploads: Path,
        any_folder: bool,
        hides: Callable[[Path], bool] = lambda _: False,
    ) -> None:
        self.folders = [folder.resolve() for folder in folders]
        self.uploads = uploads.resolve()
        self.any_folder = any_folder
        self._hides = hides

    def read(
        self,
        request: Request,
        fit: Fit,
        progress: Progress,
        expect: Callable[[int], None] = lambda images: None,
    ) -> Loaded:
        """Read the photos that a request names, each brought to its size by ``fit``.

        ``expect`` is told how many there are before the first is read; what it raises ends it.
        RequestError when there is none to show.
        """
        if request.source == "files":
            loaded = self._files(request, fit, progress, expect)
        else:
            loaded = self._dataset(request, fit, progress, expect)
        if not loaded.examples:
            raise RequestError("\n".join(loaded.problems) or "There are no images to show.")
        return loaded

    def _files(
        self, request: Request, fit: Fit, progress: Progress, expect: Callable[[int], None]
    ) -> Loaded:
        expect(len(request.files))
        examples, problems = [], []
        for i, file in enumerate(request.files):
            progress(f"Reading image {i + 1} of {len(request.files)}", i / len(request.files))
            path = self.upload(file)
            try:
                examples.append(fit(Example(read_image(path, name=file.name))))
            except DataError as error:
                problems.append(str(error) if path.exists() else GONE.format(file.name))
        return Loaded(examples, problems)

    def _dataset(
        self, request: Request, fit: Fit, progress: Progress, expect: Callable[[int], None]
    ) -> Loaded:
        dataset = self._open(request)
        if request.source == "samples":
            chosen = list(range(len(dataset)))
        elif request.images:
            chosen = list(request.images)
            if max(chosen) >= len(dataset):
                raise RequestError(
                    f"There is no image number {max(chosen)}: {request.folder} has {len(dataset)} "
                    "images, counted from 0.",
                    field="count",
                )
        else:
            chosen = list(turn(len(dataset), request.count, request.seed))
        expect(len(chosen))
        examples, problems, read = [], [], []
        for i, index in enumerate(chosen):
            progress(f"Reading image {i + 1} of {len(chosen)}", i / len(chosen))
            try:
                examples.append(fit(dataset.load(index)))
                read.append(index)
            except DataError as error:
                problems.append(str(error))
        return Loaded(
            examples, problems, dataset.notes, tuple(read), dataset.classes, dataset.colours
        )

    def _open(self, request: Request) -> Dataset:
        if request.source == "samples":
            return samples_dataset()
        with at_field("folder"), self.links():
            folder = self.folder(request.folder)
            kind = request.kind or None
            self.check_split(folder, request.split, kind)
            return open_dataset(folder, kind=kind, split=request.split)

    def links(self) -> AbstractContextManager[None]:
        """Meanwhile no link in a data set leads out of the folders that may be looked into."""
        return confined(None if self.any_folder else self.folders)

    def check_split(self, folder: Path, split: str, kind: str | None = None) -> None:
        """RequestError or DataError, from names alone, where a folder holds no data or not this
        split; empty stands for the usual one."""
        found = available_splits(folder, kind=kind)
        if not found or found == ("all",) or split in ("", *found):
            return
        if SAME_SPLIT.get(split) in found:
            return
        offers = close(split.casefold(), found)
        there = did_you_mean(offers) or f" It has {'only ' * (len(found) == 1)}{listed(found)}."
        raise RequestError(
            f"{folder} has no split {excerpt(split)}.{there}",
            field="split",
            offers=offers,
        )

    def upload(self, file: Upload) -> Path:
        """The file, if whoever asks right now has uploaded it; RequestError otherwise."""
        path = resolved(file.path)
        if path is None or not path.is_relative_to(own_folder(self.uploads)):
            raise RequestError(f"{file.name} was not uploaded to this studio.")
        use(path)
        return path

    def folder(self, text: str) -> Path:
        """The folder, if it may be looked into; RequestError otherwise."""
        if not text:
            raise RequestError("Enter a folder on this server.")
        path = self._allowed(text)
        if path is not None and is_folder(path):
            return path
        offers = near_paths(text, partial(self._offered, is_folder))
        if path is not None and is_file(path):
            raise refusal_of(f"There is no folder {text} on this server: it is a file.", offers)
        raise refusal_of(f"There is no folder {text} on this server.", offers)

    def file(self, text: str) -> Path:
        """The file, if it may be read; RequestError otherwise."""
        if not text:
            raise RequestError("Enter the path of a file on this server.")
        path = self._allowed(text)
        if path is not None and is_file(path):
            return path
        if path is not None and is_folder(path):
            raise refusal_of(
                f"There is no file {text} on this server: it is a folder.", weights_in(path)
            )
        offers = near_paths(text, partial(self._offered, is_file))
        raise refusal_of(f"There is no file {text} on this server.", offers)

    def weights(self, name: str) -> str:
        """A backbone's name with its file, or folder, put in full; RequestError where it may not be
        read. ``name@file`` stays that; a model's name alone comes back as it is."""
        model, file = called(name)
        if file is None:
            return name
        path = self._allowed(str(file))
        if path is None or not has_weights(path):
            path = self.file(str(file))
        elif not self.any_folder:
            for each in path.rglob("*"):
                if each.is_symlink():
                    self._allowed(str(each))
        return str(path) if model is None else f"{model}@{path}"

    def _offered(self, kind: Callable[[Path], bool], path: Path) -> bool:
        """Whether a path may be told of, and is of a kind."""
        real = resolved(str(path))
        return real is not None and kind(real) and self.shows(real)

    def shows(self, real: Path) -> bool:
        """Whether a real path may be told of to whoever asks right now."""
        if not self.any_folder and not any(real.is_relative_to(root) for root in self.folders):
            return False
        return not self._is_others(real)

    def _allowed(self, text: str) -> Path | None:
        # Resolved first, so that neither ".." nor a link leads out of the folders. Whether
        # something exists outside them is not told either.
        path = resolved(text)
        inside = path is not None and any(path.is_relative_to(root) for root in self.folders)
        if not self.any_folder and not inside:
            # The sentence is the same for everything; the page may still offer what is near.
            raise RequestError(
                "This studio is open to other machines, so it shows only the folders it was "
                "started with (--images FOLDER).",
                offers=close(text, [str(folder) for folder in self.folders]),
            )
        return None if path is not None and self._is_others(path) else path

    def _is_others(self, path: Path) -> bool:
        """Whether a real path leads to what is another user's, as if it were not there."""
        uploaded = path.is_relative_to(self.uploads)
        if uploaded and current().user and not path.is_relative_to(own_folder(self.uploads)):
            return True
        return self._hides(path)


def refusal_of(text: str, offers: Sequence[str]) -> RequestError:
    """A refusal that ends with what may have been meant."""
    return RequestError(text + did_you_mean(offers), offers=offers)


def weights_in(folder: Path) -> list[str]:
    """A few files in a folder, or in the ``checkpoints`` of a run, that can be checkpoints."""
    found = []
    for place in (folder, folder / "checkpoints"):
        try:
            names = sorted(os.listdir(place))  # noqa: PTH208
        except OSError:
            continue
        found += [str(place / name) for name in names if Path(name).suffix in WEIGHTS]
    return found[:MOST]


def listed(names: Sequence[str]) -> str:
    """``train, val and test``."""
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


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
