"""Whose something on disk is: a small file in its folder. What has none is everybody's.

Only the studio knows users. It hands the name on to the commands that it starts.
"""

from __future__ import annotations

import os
from pathlib import Path

from trainers.runs.values import opened

# Hidden: lists of a folder's files pass it by.
OWNER = ".owner"
VARIABLE = "PPAP_OWNER"
LONGEST = 256


def owner_of(folder: Path) -> str:
    """Whose it is; empty for everybody's, as all is that was made without logins."""
    try:
        with opened(folder / OWNER) as stream:
            return stream.read(LONGEST).decode("utf-8", "replace").strip()
    except OSError:
        return ""


def write_owner(folder: Path, user: str) -> None:
    """From now on it belongs to ``user``; nothing happens for nobody."""
    if user:
        (folder / OWNER).write_text(f"{user}\n", encoding="utf-8")


def given_owner() -> str:
    """For whom the studio started this process; empty where it did not, or nobody logs in."""
    return os.environ.get(VARIABLE, "")[:LONGEST]
