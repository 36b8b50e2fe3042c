"""A number in a table of a report, as text."""

from __future__ import annotations

NOTHING = "–"


def per_cent(value: float | None) -> str:
    """One decimal, as the paper has it."""
    return NOTHING if value is None else f"{value:.1f}"
