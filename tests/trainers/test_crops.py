"""``python -m trainers.crops`` as people and programs meet it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ppap.data import KINDS, detect_kind, open_dataset
from tests.conftest import ROOT
from tests.support import layouts
from trainers import crops

COMMAND = [sys.executable, "-m", "trainers.crops"]
SIDE = 400


def many_images(root: Path, count: int) -> None:
    """CamVid's layout; the files are the same one under many names."""
    chance = np.random.default_rng(0)
    for folder in ("train", "trainannot"):
        (root / folder).mkdir(parents=True)
    noise = chance.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    Image.fromarray(noise).save(root / "train/0.jpg")
    Image.fromarray(noise[..., 0] % 12).save(root / "trainannot/0.png")
    for number in range(1, count):
        os.link(root / "train/0.jpg", root / f"train/{number}.jpg")
        os.link(root / "trainannot/0.png", root / f"trainannot/{number}.png")


def started(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Even where the tests themselves run in the background, without Ctrl+C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def wait_for_crops(folder: Path, count: int, process: subprocess.Popen[str]) -> None:
    while len(list(folder.rglob("*.jpg"))) < count:
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.01)


@pytest.mark.slow
def test_a_killed_run_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Killed, then stopped by Ctrl+C, then finished; every file on the way is whole."""
    many_images(tmp_path / "data", 60)
    given = ("camvid", "--data", str(tmp_path / "data"), "--workers", "2")
    home = tmp_path / "data/cropped/camvid_five_crop_0.5"

    killed = started(*given)
    wait_for_crops(home, 20, killed)
    killed.kill()
    killed.communicate()
    # The other processes notice that nobody listens, at the end of their image.
    before = -1
    while before != (before := len(list(home.rglob("*.png")))):
        time.sleep(0.3)
    assert len(list(home.rglob("*.jpg"))) < 300
    # A cut file would be an error here.
    left = open_dataset(home)
    assert "writing them was not finished" in left.notes[0]
    assert all(left.load(index).labels is not None for index in range(len(left)))

    stopped = started(*given)
    wait_for_crops(home, len(left) + 20, stopped)
    stopped.send_signal(signal.SIGINT)
    out, err = stopped.communicate()
    assert stopped.returncode == 130
    assert out == ""
    assert "Traceback" not in err
    assert (
        "of 60 images are cropped; the same command continues from there." in err.splitlines()[-1]
    )
    assert "Continuing with" in err
    assert list(home.rglob("*.tmp")) == []

    assert crops.main([*given[:-1], "1"]) == 0
    assert capsys.readouterr().out == f"All 300 crops of 60 images are in {home}\n"
    crops_of_all = open_dataset(home)
    assert crops_of_all.notes == ()
    first = crops_of_all.load(0).photo.rgb
    for index in range(0, 300, 5):
        assert np.array_equal(crops_of_all.load(index).photo.rgb, first)


def test_done_and_nothing_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    layouts.cityscapes(tmp_path)
    given = ["cityscapes", "--data", str(tmp_path), "--workers", "1"]
    home = tmp_path / "cropped/cityscapes_five_crop_0.5"
    assert crops.main(given) == 0
    said = capsys.readouterr()
    assert said.out == f"All 10 crops of 2 images are in {home}\n"
    assert f"Cropping 2 images, with 1 process, into {home}" in said.err
    assert crops.main(given) == 0
    said = capsys.readouterr()
    assert said.out == f"All 10 crops of 2 images are in {home}\n"
    assert "Cropping" not in said.err
    assert detect_kind(tmp_path) == "cityscapes27"
    assert len(open_dataset(home)) == 10


def test_other_split_ratio_and_place(tmp_path: Path) -> None:
    layouts.potsdam(tmp_path / "data")
    given = ["potsdam3", "--data", str(tmp_path / "data"), "--split", "val", "--ratio", "0.75"]
    assert crops.main([*given, "--out", str(tmp_path / "out"), "--workers", "1"]) == 0
    home = tmp_path / "out/potsdam3_five_crop_0.75"
    assert open_dataset(home, split="val").load(0).photo.rgb.shape == (4, 6, 3)
    # The folder itself may be named, too.
    assert crops.main([*given, "--out", str(home), "--workers", "1"]) == 0
    assert not (home / home.name).exists()


def test_broken_data_is_listed_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    layouts.camvid(tmp_path)
    (tmp_path / "train/Seq_9.png").write_text("no picture")
    (tmp_path / "trainannot/Seq_10.png").unlink()
    before = sorted(tmp_path.rglob("*"))
    assert crops.main(["camvid", "--data", str(tmp_path)]) == 2
    said = capsys.readouterr()
    assert f"Error: {tmp_path / 'train/Seq_9.png'} is not an image" in said.err
    assert f"Error: {tmp_path / 'trainannot/Seq_10.png'} does not exist" in said.err
    assert said.err.endswith("Nothing was written: fix this first.\n")
    assert said.out == ""
    assert sorted(tmp_path.rglob("*")) == before


def test_warnings_are_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    layouts.folder(tmp_path)
    given = ["folder", "--data", str(tmp_path), "--split", "all", "--workers", "1"]
    assert crops.main(given) == 0
    err = capsys.readouterr().err
    assert f"Warning: {tmp_path / 'images/night/p4.png'} has no label map" in err
    assert "Note: No train.txt and val.txt" in err


def test_another_making_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    layouts.camvid(tmp_path)
    given = ["camvid", "--data", str(tmp_path), "--workers", "1"]
    assert crops.main(given) == 0
    assert crops.main([*given, "--quality", "75"]) == 2
    assert "contains crops made with quality 95, not 75" in capsys.readouterr().err


def test_writing_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    layouts.camvid(tmp_path)
    monkeypatch.setattr("trainers.cropping.processes.sys.executable", "/bin/false")
    assert crops.main(["camvid", "--data", str(tmp_path), "--workers", "2"]) == 1
    assert "A process ended unexpectedly" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("", "required: DATASET, --data"),
        (
            "camvit --data .",
            "argument DATASET: crops cannot be made for 'camvit': did you mean camvi",
        ),
        ("samples --data .", "argument DATASET: .* choose one of cocostuff27, "),
        ("camvid --data . --ratio 0", r"argument --ratio: must be a number from 0\.01 to 1, not"),
        ("camvid --data . --ratio nan", "argument --ratio: must be"),
        ("camvid --data . --ratio half", "argument --ratio: .*'half'"),
        ("camvid --data . --quality 101", "argument --quality: must be a whole number from 1 to"),
        ("camvid --data . --workers -1", "argument --workers: must be a whole number from 1 to"),
        ("camvid --data . --workers 1.5", "argument --workers: must be .*'1.5'"),
        ("camvid --data . --colour", "unrecognized arguments: --colour"),
    ],
)
def test_wrong_arguments(arguments: str, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        crops.main(arguments.split())
    assert ended.value.code == 2
    said = capsys.readouterr()
    assert said.out == ""
    (line,) = said.err.splitlines()
    assert re.search(told, line), line


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["--data", "nowhere"], "argument --data: /.*/nowhere does not exist"),
        (["--split", "night"], "argument --split: .* has no split 'night', only: train, val"),
        (["--out", "camvid_five_crop_0.7"], "argument --out: .* call it camvid_five_crop_0.5"),
    ],
)
def test_arguments_that_fit_nothing(
    tmp_path: Path, given: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    layouts.camvid(tmp_path)
    assert crops.main(["camvid", "--data", str(tmp_path), *given]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert re.search(told, line), line


def test_interrupted_before_it_began(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("ppap.data.preflight", interrupted)
    layouts.camvid(tmp_path)
    assert crops.main(["camvid", "--data", str(tmp_path)]) == 130
    assert capsys.readouterr().err.endswith("Stopped. Nothing was written.\n")


def test_help_is_complete_and_quick() -> None:
    code = (
        "import sys; from trainers import crops\n"
        "try: crops.main(['--help'])\n"
        "except SystemExit as ended: assert ended.code == 0\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    for action in crops.parser()._actions:
        assert action.help
        for word in action.option_strings or ["DATASET"]:
            assert word in done.stdout
    for word in ("examples:", "exit status:", "default: 95", "five_crop_0.5", *crops.DATASETS):
        assert word in done.stdout


def test_data_sets_are_kinds() -> None:
    assert set(crops.DATASETS.values()) <= set(KINDS)
