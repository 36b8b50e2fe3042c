"""``trainers.training.loading``: which images make a step, and how they come."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from ppap.backbones import load_backbone
from ppap.data import DataError, Dataset, five_crops, open_dataset, square, square_labels
from ppap.settings import SettingError
from tests.conftest import ROOT
from tests.support import layouts
from tests.support.small_runs import SIZE, Place
from trainers.cache import CacheError, FeatureCache, open_cache, plan_cache
from trainers.processes import identity
from trainers.training.loading import (
    CachedSource,
    DecodedSource,
    Source,
    TrainingBatch,
    batches,
    hold_out,
    load,
    order_of,
    steps_in_epoch,
    subset,
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("loading"))


@pytest.fixture(scope="module")
def dataset(place: Place) -> Dataset:
    return open_dataset(place.data)


@pytest.fixture(scope="module")
def cache(place: Place, dataset: Dataset) -> Iterator[FeatureCache]:
    backbone = load_backbone(place.vit)
    plan = plan_cache(dataset, backbone, size=SIZE, root=place.cache)
    with open_cache(plan, dataset, backbone) as opened:
        yield opened


def same(one: TrainingBatch, other: TrainingBatch) -> bool:
    def flat(value: Any) -> list[Any]:
        if isinstance(value, tuple):
            return [part for each in value for part in flat(each)]
        return [value]

    pairs = list(zip(flat(one), flat(other), strict=True))
    return all(torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b for a, b in pairs)


# --- sources


def test_images_are_decoded_and_cut(dataset: Dataset) -> None:
    batch = DecodedSource(dataset, 48).batch([7, 2, 7])
    assert isinstance(batch.inputs, torch.Tensor)
    assert (batch.inputs.dtype, batch.inputs.shape) == (torch.uint8, (3, 3, 48, 48))
    assert batch.labels is not None
    assert (batch.labels.dtype, batch.labels.shape) == (torch.int64, (3, 48, 48))
    assert batch.indices.tolist() == [7, 2, 7]
    assert batch.frozen is None
    for place, index in enumerate((7, 2, 7)):
        example = dataset.load(index)
        assert example.labels is not None
        rgb = square(example.photo.rgb, 48)
        assert torch.equal(batch.inputs[place].permute(1, 2, 0), torch.from_numpy(rgb))
        labels = torch.from_numpy(square_labels(example.labels, 48))
        assert torch.equal(batch.labels[place], labels)


def test_images_without_labels(tmp_path: Path) -> None:
    layouts.folder(tmp_path)
    everything = open_dataset(tmp_path, split="all")
    bare = next(i for i, item in enumerate(everything.items) if item.labels is None)
    batch = DecodedSource(everything, 16).batch([bare, (bare + 1) % 10])
    assert batch.labels is not None
    assert (batch.labels[0] == -1).all()
    assert (batch.labels[1] != -1).any()
    assert DecodedSource(everything, 16, labelled=False).batch([bare]).labels is None


def test_the_cache_gives_the_same_labels_and_the_trunk(
    place: Place, dataset: Dataset, cache: FeatureCache
) -> None:
    cached, decoded = CachedSource(cache), DecodedSource(dataset, SIZE)
    assert len(cached) == len(decoded) == 10
    batch, plain = cached.batch([4, 0]), decoded.batch([4, 0])
    assert batch.labels is not None
    assert plain.labels is not None
    assert torch.equal(batch.labels, plain.labels)
    assert batch.indices.tolist() == [4, 0]
    assert isinstance(plain.inputs, torch.Tensor)
    assert not isinstance(batch.inputs, torch.Tensor)
    trunk = load_backbone(place.vit).trunk(plain.inputs.float() / 255)
    torch.testing.assert_close(batch.inputs.tokens.float(), trunk.tokens, atol=1e-2, rtol=1e-2)


# --- the order


def test_every_image_once_an_epoch() -> None:
    for epoch in range(3):
        assert sorted(order_of(11, seed=5, epoch=epoch)) == list(range(11))
    orders = {tuple(order_of(11, seed, epoch)) for seed in (0, 1) for epoch in (0, 1, 2)}
    assert len(orders) == 6
    assert order_of(11, 0, 1) == order_of(11, 0, 1)


def test_whole_batches_only() -> None:
    found = batches(11, 3, seed=0, epoch=0)
    order = order_of(11, 0, 0)
    assert found == [order[0:3], order[3:6], order[6:9]]
    assert batches(11, 3, seed=0, epoch=0, first=2) == found[2:]
    assert batches(11, 3, seed=0, epoch=0, first=3) == []
    assert (steps_in_epoch(11, 3), steps_in_epoch(3, 3)) == (3, 1)
    said = r"batch of 4 .* the 3 training images: use batch=3 or less"
    with pytest.raises(SettingError, match=said):
        steps_in_epoch(3, 4)


def test_processes_share_every_batch() -> None:
    whole = batches(20, 6, seed=3, epoch=1)
    parts = [batches(20, 6, seed=3, epoch=1, part=slice(2 * r, 2 * r + 2)) for r in range(3)]
    assert [a + b + c for a, b, c in zip(*parts, strict=True)] == whole


# --- loading


WANTED = [[3, 1], [0, 9], [5, 5], [2, 8], [7, 6]]


def children() -> list[int]:
    """Processes that this one has begun."""
    return [child.pid or 0 for child in multiprocessing.active_children()]


@pytest.mark.parametrize("cached", [False, True], ids=["decoded", "cached"])
def test_what_comes_does_not_depend_on_the_workers(
    dataset: Dataset, cache: FeatureCache, cached: bool
) -> None:
    source: Source = CachedSource(cache) if cached else DecodedSource(dataset, SIZE)
    plain = [source.batch(indices) for indices in WANTED]
    for workers in (0, 1, 2, 9):
        found = list(load(source, WANTED, workers=workers))
        assert len(found) == len(plain)
        assert all(map(same, found, plain)), workers
    assert list(load(source, [], workers=2)) == []


def test_whoever_stops_half_way_leaves_nothing_running(dataset: Dataset) -> None:
    before = len(children())
    loading = load(DecodedSource(dataset, SIZE), WANTED, workers=2)
    next(loading)
    assert len(children()) == before + 2
    loading.close()
    assert len(children()) == before


class Broken:
    """A source one of whose images cannot be read."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def __len__(self) -> int:
        return 10

    def batch(self, indices: Sequence[int]) -> TrainingBatch:
        if 5 in indices:
            raise self.error
        return TrainingBatch(torch.zeros(1), None, None, torch.tensor(indices))


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize(
    "error", [DataError("photos/5.png", "is broken"), CacheError("the disk is failing")]
)
def test_a_broken_image_is_named_when_its_turn_comes(workers: int, error: Exception) -> None:
    before = len(children())
    loading = load(Broken(error), WANTED, workers=workers)
    assert [next(loading).indices.tolist() for _ in range(2)] == WANTED[:2]
    with pytest.raises(type(error)) as found:
        next(loading)
    assert str(found.value) == str(error)
    # The error is still there, and with it its traceback, but the readers have gone.
    assert len(children()) == before


SIGNALLED = """
    import os, signal, sys, time
    from pathlib import Path
    from tests.trainers.training.test_loading import Broken, WANTED, children
    from trainers.training.loading import load

    loading = load(Broken(ValueError()), [[0]] * 40, workers=2)
    next(loading), next(loading)  # one from each
    workers = children()
    assert len(workers) == 2
    # As a terminal or a batch system would: to everybody.
    sender = os.fork()
    if sender == 0:
        for worker in workers:
            os.kill(worker, signal.SIGINT)
            os.kill(worker, signal.SIGTERM)
        os._exit(0)
    os.waitpid(sender, 0)
    time.sleep(0.3)
    assert len(list(loading)) == 38
    assert children() == []
    # From the trainer itself, it counts.
    loading = load(Broken(ValueError()), [[0]] * 400, workers=1)
    next(loading)
    worker, = children()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.kill(worker, signal.SIGTERM)
    os.waitpid(worker, 0)
    print("as it should be", flush=True)
    os._exit(0)
"""


@pytest.mark.skipif(not hasattr(signal, "sigtimedwait"), reason="this system has no sigtimedwait")
def test_readers_outlive_a_signal_to_everybody() -> None:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SIGNALLED)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout.strip()) == (0, "as it should be"), done.stderr


class Large:
    """Batches that no pipe holds at once."""

    def __len__(self) -> int:
        return 1000

    def batch(self, indices: Sequence[int]) -> TrainingBatch:
        inputs = torch.zeros(4, 3, 224, 224, dtype=torch.uint8)
        return TrainingBatch(inputs, None, None, torch.tensor(indices))


KILLED = """
    import os, signal
    from tests.trainers.training.test_loading import Large, children
    from trainers.training.loading import load

    loading = load(Large(), [[0]] * 400, workers=2)
    next(loading)
    print(*children(), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_readers_end_when_their_trainer_is_killed() -> None:
    """While they wait for room in a pipe, which they hold open themselves."""
    words = [sys.executable, "-c", textwrap.dedent(KILLED)]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True) as trainer:
        assert trainer.stdout is not None
        readers = [identity(int(word)) for word in trainer.stdout.readline().split()]
        assert trainer.wait() == -signal.SIGKILL
    assert len(readers) == 2
    until = time.monotonic() + 20
    while any(reader.alive() for reader in readers) and time.monotonic() < until:
        time.sleep(0.05)
    left = [reader for reader in readers if reader.alive()]
    for reader in left:
        os.kill(reader.pid, signal.SIGKILL)
    assert left == []


# --- held out


def paths(dataset: Dataset) -> list[Path]:
    return [item.image for item in dataset.items]


def test_a_share_is_held_out(dataset: Dataset) -> None:
    training, held_out = hold_out(dataset, 0.3, seed=0)
    assert (len(training), len(held_out)) == (7, 3)
    assert sorted(paths(training) + paths(held_out)) == sorted(paths(dataset))
    order = paths(dataset)
    for part in (training, held_out):
        assert [order.index(path) for path in paths(part)] == sorted(map(order.index, paths(part)))
        assert part.classes == dataset.classes
        assert part.load(0).photo.name == part.items[0].name
    again = hold_out(dataset, 0.3, seed=0)
    assert paths(again.held_out) == paths(held_out)
    assert len({tuple(paths(hold_out(dataset, 0.3, seed).held_out)) for seed in range(6)}) > 3


@pytest.mark.parametrize(("share", "lack"), [(0.01, "hold out"), (0.99, "train on")])
def test_too_few_images_to_hold_out(dataset: Dataset, share: float, lack: str) -> None:
    with pytest.raises(DataError, match=f"has 10 training images: {share} .* none to {lack}"):
        hold_out(dataset, share, seed=0)


def test_crops_of_one_picture_stay_together(tmp_path: Path, dataset: Dataset) -> None:
    layouts.five_crops(tmp_path)
    crops = open_dataset(tmp_path)
    for seed in range(5):
        training, held_out = hold_out(crops, 0.34, seed)
        numbers = [[int(item.name) // 5 for item in part.items] for part in (training, held_out)]
        assert (len(numbers[0]), len(numbers[1])) == (10, 5)
        assert not set(numbers[0]) & set(numbers[1])
    # Crops that are cut on the fly are cut from what is left.
    training, held_out = hold_out(dataset, 0.3, 0)
    assert set(paths(five_crops(training))) == set(paths(training))


def test_a_subset_reads_what_it_names(dataset: Dataset) -> None:
    part = subset(dataset, [8, 2])
    assert paths(part) == [paths(dataset)[8], paths(dataset)[2]]
    assert (part.load(1).photo.rgb == dataset.load(2).photo.rgb).all()
    crops = five_crops(dataset)
    assert (subset(crops, [13]).load(0).photo.rgb.shape) == crops.load(13).photo.rgb.shape


@pytest.mark.parametrize("workers", [0, 2])
def test_stand_ins_are_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, workers: int
) -> None:
    layouts.folder(tmp_path)
    data = replace(open_dataset(tmp_path, split="all"), on_error="skip")
    data.items[3].image.write_text(f"no picture {workers}")
    source = DecodedSource(data, 16)
    batches_ = list(load(source, [[3, 1], [2, 3]], workers=workers))
    assert [len(batch.skipped) for batch in batches_] == [1, 1]
    first = batches_[0]
    assert first.indices.tolist() == [3, 1]
    assert isinstance(first.inputs, torch.Tensor)
    assert torch.equal(first.inputs[0], source.batch([4]).inputs[0])
    assert first.labels is not None
    assert (first.labels[0] == -1).all()
    assert caplog.text.count(f"Left out: {data.items[3].image} is not an image") == 1
    with pytest.raises(DataError, match="is not an image"):
        list(load(DecodedSource(replace(data, on_error="stop"), 16), [[3]], workers=workers))
