"""Evaluate for scripts: named endpoints for ``gradio_client``."""

# No "from __future__ import annotations" here: see ppap.studio.explore.endpoints.

from typing import Any

import gradio as gr

from ppap.studio.evaluate.server import Evaluating
from ppap.studio.publishing import publish, refusing, said


def add_evaluate_endpoints(blocks: gr.Blocks, evaluating: Evaluating) -> None:
    """Add every endpoint to the blocks that are being built."""
    endpoints = EvaluateEndpoints(evaluating)
    for function in (
        endpoints.start_evaluation,
        endpoints.evaluation,
        endpoints.cancel_evaluation,
        endpoints.reports,
        endpoints.report,
        endpoints.delete_report,
    ):
        publish(blocks, function)


class EvaluateEndpoints:
    """What scripts may call; each method's docstring is its documentation."""

    def __init__(self, evaluating: Evaluating) -> None:
        self.evaluating = evaluating

    def start_evaluation(
        self,
        run: str = "",
        which: str = "reported",
        checkpoint: str = "",
        data: str = "",
        split: str = "",
        crf: bool = False,
    ) -> dict[str, Any]:
        """Begin to evaluate a checkpoint on a split; one evaluation goes on at a time.

        Args:
            run: a run's name; or name a checkpoint.
            which: the run's "reported" or "last" checkpoint.
            checkpoint: a checkpoint file's path on the server.
            data: a data set's folder on the server, or "samples"; left out, the run's own.
            split: as the data set calls it; left out, the run's, or val.
            crf: whether it is measured with CRF, too.

        Returns:
            Where it stands, as of evaluation.
        """
        chosen = {"run": run, "which": which} if run else {"file": checkpoint}
        request = {"checkpoint": chosen, "data": data, "split": split, "crf": crf}
        return said(self.evaluating.start(request))

    def evaluation(self) -> dict[str, Any]:
        """Tell how far the newest evaluation is.

        Returns:
            Under "current": state, text, share done, and the key of its report.
        """
        return said(self.evaluating.status(None))

    def cancel_evaluation(self) -> dict[str, Any]:
        """End the evaluation that is under way.

        Returns:
            Where it stands, as of evaluation.
        """
        return said(self.evaluating.cancel(None))

    def reports(self, samples: bool = False) -> dict[str, Any]:
        """List the reports of runs and evaluations, the newest first.

        Args:
            samples: whether the report that comes with the studio is listed, too, as ".sample".

        Returns:
            Under "reports": key, title, data set and split, accuracy and mIoU of the clusters.
        """
        with refusing():
            shipped = self.evaluating.reports.sample() if samples is True else None
            return {"reports": [*self.evaluating.reports.listed(), *([shipped] if shipped else [])]}

    def report(self, key: str) -> dict[str, Any]:
        """Read a whole report.

        Args:
            key: as reports or evaluation gave it.

        Returns:
            The report, as the command writes it.
        """
        with refusing():
            return self.evaluating.reports.read(key)

    def delete_report(self, key: str) -> dict[str, Any]:
        """Delete a report of start_evaluation; a run's own goes with the run.

        Args:
            key: as reports or evaluation gave it.

        Returns:
            Under "reports": those that are left.
        """
        return said(self.evaluating.remove(key))
