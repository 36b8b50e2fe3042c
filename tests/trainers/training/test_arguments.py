"""What the command line says of a run; here, what it makes of files."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import pytest

from trainers.recipes import find
from trainers.runs.folder import Run
from trainers.train import parser
from trainers.training.arguments import read


def given(*arguments: object) -> argparse.Namespace:
    return parser().parse_args([*map(str, arguments)])


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("vit.pth", "{here}/vit.pth"),
        ("./weights/vit", "{here}/weights/vit"),
        ("dinov2_vits14_reg@vit.pth", "dinov2_vits14_reg@{here}/vit.pth"),
        ("~/vit.pth", "{home}/vit.pth"),
        ("dino_vits8", "dino_vits8"),
        ("/data/vit.pth", "/data/vit.pth"),
    ],
)
def test_a_new_run_keeps_its_backbones_file_in_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, typed: str, kept: str
) -> None:
    monkeypatch.chdir(tmp_path)
    _, config = read(given("samples", "--out", "run", "--set", f"backbone={typed}"))
    assert config.backbone == kept.format(here=tmp_path, home=Path.home())


def test_so_does_a_recipe_that_names_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    _, config = read(given("coco_ibot_vits16", "--data", "data", "--out", "run"))
    assert config.backbone == str(tmp_path / "ibot_vits16.pth")


def test_an_earlier_versions_relative_file_is_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(tmp_path / "work/runs/old")
    run.write_config(replace(find("samples").config, backbone="vit.pth"))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    resume = given("--out", run.folder, "--resume")
    assert read(resume)[1].backbone == "vit.pth"  # nowhere: the message names what was asked for
    (tmp_path / "work/vit.pth").touch()
    assert read(resume)[1].backbone == str(tmp_path / "work/vit.pth")
    (tmp_path / "elsewhere/vit.pth").touch()
    assert read(resume)[1].backbone == str(tmp_path / "elsewhere/vit.pth")
