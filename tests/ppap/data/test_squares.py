"""One geometry for pictures and label maps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ppap.data import square, square_labels
from ppap.data.squares import Window, window

sides = st.integers(1, 90)


@pytest.mark.parametrize(
    ("height", "width", "size", "expected"),
    [
        (480, 640, 320, Window(320, 426, 0, 53)),
        (640, 427, 224, Window(335, 224, 56, 0)),  # 111 / 2 rounds to the even 56
        (100, 100, 50, Window(50, 50, 0, 0)),
        (1024, 2048, 320, Window(320, 640, 0, 160)),
        (10, 7, 224, Window(320, 224, 48, 0)),
    ],
)
def test_window_by_hand(height: int, width: int, size: int, expected: Window) -> None:
    assert window(height, width, size) == expected


@pytest.mark.parametrize(("height", "width", "size"), [(375, 500, 224), (53, 20, 32), (33, 47, 20)])
def test_labels_as_torchvision_cuts_them(height: int, width: int, size: int) -> None:
    from torchvision import transforms as T  # type: ignore[import-untyped]

    column = np.tile(np.arange(width, dtype=np.int32), (height, 1))
    cut = T.Compose([T.Resize(size, T.InterpolationMode.NEAREST), T.CenterCrop(size)])
    theirs = np.array(cut(Image.fromarray(column)))[0]
    ours = square_labels(column, size)[0]
    # Where a middle falls on the border of two pixels, rounding errors decide in Pillow.
    to = window(height, width, size)
    middles = 2 * np.arange(to.left, to.left + size) + 1
    border = middles * width % (2 * to.width) == 0
    assert np.array_equal(ours[~border], theirs[~border])
    assert np.isin(ours[border] - theirs[border], (0, 1)).all()


@pytest.mark.parametrize(("height", "width", "size"), [(90, 150, 45), (150, 91, 200), (64, 64, 64)])
def test_picture_and_labels_cover_the_same_part(height: int, width: int, size: int) -> None:
    # A ramp, once as a picture and once as labels: whatever is where, both must agree on it.
    for axis in (0, 1):
        ramp = np.indices((height, width))[axis].astype(np.int64)
        rgb = np.repeat(ramp[..., None], 3, axis=2).astype(np.uint8)
        seen = square(rgb, size)[..., 0].astype(int)
        # One label is one pixel wide: half a source pixel of quantising, and the filter's edge.
        allowed = max(1.0, min(height, width) / size)
        assert np.abs(seen - square_labels(ramp, size)).max() <= allowed
        assert abs((seen - square_labels(ramp, size)).mean()) <= 0.5


def test_a_square_of_the_right_size_stays_as_it_is() -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (30, 30, 3), np.uint8)
    assert np.array_equal(square(rgb, 30), rgb)
    assert not np.shares_memory(square(rgb, 30), rgb)


def test_antialiased() -> None:
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    assert np.abs(square(stripes, 8).astype(int) - 128).max() <= 16  # nearest would give 0 or 255


@given(height=sides, width=sides, size=sides)
def test_any_shape(height: int, width: int, size: int) -> None:
    labels = np.arange(height * width).reshape(height, width)
    cut = square_labels(labels, size)
    assert cut.shape == (size, size)
    assert cut.dtype == labels.dtype
    rgb = np.full((height, width, 3), 200, np.uint8)
    assert (square(rgb, size) == 200).all()


def test_very_long_pictures_take_little_memory() -> None:
    assert square(np.full((1, 60_000, 3), 9, np.uint8), 320).shape == (320, 320, 3)
    assert square_labels(np.zeros((60_000, 1), np.int64), 320).shape == (320, 320)


def test_wrong_shapes() -> None:
    with pytest.raises(ValueError, match=r"expected uint8 \(H, W, 3\), not float64"):
        square(np.zeros((4, 4, 3)), 2)
    with pytest.raises(ValueError, match=r"expected a label map \(H, W\), not \(4, 4, 3\)"):
        square_labels(np.zeros((4, 4, 3)), 2)
    with pytest.raises(ValueError, match="cannot cut 0×0 pixels from 4×5"):
        square(np.zeros((5, 4, 3), np.uint8), 0)


@pytest.mark.parametrize("size", [96, 224, 320])
def test_nearest_is_what_torchvision_makes_of_pillow(size: int) -> None:
    """The published transforms themselves: the whole picture resized, then the middle cut out."""
    from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Resize  # type: ignore[import-untyped]

    there = Compose([Resize(size, InterpolationMode.NEAREST), CenterCrop(size)])
    chance = np.random.default_rng(size)
    for height, width in ((33, 500), (500, 334), (size, size), (480, 641), (97, 1511)):
        rgb = chance.integers(0, 256, (height, width, 3), dtype=np.uint8)
        wanted = np.array(there(Image.fromarray(rgb)))
        assert np.array_equal(square(rgb, size, "nearest"), wanted)
        labels = rgb[..., 0].astype(np.int64) - 1
        assert np.array_equal(square_labels(labels, size, "nearest"), wanted[..., 0] - 1.0)


def test_nearest_of_a_very_long_picture_takes_no_memory() -> None:
    rgb = np.arange(100_000, dtype=np.uint32).astype(np.uint8)[None, :, None].repeat(3, axis=2)
    found = square(rgb, 320, "nearest")  # 320 × 32,000,000 pixels as a whole
    assert found.shape == (320, 320, 3)
    assert (found == rgb[0, 49_999:50_001].min()).mean() + (
        found == rgb[0, 49_999:50_001].max()
    ).mean() == 1
