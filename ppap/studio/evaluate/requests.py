"""Evaluations that pages ask for: what the command ``trainers.evaluate`` is told."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import NamedTuple

from ppap.places import ROOT
from ppap.studio.checkpoints import Chosen
from ppap.studio.evaluate.foreign import Foreign
from ppap.studio.evaluate.measures import Measures
from ppap.studio.jobs import EVERY, command
from ppap.studio.requests import RequestError

COMMAND = command("trainers.evaluate")


class Wanted(NamedTuple):
    """An evaluation that was asked for, checked."""

    chosen: Chosen
    data: str
    """A folder, or "samples"."""
    split: str
    """Empty for the run's own."""
    kind: str = ""
    """Of the data set; empty where it is found out."""
    measures: Measures = Measures()
    foreign: Foreign | None = None
    """For predictions from files: how they are read."""

    def arguments(self, folder: Path) -> list[str]:
        """Of the command; every value stays in one word with its name, so that none is a name."""
        what = [str(self.chosen.file)]
        if self.foreign is not None:
            what = self.foreign.arguments(self.chosen)
        words = [*what, f"--pictures={folder}", f"--progress-every={EVERY}"]
        if self.data == "samples":
            words.append("--kind=samples")
        else:
            words.append(f"--data={self.data}")
            words += [f"--kind={self.kind}"] if self.kind else []
        if self.split:
            words.append(f"--split={self.split}")
        return [*words, *self.measures.arguments()]


def own_data(chosen: Chosen) -> tuple[str, str]:
    """The data set that a run was trained with: folder and kind.

    Raises:
        RequestError: nothing says which.
    """
    if chosen.run is None:
        raise RequestError(f"Enter the data set folder to evaluate {chosen.title} on.")
    kind = ""
    with contextlib.suppress(RuntimeError, ValueError):  # no configuration, or an odd one
        kind = chosen.run.config().dataset
    if kind == "samples":
        return "samples", ""
    folder = chosen.run.state().get("data")
    if not isinstance(folder, str) or not folder:
        raise RequestError(f"Enter the data set folder to evaluate {chosen.title} on.")
    return str(ROOT / folder), kind


def own_split(chosen: Chosen | None) -> str:
    """The split that a run is evaluated on where none is named; empty where nothing says."""
    if chosen is None or chosen.run is None:
        return ""
    with contextlib.suppress(RuntimeError, ValueError):  # no configuration, or an odd one
        return chosen.run.config().eval_split
    return ""
