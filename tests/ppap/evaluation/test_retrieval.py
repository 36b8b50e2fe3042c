"""Dense retrieval against scikit-learn's neighbours, and patch by patch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.neighbors import NearestNeighbors

from ppap.data import Dataset, open_dataset
from ppap.evaluation import retrieval as module
from ppap.evaluation.retrieval import Memory, Retrieval, patch_shares, retrieve
from ppap.evaluation.source import as_images, read_square
from ppap.evaluation.split import EvaluationStoppedError
from ppap.segmenter import Segmenter
from ppap.segmenter.inference import Inference
from tests.support.small_segmenters import NAMES, small_segmenter, write_folder

SIZE = 48


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    root = tmp_path_factory.mktemp("data")
    write_folder(root, count=6, unlabelled=1)
    return open_dataset(root, split="all")


@pytest.fixture(scope="module")
def segmenter() -> Segmenter:
    return small_segmenter()


def unit_rows(count: int, seed: int) -> torch.Tensor:
    return F.normalize(torch.randn(count, 8, generator=torch.Generator().manual_seed(seed)), dim=1)


def test_votes_are_those_of_scikit_learns_neighbours(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors, queries = unit_rows(50, 0), unit_rows(23, 1)
    shares = torch.rand(50, 3, generator=torch.Generator().manual_seed(2)).softmax(dim=1)
    near = NearestNeighbors(n_neighbors=7).fit(vectors.numpy())
    distance, index = near.kneighbors(queries.numpy())
    weight = np.exp((1 - distance**2 / 2) / 0.1)
    weight /= weight.sum(axis=1, keepdims=True)
    wanted = (weight[:, :, None] * shares.numpy()[index]).sum(axis=1)
    for block in (module.BLOCK_BYTES, 4 * 50 * 5):  # five queries at a time
        monkeypatch.setattr(module, "BLOCK_BYTES", block)
        found = retrieve(queries, Memory(vectors, shares), k=7, temperature=0.1)
        assert found.numpy() == pytest.approx(wanted, abs=1e-5)


def test_shares_are_counted_pixel_by_pixel() -> None:
    chance = np.random.default_rng(0)
    labels = chance.integers(-1, 3, (2, 10, 14))
    labels[0, :5, :5] = -1
    found = patch_shares(torch.from_numpy(labels), 2, 3, 3).numpy()
    for image in range(2):
        for row in range(2):
            for column in range(3):
                inside = [
                    labels[image, y, x]
                    for y in range(10)
                    for x in range(14)
                    if (y * 2 // 10, x * 3 // 14) == (row, column)
                ]
                counts = np.array([inside.count(c) for c in range(3)])
                wanted = counts / max(1, counts.sum())
                assert found[image, row, column] == pytest.approx(wanted)
    assert not found[0, 0, 0].any()


@pytest.mark.parametrize("frozen", [False, True])
def test_a_patch_finds_itself_in_the_memory(
    segmenter: Segmenter, dataset: Dataset, frozen: bool
) -> None:
    one = Retrieval(segmenter, frozen=frozen, size=SIZE, k=1)
    memory = one.fill(dataset)
    assert len(memory.vectors) == 5 * (SIZE // 16) ** 2
    square = read_square(dataset, 2, SIZE)
    stream = segmenter.backbone if frozen else segmenter.features
    own = F.normalize(stream(as_images(square.rgb[None])).flatten(0, 2), dim=1)
    wanted = patch_shares(torch.from_numpy(square.labels[None]), 3, 3, len(NAMES)).view(-1, 3)
    assert torch.allclose(retrieve(own, memory, k=1), wanted, atol=1e-5)
    found = one.score(dataset, memory)
    assert found.images == 5
    assert found.record()["features"] == ("frozen" if frozen else "trained")
    assert found.scores.accuracy > 60  # patches are coarser than labels


def test_a_memory_holds_what_it_may_from_every_image(
    segmenter: Segmenter, dataset: Dataset
) -> None:
    one = Retrieval(segmenter, size=SIZE)
    whole, small = one.fill(dataset), one.fill(dataset, 10)
    assert len(small.vectors) == 10
    place = [int((whole.vectors @ v).argmax()) // 9 for v in small.vectors]
    assert sorted(place) == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    again = one.fill(dataset, 10)
    assert torch.equal(small.vectors, again.vectors)
    assert not torch.equal(small.vectors, one.fill(dataset, 10, seed=1).vectors)


def test_what_cannot_be_is_refused(segmenter: Segmenter, dataset: Dataset) -> None:
    memory = Memory(unit_rows(3, 0), torch.ones(3, 2) / 2)
    with pytest.raises(ValueError, match="k must be"):
        retrieve(unit_rows(2, 0), memory, k=0)
    with pytest.raises(ValueError, match="temperature"):
        retrieve(unit_rows(2, 0), memory, temperature=0)
    with pytest.raises(ValueError, match="empty"):
        retrieve(unit_rows(2, 0), Memory(torch.empty(0, 8), torch.empty(0, 2)))
    one = Retrieval(segmenter, size=SIZE, stopped=lambda: True)
    with pytest.raises(ValueError, match="2 classes, the data set 3"):
        one.score(dataset, memory)
    with pytest.raises(EvaluationStoppedError):
        one.fill(dataset)


def test_frozen_features_are_looked_at_as_the_trained_ones_are(
    segmenter: Segmenter, dataset: Dataset
) -> None:
    mirrored = Retrieval(segmenter, frozen=True, size=SIZE, inference=Inference(mirror=True))
    images = as_images(read_square(dataset, 0, SIZE).rgb[None])
    backbone = segmenter.backbone
    both = (backbone(images) + backbone(images.flip(3)).flip(2)) / 2
    wanted = F.normalize(both, dim=3).flatten(0, 2)
    found = mirrored.fill(dataset).vectors
    assert (wanted @ found.T).max(dim=1).values.numpy() == pytest.approx(np.ones(9), abs=1e-5)
    plain = Retrieval(segmenter, frozen=True, size=SIZE).fill(dataset).vectors
    assert not torch.allclose(found, plain)
