"""Each patch by what happens when it is the anchor."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ppap.batches import Batch
from ppap.settings import read_settings
from ppap.studio.explore.looks.base import Look, Panel, Style, Wanted, blank
from ppap.studio.explore.looks.scales import cividis
from ppap.studio.explore.trust import read_measure
from ppap.studio.requests import mapping
from ppap.study.every_anchor import MEASURES

SHARES = ("precision", "recall", "false_negatives", "ambiguous_share")


class Surveyed(NamedTuple):
    """A measure of every patch as the anchor."""

    measure: str
    values: np.ndarray
    """float32 ``(N,)``, NaN where there is nothing to measure."""
    low: float
    high: float
    """The ends of the colours' scale."""
    text: str
    """Of which patches."""


def data(wanted: Wanted) -> Surveyed:
    """What the page shows; made where it shows nothing yet."""
    measure = read_measure(wanted.request.get("measure"), wanted.held.batch)
    settings = read_settings(mapping(wanted.request.get("settings")))
    values, low, high, text = wanted.server.trusting.shown(wanted.held, settings, measure)
    return Surveyed(measure, values, low, high, text)


def rgba(batch: Batch, panel: Panel, look: Look) -> np.ndarray:
    """See ``Style.rgba``."""
    out = blank(panel)
    found: Surveyed = look.data
    known = np.isfinite(found.values)
    x = (found.values[known] - found.low) / (found.high - found.low)
    out[known, :3] = cividis(x)
    out[known, 3] = look.opacity
    return out


def legend(look: Look, labelled: bool) -> str:
    """See ``Style.legend``."""
    found: Surveyed = look.data
    ends = [told(found.measure, value) for value in (found.low, found.high)]
    title, of = MEASURES[found.measure].title, found.text.rstrip(".")
    return f"dark blue to yellow: {title} as the anchor, {ends[0]} to {ends[1]} ({of})"


def told(measure: str, value: float) -> str:
    """A value as people read it."""
    if measure in SHARES:
        return f"{100 * value:.0f} %"
    return f"{value:,.0f}" if measure == "positives" else f"{value:.2f}"


TRUST = Style("trust", rgba, legend, grey=True, data=data, first_only=True)
