"""Several anchors, and every anchor, for scripts: named endpoints for ``gradio_client``."""

# No "from __future__ import annotations" here: see endpoints.py.

from typing import Any

import gradio as gr

from ppap.batches import Batch
from ppap.settings import PRESETS, Range, Settings, number
from ppap.studio.explore import several
from ppap.studio.explore.exports import steps_json
from ppap.studio.explore.server import Server
from ppap.studio.publishing import refusing, sent
from ppap.studio.requests import RequestError

_DEFAULT = PRESETS[1].settings
EVERY = Range("every", 1, 1024, 1, (1, 16), True, "Every so many rows and columns.")


def read_anchors(anchors: Any, batch: Batch) -> list[int]:
    """Patches from lists of image, row and column; RequestError or PatchError for anything else."""
    if not isinstance(anchors, list | tuple) or not 1 <= len(anchors) <= several.MOST:
        raise RequestError(f"The anchors must be a list of 1 to {several.MOST} patches.")
    if not all(isinstance(one, list | tuple) and len(one) == 3 for one in anchors):
        raise RequestError("Each anchor must be an image, a row and a column, such as [0, 15, 12].")
    return [batch.index(*one) for one in anchors]


class AnchorEndpoints:
    """What scripts may call; each method's docstring is its documentation."""

    def __init__(self, server: Server) -> None:
        self.server = server

    def propagate_several(
        self,
        batch: str,
        anchors: list[list[int]],
        phi0: float = _DEFAULT.phi0,
        psi0: float = _DEFAULT.psi0,
        sigma_pos: float = _DEFAULT.sigma_pos,
        sigma_amb: float = _DEFAULT.sigma_amb,
        steps: int = _DEFAULT.steps,
    ) -> dict[str, Any]:
        """Gather the sets of up to eight anchors, and what their positives have in common.

        Args:
            batch: the id that load_batch or load_images gave.
            anchors: image, row and column of each, from 0, such as [[0, 15, 12], [1, 7, 14]].
            phi0: initial positiveness criterion Φ⁰, −1 to 1.
            psi0: initial ambiguity criterion Ψ⁰, −1 to 1.
            sigma_pos: σ_pos: how gently Φ falls, above 0.
            sigma_amb: σ_amb: how gently Ψ rises, above 0.
            steps: T, 0 to 20.

        Returns:
            Each anchor's counts, measures and patch indices for every step; and, by step, the union
            and the intersection of their positives, and each pair's overlap and Jaccard index.
        """
        with refusing():
            held = self.server.store.get(batch)
            patches = several.read_kept(read_anchors(anchors, held.batch), held.batch)
            settings = Settings(phi0, psi0, sigma_pos, sigma_amb, steps)
            kept = several.gather(held.batch, patches, settings, self.server.surveys.device)
            found = several.as_json(held.batch, kept, steps_json)
            return {"settings": settings.as_dict(), **found}

    def every_anchor(
        self,
        batch: str,
        phi0: float = _DEFAULT.phi0,
        psi0: float = _DEFAULT.psi0,
        sigma_pos: float = _DEFAULT.sigma_pos,
        sigma_amb: float = _DEFAULT.sigma_amb,
        steps: int = _DEFAULT.steps,
        every: int = 1,
        format: str = "npz",
    ) -> gr.FileData:
        """Take every patch of a batch as the anchor, and measure its sets after the last step.

        A batch that would take much longer than 12,500 patches is sampled: the file says which
        patches its rows describe, and how many rows and columns lie between them.

        Args:
            batch: the id that load_batch or load_images gave.
            phi0: initial positiveness criterion Φ⁰, −1 to 1.
            psi0: initial ambiguity criterion Ψ⁰, −1 to 1.
            sigma_pos: σ_pos: how gently Φ falls, above 0.
            sigma_amb: σ_amb: how gently Ψ rises, above 0.
            steps: T, 0 to 20.
            every: 2 for a sample of every second row and column of each image, and so on.
            format: "npz" or "json".

        Returns:
            A file with a row for each anchor: its patch; how many are positive, ambiguous and
            negative; how far its proxy moved; the ambiguous share; whether P became empty, and
            whether Ψ rose above Φ; cohesion; and with labels precision and recall of P, and the
            false share of N.
        """
        with refusing():
            held = self.server.store.get(batch)
            settings = Settings(phi0, psi0, sigma_pos, sigma_amb, steps)
            stride = int(number("every", every, EVERY))
            data = self.server.trusting.file(held, settings, stride, format)
        return sent(data, f"ppap-anchors.{format}")
