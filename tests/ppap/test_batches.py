from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from ppap.batches import (
    BatchError,
    PatchError,
    Position,
    blocks,
    embed,
    fitted,
    make_batch,
)
from ppap.data import Example, Photo
from ppap.settings import excerpt
from tests.support.small_studio import TinyBackbone, load_tiny, mixed_batch, picture, small_batch


def test_a_batch_holds_squares_and_unit_features_image_by_image() -> None:
    wide = Example(Photo("wide", picture(1, 64)[:32], ("turned",)))
    batch = make_batch([wide, Example(Photo("square", picture(2)))], TinyBackbone(), size=64)
    assert [image.shape for image in batch.images] == [(64, 64, 3)] * 2
    assert (batch.grids, batch.patch, len(batch)) == (((2, 2), (2, 2)), 32, 2)
    assert batch.names == ("wide", "square")
    assert batch.notes == ("wide: turned",)
    assert batch.labels is None
    torch.testing.assert_close(batch.features.norm(dim=1), torch.ones(8))
    alone = make_batch([Example(Photo("square", picture(2)))], TinyBackbone(), size=64)
    torch.testing.assert_close(batch.features[4:], alone.features)


def test_labels_are_the_majority_of_each_patch() -> None:
    batch = small_batch(1)
    assert batch.labels is not None
    assert batch.labels.view(4, 4).tolist() == [[0, 0, 1, 1]] * 3 + [[-1] * 4]
    assert batch.pixel_labels is not None
    assert [one.shape for one in batch.pixel_labels] == [(128, 128)]


def test_an_unlabelled_photo_among_labelled_ones_is_void() -> None:
    labels = np.zeros((64, 64), np.int64)
    examples = [Example(Photo("a", picture(1)), labels), Example(Photo("b", picture(2)))]
    batch = make_batch(examples, TinyBackbone(), size=64, classes=("one",), colours=((1, 2, 3),))
    assert batch.labels is not None
    assert batch.labels.tolist() == [0] * 4 + [-1] * 4


def test_index_and_position_are_each_other_s_inverse() -> None:
    batch = small_batch(3)
    for index in range(48):
        assert batch.index(*batch.position(index)) == index
    assert batch.position(47) == Position(2, 3, 3)
    assert batch.index(np.int64(1), 0, 0) == 16  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "value",
    [-1, 4, 1.0, 0.5, math.nan, "1", None, True, [1], 10**5000],
    ids=lambda v: excerpt(v, 9),
)
def test_a_patch_that_does_not_exist_is_refused_by_its_part(value: Any) -> None:
    batch = small_batch(4)
    for part in ("image", "row", "column"):
        with pytest.raises(PatchError, match=f"The {part} must be a whole number from 0 to 3"):
            batch.index(**{"image": 0, "row": 0, "column": 0, part: value})


def test_no_photos_make_no_batch() -> None:
    with pytest.raises(BatchError, match="at least one"):
        make_batch([], TinyBackbone())


def test_a_size_that_does_not_divide_is_refused() -> None:
    with pytest.raises(ValueError, match="does not divide"):
        make_batch([Example(Photo("a", picture(1)))], TinyBackbone(), size=100)


def test_features_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(BatchError, match="NaN"):
        embed([np.zeros((64, 64, 3), np.uint8)], load_tiny("nan"))


def test_progress_is_told_block_by_block() -> None:
    told: list[tuple[str, float]] = []
    examples = [Example(Photo(str(i), picture(i))) for i in range(6)]
    make_batch(examples, TinyBackbone(), size=64, progress=lambda *now: told.append(now))
    assert told == [("Embedding image 1 of 6", 0.0), ("Embedding image 5 of 6", 4 / 6)]


def test_whole_pictures_have_grids_of_their_own() -> None:
    batch = mixed_batch()
    # 4² patches of 32 pixels: 4 / √3 = 2.3 rows; the panorama's 1.1 rows, 14.6 columns.
    assert batch.grids == ((2, 7), (7, 2), (4, 4), (1, 15), (4, 4))
    assert batch.counts == (14, 14, 16, 15, 16)
    assert batch.starts == (0, 14, 28, 44, 59, 75)
    assert len(batch.features) == 75
    for image, grid in zip(batch.images, batch.grids, strict=True):
        assert image.shape == (grid.rows * 32, grid.columns * 32, 3)
    assert batch.patch == 32


def test_indices_count_through_images_of_any_shape() -> None:
    batch = mixed_batch()
    seen = [
        (image, row, column)
        for image, (rows, columns) in enumerate(batch.grids)
        for row in range(rows)
        for column in range(columns)
    ]
    assert [batch.index(*place) for place in seen] == list(range(75))
    assert [tuple(batch.position(i)) for i in range(75)] == seen
    with pytest.raises(PatchError, match="The row must be a whole number from 0 to 1, not 2"):
        batch.index(0, 2, 0)
    with pytest.raises(PatchError, match="The column must be a whole number from 0 to 14"):
        batch.index(3, 0, 15)


def test_features_and_labels_of_whole_pictures_lie_where_their_patches_do() -> None:
    batch = mixed_batch()
    backbone = TinyBackbone()
    assert batch.labels is not None
    assert batch.pixel_labels is not None
    for i, (image, grid) in enumerate(zip(batch.images, batch.grids, strict=True)):
        alone = backbone(torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255)
        assert alone.shape[1:3] == grid
        own = batch.features[batch.starts[i] : batch.starts[i + 1]]
        torch.testing.assert_close(own, torch.nn.functional.normalize(alone.flatten(0, 2), dim=1))
        labels = batch.labels[batch.starts[i] : batch.starts[i + 1]]
        assert labels[:-1].unique().tolist() == [i]
        assert batch.pixel_labels[i].shape == image.shape[:2]
        assert batch.pixel_labels[i][-1, -1] == -1


def test_values_are_split_by_image() -> None:
    batch = mixed_batch()
    parts = batch.by_image(np.arange(75))
    assert [part.shape for part in parts] == [tuple(grid) for grid in batch.grids]
    for index in (0, 13, 14, 43, 44, 58, 59, 74):
        image, row, column = batch.position(index)
        assert parts[image][row, column] == index
    assert batch.by_image(np.zeros((75, 4)))[3].shape == (1, 15, 4)


def test_fitting_before_changes_no_pixel() -> None:
    chance = np.random.default_rng(0)
    rgb = chance.integers(0, 256, (150, 333, 3), np.uint8)
    example = Example(Photo("a", rgb), chance.integers(0, 3, (150, 333)))
    early = fitted(example, 128, 32, "whole")
    one, other = (
        make_batch([e], TinyBackbone(), size=128, picture="whole") for e in (example, early)
    )
    assert (one.images[0] == other.images[0]).all()
    assert one.labels is not None
    assert other.labels is not None
    assert one.labels.tolist() == other.labels.tolist()


def test_lengths_before_normalising_are_kept() -> None:
    batch = small_batch(2)
    backbone = TinyBackbone()
    images = torch.from_numpy(np.stack(batch.images)).permute(0, 3, 1, 2).float() / 255
    assert batch.norms is not None
    torch.testing.assert_close(batch.norms, backbone(images).flatten(0, 2).norm(dim=1))


def test_images_of_equal_sides_go_through_the_backbone_together() -> None:
    def of(*shapes: tuple[int, int]) -> list[list[int]]:
        return blocks([np.zeros((h, w, 3), np.uint8) for h, w in shapes])

    assert of((64, 64), (32, 64), (64, 64), (64, 32)) == [[0, 2], [1], [3]]
    assert of(*[(448, 448)] * 6) == [[0, 1, 2, 3], [4, 5]]
    # Larger ones in smaller groups: never more pixels than four of 448 × 448, or one image.
    assert of(*[(640, 640)] * 3) == [[0], [1], [2]]
    assert of(*[(560, 560)] * 3) == [[0, 1], [2]]
    assert of((2048, 2048)) == [[0]]
