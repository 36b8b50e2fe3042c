from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from ppap.batches import Batch
from ppap.studio import store as store_module
from ppap.studio.access.visitor import Visitor, asking
from ppap.studio.store import BatchGone, BatchStore, Held
from tests.support.small_studio import small_batch, wait_until


@pytest.fixture(scope="module")
def batch() -> Batch:
    return small_batch(1)


def keys(store: BatchStore, held: list[Held]) -> list[bool]:
    """Which are still there; asked without using them."""
    return [store.find({"n": one.recipe["n"]}) is not None for one in held]


def test_a_batch_comes_back_by_its_id(batch: Batch) -> None:
    store = BatchStore()
    held = store.add(batch, {"source": "samples"})
    assert store.get(held.key) is held
    assert store.add(batch, {}).key != held.key
    assert len(held.key) >= 16


@pytest.mark.parametrize("key", [None, 5, [], {}, "", "no such id", True, float("nan"), ("a",)])
def test_an_unknown_id_is_gone(key: Any) -> None:
    with pytest.raises(BatchGone, match="no longer in memory"):
        BatchStore().get(key)


def test_the_least_recently_used_goes_first_by_count(batch: Batch) -> None:
    store = BatchStore(max_batches=3)
    held = [store.add(batch, {"n": n}) for n in range(3)]
    store.get(held[0].key)
    held.append(store.add(batch, {"n": 3}))
    assert keys(store, held) == [True, False, True, True]


def test_being_found_by_its_recipe_is_a_use_too(batch: Batch) -> None:
    store = BatchStore(max_batches=2)
    held = [store.add(batch, {"n": n}) for n in range(2)]
    store.find({"n": 0})
    held.append(store.add(batch, {"n": 2}))
    assert keys(store, held) == [True, False, True]


def test_the_least_recently_used_goes_first_by_bytes(batch: Batch) -> None:
    one = Held("", batch, {}).bytes
    store = BatchStore(max_bytes=2 * one + 1)
    held = [store.add(batch, {"n": n}) for n in range(3)]
    assert keys(store, held) == [False, True, True]


def test_many_small_batches_of_many_pages_have_an_end(
    batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is made of a batch may be larger than the batch."""
    monkeypatch.setattr(store_module, "MAX_ALL_BATCHES", 6)
    store = BatchStore()
    held = []
    for n in range(9):
        with asking(Visitor(page=str(n))):
            held.append(store.add(batch, {"n": n}))
    assert keys(store, held) == [False] * 3 + [True] * 6


def test_bytes_count_everything_large(batch: Batch) -> None:
    assert batch.pixel_labels is not None
    features = batch.features.numel() * 4
    images = sum(image.nbytes for image in batch.images)
    expected = images + features + sum(one.nbytes for one in batch.pixel_labels)
    assert Held("", batch, {}).bytes == expected
    bare = replace(batch, pixel_labels=None, labels=None)
    assert Held("", bare, {}).bytes == images + features


def test_the_newest_stays_even_if_it_is_too_large_alone(batch: Batch) -> None:
    store = BatchStore(max_bytes=1)
    first = store.add(batch, {"n": 0})
    second = store.add(batch, {"n": 1})
    assert keys(store, [first, second]) == [False, True]


def test_find_compares_every_named_part_and_no_other(batch: Batch) -> None:
    store = BatchStore()
    held = store.add(batch, {"source": "samples", "size": 224, "indices": (1, 2)})
    assert store.find({"source": "samples", "size": 224}) is held
    assert store.find({"source": "samples", "size": 448}) is None
    assert store.find({"source": "samples", "folder": "x"}) is None


def test_what_is_derived_is_made_once(batch: Batch) -> None:
    held, made = Held("", batch, {}), []
    for _ in range(3):
        assert held.derive("a", lambda: made.append(1) or 7) == 7  # type: ignore[func-returns-value]
    assert held.derive("b", lambda: 8) == 8
    assert made == [1]
    assert held.derive("none", lambda: None) is None
    assert held.derive("none", lambda: 5) is None  # None is a result too


def test_what_failed_is_tried_again(batch: Batch) -> None:
    held = Held("", batch, {})
    with pytest.raises(ZeroDivisionError):
        held.derive("a", lambda: 1 / 0)
    assert held.derive("a", lambda: 3) == 3


def test_few_derived_things_are_kept(batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "MAX_DERIVED", 2)
    held = Held("", batch, {})
    for name in ("a", "b", "a", "c"):
        held.derive(name, lambda: "first")
    again = {name: held.derive(name, lambda: "again") for name in ("a", "c")}
    assert again == {"a": "first", "c": "first"}
    assert held.derive("b", lambda: "again") == "again"


def test_a_slow_thing_is_made_once_and_keeps_nobody_else_waiting(batch: Batch) -> None:
    held, release, made = Held("", batch, {}), threading.Event(), []

    def slow() -> str:
        made.append(1)
        assert release.wait(20)
        return "slow"

    with ThreadPoolExecutor(3) as threads:
        waiting = [threads.submit(held.derive, "slow", slow) for _ in range(2)]
        wait_until(lambda: bool(made))
        assert threads.submit(held.derive, "quick", lambda: "quick").result(20) == "quick"
        release.set()
        assert [one.result(20) for one in waiting] == ["slow", "slow"]
    assert made == [1]


def test_many_threads_leave_a_store_within_its_bounds(batch: Batch) -> None:
    store = BatchStore(max_batches=5)

    def use(worker: int) -> None:
        mine = []
        for n in range(200):
            mine.append(store.add(batch, {"n": (worker, n)}).key)
            store.find({"n": (worker, n - 1)})
            try:
                assert store.get(mine[-2:][0]).batch is batch
            except BatchGone:
                continue

    with ThreadPoolExecutor(4) as threads:
        for done in [threads.submit(use, i) for i in range(4)]:
            done.result(20)
    assert len(store._held) == 5
