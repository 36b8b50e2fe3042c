"""What several runs predicted of the same images, as the Train page shows it beside each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ppap.evaluation.pictures import UNMATCHED_COLOUR
from ppap.settings import SettingError
from ppap.studio import sample
from ppap.studio.answers import answering
from ppap.studio.requests import RequestError
from ppap.studio.train.sample import SampleRun
from trainers.launching.runner import Runner, as_text
from trainers.rules import read_only
from trainers.runs.pictured import as_reply
from trainers.runs.side_by_side import differs, rows
from trainers.runs.standing import Reading, settings_of
from trainers.training.resuming import CHANGEABLE

# Runs whose predictions stand beside each other.
MOST = 12


class PredictionCalls:
    """A call beside those of ``Training``; its argument is untrusted."""

    def __init__(self, runner: Runner, sample_run: SampleRun) -> None:
        self.runner, self.sample_run = runner, sample_run

    def calls(self) -> list[Callable[[Any], Any]]:
        """What the page may call, by its name."""
        return [self.predictions]

    @answering
    def predictions(self, names: Any) -> dict[str, Any]:
        """Of each run that is there, what its pictures show, and the settings that set it apart.

        Returns:
            ``runs``: as of ``pictured.as_reply``, and ``differs`` as of ``set_apart``.
        """
        known = isinstance(names, list) and all(isinstance(name, str) for name in names)
        if not known or not names:
            raise RequestError("Name the runs in a list.")
        if len(names) > MOST:
            raise RequestError(f"At most {MOST} runs can be compared.")
        found, settings = [], []
        for name in dict.fromkeys(names):
            try:
                folder, reading = self._place(name)
            except SettingError:
                continue  # it was deleted or renamed meanwhile, as the list tells
            found.append(self._of(name, folder, reading))
            settings.append(telling(settings_of(folder, reading)))
        told = set_apart(found, settings)
        return {"runs": [{**one, "differs": each} for one, each in zip(found, told, strict=True)]}

    def _place(self, name: str) -> tuple[Path, Reading]:
        if name == sample.KEY and self.sample_run.standing:
            return sample.RUN, self.sample_run.reading
        return self.runner.folder(name), self.runner.reading

    def _of(self, name: str, folder: Path, reading: Reading) -> dict[str, Any]:
        told = as_reply(name, folder, reading)
        if name != sample.KEY:
            return told
        there = dict(sample.pictured())
        return {
            **told,
            **self.sample_run.pictures,
            "names": {str(index): title for index, title in there.items()},
            "none": list(UNMATCHED_COLOUR),
        }


def set_apart(
    runs: Sequence[Mapping[str, Any]], settings: Sequence[dict[str, Any]]
) -> list[list[list[str]]]:
    """Of each run its values of the settings in which those differ that predicted the same images.

    Those of the first run with pictures count; the others are not shown beside it. Values come as
    ``[name, text]``.
    """
    data = next((run["data"] for run in runs if run["steps"]), None)
    beside = [place for place, run in enumerate(runs) if run["steps"] and run["data"] == data]
    apart = [row for row in rows([settings[i] for i in beside]) if differs(row["values"])]
    found: list[list[list[str]]] = [[] for _ in runs]
    for row in apart:
        for place, value in zip(beside, row["values"], strict=True):
            if value is not None:
                found[place].append([row["name"], as_text(value)])
    return found


def telling(config: dict[str, Any]) -> dict[str, Any]:
    """The settings that decide what a run computes."""
    return {name: v for name, v in read_only(config).items() if name not in CHANGEABLE}
