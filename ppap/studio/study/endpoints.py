"""Study for scripts: named endpoints for ``gradio_client``."""

# No "from __future__ import annotations" here: see ppap.studio.explore.endpoints.

from typing import Any

import gradio as gr

from ppap.studio.publishing import publish, refusing, said
from ppap.studio.study.ablations import Ablating
from ppap.studio.study.server import Studying


def add_study_endpoints(blocks: gr.Blocks, studying: Studying, ablating: Ablating) -> None:
    """Add every endpoint to the blocks that are being built."""
    endpoints = StudyEndpoints(studying, ablating)
    for function in (
        endpoints.start_study,
        endpoints.study_status,
        endpoints.cancel_study,
        endpoints.studies,
        endpoints.study,
        endpoints.delete_study,
        endpoints.plan_ablation,
        endpoints.start_ablation,
        endpoints.ablations,
        endpoints.ablation,
    ):
        publish(blocks, function)


class StudyEndpoints:
    """What scripts may call; each method's docstring is its documentation."""

    def __init__(self, studying: Studying, ablating: Ablating) -> None:
        self.studying, self.ablating = studying, ablating

    def start_study(
        self,
        data: str,
        split: str = "",
        backbone: str = "",
        images: int = 32,
        anchors: int = 1000,
        size: int = 320,
        settings: dict[str, float] | None = None,
        batches: int = 1,
        seed: int = 0,
        sweep: bool = True,
        x: dict[str, Any] | None = None,
        y: dict[str, Any] | None = None,
        run: str = "",
        checkpoint: str = "",
    ) -> dict[str, Any]:
        """Start a study of the sets on random images of a data set; one study runs at a time.

        Args:
            data: a folder on the server, or "samples".
            split: of the data set; by default train, or the only one.
            backbone: a name, a checkpoint file, or name@file; by default the one the studio was
                started with.
            images: in a batch, whose patches an anchor is compared with, 1 to 256.
            anchors: random anchors, 1 to 20,000.
            size: side of the images in pixels, 32 to 1024.
            settings: phi0, psi0, sigma_pos, sigma_amb and steps; by default as suggested.
            batches: number of batches to measure the rules on, 1 to 20.
            seed: for drawing images and anchors.
            sweep: whether to sweep two settings.
            x: an axis of the sweep, such as {"setting": "phi0", "values": [0.5, 0.6]}.
            y: the other axis.
            run: a run, whose trained features and projection z are compared with its frozen
                backbone, which is then used.
            checkpoint: the same, from a training checkpoint file.

        Returns:
            Its state, as in study_status.
        """
        request = {name: value for name, value in locals().items() if name != "self"}
        return said(self.studying.start(request))

    def study_status(self) -> dict[str, Any]:
        """Report the progress of the newest study.

        Returns:
            Under "current": state, text, share done, and the study's key.
        """
        return said(self.studying.status(None))

    def cancel_study(self) -> dict[str, Any]:
        """Cancel the running study.

        Returns:
            Its state, as in study_status.
        """
        return said(self.studying.cancel(None))

    def studies(self, samples: bool = False) -> dict[str, Any]:
        """List the saved studies, the newest first.

        Args:
            samples: whether to list the study that comes with the studio, too, as ".sample".

        Returns:
            Under "studies": key, title, what was studied, and when.
        """
        with refusing():
            shipped = self.studying.studies.sample() if samples is True else None
            return {"studies": [*self.studying.studies.listed(), *([shipped] if shipped else [])]}

    def study(self, key: str) -> dict[str, Any]:
        """Read a whole study.

        Args:
            key: from studies or study_status.

        Returns:
            The study, as the command writes it.
        """
        with refusing():
            return self.studying.studies.read(key)

    def delete_study(self, key: str) -> dict[str, Any]:
        """Delete a study.

        Args:
            key: from studies or study_status.

        Returns:
            Under "studies": the remaining ones.
        """
        return said(self.studying.remove(key))

    def plan_ablation(
        self,
        name: str,
        recipe: str,
        grid: str,
        data: str = "",
        seeds: str = "0 1 2",
        settings: dict[str, str] | None = None,
        slurm: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Tell how many runs an ablation has and about how long they take; nothing is started.

        Args:
            name: of the ablation; the names of its runs start with it.
            recipe: whose settings the runs start from.
            grid: settings to vary, such as "phi0=0.5,0.6 steps=1,2".
            data: the data set folder on the server; samples needs none.
            seeds: such as "0 1 2".
            settings: to change in all runs.
            slurm: sends them to SLURM, with what differs from slurm.toml, such as {"gpus": 4}.

        Returns:
            Runs, steps of all of them, seconds if earlier runs tell, sentences, and a refusal.
        """
        request = {key: value for key, value in locals().items() if key != "self"}
        return said(self.ablating.planning.plan_ablation(with_place(request)))

    def start_ablation(
        self,
        name: str,
        recipe: str,
        grid: str,
        data: str = "",
        seeds: str = "0 1 2",
        settings: dict[str, str] | None = None,
        slurm: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Train every combination of values and seeds through the queue, or continue doing so.

        Args:
            name: of the ablation; the names of its runs start with it.
            recipe: whose settings the runs start from.
            grid: settings to vary, such as "phi0=0.5,0.6 steps=1,2".
            data: the data set folder on the server; samples needs none.
            seeds: such as "0 1 2".
            settings: to change in all runs.
            slurm: sends them to SLURM, with what differs from slurm.toml, such as {"gpus": 4}.

        Returns:
            Its state, as in ablation.
        """
        request = {key: value for key, value in locals().items() if key != "self"}
        return said(self.ablating.start_ablation(with_place(request)))

    def ablations(self) -> dict[str, Any]:
        """List the ablations.

        Returns:
            Under "ablations": name, what varies, and how many of its runs are finished.
        """
        with refusing():
            return {"ablations": self.ablating.listed()}

    def ablation(self, name: str) -> dict[str, Any]:
        """Read an ablation's table so far.

        Args:
            name: from ablations.

        Returns:
            The state of its runs, tables with the paper's numbers, notes, and the numbers as CSV.
        """
        return said(self.ablating.ablation(name))


def with_place(request: dict[str, Any]) -> dict[str, Any]:
    """A script's request as a page's: it runs on SLURM where it says what of."""
    return request if request["slurm"] is None else {**request, "on": "slurm"}
