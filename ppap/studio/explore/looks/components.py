"""The first three principal components of the features as red, green and blue."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ppap.batches import Batch
from ppap.studio.explore.inspecting import read_background
from ppap.studio.explore.looks.base import Look, Panel, Style, Wanted, blank


def options(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Its ``background``: None, "auto", or an image and a place in it."""
    value = raw.get("background")
    place = isinstance(value, list) and len(value) == 3
    return {"background": value if value == "auto" or place else None}


def data(wanted: Wanted) -> Any:
    """See ``Style.data``."""
    background = read_background(wanted.held.batch, wanted.options["background"])
    return wanted.server.inspector.components(wanted.held, background).components


def rgba(batch: Batch, panel: Panel, look: Look) -> np.ndarray:
    """See ``Style.rgba``; the background is black."""
    out = blank(panel)
    out[:, :3], out[:, 3] = look.data.rgb, look.opacity
    return out


def legend(look: Look, labelled: bool) -> str:
    """See ``Style.legend``."""
    shares = [f"{100 * share:.0f} %" for share in look.data.projection.explained]
    said = f"red, green, blue: principal components 1 to 3 ({', '.join(shares)} of the variance)"
    return said + ("" if look.data.foreground.all() else "; black: background")


COMPONENTS = Style("components", rgba, legend, options=options, data=data)
