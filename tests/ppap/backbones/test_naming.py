"""What a backbone can be called, and names that mean the same from every folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ppap.backbones import BackboneError, load_backbone
from ppap.backbones.naming import Called, absolute, as_path, called, located, with_file


@pytest.mark.parametrize(
    ("name", "model", "file"),
    [
        ("dinov2_vits14", "dinov2_vits14", None),
        ("vit_base_patch16_224.augreg_in21k", "vit_base_patch16_224.augreg_in21k", None),
        ("teacher.pth", None, "teacher.pth"),
        ("model.safetensors", None, "model.safetensors"),
        (f"folder{os.sep}teacher", None, "folder/teacher"),
        ("C:\\weights\\x", None, "C:\\weights\\x"),
        ("dinov2_vits14_reg@/weights/x.pth", "dinov2_vits14_reg", "/weights/x.pth"),
        ("dinov2_vits14_reg@x", "dinov2_vits14_reg", "x"),
        ("vit_small_patch16_224.dino@a@b.pth", "vit_small_patch16_224.dino", "a@b.pth"),
        ("./x@y.pth", None, "x@y.pth"),
        ("/data/@eaDir/x.pth", None, "/data/@eaDir/x.pth"),
        ("me@home/x.pth", "me", "home/x.pth"),
        ("x.pth@y", None, None),
        ("@x.pth", None, "@x.pth"),
        ("dinov2_vits14@", "dinov2_vits14@", None),
        ("", "", None),
    ],
)
def test_names_are_taken_apart(name: str, model: str | None, file: str | None) -> None:
    if name == "x.pth@y":  # neither: no model is called like a file
        model = name
    assert called(name) == Called(model, None if file is None else Path(file))
    assert as_path(name) == (None if file is None else Path(file))


def test_a_path_is_a_file_whatever_is_in_it() -> None:
    assert called(Path("dinov2_vits14@x.pth")) == Called(None, Path("dinov2_vits14@x.pth"))
    assert as_path("~/x.pth") == Path.home() / "x.pth"
    assert as_path("dinov2_vits14@~/x.pth") == Path.home() / "x.pth"
    assert as_path("~nobody-of-this-name/x.pth") == Path("~nobody-of-this-name/x.pth")


def test_a_file_with_an_at_in_its_name_stays_that_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert called("weights@v2.pth").model == "weights"
    (tmp_path / "weights@v2.pth").touch()
    assert called("weights@v2.pth") == Called(None, Path("weights@v2.pth"))


def test_names_become_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert absolute("vit.pth") == str(tmp_path / "vit.pth")
    assert absolute("dinov2_vits14@w/vit.pth") == f"dinov2_vits14@{tmp_path / 'w/vit.pth'}"
    assert absolute("~/vit.pth") == str(Path.home() / "vit.pth")
    assert absolute("w/vit.pth", Path("/data")) == "/data/w/vit.pth"
    for name in ("dinov2_vits14", "/data/vit.pth", "dinov2_vits14@/data/vit.pth"):
        assert absolute(name) == name
    assert with_file("dinov2_vits14", Path("/x")) == "dinov2_vits14"


def test_relative_files_are_looked_for_here_then_around(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    near = tmp_path / "work/runs/run"
    assert located("vit.pth", near) == "vit.pth"  # nowhere: as it was given
    (tmp_path / "work").mkdir()
    (tmp_path / "work/vit.pth").touch()
    assert located("vit.pth", near) == str(tmp_path / "work/vit.pth")
    assert located("test_vit@vit.pth", near) == f"test_vit@{tmp_path / 'work/vit.pth'}"
    (tmp_path / "elsewhere/vit.pth").touch()
    assert located("vit.pth", near) == str(tmp_path / "elsewhere/vit.pth")
    assert located("dinov2_vits14", near) == "dinov2_vits14"
    assert located("/nowhere/vit.pth", near) == "/nowhere/vit.pth"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no_such_model@x.pth", "there is no backbone 'no_such_model'"),
        ("dinov2_vits14@", "there is no backbone 'dinov2_vits14@'"),
        ("test_vit@nowhere.pth", r"nowhere\.pth cannot be opened"),
        ("embedded@x.pth", r"embedded has its own weights; give x\.pth as the name"),
    ],
)
def test_names_that_mean_nothing(name: str, message: str) -> None:
    with pytest.raises(BackboneError, match=message):
        load_backbone(name)


def test_heads_and_second_files_are_refused_beside_a_name() -> None:
    with pytest.raises(BackboneError, match="number of heads is known for test_vit@x"):
        load_backbone("test_vit@x.pth", heads=3)
    with pytest.raises(BackboneError, match="are two files; give only one"):
        load_backbone("test_vit@x.pth", checkpoint=Path("y.pth"))


def test_a_folder_without_a_slash_is_pointed_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It might be a model's name; what it says works."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights").mkdir()
    with pytest.raises(BackboneError, match=r"or folder with that name, write \./weights"):
        load_backbone("weights")
    with pytest.raises(BackboneError, match="weights is a folder: choose a file in it"):
        load_backbone("./weights")
