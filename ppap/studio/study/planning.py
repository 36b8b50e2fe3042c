"""What an ablation's form needs before it starts: every setting, and what the runs would take."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from ppap.studio.answers import answering
from ppap.studio.requests import mapping
from ppap.studio.training_lists import training_lists
from trainers.ablations.forecast import Forecast, forecast
from trainers.ablations.plan import Ablation
from trainers.launching.orders import read_place
from trainers.launching.runner import Runner


class Planning:
    """Answers an ablation's form.

    Args:
        runner: the runs.
        checked: an ablation from untrusted values; SettingError for what is wrong with it.
    """

    def __init__(self, runner: Runner, checked: Callable[[Mapping[str, Any]], Ablation]) -> None:
        self.runner, self.checked = runner, checked
        # An estimate loads a backbone: two at once would take twice the memory.
        self._estimating = threading.Lock()

    def calls(self) -> list[Callable[[Any], Any]]:
        """What the page may call, by its name."""
        return [self.ablation_lists, self.plan_ablation]

    @answering
    def ablation_lists(self, _: Any) -> dict[str, Any]:
        """Recipes with all their settings, and where runs can be."""
        return training_lists()

    @answering
    def plan_ablation(self, request: Any) -> dict[str, Any]:
        """How many runs an ablation has, and about how long they take; errors as for its start."""
        found = self.planned(mapping(request))
        return {
            "runs": found.runs,
            "steps": found.steps,
            "seconds": found.seconds,
            "sentences": found.sentences(),
            "refusal": found.refusal,
        }

    def planned(self, raw: Mapping[str, Any]) -> Forecast:
        """What it takes.

        Raises:
            SettingError, RequestError, DataError, BackboneError, CacheError: it cannot begin so.
        """
        ablation, slurm = self.checked(raw), read_place(raw)
        with self._estimating:
            return forecast(self.runner, ablation, slurm)
