"""Folders, lists and files that are not as they should be; and the real data sets."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ppap.data import (
    VOID,
    ImageError,
    LabelError,
    LayoutError,
    detect_kind,
    open_dataset,
)
from tests.support import layouts


def test_no_such_folder_kind_or_split(tmp_path: Path) -> None:
    with pytest.raises(LayoutError, match=r"/none does not exist$"):
        open_dataset(tmp_path / "none")
    assert detect_kind(tmp_path / "none") is None
    layouts.write_text(tmp_path / "file", "x")
    with pytest.raises(LayoutError, match=r"/file is not a folder$"):
        open_dataset(tmp_path / "file")
    assert detect_kind(tmp_path) is None
    with pytest.raises(LayoutError, match=r"contains no images that can be read\. Expected one of"):
        open_dataset(tmp_path)
    with pytest.raises(
        LayoutError, match=r"'coco' is not a kind of data set; choose .*cocostuff27"
    ):
        open_dataset(tmp_path, kind="coco")
    said = r"does not have the layout 'Potsdam-3': expected imgs/<id>\.mat"
    with pytest.raises(LayoutError, match=said):
        open_dataset(tmp_path, kind="potsdam3")
    with pytest.raises(LayoutError, match="is not given"):
        open_dataset(None)
    layouts.camvid(tmp_path)
    with pytest.raises(LayoutError, match="has no split 'test', only: train, val"):
        open_dataset(tmp_path, split="test")


@pytest.mark.parametrize("kind", sorted(layouts.LAYOUTS))
def test_empty_splits_say_what_was_expected(kind: str, tmp_path: Path) -> None:
    layouts.LAYOUTS[kind](tmp_path)
    for path in tmp_path.rglob("*"):
        if path.is_file() and path.suffix.lower() in (".jpg", ".png", ".jpeg", ".webp"):
            path.unlink()
        elif path.suffix == ".txt" and path.name != "classes.txt":
            path.write_text("")
    with pytest.raises(LayoutError, match=r"has no images in its split '\w+': expected "):
        open_dataset(tmp_path, kind=kind)


def test_sizes_ids_and_missing_files_are_named(tmp_path: Path) -> None:
    layouts.camvid(tmp_path)
    train = open_dataset(tmp_path)
    labels = tmp_path / "trainannot/Seq_9.png"
    layouts.write_labels(labels, (0, 12, 255))
    with pytest.raises(LabelError, match=rf"^{labels} contains 12, 255, .* must be 0 to 11$"):
        train.load(0)
    Image.new("L", (4, 3)).save(labels)
    with pytest.raises(LabelError, match=r"Seq_9\.png has 4×3 pixels, but its image has 8×6"):
        train.load(0)
    labels.unlink()
    with pytest.raises(LabelError, match=rf"^{labels} does not exist"):
        train.load(0)
    image = tmp_path / "train/Seq_9.png"
    image.write_text("no picture")
    with pytest.raises(ImageError, match=rf"^{image} is not an image"):
        train.load(0)


def test_published_photos_are_not_turned(tmp_path: Path) -> None:
    layouts.cocostuff(tmp_path)
    layouts.folder(tmp_path / "own")
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = tmp_path / "images/train2017/000000000030.jpg"
    Image.new("RGB", (layouts.WIDTH, layouts.HEIGHT)).save(turned, exif=exif)
    assert open_dataset(tmp_path).load(0).photo.rgb.shape == (layouts.HEIGHT, layouts.WIDTH, 3)
    # People draw on the picture as they see it.
    own = tmp_path / "own/images/night/p0.png"
    Image.new("RGB", (layouts.HEIGHT, layouts.WIDTH)).save(own, exif=exif)
    night = open_dataset(tmp_path / "own", split="all")
    index = [item.name for item in night.items].index("night/p0")
    assert night.load(index).photo.rgb.shape == (layouts.HEIGHT, layouts.WIDTH, 3)


# Your own folder.


def test_folder(tmp_path: Path) -> None:
    layouts.folder(tmp_path)
    everything = open_dataset(tmp_path, split="all")
    assert everything.classes == ("land", "open water")
    row = everything.load(0).labels
    assert row is not None
    assert row[0, :3].tolist() == [0, 1, VOID]
    unlabelled = [item.name for item in everything.items if item.labels is None]
    assert unlabelled == ["night/p4"]


def test_folder_is_divided_by_names_alone(tmp_path: Path) -> None:
    layouts.folder(tmp_path)
    parts = [[i.name for i in open_dataset(tmp_path, split=s).items] for s in ("train", "val")]
    assert [len(part) for part in parts] == [8, 2]
    assert parts[1] == ["day/p7", "night/p8"]  # pinned: recorded scores depend on it
    assert sorted(parts[0] + parts[1]) == sorted(
        i.name for i in open_dataset(tmp_path, split="all").items
    )
    assert "one image in five is val" in open_dataset(tmp_path).notes[0]


def test_folder_with_lists(tmp_path: Path) -> None:
    layouts.folder(tmp_path)
    layouts.write_text(tmp_path / "val.txt", "night/p8", "", "day/p1\r")
    assert [i.name for i in open_dataset(tmp_path, split="val").items] == ["night/p8", "day/p1"]
    train = open_dataset(tmp_path)
    assert len(train) == 8
    assert train.notes == ("No train.txt: train is every image that val.txt leaves.",)
    layouts.write_text(tmp_path / "train.txt", "night/p8", "night/p6")
    both = open_dataset(tmp_path)
    assert len(both) == 2
    assert both.notes == ("1 images are in both train.txt and val.txt.",)


@pytest.mark.parametrize(
    ("file", "text", "reason"),
    [
        ("train.txt", b"night/p0\nnight/p77\n", "lists 'night/p77', but images/ contains no such"),
        ("train.txt", b"night/p0\n../../secret\n", "outside the data set in line 2"),
        ("train.txt", b"/etc/passwd\n", "outside the data set in line 1"),
        ("train.txt", b"\xff\xfe\x00", "is not a text file"),
        ("classes.txt", b"land\n\nwater\n", "has a blank line 2, which would shift the classes"),
        ("classes.txt", b"land\nwater\nland\n", "has 'land' twice, again in line 3"),
        ("classes.txt", b"c\n" * 10_001, "has 10001 names; at most 10000"),
        ("images/day/p1.jpg", b"", r"contains both day/p1\.jpg and day/p1\.png"),
    ],
)
def test_folder_files_that_contradict(file: str, text: bytes, reason: str, tmp_path: Path) -> None:
    layouts.folder(tmp_path)
    (tmp_path / file).write_bytes(text)
    with pytest.raises(LayoutError, match=f"{Path(file).parts[0]} .*{reason}"):
        open_dataset(tmp_path)


def test_folder_with_labels_needs_names(tmp_path: Path) -> None:
    layouts.folder(tmp_path)
    (tmp_path / "classes.txt").unlink()
    for file in (tmp_path / "labels").rglob("*.png"):
        Image.new("RGB", (8, 8), (1, 2, 3)).save(file)  # colours, which are no numbers
    with pytest.raises(
        LayoutError, match=r"has labels but no classes\.txt: write one name per line"
    ):
        open_dataset(tmp_path)


def test_names_with_anything_in_them(tmp_path: Path) -> None:
    strange = ["<b>&amp;.png", "two\nlines.png", "% {0}.png", os.fsdecode(b"\xff.png")]
    for name in strange:
        layouts.write_image(tmp_path / "images" / name)
    dataset = open_dataset(tmp_path, split="all")
    assert {item.name for item in dataset.items} == {
        "<b>&amp;",
        r"two\nlines",
        "% {0}",
        r"\udcff",
    }
    for index in range(len(dataset)):
        dataset.load(index).photo.name.encode("utf-8")


# The real ones.


def test_real_cocostuff(shared_data: Path) -> None:
    dataset = open_dataset(shared_data / "cocostuff", split="val")
    assert (dataset.name, len(dataset), dataset.notes) == ("cocostuff27", 8, ())
    dataset.load(0)
    assert len(open_dataset(shared_data / "cocostuff")) == 13


def test_real_cityscapes(shared_data: Path) -> None:
    dataset = open_dataset(shared_data / "cityscapes")
    assert (dataset.name, len(dataset)) == ("cityscapes27", 8)
    example = dataset.load(0)
    assert example.labels is not None
    assert example.labels.shape == (1024, 2048)
    # The road lies at the bottom of the picture, ahead of the car's own bonnet (void).
    assert np.bincount(example.labels[700] + 1).argmax() - 1 == dataset.classes.index("road")


def test_real_camvid(shared_data: Path) -> None:
    dataset = open_dataset(shared_data / "camvid", split="val")
    assert (dataset.name, len(dataset)) == ("camvid", 101)
    labels = [dataset.load(index).labels for index in (0, 50, 100)]
    assert all(m is not None and m[0, 240] in (0, 1, 5) for m in labels)  # sky, building, tree


def test_real_folder(shared_data: Path) -> None:
    dataset = open_dataset(shared_data / "dubai_aerial", split="all")
    assert (dataset.name, len(dataset)) == ("folder", 72)
    assert dataset.classes == ("building", "land_unpaved", "road", "vegetation", "water")
    assert dataset.load(11).labels is not None
