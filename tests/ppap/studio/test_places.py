"""Folders and files that a page names mean the same wherever the studio is started next."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from ppap.studio.loading import in_full
from tests.support.small_studio import SmallStudio, draw


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with another as home; pictures in both."""
    for name in ("home", "work"):
        for seed in range(2):
            draw(tmp_path / name / "photos" / f"{seed}.png", seed)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("photos", "work/photos"),
        ("./photos", "work/photos"),
        ("~/photos", "home/photos"),
        ("../home/photos", "home/photos"),
    ],
)
def test_a_folder_is_kept_in_full(typed: str, meant: str, folders: Path) -> None:
    small = SmallStudio(folders / "studio", local=True)
    try:
        job = small.job(source="folder", folder=typed, count=2)
        assert job.error is None or job.error == "", job.error
        held = small.store.get(job.batch)
        assert held.recipe["folder"] == str(folders / meant)
    finally:
        small.loader.close()


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"checkpoint": "x.pth"}, {"checkpoint": "work/x.pth"}),
        ({"checkpoint": "~/weights"}, {"checkpoint": "home/weights"}),
        ({"checkpoint": "dino_vits8@x.pth"}, {"checkpoint": "dino_vits8@work/x.pth"}),
        ({"backbone": "w/x.pth"}, {"backbone": "work/w/x.pth"}),
        ({"backbone": "dino_vits8"}, {}),
    ],
)
def test_files_of_weights_are_kept_in_full(
    given: dict[str, str], kept: dict[str, str], folders: Path
) -> None:
    recipe = {"source": "samples", "size": 224, "backbone": "embedded", "checkpoint": "", **given}
    wanted = {
        name: "@".join([*value.split("@")[:-1], str(folders / value.split("@")[-1])])
        for name, value in kept.items()
    }
    assert in_full(recipe) == {**recipe, **wanted}


def test_an_upload_that_was_tidied_away_is_told(folders: Path) -> None:
    small = SmallStudio(folders / "studio")
    try:
        upload = small.upload("my cat.png")
        before = time.time() - 3600
        os.utime(upload["path"], (before, before))
        small.load(source="files", files=[upload])
        assert Path(upload["path"]).stat().st_mtime > before + 1800, "it is in use"
        Path(upload["path"]).unlink()
        reply = small.load(source="files", files=[upload])
        assert "my cat.png is no longer here" in reply["error"]
        assert "Choose the images again" in reply["error"]
    finally:
        small.loader.close()
