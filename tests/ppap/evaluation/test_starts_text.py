"""Sentences and cells on clusterings from many starts."""

from __future__ import annotations

from typing import Any

import pytest

from ppap.evaluation.starts_text import about, gain_rows, numbers_of, rows


def found(images: int, starts: int, low: float | None) -> dict[str, Any]:
    gain = {"difference": 1.25, "low": low, "high": None if low is None else 2.0}
    row = {"start": "noise", "features": "trained", "chosen": 0, "accuracy": 50.0, "miou": None}
    scores = {"losses": [-0.5] * starts, "accuracies": [50.0] * starts, "mious": [None] * starts}
    return {
        "split": "train",
        "images": images,
        "seed": 3,
        "rows": [{**row, **scores}],
        "gains": {"noise": {"accuracy": gain, "miou": {**gain, "difference": None}}},
    }


def test_one_is_said_as_one_and_no_interval_is_explained_that_is_not_there() -> None:
    assert about(found(1, 1, None)) == (
        "1 clustering of each kind, found in 1 image of the split 'train' (seed 3). U-Acc and "
        "U-mIoU are for the start with the lowest loss, which needs no labels; of all: mean ± "
        "standard deviation over the starts. No intervals, because there are fewer than 5 images."
    )
    many = about(found(1200, 10, 0.5))
    assert many.startswith("10 clusterings of each kind, found in 1,200 images of the split")
    assert many.endswith(
        "each side keeps its own map from clusters to classes, found on all images."
    )


def test_numbers_for_tables_of_runs() -> None:
    one = found(9, 2, 0.5)
    one["rows"][0] |= {"miou": 20.0, "mious": [20.0, 24.0]}
    one["rows"].append({**one["rows"][0], "features": "frozen", "miou": 30.0, "mious": [30.0]})
    assert dict(numbers_of({"starts": one})) == {
        "U-mIoU, noise": 20,
        "U-mIoU, noise, over starts": pytest.approx(8**0.5),
        "U-mIoU, noise, frozen features": 30,
    }
    assert list(numbers_of({})) == []


def test_cells() -> None:
    one = found(9, 2, 0.5)
    assert rows(one) == [("Noise", "trained", "−0.5000", "50.0", "–", "50.0 ± 0.0", "–")]
    assert gain_rows(one) == [("Noise", "+1.2 (+0.5 to +2.0)", "–")]
