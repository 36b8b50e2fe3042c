from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from ppap.batches import BatchError, PatchError, Position, embed, make_batch
from ppap.data import Example, Photo
from ppap.settings import excerpt
from tests.support.small_studio import TinyBackbone, load_tiny, picture, small_batch


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
