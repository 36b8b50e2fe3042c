"""What Explore is asked for beside a batch: a rival, a step, a look, a kind of file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ppap.rivals import RULES, Choice
from ppap.settings import SettingError, excerpt
from ppap.studio.explore.exports import TYPES
from ppap.studio.explore.looks.base import Look
from ppap.studio.explore.looks.registry import read_style
from ppap.studio.requests import MAX_IMAGES, RequestError, mapping


def read_choice(raw: Any, own: Choice) -> Choice:
    """A rival from untrusted values; it reads the same five settings as PPAP."""
    raw = mapping(raw)
    key = excerpt(raw.get("rule"))
    given = mapping(raw.get("parameters") or {})
    known = {p.name for p in RULES[key].parameters} if key in RULES else set()
    for name in given:
        if name not in known:
            raise SettingError(excerpt(name), f"{key} has no setting {excerpt(name)!r}.")
    return Choice(key, own.settings, **given)


def read_format(value: Any) -> str:
    """A kind of file to save; RequestError for any other."""
    if not isinstance(value, str) or value not in TYPES:
        raise RequestError(f"The format must be one of {', '.join(TYPES)}, not {excerpt(value)}.")
    return value


def read_step(value: Any, last: int) -> int:
    """A step from 0 to ``last``, which −1 stands for too; RequestError otherwise."""
    if isinstance(value, bool) or not isinstance(value, int) or not -1 <= value <= last:
        raise RequestError(
            f"The step must be a whole number from 0 to {last}, or −1 for the last one."
        )
    return last if value == -1 else value


def read_lines(value: Any, images: int) -> tuple[int, ...]:
    """How many images stand in each line of a picture, from the number in all lines but the last,
    or from a list; as near to a square as it goes where neither makes sense."""
    whole = all(_is_count(one) for one in value) if isinstance(value, list) else _is_count(value)
    if whole and isinstance(value, list) and sum(value) == images:
        return tuple(value)
    across = value if whole and isinstance(value, int) else max(1, round(images**0.5))
    return tuple(min(across, images - done) for done in range(0, images, across))


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= MAX_IMAGES


def read_look(raw: Any) -> Look:
    """How to draw, from untrusted values; what makes no sense falls back to the usual look."""
    raw = raw if isinstance(raw, Mapping) else {}
    shown = raw.get("show")
    shown = shown if isinstance(shown, Mapping) else {}
    opacity = raw.get("opacity", 0.6)
    fine = isinstance(opacity, int | float) and 0 <= opacity <= 1
    style, options = read_style(raw)
    return Look(
        style=style.key,
        options=options,
        opacity=float(opacity) if fine else 0.6,
        grid=bool(raw.get("grid")),
        **{name: bool(shown.get(name, True)) for name in ("positive", "ambiguous", "negative")},
    )
