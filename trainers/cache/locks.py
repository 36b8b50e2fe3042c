"""Locks between processes: one builds a cache, and nobody removes one that is in use.

They are the system's own (``flock``), so they end with the process that holds them, however it
ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from trainers.cache.errors import CacheError

POLL_SECONDS = 0.2


class Lock:
    """A lock that is held until ``release``."""

    def __init__(self, file: Path, descriptor: int) -> None:
        self.file = file
        self._descriptor: int | None = descriptor

    def touch(self) -> None:
        """Set the file's time of change to now."""
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
                os.utime(self._descriptor)

    def release(self) -> None:
        """Let go; a second time does nothing."""
        if self._descriptor is not None:
            # Said aloud, because a loader process that was forked meanwhile shares the descriptor.
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)
            os.close(self._descriptor)
            self._descriptor = None


def try_lock(file: Path, *, exclusive: bool) -> Lock | None:
    """A lock on ``file``, which is made if need be.

    Returns:
        None while others hold one against it, or if its folder is not there (any more).

    Raises:
        CacheError: the file cannot be made or locked.
    """
    kind = fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH
    while True:
        try:
            descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise CacheError(f"{file} cannot be opened: {error.strerror or error}") from error
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        except OSError as error:
            os.close(descriptor)
            raise CacheError(
                f"{file} cannot be locked ({error.strerror or error}): "
                "choose a folder on another disk"
            ) from error
        if is_file_of(file, descriptor):
            return Lock(file, descriptor)
        # Somebody removed the folder in between: this lock is on a file that nobody else sees.
        os.close(descriptor)


def is_file_of(file: Path, descriptor: int) -> bool:
    """Whether the file of that name is still the one that was opened."""
    try:
        return os.path.samestat(file.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def wait_for(file: Path, *, exclusive: bool, meanwhile: Callable[[], None]) -> Lock:
    """As ``try_lock``, but wait, in a folder that is made if need be.

    Args:
        file: as in ``try_lock``.
        exclusive: as in ``try_lock``.
        meanwhile: called again and again; what it raises ends the waiting.

    Raises:
        CacheError: as ``try_lock``, or the folder cannot be made.
    """
    while True:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CacheError(
                f"{file.parent} cannot be made: {error.strerror or error}. Choose another folder "
                "for cached features, or switch the cache off"
            ) from error
        lock = try_lock(file, exclusive=exclusive)
        if lock is not None:
            return lock
        meanwhile()
        time.sleep(POLL_SECONDS)


@contextlib.contextmanager
def locked(file: Path, *, exclusive: bool, meanwhile: Callable[[], None]) -> Iterator[None]:
    """Hold a lock for a while; see ``wait_for``."""
    lock = wait_for(file, exclusive=exclusive, meanwhile=meanwhile)
    try:
        yield
    finally:
        lock.release()
