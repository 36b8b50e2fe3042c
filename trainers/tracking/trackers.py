"""All trackers of a run behind one: a failing one is left out, and said once."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from trainers.tracking.about import FOLDER, About, Tracker
from trainers.tracking.aside import Aside
from trainers.tracking.asked import TENSORBOARD, Asked, read_track, require_trackers
from trainers.tracking.board import Board
from trainers.tracking.writer import known

logger = logging.getLogger("trainers")


class Trackers:
    """Tells every tracker that was asked for; none of them can harm the run."""

    def __init__(self, track: str, about: About) -> None:
        """Begin, or go on after ``about.from_step``.

        Raises:
            SettingError: one is not installed.
        """
        require_trackers(track)
        self.told: list[tuple[Asked, Tracker]] = []
        for asked in read_track(track):
            self._guarded(asked, partial(self._begin, asked, about))

    def write(self, kind: str, step: int, numbers: Mapping[str, Any]) -> None:
        """A line of ``metrics.jsonl``."""
        self._each(lambda tracker: tracker.write(kind, step, numbers))

    def report(self, step: int, scores: Mapping[str, float]) -> None:
        """The scores at the end."""
        if scores:
            self._each(lambda tracker: tracker.report(step, scores))

    def close(self, *, failed: bool) -> None:
        """Write what is left."""
        self._each(lambda tracker: tracker.close(failed=failed))
        self.told = []

    def _begin(self, asked: Asked, about: About) -> None:
        if asked.name == TENSORBOARD:
            board = Board(about)
            catch_up(board, about)
            self.told.append((asked, board))
        else:
            self.told.append((asked, Aside(about, asked)))

    def _each(self, act: Callable[[Tracker], None]) -> None:
        for asked, tracker in list(self.told):
            self._guarded(asked, partial(act, tracker))

    def _guarded(self, asked: Asked, act: Callable[[], None]) -> None:
        try:
            act()
        except Exception as error:  # whatever a tracker's own code raises
            self.told = [one for one in self.told if one[0] != asked]
            reason = " ".join(str(error).split()) or type(error).__name__
            logger.warning(
                "%s no longer gets this run's numbers: %s. The run continues without it; "
                "metrics.jsonl has all of them%s.",
                asked.title,
                reason.rstrip("."),
                "" if asked.name == TENSORBOARD else f" (see {FOLDER}/{asked.name}.log)",
            )


def catch_up(board: Board, about: About) -> None:
    """Tell a board of those lines from before that it lacks."""
    for record in known(about):
        if record["step"] >= board.since:
            board.write(record["kind"], record["step"], record)
