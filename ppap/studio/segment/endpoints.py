"""Segment for scripts: named endpoints for ``gradio_client``."""

# No "from __future__ import annotations" here: see ppap.studio.explore.endpoints.

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gradio as gr

from ppap.studio.publishing import publish, refusing, sent_file
from ppap.studio.requests import RequestError
from ppap.studio.segment.requests import CLUSTERS
from ppap.studio.segment.server import Segmenting


def add_segment_endpoints(blocks: gr.Blocks, segmenting: Segmenting) -> None:
    """Add every endpoint to the blocks that are being built."""
    endpoints = SegmentEndpoints(segmenting)
    for function in (
        endpoints.checkpoints,
        endpoints.segment_samples,
        endpoints.segment_images,
        endpoints.segment_folder,
        endpoints.make_sample_checkpoint,
    ):
        publish(blocks, function)


class SegmentEndpoints:
    """What scripts may call; each method's docstring is its documentation."""

    def __init__(self, segmenting: Segmenting) -> None:
        self.segmenting = segmenting

    def checkpoints(self) -> dict[str, Any]:
        """List the runs that have a checkpoint, the newest first.

        Returns:
            Under "checkpoints": name of the run, which checkpoints it has, its step and data set.
        """
        with refusing():
            return {"checkpoints": self.segmenting.checkpoints.listed()}

    def segment_samples(
        self,
        run: str = "",
        which: str = "reported",
        checkpoint: str = "",
        backbone: str = "",
        clusters: int = CLUSTERS,
        size: int = 448,
        crf: bool = False,
        kind: str = "clusters",
        names: list[str] | None = None,
        opacity: float = 0.6,
        outline: bool = False,
        refine: str = "",
        mirror: bool = False,
        scales: list[float] | None = None,
        window: int = 0,
        shifts: int = 1,
        photos: bool = False,
        overlays: bool = True,
        polygons: bool = False,
    ) -> gr.FileData:
        """Segment the sample photos, with a checkpoint or the frozen backbone.

        Args:
            run: a run's name; with neither run nor checkpoint, the frozen backbone is used.
            which: the run's "reported" or "last" checkpoint.
            checkpoint: a checkpoint file's path on the server.
            backbone: frozen backbone: its name; by default the one the studio was started with.
            clusters: frozen backbone: number of clusters, 2 to 64.
            size: frozen backbone: pixels of the shorter side, 224, 320 or 448.
            crf: the same as refine="crf".
            kind: "clusters", or with a checkpoint "classes" (the linear probe's).
            names: one for each segment; segments with the same name become one class.
            opacity: of the overlays, 0 to 1.
            outline: whether the overlays show lines between segments.
            refine: "none", "crf" or "pamr"; PAMR is used where there is no CRF.
            mirror: average with the mirror image.
            scales: average over the image at these scales, such as 0.75, 1 and 1.25.
            window: side of sliding windows in pixels; 0 for the whole image.
            shifts: shift the image by fractions of a patch, so many along each side.
            photos: put the images into the ZIP too, which makes it a data set; at most 2 GB.
            overlays: whether to include overlays.
            polygons: store masks in the JSON as polygons (without holes), not as run lengths.

        Returns:
            A ZIP of label maps, overlays and COCO JSON.
        """
        given = {name: value for name, value in locals().items() if name != "self"}
        return self._zip({**given, "source": "samples"})

    def segment_images(
        self,
        files: list[gr.FileData],
        run: str = "",
        which: str = "reported",
        checkpoint: str = "",
        backbone: str = "",
        clusters: int = CLUSTERS,
        size: int = 448,
        crf: bool = False,
        kind: str = "clusters",
        names: list[str] | None = None,
        opacity: float = 0.6,
        outline: bool = False,
        refine: str = "",
        mirror: bool = False,
        scales: list[float] | None = None,
        window: int = 0,
        shifts: int = 1,
        photos: bool = False,
        overlays: bool = True,
        polygons: bool = False,
    ) -> gr.FileData:
        """Upload images and segment them, with a checkpoint or the frozen backbone.

        Args:
            files: up to 64 image files, each wrapped in handle_file.
            run: a run's name; with neither run nor checkpoint, the frozen backbone is used.
            which: the run's "reported" or "last" checkpoint.
            checkpoint: a checkpoint file's path on the server.
            backbone: frozen backbone: its name; by default the one the studio was started with.
            clusters: frozen backbone: number of clusters, 2 to 64.
            size: frozen backbone: pixels of the shorter side, 224, 320 or 448.
            crf: the same as refine="crf".
            kind: "clusters", or with a checkpoint "classes" (the linear probe's).
            names: one for each segment; segments with the same name become one class.
            opacity: of the overlays, 0 to 1.
            outline: whether the overlays show lines between segments.
            refine: "none", "crf" or "pamr"; PAMR is used where there is no CRF.
            mirror: average with the mirror image.
            scales: average over the image at these scales, such as 0.75, 1 and 1.25.
            window: side of sliding windows in pixels; 0 for the whole image.
            shifts: shift the image by fractions of a patch, so many along each side.
            photos: put the images into the ZIP too, which makes it a data set; at most 2 GB.
            overlays: whether to include overlays.
            polygons: store masks in the JSON as polygons (without holes), not as run lengths.

        Returns:
            A ZIP of label maps, overlays and COCO JSON.
        """
        given = {name: value for name, value in locals().items() if name != "self"}
        if isinstance(files, list):
            given["files"] = [
                {"path": file.get("path"), "name": file.get("orig_name")}
                if isinstance(file, Mapping)
                else file
                for file in files
            ]
        return self._zip({**given, "source": "files"})

    def segment_folder(
        self,
        folder: str,
        split: str = "",
        run: str = "",
        which: str = "reported",
        checkpoint: str = "",
        backbone: str = "",
        clusters: int = CLUSTERS,
        size: int = 448,
        crf: bool = False,
        kind: str = "clusters",
        names: list[str] | None = None,
        opacity: float = 0.6,
        outline: bool = False,
        refine: str = "",
        mirror: bool = False,
        scales: list[float] | None = None,
        window: int = 0,
        shifts: int = 1,
        photos: bool = False,
        overlays: bool = True,
        polygons: bool = False,
    ) -> gr.FileData:
        """Segment all images in a folder on the server.

        Args:
            folder: its path on the server.
            split: train, val, … of a data set; empty for all its images.
            run: a run's name; with neither run nor checkpoint, the frozen backbone is used.
            which: the run's "reported" or "last" checkpoint.
            checkpoint: a checkpoint file's path on the server.
            backbone: frozen backbone: its name; by default the one the studio was started with.
            clusters: frozen backbone: number of clusters, 2 to 64.
            size: frozen backbone: pixels of the shorter side, 224, 320 or 448.
            crf: the same as refine="crf".
            kind: "clusters", or with a checkpoint "classes" (the linear probe's).
            names: one for each segment; segments with the same name become one class.
            opacity: of the overlays, 0 to 1.
            outline: whether the overlays show lines between segments.
            refine: "none", "crf" or "pamr"; PAMR is used where there is no CRF.
            mirror: average with the mirror image.
            scales: average over the image at these scales, such as 0.75, 1 and 1.25.
            window: side of sliding windows in pixels; 0 for the whole image.
            shifts: shift the image by fractions of a patch, so many along each side.
            photos: put the images into the ZIP too, which makes it a data set; at most 2 GB.
            overlays: whether to include overlays.
            polygons: store masks in the JSON as polygons (without holes), not as run lengths.

        Returns:
            A ZIP of label maps, overlays and COCO JSON.
        """
        given = {name: value for name, value in locals().items() if name != "self"}
        return self._zip({**given, "source": "folder"})

    def make_sample_checkpoint(self) -> dict[str, Any]:
        """Begin to train a small checkpoint on the sample photos; it goes on by itself.

        Returns:
            The name of the run and where it stands.
        """
        found = self.segmenting.make(None)
        with refusing():
            if "error" in found:
                raise RequestError(found["error"])
        return found

    def _zip(self, given: dict[str, Any]) -> gr.FileData:
        """The ZIP for an endpoint's arguments, by their names in its signature."""
        file = Path(self.segmenting.packing.folder) / f"{secrets.token_hex(12)}.zip"
        with refusing():
            if given["run"]:
                given["checkpoint"] = {"run": given["run"], "which": given["which"]}
            else:
                text = given["checkpoint"]
                given["checkpoint"] = {"file": text} if text else None
            result = self.segmenting.run(given)
            try:
                self.segmenting.packing.zip({**given, "result": result.key}, file)
                return sent_file(file, "segments.zip")
            finally:
                file.unlink(missing_ok=True)
