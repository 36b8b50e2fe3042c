"""Images that a run leaves out because they cannot be read: each is told once, and counted."""

from __future__ import annotations

import logging

logger = logging.getLogger("trainers")

_reasons: set[str] = set()


def leave_out(reason: str) -> None:
    """Put into the log that an image is left out; not again in every epoch."""
    if reason not in _reasons:
        _reasons.add(reason)
        logger.warning("Left out: %s", reason)


def left_out() -> int:
    """How many were left out in this process."""
    return len(_reasons)


def forget() -> None:
    """Count from 0: another run begins."""
    _reasons.clear()
