"""What the second set of positives gains and loses beside the first."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ppap.batches import Batch
from ppap.studio.explore.looks.base import Colour, Look, Panel, Style, blank

# As in explore/beside.py. Turquoise is far lighter than brown-red: told apart without colour, too.
GAINED, LOST, KEPT = 1, 2, 3
COLOURS: dict[int, Colour] = {GAINED: (64, 224, 196), LOST: (196, 52, 18), KEPT: (61, 123, 255)}
FILL = {GAINED: 0.9, LOST: 0.85, KEPT: 0.55}
NAMES = {GAINED: "turquoise: gained", LOST: "red: lost", KEPT: "blue: positive in both"}


class Change(NamedTuple):
    """What ``Look.data`` holds for this style."""

    codes: np.ndarray
    """uint8 ``(N,)``: 0 none, 1 gained, 2 lost, 3 in both."""
    counts: dict[int, str]
    """What is said of each, such as "120, 80 correct"."""


def rgba(batch: Batch, panel: Panel, look: Look) -> np.ndarray:
    """See ``Style.rgba``; nothing where there is nothing to compare with."""
    out = blank(panel)
    if isinstance(look.data, Change):
        for code, colour in COLOURS.items():
            chosen = look.data.codes == code
            out[chosen, :3], out[chosen, 3] = colour, FILL[code] * look.opacity
    return out


def legend(look: Look, labelled: bool) -> str:
    """See ``Style.legend``."""
    if not isinstance(look.data, Change):
        return ""
    return ", ".join(f"{NAMES[code]} ({said})" for code, said in look.data.counts.items())


DIFFERENCE = Style("difference", rgba, legend)
