"""Rows that are damaged, in another's place, or gone are found out and made good."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from ppap.backbones import Backbone
from ppap.data import Dataset
from tests.support.small_cache import COUNT, contents, damage, opened, planned, recorded
from trainers.cache import CacheError
from trainers.cache.rows import CHECKSUMS, MANIFEST, ROWS, row_type


def test_a_damaged_row_is_worked_out_again_with_a_warning(
    dataset: Dataset,
    vit: Backbone,
    root: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with opened(dataset, vit, root, batch=4) as cache:
        read = recorded(monkeypatch)
        before, good = contents(cache.plan), cache.batch([6, 5])
        damage(cache.plan, 6)
        assert contents(cache.plan) != before
        with caplog.at_level(logging.WARNING):
            again = cache.batch([5, 6])
        assert "image 6" in caplog.text
        assert str(cache.plan.folder) in caplog.text
        assert "identically" in caplog.text
        assert torch.equal(again.trunk.tokens, good.trunk.tokens.flip(0))
        assert contents(cache.plan) == before
        # In the batch that it was in at first.
        assert read == [4, 5, 6, 7]
        caplog.clear()
        cache.batch(range(COUNT))
        assert not caplog.records


def test_every_byte_of_a_row_is_checked(dataset: Dataset, vit: Backbone, root: Path) -> None:
    with opened(dataset, vit, root) as cache:
        good = contents(cache.plan)
        for offset in (0, cache.plan.bytes_per_image // 2, cache.plan.bytes_per_image - 1):
            damage(cache.plan, 0, offset)
            assert contents(cache.plan) != good
            cache.batch([0])
            assert contents(cache.plan) == good


def test_a_row_in_anothers_place_is_found_out(
    dataset: Dataset, vit: Backbone, root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with opened(dataset, vit, root) as cache:
        plan = cache.plan
    whole, width = contents(plan), plan.bytes_per_image
    sums = np.fromfile(plan.folder / CHECKSUMS, "<u8")
    swapped = whole[width : 2 * width] + whole[:width] + whole[2 * width :]
    (plan.folder / ROWS).write_bytes(swapped)
    sums[[0, 1]] = sums[[1, 0]]
    sums.tofile(plan.folder / CHECKSUMS)
    with opened(dataset, vit, root) as cache:
        cache.batch([0, 1])
    assert "image 0" in caplog.text
    assert "image 1" in caplog.text
    assert contents(plan) == whole


def test_damage_that_cannot_be_made_good_is_an_error_that_says_what_to_do(
    own: Dataset, vit: Backbone, root: Path
) -> None:
    with opened(own, vit, root) as cache:
        damage(cache.plan, 2)
        own.items[2].image.unlink()
        with pytest.raises(CacheError, match=r"image 2 in .*2\.png.*[Rr]emove that folder"):
            cache.batch([1, 2])
        cache.batch([1])


@pytest.mark.parametrize("file", [ROWS, CHECKSUMS, MANIFEST])
@pytest.mark.parametrize("harm", ["gone", "short", "empty"])
def test_files_that_are_gone_or_cut_are_made_again(
    dataset: Dataset,
    vit: Backbone,
    root: Path,
    caplog: pytest.LogCaptureFixture,
    file: str,
    harm: str,
) -> None:
    with opened(dataset, vit, root) as cache:
        plan, before = cache.plan, contents(cache.plan)
    path = plan.folder / file
    if harm == "gone":
        path.unlink()
    else:
        os.truncate(path, 0 if harm == "empty" else path.stat().st_size - 5)
    assert planned(dataset, vit, root).state == ("complete" if file == MANIFEST else "absent")
    with opened(dataset, vit, root) as cache:
        cache.batch(range(COUNT))
    assert contents(plan) == before
    assert not caplog.records
    assert planned(dataset, vit, root).state == "complete"
    assert json.loads((plan.folder / MANIFEST).read_text())["key"]


def test_rows_are_aligned() -> None:
    row = row_type({"a": np.dtype((np.float16, (3,))), "b": np.dtype((np.int8, (65,)))})
    assert row.fields is not None
    assert [row.fields[name][1] for name in "ab"] == [0, 64]
    assert row.itemsize == 192
