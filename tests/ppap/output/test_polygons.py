"""Masks as polygons: cases by hand, and what holds of any."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from ppap.output.polygons import cuts_through, polygons_of

masks = arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=12))


def as_mask(*rows: str) -> np.ndarray:
    return np.array([[mark == "#" for mark in row] for row in rows])


def test_by_hand() -> None:
    assert polygons_of(as_mask("...", ".#.")) == [[1, 1, 2, 1, 2, 2, 1, 2]]
    assert polygons_of(as_mask("##", "#.")) == [[0, 0, 2, 0, 2, 1, 1, 1, 1, 2, 0, 2]]
    # Two pieces: they meet in a corner only.
    assert polygons_of(as_mask("#.", ".#")) == [
        [0, 0, 1, 0, 1, 1, 0, 1],
        [1, 1, 2, 1, 2, 2, 1, 2],
    ]
    assert polygons_of(as_mask("..")) == []


def test_a_hole_is_cut_open_once() -> None:
    found = polygons_of(as_mask("####", "#..#", "####"))
    assert found == [
        [0, 0, 3, 0, 3, 1, 1, 1, 1, 2, 3, 2, 3, 3, 0, 3],
        [3, 0, 4, 0, 4, 3, 3, 3],
    ]
    # Holes above each other share a cut.
    assert len(polygons_of(as_mask("###", "#.#", "###", "#.#", "###"))) == 2
    assert cuts_through([(1, 2), (1, 5), (4, 6), (8, 9)]) == [2, 6, 9]
    assert cuts_through([]) == []


def area(ring: list[int]) -> float:
    x, y = np.array(ring).reshape(-1, 2).T
    return float((x * np.roll(y, -1) - y * np.roll(x, -1)).sum() / 2)


@settings(deadline=None, derandomize=True)
@given(masks)
def test_no_polygon_touches_itself_and_all_together_are_the_mask(mask: np.ndarray) -> None:
    rings = polygons_of(mask)
    for ring in rings:
        corners = list(zip(ring[::2], ring[1::2], strict=True))
        assert len(set(corners)) == len(corners) >= 4
        assert area(ring) > 0, "clockwise, as the rows go down"
    assert sum(map(area, rings)) == mask.sum()


@settings(deadline=None, derandomize=True)
@given(masks, st.integers(0, 5), st.integers(0, 5))
def test_a_mask_elsewhere_has_the_same_polygons_there(mask: np.ndarray, x: int, y: int) -> None:
    moved = polygons_of(np.pad(mask, ((y, 1), (x, 1))))
    assert moved == [
        [at + (y if n % 2 else x) for n, at in enumerate(ring)] for ring in polygons_of(mask)
    ]


@pytest.mark.parametrize(
    ("mask", "error"), [(np.zeros((2, 2)), TypeError), (np.zeros(3, np.bool_), ValueError)]
)
def test_what_is_no_mask(mask: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="the mask must"):
        polygons_of(mask)
