"""The images of a study: drawn, read one at a time, and replaced where they are broken."""

from __future__ import annotations

import itertools
import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from ppap.batches import make_batch
from ppap.data import DataError, Dataset, open_dataset
from ppap.study.reading import MOST_UNREADABLE, Drawn, draw_images, read_batches, sentences
from tests.support.small_segmenters import write_folder
from tests.support.small_studio import TinyBackbone


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    write_folder(tmp_path, 9)
    return open_dataset(tmp_path, kind="folder", split="all")


def read(dataset: Dataset, drawn: Drawn, size: int = 64) -> tuple[list[Any], list[DataError]]:
    left_out: list[DataError] = []
    backbone = TinyBackbone().frozen()
    told: list[int] = []
    batches = list(read_batches(dataset, drawn, backbone, size, left_out, told.append))
    assert told == list(range(1, len(drawn.batches) + 1))
    return batches, left_out


def cut_short(dataset: Dataset, *indices: int) -> None:
    for index in indices:
        file = dataset.items[index].image
        file.write_bytes(file.read_bytes()[:-60])


def test_batches_and_spare_images_are_all_there_are() -> None:
    drawn = draw_images(4, 2, 11, seed=3)
    assert [len(each) for each in drawn.batches] == [4, 4]
    assert all(each == sorted(each) for each in drawn.batches)
    assert sorted([*itertools.chain(*drawn.batches), *drawn.spare]) == list(range(11))
    few = draw_images(32, 2, 5, seed=3)
    assert few == ([[0, 1, 2, 3, 4]], [])


def test_what_is_embedded_is_what_a_batch_is(dataset: Dataset) -> None:
    drawn = draw_images(3, 2, len(dataset), seed=0)
    batches, left_out = read(dataset, drawn)
    assert left_out == []
    for made, indices in zip(batches, drawn.batches, strict=True):
        whole = make_batch([dataset.load(i) for i in indices], TinyBackbone().frozen(), size=64)
        assert made.indices == indices
        assert made.names == whole.names
        assert np.array_equal(made.features, whole.features)
        assert made.labels is not None
        assert whole.labels is not None
        assert torch.equal(made.labels, whole.labels)


def test_one_whole_picture_at_a_time(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    alive: list[weakref.ref[Any]] = []
    most = []
    load = Dataset.load

    def watched(self: Dataset, index: int) -> Any:
        example = load(self, index)
        alive.extend(map(weakref.ref, (example.photo.rgb, example.labels)))
        most.append(sum(each() is not None for each in alive))
        return example

    monkeypatch.setattr(Dataset, "load", watched)
    batches, _ = read(dataset, draw_images(4, 2, len(dataset), seed=0))
    assert len(batches) == 2
    assert most == [2] * 8  # a photo and its label map
    assert all(each() is None for each in alive)


def test_a_broken_picture_is_replaced_by_the_next(dataset: Dataset) -> None:
    drawn = draw_images(3, 2, len(dataset), seed=1)
    broken = [drawn.batches[0][1], drawn.spare[0]]
    cut_short(dataset, *broken)
    (first, second), left_out = read(dataset, drawn)
    kept = [i for i in drawn.batches[0] if i != broken[0]]
    assert first.indices == sorted([*kept, drawn.spare[1]])
    assert first.names == tuple(dataset.items[i].name for i in first.indices)
    assert second.indices == drawn.batches[1]
    assert [Path(error.name) for error in left_out] == [dataset.items[i].image for i in broken]
    told = sentences(left_out)
    assert len(told) == 2
    assert told[0].startswith(f"Left out: {dataset.items[broken[0]].image} ")


def test_a_label_map_that_does_not_fit_is_as_bad(dataset: Dataset) -> None:
    drawn = draw_images(9, 1, len(dataset), seed=1)
    labels = dataset.items[4].labels
    assert labels is not None
    Image.fromarray(np.zeros((5, 5), np.uint8)).save(labels)
    (only,), left_out = read(dataset, drawn)
    assert only.indices == [0, 1, 2, 3, 5, 6, 7, 8]  # there is none to take its place
    assert len(left_out) == 1


def test_nothing_that_can_be_read(dataset: Dataset) -> None:
    cut_short(dataset, *range(9))
    with pytest.raises(DataError, match=r"p\d\.png .*damaged"):
        read(dataset, draw_images(4, 2, len(dataset), seed=0))


def test_a_data_set_that_is_broken_throughout_is_not_read_to_its_end(dataset: Dataset) -> None:
    cut_short(dataset, *range(9))
    many = replace(dataset, items=list(dataset.items) * 20)
    left_out: list[DataError] = []
    with pytest.raises(DataError):
        list(
            read_batches(
                many,
                draw_images(4, 1, len(many), seed=0),
                TinyBackbone().frozen(),
                64,
                left_out,
                lambda number: None,
            )
        )
    assert len(left_out) == MOST_UNREADABLE + 1


def test_many_are_told_in_few_words() -> None:
    told = sentences([DataError(f"{i}.png", "is broken") for i in range(8)])
    assert told[0] == "Left out: 0.png is broken."
    assert told[-1] == "3 more images were left out for similar reasons."
    assert len(told) == 6
    assert sentences([]) == []
