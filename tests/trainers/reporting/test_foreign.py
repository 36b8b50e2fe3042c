"""Predictions as files: a run's own, written out, changed and read again, give exact scores."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import accuracy_score, jaccard_score

from ppap.data import DataError, Dataset, open_dataset
from ppap.evaluation import per_image
from ppap.evaluation.foreign_report import maps_of
from ppap.evaluation.markdown import subject
from ppap.evaluation.metrics import Confusion, match
from ppap.evaluation.shape import misfit
from ppap.evaluation.source import read_square
from tests.support.small_segmenters import NAMES, write_folder
from tests.trainers.test_evaluate import save
from trainers.evaluate import main

SIZE, IMAGES = 64, 3


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """data, model.pt, its report beside it, and its predictions written out."""
    root = tmp_path_factory.mktemp("foreign")
    write_folder(root / "data", count=15)
    save(root / "model.pt")
    words = [str(root / "model.pt"), "--data", str(root / "data"), "--device", "cpu"]
    out = ["--json", str(root / "report.json"), "--write-predictions", str(root / "out")]
    assert main([*words, "--refine", "pamr", *out]) == 0
    return root


@pytest.fixture(scope="module")
def dataset(place: Path) -> Dataset:
    return open_dataset(place / "data", split="val")


def own(place: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((place / "report.json").read_text())
    return found


def score(place: Path, folder: Path, *words: str) -> dict[str, Any]:
    """The report of a folder of predictions."""
    file = folder.parent / f"{folder.name}.json"
    given = ["--predictions", str(folder), "--data", str(place / "data")]
    assert main([*given, "--json", str(file), "--workers", "0", *words]) == 0
    found: dict[str, Any] = json.loads(file.read_text())
    assert misfit(found) is None
    return found


def maps(place: Path, dataset: Dataset, kind: str) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Truth and what was written, image by image."""
    files = sorted((place / "out" / kind).rglob("*.png"))
    truth = {f"p{i}": index for index, i in enumerate(item.name[1:] for item in dataset.items)}
    chosen = [read_square(dataset, truth[file.stem], SIZE).labels for file in files]
    return chosen, [np.array(Image.open(file)) for file in files]


def test_a_runs_own_predictions_give_its_own_scores(place: Path, dataset: Dataset) -> None:
    ours = own(place)
    assert {one.name for one in (place / "out").iterdir()} == {
        f"{kind}{suffix}" for kind in ("clusters", "classes") for suffix in ("", "-pamr")
    }
    pairs = {"clusters": ours["cluster"], "clusters-pamr": ours["pamr"]["cluster"]}
    for kind, scores in pairs.items():
        found = score(place, place / "out" / kind)
        for name in ("accuracy", "miou", "iou", "confusion"):
            assert found["cluster"][name] == scores[name]
        assert found["linear"] is None
        assert found["predictions"]["fits"]["square"] == len(dataset) == IMAGES
    found = score(place, place / "out/clusters")
    for mine, theirs in zip(ours["images"], found["images"], strict=True):
        assert (mine["index"], mine["cluster"]) == (theirs["index"], theirs["cluster"])
    assert found["borders"]["cluster"] == ours["borders"]["cluster"]
    assert found["size"] == SIZE  # that of the files
    assert any(
        "are squares of 64 pixels: each is assumed to show the centre" in n for n in found["notes"]
    )
    assert f"{len(found['predictions']['values'])} clusters, predicted" in subject(found)
    found["predictions"]["clusters"] = 1
    assert "; 1 cluster, predicted by another method" in subject(found)
    classes = score(place, place / "out/classes", "--predictions-are", "classes")
    assert classes["cluster"]["confusion"] == ours["linear"]["confusion"]
    assert classes["cluster"]["iou"] == ours["linear"]["iou"]
    assert classes["predictions"]["map"] == "given"


def test_changed_predictions_give_exactly_what_their_pixels_say(
    place: Path, dataset: Dataset, tmp_path: Path
) -> None:
    """Numbers renamed, some pixels changed, some without a prediction; 16 bits."""
    truth, written = maps(place, dataset, "clusters")
    names = [file.stem for file in sorted((place / "out/clusters").rglob("*.png"))]
    renamed = np.array([300, 7, 12])
    chance = np.random.default_rng(0)
    changed = []
    for name, numbers in zip(names, written, strict=True):
        numbers = np.where(chance.random(numbers.shape) < 0.2, chance.integers(0, 3), numbers)
        numbers = renamed[numbers]
        numbers[:5] = 65_535
        Image.fromarray(numbers.astype(np.uint16)).save(tmp_path / f"{name}.png")
        changed.append(numbers)
    found = score(place, tmp_path)
    t, p = (np.concatenate([one.ravel() for one in some]) for some in (truth, changed))
    t, p = t[t >= 0], p[t >= 0]
    table = Confusion(3, 3)
    for place_, value in enumerate((7, 12, 300)):
        table.counts[:, place_] = torch.from_numpy(np.bincount(t[p == value], minlength=3))
    meaning = dict(zip((7, 12, 300), match(table).tolist(), strict=True)) | {65_535: -1}
    said = np.vectorize(meaning.get)(p)
    assert found["predictions"]["values"] == [7, 12, 300]
    assert found["predictions"]["unpredicted"] == (said == -1).sum() > 0
    assert found["cluster"]["accuracy"] == pytest.approx(100 * accuracy_score(t, said))
    iou = jaccard_score(t, said, labels=range(3), average=None)
    assert list(found["cluster"]["iou"].values()) == pytest.approx((100 * iou).tolist())
    assert found["cluster"]["miou"] == pytest.approx(100 * iou.mean())
    assert "of the pixels have no prediction and count as wrong." in " ".join(found["notes"])


def test_more_clusters_than_classes_take_the_class_they_hold_most(
    place: Path, dataset: Dataset, tmp_path: Path
) -> None:
    truth, _ = maps(place, dataset, "clusters")
    chance = np.random.default_rng(1)
    for name, labels in zip(sorted(item.name for item in dataset.items), truth, strict=True):
        numbers = 2 * labels.clip(0) + chance.integers(0, 2, labels.shape)
        numbers[chance.random(labels.shape) < 0.1] = 9
        Image.fromarray(numbers.astype(np.uint8)).save(tmp_path / f"{name}.png")
    found = score(place, tmp_path)
    assert found["predictions"]["map"] == "many-to-one"
    assert found["predictions"]["clusters"] == 7
    assert found["cluster"]["assignment"][:6] == [0, 0, 1, 1, 2, 2]
    assert found["cluster"]["accuracy"] > 90
    assert found["notes"][0].startswith("Reservation: each of the 7 clusters takes the class")
    strict = score(place, tmp_path, "--map", "one-to-one")
    assert strict["cluster"]["accuracy"] == found["predictions"]["one_to_one"]["accuracy"] < 60
    assert "Reservation" not in " ".join(strict["notes"])


def test_pictures_come_from_the_files(place: Path, dataset: Dataset, tmp_path: Path) -> None:
    found = score(place, place / "out/clusters", "--pictures", str(tmp_path))
    assert "predicted by another method" in (tmp_path / "report.html").read_text()
    assert len(list(tmp_path.glob("*-1-*.png"))) == 3
    assert per_image.read(found, tmp_path / "report.json") is not None
    written = dict(zip(("p0", "p1", "p2"), maps(place, dataset, "clusters")[1], strict=False))
    for one in found["images"]:
        example, truth, drawn = maps_of(found, place / "out/clusters", dataset, one["index"])
        assert truth.tolist() == read_square(dataset, one["index"], SIZE).labels.tolist()
        raw = np.array(Image.open(place / "out/clusters" / one["file"]))
        values = found["predictions"]["values"]
        meaning = dict(zip(values, found["cluster"]["assignment"], strict=False))
        assert drawn["cluster"].tolist() == np.vectorize(meaning.get)(raw).tolist()
        right = (drawn["cluster"] == truth)[truth >= 0].mean()
        assert one["cluster"]["accuracy"] == pytest.approx(100 * right)
        assert example.photo.rgb.ndim == 3
    assert written


def test_drawing_refuses_what_has_changed_or_leaves_the_folder(
    place: Path, dataset: Dataset, tmp_path: Path
) -> None:
    found = score(place, place / "out/clusters")
    first = found["images"][0]
    other = tmp_path / "p"
    file = other / first["file"]
    file.parent.mkdir(parents=True)
    Image.new("L", (SIZE, SIZE), 99).save(file)
    with pytest.raises(DataError, match="has changed since this report was made"):
        maps_of(found, other, dataset, first["index"])
    for outside in ("../x.png", "/etc/x.png", ""):
        odd = {**found, "images": [{**first, "file": outside}]}
        with pytest.raises(DataError, match="does not contain everything its report mentions"):
            maps_of(odd, other, dataset, first["index"])


def test_images_without_a_prediction(
    place: Path, dataset: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = sorted((place / "out/clusters").rglob("*.png"))
    for file in files[1:]:
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "strange.png").write_bytes(files[0].read_bytes())
    given = ["--predictions", str(tmp_path), "--data", str(place / "data"), "--size", str(SIZE)]
    assert main(given) == 2
    assert f"lacks the predictions for 1 of 3 images: {files[0].stem}" in capsys.readouterr().err
    found = score(place, tmp_path, "--on-error", "skip")
    assert len(found["images"]) == 2
    assert [one["name"] for one in found["skipped"]] == [files[0].stem]
    notes = " ".join(found["notes"])
    assert f"1 of 3 images do not count; the first, {files[0].stem}" in notes
    assert "1 file fits no image of the split: strange.png." in notes


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda file: file.write_bytes(file.read_bytes()[:60]), "damaged or cut short"),
        (lambda file: file.write_bytes(b""), "empty file"),
        (lambda file: Image.new("L", (7, 50)).save(file), "7×50 pixels"),
        (lambda file: Image.new("RGB", (SIZE, SIZE)).save(file), "is a colour image"),
    ],
)
def test_predictions_that_cannot_be_used_are_left_out_if_asked(
    damage: Callable[[Path], object],
    reason: str,
    place: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    files = sorted((place / "out/clusters").rglob("*.png"))
    for file in files:
        (tmp_path / file.name).write_bytes(file.read_bytes())
    damage(tmp_path / files[0].name)
    # What cannot be read does not tell the size of the others, either.
    size = ["--size", str(SIZE)] if "pixels" in reason else []
    given = ["--predictions", str(tmp_path), "--data", str(place / "data"), *size]
    made = tmp_path / "report.json"
    assert main([*given, "--json", str(made)]) == 2
    assert reason in capsys.readouterr().err
    assert main([*given, "--json", str(made), "--on-error", "skip"]) == 0
    found = json.loads(made.read_text())
    assert len(found["images"]) == 2
    (left_out,) = found["skipped"]
    assert left_out["name"] == files[0].stem
    assert reason in left_out["reason"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--refine", "pamr"], "--refine needs a checkpoint"),
        (["--mirror"], "--mirror needs a checkpoint"),
        (["--clusters", "9"], "--clusters needs a checkpoint"),
        (["--starts", "2"], "--starts needs a checkpoint"),
        (["--train-split", "train"], "--train-split needs a checkpoint"),
        (["--protocol", "half_evaluation"], "--protocol half_evaluation needs a checkpoint"),
        (["{place}/model.pt"], "Give either a run or checkpoint, or --predictions, but not both."),
        (["--map", "one-to-one", "--predictions-are", "classes"], "--map is for clusters"),
        (["--predictions", "{place}/data/labels", "--predictions-are", "classes"], "contains 255"),
        (["--predictions", "{place}/nothing"], "is not a folder"),
        (["--size", "63"], "nor the evaluated square of 63 pixels"),
    ],
)
def test_what_files_cannot_have_is_refused(
    place: Path, words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--predictions", f"{place}/out/clusters", "--data", f"{place}/data"]
    given += ["--size", str(SIZE), "--ignore", "200"]
    assert main([*given, *(word.format(place=place) for word in words)]) == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize(
    "words", [["--predictions-are", "classes"], ["--map", "one-to-one"], ["--ignore", "0"]]
)
def test_what_a_checkpoint_cannot_have_is_refused(
    place: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([f"{place}/model.pt", "--data", f"{place}/data", *words]) == 2
    assert f"{words[0]} applies only to --predictions." in capsys.readouterr().err


def test_something_must_be_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--data", "x"])
    assert ended.value.code == 2
    assert "give a run's folder or a checkpoint, or --predictions DIR" in capsys.readouterr().err


def test_classes_may_be_of_the_label_maps_size(place: Path, dataset: Dataset) -> None:
    """The truth itself, as files of classes, is all right."""
    found = score(place, place / "data/labels", "--predictions-are", "classes")
    assert found["size"] == 320
    found = score(place, place / "data/labels", "--predictions-are", "classes", "--size", "64")
    assert found["cluster"]["accuracy"] == 100
    assert found["predictions"]["fits"]["same"] == IMAGES
    assert found["predictions"]["extra"] == 15 - IMAGES  # of the other split
    assert list(found["cluster"]["iou"]) == list(NAMES)
