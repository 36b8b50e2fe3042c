"""Images that a run leaves out because they cannot be read: each is told once, and counted."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from ppap.data import Dataset, printable

logger = logging.getLogger("trainers")

_reasons: set[str] = set()


def leave_out(reason: str) -> None:
    """Put into the log that an image is left out; not again in every epoch."""
    if reason not in _reasons:
        _reasons.add(reason)
        logger.warning("Left out: %s", reason)


def left_out(dataset: Dataset) -> int:
    """How many images of a data set were left out in this process."""
    if not _reasons:
        return 0
    files = {
        printable(path) for item in dataset.items for path in (item.image, item.labels) if path
    }
    return sum(any(name in files for name in beginnings(reason)) for reason in _reasons)


def beginnings(reason: str) -> Iterator[str]:
    """``a b c`` → ``a``, ``a b``: a reason begins with a file's path, which may hold blanks."""
    return (reason[:at] for at, letter in enumerate(reason) if letter == " ")


def forget() -> None:
    """Count from 0: another run begins."""
    _reasons.clear()
