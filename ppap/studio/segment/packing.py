"""A segmentation to take away: ZIPs, made once and fetched by their address."""

from __future__ import annotations

import errno
import secrets
import tempfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ppap.data.classes import Colour
from ppap.output.label_files import Segmented, merged, write_zip
from ppap.output.naming import file_stems
from ppap.studio.access.shares import Shares
from ppap.studio.access.visitor import current
from ppap.studio.requests import RequestError
from ppap.studio.segment.requests import read_colours, read_names, read_opacity
from ppap.studio.segment.shelf import FULL
from ppap.studio.segment.store import Layer, Result, SegmentStore
from ppap.studio.sources import Progress
from ppap.studio.temporary import FILES

# Of one user, or where nobody logs in, of one set of pictures; and of all together.
MAX_DOWNLOADS, MAX_ALL_DOWNLOADS = 8, 64


class Taken(NamedTuple):
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
        self._taken: Shares[Taken] = Shares(MAX_DOWNLOADS, MAX_ALL_DOWNLOADS)

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
        layer, names, colours, opacity = self.read_take(request, result)
        classes, table = merged(names, colours)
        done = list(result.done)

        def pictures() -> Iterator[Segmented]:
            for i, one in enumerate(done):
                progress(f"Packing picture {i + 1} of {len(done)}", i / len(done))
                yield Segmented(one.name, one.rgb, table[layer.maps[i].ids()])

        try:
            with file.open("wb") as stream:
                write_zip(
                    stream,
                    pictures(),
                    classes,
                    names=[one.name for one in done],
                    opacity=opacity,
                    outline=bool(request.get("outline")),
                )
        except BaseException as error:  # also where it was cancelled
            file.unlink(missing_ok=True)
            if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise RequestError(FULL) from None
            raise
        return result

    @staticmethod
    def read_take(
        request: Mapping[str, Any], result: Result
    ) -> tuple[Layer, list[str], list[Colour], float]:
        """What shall be taken of a result, and how; RequestError for what cannot be."""
        layer = result.layer(request.get("kind", "clusters"))
        names, colours = read_names(request, layer), read_colours(request, layer)
        return layer, names, colours, read_opacity(request)

    def pack(self, request: Mapping[str, Any], progress: Progress = lambda *_: None) -> str:
        """Make a ZIP that can be fetched; its id."""
        key = secrets.token_urlsafe(12)
        file = Path(self.folder) / f"{key}.zip"
        result = self.zip(request, file, progress)
        stem = file_stems([result.done[0].name])[0][:80]
        name = f"segments-{stem}{'-and-more' if len(result.done) > 1 else ''}.zip"
        user = current().user
        taken = Taken(file, name, user)
        with self._lock:
            for gone in self._taken.put(key, taken, user or f"set {result.pictures.key}"):
                gone.file.unlink(missing_ok=True)
        return key

    def taken_reply(self, key: str) -> dict[str, Any]:
        """Where a ZIP can be fetched."""
        return {"url": f"studio/segment/{key}.zip", "name": self.taken(key).name}

    def taken(self, key: str) -> Taken:
        """A ZIP by the id in its address; RequestError when it is gone."""
        with self._lock:
            taken = self._taken.get(key)
        if taken is None or not current().owns(taken.owner) or not taken.file.is_file():
            raise RequestError("This file is no longer here. Download it again.")
        return taken
