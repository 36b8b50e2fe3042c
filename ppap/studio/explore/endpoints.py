"""The studio for scripts: named endpoints for ``gradio_client``."""

# No "from __future__ import annotations" here: gradio reads the type of a result from the
# function's signature as it is, and would find a text.

import json
from collections.abc import Mapping
from typing import Any

import gradio as gr

from ppap.settings import PRESETS, RANGES
from ppap.studio.alike import FEATURES
from ppap.studio.explore.anchor_endpoints import AnchorEndpoints, read_anchors
from ppap.studio.explore.beside_endpoints import BesideEndpoints, beside_of
from ppap.studio.explore.cost_endpoints import CostEndpoints
from ppap.studio.explore.exports import File
from ppap.studio.explore.feature_endpoints import FeatureEndpoints
from ppap.studio.explore.run_endpoints import RunEndpoints
from ppap.studio.explore.server import Server
from ppap.studio.publishing import publish, refusing, sent
from ppap.studio.requests import RequestError

_DEFAULT = PRESETS[1].settings


def add_endpoints(blocks: gr.Blocks, server: Server) -> None:
    """Add every endpoint to the blocks that are being built."""
    endpoints, anchors = Endpoints(server), AnchorEndpoints(server)
    for function in (
        endpoints.load_batch,
        endpoints.load_images,
        CostEndpoints(server).estimate_cost,
        endpoints.suggest_settings,
        endpoints.propagate,
        BesideEndpoints(server).compare_features,
        endpoints.save,
        RunEndpoints(server).run_steps,
        anchors.propagate_several,
        anchors.every_anchor,
        FeatureEndpoints(server).describe_features,
    ):
        publish(blocks, function)


class Endpoints:
    """What scripts may call; each method's docstring is its documentation."""

    def __init__(self, server: Server) -> None:
        self.server = server

    def load_batch(
        self,
        source: str = "samples",
        size: int = 448,
        backbone: str = "",
        folder: str = "",
        split: str = "train",
        count: int = 8,
        seed: int = 0,
        checkpoint: str = "",
        images: list[int] | None = None,
        kind: str = "",
        run: str = "",
        at: int = 0,
        output: str = "",
        npz: str = "",
        like: str = "",
        picture: str = "square",
    ) -> dict[str, Any]:
        """Load and embed the sample photos or images of a folder, or take features of your own.

        Args:
            source: "samples"; "folder" for a folder or data set on the server; "npz" for features
                of your own.
            size: side of the square images in pixels, 64 to 2048, rounded to whole patches;
                for whole images, of a square with as many pixels. See estimate_cost.
            backbone: a name from the page's list, any timm ViT, "checkpoint" or "run"; left out,
                "embedded", or with source "npz" the features in the file.
            folder: with source "folder": its path on the server.
            split: with source "folder": train, val, …
            count: with source "folder": how many images, 1 to 64.
            seed: with source "folder": which batch of the split: 0, 1, 2, …
            checkpoint: with backbone "checkpoint": the path on the server of a backbone's file or
                of a training checkpoint.
            images: with source "folder": numbers of the images, from 0, instead of the next.
            kind: with source "folder": the kind of data set, if the folder does not tell.
            run: with backbone "run": the name of a run.
            at: with a run: a step that it has kept (see run_steps); 0: the newest.
            output: of a run or a training checkpoint: "backbone" (the trained feature, which
                inference uses), "projection" (z, which the loss compares) or "frozen".
            npz: with source "npz": the file's path on the server; it contains features (B, h, w,
                D), and optionally images (B, H, W, 3), labels (B, h, w) or (B, H, W) and classes.
            like: a batch's id: its images again, with these features; the rest is ignored.
            picture: "square" for the central square of each image, "whole" for the whole image
                in its own aspect ratio.

        Returns:
            The batch: its id, image names, grids (rows and columns of patches) and shapes (height
            and width in pixels) of the images, the side of a patch, what could not be read, and
            notes on the folder and the images.
        """
        given = {name: value for name, value in locals().items() if name != "self"}
        if like:  # which images is said by that alone
            given = {name: given[name] for name in ("like", *FEATURES)}
        return self._load(given)

    def load_images(
        self,
        files: list[gr.FileData],
        size: int = 448,
        backbone: str = "embedded",
        picture: str = "square",
    ) -> dict[str, Any]:
        """Upload images, then load and embed them.

        Args:
            files: up to 64 image files, each wrapped in handle_file.
            size: as for load_batch.
            backbone: a name from the page's list, or any timm ViT.
            picture: as for load_batch.

        Returns:
            The batch: its id, image names, grids (rows and columns of patches) and shapes (height
            and width in pixels) of the images, the side of a patch, what could not be read, and
            notes on the images.
        """
        # gradio hands over what a client sent: dictionaries, if it was gradio_client.
        given: Any = files
        if isinstance(given, list):
            given = [
                {"path": file.get("path"), "name": file.get("orig_name")}
                if isinstance(file, Mapping)
                else file
                for file in given
            ]
        request = {"size": size, "backbone": backbone, "picture": picture}
        return self._load({"source": "files", "files": given, **request})

    def suggest_settings(self, batch: str, aim: str = "complete") -> dict[str, Any]:
        """Suggest Φ⁰, Ψ⁰, σ and T for a batch, without looking at its labels.

        Args:
            batch: the id that load_batch or load_images gave.
            aim: "complete" for most of a class, "pure" for few positives of which most are correct.

        Returns:
            Settings, a reason for each, and the share of positives that should be correct,
            with the range in which it usually lies (0 to 1).
        """
        with refusing():
            return self.server.suggestion(self.server.store.get(batch), aim)

    def propagate(
        self,
        batch: str,
        image: int,
        row: int,
        column: int,
        phi0: float = _DEFAULT.phi0,
        psi0: float = _DEFAULT.psi0,
        sigma_pos: float = _DEFAULT.sigma_pos,
        sigma_amb: float = _DEFAULT.sigma_amb,
        steps: int = _DEFAULT.steps,
        rival: str = "",
        rival_parameters: dict[str, float] | None = None,
    ) -> dict[str, Any]:
        """Compute the sets of one anchor, step by step, optionally with a rival rule's.

        Args:
            batch: the id that load_batch or load_images gave.
            image: the anchor's image, from 0.
            row: its row in the grid of patches, from 0.
            column: its column, from 0.
            phi0: initial positiveness criterion Φ⁰, −1 to 1.
            psi0: initial ambiguity criterion Ψ⁰, −1 to 1.
            sigma_pos: σ_pos: how gently Φ falls, above 0.
            sigma_amb: σ_amb: how gently Ψ rises, above 0.
            steps: T, 0 to 20.
            rival: "", "tps", "ans", "baseline", "hp", "knn" or "kmeans".
            rival_parameters: the rival's own, such as {"k": 100}.

        Returns:
            Settings, thresholds, counts, measures and patch indices for every step, by rule.
        """
        file = self._file({**locals(), "format": "json", "step": 0})
        sets: dict[str, Any] = json.loads(file.data)
        return sets

    def save(
        self,
        batch: str,
        image: int,
        row: int,
        column: int,
        format: str = "png",
        step: int = -1,
        phi0: float = _DEFAULT.phi0,
        psi0: float = _DEFAULT.psi0,
        sigma_pos: float = _DEFAULT.sigma_pos,
        sigma_amb: float = _DEFAULT.sigma_amb,
        steps: int = _DEFAULT.steps,
        rival: str = "",
        rival_parameters: dict[str, float] | None = None,
        style: str = "sets",
        opacity: float = 0.6,
        grid: bool = False,
        anchors: list[list[int]] | None = None,
        measure: str = "",
        other: str = "",
        other_settings: dict[str, float] | None = None,
        style_options: dict[str, Any] | None = None,
    ) -> gr.FileData:
        """Save what the page would show: a picture, the sets, or the Python lines.

        Args:
            batch: the id that load_batch or load_images gave.
            image: the anchor's image, from 0.
            row: its row in the grid of patches, from 0.
            column: its column, from 0.
            format: "png", "svg", "json", "npz" or "py".
            step: the step that a picture shows, 0 to steps; −1: the last.
            phi0: initial positiveness criterion Φ⁰, −1 to 1.
            psi0: initial ambiguity criterion Ψ⁰, −1 to 1.
            sigma_pos: σ_pos: how gently Φ falls, above 0.
            sigma_amb: σ_amb: how gently Ψ rises, above 0.
            steps: T, 0 to 20.
            rival: "", "tps", "ans", "baseline", "hp", "knn" or "kmeans".
            rival_parameters: the rival's own, such as {"k": 100}.
            style: "sets", "boxes", "similarity", "labels", "difference", "trust", "anchors",
                "union", "intersection", "components", "clusters", "lengths" or "attention".
            opacity: of the overlay, 0 to 1.
            grid: whether the borders of patches are drawn.
            anchors: image, row and column of up to eight more anchors, kept in the file beside
                the first; styles "anchors", "union" and "intersection" draw their positives.
            measure: with style "trust": "precision", "recall", "false_negatives", "cohesion",
                "positives", "moved" or "ambiguous_share"; "" for precision where there are labels,
                else cohesion.
            other: "", or the id of a batch of the same images with other features, or the same id
                again: the file then holds both. Not together with a rival.
            other_settings: settings of the other features where they differ, such as
                {"phi0": 0.4}.
            style_options: the style's own: {"count": 8} for "clusters"; {"background": "auto"} or
                {"background": [0, 0.1, 0.5]} for "components" (an image and how far down and across
                in it a patch of the background lies, 0 to 1); {"head": 0, "from": "anchor"} for
                "attention" (left out: the mean of all heads, from the class token).

        Returns:
            The file.
        """
        file = self._file(locals())
        return sent(file.data, file.name)

    def _load(self, request: dict[str, Any]) -> dict[str, Any]:
        with refusing():
            job = self.server.loader.load(request)
            if job.error:
                raise RequestError(job.error)
            held = self.server.store.get(job.batch)
        batch = held.batch
        return {
            "batch": held.key,
            "names": list(batch.names),
            "grids": [list(grid) for grid in batch.grids],
            "shapes": [list(image.shape[:2]) for image in batch.images],
            "patch": batch.patch,
            "backbone": batch.backbone.name,
            "backbone_note": batch.backbone.note,
            "notes": list(batch.notes),
            "problems": job.problems,
        }

    def _file(self, given: Mapping[str, Any]) -> File:
        """The file for an endpoint's arguments, by their names in its signature."""
        with refusing():
            batch = self.server.store.get(given["batch"]).batch
            kept = read_anchors(given["anchors"], batch) if given.get("anchors") else None
            rival = {"rule": given["rival"], "parameters": given["rival_parameters"]}
            return self.server.file(
                {
                    "batch": given["batch"],
                    "anchor": batch.index(given["image"], given["row"], given["column"]),
                    "settings": {name: given[name] for name in RANGES},
                    "rival": rival if given["rival"] else None,
                    "beside": beside_of(given),
                    "format": given["format"],
                    "step": given["step"],
                    "kept": kept,
                    "measure": given.get("measure") or None,
                    "look": {
                        **{name: given.get(name) for name in ("style", "opacity", "grid")},
                        "options": given.get("style_options"),
                    },
                }
            )
