"""Where links may lead: anywhere, or, in a studio that others can reach, only into its folders.

Whoever can put a link into a folder that a studio shows could otherwise have it read any file that
the studio's own user can read. What the studio starts, runs and evaluations, finds the same bounds
in its environment.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

# In the environment of a process: the folders, as JSON.
VARIABLE = "PPAP_CONFINED"
LEADS_OUT = "is a link that leads out of the folders that may be read"
_CONFINED: ContextVar[tuple[str, ...] | None] = ContextVar("confined")


@contextmanager
def confined(folders: Iterable[Path] | None) -> Iterator[None]:
    """Meanwhile no link is followed that leads out of ``folders``; None lets them lead anywhere."""
    real = None if folders is None else tuple(os.path.realpath(folder) for folder in folders)
    token = _CONFINED.set(real)
    try:
        yield
    finally:
        _CONFINED.reset(token)


def in_environment(folders: Iterable[Path]) -> dict[str, str]:
    """What confines the processes that find it in their environment."""
    return {VARIABLE: json.dumps([os.path.realpath(folder) for folder in folders])}


def leads_out(path: str | os.PathLike[str]) -> bool:
    """Whether a path begins in a folder that may be read and leads to a file in none of them.

    What lies elsewhere from its beginning, such as an upload, is not this module's business.
    """
    allowed = _allowed()
    if allowed is None or _is_among(os.path.realpath(path), allowed):
        return False
    return any(_is_among(os.path.realpath(one), allowed) for one in Path(path).absolute().parents)


def _allowed() -> tuple[str, ...] | None:
    try:
        return _CONFINED.get()
    except LookupError:
        said = os.environ.get(VARIABLE)
        return None if said is None else tuple(json.loads(said))


def _is_among(place: str, folders: tuple[str, ...]) -> bool:
    return any(is_inside(place, folder) for folder in folders)


def is_inside(path: str, folder: str) -> bool:
    """Whether a real path is a real folder's own, or of something below it."""
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)
