"""A cache is built once: stopped, killed or beside another process, with the same bytes."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from ppap.backbones import Backbone, TrunkOutput
from ppap.data import DataError, Dataset
from tests.conftest import ROOT
from tests.support.small_cache import COUNT, contents, opened, planned, recorded, refuse
from trainers.cache import CacheError, CacheStoppedError, open_cache
from trainers.cache import build as building
from trainers.cache.locks import try_lock
from trainers.cache.opening import BUILDING, IN_USE
from trainers.cache.rows import CHECKSUMS, ROWS


def test_a_complete_cache_needs_neither_images_nor_backbone(
    own: Dataset, vit: Backbone, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(own, vit, root) as cache:
        before = cache.batch([4, 2])
    plan = planned(own, vit, root)
    assert plan.state == "complete"
    monkeypatch.setattr(building, "read_square", refuse)
    monkeypatch.setattr(building, "computed", refuse)
    with open_cache(plan, own, vit) as cache:
        after = cache.batch([4, 2])
    assert torch.equal(before.trunk.tokens, after.trunk.tokens)
    assert before.frozen is not None
    assert after.frozen is not None
    assert torch.equal(before.frozen, after.frozen)


def test_stopping_keeps_what_is_stored_and_going_on_gives_the_same_bytes(
    dataset: Dataset, vit: Backbone, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[int, int]] = []
    plan = planned(dataset, vit, root)
    with pytest.raises(CacheStoppedError, match="8 of 10"):
        open_cache(
            plan,
            dataset,
            vit,
            batch=4,
            progress=lambda done, total: told.append((done, total)),
            stopped=lambda: len(told) == 2,
        )
    assert told == [(4, 10), (8, 10)]
    half = planned(dataset, vit, root)
    assert (half.state, half.missing) == ("partial", 2)
    read = recorded(monkeypatch)
    # Another batch size now would give other last bits: it goes on with the old one.
    with open_cache(half, dataset, vit, batch=5) as cache:
        cache.batch([9])
    assert sorted(read) == [8, 9]
    with opened(dataset, vit, tmp_path / "at once", batch=4) as cache:
        assert contents(cache.plan) == contents(plan)


def test_a_single_missing_row_is_worked_out_with_its_old_neighbours(
    dataset: Dataset, vit: Backbone, root: Path
) -> None:
    with opened(dataset, vit, root, batch=4) as cache:
        plan, before = cache.plan, contents(cache.plan)
    sums = np.fromfile(plan.folder / CHECKSUMS, "<u8")
    sums[[1, 6]] = 0
    sums.tofile(plan.folder / CHECKSUMS)
    with (plan.folder / ROWS).open("rb+") as stream:
        for index in (1, 6):
            stream.seek(index * plan.bytes_per_image)
            stream.write(bytes(plan.bytes_per_image))
    assert planned(dataset, vit, root).missing == 2
    opened(dataset, vit, root).close()
    assert contents(plan) == before


KILLED = """
import sys, time
from pathlib import Path
import torch
from ppap.backbones import load_backbone
from ppap.data import open_dataset
from trainers.cache import open_cache, plan_cache

torch.set_num_threads(1)
data = open_dataset(sys.argv[1], kind="folder")
backbone = load_backbone("embedded")
plan = plan_cache(data, backbone, size=64, root=Path(sys.argv[2]))

def progress(done, total):
    print(done, flush=True)
    time.sleep(float(sys.argv[3]))

with open_cache(plan, data, backbone, batch=2, progress=progress) as cache:
    print("open", len(cache), flush=True)
"""


def builder(source: Path, root: Path, pause: float) -> subprocess.Popen[str]:
    """A process that builds the embedded backbone's cache, two images at a time."""
    command = [sys.executable, "-c", textwrap.dedent(KILLED), str(source), str(root), str(pause)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)


def said(process: subprocess.Popen[str]) -> Iterator[str]:
    assert process.stdout is not None
    return (line.strip() for line in process.stdout)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """As in ``builder``: sums in another order have other last bits."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_a_builder_that_is_killed_leaves_the_others_going(
    dataset: Dataset,
    source: Path,
    embedded: Backbone,
    root: Path,
    tmp_path: Path,
    one_thread: None,
) -> None:
    process = builder(source, root, pause=60)
    try:
        assert next(said(process)) == "2"
        plan = planned(dataset, embedded, root)
        assert (plan.state, plan.missing) == ("partial", 8)
        assert try_lock(plan.folder / BUILDING, exclusive=True) is None
        process.send_signal(signal.SIGKILL)
        process.wait()
        opened(dataset, embedded, root).close()
    finally:
        process.kill()
        process.communicate()
    with opened(dataset, embedded, tmp_path / "at once", batch=2) as cache:
        assert contents(cache.plan) == contents(plan)


def test_of_two_processes_one_builds_and_the_other_waits(
    dataset: Dataset, source: Path, embedded: Backbone, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = builder(source, root, pause=0.3)
    told: list[tuple[int, int]] = []
    try:
        assert next(said(process)) == "2"
        plan = planned(dataset, embedded, root)
        monkeypatch.setattr(building, "computed", refuse)
        with open_cache(
            plan, dataset, embedded, progress=lambda done, total: told.append((done, total))
        ) as cache:
            cache.batch(range(COUNT))
        assert told
        assert told == sorted(told)
        assert {total for _, total in told} == {COUNT}
        assert list(said(process))[-1] == f"open {COUNT}"
        assert process.wait() == 0
    finally:
        process.kill()
        process.communicate()


def test_waiting_can_be_stopped(dataset: Dataset, vit: Backbone, root: Path) -> None:
    plan = planned(dataset, vit, root)
    plan.folder.mkdir(parents=True)
    lock = try_lock(plan.folder / BUILDING, exclusive=True)
    assert lock is not None
    try:
        with pytest.raises(CacheStoppedError, match="waiting for another process"):
            open_cache(plan, dataset, vit, stopped=lambda: True)
    finally:
        lock.release()
    assert planned(dataset, vit, root).state == "absent"
    assert try_lock(plan.folder / IN_USE, exclusive=True) is not None


def test_a_broken_image_is_named_and_the_rest_is_kept(
    own: Dataset, vit: Backbone, root: Path
) -> None:
    broken = own.items[5].image
    broken.write_bytes(b"no picture")
    threads = threading.active_count()
    with pytest.raises(DataError, match=str(broken)):
        opened(own, vit, root, batch=2)
    assert threading.active_count() == threads
    plan = planned(own, vit, root)
    assert plan.missing == 6
    assert try_lock(plan.folder / IN_USE, exclusive=True) is not None


def test_what_half_precision_cannot_hold_is_an_error_that_says_what_to_do(
    dataset: Dataset, vit: Backbone, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trunk = vit.trunk

    def large(images: Tensor) -> TrunkOutput:
        found = trunk(images)
        tokens = found.tokens.clone()
        if len(images) > 1:
            tokens[1, 2, 3] = 70_000
        return found._replace(tokens=tokens)

    monkeypatch.setattr(vit, "trunk", large)
    with pytest.raises(CacheError, match=r"5\.png.*65,504.*switch the cache off"):
        opened(dataclasses.replace(dataset, items=dataset.items[4:]), vit, root)
