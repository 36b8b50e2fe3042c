"""Crop folders: their names, their classes, and what is said of unfinished ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ppap.data import VOID, LayoutError, detect_kind, open_dataset, preflight
from ppap.data.classes import CITYSCAPES27, with_palette
from ppap.data.crops import folder_name, named_after
from tests.support import layouts


def own_crops(root: Path, *names: str, of: str = "folder") -> Path:
    """Ten crops with a classes.txt of ``names``; class 0 is stored as 1."""
    home = root / f"cropped/{of}_five_crop_0.5"
    for number in range(10):
        layouts.write_image(home / f"img/train/{number}.jpg")
        layouts.write_labels(home / f"label/train/{number}.png", (0, 1, 2))
    if names:
        layouts.write_text(home / "classes.txt", *names)
    return home


@pytest.mark.parametrize("inside", ["", "cropped", "cropped/folder_five_crop_0.5"])
def test_classes_of_ones_own_data(tmp_path: Path, inside: str) -> None:
    own_crops(tmp_path, "land", "open water")
    crops = open_dataset(tmp_path / inside)
    assert crops.name == "five_crops"
    assert crops.class_list == with_palette(("land", "open water"))
    labels = crops.load(3).labels
    assert labels is not None
    assert labels[0, :3].tolist() == [VOID, 0, 1]
    assert preflight(tmp_path / inside) == []


def test_own_classes_come_before_those_of_the_name(tmp_path: Path) -> None:
    home = own_crops(tmp_path, "land", "water", of="cityscapes")
    assert open_dataset(home).classes == ("land", "water")
    (home / "classes.txt").unlink()
    assert open_dataset(home).class_list == CITYSCAPES27


def test_own_crops_without_names(tmp_path: Path) -> None:
    home = own_crops(tmp_path)
    with pytest.raises(LayoutError, match="'folder', whose classes are not known: add a classes"):
        open_dataset(home)
    for path in (home / "label").rglob("*.png"):
        path.unlink()
    (home / "label/train").rmdir()
    (home / "label").rmdir()
    crops = open_dataset(home)
    assert crops.classes == ()
    assert crops.load(0).labels is None


def test_a_blank_name_is_refused(tmp_path: Path) -> None:
    own_crops(tmp_path, "land", "", "water")
    with pytest.raises(LayoutError, match="blank line 2"):
        open_dataset(tmp_path)


def test_unfinished_crops_are_noted(tmp_path: Path) -> None:
    home = own_crops(tmp_path, "land", "water")
    record = home / "crops_train.json"
    record.write_text(json.dumps({"images": 2}))
    assert open_dataset(home).notes == ()
    record.write_text(json.dumps({"images": 3}))
    said = "Only 10 of 15 crops exist: writing them was not finished."
    assert open_dataset(home).notes == (said,)
    for damaged in ("", "[]", '{"images": "many"}', "\xff"):
        record.write_text(damaged, encoding="latin-1")
        assert open_dataset(home).notes == ()


@pytest.mark.parametrize(
    "kind", ["cocostuff27", "cityscapes27", "potsdam3", "camvid", "imagenet_s", "folder"]
)
def test_data_stays_what_it_is_when_crops_are_put_into_it(tmp_path: Path, kind: str) -> None:
    layouts.LAYOUTS[kind](tmp_path)
    own_crops(tmp_path, "land", "water")
    assert detect_kind(tmp_path) == kind
    assert open_dataset(tmp_path, kind="five_crops").classes == ("land", "water")
    assert detect_kind(tmp_path / "cropped") == "five_crops"


def test_names() -> None:
    assert folder_name("camvid", 0.5) == "camvid_five_crop_0.5"
    assert folder_name("camvid", 1) == "camvid_five_crop_1.0"
    for ratio in (0.01, 1 / 3, 0.5, 1):
        assert named_after(folder_name("a_five_crop_b", ratio)) == "a_five_crop_b"
    assert named_after("camvid") is None
