"""A note as a page that stands alone: picture, sentence, settings and numbers."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from ppap.evaluation.page import document, section, table

COLUMNS = (
    ("positive", "positive"),
    ("ambiguous", "ambiguous"),
    ("negative", "negative"),
    ("phi", "Φ"),
    ("psi", "Ψ"),
    ("precision", "precision of P"),
    ("recall", "recall of P"),
    ("false_negative", "wrong in N"),
)


def as_page(note: Mapping[str, Any], picture: bytes) -> str:
    """The page; ``picture`` is the note's PNG."""
    about = note["about"]
    data = base64.b64encode(picture).decode()
    image = (
        f"<img alt='{escape(note['name'], quote=True)}' style='max-width:100%;background:white' "
        f"src='data:image/png;base64,{data}'>"
    )
    parts = [section("Picture", [image])]
    for one in note["shown"]:
        parts.append(section(str(one["title"]), _rule(one)))
    facts = (
        f"<tr><th>{escape(str(name))}</th><td>{escape(str(value))}</td></tr>"
        for name, value in about.items()
    )
    parts.append(section("What is shown", table("facts", ("", ""), facts)))
    text = f"<p>{escape(note['text'])}</p>" if note["text"] else ""
    return document("Note", note["name"], [text, *parts])


def _rule(one: Mapping[str, Any]) -> Iterator[str]:
    settings = ", ".join(f"{name} = {value:g}" for name, value in one["settings"].items())
    yield f"<p>{escape(settings)}</p>"
    known = [(key, title) for key, title in COLUMNS if any(key in step for step in one["steps"])]
    rows = (
        f"<tr><th>step {step['step']}</th>"
        + "".join(f"<td>{shown(step.get(key))}</td>" for key, _ in known)
        + "</tr>"
        for step in one["steps"]
    )
    yield from table("scores", ("", *(title for _, title in known)), rows)


def shown(value: object) -> str:
    """A number as people read it."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "–"
    return f"{value:,}" if isinstance(value, int) else f"{value:.3f}".replace("-", "−")
