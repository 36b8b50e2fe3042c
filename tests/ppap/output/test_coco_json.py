"""COCO's JSON: cases counted by hand, and round trips of any mask."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from ppap.output.coco_json import LabelMap, as_coco, box_of, decode_mask, encode_mask

masks = arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=12))


@settings(deadline=None)
@given(masks)
def test_any_mask_survives(mask: np.ndarray) -> None:
    encoded = encode_mask(mask)
    assert np.array_equal(decode_mask(encoded), mask)
    assert sum(encoded["counts"]) == mask.size
    assert sum(encoded["counts"][1::2]) == mask.sum()
    assert all(count > 0 for count in encoded["counts"][1:])


def test_columns_are_counted_first() -> None:
    """By hand: the columns are 0 0, 1 0, 1 1."""
    mask = np.array([[0, 1, 1], [0, 0, 1]], np.bool_)
    assert encode_mask(mask) == {"size": [2, 3], "counts": [2, 1, 1, 2]}
    # A mask that begins with a pixel inside has an empty run outside first.
    assert encode_mask(~mask) == {"size": [2, 3], "counts": [0, 2, 1, 1, 2]}
    assert encode_mask(np.ones((2, 2), np.bool_))["counts"] == [0, 4]
    assert encode_mask(np.zeros((2, 2), np.bool_))["counts"] == [4]


@settings(deadline=None)
@given(masks)
def test_a_box_is_the_smallest(mask: np.ndarray) -> None:
    if not mask.any():
        return
    x, y, width, height = box_of(mask)
    inside = mask[y : y + height, x : x + width]
    assert inside.sum() == mask.sum()
    for edge in (inside[0], inside[-1], inside[:, 0], inside[:, -1]):
        assert edge.any()


def test_a_document() -> None:
    first = np.array([[0, 0, 2], [0, 2, 2]], np.uint8)
    second = np.array([[255, 1]], np.int64)
    found = as_coco(
        [LabelMap("a.jpg", first), LabelMap("b.png", second)],
        ("sky", "road", "tree"),
        description="two images",
    )
    assert json.loads(json.dumps(found)) == found  # plain values only
    assert found["info"]["description"] == "two images"
    assert found["images"] == [
        {"id": 1, "file_name": "a.jpg", "height": 2, "width": 3},
        {"id": 2, "file_name": "b.png", "height": 1, "width": 2},
    ]
    assert [c["name"] for c in found["categories"]] == ["sky", "road", "tree"]
    assert [c["id"] for c in found["categories"]] == [1, 2, 3]
    one, other, third = found["annotations"]
    assert one == {
        "id": 1,
        "image_id": 1,
        "category_id": 1,
        "segmentation": {"size": [2, 3], "counts": [0, 3, 3]},
        "area": 3,
        "bbox": [0, 0, 2, 2],
        "iscrowd": 0,
    }
    assert (other["category_id"], other["area"], other["bbox"]) == (3, 3, [1, 0, 2, 2])
    assert (third["image_id"], third["category_id"], third["bbox"]) == (2, 2, [1, 0, 1, 1])
    assert [a["id"] for a in found["annotations"]] == [1, 2, 3]


@settings(deadline=None)
@given(
    arrays(np.int16, array_shapes(min_dims=2, max_dims=2, max_side=9), elements=st.integers(-1, 4))
)
def test_annotations_hold_the_whole_map(ids: np.ndarray) -> None:
    found = as_coco([LabelMap("x", ids)], ("a", "b", "c", "d"))
    again = np.full(ids.shape, -1, np.int16)
    for annotation in found["annotations"]:
        mask = decode_mask(annotation["segmentation"])
        assert mask.sum() == annotation["area"] > 0
        again[mask] = annotation["category_id"] - 1
    assert np.array_equal(again, np.where(ids == 4, -1, ids))


@pytest.mark.parametrize(
    ("mask", "error", "message"),
    [
        (np.zeros((2, 2), np.uint8), TypeError, "bool array"),
        ([[True]], TypeError, "not list"),
        (np.zeros(4, np.bool_), ValueError, "shape"),
        (np.zeros((0, 3), np.bool_), ValueError, "shape"),
    ],
)
def test_what_is_no_mask(mask: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        encode_mask(mask)


@pytest.mark.parametrize("counts", [[3], [5], [-1, 5], []])
def test_runs_that_do_not_fit(counts: list[int]) -> None:
    with pytest.raises(ValueError, match="add up to 2×2"):
        decode_mask({"size": [2, 2], "counts": counts})


@pytest.mark.parametrize(
    ("ids", "error"), [(np.zeros((2, 2)), TypeError), (np.zeros(3, np.int64), ValueError)]
)
def test_what_is_no_label_map(ids: np.ndarray, error: type[Exception]) -> None:
    with pytest.raises(error, match="label map"):
        as_coco([LabelMap("x", ids)], ("a",))
