"""The overlay styles by their keys, the same as in assets/studio/explore/styles/index.js."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ppap.studio.explore.looks.attention import ATTENTION
from ppap.studio.explore.looks.base import Style
from ppap.studio.explore.looks.clusters import CLUSTERS
from ppap.studio.explore.looks.components import COMPONENTS
from ppap.studio.explore.looks.difference import DIFFERENCE
from ppap.studio.explore.looks.kept import ANCHORS, INTERSECTION, UNION
from ppap.studio.explore.looks.labels import LABELS
from ppap.studio.explore.looks.lengths import LENGTHS
from ppap.studio.explore.looks.sets import BOXES, SETS
from ppap.studio.explore.looks.similarity import SIMILARITY
from ppap.studio.explore.looks.trust import TRUST

STYLES: dict[str, Style] = {
    style.key: style
    for style in (
        SETS,
        BOXES,
        SIMILARITY,
        LABELS,
        COMPONENTS,
        CLUSTERS,
        LENGTHS,
        ATTENTION,
        DIFFERENCE,
        TRUST,
        ANCHORS,
        UNION,
        INTERSECTION,
    )
}


def read_style(raw: Mapping[str, Any]) -> tuple[Style, dict[str, Any]]:
    """A style and its options from untrusted values; the first style where there is no such."""
    key = raw.get("style")
    style = STYLES.get(key, SETS) if isinstance(key, str) else SETS
    options = raw.get("options")
    given = options if isinstance(options, Mapping) else {}
    return style, style.options(given) if style.options else {}
