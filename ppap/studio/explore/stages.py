"""Runs on the Explore page: which there are, which steps they keep, and their own images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ppap.settings import RANGES, Settings
from ppap.studio.answers import answering
from ppap.studio.requests import RequestError, mapping, read_request
from ppap.studio.stages import Stages, run_images, setting_of
from ppap.studio.store import Held


class StageCalls:
    """What the page asks about runs.

    Args:
        stages: finds them; None where the studio has no runs.
    """

    def __init__(self, stages: Stages | None) -> None:
        self.stages = stages

    def calls(self) -> list[Callable[[Any], Any]]:
        """What the page may call, by its name."""
        return [self.runs, self.run_steps, self.run_images]

    @answering
    def runs(self, _: Any) -> dict[str, Any]:
        """The runs whose features can be shown."""
        return {"runs": [] if self.stages is None else self.stages.listed()}

    @answering
    def run_steps(self, name: Any) -> dict[str, Any]:
        """The steps that a run has kept."""
        return self.steps(name)

    @answering
    def run_images(self, request: Any) -> dict[str, Any]:
        """A request for a run's own images, with its features; and its thresholds."""
        request = mapping(request)
        stages = self._known()
        run = stages.run(request.get("run"))
        given = {name: request.get(name) for name in ("at", "output")}
        run_name = run.folder.name
        wanted = read_request({"source": "samples", "backbone": "run", "run": run_name, **given})
        return {
            "request": {
                **run_images(run, stages.checkpoints.sources),
                "picture": "square",  # as it was evaluated
                "backbone": "run",
                "run": run_name,
                "at": wanted.at,
                "output": wanted.output,
            },
            "settings": {name: setting_of(run, name) for name in RANGES},
        }

    def steps(self, name: object) -> dict[str, Any]:
        """The steps that a run has kept; RequestError where there is no such run."""
        stages = self._known()
        return stages.about(stages.run(name))

    def _known(self) -> Stages:
        if self.stages is None:
            raise RequestError("This studio has no runs.", field="run")
        return self.stages

    def of_batch(self, held: Held) -> dict[str, Any]:
        """What a page must know of a batch's features besides."""
        training = held.training
        told: dict[str, Any] = {"training": None, "steps": None}
        if training is not None:
            settings: Settings = training.settings
            told["training"] = {"title": training.title, "settings": settings.as_dict()}
        if held.recipe.get("backbone") == "run" and self.stages is not None:
            try:
                told["steps"] = self.steps(held.recipe.get("run"))
            except RequestError:  # it was deleted meanwhile; the batch stays
                return told
        return told
