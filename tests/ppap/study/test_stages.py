"""A trained checkpoint beside its frozen backbone, from the library to the command's files."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from ppap.batches import make_batch
from ppap.checkpoints.features import load_features
from ppap.data import open_dataset
from ppap.settings import Settings
from ppap.study.advice import advise
from ppap.study.figures import Study
from ppap.study.patches import sample_anchors
from ppap.study.same_class import same_class
from ppap.study.saved import read_study
from ppap.study.stage_tables import areas_of, rows_of
from ppap.study.sweeping import sweep
from tests.ppap.checkpoints.test_opening import on_backbone
from tests.ppap.study.test_run import striped
from trainers import study as command

OWN = Settings(0.9, 0.5, 3, 4, 1)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("stages")
    striped(made / "stripes")
    on_backbone("embedded", made / "trained.pt")
    return made


@pytest.fixture(scope="module")
def found(root: Path) -> Study:
    words = [f"--data={root / 'stripes'}", "--kind=folder", "--split=train", "--no-sweep"]
    words += [f"--checkpoint={root / 'trained.pt'}", f"--out={root / 'made'}", "--own-settings"]
    words += ["--images=3", "--anchors=30", "--size=64", "--set", "phi0=0.9", "psi0=0.5", "steps=1"]
    assert command.main(words) == 0
    return read_study(root / "made")


def test_the_values_are_those_of_the_library(root: Path, found: Study) -> None:
    assert [stage["title"] for stage in found["stages"]] == [
        "frozen feature",
        "trained feature",
        "projection z",
    ]
    dataset = open_dataset(root / "stripes", kind="folder", split="train")
    examples = [dataset.load(i) for i in found["indices"][0]]
    for stage, output in zip(found["stages"], ("frozen", "backbone", "projection"), strict=True):
        network = load_features(root / "trained.pt", output)
        batch = make_batch(examples, network, size=64)
        assert batch.labels is not None
        assert stage["features"] == network.info.title
        assert stage["dimensions"] == batch.features.shape[1]
        curve = same_class(batch.features, batch.labels)
        assert stage["same_class"]["area"] == pytest.approx(curve.area)
        assert stage["same_class"]["curve"][49] == pytest.approx(list(curve.curve[49]))
        anchors = sample_anchors(batch.labels, 30, 0)
        for aim in ("complete", "pure"):
            embedded = output == "frozen"
            advice = advise(
                batch.features,
                images=batch.counts,
                grids=batch.grids,
                aim=aim,
                embedded=embedded,
            )
            wanted = sweep(batch.features, anchors, [advice.settings], labels=batch.labels)[0]
            assert stage["sets"][aim]["settings"] == advice.settings.as_dict()
            # What is said of the embedded backbone does not hold for what training made of it.
            assert (advice.expected is not None) == embedded
            expected = list(advice.expected) if advice.expected else None
            assert stage["sets"][aim]["expected"] == pytest.approx(expected)
            assert stage["sets"][aim]["precision"] == pytest.approx(wanted.precision, nan_ok=True)
        own = sweep(batch.features, anchors, [OWN], labels=batch.labels)[0]
        assert stage["sets"]["own"]["settings"] == OWN.as_dict()
        assert stage["sets"]["own"]["positives"] == pytest.approx(own.positives)


def test_the_files_hold_them(root: Path, found: Study) -> None:
    with (root / "made" / "stages.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["stage"], row["settings_from"]) for row in rows] == [
        (stage["title"], key) for stage in found["stages"] for key in ("complete", "pure", "own")
    ]
    areas = [stage["same_class"]["area"] for stage in found["stages"]]
    assert [float(row["area"]) for row in rows[::3]] == areas
    with (root / "made" / "same_class.csv").open() as stream:
        points = list(csv.DictReader(stream))
    assert len(points) == 300
    assert [float(point["recall"]) for point in points[:100]] == [
        recall for recall, _, _ in found["stages"][0]["same_class"]["curve"]
    ]
    page = (root / "made" / "study.html").read_text()
    for row in rows_of(found["stages"]):
        assert f"<th>{row[0]}</th>" in page
    for sentence, area in zip(areas_of(found["stages"]), areas, strict=True):
        assert f"area {100 * area:.1f} %" in sentence
        assert sentence in page
    assert (root / "made" / "same_class.svg").is_file()


def test_a_backbone_beside_a_checkpoint_is_refused(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [f"--data={root / 'stripes'}", f"--out={root / 'not'}", "--backbone=embedded"]
    assert command.main([*words, f"--checkpoint={root / 'trained.pt'}"]) == 2
    assert "leave out --backbone" in capsys.readouterr().err
    assert not (root / "not").exists()
