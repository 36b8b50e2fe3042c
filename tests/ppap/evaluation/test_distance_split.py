"""Distance matching over a small ImageNet-S, against the pieces it is made of."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from ppap.data import DataError, Dataset, open_dataset
from ppap.data.fitting import seen_whole
from ppap.evaluation.distance import bank_of, classify, join, to_image_size
from ppap.evaluation.distance_split import DistanceMatching
from ppap.evaluation.metrics import Confusion, scores
from ppap.evaluation.split import EvaluationStoppedError
from ppap.segmenter import Segmenter
from tests.support.small_segmenters import small_segmenter

SIZE, PATCH = 48, 16
SIDES = ((48, 48), (48, 80), (100, 50), (30, 150))


def write_imagenet_s(root: Path, classes: int = 2) -> None:
    """ImageNetS2 with images of several proportions; masks with "other", classes and void."""
    draw = np.random.default_rng(3)
    home = root / "ImageNetS2"
    for split, count in (("train-semi", 3), ("validation", 4)):
        for number in range(classes):
            wnid = f"n{number:08d}"
            for i in range(count):
                height, width = SIDES[(i + number) % len(SIDES)]
                colour = draw.integers(0, 256, (4, 4, 3), np.uint8)
                image = Image.fromarray(colour).resize((width, height))
                ids = np.zeros((height, width), np.uint16)
                ids[: height // 2] = number + 1
                ids[:, : width // 8] = 1000
                mask = np.stack([ids % 256, ids // 256, ids * 0], axis=-1).astype(np.uint8)
                for folder, picture, end in (
                    (split, image, "JPEG"),
                    (f"{split}-segmentation", Image.fromarray(mask), "png"),
                ):
                    (home / folder / wnid).mkdir(parents=True, exist_ok=True)
                    picture.save(home / folder / wnid / f"{wnid}_{i}.{end}")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("in_s")
    write_imagenet_s(made)
    return made


@pytest.fixture(scope="module")
def bank(root: Path) -> Dataset:
    return open_dataset(root, split="train-semi")


@pytest.fixture(scope="module")
def dataset(root: Path) -> Dataset:
    return open_dataset(root, split="val")


@pytest.fixture(scope="module")
def segmenter() -> Segmenter:
    made = small_segmenter()
    with torch.no_grad():  # so that the trained features differ from the frozen ones
        for parameter in made.head.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.3)
    return made


def by_hand(segmenter: Segmenter, data: Dataset, frozen: bool) -> list[tuple[Tensor, Tensor]]:
    """Features ``(1, D, h, w)`` and labels of every image, of sides that are no long ones."""
    made = []
    for i in range(len(data)):
        example = data.load(i)
        height, width = example.photo.rgb.shape[:2]
        scale = SIZE / min(height, width)
        sides = [max(1, round(side * scale / PATCH)) * PATCH for side in (width, height)]
        small = Image.fromarray(example.photo.rgb).resize(
            (sides[0], sides[1]), Image.Resampling.BICUBIC
        )
        image = torch.from_numpy(np.array(small)).permute(2, 0, 1)[None] / 255
        if max(sides) > 2 * SIZE:
            features = seen_whole(
                segmenter.backbone if frozen else segmenter.features,
                np.array(small),
                patch=PATCH,
                size=SIZE,
            )
        else:
            features = segmenter.backbone(image) if frozen else segmenter.features(image)
        assert example.labels is not None
        made.append((features.permute(0, 3, 1, 2), torch.from_numpy(example.labels)[None]))
    return made


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("workers", [0, 2])
def test_it_is_what_its_pieces_give(
    segmenter: Segmenter, bank: Dataset, dataset: Dataset, frozen: bool, workers: int
) -> None:
    matching = DistanceMatching(segmenter, size=SIZE, frozen=frozen, k=3, workers=workers)
    told: list[tuple[int, int]] = []
    matching.fill(bank, lambda done, total: told.append((done, total)))
    assert told == [(i + 1, 6) for i in range(6)]
    found = matching.score(dataset)
    vectors = join(bank_of(*one) for one in by_hand(segmenter, bank, frozen))
    assert len(vectors) == found.bank == 12  # "other" and its class in each of 6 images
    confusion = Confusion(3)
    for features, labels in by_hand(segmenter, dataset, frozen):
        ids = classify(features, vectors, classes=3, k=3)
        confusion.update(labels, to_image_size(ids, *labels.shape[1:]))
    wanted = scores(confusion, dataset.classes)
    assert found.scores.record() == wanted.record()
    assert set(found.scores.iou) == {"other", "n00000000", "n00000001"}
    assert (found.images, found.frozen, found.k, found.size) == (8, frozen, 3, SIZE)
    assert 0 < found.scores.miou < 100


def test_trained_and_frozen_features_differ(
    segmenter: Segmenter, bank: Dataset, dataset: Dataset
) -> None:
    found = []
    for frozen in (False, True):
        matching = DistanceMatching(segmenter, size=SIZE, frozen=frozen)
        matching.fill(bank)
        found.append(matching.score(dataset).scores.confusion.tolist())
    assert found[0] != found[1]


def test_it_can_be_stopped(segmenter: Segmenter, bank: Dataset) -> None:
    told: list[int] = []
    matching = DistanceMatching(segmenter, size=SIZE, stopped=lambda: len(told) == 2)
    with pytest.raises(EvaluationStoppedError):
        matching.fill(bank, lambda done, total: told.append(done))
    assert told == [1, 2]


def test_an_empty_bank_and_other_classes(
    segmenter: Segmenter, bank: Dataset, dataset: Dataset, tmp_path: Path
) -> None:
    matching = DistanceMatching(segmenter, size=SIZE)
    with pytest.raises(ValueError, match="fill it first"):
        matching.score(dataset)
    matching.fill(bank)
    write_imagenet_s(tmp_path, classes=1)
    with pytest.raises(DataError, match="other classes in its split 'validation' than the bank's"):
        matching.score(open_dataset(tmp_path / "ImageNetS2", split="val"))


def test_settings_are_checked(segmenter: Segmenter) -> None:
    with pytest.raises(ValueError, match="size must be a whole number"):
        DistanceMatching(segmenter, size=0)
    with pytest.raises(ValueError, match="k must be a whole number"):
        DistanceMatching(segmenter, k=0)


def test_without_masks(segmenter: Segmenter, root: Path) -> None:
    data = open_dataset(root, split="val")
    bare = open_dataset(root, split="train-semi")
    assert data.items[0].labels is not None
    from dataclasses import replace

    unlabelled = replace(bare, items=[replace(item, labels=None) for item in bare.items])
    with pytest.raises(DataError, match="nothing to score"):
        DistanceMatching(segmenter, size=SIZE).fill(unlabelled)


def test_as_pass_does_it(segmenter: Segmenter, root: Path) -> None:
    """Bilinear images, masks on the grid, places rounded down."""
    bank, dataset = (open_dataset(root, split=split) for split in ("train-semi", "val"))
    matching = DistanceMatching(segmenter, size=SIZE, frozen=True, k=3, as_pass=True)
    matching.fill(bank)
    found = matching.score(dataset)

    def seen(data: Dataset) -> Iterator[tuple[Tensor, Tensor]]:
        for i in range(len(data)):
            example = data.load(i)
            height, width = example.photo.rgb.shape[:2]
            scale = SIZE / min(height, width)
            sides = [max(1, round(side * scale / PATCH)) * PATCH for side in (width, height)]
            small = Image.fromarray(example.photo.rgb).resize(
                (sides[0], sides[1]), Image.Resampling.BILINEAR
            )
            features = seen_whole(segmenter.backbone, np.array(small), patch=PATCH, size=SIZE)
            assert example.labels is not None
            yield features.permute(0, 3, 1, 2), torch.from_numpy(example.labels)[None].double()

    def enlarged(ids: Tensor, *size: int) -> Tensor:
        return F.interpolate(ids[None].double(), size, mode="nearest")[0].long()

    vectors = join(
        bank_of(features, enlarged(labels, 4 * features.shape[2], 4 * features.shape[3]))
        for features, labels in seen(bank)
    )
    assert found.bank == len(vectors)
    confusion = Confusion(3)
    for features, labels in seen(dataset):
        ids = classify(features, vectors, classes=3, k=3)
        confusion.update(labels.long(), enlarged(ids, *labels.shape[1:]))
    assert found.scores.record() == scores(confusion, dataset.classes).record()
    ours = DistanceMatching(segmenter, size=SIZE, frozen=True, k=3)
    ours.fill(bank)
    assert ours.score(dataset).scores.confusion.tolist() != found.scores.confusion.tolist()
