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
        endpoints.pixels_by_image,
        endpoints.reports_beside,
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
        refine: list[str] | None = None,
        mirror: bool = False,
        scales: list[float] | None = None,
        window: int = 0,
        shifts: int = 1,
        clusters: list[int] | None = None,
        cluster_by: list[str] | None = None,
        cluster_features: str = "tuned",
        retrieval: bool = False,
        train_split: str = "",
        seed: int = 0,
        protocol: str = "",
        size: int = 0,
        starts: int = 0,
        predictions: str = "",
        predictions_are: str = "clusters",
        predictions_map: str = "",
    ) -> dict[str, Any]:
        """Start evaluating a checkpoint on a split; one evaluation runs at a time.

        Args:
            run: a run's name; or give a checkpoint.
            which: the run's "reported" or "last" checkpoint.
            checkpoint: a checkpoint file's path on the server.
            data: a data set folder on the server, or "samples"; by default the run's own.
            split: of the data set; by default the run's, or val.
            crf: whether to also score with CRF; the same as refine with "crf".
            refine: refinements to score, separately: "crf", "pamr" or both.
            mirror: whether to average with the mirror image.
            scales: average over the image at these scales, 0.25 to 4, at most 8, such as 0.75, 1.
            window: side of sliding windows in pixels, a multiple of the patch size; 0 for none.
            shifts: shift the image by fractions of a patch, 1 to 8 along each side; 1 for none.
            clusters: numbers of clusters to find again on training images, from the number of
                classes to 1000, at most 8 of them.
            cluster_by: "merged", "kmeans" or "probe"; by default all.
            cluster_features: "tuned" or "frozen".
            retrieval: whether to measure dense retrieval, for trained and frozen features.
            train_split: for clusters, starts and the retrieval memory; by default the run's,
                or train.
            seed: for drawing patches and for k-means.
            protocol: "studio" or "published"; by default the run's.
            size: side of the evaluated squares, 16 to 2048 pixels; 0 for the checkpoint's, or 320
                for predictions.
            starts: cluster from so many starts of each kind, at most 100, and report the spread,
                for trained and frozen features; 0 for none.
            predictions: a folder of another method's predictions on the server, instead of a run
                or checkpoint; scored as they are.
            predictions_are: "clusters" or "classes", what the files' numbers are.
            predictions_map: "one-to-one" or "many-to-one", how clusters get their classes;
                by default many to one if there are more clusters than classes.

        Returns:
            Its state, as in evaluation.
        """
        chosen = {"run": run, "which": which} if run else {"file": checkpoint}
        if predictions:
            how = {"are": predictions_are, "map": predictions_map}
            chosen = {"predictions": predictions, **how}
        request = {
            "checkpoint": chosen,
            "data": data,
            "split": split,
            "crf": crf,
            "refine": refine,
            "mirror": mirror,
            "scales": scales,
            "window": window,
            "shifts": shifts,
            "clusters": clusters,
            "by": cluster_by,
            "features": cluster_features,
            "retrieval": retrieval,
            "train": train_split,
            "seed": seed,
            "protocol": protocol,
            "size": size,
            "starts": starts,
        }
        return said(self.evaluating.start(request))

    def evaluation(self) -> dict[str, Any]:
        """Report the progress of the newest evaluation.

        Returns:
            Under "current": state, text, share done, and the key of its report.
        """
        return said(self.evaluating.status(None))

    def cancel_evaluation(self) -> dict[str, Any]:
        """Cancel the running evaluation.

        Returns:
            Its state, as in evaluation.
        """
        return said(self.evaluating.cancel(None))

    def reports(self, samples: bool = False) -> dict[str, Any]:
        """List the reports of runs and evaluations, the newest first.

        Args:
            samples: whether to list the report that comes with the studio, too, as ".sample".

        Returns:
            Under "reports": key, title, data set and split, accuracy and mIoU of the clusters.
        """
        with refusing():
            shipped = self.evaluating.reports.sample() if samples is True else None
            return {"reports": [*self.evaluating.reports.listed(), *([shipped] if shipped else [])]}

    def report(self, key: str) -> dict[str, Any]:
        """Read a whole report.

        Args:
            key: from reports or evaluation.

        Returns:
            The report, as the command writes it.
        """
        with refusing():
            return self.evaluating.reports.read(key)

    def delete_report(self, key: str) -> dict[str, Any]:
        """Delete a report made by start_evaluation; a run's own is deleted with the run.

        Args:
            key: from reports or evaluation.

        Returns:
            Under "reports": the remaining ones.
        """
        return said(self.evaluating.remove(key))

    def pixels_by_image(
        self,
        key: str,
        kind: str = "cluster",
        truth: int | None = None,
        predicted: int | None = None,
        class_id: int | None = None,
        part: str = "any",
    ) -> dict[str, Any]:
        """Count each image's pixels in a cell of the confusion matrix, or of a class.

        Args:
            key: from reports or evaluation.
            kind: "cluster" or "linear", refined "cluster_crf", "linear_pamr" and so on.
            truth: for a cell, the number of the true class.
            predicted: for a cell, the number of the predicted class; -1 for clusters without one.
            class_id: the number of a class, instead of a cell.
            part: of the class: "any" pixel of its IoU, those "missed", or wrongly "called" so.

        Returns:
            Under "images": index, name and pixels of each, for a class with its IoU in per cent.
        """
        request = {"report": key, "kind": kind, "truth": truth, "predicted": predicted}
        with refusing():
            report = self.evaluating.reports.read(key)
            found = self.evaluating.counted({**request, "class": class_id, "part": part})
        images = [
            {"index": one["index"], "name": one["name"], "pixels": pixels}
            for one, pixels in zip(report["images"], found["pixels"], strict=True)
        ]
        for one, iou in zip(images, found["iou"] or (), strict=False):
            one["iou"] = iou
        return {"images": images, "total": found["total"]}

    def reports_beside(self, keys: list[str]) -> dict[str, Any]:
        """Compare two to four reports: what differs, and by how much, with 95 % intervals.

        Args:
            keys: from reports or evaluation; the others are compared with the first.

        Returns:
            Under "headings" each report's name and how it differs; "notes" on what was not measured
            in the same way; "same": whether it has the first one's images and classes;
            "differences" from the first, in points, with intervals from resampled images.
        """
        with refusing():
            return self.evaluating.compared(keys)
