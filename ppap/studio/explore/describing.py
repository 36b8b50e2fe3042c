"""Components, lengths, clusters and attention for the page: packed, by one call."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ppap.settings import excerpt
from ppap.studio.answers import answering
from ppap.studio.explore.inspecting import (
    Inspector,
    read_background,
    read_count,
    read_from,
    read_head,
)
from ppap.studio.explore.looks.attention import mean_or_head, on_scale
from ppap.studio.explore.looks.clusters import cluster_colours
from ppap.studio.explore.looks.lengths import scale_of
from ppap.studio.requests import RequestError, mapping
from ppap.studio.store import BatchStore, Held

# How long a page waits for the attention of the first images of many, and of the next.
SECONDS = 2.0


class Describing:
    """What styles draw beside the sets, for the Explore page."""

    def __init__(self, store: BatchStore, inspector: Inspector) -> None:
        self.store, self.inspector = store, inspector
        self.kinds: dict[str, Callable[[Held, Mapping[str, Any]], dict[str, Any]]] = {
            "components": self._components,
            "lengths": self._lengths,
            "clusters": self._clusters,
            "attention": self._attention,
        }

    def calls(self) -> list[Callable[[Any], Any]]:
        """What the page may call, by its name."""
        return [self.describe]

    @answering
    def describe(self, request: Any) -> dict[str, Any]:
        """One kind of description of a held batch's features, ``what``, with its parameters."""
        request = mapping(request)
        held = self.store.get(request.get("batch"))
        what = request.get("what")
        if not isinstance(what, str) or what not in self.kinds:
            known = ", ".join(self.kinds)
            raise RequestError(f"What is described must be one of {known}, not {excerpt(what)}.")
        return self.kinds[what](held, request)

    def _components(self, held: Held, request: Mapping[str, Any]) -> dict[str, Any]:
        background = read_background(held.batch, request.get("background"))
        found, patch = self.inspector.components(held, background)
        return {
            "rgb": packed(found.rgb, "u1"),
            "foreground": packed(found.foreground, "u1"),
            "explained": found.projection.explained.tolist(),
            "background": None if patch is None else list(held.batch.position(patch)),
        }

    def _lengths(self, held: Held, request: Mapping[str, Any]) -> dict[str, Any]:
        lengths, found = self.inspector.lengths(held)
        low, high = scale_of(lengths)
        return {
            "lengths": packed(lengths, "<f4"),
            "low": low,
            "high": high,
            "median": found.median,
            "threshold": found.threshold,
            "outliers": found.patches.tolist(),
        }

    def _clusters(self, held: Held, request: Mapping[str, Any]) -> dict[str, Any]:
        found = self.inspector.clusters(held, read_count(request.get("count")))
        return {
            "labels": packed(found.labels, "u1"),
            "sizes": found.sizes.tolist(),
            "colours": cluster_colours(len(found.sizes)),
            "cosine": found.cosine,
        }

    def _attention(self, held: Held, request: Mapping[str, Any]) -> dict[str, Any]:
        anchor = read_from(held.batch, request)
        weights = self.inspector.attention(held, anchor, SECONDS)
        head = read_head(request.get("head"), len(weights.heads))
        values = mean_or_head(weights, head)
        scaled, most = on_scale(values, weights.shown)
        share = weights.on_patches.mean() if head is None else weights.on_patches[head]
        return {
            "levels": packed(np.floor(255 * scaled + 0.5), "u1"),
            "shown": packed(weights.shown, "u1"),
            "most": most,
            "on_patches": float(share),
            "left": weights.left,
        }


def packed(values: np.ndarray, kind: str) -> str:
    """Numbers as base64."""
    return base64.b64encode(values.astype(kind).tobytes()).decode()
