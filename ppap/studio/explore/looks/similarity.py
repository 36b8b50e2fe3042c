"""How similar every patch is to the proxy of the step."""

from __future__ import annotations

import numpy as np

from ppap.batches import Batch
from ppap.studio.explore.looks.base import Look, Panel, Style, filled
from ppap.studio.explore.looks.scales import cividis

LEAST = -0.2


def heat(similarity: np.ndarray) -> np.ndarray:
    """Cosines → uint8 RGB, −0.2 or less dark blue, 1 yellow."""
    return cividis((similarity - LEAST) / (1 - LEAST))


def rgba(batch: Batch, panel: Panel, look: Look) -> np.ndarray:
    """See ``Style.rgba``."""
    return filled(heat(panel.similarity), look)


def legend(look: Look, labelled: bool) -> str:
    """See ``Style.legend``."""
    return "dark blue to yellow: similarity −0.2 to 1"


SIMILARITY = Style("similarity", rgba, legend, grey=True)
