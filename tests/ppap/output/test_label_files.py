"""Label maps and overlays, read back by others."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image

from ppap.data import VOID_COLOUR, ClassList
from ppap.output.label_files import edges, indexed_png, label_png, merged, overlaid

COLOURS = ((10, 20, 30), (200, 100, 0), (0, 250, 90))


@settings(deadline=None)
@given(
    arrays(np.int64, array_shapes(min_dims=2, max_dims=2, max_side=9), elements=st.integers(-1, 3))
)
def test_a_label_map_survives_with_its_colours(ids: np.ndarray) -> None:
    image = Image.open(io.BytesIO(indexed_png(ids, COLOURS)))
    assert (image.format, image.mode) == ("PNG", "P")
    known = (ids >= 0) & (ids < 3)
    assert np.array_equal(np.array(image), np.where(known, ids, 255))
    painted = np.array(image.convert("RGB"))
    wanted = np.array([*COLOURS, VOID_COLOUR], np.uint8)[np.where(known, ids, 3)]
    assert np.array_equal(painted, wanted)


def test_too_many_classes() -> None:
    indexed_png(np.zeros((1, 1), np.int64), [(0, 0, 0)] * 255)
    with pytest.raises(ValueError, match="at most 255 classes, not 256"):
        indexed_png(np.zeros((1, 1), np.int64), [(0, 0, 0)] * 256)
    with pytest.raises(ValueError, match="at most 65535 classes, not 65536"):
        label_png(np.zeros((1, 1), np.int64), [(0, 0, 0)] * 65536)


@pytest.mark.parametrize("count", [255, 256, 300, 919, 65535])
def test_many_classes_stay_apart(count: int) -> None:
    ids = np.array([[0, 254, count - 1], [-1, count, 255]])
    image = Image.open(io.BytesIO(label_png(ids, [(i % 256, i // 256, 7) for i in range(count)])))
    void = 255 if count == 255 else 65535
    assert image.mode == ("P" if count == 255 else "I;16")
    wanted = np.where((ids >= 0) & (ids < count), ids, void)
    assert np.array_equal(np.array(image), wanted)


def test_an_overlay_by_hand() -> None:
    rgb = np.full((1, 3, 3), 100, np.uint8)
    ids = np.array([[1, -1, 2]])
    found = overlaid(rgb, ids, COLOURS, 0.25)
    assert found[0, 0].tolist() == [125, 100, 75]  # 100 + ¼ · (200 − 100), …
    assert found[0, 1].tolist() == [100, 100, 100]
    assert np.array_equal(overlaid(rgb, ids, COLOURS, 0), rgb)
    assert overlaid(rgb, ids, COLOURS, 1)[0, 2].tolist() == [0, 250, 90]
    assert rgb.tolist() == [[[100] * 3] * 3]  # the picture given stays


def test_outlines_are_where_classes_meet() -> None:
    ids = np.array([[0, 0, 1], [0, 0, 1], [2, 2, 2]])
    assert edges(ids).astype(int).tolist() == [[0, 1, 0], [1, 1, 1], [0, 0, 0]]
    shown = overlaid(np.zeros((3, 3, 3), np.uint8), ids, COLOURS, 0.5, outline=True)
    assert (shown[edges(ids)] == 255).all()
    assert (shown[~edges(ids)] < 255).all()


@pytest.mark.parametrize("opacity", [-0.1, 1.1, float("nan"), True])
def test_an_opacity_outside_its_range(opacity: float) -> None:
    with pytest.raises(ValueError, match="opacity must be a share"):
        overlaid(np.zeros((1, 1, 3), np.uint8), np.zeros((1, 1), int), COLOURS, opacity)


def test_shapes_that_differ() -> None:
    with pytest.raises(ValueError, match="must have the same size"):
        overlaid(np.zeros((2, 1, 3), np.uint8), np.zeros((1, 2), int), COLOURS)


def test_equal_names_are_one_class() -> None:
    colours = tuple((i, i, i) for i in range(5))
    classes, table = merged(["a", "b", "a", "c", "b"], colours)
    assert classes == ClassList(("a", "b", "c"), ((0, 0, 0), (1, 1, 1), (3, 3, 3)))
    assert table[[0, 1, 2, 3, 4, -1]].tolist() == [0, 1, 0, 2, 1, -1]


def test_names_that_look_the_same_are_the_same() -> None:
    names = ["tall grass", "tall  grass", "tall\u00a0grass", "caf\u00e9", "cafe\u0301", "Café"]
    classes, table = merged(names, [(0, 0, 0)] * 6)
    assert classes.names == ("tall grass", "caf\u00e9", "Café")
    assert table.tolist() == [0, 0, 0, 1, 1, 2, -1]
