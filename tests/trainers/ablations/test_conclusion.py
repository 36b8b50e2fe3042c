"""The sentence above a table of runs."""

from __future__ import annotations

import math

import pytest

from trainers.ablations.cells import COLUMNS, Cell
from trainers.ablations.conclusion import conclusion, hint

BEST, NEAR, FAR = Cell(24.1, 0.5), Cell(23.7, 0.2), Cell(20.0, 0.3)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (
            [("a", NEAR), ("b", BEST), ("c", FAR)],
            "U-mIoU is highest with b: 24.1 ± 0.5. The next is a: 23.7 ± 0.2, a difference within "
            "the spread of the seeds.",
        ),
        (
            [("b", BEST), ("c", FAR), ("d", Cell(math.nan, math.nan))],
            "U-mIoU is highest with b: 24.1 ± 0.5. The next is c: 20.0 ± 0.3, a difference larger "
            "than the spread of the seeds.",
        ),
        (
            [("b", Cell(24.1, math.nan)), ("c", Cell(20.0, math.nan))],
            "U-mIoU is highest with b: 24.1. The next is c: 20.0; with a single seed, this may "
            "be chance.",
        ),
        ([("b", BEST)], ""),
    ],
)
def test_which_is_best(rows: list[tuple[str, Cell]], said: str) -> None:
    assert conclusion(rows) == said


def test_every_column_is_explained() -> None:
    for name, *_ in COLUMNS:
        assert "averaged" in hint(name) or "Percentage of" in hint(name)
        assert hint(f"{name}, CRF") == hint(name)
    assert hint("phi0") == "The setting phi0, which was varied."
