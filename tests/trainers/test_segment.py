"""``ppap segment``: a folder of pictures becomes a data set."""

from __future__ import annotations

import csv
import json
import shlex
import zipfile
from pathlib import Path

import numpy as np
import pytest

from ppap.clustering import clusters_of, find_clusters, see
from ppap.data import open_dataset
from ppap.output import segmenting
from ppap.predictor import Predictor
from tests.support.small_segmenters import NAMES, save_small, small_segmenter
from tests.support.small_studio import TinyBackbone, draw, load_tiny
from trainers import segment


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("ppap.backbones.load_backbone", load_tiny)
    for n in range(5):
        draw(tmp_path / f"photos/{'day' if n % 2 else 'night'}/p.{n % 2}.png", n, 64 + n)
    for n in range(3):
        draw(tmp_path / f"photos/p{n}.png", n, 64 + n)
    return tmp_path / "photos"


def run(folder: Path, out: Path, *more: str) -> int:
    given = [str(folder), "--out", str(out), "--size", "224", "--device", "cpu", *more]
    return segment.main(given)


def test_the_examples_are_what_the_parser_takes() -> None:
    commands = [line for line in segment.EPILOG.splitlines() if "-m trainers.segment" in line]
    assert len(commands) == 3
    for command in commands:
        segment.parser().parse_args(shlex.split(command.partition("trainers.segment ")[2]))


def test_clusters_of_a_folder_as_a_data_set(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segmenting, "MOST_SEEN", 3)
    (folder / "p1.png").write_bytes(b"no picture")
    draw(folder / "night/p.1.png", 9, 70)
    out = tmp_path / "deep/set.zip"
    assert run(folder, out, "--clusters", "3", "--photos", "--refine", "pamr") == 0
    with zipfile.ZipFile(out) as archive:
        archive.extractall(tmp_path / "set")
        images = [n for n in archive.namelist() if n.startswith("images/")]
    dataset = open_dataset(tmp_path / "set", split="all")
    assert dataset.classes == ("cluster 1", "cluster 2", "cluster 3")
    pictures = segment.found(folder, "")
    assert len(dataset) == len(pictures) - 1 == len(images)
    backbone = TinyBackbone()
    looked = [pictures[i * len(pictures) // 3][1] for i in range(3)]
    seen = [
        see(backbone, read(item.image), size=224) for item in looked if item.image.name != "p1.png"
    ]
    centres = find_clusters(seen, 3)
    readable = [item.image for _, item in pictures if item.image.name != "p1.png"]
    found = {(tmp_path / "set" / name).read_bytes(): name for name in images}
    for file in readable:
        name = Path(found[file.read_bytes()]).name
        (index,) = (i for i, item in enumerate(dataset.items) if item.image.name == name)
        one = see(backbone, read(file), size=224)
        labels = dataset.load(index).labels
        assert labels is not None
        assert np.array_equal(labels, clusters_of(one, centres, refine="pamr"))
    assert "PAMR" in (tmp_path / "set/README.txt").read_text()
    with (tmp_path / "set/renamed.csv").open(newline="") as lines:
        rows = list(csv.reader(lines))[1:]
    # The name alone would not tell which of the two it is.
    assert rows == [["night/p.1.png", "p.1 (2).png"]]
    kept = (tmp_path / "set/images/p.1 (2).png").read_bytes()
    assert (folder / rows[0][0]).read_bytes() == kept


def read(file: Path) -> np.ndarray:
    from ppap.data import read_image

    return read_image(file).rgb


def test_a_checkpoint_and_a_folder_to_write_to(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = small_segmenter(extra_clusters=1)
    monkeypatch.setattr("ppap.checkpoints.opening.load_backbone", lambda *a, **k: small.backbone)
    run_folder = tmp_path / "runs/first"
    save_small(small, run_folder / "checkpoints/last.pt")
    digest = Predictor(run_folder / "checkpoints/last.pt").loaded.digest
    report = {"digest": digest, "cluster": {"assignment": [2, -1, 2, 1]}}
    (run_folder / "report.json").write_text(json.dumps(report))
    given = ("--checkpoint", str(run_folder), "--polygons", "--no-overlays", "--mirror")
    out = tmp_path / "set"
    assert run(folder, out, *given) == 0
    document = json.loads((out / "annotations.json").read_text())
    names = [one["name"] for one in document["categories"]]
    assert names == [NAMES[2], "cluster 2", NAMES[1]], "clusters of one class are one class"
    assert not (out / "overlays").exists()
    assert isinstance(document["annotations"][0]["segmentation"], list)
    assert run(folder, tmp_path / "linear", *given, "--probe", "linear") == 0
    assert (tmp_path / "linear/classes.txt").read_text().split() == list(NAMES)


def test_what_cannot_be(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "there").mkdir()
    cases = [
        ((folder, tmp_path / "there"), "already exists"),
        ((tmp_path / "none", tmp_path / "x"), "none"),
        ((folder, tmp_path / "x", "--shifts", "3"), "shifts must be one of"),
        ((folder, tmp_path / "x", "--checkpoint", str(tmp_path / "no.pt")), "no.pt"),
        ((folder, tmp_path / "x.zip", "--split", "vall"), "vall"),
        ((folder, tmp_path / "x", "--probe", "linear"), "--probe linear needs a --checkpoint"),
        (
            (folder, tmp_path / "x", "--checkpoint", "a.pt", "--clusters", "8"),
            "--clusters is for a frozen backbone",
        ),
        ((folder, folder / "day/x"), "lies inside"),
        ((folder, tmp_path / "x", "--clusters", "1000"), "There are only 245 patches; ask for"),
    ]
    for given, part in cases:
        capsys.readouterr()
        assert run(*given) == 2  # type: ignore[arg-type]
        said = capsys.readouterr().err
        assert part in said
        assert "Traceback" not in said
    for name in ("x", "x.zip"):
        assert not (tmp_path / name).exists()
    capsys.readouterr()
    below = folder / "p0.png/x.zip"
    assert run(folder, below) == 1
    assert f"{below} cannot be written: {below.parent} is a file." in capsys.readouterr().err


def test_without_a_crf_pamr_stands_in(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("ppap.evaluation.crf.why_unavailable", lambda: "No CRF, because.")
    assert run(folder, tmp_path / "a", "--clusters", "2", "--refine", "crf") == 0
    assert "No CRF, because. PAMR refines the borders instead." in capsys.readouterr().err
    assert run(folder, tmp_path / "b", "--clusters", "2", "--refine", "pamr") == 0
    for file in (tmp_path / "a/labels").iterdir():
        assert file.read_bytes() == (tmp_path / "b/labels" / file.name).read_bytes()
