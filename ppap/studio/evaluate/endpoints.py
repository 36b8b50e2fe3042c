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
        """Begin to evaluate a checkpoint on a split; one evaluation goes on at a time.

        Args:
            run: a run's name; or name a checkpoint.
            which: the run's "reported" or "last" checkpoint.
            checkpoint: a checkpoint file's path on the server.
            data: a data set's folder on the server, or "samples"; left out, the run's own.
            split: as the data set calls it; left out, the run's, or val.
            crf: whether it is measured with CRF, too; the same as refine with "crf".
            refine: what it is refined with, each by itself: "crf", "pamr" or both.
            mirror: whether features are the mean of image and mirror.
            scales: mean over these sizes of the image, 0.25 to 4, at most 8, such as 0.75, 1, 1.25.
            window: side of sliding windows in pixels, a multiple of the patch size; 0 for none.
            shifts: shift the image by fractions of a patch, 1 to 8 along each side; 1 for none.
            clusters: numbers of clusters, found anew on training images, from the number of
                classes to 1000, at most 8 of them.
            cluster_by: "merged", "kmeans" or "probe"; left out, all.
            cluster_features: "tuned" or "frozen".
            retrieval: whether dense retrieval is measured, trained features beside frozen ones.
            train_split: where clusters, starts, and what retrieval remembers, are from; left
                out, the run's, or train.
            seed: of the draws of patches and of k-means.
            protocol: "studio" or "published"; left out, the run's.
            size: side of the squares that are scored, 16 to 2048 pixels; 0, the checkpoint's, and
                320 for predictions.
            starts: cluster from so many starts of each kind, at most 100, and tell the spread;
                trained features beside frozen ones; 0 for none.
            predictions: a folder of another method's predictions on the server, instead of a run
                or checkpoint; scored as they are.
            predictions_are: "clusters" or "classes", what the files' numbers are.
            predictions_map: "one-to-one" or "many-to-one", how clusters get their classes; left
                out, many to one where there are more clusters than classes.

        Returns:
            Where it stands, as of evaluation.
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

    def pixels_by_image(
        self,
        key: str,
        kind: str = "cluster",
        truth: int | None = None,
        predicted: int | None = None,
        class_id: int | None = None,
        part: str = "any",
    ) -> dict[str, Any]:
        """Tell how many pixels of a cell of the confusion, or of a class, each image holds.

        Args:
            key: as reports or evaluation gave it.
            kind: "cluster" or "linear", refined "cluster_crf", "linear_pamr" and so on.
            truth: of a cell, the true class's number.
            predicted: of a cell, the predicted class's number; -1 for clusters without a class.
            class_id: or, in place of a cell, a class's number.
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
            keys: as reports or evaluation gave them; the others are compared with the first.

        Returns:
            Under "headings" what each is called and what tells it apart; "notes" on what was not
            measured alike; "same": whether each is of the first one's images and classes;
            "differences" to the first, in points, with intervals from redrawn images.
        """
        with refusing():
            return self.evaluating.compared(keys)
