"""The anchor's sets: filled, or as boxes around their patches."""

from __future__ import annotations

import numpy as np

from ppap.batches import Batch
from ppap.studio.explore.looks.base import FILL, NAMES, PALETTE, Look, Panel, Style, blank
from ppap.studio.explore.views import AMBIGUOUS, NEGATIVE, POSITIVE

LEGENDS = {
    "sets": {
        POSITIVE: "blue: positive",
        AMBIGUOUS: "amber hatched: ambiguous",
        NEGATIVE: "dark: negative",
    },
    "boxes": {POSITIVE: "blue box: positive", AMBIGUOUS: "amber box: ambiguous"},
}


def rgba(batch: Batch, panel: Panel, look: Look) -> np.ndarray:
    """See ``Style.rgba``."""
    out = blank(panel)
    for code in NAMES:
        if look.shows(code):
            chosen = panel.codes == code
            out[chosen, :3], out[chosen, 3] = PALETTE[code], FILL[code] * look.opacity
    return out


def nothing(batch: Batch, panel: Panel, look: Look) -> np.ndarray:
    """Boxes leave the photographs between them as they are."""
    return blank(panel)


def legend(look: Look, labelled: bool) -> str:
    """See ``Style.legend``; only of the sets that are switched on."""
    return ", ".join(text for code, text in LEGENDS[look.style].items() if look.shows(code))


SETS = Style("sets", rgba, legend)
BOXES = Style("boxes", nothing, legend)
