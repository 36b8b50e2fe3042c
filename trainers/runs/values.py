"""Values out of a run's files, which anybody may have edited: of the kind that is wanted, or None.

What passes here can be sent as JSON, compared and shown, whatever stands in the file.
"""

from __future__ import annotations

import errno
import json
import math
import os
import stat
from pathlib import Path
from typing import Any, BinaryIO

# What 64 bits hold: nothing that reads JSON fails on it.
LARGEST = 2**63 - 1
LONGEST = 10_000
# Bytes of a file of values; a report of 100,000 images has fewer.
LARGEST_FILE = 256 * 2**20


def opened(file: Path, within: Path | None = None) -> BinaryIO:
    """A regular file, to be read: a pipe would hold up whoever opens it, a device has no end.

    Args:
        file: in a folder that others may write to.
        within: where a link may lead; None: anywhere.

    Raises:
        OSError: it is no such file, or cannot be read.
    """
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
    if within is not None:
        if file.is_symlink():
            file = _resolved(file, within)
        flags |= os.O_NOFOLLOW
    descriptor = os.open(file, flags)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "Not a file that can be read", os.fspath(file))
    return os.fdopen(descriptor, "rb")


def _resolved(link: Path, within: Path) -> Path:
    try:
        file = link.resolve()
        inside = file.is_relative_to(within.resolve())
    except RuntimeError:  # a link to itself
        inside = False
    if not inside:
        raise OSError(errno.ELOOP, "A link that leads elsewhere", os.fspath(link))
    return file


def read_json(file: Path, most: int = LARGEST_FILE) -> dict[str, Any]:
    """An object in a file; empty where there is none, or the file has more than ``most`` bytes."""
    try:
        with opened(file) as stream:
            if os.fstat(stream.fileno()).st_size > most:
                return {}
            content = stream.read()
        found = json.loads(content.decode("utf-8", "replace"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def number(value: object) -> float | None:
    """A finite number of a size that things have."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # Not float first: a whole number may be larger than any.
    return float(value) if abs(value) <= LARGEST and math.isfinite(value) else None


def whole(value: object) -> int | None:
    """A whole number, 0 or more."""
    return value if type(value) is int and 0 <= value <= LARGEST else None


def text(value: object) -> str | None:
    """A text, without what no encoding can hold, and not endless."""
    if not isinstance(value, str):
        return None
    return value[:LONGEST].encode("utf-8", "replace").decode("utf-8")


def texts(value: object) -> dict[str, str] | None:
    """An object whose values are texts."""
    if not isinstance(value, dict) or not all(isinstance(one, str) for one in value.values()):
        return None
    return {text(name) or "": text(one) or "" for name, one in value.items()}
