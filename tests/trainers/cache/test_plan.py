"""What a cache will need is said before, and whether it has room."""

from __future__ import annotations

import dataclasses
import errno
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ppap.backbones import Backbone
from ppap.backbones.embedded import EmbeddedBackbone
from ppap.data import Dataset
from tests.support.small_cache import COUNT, GIGABYTE, SIZE, opened, planned
from trainers.cache import CacheError, open_cache, plan_cache
from trainers.cache import plan as planning
from trainers.cache.rows import CHECKSUMS, ROWS


def test_the_plan_says_what_it_will_need(
    dataset: Dataset, vit: Backbone, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "free_bytes", lambda folder: 53 * GIGABYTE)
    plan = planned(dataset, vit, root)
    tokens, frozen, labels = 17 * 64 * 2, 16 * 64 * 2, SIZE * SIZE
    assert tokens + frozen + labels <= plan.bytes_per_image < tokens + frozen + labels + 3 * 64
    assert plan.images == plan.missing == COUNT
    assert plan.state == "absent"
    assert plan.sentence() == (
        f"Cached features of 10 images at 64 px take 83 kB in {plan.folder} (free: 53 GB)."
    )
    assert not plan.folder.exists()
    open_cache(plan, dataset, vit).close()
    files = sum((plan.folder / name).stat().st_size for name in (ROWS, CHECKSUMS))
    plan = planned(dataset, vit, root)
    assert plan.bytes_needed == files
    assert plan.sentence().endswith(f"already exist: 83 kB in {plan.folder}.")
    assert plan.bytes_missing == 0
    partial = dataclasses.replace(plan, missing=4)
    assert "4 are missing: 33 kB to write (free: 53 GB)" in partial.sentence()


def test_it_fits_within_the_budget_and_the_disk(
    dataset: Dataset, vit: Backbone, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = planned(dataset, vit, root)
    assert plan.fits(plan.bytes_needed)
    assert not plan.fits(plan.bytes_needed - 1)
    assert "more than the 1.0 kB allowed for caches" in (plan.why_not(1000) or "")
    free = planning.RESERVE_BYTES + plan.bytes_missing
    monkeypatch.setattr(planning, "free_bytes", lambda folder: free)
    assert plan.fits(GIGABYTE)
    monkeypatch.setattr(planning, "free_bytes", lambda folder: free - 1)
    assert not plan.fits(GIGABYTE)
    assert "1.0 GB are free" in (plan.why_not(GIGABYTE) or "")
    # What is there already needs no room.
    assert dataclasses.replace(plan, missing=0).fits(GIGABYTE)


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, "0 bytes"), (999, "1.0 kB"), (84_000, "84 kB"), (0.2e9, "0.2 GB"), (53.4e9, "53 GB")],
)
def test_bytes_in_words(count: float, words: str) -> None:
    assert planning.in_words(count) == words


def test_a_full_disk_is_told_and_building_goes_on_later(
    dataset: Dataset, vit: Backbone, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pwrite, calls = os.pwrite, 0

    def full(descriptor: int, data: Any, offset: int) -> int:
        nonlocal calls
        calls += 1
        if calls > 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        # A system may write less than it was given.
        return pwrite(descriptor, data[: max(1, len(data) // 2)], offset)

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(CacheError, match=r"the disk is full.*switch the cache off"):
        opened(dataset, vit, root, batch=4)
    monkeypatch.setattr(os, "pwrite", lambda *given: pwrite(given[0], given[1][:1000], given[2]))
    opened(dataset, vit, root, batch=4).close()
    assert planned(dataset, vit, root).state == "complete"
    with opened(dataset, vit, root) as cache:
        assert not cache.batch(range(COUNT)).trunk.tokens.isnan().any()


def test_a_folder_that_cannot_be_made_is_named(
    dataset: Dataset, vit: Backbone, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CacheError, match=r"file.*cannot be used for cached .*switch the cache off"):
        opened(dataset, vit, tmp_path / "file")


def test_nothing_to_keep(dataset: Dataset, vit: Backbone, root: Path) -> None:
    with pytest.raises(CacheError, match="no images"):
        planned(dataclasses.replace(dataset, items=[]), vit, root)
    with pytest.raises(ValueError, match="nearest size that does"):
        plan_cache(dataset, vit, size=65, root=root)
    plan = planned(dataset, vit, root)
    with pytest.raises(ValueError, match="10 images, the data set 3"):
        open_cache(plan, dataclasses.replace(dataset, items=dataset.items[:3]), vit)


def test_the_embedded_networks_features_are_not_kept(
    dataset: Dataset, vit: Backbone, embedded: Backbone, root: Path
) -> None:
    assert isinstance(embedded, EmbeddedBackbone)
    assert "frozen" not in (planned(dataset, embedded, root).row.names or ())
    assert "frozen" in (planned(dataset, embedded, root, frozen=True).row.names or ())
    assert "frozen" in (planned(dataset, vit, root).row.names or ())


@pytest.mark.parametrize("most", [2, 127, 128, 40_000])
def test_class_ids_keep_their_value_in_the_smallest_type(dataset: Dataset, most: int) -> None:
    table = dataset.table.copy()
    table[1] = most
    kind = planning.label_type(dataclasses.replace(dataset, table=table))
    assert kind.itemsize == {2: 1, 127: 1, 128: 2, 40_000: 4}[most]
    for value in (most, -1):
        assert np.array(value).astype(kind) == value
