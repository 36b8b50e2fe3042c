"""The classes of the label maps, by patch."""

from __future__ import annotations

import numpy as np

from ppap.batches import Batch
from ppap.studio.explore.looks.base import Look, Panel, Style, blank


def rgba(batch: Batch, panel: Panel, look: Look) -> np.ndarray:
    """See ``Style.rgba``; what is void, or has no label map, is left alone."""
    out = blank(panel)
    if batch.labels is not None:
        known = batch.labels.numpy() >= 0
        out[known, :3] = np.array(batch.colours)[batch.labels.numpy()[known]]
        out[known, 3] = look.opacity
    return out


def legend(look: Look, labelled: bool) -> str:
    """See ``Style.legend``."""
    return "colours: classes of the label maps" if labelled else ""


LABELS = Style("labels", rgba, legend)
