"""Animations for scripts."""

# No "from __future__ import annotations" here: see ``endpoints.py``.

import gradio as gr

from ppap.settings import PRESETS, RANGES
from ppap.studio.explore.animating import Animating
from ppap.studio.publishing import publish, refusing, sent

_DEFAULT = PRESETS[1].settings


def add_animation_endpoints(blocks: gr.Blocks, animating: Animating) -> None:
    """Add every endpoint to the blocks that are being built."""
    publish(blocks, AnimationEndpoints(animating).animate)


class AnimationEndpoints:
    """What scripts may call; each method's docstring is its documentation."""

    def __init__(self, animating: Animating) -> None:
        self.animating = animating

    def animate(
        self,
        batch: str,
        image: int,
        row: int,
        column: int,
        format: str = "webp",
        map: bool = False,
        phi0: float = _DEFAULT.phi0,
        psi0: float = _DEFAULT.psi0,
        sigma_pos: float = _DEFAULT.sigma_pos,
        sigma_amb: float = _DEFAULT.sigma_amb,
        steps: int = _DEFAULT.steps,
        style: str = "sets",
        opacity: float = 0.6,
        grid: bool = False,
    ) -> gr.FileData:
        """Animate the propagation of an anchor, step by step.

        Args:
            batch: the id that load_batch or load_images gave.
            image: the anchor's image, from 0.
            row: its row in the grid of patches, from 0.
            column: its column, from 0.
            format: "webp", "gif", or "mp4" if the studio's machine has ffmpeg.
            map: whether to show the map of the patches next to the images.
            phi0: initial positiveness criterion Φ⁰, −1 to 1.
            psi0: initial ambiguity criterion Ψ⁰, −1 to 1.
            sigma_pos: σ_pos: how gently Φ falls, above 0.
            sigma_amb: σ_amb: how gently Ψ rises, above 0.
            steps: T, 0 to 20.
            style: as for save.
            opacity: of the overlay, 0 to 1.
            grid: whether the borders of patches are drawn.

        Returns:
            The file.
        """
        given = locals()
        with refusing():
            held = self.animating.server.store.get(batch)
            request = {
                "batch": batch,
                "anchor": held.batch.index(image, row, column),
                "settings": {name: given[name] for name in RANGES},
                "format": format,
                "map": map,
                "look": {"style": style, "opacity": opacity, "grid": grid},
            }
            made = self.animating.make(request, lambda text, share: None)
            return sent(made.data, made.name)
