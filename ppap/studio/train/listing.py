"""The runs as the list shows them: where each stands, what it has scored, its tags and note."""

from __future__ import annotations

import json
import time
import zlib
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from trainers.launching.runner import Runner
from trainers.runs.alike import fold_of, seed_of
from trainers.runs.notes import FILE, LARGEST, sound_notes
from trainers.runs.scores import ScoreReader
from trainers.runs.standing import ACTIVE, Reading, Standing, settings_of

# Seconds of one look at the list in which reports are read that are new to it; the others come
# with the next.
PATIENCE = 0.25
# Of a note, as the list has it.
EXCERPT = 200
# Runs that are remembered, and versions of the list of which is known what they told.
MOST, VERSIONS = 5000, 16


class Row(NamedTuple):
    """A run as pages get it, and a number that changes with it."""

    content: dict[str, Any]
    mark: int

    @classmethod
    def of(cls, content: dict[str, Any]) -> Row:
        """Of a run."""
        return cls(content, zlib.crc32(json.dumps(content).encode()))


class Listing:
    """Adds to where runs stand what decides between them. Safe for many threads."""

    def __init__(self, reading: Reading) -> None:
        self.reading, self.scores = reading, ScoreReader()
        self._folds: dict[Path, tuple[dict[str, Any], str | None, str]] = {}
        self._rows: dict[Path, tuple[Standing, Row]] = {}
        self._told: OrderedDict[int, dict[str, int]] = OrderedDict()

    def rows(self, runner: Runner, patience: float = PATIENCE) -> tuple[list[dict[str, Any]], bool]:
        """All runs, the newest first, for JSON; and whether all of their scores are told.

        ``patience``: seconds in which reports are read that are new.
        """
        rows, whole = self._marked(runner, patience)
        return [row.content for row in rows], whole

    def news(self, runner: Runner, known: object, *, partly: bool) -> dict[str, Any]:
        """What a page has to hear of the list.

        Args:
            runner: the runs.
            known: the version that the page has; untrusted.
            partly: whether it takes what has changed alone.

        Returns:
            ``version``; ``runs``: all of them, or None where nothing has changed, or what has is
            under ``changed``, with all ``names`` in their order; ``whole``: whether the scores of
            all runs are told: the others come with the next look.
        """
        rows, whole = self._marked(runner, PATIENCE)
        marks = {row.content["name"]: row.mark for row in rows}
        version = zlib.crc32(json.dumps(list(marks.items())).encode())
        told = self._told.get(known) if isinstance(known, int) else None
        self._remember(version, marks)
        reply = {"version": version, "whole": whole, "runs": None}
        if known == version:
            return reply
        if told is None or not partly:
            return {**reply, "runs": [row.content for row in rows]}
        changed = [row.content for row in rows if told.get(row.content["name"]) != row.mark]
        return {**reply, "names": list(marks), "changed": changed}

    def _remember(self, version: int, marks: dict[str, int]) -> None:
        self._told[version] = marks
        while len(self._told) > VERSIONS:
            self._told.popitem(last=False)

    def _marked(self, runner: Runner, patience: float) -> tuple[list[Row], bool]:
        until = time.monotonic() + patience
        found, whole = [], True
        for one in runner.runs():
            folder = runner.root / one.name
            known = self._rows.get(folder)
            # Where nothing has changed, a run stands where it stood: it is the same object.
            if known is not None and known[0] is one:
                found.append(known[1])
                continue
            in_time = time.monotonic() < until or self.scores.knows(folder)
            row = Row.of(self.row(folder, one, scored=in_time))
            if in_time:
                if len(self._rows) >= MOST:
                    self._rows.clear()
                self._rows[folder] = (one, row)
            whole = whole and in_time
            found.append(row)
        return found, whole

    def row(self, folder: Path, one: Standing, *, scored: bool = True) -> dict[str, Any]:
        """One run, for JSON; without its scores where they are not to be read now."""
        config = settings_of(folder, self.reading)
        scores = self.scores.of(folder, ended=one.state not in ACTIVE) if scored else None
        notes = sound_notes(self.reading.json(folder / FILE, LARGEST))
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
