"""All caches together keep to a budget; nothing else is ever removed."""

from __future__ import annotations

import dataclasses
import fcntl
import os
import shutil
import threading
import time
from pathlib import Path

import pytest

from ppap.backbones import Backbone
from ppap.data import Dataset
from tests.support.small_cache import GIGABYTE, opened, planned
from trainers.cache import CachePlan, FeatureCache, caches, open_cache, trim
from trainers.cache import plan as planning
from trainers.cache.locks import try_lock
from trainers.cache.opening import IN_USE
from trainers.cache.rows import MANIFEST, ROWS


@pytest.fixture
def three(dataset: Dataset, vit: Backbone, root: Path) -> list[CachePlan]:
    """Three caches, the second unused for longest, then the first."""
    plans = [
        planned(dataclasses.replace(dataset, items=dataset.items[: 4 + n]), vit, root)
        for n in range(3)
    ]
    for plan, used in zip(plans, (200, 100, 300), strict=True):
        some = dataclasses.replace(dataset, items=dataset.items[: plan.images])
        open_cache(plan, some, vit).close()
        os.utime(plan.folder / IN_USE, (used, used))
    return plans


def there(plans: list[CachePlan]) -> list[bool]:
    return [plan.folder.exists() for plan in plans]


def test_those_unused_for_longest_go_first(three: list[CachePlan], root: Path) -> None:
    assert [kept.folder for kept in caches(root)] == [three[i].folder for i in (1, 0, 2)]
    sizes = {kept.folder: kept.bytes for kept in caches(root)}
    total = sum(sizes.values())
    assert trim(root, total) == []
    assert trim(root, total - 1) == [three[1].folder]
    assert there(three) == [True, False, True]
    assert trim(root, sizes[three[2].folder]) == [three[0].folder]
    assert trim(root, 0) == [three[2].folder]
    assert list(root.iterdir()) == []
    assert trim(root / "nowhere", 0) == []


def test_opening_counts_as_use(
    three: list[CachePlan], dataset: Dataset, vit: Backbone, root: Path
) -> None:
    some = dataclasses.replace(dataset, items=dataset.items[: three[1].images])
    cache = open_cache(three[1], some, vit)
    assert caches(root)[-1].folder == three[1].folder
    os.utime(three[1].folder / IN_USE, (1, 1))
    cache.close()  # and so does closing
    assert caches(root)[-1].folder == three[1].folder


def test_what_is_kept_counts_in_full_and_stays(
    three: list[CachePlan], dataset: Dataset, vit: Backbone, root: Path
) -> None:
    new = planned(dataset, vit, root)
    sizes = {kept.folder: kept.bytes for kept in caches(root)}
    room = sum(sizes.values()) + new.bytes_needed
    assert trim(root, room, keep=[new]) == []
    assert trim(root, room - 1, keep=[new]) == [three[1].folder]
    assert trim(root, 0, keep=[three[0], new]) == [three[2].folder]
    assert there(three) == [True, False, False]


def test_room_on_the_disk_is_made_too(
    three: list[CachePlan],
    dataset: Dataset,
    vit: Backbone,
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    new = planned(dataset, vit, root)

    def free(_: Path) -> int:
        gone = there(three).count(False)
        return planning.RESERVE_BYTES + new.bytes_missing * (gone >= 2)

    monkeypatch.setattr("trainers.cache.budget.free_bytes", free)
    assert trim(root, GIGABYTE) == []
    assert trim(root, GIGABYTE, keep=[new]) == [three[1].folder, three[0].folder]


def test_a_cache_in_use_stays(
    three: list[CachePlan], dataset: Dataset, vit: Backbone, root: Path
) -> None:
    some = dataclasses.replace(dataset, items=dataset.items[: three[1].images])
    with open_cache(three[1], some, vit) as cache:
        assert set(trim(root, 0)) == {three[0].folder, three[2].folder}
        cache.batch([0])
    assert trim(root, 0) == [three[1].folder]


def test_nothing_but_caches_is_ever_removed(three: list[CachePlan], root: Path) -> None:
    mine = three[0].folder / "notes.txt"
    mine.write_text("mine")
    name = three[1].folder.name
    # The manifest has another key.
    copy = root / f"copy-of-{name[:-1]}{'1' if name.endswith('0') else '0'}"
    shutil.copytree(three[1].folder, copy)
    elsewhere = root.parent / three[2].folder.name
    three[2].folder.rename(elsewhere)
    three[2].folder.symlink_to(elsewhere)
    others = [root / "photos", root / f"holiday-{'0' * 16}"]
    for other in others:
        other.mkdir()
        (other / ROWS).write_text("not a cache")
    trim(root, 0)
    assert mine.read_text() == "mine"
    assert [path.name for path in three[0].folder.iterdir()] == [mine.name]
    assert not three[1].folder.exists()
    assert (copy / ROWS).exists()
    assert (elsewhere / ROWS).exists()
    assert all((other / ROWS).exists() for other in others)


def test_leftovers_of_a_killed_writer_go_too(three: list[CachePlan], root: Path) -> None:
    (three[0].folder / f".{MANIFEST}.abc.partial").write_text("{")
    trim(root, 0)
    assert there(three) == [False, False, False]


def test_one_that_is_removed_while_another_opens_it_is_made_anew(
    dataset: Dataset, vit: Backbone, root: Path
) -> None:
    opened(dataset, vit, root).close()
    plan = planned(dataset, vit, root)
    lock = try_lock(plan.folder / IN_USE, exclusive=True)  # as trim holds it
    assert lock is not None
    found: list[FeatureCache] = []
    thread = threading.Thread(target=lambda: found.append(open_cache(plan, dataset, vit)))
    thread.start()
    time.sleep(0.1)
    shutil.rmtree(plan.folder)
    lock.release()
    thread.join(60)
    assert found[0].batch([1]).trunk.tokens.any()
    found[0].close()
    assert planned(dataset, vit, root).state == "complete"


def test_a_lock_on_a_folder_that_was_just_replaced_is_not_taken_for_one(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root.mkdir()
    file, flock = root / IN_USE, fcntl.flock

    def removing(descriptor: int, operation: int) -> None:
        monkeypatch.setattr(fcntl, "flock", flock)
        file.unlink()
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", removing)
    lock = try_lock(file, exclusive=False)
    assert lock is not None
    assert try_lock(file, exclusive=True) is None
    lock.release()
    lock.release()
    other = try_lock(file, exclusive=True)
    assert other is not None
    other.release()
