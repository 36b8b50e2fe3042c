"""Whose things on disk are whose: studies, evaluations and ablations, and runs if that is wanted.

What was made without logins belongs to nobody, so everybody sees it.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from ppap.studio.access.visitor import current
from trainers.runs.owner import OWNER, VARIABLE, owner_of, write_owner


class Ownership:
    """Says what on disk whoever asks right now may see.

    Args:
        logins: whether users log in; without, everything on disk is everybody's.
        private_runs: whether runs belong to whoever started them, too.
    """

    def __init__(self, *, logins: bool = False, private_runs: bool = False) -> None:
        self.logins, self.private_runs = logins, logins and private_runs

    def sees(self, folder: Path) -> bool:
        """Whether they may see a study, an evaluation or an ablation."""
        return not self.logins or current().owns(owner_of(folder))

    def sees_run(self, folder: Path) -> bool:
        """Whether they may see a run."""
        return not self.private_runs or current().owns(owner_of(folder))

    def holds_back(self) -> str:
        """Whose runs whoever asks right now holds back by pausing the queue; empty: everybody's."""
        return current().user if self.private_runs else ""

    def hides(self, runs: Path, path: Path) -> bool:
        """Whether a path leads into what somebody else made in the folder of all runs.

        Both paths are real ones.
        """
        if not path.is_relative_to(runs):
            return False
        inside = path.relative_to(runs).parts
        if not inside:
            return self.private_runs and bool(current().user)  # everybody's at once
        if inside[0].startswith("."):  # studies, evaluations and ablations have a folder each
            return len(inside) > 1 and not self.sees(runs / inside[0] / inside[1])
        return not self.sees_run(runs / inside[0])


EVERYBODYS = Ownership()


def owner_now() -> str:
    """To whom something belongs that is made right now; empty where nobody logs in."""
    return current().user


def claim(folder: Path) -> None:
    """From now on a folder belongs to whoever asks right now."""
    write_owner(folder, current().user)


def release(folder: Path) -> None:
    """Forget whose a folder is, so that it can be removed when it is empty."""
    with contextlib.suppress(OSError):
        (folder / OWNER).unlink(missing_ok=True)


def environment() -> dict[str, str]:
    """For a command that makes things for whoever asks right now."""
    return {**os.environ, VARIABLE: current().user}
