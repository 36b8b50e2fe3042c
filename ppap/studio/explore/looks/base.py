"""What all overlay styles share: the sets' colours, a look, a panel, and what a style is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from ppap.batches import Batch
from ppap.studio.explore.views import AMBIGUOUS, ANCHOR, NEGATIVE, POSITIVE
from ppap.studio.store import Held

Colour = tuple[int, int, int]

# Blue and amber differ under every common colour-vision deficiency, and in lightness.
PALETTE: dict[int, Colour] = {
    POSITIVE: (61, 123, 255),
    AMBIGUOUS: (255, 176, 0),
    NEGATIVE: (8, 12, 24),
    ANCHOR: (220, 38, 127),
}
# Okabe and Ito's: told apart under every common colour-vision deficiency. assets/studio/explore/
# kept.js has the same.
KEPT_COLOURS: tuple[Colour, ...] = (
    (213, 94, 0),
    (86, 180, 233),
    (240, 228, 66),
    (204, 121, 167),
    (0, 158, 115),
    (230, 159, 0),
    (0, 114, 178),
    (0, 0, 0),
)
# Frames of patches that a style points at.
MARKED: Colour = (226, 61, 40)
FILL = {POSITIVE: 0.8, AMBIGUOUS: 0.72, NEGATIVE: 0.9}
NAMES = {POSITIVE: "positive", AMBIGUOUS: "ambiguous", NEGATIVE: "negative"}


@dataclass(frozen=True)
class Look:
    """How the sets are drawn; the same choices as in the page."""

    style: str = "sets"
    opacity: float = 0.6
    grid: bool = False
    positive: bool = True
    ambiguous: bool = True
    negative: bool = True
    options: Mapping[str, Any] = field(default_factory=dict)
    """The style's own, such as the number of clusters."""
    data: Any = field(default=None, compare=False)
    """What the style draws beside the sets, from its ``data``."""

    def shows(self, code: int) -> bool:
        """Whether a set is switched on."""
        return code in NAMES and bool(getattr(self, NAMES[code]))


class KeptSets(NamedTuple):
    """A kept anchor at the step that a picture shows."""

    slot: int
    """Its colour in KEPT_COLOURS; its number is one more."""
    anchor: int
    codes: np.ndarray
    """uint8 ``(N,)``."""


class Panel(NamedTuple):
    """One mosaic with its caption lines."""

    lines: list[str]
    codes: np.ndarray
    """uint8 ``(N,)``."""
    similarity: np.ndarray
    """float ``(N,)``."""
    anchor: int
    nearest: int | None = None
    """The patch nearest to the proxy once it has moved."""
    kept: tuple[KeptSets, ...] = ()


class Wanted(NamedTuple):
    """What a style makes its data of."""

    server: Any
    """The Explore page's ``Server``."""
    held: Held
    anchor: int
    options: Mapping[str, Any]
    request: Mapping[str, Any]
    """All that was asked for, not checked."""


class Style(NamedTuple):
    """An overlay style."""

    key: str
    rgba: Callable[[Batch, Panel, Look], np.ndarray]
    """Colour and opacity of every patch, float ``(N, 4)``: RGB 0–255 and alpha 0–1."""
    legend: Callable[[Look, bool], str]
    """What its colours mean, for a caption; the second argument: whether there are labels."""
    grey: bool = False
    """Whether the photographs lose their colours under it."""
    options: Callable[[Mapping[str, Any]], dict[str, Any]] | None = None
    """Its options from untrusted values; what makes no sense falls back to the usual."""
    data: Callable[[Wanted], Any] | None = None
    """What ``Look.data`` holds; RequestError where the batch does not have it."""
    first_only: bool = False
    """Whether it is of the first features only: of those beside them the sets are drawn."""
    marked: Callable[[Look], np.ndarray] | None = None
    """Patches that are framed, int64 ``(M,)``."""


def blank(panel: Panel) -> np.ndarray:
    """No colour anywhere, float ``(N, 4)``."""
    return np.zeros((len(panel.codes), 4))


def filled(rgb: np.ndarray, look: Look) -> np.ndarray:
    """RGB ``(N, 3)`` with the look's opacity, ``(N, 4)``."""
    return np.column_stack([rgb, np.full(len(rgb), look.opacity)])
