"""Features of several stages beside each other, in words and numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ppap.study.columns import STAGE_HEADINGS, Table, filled, plainly

TITLE = "Features compared"
KEY = (
    "Suggested: the settings derived from each stage's own cosines. The expected share of "
    "correct positives is known only for the embedded backbone, not for other features. Area: "
    "the average precision of telling, by cosine alone, whether two patches have the same class; "
    "chance is the share of pairs with the same class."
)
TITLES = {"complete": "suggested, complete", "pure": "suggested, pure", "own": "as given"}


def rows_of(stages: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """The table: a stage's title and area, then a row for each choice of settings."""
    rows = []
    for stage in stages:
        for key, cell in stage["sets"].items():
            five, expected = cell["settings"], cell.get("expected")
            words = f"Φ⁰ {five['phi0']:.2f}, Ψ⁰ {five['psi0']:.2f}, T {five['steps']}"
            said = ""
            if expected:
                middle, low, high = (100 * share for share in expected)
                said = f"{middle:.0f} ({low:.0f} to {high:.0f})"
            shares = [_percent(cell[name]) for name in ("precision", "recall", "f1")]
            rows.append(
                [
                    f"{stage['title']}, {TITLES[key]}",
                    words,
                    said,
                    *shares,
                    f"{cell['positives']:,.0f}",
                    _percent(cell["false_negatives"]),
                ]
            )
    return rows


def areas_of(stages: Sequence[Mapping[str, Any]]) -> list[str]:
    """A sentence a stage on its curve."""
    said = []
    for stage in stages:
        curve = stage["same_class"]
        if curve["area"] is None:
            said.append(f"{stage['title']}: no two patches have the same class.")
            continue
        said.append(
            f"{stage['title']}: area {100 * curve['area']:.1f} %, chance "
            f"{100 * curve['chance']:.1f} %, {curve['pairs']:,} pairs (binning the cosines "
            f"changes the area by at most {math.ceil(10_000 * curve['within']) / 100:.2f} points)."
        )
    return said


def stage_table(stages: Sequence[Mapping[str, Any]]) -> Table:
    """The table without columns that say nothing."""
    return filled(STAGE_HEADINGS, rows_of(stages))


def told(stages: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """All of it, for a page."""
    headings, rows = stage_table(stages)
    return {
        "title": TITLE,
        "headings": plainly(headings),
        "rows": rows,
        "areas": areas_of(stages),
        "key": KEY,
    }


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f}"
