from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from ppap.data import VOID_COLOUR
from ppap.evaluation.source import read_square
from ppap.evaluation.split import EvaluationStoppedError, evaluate_split
from tests.support.small_runs import ALONE, SIZE, Place
from trainers.runs.folder import Run
from trainers.training.prepare import prepare
from trainers.training.validation import PICTURED, Validation


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("validation"), images=16)


def validation(place: Place, folder: Path, **changes: Any) -> Validation:
    config = place.config(**changes)
    made = prepare(config, place.data, world=ALONE, cache_root=place.cache, stopped=lambda: False)
    with torch.no_grad():  # so that the classes differ
        made.segmenter.linear_probe.weight.normal_(generator=torch.Generator().manual_seed(0))
    folder.mkdir(exist_ok=True)
    return Validation(config, made, Run(folder), world=ALONE)


@pytest.mark.parametrize("cache", ["off", "on"])
@pytest.mark.parametrize("selection", ["last", "held_out", "evaluation"])
def test_scores_are_those_of_the_evaluation(
    place: Place, tmp_path: Path, selection: str, cache: str
) -> None:
    made = validation(place, tmp_path, selection=selection, held_out=0.3, cache=cache)
    found = made.run_at(5, stopped=lambda: False)
    assert found is not None
    splits = made.prepared.splits
    dataset = splits.held_out if selection == "held_out" else splits.evaluation
    assert dataset is not None
    wanted = evaluate_split(made.prepared.segmenter, dataset, size=SIZE)
    loose = 0.5 if cache == "on" else 1e-9
    assert found.numbers == {
        "split": "held out" if selection == "held_out" else "val",
        "cluster_accuracy": pytest.approx(wanted.cluster.accuracy, abs=loose),
        "cluster_miou": pytest.approx(wanted.cluster.miou, abs=loose),
        "linear_accuracy": pytest.approx(wanted.linear.accuracy, abs=loose),
        "linear_miou": pytest.approx(wanted.linear.miou, abs=loose),
    }
    numbers = [value for value in found.numbers.values() if isinstance(value, float)]
    assert found.score == pytest.approx(sum(numbers))
    assert (made.cache is not None) is (cache == "on")
    # A second time nothing is cached again.
    cached = made.cache
    again = made.run_at(6, stopped=lambda: False)
    assert again == found
    assert made.cache is cached
    made.close()


def test_pictures_of_the_same_few_images(place: Place, tmp_path: Path) -> None:
    made = validation(place, tmp_path, selection="held_out", held_out=0.45, eval_size=48)
    for step in (5, 10):
        made.run_at(step, stopped=lambda: False)
    files = sorted(file.name for file in (tmp_path / "pictures").glob("*.png"))
    assert files == [
        f"step-{step:08d}-image-{image:04d}.png" for step in (5, 10) for image in range(PICTURED)
    ]
    drawn = np.array(Image.open(tmp_path / "pictures" / files[1]))
    assert drawn.shape == (48, 4 * 48, 3)
    dataset = made.dataset
    assert dataset is not None
    one = read_square(dataset, 1, 48)
    photo, truth, clusters, classes = np.split(drawn, 4, axis=1)
    assert np.array_equal(photo, one.rgb)
    colours = np.array([*made.prepared.class_list.colours, VOID_COLOUR])
    assert np.array_equal(truth, colours[one.labels])
    assert (one.labels == -1).any()
    segmenter = made.prepared.segmenter
    said = segmenter.predict(torch.from_numpy(one.rgb).permute(2, 0, 1)[None].float() / 255)
    assert np.array_equal(classes, colours[said.classes[0].numpy()])
    assignment = evaluate_split(segmenter, dataset, size=48).cluster.assignment
    assert np.array_equal(clusters, colours[assignment[said.clusters[0]].numpy()])


def test_stopping(place: Place, tmp_path: Path) -> None:
    made = validation(place, tmp_path)
    with pytest.raises(EvaluationStoppedError):
        made.run_at(5, stopped=lambda: True)
    assert not (tmp_path / "pictures").exists()
    building = validation(place, tmp_path, cache="on", eval_size=80)
    with pytest.raises(EvaluationStoppedError):
        building.run_at(5, stopped=lambda: True)
    assert building.run_at(5, stopped=lambda: False) is not None
    building.close()


def test_nothing_to_validate_on(tmp_path: Path) -> None:
    bare = Place(tmp_path, images=12)
    for file in (bare.data / "labels").iterdir():
        file.unlink()
    made = validation(bare, tmp_path / "run")
    assert made.run_at(5, stopped=lambda: False) is None
