"""Clusterings of a small data set, counted by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from ppap.data import Dataset, open_dataset
from ppap.evaluation.counting import METHODS, count_clusters, find, learn_probe, spread
from ppap.evaluation.metrics import Confusion, match, scores
from ppap.evaluation.source import as_images, read_square
from ppap.evaluation.split import EvaluationStoppedError
from ppap.segmenter import Segmenter
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


@pytest.mark.parametrize("frozen", [False, True])
def test_every_method_and_number_is_scored_by_each_map(
    segmenter: Segmenter, dataset: Dataset, frozen: bool
) -> None:
    found = count_clusters(segmenter, dataset, dataset, [3, 8], size=SIZE, frozen=frozen)
    assert [(one.method, one.clusters) for one in found] == [
        (m, k) for k in (3, 8) for m in METHODS
    ]
    for one in found:
        assert -1 <= one.loss < 0
        assert one.optimistic.accuracy == pytest.approx(one.agreement.purity)
        # The map was learnt on the very split here.
        assert one.learnt.record() == one.optimistic.record()
        assert one.hungarian.accuracy <= one.optimistic.accuracy + 1e-9


def test_a_given_set_of_centroids_is_counted_pixel_by_pixel(
    segmenter: Segmenter, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    given = F.normalize(torch.randn(5, segmenter.head.width), dim=1)
    monkeypatch.setattr("ppap.evaluation.counting.find", lambda *_: given)
    (found,) = count_clusters(segmenter, dataset, dataset, [5], methods=["kmeans"], size=SIZE)
    counts = Confusion(len(NAMES), 5)
    for index in range(5):
        one = read_square(dataset, index, SIZE)
        features = segmenter.features(as_images(one.rgb[None])).permute(0, 3, 1, 2)
        whole = F.interpolate(features, size=(SIZE, SIZE), mode="bilinear", align_corners=False)
        nearest = torch.einsum("kd,dhw->khw", given, whole[0]).argmax(dim=0)
        counts.update(torch.from_numpy(one.labels), nearest)
    wanted = scores(counts, NAMES, match(counts))
    assert found.hungarian.record() == wanted.record()


def test_more_centroids_are_closer_to_their_patches(segmenter: Segmenter, dataset: Dataset) -> None:
    found = count_clusters(segmenter, dataset, dataset, [3, 9, 20], size=SIZE)
    for method in METHODS:
        losses = [one.loss for one in found if one.method == method]
        assert losses == sorted(losses, reverse=True)
        assert len(set(losses)) == 3


def test_a_probe_ends_no_worse_than_it_began() -> None:
    torch.manual_seed(3)
    centres = F.normalize(torch.randn(4, 16), dim=1)
    f = F.normalize(centres.repeat_interleave(50, 0) + 0.1 * torch.randn(200, 16), dim=1)

    def loss(c: torch.Tensor) -> float:
        return -float((f @ c.T).max(dim=1).values.mean())

    began, ended = learn_probe(f, 4, 0, steps=0), learn_probe(f, 4, 0)
    assert loss(ended) < loss(began)
    for method in METHODS:
        found = find(f, 4, method, 0)
        assert (found @ centres.T).max(dim=1).values.min() > 0.95


def test_images_are_drawn_evenly() -> None:
    assert spread(range(5), 9) == [0, 1, 2, 3, 4]
    assert spread(range(100), 4) == [12, 37, 62, 87]


@pytest.mark.parametrize(
    ("counts", "given", "said"),
    [
        ([2], {}, "clusters must be"),
        ([99_999], {}, "clusters must be"),
        ([], {}, "at least one"),
        ([3], {"methods": ["gmm"]}, "method must be one of merged, kmeans, probe"),
        ([3], {"images": 0}, "images must be"),
    ],
)
def test_what_cannot_be_is_refused(
    segmenter: Segmenter, dataset: Dataset, counts: list[int], given: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        count_clusters(segmenter, dataset, dataset, counts, size=SIZE, **given)


def test_it_says_how_far_it_is_and_can_be_stopped(segmenter: Segmenter, dataset: Dataset) -> None:
    shares: list[float] = []
    count_clusters(
        segmenter, dataset, dataset, [3], size=SIZE, progress=lambda _, share: shares.append(share)
    )
    assert shares == sorted(shares)
    assert 0 <= shares[0] < shares[-1] < 1
    with pytest.raises(EvaluationStoppedError):
        count_clusters(segmenter, dataset, dataset, [3], size=SIZE, stopped=lambda: True)


def test_splits_with_other_classes_do_not_go_together(
    segmenter: Segmenter, dataset: Dataset, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="same classes"):
        count_clusters(segmenter, open_dataset(None, kind="samples"), dataset, [30], size=SIZE)
