from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ppap.data import open_dataset
from ppap.evaluation.source import labelled
from ppap.segmenter import Segmenter
from ppap.settings import SettingError
from tests.support.small_runs import ALONE, SIZE, Place
from trainers.cache import CacheStoppedError
from trainers.devices import choose_device
from trainers.training.loading import CachedSource, DecodedSource
from trainers.training.prepare import (
    EVALUATION_BATCH,
    Prepared,
    cached_features,
    check_exchange,
    evaluation_batches,
    frozen_features,
    hp_pool,
    near_images,
    prepare,
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("prepare"))


def prepared(place: Place, **changes: Any) -> Prepared:
    return prepare(
        place.config(**changes),
        place.data,
        world=ALONE,
        cache_root=place.cache,
        stopped=lambda: False,
    )


def all_frozen(made: Prepared) -> Tensor:
    """Frozen features of every training image, one by one: ``(N, h, w, D)``."""
    backbone = made.segmenter.backbone
    source = DecodedSource(made.splits.training, SIZE)
    images = [source.batch([index]).inputs for index in range(len(source))]
    return torch.cat([backbone(image.float() / 255) for image in images])  # type: ignore[union-attr]


# --- everything together


def test_what_is_prepared(place: Place) -> None:
    made = prepared(place, extra_clusters=2)
    assert isinstance(made.source, DecodedSource)
    assert made.source.labelled
    assert not made.cached
    assert (made.pool, made.near) == (None, None)
    assert made.class_list.names == ("sky", "road", "tree")
    assert len(made.segmenter.cluster_probe.clusters) == 5
    assert made.segmenter.head_name == "block"
    assert prepared(place, rule="stego").segmenter.head_name == "code"


def test_the_seed_decides_how_the_network_begins(place: Place) -> None:
    states = [prepared(place, seed=seed).segmenter.state_dict() for seed in (1, 1, 2)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    changed = {name for name in states[0] if not torch.equal(states[0][name], states[2][name])}
    assert "head.projection.weight" in changed
    assert "cluster_probe.clusters" in changed
    assert not any(name.startswith("backbone.") for name in changed)


@pytest.mark.parametrize(
    ("changes", "field", "said"),
    [
        ({"size": 72}, "size", "size: an image height of 72 pixels does not divide .* 64 or 80"),
        ({"eval_size": 100}, "eval_size", "eval_size: .* 100 pixels .* 96 or 112"),
        ({"batch": 11}, "batch", "is more than the 10 training images: .* batch=10"),
        ({"rule": "stego", "batch": 1}, "batch", "STEGO compares images .* 2 or more"),
    ],
)
def test_what_does_not_fit_is_said_before_anything_is_cached(
    place: Place, changes: dict[str, Any], field: str, said: str, tmp_path: Path
) -> None:
    with pytest.raises(SettingError, match=said) as found:
        prepare(
            place.config(**{"cache": "on", **changes}),
            place.data,
            world=ALONE,
            cache_root=tmp_path / "cache",
            stopped=lambda: False,
        )
    assert found.value.field == field
    assert not (tmp_path / "cache").exists()


def test_devices() -> None:
    assert choose_device("cpu") == torch.device("cpu")
    assert choose_device("auto").type in ("cpu", "cuda")
    for name in ("gpu", "cuda:99", "mps"):
        with pytest.raises(SettingError, match=f"one of auto, cpu.* here, not '{name}'"):
            choose_device(name)


# --- cached features


def features_of(place: Place, root: Path, **changes: Any) -> Any:
    made = prepared(place)
    return cached_features(
        place.config(**changes),
        made.splits.training,
        made.segmenter.backbone,
        size=SIZE,
        root=root,
        world=ALONE,
        stopped=lambda: False,
    )


def test_a_cache_is_made_and_used_again(
    place: Place, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "trainers")
    cache = features_of(place, tmp_path, cache="auto")
    assert "Cached features of 10 images at 64 px take" in caplog.text  # says so before
    assert len(cache) == 10
    cache.close()
    caplog.clear()
    features_of(place, tmp_path, cache="on").close()
    assert "Cached features of 10 images at 64 px already exist" in caplog.text
    assert features_of(place, tmp_path / "off", cache="off") is None
    assert not (tmp_path / "off").exists()


def test_a_cache_that_does_not_fit(
    place: Place, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "trainers")
    assert features_of(place, tmp_path, cache="auto", cache_gb=1e-6) is None
    assert "Features are computed again in every epoch." in caplog.text
    with pytest.raises(SettingError, match=r"more than the .* Use cache=off, or a larger cache_gb"):
        features_of(place, tmp_path, cache="on", cache_gb=1e-6)
    assert list(tmp_path.iterdir()) == []


def test_others_are_removed_to_make_room(place: Place, tmp_path: Path) -> None:
    features_of(place, tmp_path, cache="on").close()
    (old,) = tmp_path.iterdir()
    made = prepared(place)
    need = sum(file.stat().st_size for file in old.iterdir()) * 1.2 / 1e9
    cached_features(
        place.config(cache="on", cache_gb=need),
        made.splits.training,
        made.segmenter.backbone,
        size=SIZE - 16,
        root=tmp_path,
        world=ALONE,
        stopped=lambda: False,
    ).close()  # type: ignore[union-attr]
    assert not old.exists()


def test_caching_can_be_stopped(place: Place, tmp_path: Path) -> None:
    with pytest.raises(CacheStoppedError):
        prepare(
            place.config(cache="on"),
            place.data,
            world=ALONE,
            cache_root=tmp_path,
            stopped=lambda: True,
        )


# --- what some rules need beforehand


@pytest.mark.parametrize("cache", ["off", "on"])
def test_frozen_features(place: Place, cache: str) -> None:
    made = prepared(place, cache=cache)
    assert isinstance(made.source, CachedSource if cache == "on" else DecodedSource)
    found = frozen_features(made.segmenter, made.source, [7, 2])
    tolerance = 2e-2 if cache == "on" else 1e-5  # half precision
    torch.testing.assert_close(found, all_frozen(made)[[7, 2]], atol=tolerance, rtol=tolerance)
    made.close()


@pytest.mark.parametrize(("size", "images"), [(4, 4), (9, 9), (25, 10), (1000, 10)])
def test_the_pool_is_one_patch_of_each_image(place: Place, size: int, images: int) -> None:
    made = prepared(place, rule="hp", pool_size=size)
    assert made.pool is not None
    every = F.normalize(all_frozen(made).flatten(1, 2), dim=2)  # (10, 16, D)
    assert len(made.pool) == min(size, 160)
    likeness = made.pool @ every.flatten(0, 1).T
    assert (likeness.amax(dim=1) > 1 - 1e-5).all()
    which = likeness.argmax(dim=1)
    assert len(which.unique()) == len(made.pool)
    counts = torch.bincount(which // 16, minlength=10)
    assert int((counts > 0).sum()) == images
    assert counts[counts > 0].max() - counts[counts > 0].min() <= 1
    again = hp_pool(place.config(rule="hp", pool_size=size), made.segmenter, made.source)
    assert torch.equal(again, made.pool)
    other = hp_pool(place.config(rule="hp", pool_size=size, seed=1), made.segmenter, made.source)
    assert not torch.equal(other, made.pool)


def test_near_images_are_the_most_alike(place: Place) -> None:
    made = prepared(place, rule="stego", near_images=3)
    pooled = F.normalize(all_frozen(made).mean(dim=(1, 2)), dim=1)
    likeness = (pooled @ pooled.T).fill_diagonal_(-2)
    assert made.near is not None
    assert torch.equal(made.near, likeness.topk(3, dim=1).indices)
    config = place.config(rule="stego", near_images=99)
    assert near_images(config, made.segmenter, made.source).shape == (10, 9)


# --- validation's batches


def test_evaluation_batches_are_the_same_from_the_cache(place: Place, tmp_path: Path) -> None:
    made = prepared(place)
    dataset = open_dataset(place.data, split="all")
    backbone = made.segmenter.backbone
    config = place.config(cache="on")
    cache = cached_features(
        config, dataset, backbone, size=SIZE, root=tmp_path, world=ALONE, stopped=lambda: False
    )
    assert cache is not None
    plain = list(evaluation_batches(dataset, None, size=SIZE, workers=0))
    kept = list(evaluation_batches(dataset, cache, size=SIZE, workers=0))
    assert [len(batch.indices) for batch in kept] == [EVALUATION_BATCH, 4]
    assert [i for batch in kept for i in batch.indices] == labelled(dataset)
    segmenter: Segmenter = made.segmenter
    for one, other in zip(plain, kept, strict=True):
        assert one.indices == other.indices
        assert one.names == other.names
        assert torch.equal(one.labels, other.labels)
        wanted = segmenter.features(one.inputs)
        found = segmenter.features(other.inputs)
        torch.testing.assert_close(found, wanted, atol=2e-2, rtol=2e-2)
    cache.close()


# --- candidates and their exchange


@pytest.mark.parametrize(
    ("changes", "field", "said"),
    [
        ({"candidates": 3}, "candidates", "fewer than two patches for each of the 2 images.*use 4"),
        ({"candidates": 9, "protocol": "published"}, "candidates", "groups of 784 patches"),
        ({"exchange": "ring", "rule": "knn"}, "exchange", "not with rule=knn: use gather"),
        ({"exchange": "ring", "protocol": "half_loss"}, "exchange", "not with protocol=half_loss"),
    ],
)
def test_what_does_not_fit_is_refused_at_its_field(
    place: Place, changes: dict[str, Any], field: str, said: str
) -> None:
    with pytest.raises(SettingError, match=said) as found:
        check_exchange(place.config(**changes))
    assert found.value.field == field


@pytest.mark.parametrize(
    "changes",
    [
        {"candidates": 4, "exchange": "ring"},
        {"candidates": 4, "rule": "hp"},
        {"candidates": 1, "rule": "frozen"},
        {"exchange": "ring", "rule": "stego"},
        {"exchange": "ring", "protocol": "nearest"},
    ],
)
def test_what_fits_is_not(place: Place, changes: dict[str, Any]) -> None:
    check_exchange(place.config(**changes))


def test_a_run_is_refused_before_it_begins(place: Place) -> None:
    with pytest.raises(SettingError, match="3 candidates are fewer"):
        prepared(place, candidates=3)
