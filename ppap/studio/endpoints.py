"""The studio for scripts: named endpoints for ``gradio_client``."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import gradio as gr

from ppap.settings import PRESETS
from ppap.studio.loading import RequestError
from ppap.studio.server import Server

_DEFAULT = PRESETS[1].settings


def add_endpoints(server: Server) -> None:
    """Add every endpoint to the blocks that are being built."""

    def load_batch(
        source: str = "samples",
        size: int = 448,
        backbone: str = "embedded",
        folder: str = "",
        split: str = "train",
        count: int = 8,
        seed: int = 0,
        checkpoint: str = "",
    ) -> dict[str, Any]:
        """Load and embed a batch of images.

        Args:
            source: "samples", or "folder" for a folder or data set on the server.
            size: 224, 320 or 448 pixels.
            backbone: a name from the page's list, any timm ViT, or "checkpoint".
            folder: with source "folder": its path on the server.
            split: with source "folder": train, val, …
            count: with source "folder": how many images, 1 to 64.
            seed: with source "folder": which batch, 0, 1, 2, …
            checkpoint: with backbone "checkpoint": the file's path on the server.

        Returns:
            The batch: its id, image names, grid and what could not be read.
        """
        request = {
            "source": source,
            "size": size,
            "backbone": backbone,
            "folder": folder,
            "split": split,
            "count": count,
            "seed": seed,
            "checkpoint": checkpoint,
        }
        return run(request)

    def load_images(
        files: list[gr.FileData], size: int = 448, backbone: str = "embedded"
    ) -> dict[str, Any]:
        """Load and embed own images.

        Args:
            files: up to 64 image files.
            size: 224, 320 or 448 pixels.
            backbone: a name from the page's list, or any timm ViT.

        Returns:
            The batch: its id, image names, grid and what could not be read.
        """
        sent = [{"path": f["path"], "name": f.get("orig_name") or Path(f["path"]).name} for f in files]
        return run({"source": "files", "files": sent, "size": size, "backbone": backbone})

    def run(request: dict[str, Any]) -> dict[str, Any]:
        job = server.loader.load(request)
        if job.error or job.held is None:
            raise gr.Error(job.error or "The batch could not be loaded.")
        batch = job.held.batch
        return {
            "batch": job.held.key,
            "names": list(batch.names),
            "rows": batch.rows,
            "columns": batch.columns,
            "size": batch.size,
            "backbone": batch.backbone.name,
            "backbone_note": batch.backbone.note,
            "notes": list(batch.notes),
            "problems": job.problems,
        }

    def propagate(
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
        """Gather the sets of one anchor, step by step, with a rival rule beside them.

        Args:
            batch: id from load_batch or load_images.
            image: the anchor's image, from 0.
            row: its row in the grid of patches, from 0.
            column: its column, from 0.
            phi0: initial positiveness criterion, −1 to 1.
            psi0: initial ambiguity criterion, −1 to 1.
            sigma_pos: how gently Φ falls, above 0.
            sigma_amb: how gently Ψ rises, above 0.
            steps: T, 0 to 20.
            rival: "", "tps", "ans", "baseline", "hp", "knn" or "kmeans".
            rival_parameters: the rival's own, such as {"k": 100}.

        Returns:
            Settings, thresholds, counts, measures and patch indices of every step.
        """
        request = anchor_request(batch, image, row, column, phi0, psi0, sigma_pos, sigma_amb, steps)
        request |= rival_request(rival, rival_parameters)
        data: dict[str, Any] = gr.processing_utils.json.loads(
            refusing({**request, "format": "json", "step": 0}).data
        )
        return data

    def save(
        batch: str,
        image: int,
        row: int,
        column: int,
        format: str = "png",
        step: int = 0,
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
    ) -> gr.FileData:
        """Save what the page would show: a picture, the sets, or the lines of Python.

        Args:
            batch: id from load_batch or load_images.
            image: the anchor's image, from 0.
            row: its row in the grid of patches, from 0.
            column: its column, from 0.
            format: "png", "svg", "json", "npz" or "py".
            step: the step that a picture shows.
            phi0: initial positiveness criterion, −1 to 1.
            psi0: initial ambiguity criterion, −1 to 1.
            sigma_pos: how gently Φ falls, above 0.
            sigma_amb: how gently Ψ rises, above 0.
            steps: T, 0 to 20.
            rival: "", "tps", "ans", "baseline", "hp", "knn" or "kmeans".
            rival_parameters: the rival's own, such as {"k": 100}.
            style: "sets", "boxes", "similarity" or "labels".
            opacity: of the overlay, 0 to 1.
            grid: whether patch borders are drawn.

        Returns:
            The file.
        """
        request = anchor_request(batch, image, row, column, phi0, psi0, sigma_pos, sigma_amb, steps)
        request |= rival_request(rival, rival_parameters)
        look = {"style": style, "opacity": opacity, "grid": grid}
        file = refusing({**request, "format": format, "step": step, "look": look})
        path = Path(tempfile.mkdtemp(prefix="ppap-")) / file.name
        path.write_bytes(file.data)
        return gr.FileData(path=str(path), orig_name=file.name)

    def anchor_request(
        batch: str,
        image: int,
        row: int,
        column: int,
        phi0: float,
        psi0: float,
        sigma_pos: float,
        sigma_amb: float,
        steps: int,
    ) -> dict[str, Any]:
        try:
            anchor = server.store.get(batch).batch.index(image, row, column)
        except LookupError as error:
            raise gr.Error(str(error)) from error
        settings = {
            "phi0": phi0,
            "psi0": psi0,
            "sigma_pos": sigma_pos,
            "sigma_amb": sigma_amb,
            "steps": steps,
        }
        return {"batch": batch, "anchor": anchor, "settings": settings}

    def rival_request(rival: str, parameters: dict[str, float] | None) -> dict[str, Any]:
        return {"rival": {"rule": rival, "parameters": parameters or {}} if rival else None}

    def refusing(request: dict[str, Any]) -> Any:
        try:
            return server.file(request)
        except (RequestError, ValueError, LookupError) as error:
            raise gr.Error(str(error)) from error

    gr.api(load_batch, api_name="load_batch")
    gr.api(load_images, api_name="load_images")
    gr.api(propagate, api_name="propagate")
    gr.api(save, api_name="save")
