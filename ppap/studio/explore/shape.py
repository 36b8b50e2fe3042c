"""What is drawn on top of the patches of a picture."""

from __future__ import annotations

from typing import Literal, NamedTuple


class Shape(NamedTuple):
    """A line, a box or a ring within a box on top of the patches."""

    points: tuple[int, int, int, int]
    rgba: tuple[int, int, int, int]
    width: int
    form: Literal["line", "box", "ring"] = "line"


class Badge(NamedTuple):
    """A number in a disc."""

    x: int
    y: int
    text: str
    fill: tuple[int, int, int]
    ink: tuple[int, int, int]
    rim: tuple[int, int, int]
