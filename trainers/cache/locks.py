"""Locks between processes: one builds a cache, and nobody removes one that is in use."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

from trainers import locks
from trainers.cache.errors import CacheError
from trainers.locks import Lock


def try_lock(file: Path, *, exclusive: bool) -> Lock | None:
    """As ``trainers.locks.try_lock``; CacheError where the file cannot be opened or locked."""
    with _told(file):
        return locks.try_lock(file, exclusive=exclusive)


def wait_for(file: Path, *, exclusive: bool, meanwhile: Callable[[], None]) -> Lock:
    """As ``trainers.locks.wait_for``; CacheError where its folder or the file cannot be made."""
    with _told(file):
        return locks.wait_for(file, exclusive=exclusive, meanwhile=meanwhile)


@contextlib.contextmanager
def _told(file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CacheError(
            f"{error.filename or file} cannot be used for cached features: "
            f"{error.strerror or error}. Choose another folder for them, or switch the cache off"
        ) from error


@contextlib.contextmanager
def locked(file: Path, *, exclusive: bool, meanwhile: Callable[[], None]) -> Iterator[None]:
    """Hold a lock for a while; see ``wait_for``."""
    lock = wait_for(file, exclusive=exclusive, meanwhile=meanwhile)
    try:
        yield
    finally:
        lock.release()
