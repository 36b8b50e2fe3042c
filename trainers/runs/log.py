"""What a run prints: to whoever watches, and into its folder."""

from __future__ import annotations

import logging
import sys
from pathlib import Path


def start_log(file: Path | None, *, quiet: bool = False) -> logging.Logger:
    """Log to a file with times, and to stderr without; of several processes only the first."""
    logger = end_log()
    logger.setLevel(logging.INFO)
    logger.propagate = False
    if not quiet:
        shown = Shown(sys.stderr)
        shown.setFormatter(logging.Formatter("%(message)s"))
        logger.addHandler(shown)
    if file is not None:
        kept = Kept(file, encoding="utf-8", errors="backslashreplace")
        kept.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%Y-%m-%d %H:%M:%S"))
        logger.addHandler(kept)
    return logger


class Quiet(logging.Handler):
    """A full disk or a terminal that is gone must not end a run, nor fill what is left of it."""

    def handleError(self, record: logging.LogRecord) -> None:
        """See the base class."""
        if not isinstance(sys.exc_info()[1], OSError | ValueError):
            super().handleError(record)


class Shown(Quiet, logging.StreamHandler):
    """What is shown to whoever watches."""


class Kept(Quiet, logging.FileHandler):
    """What is kept in the run's folder."""


def end_log() -> logging.Logger:
    """Close the log's file."""
    logger = logging.getLogger("trainers")
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
        handler.close()
    logger.propagate = True
    return logger
