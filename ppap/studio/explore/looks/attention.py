"""Where the last block of a ViT looks, from its class token or from the anchor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from ppap.batches import Batch
from ppap.studio.explore.attending import Weights
from ppap.studio.explore.looks.base import Look, Panel, Style, Wanted, blank
from ppap.studio.explore.looks.scales import cividis

# Single patches that have most of the attention would leave all others in one colour.
PERCENTILE = 99.5


class Drawn(NamedTuple):
    """One head's attention, or the mean of all, on the scale of its colours."""

    scaled: np.ndarray
    """0 to 1, ``(N,)``."""
    shown: np.ndarray
    """bool ``(N,)``."""
    most: float
    """What 1 is."""
    words: str


def options(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Its ``head``, None for the mean of all, and where it goes out ``from``: class or anchor."""
    head = raw.get("head")
    return {
        "head": head if type(head) is int else None,
        "from": "anchor" if raw.get("from") == "anchor" else "class",
    }


def data(wanted: Wanted) -> Drawn:
    """See ``Style.data``."""
    attends = wanted.held.batch.attends
    own = wanted.options["from"] == "anchor" or (attends is not None and not attends.class_token)
    weights = wanted.server.inspector.attention(wanted.held, wanted.anchor if own else None)
    # Chosen for another ViT, it may have no such head: as on the page, that is the mean then.
    chosen = wanted.options["head"]
    head = chosen if chosen is not None and 0 <= chosen < len(weights.heads) else None
    scaled, most = on_scale(mean_or_head(weights, head), weights.shown)
    of = "mean of all heads" if head is None else f"head {head + 1} of {len(weights.heads)}"
    words = f"from the {'anchor' if own else 'class token'}, {of}"
    return Drawn(scaled, weights.shown, most, words)


def mean_or_head(weights: Weights, head: int | None) -> np.ndarray:
    """Attention of one head, or the mean of all, as multiples of what all patches of the image
    would have if they shared it evenly; float ``(N,)``, 0 where none is shown."""
    values = np.zeros(len(weights.shown), np.float32)
    chosen = weights.heads.mean(0) if head is None else weights.heads[head]
    values[weights.shown] = chosen * weights.even
    return values


def on_scale(values: np.ndarray, shown: np.ndarray) -> tuple[np.ndarray, float]:
    """Attention → 0 to 1, and what 1 stands for."""
    most = float(np.percentile(values[shown], PERCENTILE)) or 1.0
    return np.where(shown, np.clip(values / most, 0, 1), 0), most


def rgba(batch: Batch, panel: Panel, look: Look) -> np.ndarray:
    """See ``Style.rgba``; images that it is not of stay as they are."""
    out = blank(panel)
    drawn = look.data
    # As the page has it: 256 levels.
    levels = np.floor(255 * drawn.scaled + 0.5) / 255
    out[:, :3] = cividis(levels)
    out[:, 3] = np.where(drawn.shown, look.opacity, 0)
    return out


def legend(look: Look, labelled: bool) -> str:
    """See ``Style.legend``."""
    drawn = look.data
    return (
        f"dark blue to yellow: attention {drawn.words}, 0 to {drawn.most:.3g} times as much as if "
        "all patches shared it evenly"
    )


ATTENTION = Style("attention", rgba, legend, grey=True, options=options, data=data)
