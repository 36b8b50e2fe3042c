"""The length of every feature before it was normalised; those that stand out are framed."""

from __future__ import annotations

from typing import Any

import numpy as np

from ppap.batches import Batch
from ppap.studio.explore.looks.base import Look, Panel, Style, Wanted, filled
from ppap.studio.explore.looks.scales import cividis

# Few lengths lie far out, and would leave all others in one colour.
PERCENTILES = (1.0, 99.0)


def scale_of(lengths: np.ndarray) -> tuple[float, float]:
    """The lengths that have the first and the last colour."""
    low, high = (float(value) for value in np.percentile(lengths, PERCENTILES))
    return low, high if high > low else low + 1.0


def data(wanted: Wanted) -> Any:
    """See ``Style.data``: the lengths, and which stand out."""
    return wanted.server.inspector.lengths(wanted.held)


def rgba(batch: Batch, panel: Panel, look: Look) -> np.ndarray:
    """See ``Style.rgba``."""
    lengths, _ = look.data
    low, high = scale_of(lengths)
    return filled(cividis((lengths - low) / (high - low)), look)


def legend(look: Look, labelled: bool) -> str:
    """See ``Style.legend``."""
    lengths, found = look.data
    low, high = scale_of(lengths)
    said = f"dark blue to yellow: length of the feature, {low:.3g} to {high:.3g}"
    count = len(found.patches)
    return said + (f"; red frames: {count} longer than {found.threshold:.3g}" if count else "")


def marked(look: Look) -> np.ndarray:
    """See ``Style.marked``."""
    return np.asarray(look.data[1].patches)


LENGTHS = Style("lengths", rgba, legend, grey=True, data=data, marked=marked)
