"""Training for scripts: named endpoints for ``gradio_client``."""

# No "from __future__ import annotations" here: see ``ppap.studio.explore.endpoints``.

import math
from typing import Any

import gradio as gr

from ppap.studio.publishing import publish, refusing, said
from ppap.studio.requests import RequestError
from ppap.studio.train.server import Training


def add_training_endpoints(blocks: gr.Blocks, training: Training) -> None:
    """Add every endpoint to the blocks that are being built."""
    endpoints = TrainingEndpoints(training)
    for function in (
        endpoints.check_run,
        endpoints.suggest_thresholds,
        endpoints.start_run,
        endpoints.list_runs,
        endpoints.arrange_queue,
        endpoints.note_run,
        endpoints.run_changes,
        endpoints.stop_run,
        endpoints.resume_run,
        endpoints.clone_run,
        endpoints.rename_run,
        endpoints.delete_run,
        endpoints.compare_runs,
    ):
        publish(blocks, function)


class TrainingEndpoints:
    """What scripts may call; each method's docstring is its documentation."""

    def __init__(self, training: Training) -> None:
        self.training = training

    def check_run(
        self,
        recipe: str,
        name: str = "",
        data: str = "",
        settings: dict[str, Any] | None = None,
        slurm: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Check a run's settings without starting it.

        Args:
            recipe: such as "samples" or "camvid"; python -m trainers.train --list shows all.
            name: the run's name; if empty, a free one is chosen.
            data: the data set's folder on the server; empty for the sample photos.
            settings: changes to the recipe, such as {"rule": "tps", "epochs": 2}.
            slurm: submits it to SLURM, with these changes to slurm.toml, such as {"gpus": 4}.

        Returns:
            Errors by field, findings about the data, the estimate, and the command line.
        """
        with refusing():
            request = self._request(recipe, name, data, settings, slurm)
            order, errors = self.training.order(request)
            if order is None:
                return {"errors": errors, "findings": [], "estimate": None, "command": ""}
            command = self.training.command(order)
            return {**self.training.inspected(order), "command": command}

    def suggest_thresholds(
        self, recipe: str, data: str = "", settings: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Suggest Φ⁰ and Ψ⁰ for the images that a run is to train on, from a sample of them.

        Args:
            recipe: such as "own" or "camvid".
            data: the data set folder on the server; empty for the sample photos.
            settings: changes to the recipe, such as {"backbone": "dino_vits16"}.

        Returns:
            Under "pure" and "complete": settings, the expected precision if known, and reasons.
        """
        request = {"recipe": recipe, "data": data, "settings": settings or {}}
        with refusing():
            reply = self.training.suggesting.worked_out(request)
        return dict(said(reply)["advice"])

    def start_run(
        self,
        recipe: str,
        name: str = "",
        data: str = "",
        settings: dict[str, Any] | None = None,
        slurm: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Start a run, or queue it for its devices.

        Args:
            recipe: such as "samples" or "camvid"; python -m trainers.train --list shows all.
            name: the run's name; if empty, a free one is chosen.
            data: the data set's folder on the server; empty for the sample photos.
            settings: changes to the recipe, such as {"rule": "tps", "epochs": 2}.
            slurm: submits it to SLURM, with these changes to slurm.toml, such as {"gpus": 4}.

        Returns:
            Where the run stands: its name, state, step and so on.
        """
        with refusing():
            request = self._request(recipe, name, data, settings, slurm)
            return self.training.begin(request).as_dict()

    def list_runs(self, samples: bool = False) -> dict[str, Any]:
        """List all runs, the newest first.

        Args:
            samples: whether to list the run that comes with the studio, too, as ".sample".

        Returns:
            The runs: for each its name, state, reason, recipe, step, scores, tags and so on.
        """
        with refusing():
            runs, _ = self.training.listing.rows(self.training.runner, math.inf)
            shipped = self.training.sample.standing if samples is True else None
            return {"runs": [*runs, *([shipped] if shipped else [])]}

    def arrange_queue(self, action: str = "look", name: str = "", to: str = "") -> dict[str, Any]:
        """Pause or resume the queue, or move a waiting run in it.

        Args:
            action: "look", "pause", "resume" or "move".
            name: the run to move.
            to: where to move it: "first", "up" or "down".

        Returns:
            Whether the queue is paused, and since when.
        """
        with refusing():
            return self.training.arranging.arranged({"action": action, "name": name, "to": to})

    def note_run(
        self, name: str, tags: list[str] | None = None, note: str | None = None
    ) -> dict[str, Any]:
        """Set a run's tags and note; whatever is left out stays as it is.

        Args:
            name: the run's name.
            tags: words by which to find the run, such as ["baseline"].
            note: plain text; empty removes the note.

        Returns:
            The run's tags and note.
        """
        given = {"tags": tags, "note": note}
        given = {part: value for part, value in given.items() if value is not None}
        # What is left out is not read first: somebody may write it at the same time.
        return dict(said(self.training.arranging.notes({"name": name, **given})))

    def run_changes(self, name: str, cursor: dict[str, Any] | None = None) -> dict[str, Any]:
        """Report what is new in a run: metrics, log, pictures.

        Args:
            name: the run's name.
            cursor: the cursor of the last reply; left out, everything, with long series thinned.

        Returns:
            The next cursor, series by kind and name, new text of the log, steps of pictures. Series
            come once everything logged has been read: call again while "more" is true. Where
            points are left out, "m" is the mean of the stretch that each point stands for.
        """
        with refusing():
            standing = self.training.standing(name)
            return {**self.training.changes(name, cursor), "run": standing}

    def stop_run(self, name: str, now: bool = False) -> dict[str, Any]:
        """Have a run write a checkpoint and stop, or remove it from the queue.

        Args:
            name: the run's name.
            now: kill it instead; work since its last checkpoint is lost.

        Returns:
            Where the run stands.
        """
        with refusing():
            self.training.require_allowed()
            return self.training.runner.stop(name, now=now is True).as_dict()

    def resume_run(self, name: str, settings: dict[str, Any] | None = None) -> dict[str, Any]:
        """Resume a run that was stopped or failed, in the place where it ran.

        Args:
            name: the run's name.
            settings: machine settings to change, such as {"devices": "1"}.

        Returns:
            Where the run stands.
        """
        with refusing():
            self.training.require_allowed()
            return self.training.resumed(name, {"settings": settings or {}}).as_dict()

    def clone_run(
        self, name: str, new_name: str, settings: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Start a run like another, with some settings changed.

        Args:
            name: the existing run's name.
            new_name: the new run's name.
            settings: settings to change, such as {"seed": 1}.

        Returns:
            Where the new run stands.
        """
        with refusing():
            return self.training.clone(name, new_name, settings or {}).as_dict()

    def rename_run(self, name: str, new_name: str) -> dict[str, Any]:
        """Rename a run that is not running.

        Args:
            name: the run's name.
            new_name: its new name.

        Returns:
            Where the run stands.
        """
        with refusing():
            self.training.require_allowed()
            return self.training.runner.rename(name, new_name).as_dict()

    def delete_run(self, name: str, sure: bool = False) -> dict[str, Any]:
        """Delete a run with its checkpoints, or only report what that would delete.

        Args:
            name: the run's name.
            sure: whether to delete it.

        Returns:
            How many files, bytes, checkpoints and pictures that is, and whether they are gone.
        """
        with refusing():
            if sure is not True:
                return {**self.training.runner.contents(name)._asdict(), "gone": False}
            self.training.require_allowed()
            return {**self.training.runner.delete(name)._asdict(), "gone": True}

    def compare_runs(self, names: list[str]) -> dict[str, Any]:
        """Compare runs side by side.

        Args:
            names: two or more runs.

        Returns:
            The settings that differ, and all metrics: a value for each run.
        """
        with refusing():
            return self.training.compared(names)

    def _request(
        self,
        recipe: str,
        name: str,
        data: str,
        settings: dict[str, Any] | None,
        slurm: dict[str, Any] | None,
    ) -> dict[str, Any]:
        if settings is not None and not isinstance(settings, dict):
            raise RequestError("The settings must be an object with named fields.")
        name = name or self.training.suggested_name(recipe)
        request = {"recipe": recipe, "name": name, "data": data, "settings": settings or {}}
        return request if slurm is None else {**request, "on": "slurm", "slurm": slurm}
