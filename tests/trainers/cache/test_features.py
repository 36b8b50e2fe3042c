"""Cached features hold what the trunk gives, and are read in any order, also ahead."""

from __future__ import annotations

import dataclasses
import pickle
import threading
from pathlib import Path

import numpy as np
import pytest
import torch

from ppap.backbones import Backbone
from ppap.data import Dataset, open_dataset, samples_dataset, square, square_labels
from ppap.evaluation.source import as_images
from ppap.segmenter import Segmenter
from tests.support.small_cache import COUNT, SIZE, computed, contents, damage, near, opened, planned
from trainers.cache import FeatureCache, open_cache, plan_cache, read_square
from trainers.cache.locks import try_lock
from trainers.cache.opening import IN_USE
from trainers.cache.rows import Rows


def test_it_gives_what_the_trunk_gives(dataset: Dataset, backbone: Backbone, root: Path) -> None:
    plan = planned(dataset, backbone, root, frozen=True, rgb=True)
    with open_cache(plan, dataset, backbone, batch=4) as cache:
        wanted = [7, 0, 3, 7]
        batch = cache.batch(wanted)
        assert len(cache) == COUNT
        assert cache.grid == batch.trunk.grid == backbone.grid(SIZE, SIZE)
        assert batch.indices.tolist() == wanted
        assert batch.frozen is not None
        assert batch.labels is not None
        assert batch.rgb is not None
        assert batch.trunk.tokens.dtype == batch.frozen.dtype == torch.float16
        assert batch.labels.dtype == torch.int64
        for place, index in enumerate(wanted):
            trunk, frozen = computed(dataset, backbone, index)
            assert near(batch.trunk.tokens[place], trunk.tokens[0])
            if trunk.beside is None:
                assert batch.trunk.beside is None
            else:
                assert batch.trunk.beside is not None
                assert near(batch.trunk.beside[place], trunk.beside[0])
            assert near(batch.frozen[place], frozen[0])
            example = dataset.load(index)
            assert np.array_equal(batch.rgb[place].numpy(), square(example.photo.rgb, SIZE))
            if example.labels is None:
                assert index == 3
                assert (batch.labels[place] == -1).all()
            else:
                labels = square_labels(example.labels, SIZE)
                assert np.array_equal(batch.labels[place].numpy(), labels)


def test_training_sees_the_same_numbers(dataset: Dataset, backbone: Backbone, root: Path) -> None:
    segmenter = Segmenter(backbone, 3).eval()
    rgb = np.stack([square(dataset.load(i).photo.rgb, SIZE) for i in (1, 2)])
    fresh = segmenter.forward_training(segmenter.trunk(as_images(rgb)))
    with opened(dataset, backbone, root) as cache:
        batch = cache.batch([1, 2])
    assert (batch.frozen is not None) == (backbone is not None and batch.trunk.beside is None)
    kept = segmenter.forward_training(batch.trunk, batch.frozen)
    for one, other in zip(fresh, kept, strict=True):
        assert one.dtype == other.dtype
        assert near(other, one)
    kept.projected[:, 0].sum().backward()


def test_a_convolutions_tokens_lie_as_the_trunk_left_them(
    dataset: Dataset, embedded: Backbone, root: Path
) -> None:
    with opened(dataset, embedded, root) as cache:
        tokens = cache.batch([1, 2]).trunk.tokens
    assert tokens.is_contiguous(memory_format=torch.channels_last)


def test_the_samples_and_pictures_without_labels(vit: Backbone, source: Path, root: Path) -> None:
    samples = samples_dataset()
    with opened(samples, vit, root) as cache:
        batch = cache.batch([len(samples) - 1])
        assert near(batch.trunk.tokens[0], computed(samples, vit, len(samples) - 1)[0].tokens[0])
        assert batch.labels is not None
        assert batch.labels.max() > 2
    unlabelled = open_dataset(source / "images", kind="images")
    with opened(unlabelled, vit, root) as cache:
        assert cache.batch([1]).labels is None
        assert cache.batch([1]).rgb is None


def test_real_pictures(shared_data: Path, embedded: Backbone, root: Path) -> None:
    whole = open_dataset(shared_data / "camvid", split="val")
    some = dataclasses.replace(whole, items=[whole.items[i] for i in (0, 50, 100)])
    plan = plan_cache(some, embedded, size=320, root=root)
    with open_cache(plan, some, embedded) as cache:
        batch = cache.batch([2])
    read = read_square(some, 2, 320)
    assert read.labels is not None
    assert batch.labels is not None
    assert np.array_equal(batch.labels[0].numpy(), read.labels)
    trunk = embedded.trunk(as_images(read.rgb[None]))
    assert near(batch.trunk.tokens[0], trunk.tokens[0])


def test_autocast_and_the_batch_change_little_or_nothing(
    dataset: Dataset, vit: Backbone, root: Path, tmp_path: Path
) -> None:
    with opened(dataset, vit, root, batch=4) as cache:
        first = cache.batch(range(COUNT))
    with torch.autocast("cpu", torch.bfloat16), opened(dataset, vit, tmp_path, batch=4) as cache:
        inside = cache.batch(range(COUNT))
    assert torch.equal(first.trunk.tokens, inside.trunk.tokens)
    with opened(dataset, vit, tmp_path / "other", batch=3) as cache:
        other = cache.batch(range(COUNT))
    assert near(other.trunk.tokens, first.trunk.tokens.float())


def test_numbers_outside_are_refused(dataset: Dataset, vit: Backbone, root: Path) -> None:
    cache = opened(dataset, vit, root)
    for index in (-1, COUNT):
        with pytest.raises(IndexError, match=f"image {index} does not exist"):
            cache.batch([0, index])
    assert len(cache.batch([]).trunk.tokens) == 0
    assert cache.batch(torch.tensor([3])).indices.tolist() == [3]
    cache.close()
    cache.close()
    with pytest.raises(ValueError, match="closed"):
        cache.batch([0])


@pytest.mark.parametrize("ahead", [0, 1, 3])
def test_batches_read_ahead_are_the_same(
    dataset: Dataset, vit: Backbone, root: Path, ahead: int
) -> None:
    lists = [[3, 1], [9, 0], [5, 5], [2, 8]]
    threads = threading.active_count()
    with opened(dataset, vit, root) as cache:
        found = list(cache.batches(lists, ahead=ahead))
        for indices, batch in zip(lists, found, strict=True):
            assert batch.indices.tolist() == indices
            assert torch.equal(batch.trunk.tokens, cache.batch(indices).trunk.tokens)
        some = cache.batches(lists, ahead=ahead)
        next(some)
        some.close()
        with pytest.raises(IndexError):
            list(cache.batches([[0], [COUNT]], ahead=ahead))
    assert threading.active_count() == threads


def test_a_batch_is_the_readers_own(dataset: Dataset, vit: Backbone, root: Path) -> None:
    with opened(dataset, vit, root) as cache:
        before = contents(cache.plan)
        batch = cache.batch([1])
        assert batch.labels is not None
        batch.trunk.tokens.zero_()
        batch.labels.zero_()
        assert cache.batch([1]).trunk.tokens.any()
        assert contents(cache.plan) == before


def test_it_can_be_sent_to_another_process(dataset: Dataset, vit: Backbone, root: Path) -> None:
    with opened(dataset, vit, root) as cache:
        sent = pickle.dumps(cache)
        assert len(sent) < len(contents(cache.plan)) + 10**6
        copy: FeatureCache = pickle.loads(sent)
        assert torch.equal(copy.batch([4]).trunk.tokens, cache.batch([4]).trunk.tokens)
        damage(cache.plan, 4)
        copy.batch([4])
        copy.close()
        assert try_lock(cache.plan.folder / IN_USE, exclusive=True) is None


def test_rows_are_read_in_the_order_of_the_disk(
    dataset: Dataset, vit: Backbone, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy, read = Rows.copy, list[int]()

    def recording(rows: Rows, index: int, into: dict[str, np.ndarray], place: int) -> None:
        read.append(index)
        copy(rows, index, into, place)

    monkeypatch.setattr(Rows, "copy", recording)
    with opened(dataset, vit, root) as cache:
        cache.batch([7, 0, 9, 3])
    assert read == [0, 3, 7, 9]


@pytest.mark.parametrize("ahead", [0, 2])
def test_for_a_gpu_it_is_read_into_pinned_memory(
    dataset: Dataset, vit: Backbone, root: Path, monkeypatch: pytest.MonkeyPatch, ahead: int
) -> None:
    pinned: list[int] = []

    def pin_memory(tensor: torch.Tensor) -> torch.Tensor:
        pinned.append(threading.get_ident())
        return tensor.clone()

    monkeypatch.setattr(torch.Tensor, "pin_memory", pin_memory)
    with opened(dataset, vit, root) as cache:
        (plain,) = cache.batches([[1, 2]], ahead=ahead)
        assert pinned == []
        (found,) = cache.batches([[1, 2]], ahead=ahead, pin=True)
    assert torch.equal(found.trunk.tokens, plain.trunk.tokens)
    assert found.labels is not None
    assert plain.labels is not None
    assert torch.equal(found.labels, plain.labels)
    # Tokens and labels, and the features that some networks keep; by whoever reads.
    assert len(pinned) == 2 + (found.frozen is not None) + (found.trunk.beside is not None)
    assert (threading.get_ident() in pinned) == (ahead == 0)
