"""Counts of every image against the pixels themselves; files that are not what they should be."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import confusion_matrix, jaccard_score
from torch import Tensor

from ppap.evaluation import per_image
from ppap.evaluation.metrics import match
from ppap.evaluation.per_image import Kind, PerImage, file_beside, read, write
from ppap.evaluation.report import write_json
from ppap.evaluation.tally import Tally, ready

CLASSES, CLUSTERS, IMAGES = 5, 7, 4


def some_maps(seed: int = 0) -> list[tuple[Tensor, Tensor]]:
    """Truth and clusters of four images; class 4 is in the last alone, the third is all void."""
    chance = torch.Generator().manual_seed(seed)
    made = []
    for place in range(IMAGES):
        truth = torch.randint(-1, CLASSES - 1, (9, 11), generator=chance)
        if place == 2:
            truth[:] = -1
        if place == IMAGES - 1:
            truth[:3] = CLASSES - 1
        noise = torch.randint(0, CLUSTERS, truth.shape, generator=chance)
        right = torch.rand(truth.shape, generator=chance) < 0.5
        made.append((truth, torch.where(right & (truth >= 0), truth + 2, noise)))
    return made


def counted(maps: list[tuple[Tensor, Tensor]]) -> tuple[Kind, np.ndarray]:
    """Their counts, and the class of each cluster."""
    tally = Tally(CLASSES, CLUSTERS)
    for truth, clusters in maps:
        tally.add(ready(truth, CLASSES), clusters)
    assignment = match(tally.whole)
    return tally.kind(assignment), assignment.numpy()


@pytest.fixture(scope="module")
def maps() -> list[tuple[Tensor, Tensor]]:
    return some_maps()


@pytest.fixture(scope="module")
def kind(maps: list[tuple[Tensor, Tensor]]) -> Kind:
    return counted(maps)[0]


@pytest.fixture(scope="module")
def pixels(maps: list[tuple[Tensor, Tensor]]) -> list[tuple[np.ndarray, np.ndarray]]:
    """True and predicted class of every pixel that counts, image by image."""
    assignment = counted(maps)[1]
    assert sorted(assignment.tolist()) == [-1, -1, 0, 1, 2, 3, 4]
    return [
        (truth[truth >= 0].numpy(), assignment[clusters[truth >= 0].numpy()])
        for truth, clusters in maps
    ]


@pytest.mark.parametrize("truth", [None, 0, 4])
@pytest.mark.parametrize("predicted", [None, per_image.NO_CLASS, 0, 3])
def test_pixels_of_a_cell(
    kind: Kind,
    pixels: list[tuple[np.ndarray, np.ndarray]],
    truth: int | None,
    predicted: int | None,
) -> None:
    every, wrong = [], []
    for t, p in pixels:
        cell = np.ones(len(t), bool) if truth is None else t == truth
        if predicted is not None:
            cell = cell & (p == predicted)
        every.append(int(cell.sum()))
        wrong.append(int((cell & (t != p)).sum()))
    assert kind.pixels(truth, predicted).tolist() == every
    assert kind.wrong(truth, predicted).tolist() == wrong


def test_measures_of_every_image(kind: Kind, pixels: list[tuple[np.ndarray, np.ndarray]]) -> None:
    for place, (t, p) in enumerate(pixels):
        for c in range(CLASSES):
            if len(t) and ((t == c) | (p == c)).any():
                expected = 100 * jaccard_score(t == c, p == c)
                assert kind.iou(c)[place] == pytest.approx(expected)
            else:
                assert np.isnan(kind.iou(c)[place])
        if len(t):
            assert kind.accuracy()[place] == pytest.approx(100 * (t == p).mean())
    assert np.isnan(kind.accuracy()[2])


@pytest.mark.parametrize("places", [None, [1], [3, 0, 3], []])
def test_confusions_add_up(
    kind: Kind, pixels: list[tuple[np.ndarray, np.ndarray]], places: list[int] | None
) -> None:
    chosen = range(IMAGES) if places is None else places
    expected = np.zeros((CLASSES, CLASSES + 1), int)
    for place in chosen:
        t, p = pixels[place]
        if len(t):
            p = np.where(p < 0, CLASSES, p)
            expected += confusion_matrix(t, p, labels=range(CLASSES + 1))[:CLASSES]
    assert kind.confusion(places).tolist() == expected.tolist()


def test_what_scores_are_made_of(kind: Kind, pixels: list[tuple[np.ndarray, np.ndarray]]) -> None:
    right, true, predicted = kind.by_class()
    for place, (t, p) in enumerate(pixels):
        assert true[place].tolist() == np.bincount(t, minlength=CLASSES).tolist()
        assert right[place].tolist() == np.bincount(t[t == p], minlength=CLASSES).tolist()
        assert predicted[place].tolist() == np.bincount(p[p >= 0], minlength=CLASSES).tolist()


def test_classes_that_are_none_are_refused(kind: Kind) -> None:
    for wrong in ({"truth": -1}, {"truth": CLASSES}, {"predicted": -2}, {"predicted": CLASSES}):
        with pytest.raises(ValueError, match="there is no class"):
            kind.pixels(**wrong)


def kept(kind: Kind) -> tuple[PerImage, dict[str, Any]]:
    """Counts, and as much of a report as belongs to them."""
    made = PerImage(np.array([0, 2, 5, 7]), {"cluster": kind, "cluster_crf": kind})
    images = [{"index": int(i)} for i in made.indices]
    return made, {"images": images, per_image.KEY: {"stamp": made.stamp}}


def test_files_give_back_what_was_written(kind: Kind, tmp_path: Path) -> None:
    made, report = kept(kind)
    write_json(report, tmp_path / "report.json", made)
    write_json(report, tmp_path / "scores.json", made)
    names = ["images.npz", "report.json", "scores.images.npz", "scores.json"]
    assert sorted(one.name for one in tmp_path.iterdir()) == names
    for name in ("report.json", "scores.json"):
        stored = json.loads((tmp_path / name).read_text())
        found = read(stored, tmp_path / name)
        assert found is not None
        assert found.indices.tolist() == [0, 2, 5, 7]
        assert list(found.kinds) == ["cluster", "cluster_crf"]
        assert found.kinds["cluster_crf"].confusion().tolist() == kind.confusion().tolist()
        assert found.stamp == made.stamp


def test_counts_of_another_evaluation_are_not_taken(kind: Kind, tmp_path: Path) -> None:
    made, report = kept(kind)
    file = tmp_path / "report.json"
    assert read(report, file) is None  # there are none
    write(made, file_beside(file))
    assert read(report, file) is not None
    assert read({**report, per_image.KEY: {"stamp": "f" * 32}}, file) is None
    assert read({"images": report["images"]}, file) is None  # of an older version
    assert read({**report, "images": report["images"][:-1]}, file) is None
    other = replace(made, kinds={"cluster": counted(some_maps(1))[0]})
    assert other.stamp != made.stamp


def test_damaged_files_are_none(kind: Kind, tmp_path: Path) -> None:
    made, report = kept(kind)
    file = tmp_path / "report.json"
    beside = file_beside(file)
    write(made, beside)
    whole = beside.read_bytes()
    for damaged in (b"", b"PK\x03\x04 no", whole[: len(whole) // 2], whole[:-30] + os.urandom(30)):
        beside.write_bytes(damaged)
        assert read(report, file) is None
    for place in range(0, len(whole), 5):  # zipfile and zlib complain in many ways
        beside.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        again = read(report, file)
        assert again is None or again.stamp == made.stamp
    out_of_range = replace(kind, pairs=kind.pairs + CLASSES * CLUSTERS)
    backwards = replace(kind, starts=kind.starts[::-1].copy())
    for wrong in (out_of_range, backwards, replace(kind, assignment=kind.assignment + 9)):
        odd = replace(made, kinds={"cluster": wrong})
        write(odd, beside)
        assert read({**report, per_image.KEY: {"stamp": odd.stamp}}, file) is None


def test_a_file_that_would_fill_the_memory_is_left_alone(
    kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, report = kept(kind)
    file = tmp_path / "report.json"
    write(made, file_beside(file))
    monkeypatch.setattr(per_image, "MOST_BYTES", 1000)
    assert read(report, file) is None


def test_many_classes_and_images_stay_small(tmp_path: Path) -> None:
    chance = np.random.default_rng(0)
    gathering = per_image.Gathering(150)
    for _ in range(2000):
        pairs = np.sort(chance.choice(150 * 150, 200, replace=False))
        gathering.add(pairs, chance.integers(1, 500, 200))
    big = gathering.kind(150, np.arange(150))
    assert big.pairs.nbytes + big.counts.nbytes == 2000 * 200 * 8
    made = PerImage(np.arange(2000), {"cluster": big})
    write(made, tmp_path / "images.npz")
    assert (tmp_path / "images.npz").stat().st_size < 2000 * 200 * 8
    assert big.confusion().sum() == big.counts.sum()
