from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from ppap.data.whole import LONGEST, whole, whole_labels, whole_sides

SHAPES = [(300, 900), (900, 300), (500, 500), (300, 4000), (4000, 300), (1, 1), (37, 61), (333, 97)]


@pytest.mark.parametrize("patch", [8, 14, 16])
@pytest.mark.parametrize("size", [224, 448, 896])
@pytest.mark.parametrize(("height", "width"), SHAPES)
def test_a_whole_picture_keeps_its_proportions(
    height: int, width: int, size: int, patch: int
) -> None:
    sides = whole_sides(height, width, size, patch)
    assert sides.height % patch == sides.width % patch == 0
    scale = size / (height * width) ** 0.5
    assert abs(sides.height - height * scale) <= patch / 2
    assert abs(sides.width - width * scale) <= patch / 2
    # As many pixels as a square, but for the rounding.
    assert abs(sides.height * sides.width - size**2) <= patch * (sides.height + sides.width)
    # What was brought to its size is not moved again.
    assert whole_sides(*sides, size, patch) == sides


@pytest.mark.parametrize(
    ("height", "width", "expected"),
    [
        (300, 900, (16, 48)),  # 28² · (1 / √3, √3)
        (900, 300, (48, 16)),
        (500, 500, (28, 28)),
        (300, 4000, (8, 102)),  # 28 · (0.274, 3.651)
        (10, 10_000, (1, 112)),  # no longer than four times the size
        (10_000, 10, (112, 1)),
        (448, 448, (28, 28)),
        (448, 464, (28, 29)),  # taken for one that was brought to its size: 28 · 29 ≈ 28²
    ],
)
def test_by_hand_at_448_pixels(height: int, width: int, expected: tuple[int, int]) -> None:
    sides = whole_sides(height, width, 448, 16)
    assert (sides.height // 16, sides.width // 16) == expected


def test_long_pictures_are_bounded() -> None:
    sides = whole_sides(1, 100_000, 224, 16)
    assert sides == (16, LONGEST * 224)
    assert whole_sides(*sides, 224, 16) == sides


def test_a_small_picture_is_not_taken_for_one_that_was_brought_to_size() -> None:
    assert whole_sides(32, 64, 448, 16) == whole_sides(33, 66, 448, 16)


@pytest.mark.parametrize("numbers", [(0, 1, 1, 1), (1, 0, 1, 1), (1, 1, 0, 1), (1, 1, 1, 0)])
def test_nothing_cannot_be_fitted(numbers: tuple[int, int, int, int]) -> None:
    with pytest.raises(ValueError, match="cannot fit"):
        whole_sides(*numbers)


@pytest.mark.parametrize(("height", "width"), SHAPES[:5])
def test_nothing_is_cut_off_a_picture_or_its_label_map(height: int, width: int) -> None:
    labels = np.zeros((height, width), np.int64)
    labels[: height // 2, width // 2 :] = 1
    labels[height // 2 :, : width // 2] = 2
    labels[height // 2 :, width // 2 :] = 3
    palette = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 0]], np.uint8)
    rgb, fitted = whole(palette[labels], 224, 16), whole_labels(labels, 224, 16)
    assert rgb.shape[:2] == fitted.shape == whole_sides(height, width, 224, 16)
    assert fitted.dtype == np.int64
    # The borders between the quarters stay in the middle, in both.
    h, w = fitted.shape
    for row, column, label in ((0, 0, 0), (0, w - 1, 1), (h - 1, 0, 2), (h - 1, w - 1, 3)):
        assert fitted[row, column] == label
        assert rgb[row, column].tolist() == palette[label].tolist()
    assert (fitted[: h // 2, : w // 2] == 0).all()
    assert (fitted[h // 2 :, w // 2 :] == 3).all()
    far = np.ones_like(fitted, bool)
    far[h // 2 - 4 : h // 2 + 4] = far[:, w // 2 - 4 : w // 2 + 4] = False
    assert (rgb[far] == palette[fitted[far]]).all()


def test_it_is_resized_as_pillow_does_in_one_step() -> None:
    chance = np.random.default_rng(0)
    rgb = chance.integers(0, 256, (90, 270, 3), np.uint8)
    own = Image.fromarray(rgb).resize((384, 128), Image.Resampling.BICUBIC)
    assert (whole(rgb, 224, 16) == np.asarray(own)).all()
    again = whole(whole(rgb, 224, 16), 224, 16)
    assert (again == np.asarray(own)).all()


def test_what_is_no_picture_is_refused() -> None:
    with pytest.raises(ValueError, match="uint8"):
        whole(np.zeros((4, 4, 3)), 32, 16)
    with pytest.raises(ValueError, match="label map"):
        whole_labels(np.zeros((4, 4, 3), np.int64), 32, 16)
