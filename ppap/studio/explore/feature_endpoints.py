"""For scripts: what there is to see in a batch's features, as arrays."""

# No "from __future__ import annotations" here: see endpoints.py.

import io
from typing import Any

import gradio as gr
import numpy as np

from ppap.batches import Batch
from ppap.settings import excerpt
from ppap.studio.explore.inspecting import Inspector, read_count, read_head
from ppap.studio.explore.looks.clusters import USUAL
from ppap.studio.explore.server import Server
from ppap.studio.publishing import refusing, sent
from ppap.studio.requests import RequestError
from ppap.studio.store import Held

KINDS = ("components", "lengths", "clusters", "attention")


class FeatureEndpoints:
    """What scripts may call; the method's docstring is its documentation."""

    def __init__(self, server: Server) -> None:
        self.server = server

    def describe_features(
        self,
        batch: str,
        what: str = "components",
        clusters: int = USUAL,
        background: list[int] | None = None,
        start: list[int] | None = None,
        head: int | None = None,
    ) -> gr.FileData:
        """Components, lengths, clusters or attention of all features of a batch, as an NPZ.

        Args:
            batch: the id that load_batch or load_images gave.
            what: "components", "lengths", "clusters" or "attention".
            clusters: with "clusters": how many, 2 to 64.
            background: with "components": image, row and column of a patch of the background,
                which is then hidden; left out, nothing is hidden.
            start: with "attention": image, row and column of the patch that it starts from; left
                out, the class token of every image.
            head: with "attention": one head, from 0; left out, every head.

        Returns:
            A file with "names", "grids" (rows and columns of each image; patches count image by
            image, row by row) and, for "components": "values" and "rgb" (N, 3), "foreground" (N),
            "explained" (3); for "lengths": "lengths" (N), "outliers" (patches), "threshold"; for
            "clusters": "labels" (N), "centres" (K, D), "sizes" (K); for "attention": "weights"
            (heads, N), "shown" (N), "on_patches" (heads).
        """
        with refusing():
            held = self.server.store.get(batch)
            if not isinstance(what, str) or what not in KINDS:
                known = ", ".join(KINDS)
                raise RequestError(f"what must be one of {known}, not {excerpt(what)}.")
            found = arrays(
                self.server.inspector,
                held,
                what,
                clusters=clusters,
                background=patch_of(held.batch, background, "background"),
                start=patch_of(held.batch, start, "start"),
                head=head,
            )
            found |= {"names": np.array(held.batch.names), "grids": np.array(held.batch.grids)}
            out = io.BytesIO()
            np.savez_compressed(out, **found)  # type: ignore[arg-type]
        return sent(out.getvalue(), f"ppap-{what}.npz")


def arrays(
    inspector: Inspector,
    held: Held,
    what: str,
    *,
    clusters: Any,
    background: int | None,
    start: int | None,
    head: Any,
) -> dict[str, np.ndarray]:
    """The arrays of one of KINDS, by the names in the endpoint's documentation."""
    if what == "components":
        seen = inspector.components(held, background).components
        return {
            "values": seen.projection.values,
            "rgb": seen.rgb,
            "foreground": seen.foreground,
            "explained": seen.projection.explained,
        }
    if what == "lengths":
        lengths, standing = inspector.lengths(held)
        return {
            "lengths": lengths,
            "outliers": standing.patches,
            "threshold": np.array(standing.threshold),
        }
    if what == "clusters":
        grouped = inspector.clusters(held, read_count(clusters))
        return {
            "labels": grouped.labels,
            "centres": grouped.centres.numpy(),
            "sizes": grouped.sizes,
        }
    weights = inspector.attention(held, start)
    one = read_head(head, len(weights.heads))
    spread = np.zeros((len(weights.heads), len(weights.shown)), np.float32)
    spread[:, weights.shown] = weights.heads
    chosen = slice(None) if one is None else slice(one, one + 1)
    return {
        "weights": spread[chosen],
        "shown": weights.shown,
        "on_patches": weights.on_patches[chosen],
    }


def patch_of(batch: Batch, place: Any, name: str) -> int | None:
    """The index of a patch given as [image, row, column]; None where it is left out."""
    if place is None:
        return None
    if not isinstance(place, list | tuple) or len(place) != 3:
        raise RequestError(f"{name} must be left out, or a patch: its image, row and column.")
    return batch.index(*place)
