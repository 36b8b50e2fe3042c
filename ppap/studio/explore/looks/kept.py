"""The positives of kept anchors: each in its colour, of any of them, of all of them."""

from __future__ import annotations

import numpy as np

from ppap.batches import Batch
from ppap.studio.explore.looks.base import KEPT_COLOURS, Look, Panel, Style, blank
from ppap.studio.explore.looks.scales import cividis
from ppap.studio.explore.views import POSITIVE

SHARE = 0.85


def positives(panel: Panel) -> np.ndarray:
    """P of every kept anchor, bool ``(M, N)``."""
    return np.array([one.codes == POSITIVE for one in panel.kept])


def each(batch: Batch, panel: Panel, look: Look) -> np.ndarray:
    """See ``Style.rgba``; where sets overlap, the mean of their colours."""
    out = blank(panel)
    if panel.kept:
        inside = positives(panel)
        colours = np.array([KEPT_COLOURS[one.slot] for one in panel.kept], float)
        sizes = inside.sum(axis=0)
        mean = inside.T.astype(float) @ colours / np.maximum(1, sizes)[:, None]
        out[:, :3] = np.floor(mean + 0.5)
        out[:, 3] = np.where(sizes > 0, SHARE * look.opacity, 0)
    return out


def counted(panel: Panel, look: Look, least: int) -> np.ndarray:
    """Patches in at least so many positives, the lighter the more; float ``(N, 4)``."""
    out = blank(panel)
    if panel.kept:
        found = positives(panel).sum(axis=0)
        out[:, :3] = cividis(found / len(panel.kept))
        out[:, 3] = np.where(found >= least, look.opacity, 0)
    return out


def union(batch: Batch, panel: Panel, look: Look) -> np.ndarray:
    """See ``Style.rgba``."""
    return counted(panel, look, 1)


def intersection(batch: Batch, panel: Panel, look: Look) -> np.ndarray:
    """See ``Style.rgba``."""
    return counted(panel, look, len(panel.kept))


ANCHORS = Style(
    "anchors",
    each,
    lambda look, labelled: "colours: positives of the kept anchors",
    first_only=True,
)
UNION = Style(
    "union",
    union,
    lambda look, labelled: "dark to light: in the positives of one to all kept anchors",
    grey=True,
    first_only=True,
)
INTERSECTION = Style(
    "intersection",
    intersection,
    lambda look, labelled: "yellow: in the positives of all kept anchors",
    grey=True,
    first_only=True,
)
