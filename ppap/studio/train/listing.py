"""The runs as the list shows them: where each stands, what it has scored, its tags and note."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trainers.launching.runner import Runner
from trainers.runs.alike import fold_of, seed_of
from trainers.runs.notes import FILE, sound_notes
from trainers.runs.scores import ScoreReader
from trainers.runs.standing import ACTIVE, Reading, Standing, settings_of

# Seconds of one look at the list in which reports are read that are new to it; the others come
# with the next.
PATIENCE = 0.25
# Of a note, as the list has it.
EXCERPT = 200
# Runs whose settings are remembered as what they fold into.
MOST = 5000


class Listing:
    """Adds to where runs stand what decides between them. Safe for many threads."""

    def __init__(self, reading: Reading) -> None:
        self.reading, self.scores = reading, ScoreReader()
        self._folds: dict[Path, tuple[dict[str, Any], str | None, str]] = {}

    def rows(self, runner: Runner, patience: float = PATIENCE) -> tuple[list[dict[str, Any]], bool]:
        """All runs, the newest first, for JSON; and whether all of their scores are told.

        ``patience``: seconds in which reports are read that are new.
        """
        until = time.monotonic() + patience
        found, whole = [], True
        for one in runner.runs():
            folder = runner.root / one.name
            in_time = time.monotonic() < until or self.scores.knows(folder)
            whole = whole and in_time
            found.append(self.row(folder, one, scored=in_time))
        return found, whole

    def row(self, folder: Path, one: Standing, *, scored: bool = True) -> dict[str, Any]:
        """One run, for JSON; without its scores where they are not to be read now."""
        config = settings_of(folder, self.reading)
        scores = self.scores.of(folder, ended=one.state not in ACTIVE) if scored else None
        notes = sound_notes(self.reading.json(folder / FILE))
        return {
            **one.as_dict(),
            "seed": seed_of(config),
            "start": config.get("cluster_start", ""),
            "mean_speed": mean_speed(one, config),
            "fold": self._fold(folder, config, one.data),
            "scores": None if scores is None else scores.as_dict(),
            "tags": list(notes.tags),
            "note": notes.note[:EXCERPT],
        }

    def _fold(self, folder: Path, config: dict[str, Any], data: str | None) -> str:
        known = self._folds.get(folder)
        # Settings that have not changed are the same object.
        if known is None or known[0] is not config or known[1] != data:
            if len(self._folds) >= MOST:
                self._folds.clear()
            known = self._folds[folder] = (config, data, fold_of(config, data))
        return known[2]


def mean_speed(one: Standing, config: Mapping[str, Any]) -> float | None:
    """Images a second over all of a run that has ended; None where that is not known."""
    batch = config.get("batch")
    if one.state in ACTIVE or not one.seconds or not one.step or not batch:
        return None
    return round(one.step * int(batch) / one.seconds, 2)
