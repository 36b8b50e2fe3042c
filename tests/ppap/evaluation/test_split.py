"""Whole splits against scikit-learn, all possible matchings, and the CRF image by image."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from ppap.data import DataError, Dataset, open_dataset, square, square_labels
from ppap.evaluation import split as module
from ppap.evaluation.crf import CrfPool, smooth
from ppap.evaluation.metrics import Confusion
from ppap.evaluation.pamr import Pamr, pamr
from ppap.evaluation.source import (
    EvaluationBatch,
    as_images,
    batches_of,
    in_order,
    labelled,
    read_square,
)
from ppap.evaluation.split import (
    EvaluationStoppedError,
    SplitScores,
    evaluate_batches,
    evaluate_split,
)
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
    return small_segmenter(extra_clusters=1)


@pytest.fixture(scope="module")
def pool() -> Iterator[CrfPool]:
    with CrfPool(2) as made:
        yield made


@pytest.fixture(scope="module")
def found(segmenter: Segmenter, dataset: Dataset, pool: CrfPool) -> SplitScores:
    return evaluate_split(segmenter, dataset, size=SIZE, batch=2, refiners=[pool])


def truth_and_predictions(
    segmenter: Segmenter, dataset: Dataset, *, crf: bool
) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Labels, clusters and classes of each labelled image, one image at a time."""
    result = []
    for index in range(5):
        example = dataset.load(index)
        assert example.labels is not None
        rgb = square(example.photo.rgb, SIZE)
        image = torch.from_numpy(rgb).permute(2, 0, 1)[None] / 255
        said = segmenter.predict(image, log_probabilities=True)
        clusters, classes = said.clusters[0], said.classes[0]
        if crf:
            assert said.cluster_log_probabilities is not None
            assert said.class_log_probabilities is not None
            clusters = smooth(rgb, said.cluster_log_probabilities[0]).argmax(0)
            classes = smooth(rgb, said.class_log_probabilities[0]).argmax(0)
        labels = square_labels(example.labels, SIZE)
        result.append((labels, clusters.numpy(), classes.numpy()))
    return result


def by_hand(truth: np.ndarray, predicted: np.ndarray, best: bool) -> tuple[float, float, list[int]]:
    """Accuracy, mIoU and assignment with scikit-learn's matrix and every possible matching."""
    from sklearn.metrics import confusion_matrix

    known = truth >= 0
    matrix = confusion_matrix(truth[known], predicted[known], labels=range(4))[:3]
    # Four clusters for three classes: the one in place 3 of a permutation is left over.
    orders = itertools.permutations(range(4)) if best else [(0, 1, 2, 3)]
    order = max(orders, key=lambda o: sum(matrix[c, o[c]] for c in range(3)))
    assignment = [-1] * 4
    for c in range(3):
        assignment[order[c]] = c
    right = np.array([matrix[c, order[c]] for c in range(3)])
    columns = np.array([matrix[:, order[c]].sum() for c in range(3)])
    iou = right / (matrix.sum(1) + columns - right)
    return 100 * right.sum() / matrix.sum(), 100 * float(np.nanmean(iou)), assignment


@pytest.mark.parametrize("crf", [False, True])
def test_scores_equal_those_worked_out_from_all_pixels(
    segmenter: Segmenter, dataset: Dataset, found: SplitScores, crf: bool
) -> None:
    parts = truth_and_predictions(segmenter, dataset, crf=crf)
    truth, clusters, classes = (
        np.concatenate([p.ravel() for p in ps]) for ps in zip(*parts, strict=True)
    )
    assert (truth < 0).any()
    cluster = found.refined["crf"].cluster if crf else found.cluster
    linear = found.refined["crf"].linear if crf else found.linear
    assert cluster is not None
    assert linear is not None
    accuracy, miou, assignment = by_hand(truth, clusters, best=True)
    assert (cluster.accuracy, cluster.miou) == pytest.approx((accuracy, miou))
    assert cluster.assignment.tolist() == assignment
    accuracy, miou, _ = by_hand(truth, classes, best=False)
    assert (linear.accuracy, linear.miou) == pytest.approx((accuracy, miou))
    # The case is worth something only if everything differs.
    assert len({cluster.accuracy, linear.accuracy, found.cluster.miou, found.linear.miou}) > 2


@pytest.mark.parametrize("crf", [False, True])
def test_images_are_scored_under_the_splits_assignment(
    segmenter: Segmenter, dataset: Dataset, found: SplitScores, crf: bool
) -> None:
    whole = found.refined["crf"].cluster if crf else found.cluster
    assert whole is not None
    assignment = whole.assignment.numpy()
    right = known = 0
    for one, (labels, clusters, _) in zip(
        found.images, truth_and_predictions(segmenter, dataset, crf=crf), strict=True
    ):
        measures = one.refined["crf"].cluster if crf else one.cluster
        assert measures is not None
        pixels = labels >= 0
        hits = (assignment[clusters] == labels)[pixels].sum()
        assert measures.accuracy == pytest.approx(100 * hits / pixels.sum())
        right, known = right + hits, known + pixels.sum()
    assert whole.accuracy == pytest.approx(100 * right / known)


def test_which_images_were_scored(dataset: Dataset, found: SplitScores) -> None:
    assert [one.index for one in found.images] == [0, 1, 2, 3, 4]
    assert [one.name for one in found.images] == [f"p{i}" for i in range(5)]
    assert set(itertools.chain(*found.groups)) == set(NAMES)


def test_without_a_crf(segmenter: Segmenter, dataset: Dataset, found: SplitScores) -> None:
    plain = evaluate_split(segmenter, dataset, size=SIZE, batch=3, workers=0)
    assert plain.refined == {}
    assert plain.images[0].refined == {}
    assert plain.cluster.record() == found.cluster.record()
    assert plain.linear.record() == found.linear.record()


def test_few_images_at_a_time_change_nothing(
    segmenter: Segmenter,
    dataset: Dataset,
    pool: CrfPool,
    found: SplitScores,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "LOGS_BYTES", 1)  # one image's log-probabilities at once
    again = evaluate_split(segmenter, dataset, size=SIZE, batch=4, refiners=[pool])
    assert again.refined["crf"].cluster.record() == found.refined["crf"].cluster.record()
    assert again.images == found.images


def test_kept_trunk_outputs_give_the_same(
    segmenter: Segmenter, dataset: Dataset, found: SplitScores
) -> None:
    def kept() -> Iterator[EvaluationBatch]:
        for batch in batches_of(dataset, labelled(dataset), size=SIZE, batch=2):
            assert isinstance(batch.inputs, Tensor)
            yield batch._replace(inputs=segmenter.trunk(batch.inputs), rgb=None)

    again = evaluate_batches(segmenter, kept(), NAMES)
    assert again.cluster.record() == found.cluster.record()
    assert again.linear.record() == found.linear.record()


def test_a_crf_needs_pictures(segmenter: Segmenter, dataset: Dataset, pool: CrfPool) -> None:
    batches = (b._replace(rgb=None) for b in batches_of(dataset, [0], size=SIZE))
    with pytest.raises(ValueError, match="needs the images"):
        evaluate_batches(segmenter, batches, NAMES, refiners=[pool])


def test_some_items_and_progress(segmenter: Segmenter, dataset: Dataset) -> None:
    told: list[tuple[int, int]] = []
    some = evaluate_split(
        segmenter,
        dataset,
        size=SIZE,
        indices=[4, 1, 5],  # 5 has no labels
        progress=lambda done, total: told.append((done, total)),
    )
    assert [one.index for one in some.images] == [4, 1]
    assert told == [(1, 2), (2, 2)]


@pytest.mark.parametrize("crf", [False, True])
def test_it_can_be_stopped(
    segmenter: Segmenter, dataset: Dataset, pool: CrfPool, crf: bool
) -> None:
    told: list[int] = []
    with pytest.raises(EvaluationStoppedError):
        evaluate_split(
            segmenter,
            dataset,
            size=SIZE,
            batch=1,
            refiners=[pool] if crf else [],
            progress=lambda done, total: told.append(done),
            stopped=lambda: len(told) == 2,
        )
    assert told == [1, 2]


def test_whether_it_trains_meanwhile_does_not_matter(
    dataset: Dataset, segmenter: Segmenter, found: SplitScores
) -> None:
    segmenter.train()
    try:
        again = evaluate_split(segmenter, dataset, size=SIZE)
        assert segmenter.training
        assert again.cluster.record() == found.cluster.record()
    finally:
        segmenter.eval()


def test_nothing_labelled(segmenter: Segmenter, dataset: Dataset) -> None:
    with pytest.raises(DataError, match="has no label maps in its split 'all'"):
        evaluate_split(segmenter, dataset, indices=[5])
    with pytest.raises(ValueError, match="no images to evaluate"):
        evaluate_batches(segmenter, [], NAMES)
    with pytest.raises(IndexError, match="item 6 does not exist"):
        evaluate_split(segmenter, dataset, indices=[6])


def test_another_number_of_classes(dataset: Dataset) -> None:
    with pytest.raises(ValueError, match="knows 4 classes, but the data set has 3"):
        evaluate_split(small_segmenter(classes=4), dataset, size=SIZE)


def test_counts_are_checked(segmenter: Segmenter, dataset: Dataset) -> None:
    with pytest.raises(ValueError, match="batch must be a whole number, 1 or more"):
        evaluate_split(segmenter, dataset, size=SIZE, batch=0)
    with pytest.raises(ValueError, match="workers must be a whole number, 0 or more"):
        evaluate_split(segmenter, dataset, size=SIZE, workers=-1)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_damaged_file_is_named(segmenter: Segmenter, tmp_path: Path, workers: int) -> None:
    write_folder(tmp_path, count=4)
    (tmp_path / "images/p2.png").write_bytes(b"no picture")
    data = open_dataset(tmp_path, split="all")
    with pytest.raises(DataError, match=r"images/p2\.png is not an image"):
        evaluate_split(segmenter, data, size=SIZE, workers=workers)


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_batches_come_in_order(dataset: Dataset, workers: int) -> None:
    order = [3, 0, 4, 2, 1]
    batches = list(batches_of(dataset, order, size=SIZE, batch=2, workers=workers))
    assert [batch.indices for batch in batches] == [(3, 0), (4, 2), (1,)]
    for batch in batches:
        assert isinstance(batch.inputs, Tensor)
        assert batch.rgb is not None
        for place, index in enumerate(batch.indices):
            example = dataset.load(index)
            assert example.labels is not None
            rgb = square(example.photo.rgb, SIZE)
            assert np.array_equal(batch.rgb[place], rgb)
            assert torch.equal(batch.inputs[place], torch.from_numpy(rgb).permute(2, 0, 1) / 255)
            assert np.array_equal(batch.labels[place], square_labels(example.labels, SIZE))
            assert batch.names[place] == f"p{index}"


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_reading_keeps_a_little_ahead_only(workers: int) -> None:
    begun: list[int] = []

    def read(index: int) -> int:
        begun.append(index)
        return index

    results = in_order(read, range(200), ahead=4, workers=workers)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    known = -1
    while known < len(begun):  # until the threads have nothing left to do
        known = len(begun)
        time.sleep(0.05)
    assert len(begun) <= 3 + 4
    results.close()
    assert len(begun) <= 3 + 4


def test_what_cannot_be_read_is_skipped_and_counted(segmenter: Segmenter, tmp_path: Path) -> None:
    write_folder(tmp_path, count=6)
    data = open_dataset(tmp_path, split="all")
    wanted = evaluate_split(segmenter, data, size=SIZE, batch=2, indices=[0, 2, 5])
    for broken in (1, 3, 4):
        data.items[broken].image.write_text("no picture")
    with pytest.raises(DataError, match="is not an image"):
        evaluate_split(segmenter, data, size=SIZE, batch=2)
    forgiving = replace(data, on_error="skip")
    told: list[tuple[int, int]] = []
    # One batch is smaller, another one empty.
    for batch in (1, 2, 4):
        found = evaluate_split(
            segmenter, forgiving, size=SIZE, batch=batch, progress=lambda *at: told.append(at)
        )
        assert [image.index for image in found.images] == [0, 2, 5]
        assert [one.index for one in found.skipped] == [1, 3, 4]
        assert all(one.name in one.reason for one in found.skipped)
        for one, other in zip(found[:2], wanted[:2], strict=True):
            assert one is not None
            assert other is not None
            assert torch.equal(one.confusion, other.confusion)
    assert told[-1] == (6, 6)
    for item in data.items:
        item.image.write_text("no picture")
    with pytest.raises(DataError, match="is not an image"):
        evaluate_split(segmenter, forgiving, size=SIZE)


def test_two_refinements_are_each_measured_by_itself(
    segmenter: Segmenter, dataset: Dataset, pool: CrfPool, found: SplitScores
) -> None:
    both = evaluate_split(segmenter, dataset, size=SIZE, refiners=[pool, Pamr()])
    alone = evaluate_split(segmenter, dataset, size=SIZE, refiners=[Pamr()])
    assert both.refined["crf"].linear.record() == found.refined["crf"].linear.record()
    assert both.refined["pamr"].linear.record() == alone.refined["pamr"].linear.record()
    assert [one.refined["pamr"] for one in both.images] == [
        one.refined["pamr"] for one in alone.images
    ]
    by_hand = Confusion(len(NAMES), len(NAMES))
    for index in range(len(alone.images)):
        square = read_square(dataset, index, SIZE)
        said = segmenter.predict(as_images(square.rgb[None]), log_probabilities=True)
        assert said.class_log_probabilities is not None
        refined = pamr(square.rgb, said.class_log_probabilities[0]).argmax(dim=0)
        by_hand.update(torch.from_numpy(square.labels), refined)
    assert torch.equal(alone.refined["pamr"].linear.confusion[:, : len(NAMES)], by_hand.counts)


def test_mirrored_images_have_the_same_scores_under_a_mirror(
    segmenter: Segmenter, dataset: Dataset, found: SplitScores
) -> None:
    def turned() -> Iterator[EvaluationBatch]:
        for batch in batches_of(dataset, labelled(dataset), size=SIZE, batch=2):
            assert isinstance(batch.inputs, Tensor)
            yield batch._replace(inputs=batch.inputs.flip(3), labels=batch.labels.flip(2))

    mirror = Inference(mirror=True)
    once = evaluate_split(segmenter, dataset, size=SIZE, inference=mirror)
    again = evaluate_batches(segmenter, turned(), NAMES, inference=mirror)
    assert again.linear.accuracy == pytest.approx(once.linear.accuracy, abs=0.2)
    assert once.linear.record() != found.linear.record()
    kept = (
        batch._replace(inputs=segmenter.trunk(batch.inputs))  # type: ignore[arg-type]
        for batch in batches_of(dataset, labelled(dataset), size=SIZE, batch=2)
    )
    with pytest.raises(ValueError, match="need the images"):
        evaluate_batches(segmenter, kept, NAMES, inference=mirror)


def test_every_images_counts_make_the_scores(found: SplitScores) -> None:
    counts = found.counts
    assert counts is not None
    assert counts.indices.tolist() == [one.index for one in found.images]
    assert set(counts.kinds) == {"cluster", "linear", "cluster_crf", "linear_crf"}
    wholes = {
        "cluster": found.cluster,
        "linear": found.linear,
        "cluster_crf": found.refined["crf"].cluster,
        "linear_crf": found.refined["crf"].linear,
    }
    for name, whole in wholes.items():
        assert counts.kinds[name].confusion().tolist() == whole.confusion.tolist()
    assert counts.kinds["linear"].accuracy().tolist() == pytest.approx(
        [one.linear.accuracy for one in found.images]
    )


def test_borders_are_set_apart_in_the_same_pass(
    segmenter: Segmenter, dataset: Dataset, found: SplitScores
) -> None:
    borders = found.borders
    assert borders is not None
    assert borders["width"] == 5
    for probe, whole in (("cluster", found.cluster), ("linear", found.linear)):
        parts = borders[probe]
        right = sum(one["accuracy"] * one["pixels"] for one in parts.values())
        pixels = sum(one["pixels"] for one in parts.values())
        assert parts["border"]["pixels"]
        assert pixels == whole.confusion.sum()
        assert right / pixels == pytest.approx(whole.accuracy)
    refined = borders["crf"]["cluster"]["border"]
    assert refined["pixels"] == borders["cluster"]["border"]["pixels"]
    assert evaluate_split(segmenter, dataset, size=SIZE, border_width=0).borders is None
