"""Clusters of the batch's features, each in its colour."""

from __future__ import annotations

import colorsys
from collections.abc import Mapping
from typing import Any

import numpy as np

from ppap.batches import Batch
from ppap.studio.explore.looks.base import Look, Panel, Style, Wanted, blank

USUAL = 8
# Between neighbours in the list, as a share of the circle of hues.
TURN = 0.381966
LIGHTNESS = (0.55, 0.42, 0.68)


def options(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Its ``count`` of clusters."""
    count = raw.get("count")
    return {"count": count if type(count) is int else USUAL}


def data(wanted: Wanted) -> Any:
    """See ``Style.data``."""
    return wanted.server.inspector.clusters(wanted.held, wanted.options["count"])


def cluster_colours(count: int) -> list[tuple[int, int, int]]:
    """A colour for every cluster; neighbours differ in hue and in lightness."""
    found = []
    for i in range(count):
        lightness = LIGHTNESS[i % len(LIGHTNESS)]
        channels = colorsys.hls_to_rgb((0.6 + i * TURN) % 1, lightness, 0.75)
        found.append(tuple(round(255 * channel) for channel in channels))
    return found  # type: ignore[return-value]


def rgba(batch: Batch, panel: Panel, look: Look) -> np.ndarray:
    """See ``Style.rgba``."""
    out = blank(panel)
    out[:, :3] = np.array(cluster_colours(len(look.data.sizes)))[look.data.labels]
    out[:, 3] = look.opacity
    return out


def legend(look: Look, labelled: bool) -> str:
    """See ``Style.legend``."""
    return f"colours: {len(look.data.sizes)} clusters of the batch's features (spherical k-means)"


CLUSTERS = Style("clusters", rgba, legend, options=options, data=data)
