"""The evaluate command, as other programs call it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from ppap.backbones import load_backbone
from ppap.checkpoints.opening import load_segmenter
from ppap.checkpoints.own import Checkpoint, load_checkpoint, save_checkpoint, weights_digest
from ppap.data import open_dataset, palette
from ppap.evaluation import per_image
from ppap.evaluation.borders import MOST_WIDTH, WIDTH
from ppap.evaluation.counting import count_clusters
from ppap.evaluation.crf import CrfPool
from ppap.evaluation.many_starts import from_many_starts
from ppap.evaluation.paired import Side, paired
from ppap.evaluation.pamr import Pamr
from ppap.evaluation.published import AsPublished
from ppap.evaluation.retrieval import Retrieval
from ppap.evaluation.shape import misfit
from ppap.evaluation.split import evaluate_split
from ppap.predictor import Predictor
from ppap.segmenter import Segmenter
from ppap.segmenter.inference import Inference
from tests.conftest import ROOT
from tests.ppap.checkpoints.test_published import CLASSES, Source, source
from tests.ppap.evaluation.test_distance_split import write_imagenet_s
from tests.support.small_segmenters import NAMES, write_folder
from trainers import evaluate
from trainers.evaluate import main
from trainers.reporting import report as reporting
from trainers.reporting.target import task_of
from trainers.reporting.wanted import Wanted
from trainers.runs.folder import Run

__all__ = ["source"]  # the fixture

SIZE = 64


def save(file: Path, names: tuple[str, ...] = NAMES, seed: int = 0, **config: Any) -> None:
    """An untrained segmenter on the embedded backbone."""
    backbone = load_backbone("embedded")
    torch.manual_seed(seed)
    segmenter = Segmenter(backbone, len(names))
    save_checkpoint(
        Checkpoint(
            trained=segmenter.trained(),
            backbone_digest=weights_digest(backbone),
            classes=names,
            colours=palette(len(names)),
            size=SIZE,
            step=9,
            config={"rule": "ppap", "selection": "last", **config},
        ),
        file,
    )


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    write_folder(root, count=15)
    return root


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, data: Path) -> Path:
    folder = tmp_path_factory.mktemp("run")
    save(folder / "checkpoints/last.pt", eval_split="val", train_split="train", dataset="folder")
    Run(folder).write_state("finished", data=str(data))
    return folder


def report_of(*arguments: object, folder: Path) -> Any:
    """What the command writes as JSON."""
    file = folder / "report.json"
    assert main([*map(str, arguments), "--json", str(file)]) == 0
    return json.loads(file.read_text(encoding="utf-8"))


def test_scores_are_those_of_the_split(
    run: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = report_of(run, "--data", data, "--crf", folder=tmp_path)
    loaded = load_segmenter(run / "checkpoints/last.pt")
    wanted = evaluate_split(loaded.segmenter, open_dataset(data, split="val"), size=SIZE)
    assert made["cluster"] == wanted.cluster.record()
    assert made["linear"] == wanted.linear.record()
    assert len(made["images"]) == 3
    assert (made["size"], made["step"], made["digest"]) == (SIZE, 9, loaded.digest)
    for probe in ("cluster", "linear"):
        for scores in (made[probe], made["crf"][probe]):
            assert {"accuracy", "miou", "iou"} <= set(scores)
            assert list(scores["iou"]) == list(NAMES)
    out, err = capsys.readouterr()
    assert f"| measured here           | {made['cluster']['accuracy']:5.1f} |" in out
    assert "measured here, with CRF" in out
    assert "Warning: the backbone, EfficientNet-Lite0" in out
    assert "Written" in err
    assert "Written" not in out


def test_a_run_knows_its_data(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(run.rglob("*"))
    assert main([str(run)]) == 0
    assert "split val: 3 images at 64 pixels" in capsys.readouterr().out
    assert sorted(run.rglob("*")) == before  # without --json and --pictures nothing is written


def test_a_run_with_steps_to_go_says_so(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    unfinished = tmp_path / "r"
    shutil.copytree(run, unfinished)
    for step, warned in ((9, True), (20, False)):
        Run(unfinished).write_state("stopped", step=step, steps=20)
        assert main([str(unfinished)]) == 0
        assert (
            f"Warning: {unfinished} is at training step 9 of 20" in capsys.readouterr().err
        ) is warned


def test_a_split_that_samples_do_not_have(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    classes = open_dataset(None, kind="samples").classes
    save(tmp_path / "r/checkpoints/last.pt", tuple(classes), dataset="samples", eval_split="val")
    for words, noted in (([], False), (["--split", "val"], True), (["--split", "all"], False)):
        assert main([str(tmp_path / "r"), *words]) == 0
        out, err = capsys.readouterr()
        assert "split all: 6 images" in out
        assert ("has no splits; all images are evaluated, not 'val'" in err) is noted


def test_the_reported_checkpoint_comes_first(run: Path, tmp_path: Path) -> None:
    save(tmp_path / "r/checkpoints/last.pt")
    known = load_checkpoint(run / "checkpoints/last.pt")
    save_checkpoint(replace(known, step=77), tmp_path / "r/checkpoints/reported.pt")
    task = task_of(Wanted(tmp_path / "r", data=Path("d")))
    assert task.checkpoint.name == "reported.pt"
    (tmp_path / "r/checkpoints/reported.pt").unlink()
    task = task_of(Wanted(tmp_path / "r", data=Path("d")))
    assert task.checkpoint.name == "last.pt"


def test_a_file_another_split_and_size(run: Path, data: Path, tmp_path: Path) -> None:
    file = run / "checkpoints/last.pt"
    made = report_of(file, "--data", data, "--split", "train", "--size", 32, folder=tmp_path)
    assert (made["dataset"]["split"], made["size"], len(made["images"])) == ("train", 32, 12)
    assert any("was trained on this split" in note for note in made["notes"])
    wanted = evaluate_split(
        load_segmenter(file).segmenter, open_dataset(data, split="train"), size=32
    )
    assert made["linear"] == wanted.linear.record()


def test_other_names_are_told_and_spellings_are_not(
    run: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = report_of(run, folder=tmp_path)
    other = shutil.copytree(data, tmp_path / "other")
    (other / "classes.txt").write_text("\n".join(f"{name.upper()}_" for name in NAMES))
    capsys.readouterr()
    report_of(run, "--data", other, folder=tmp_path)
    assert "names its classes differently" not in capsys.readouterr().out
    (other / "classes.txt").write_text("\n".join((NAMES[0], "Weg", "Wiese")))
    found = report_of(run, "--data", other, folder=tmp_path)
    assert found["linear"]["accuracy"] == made["linear"]["accuracy"]
    assert (
        f"Warning: the data set names its classes differently from last.pt: "
        f"class 1 is 'Weg' here and '{NAMES[1]}' there; 2 of 3 names differ."
    ) in capsys.readouterr().out


def test_pictures(run: Path, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert main([str(run), "--data", str(data), "--pictures", str(out), "--workers", "0"]) == 0
    names = {file.name for file in out.iterdir()}
    assert {"report.html", "report.md", "report.json", "images.npz"} < names
    assert sum(name.endswith(".png") for name in names) == 3
    made = json.loads((out / "report.json").read_text(encoding="utf-8"))
    counts = per_image.read(made, out / "report.json")
    assert counts is not None
    assert counts.kinds["linear"].confusion().tolist() == made["linear"]["confusion"]


def test_the_predictor_takes_the_assignment_from_the_report(
    run: Path, data: Path, tmp_path: Path
) -> None:
    made = report_of(run, "--data", data, folder=tmp_path)
    file = run / "checkpoints/last.pt"
    (run / "report.json").write_text(json.dumps(made))
    try:
        found = Predictor(file).segment(data / "images/p0.png")
    finally:
        (run / "report.json").unlink()
    assert found.assignment == tuple(made["cluster"]["assignment"])


def test_a_published_checkpoint(source: Source, tmp_path: Path) -> None:
    torch.save(source.content(), tmp_path / "best.pth")
    write_folder(tmp_path / "data", count=10)
    names = [*NAMES, "nothing"]
    assert len(names) == CLASSES
    (tmp_path / "data/classes.txt").write_text("\n".join(names))
    made = report_of(
        tmp_path / "best.pth", "--data", tmp_path / "data", "--size", 96, folder=tmp_path
    )
    assert made["selection"]["choice"] == "published"
    assert made["notes"][0].startswith("Reservation")
    assert list(made["cluster"]["iou"]) == names
    assert made["step"] is None


@pytest.mark.parametrize("features", ["tuned", "frozen"])
def test_imagenet_s(tmp_path: Path, features: str, capsys: pytest.CaptureFixture[str]) -> None:
    write_imagenet_s(tmp_path)
    save(tmp_path / "last.pt", ("other", "n00000000", "n00000001"))
    made = report_of(
        tmp_path / "last.pt",
        *("--data", tmp_path, "--split", "validation", "--distance-features", features),
        folder=tmp_path,
    )
    assert made["distance"]["features"] == features
    assert made["distance"]["images"] == 8
    assert made["distance"]["bank"] == 12
    assert set(made["distance"]["iou"]) == {"other", "n00000000", "n00000001"}
    assert made["cluster"]["accuracy"] is not None
    assert "Distance matching" in capsys.readouterr().out


def test_imagenet_s_with_a_probe_of_other_classes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_imagenet_s(tmp_path)
    save(tmp_path / "last.pt")
    save(tmp_path / "five.pt", tuple("abcde"))
    made = report_of(
        tmp_path / "five.pt",
        *("--data", tmp_path, "--split", "validation", "--pictures", tmp_path / "out"),
        folder=tmp_path,
    )
    assert made["cluster"] is None
    assert made["linear"] is None
    assert made["distance"]["miou"] > 0
    assert "only distance matching is measured" in capsys.readouterr().err
    assert (tmp_path / "out/report.html").exists()


def break_image(data: Path) -> None:
    (data / "images/p3.png").write_bytes(b"no picture")


def break_labels(data: Path) -> None:
    (data / "labels/p3.png").write_bytes(b"no picture")


def no_labels(data: Path) -> None:
    for file in (data / "labels").iterdir():
        file.unlink()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (break_image, "Error: {data}/images/p3.png is not an image"),
        (break_labels, "Error: {data}/labels/p3.png is not an image"),
        (no_labels, "{data} has no label maps in its split 'all'"),
    ],
)
def test_broken_data_is_named_before_anything_runs(
    run: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    damage: Callable[[Path], None],
    message: str,
) -> None:
    write_folder(tmp_path, count=5)
    damage(tmp_path)
    assert main([str(run), "--data", str(tmp_path), "--split", "all"]) == 2
    out, err = capsys.readouterr()
    assert message.format(data=tmp_path) in err
    assert out == ""
    if damage is not no_labels:
        assert err.rstrip().endswith("has 1 error, listed above: fix this first")
        assert "Evaluating" not in err


def test_broken_images_may_be_skipped(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_folder(tmp_path / "data", count=5)
    break_image(tmp_path / "data")
    words = [run, "--data", tmp_path / "data", "--split", "all", "--on-error", "skip"]
    made = report_of(*words, folder=tmp_path)
    out, err = capsys.readouterr()
    assert [one["name"] for one in made["skipped"]] == ["p3"]
    assert len(made["images"]) == 4
    assert "images/p3.png is not an image" in err
    assert "1 of 5 images could not be read and does not count" in out
    # A run that skips is reported so.
    save(tmp_path / "skips/checkpoints/last.pt", dataset="folder", on_error="skip")
    words = [tmp_path / "skips", "--data", tmp_path / "data", "--split", "all"]
    assert len(report_of(*words, folder=tmp_path)["skipped"]) == 1
    assert main([*map(str, words), "--on-error", "stop"]) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{run}/none.pt", "--data", "{data}"], "none.pt does not exist: give a run's folder or"),
        (["{data}", "--data", "{data}"], "is not a run: it has no folder 'checkpoints'"),
        (["{empty}", "--data", "{data}"], "has no checkpoint yet"),
        (["{data}/classes.txt", "--data", "{data}"], "classes.txt cannot be read as a checkpoint"),
        (["{run}/checkpoints/last.pt"], "Give the data set folder: --data DIR."),
        (["{run}", "--data", "{data}/none"], "none does not exist"),
        (["{run}", "--data", "{data}", "--split", "test"], "has no split 'test', only: train"),
        (["{run}", "--data", "{data}", "--kind", "foldr"], "is not a kind of data set"),
        (["{run}", "--data", "{two}"], "has 2 classes, but last.pt was trained for 3"),
        (["{run}", "--data", "{swapped}"], "checkpoints/last.pt was trained for: class 1 is 'weg'"),
        (["{run}", "--data", "{swapped}"], "2 of 3 names differ. Evaluate the checkpoint on the"),
        (["{run}", "--data", "{bare}"], "has no label maps, so there is nothing to score"),
        (["{run}", "--size", "50"], "--size 50: an image height of 50 pixels does not divide"),
        (["{run}", "--device", "tpu"], "device must be one of auto, cpu"),
        (["{run}", "--backbone", "{data}/none.pth"], "none.pth"),
        (["{run}", "--json", "{data}"], "is a folder: give a file in it"),
        (["{run}", "--pictures", "{data}/classes.txt"], "is a file: give a folder"),
        (["{run}", "--json", "{data}/classes.txt/a.json"], "classes.txt is a file, not a folder"),
        (["{run}", "--json", "/proc/none/a.json"], "a.json cannot be written: "),
    ],
)
def test_what_does_not_fit_is_told_in_a_sentence(
    run: Path,
    data: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    (tmp_path / "empty/checkpoints").mkdir(parents=True)
    write_folder(tmp_path / "two", count=5)
    (tmp_path / "two/classes.txt").write_text("sky\nroad\n")
    for file in (tmp_path / "two/labels").iterdir():
        file.unlink()
    (tmp_path / "two/labels").rmdir()
    shutil.copytree(tmp_path / "two/images", tmp_path / "bare/images")
    write_folder(tmp_path / "swapped", count=15)
    (tmp_path / "swapped/classes.txt").write_text(f"{NAMES[0].upper()}\nweg\n{NAMES[1]}\n")
    new = {name: tmp_path / name for name in ("empty", "two", "swapped", "bare")}
    places = {"run": run, "data": data, **new}
    assert main([argument.format(**places) for argument in arguments]) == 2
    out, err = capsys.readouterr()
    last = err.strip().splitlines()[-1]
    assert message in last
    assert "Traceback" not in err
    assert out == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give a run's folder or a checkpoint, or --predictions DIR"),
        (["x", "--batch", "0"], "argument --batch: must be a whole number from 1 to"),
        (["x", "--workers", "-1"], "argument --workers"),
        (["x", "--siz", "3"], "unrecognized arguments: --siz"),
        (["x", "--distance-features", "other"], "argument --distance-features: invalid choice"),
    ],
)
def test_wrong_arguments(
    capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    err = capsys.readouterr().err
    assert message in err
    assert len(err.strip().splitlines()) == 1


def test_other_weights_of_the_backbone(
    run: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    known = load_checkpoint(run / "checkpoints/last.pt")
    save_checkpoint(replace(known, backbone_digest="0" * 64), tmp_path / "last.pt")
    assert main([str(tmp_path / "last.pt"), "--data", str(data)]) == 2
    assert (
        "trained on different weights from those of the backbone embedded"
        in capsys.readouterr().err
    )


def test_without_the_crf_package(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "pydensecrf", None)
    monkeypatch.setitem(sys.modules, "pydensecrf.densecrf", None)
    assert main([str(run), "--crf"]) == 2
    assert "pip install pydensecrf2" in capsys.readouterr().err


def test_a_crf_that_fails_half_way(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from ppap.evaluation import crf

    def fail(*_: object) -> None:
        raise crf.CrfWorkerError("a CRF process ended unexpectedly")

    monkeypatch.setattr(crf.Worker, "refine", fail)
    threads = torch.get_num_threads()
    assert main([str(run), "--crf"]) == 1
    assert "a CRF process ended" in capsys.readouterr().err
    assert torch.get_num_threads() == threads


def test_a_report_that_cannot_be_written(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", str(tmp_path / "a.json"))

    monkeypatch.setattr("ppap.evaluation.report.write_text", full)
    assert main([str(run), "--json", str(tmp_path / "a.json")]) == 1
    assert "a.json cannot be written: No space left on device" in capsys.readouterr().err


def test_ctrl_c(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(reporting, "probes", stop)
    assert main([str(run)]) == 130
    assert capsys.readouterr().err.endswith("Stopped.\n")


def test_help_is_quick_and_whole() -> None:
    code = (
        "import sys; from trainers.evaluate import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: print('torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "100"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    for word in ("examples:", "RUN_OR_CHECKPOINT", "--pictures DIR", "exit status", "reported.pt"):
        assert word in done.stdout
    assert done.stdout.rstrip().endswith("False")
    options = [
        f"--{name}"
        for name in ["data", "split", "kind", "crf", "json", "size", "batch", "device", "heads"]
    ]
    assert all(option in done.stdout for option in options)
    assert max(map(len, done.stdout.splitlines())) <= 100


def test_as_a_program(run: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "trainers.evaluate", str(run)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert "| measured here |" in done.stdout


def test_camvid(shared_data: Path, tmp_path: Path) -> None:
    """The real thing, reduced to its speed: 101 frames at 64 pixels."""
    names = open_dataset(shared_data / "camvid").classes
    save(tmp_path / "last.pt", names)
    made = report_of(tmp_path / "last.pt", "--data", shared_data / "camvid", folder=tmp_path)
    assert len(made["images"]) == 101
    assert made["dataset"]["kind"] == "camvid"
    assert sum(map(sum, made["linear"]["confusion"])) > 0.9 * 101 * SIZE * SIZE


def test_refinements_and_looks_are_measured_and_named(
    run: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--data", data, "--refine", "pamr", "--mirror", "--shifts", "2", "--pictures"]
    made = report_of(run, *words, tmp_path / "pages", folder=tmp_path)
    dataset = open_dataset(data, split="val")
    wanted = evaluate_split(
        load_segmenter(run / "checkpoints/last.pt").segmenter,
        dataset,
        size=SIZE,
        refiners=[Pamr()],
        inference=Inference(mirror=True, shifts=2),
    )
    assert made["inference"] == {"mirror": True, "shifts": 2}
    assert made["cluster"] == wanted.cluster.record()
    assert made["pamr"]["linear"] == wanted.refined["pamr"].linear.record()
    assert "crf" not in made
    assert "More than one pass over each image: mean of image and mirror; 2 × 2 shifts" in str(
        made["notes"]
    )
    assert "measured here, with PAMR" in capsys.readouterr().out
    assert "linear, PAMR" in (tmp_path / "pages/report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--refine", "pamr", "--shifts", "3"], "shifts must be one of 1"),
        (["--window", "50"], "window must be a multiple of the patch size"),
        (["--scales", "9"], "scales must be 1 to 8 numbers"),
    ],
)
def test_looks_that_cannot_be_are_refused(
    run: Path, data: Path, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(run), "--data", str(data), *words]) == 2
    assert said in capsys.readouterr().err


def test_any_number_of_clusters_is_scored(
    run: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pages = tmp_path / "pages"
    words = ["--data", data, "--clusters", "3", "6", "6", "--cluster-by", "merged", "kmeans"]
    made = report_of(
        run, *words, "--train-split", "val", "--seed", "4", "--pictures", pages, folder=tmp_path
    )
    loaded, dataset = load_segmenter(run / "checkpoints/last.pt"), open_dataset(data, split="val")
    methods = ["merged", "kmeans"]
    wanted = count_clusters(
        loaded.segmenter, dataset, dataset, [3, 6], methods=methods, seed=4, size=SIZE
    )
    assert made["clusterings"]["rows"] == [one.record() for one in wanted]
    assert made["clusterings"]["images"] == 3
    out = capsys.readouterr().out
    assert "| 6, kmeans " in out
    assert "Centroids found on 3 images of the split 'val'" in out
    page = (pages / "report.html").read_text(encoding="utf-8")
    assert page.count("<polyline") == 2
    assert "Any number of clusters" in (pages / "report.md").read_text(encoding="utf-8")
    assert misfit(made) is None


def test_many_starts_are_scored_beside_frozen_features(
    run: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pages = tmp_path / "pages"
    words = ["--data", data, "--starts", "2", "--train-split", "val", "--seed", "4"]
    made = report_of(run, *words, "--pictures", pages, folder=tmp_path)
    loaded, dataset = load_segmenter(run / "checkpoints/last.pt"), open_dataset(data, split="val")
    wanted = from_many_starts(loaded.segmenter, dataset, dataset, count=2, seed=4, size=SIZE)
    assert made["starts"]["rows"] == [one.record() for one in wanted]
    for start, gain in made["starts"]["gains"].items():
        trained, frozen = (
            next(one for one in wanted if one.name == f"{start}_{features}").record()
            for features in ("trained", "frozen")
        )
        for name in ("accuracy", "miou"):
            assert gain[name]["difference"] == pytest.approx(trained[name] - frozen[name])
    counts = per_image.read(made, tmp_path / "report.json")
    assert counts is not None
    for one in wanted:
        kept = counts.kinds[f"start_{one.name}"].confusion()
        assert kept.tolist() == one.scores[one.chosen].confusion.tolist()
    side = Side(made, counts)
    assert all(not kind.startswith("start_") for kind in paired([side], [side]))
    out = capsys.readouterr().out
    assert re.search(r"\| Noise +\| +trained \|", out)
    assert "| Linkage " in out.split("Trained minus frozen")[1]
    assert "2 clusterings of each kind, found in 3 images of the split 'val'" in out
    assert "Many starts" in (pages / "report.html").read_text(encoding="utf-8")
    assert "Many starts" in (pages / "report.md").read_text(encoding="utf-8")
    assert misfit(made) is None
    assert per_image.read(made, pages / "report.json") is not None


def test_fewer_clusters_than_classes_are_refused(
    run: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(run), "--data", str(data), "--clusters", "2"]) == 2
    said = capsys.readouterr().err
    assert "--clusters 2 is fewer than the data set's 3 classes" in said
    assert "Evaluating" not in said


@pytest.mark.parametrize("more", [["--clusters", "3"], ["--retrieval"]])
def test_a_missing_training_split_is_found_out_before_the_work(
    run: Path, data: Path, capsys: pytest.CaptureFixture[str], more: list[str]
) -> None:
    assert main([str(run), "--data", str(data), "--train-split", "half", *more]) == 2
    said = capsys.readouterr().err
    assert "has no split 'half'" in said
    assert "Evaluating:" not in said


def test_retrieval_sets_trained_features_beside_frozen_ones(
    run: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--data", data, "--retrieval", "--memory", "20", "--train-split", "val"]
    made = report_of(run, *words, folder=tmp_path)
    segmenter = load_segmenter(run / "checkpoints/last.pt").segmenter
    dataset = open_dataset(data, split="val")
    for kind, frozen in (("trained", False), ("frozen", True)):
        one = Retrieval(segmenter, frozen=frozen, size=SIZE)
        assert made["retrieval"][kind] == one.score(dataset, one.fill(dataset, 20)).record()
    assert (
        "Dense retrieval (30 nearest of 18 patches of the split 'val')" in capsys.readouterr().out
    )
    assert misfit(made) is None


def test_the_width_of_borders_is_chosen(run: Path, data: Path, tmp_path: Path) -> None:
    usual = report_of(run, "--data", data, folder=tmp_path)["borders"]
    wider = report_of(run, "--data", data, "--border-width", 9, folder=tmp_path)["borders"]
    assert (usual["width"], wider["width"]) == (WIDTH, 9)
    assert usual["cluster"]["border"]["pixels"] < wider["cluster"]["border"]["pixels"]
    assert "borders" not in report_of(run, "--data", data, "--border-width", 0, folder=tmp_path)
    assert (evaluate.WIDTH, evaluate.MOST_WIDTH) == (WIDTH, MOST_WIDTH)


def test_as_published(run: Path, data: Path, tmp_path: Path) -> None:
    """Half precision and the nearest pixel; the run's own protocol is the usual one."""
    made = report_of(run, "--protocol", "published", folder=tmp_path)
    switches = ["nearest", "half_evaluation", "crf_bytes", "pass_matching"]
    assert (made["protocol"], made["inference"]) == (switches, {"half": True})
    assert (
        "Evaluated as published: images and label maps resized to the nearest pixel; evaluation "
        "in half precision." in made["notes"]
    )
    loaded = load_segmenter(run / "checkpoints/last.pt")
    dataset = replace(open_dataset(data, split="val"), resizing="nearest")
    wanted = evaluate_split(loaded.segmenter, dataset, size=SIZE, inference=Inference(half=True))
    assert made["cluster"] == wanted.cluster.record()
    assert made["linear"] == wanted.linear.record()
    for protocol, kind in ((None, CrfPool), ("crf_bytes", AsPublished)):
        asked = Wanted(run, refine=("crf",), protocol=protocol)
        with reporting.refiners_of(asked, loaded) as refiners:
            assert [type(one) for one in refiners] == [kind]

    own = tmp_path / "own.pt"
    save(own, protocol="published", dataset="folder")
    again = report_of(own, "--data", data, folder=tmp_path)
    assert (again["protocol"], again["cluster"]) == (switches, made["cluster"])
    assert any(note.startswith("Trained as published: five crops") for note in again["notes"])
    ours = report_of(own, "--data", data, "--protocol", "studio", folder=tmp_path)
    assert (ours["protocol"], ours["inference"]) == ([], {})
    assert not any(note.startswith("Evaluated as published") for note in ours["notes"])
    alone = report_of(run, "--protocol", "half_evaluation", folder=tmp_path)
    assert (alone["protocol"], alone["inference"]) == (["half_evaluation"], {"half": True})
