"""A segmentation to take away: ZIPs, made once and fetched by their address."""

from __future__ import annotations

import errno
import secrets
import tempfile
import threading
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ppap.data import DataError
from ppap.data.classes import Colour
from ppap.output.data_set import Segmented, Taken, write_zip
from ppap.output.label_files import merged
from ppap.output.naming import file_stems
from ppap.studio.access.shares import Shares
from ppap.studio.access.visitor import current
from ppap.studio.requests import RequestError
from ppap.studio.segment.pictures import Picture
from ppap.studio.segment.requests import read_colours, read_names, read_taken
from ppap.studio.segment.shelf import FULL, check_room
from ppap.studio.segment.store import Layer, Result, SegmentStore
from ppap.studio.sources import Progress
from ppap.studio.temporary import FILES

# Bytes of photos in one ZIP.
MAX_PHOTOS = 2 * 2**30
# Of one user, or where nobody logs in, of one set of pictures; and of all together.
MAX_DOWNLOADS, MAX_ALL_DOWNLOADS = 8, 64


GONE = "One of the images has been moved or deleted. Segment again."


def pixels(one: Picture) -> np.ndarray:
    """What a picture shows, uint8 ``(H, W, 3)``; RequestError where its file has gone."""
    try:
        return one.rgb
    except DataError as error:
        raise RequestError(str(error)) from None


def photo_bytes(result: Result) -> int:
    """What the photos of a result take in its ZIP, at most."""
    return sum(one.size for one in result.done)


def why_no_photos(result: Result) -> str:
    """Why the photos cannot be in a ZIP; empty where they can."""
    size = photo_bytes(result)
    if size <= MAX_PHOTOS:
        return ""
    return (
        f"The images take {size / 2**30:.1f} GB, more than the {MAX_PHOTOS / 2**30:g} GB that fit "
        "into a ZIP. Copy them into images/ next to labels/ yourself."
    )


def note_on(result: Result) -> str:
    """How the pictures were segmented, for whoever opens the ZIP."""
    said = result.switches.said()
    return f"Segmented with {result.title}{f' ({said})' if said else ''}."


class Fetched(NamedTuple):
    """A ZIP that can be fetched."""

    file: Path
    name: str
    owner: str
    """The user whose it is; empty where nobody logs in."""


class Packing:
    """Makes ZIPs of results and keeps those made last. Safe for many threads.

    Args:
        store: has the results.
    """

    def __init__(self, store: SegmentStore) -> None:
        self.store = store
        self._lock = threading.Lock()
        FILES.open(self)
        self._folder = tempfile.TemporaryDirectory(prefix="segment-", dir=FILES.folder)
        self._taken: Shares[Fetched] = Shares(MAX_DOWNLOADS, MAX_ALL_DOWNLOADS)

    @property
    def folder(self) -> str:
        """A folder for files on their way out; it goes when the studio is closed."""
        return self._folder.name

    def close(self) -> None:
        """Remove every file."""
        self._folder.cleanup()
        FILES.close(self)

    def zip(
        self, request: Mapping[str, Any], file: Path, progress: Progress = lambda *_: None
    ) -> Result:
        """Write a result's ZIP; the result."""
        result = self.store.result(request.get("result"))
        layer, names, colours, taken = self.read_take(request, result)
        classes, table = merged(names, colours)
        done = list(result.done)

        def pictures() -> Iterator[Segmented]:
            for i, one in enumerate(done):
                progress(f"Packing image {i + 1} of {len(done)}", i / len(done))
                check_room(0)
                ids = table[layer.maps[i].ids()]
                yield Segmented(one.name, partial(pixels, one), ids, one.file)

        try:
            with file.open("wb") as stream:
                called = [one.name for one in done]
                write_zip(stream, pictures(), classes, names=called, taken=taken)
        except BaseException as error:  # also where it was cancelled
            file.unlink(missing_ok=True)
            if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise RequestError(FULL) from None
            if isinstance(error, FileNotFoundError):
                raise RequestError(GONE) from None
            raise
        return result

    @staticmethod
    def read_take(
        request: Mapping[str, Any], result: Result
    ) -> tuple[Layer, list[str], list[Colour], Taken]:
        """What shall be taken of a result, and how; RequestError for what cannot be."""
        layer = result.layer(request.get("kind", "clusters"))
        names, colours = read_names(request, layer), read_colours(request, layer)
        taken = read_taken(request, note_on(result))
        if taken.photos and (reason := why_no_photos(result)):
            raise RequestError(reason)
        return layer, names, colours, taken

    def pack(self, request: Mapping[str, Any], progress: Progress = lambda *_: None) -> str:
        """Make a ZIP that can be fetched; its id."""
        key = secrets.token_urlsafe(12)
        file = Path(self.folder) / f"{key}.zip"
        result = self.zip(request, file, progress)
        stem = file_stems([result.done[0].name])[0][:80]
        name = f"segments-{stem}{'-and-more' if len(result.done) > 1 else ''}.zip"
        user = current().user
        fetched = Fetched(file, name, user)
        with self._lock:
            for gone in self._taken.put(key, fetched, user or f"set {result.pictures.key}"):
                gone.file.unlink(missing_ok=True)
        return key

    def taken_reply(self, key: str) -> dict[str, Any]:
        """Where a ZIP can be fetched."""
        return {"url": f"studio/segment/{key}.zip", "name": self.taken(key).name}

    def taken(self, key: str) -> Fetched:
        """A ZIP by the id in its address; RequestError when it is gone."""
        with self._lock:
            taken = self._taken.get(key)
        if taken is None or not current().owns(taken.owner) or not taken.file.is_file():
            raise RequestError("This file has been removed. Download it again.")
        return taken
