"""Uploads and downloads: a folder of this process alone, kept tidy, and gone when the studio ends.

gradio would put them into /tmp/gradio, which may be another user's, and leave them there. To be
imported before gradio, which reads the environment once.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import secrets
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ppap.surroundings import can_write, private_folder
from trainers.command import expanded
from trainers.processes import exists

VARIABLE = "GRADIO_TEMP_DIR"
PREFIX = "studio-"
HOUR = 3600.0
# What nobody has used for so long goes; sooner, the longest unused first, where all together take
# more than so many bytes. What was used within the last hour stays in any case.
MOST_SECONDS, MOST_BYTES, LEAST_SECONDS = 24 * HOUR, 4 * 10**9, HOUR
LOOK_SECONDS = 300.0
# Letters of the names of gradio's folders.
DIGEST = 64
# A folder whose process has not shown itself for so long is nobody's.
ABANDONED_SECONDS = HOUR


class Kept(NamedTuple):
    """One file that was uploaded, or made to be downloaded."""

    used: float
    """When it was last written or read, in seconds since 1970."""
    bytes: int
    path: Path


class Temporary:
    """The folder of one process; it is there while anybody uses it.

    Args:
        base: the folder to make it in, which other processes may use as well.
    """

    def __init__(self, base: Path) -> None:
        self.base = base
        self.folder = base / f"{PREFIX}{os.getpid()}-{secrets.token_hex(4)}"
        self._users: set[int] = set()
        self._lock = threading.Lock()
        self._end: threading.Event | None = None

    def open(self, user: object) -> None:
        """Make the folder, and keep it tidy until the last user closes it."""
        with self._lock:
            self._users.add(id(user))
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self._end is None:
                self._end = threading.Event()
                threading.Thread(
                    target=self._look, args=(self._end,), name="temporary files", daemon=True
                ).start()

    def close(self, user: object) -> None:
        """This user needs it no more; harmless when repeated."""
        with self._lock:
            self._users.discard(id(user))
            if self._users:
                return
            if self._end is not None:
                self._end.set()
                self._end = None
            shutil.rmtree(self.folder, ignore_errors=True)

    def _look(self, end: threading.Event) -> None:
        while True:
            with contextlib.suppress(OSError):
                os.utime(self.folder)  # this process is alive
            tidy(self.folder)
            remove_abandoned(self.base)
            if end.wait(LOOK_SECONDS):
                return


def use(path: Path) -> None:
    """Note that a file is used: it stays for longer."""
    with contextlib.suppress(OSError):
        os.utime(path)


def tidy(
    folder: Path,
    *,
    most_seconds: float = MOST_SECONDS,
    most_bytes: int = MOST_BYTES,
    least_seconds: float = LEAST_SECONDS,
) -> list[Path]:
    """Remove what is old, and as much of the rest as is too much; returns what went."""
    now, gone = time.time(), []
    files = sorted(kept(folder), reverse=True)
    total = 0
    for one in files:
        total += one.bytes
        age = now - one.used
        if age > most_seconds or (total > most_bytes and age > least_seconds):
            with contextlib.suppress(OSError):
                one.path.unlink()
                gone.append(one.path)
    # gradio's, one for each file by its digest; who made another goes on using it.
    for parent in {path.parent for path in gone if len(path.parent.name) == DIGEST}:
        with contextlib.suppress(OSError):  # something else is in it
            parent.rmdir()
    return gone


def kept(folder: Path) -> Iterator[Kept]:
    """The files in a folder, however deep; links are none."""
    for parent, _, names in os.walk(folder):
        for name in names:
            path = Path(parent) / name
            with contextlib.suppress(OSError):
                found = path.lstat()
                yield Kept(found.st_mtime, found.st_size, path)


def remove_abandoned(base: Path) -> None:
    """Remove the folders of studios that were killed."""
    with contextlib.suppress(OSError):
        for folder in base.glob(f"{PREFIX}*-*"):
            with contextlib.suppress(OSError, ValueError):
                number = int(folder.name.removeprefix(PREFIX).partition("-")[0])
                silent = time.time() - folder.lstat().st_mtime > ABANDONED_SECONDS
                if silent and not folder.is_symlink() and not exists(number):
                    shutil.rmtree(folder, ignore_errors=True)


def claim() -> tuple[Temporary, str | None]:
    """This process's folder, told to gradio; and a sentence where it is not where it was wanted.

    Raises:
        OSError: there is no place for temporary files.
    """
    named, said = os.environ.get(VARIABLE), None
    wanted = None if not named else expanded(named)
    # Started by another studio: beside its folder, not in it.
    if wanted is not None and wanted.name.startswith(PREFIX):
        wanted = wanted.parent
    if wanted is not None and not can_write(wanted):
        said = f"{VARIABLE} ({wanted}) cannot be written"
        wanted = None
    base = wanted or private_folder() / "uploads"
    temporary = Temporary(base)
    os.environ[VARIABLE] = str(temporary.folder)
    atexit.register(shutil.rmtree, temporary.folder, ignore_errors=True)
    return temporary, said and f"{said}, so uploads are kept in {base} instead."


FILES, SAID = claim()
