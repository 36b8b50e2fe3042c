"""A study's figures on a dark page: the same SVG in other colours, on no ground of its own.

Files are ink on white, as they are printed. ``in_the_dark`` changes a copy where a page is dark.
"""

from __future__ import annotations

import re

# Said in the metadata of figures whose colours are those below. Figures of earlier versions stay as
# they are: there, white and black also stand for numbers on dark and bright cells.
THEMED = "Colours for light and dark pages"
INK, GRID, CHANCE, BLACK, BLUE = "#222222", "#dddddd", "#888888", "#010101", "#0072b2"
PAPER = "#ffffff"
# What lies on a coloured cell stays as it is, whatever is around it.
ON_BRIGHT, ON_DARK = "#000000", "#fefefe"
DARK = {
    PAPER: "none",
    INK: "#e7ebf4",
    GRID: "#3a4356",
    CHANCE: "#a3adc2",
    BLACK: "#e7ebf4",
    BLUE: "#5aa9e6",
}
_STYLE = re.compile(r'style="[^"]*"')
_COLOUR = re.compile(r"#[0-9a-f]{6}")


def in_the_dark(svg: str) -> str:
    """The figure for a dark page; what it is where it has other colours."""
    if THEMED not in svg:
        return svg

    def changed(style: re.Match[str]) -> str:
        return _COLOUR.sub(lambda found: DARK.get(found[0], found[0]), style[0])

    return _STYLE.sub(changed, svg)
