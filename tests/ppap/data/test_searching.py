"""Folders as people have them: linked, with droppings, with names in capitals."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ppap.data import open_dataset, preflight
from ppap.data.confining import confined
from ppap.data.listing import is_dropping
from ppap.data.searching import Search, is_label_folder
from tests.support import layouts


def test_linked_folders_and_files_are_followed(tmp_path: Path) -> None:
    layouts.write_image(tmp_path / "elsewhere/b.jpg")
    layouts.write_image(tmp_path / "elsewhere/deeper/c.jpg")
    layouts.write_image(tmp_path / "one.jpg")
    root = tmp_path / "set/images"
    layouts.write_image(root / "a.jpg")
    (root / "cam1").symlink_to(tmp_path / "elsewhere")
    (root / "d.jpg").symlink_to(tmp_path / "one.jpg")
    data = open_dataset(tmp_path / "set", split="all")
    assert [item.name for item in data.items] == ["a", "d", "cam1/b", "cam1/deeper/c"]
    assert not any("link" in note for note in data.notes)
    for index in range(len(data)):
        data.load(index)


def test_label_maps_below_links_are_found(tmp_path: Path) -> None:
    layouts.folder(tmp_path / "real")
    (tmp_path / "set").mkdir()
    for name in ("images", "labels", "classes.txt"):
        (tmp_path / "set" / name).symlink_to(tmp_path / "real" / name)
    plain, linked = (open_dataset(tmp_path / n, split="all") for n in ("real", "set"))
    assert [i.name for i in linked.items] == [i.name for i in plain.items]
    assert sum(i.labels is not None for i in linked.items) == 9


@pytest.mark.parametrize("target", [".", "..", "../..", "inside"])
def test_no_link_leads_in_a_circle_or_gives_pictures_twice(target: str, tmp_path: Path) -> None:
    root = tmp_path / "up/set"
    layouts.write_image(root / "a.jpg")
    layouts.write_image(root / "inside/b.jpg")
    (root / "zz").symlink_to(target)
    # Before the folder that it leads to, too.
    (root / "aa").symlink_to(target)
    data = open_dataset(root)
    assert [item.name for item in data.items] == ["a.jpg", "inside/b.jpg"]
    assert data.notes == (
        "2 linked folders (aa, zz) left out: what they lead to is already listed, or lies above "
        "this folder.",
    )


def test_links_to_each_other_end(tmp_path: Path) -> None:
    for one, other in (("one", "other"), ("other", "one")):
        layouts.write_image(tmp_path / one / f"{one}.jpg")
        (tmp_path / one / "next").symlink_to(tmp_path / other)
    layouts.write_image(tmp_path / "set/a.jpg")
    (tmp_path / "set/l").symlink_to(tmp_path / "one")
    (tmp_path / "set/m").symlink_to(tmp_path / "other")
    names = list(Search(tmp_path / "set"))
    assert names == ["a.jpg", "l/one.jpg", "m/other.jpg"]


def test_a_link_to_nothing_is_missed(tmp_path: Path) -> None:
    layouts.write_image(tmp_path / "images/a.jpg")
    (tmp_path / "images/b.jpg").symlink_to(tmp_path / "gone.jpg")
    (error,) = (f for f in preflight(tmp_path, split="all") if f.severity == "error")
    assert error.file.endswith("b.jpg")
    assert error.text == "does not exist"


def test_links_can_be_kept_inside(tmp_path: Path) -> None:
    layouts.write_image(tmp_path / "private/p.jpg")
    layouts.write_image(tmp_path / "shown/a.jpg")
    layouts.write_image(tmp_path / "shown2/b.jpg")
    for name, target in (("one", "private"), ("two", "shown2"), ("p.jpg", "private/p.jpg")):
        (tmp_path / "shown" / name).symlink_to(tmp_path / target)
    with confined([tmp_path / "shown", tmp_path / "shown2"]):
        data = open_dataset(tmp_path / "shown")
    assert [item.name for item in data.items] == ["a.jpg", "two/b.jpg"]
    assert "2 links (" in data.notes[0]
    assert len(open_dataset(tmp_path / "shown")) == 4


def test_what_systems_leave_behind_is_passed_by(tmp_path: Path) -> None:
    layouts.folder(tmp_path)
    before = [item.name for item in open_dataset(tmp_path, split="all").items]
    notes = open_dataset(tmp_path, split="all").notes
    for folder in ("images/day", "labels/day", "images", "."):
        for place in ("@eaDir/p1.png", "#recycle/p0.png", "__MACOSX", "$RECYCLE.BIN", ".git"):
            layouts.write_image(tmp_path / folder / place / "SYNOPHOTO_THUMB_XL.jpg")
        for name in ("Thumbs.db", ".DS_Store", "._p1.png", "desktop.ini", "~$p1.png"):
            (tmp_path / folder / name).write_bytes(b"x")
    after = open_dataset(tmp_path, split="all")
    assert [item.name for item in after.items] == before
    assert after.notes == notes
    assert not [f for f in preflight(tmp_path, split="all") if f.severity == "error"]


def test_droppings_of_published_sets_are_passed_by(tmp_path: Path) -> None:
    layouts.cityscapes(tmp_path)
    layouts.write_image(tmp_path / "leftImg8bit/train/@eaDir/x_leftImg8bit.png")
    layouts.write_image(tmp_path / "leftImg8bit/train/ulm/@eaDir/x_leftImg8bit.png")
    (tmp_path / "leftImg8bit/train/ulm/._ulm_000002_000019_leftImg8bit.png").write_bytes(b"x")
    assert len(open_dataset(tmp_path)) == 2
    layouts.camvid(tmp_path / "c")
    (tmp_path / "c/train/._Seq_9.png").write_bytes(b"x")
    assert len(open_dataset(tmp_path / "c")) == 2


@pytest.mark.parametrize("name", ["@eaDir", "#Recycle", "THUMBS.DB", ".x", "__macosx", "Icon\r"])
def test_droppings(name: str) -> None:
    assert is_dropping(name)


@pytest.mark.parametrize("name", ["a.png", "#1.png", "@home.jpg", "eaDir", "Thumbs"])
def test_no_droppings(name: str) -> None:
    assert not is_dropping(name)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may look everywhere")
def test_a_folder_without_permission_is_told(tmp_path: Path) -> None:
    layouts.images(tmp_path)
    (tmp_path / "deep").chmod(0)
    try:
        assert "1 folder (deep) left out: no permission" in " ".join(open_dataset(tmp_path).notes)
    finally:
        (tmp_path / "deep").chmod(0o755)


def test_folders_of_label_maps() -> None:
    for name in ("Masks", "SegmentationClass", "train_labels", "gt", "ann_dir", "trainannot"):
        assert is_label_folder(name)
    for name in ("with_mask", "target", "images", "segments", "tagt"):
        assert not is_label_folder(name)
