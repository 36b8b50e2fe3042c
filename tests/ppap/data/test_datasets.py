"""Every layout is recognised, listed in a natural order, and read with its own classes."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ppap.data import (
    KINDS,
    VOID,
    Dataset,
    ImageError,
    LabelError,
    LayoutError,
    available_splits,
    detect_kind,
    five_crops,
    open_dataset,
    samples_dataset,
)
from ppap.data.classes import COCOSTUFF27
from ppap.data.listing import natural_key
from tests.support import layouts


def names(dataset: Dataset) -> list[str]:
    return [item.name for item in dataset.items]


def first_row(dataset: Dataset, index: int = 0) -> list[int]:
    labels = dataset.load(index).labels
    assert labels is not None
    assert labels.dtype == np.int64
    return labels[0].tolist()


@pytest.mark.parametrize("kind", layouts.LAYOUTS)
def test_every_layout(kind: str, tmp_path: Path) -> None:
    layouts.LAYOUTS[kind](tmp_path)
    assert detect_kind(tmp_path) == kind
    assert kind in KINDS
    for split in available_splits(tmp_path):
        dataset = open_dataset(tmp_path, split=split)
        assert (dataset.name, dataset.split) == (kind, split)
        assert len(dataset.classes) == len(dataset.colours)
        copy = pickle.loads(pickle.dumps(dataset))
        for index in range(len(dataset)):
            example = copy.load(index)
            assert example.photo.rgb.shape == (layouts.HEIGHT, layouts.WIDTH, 3)
            assert example.photo.name == dataset.items[index].name
            if example.labels is not None:
                assert example.labels.max() < len(dataset.classes)
                assert example.labels.min() >= VOID


@pytest.mark.parametrize("kind", layouts.LAYOUTS)
def test_opening_reads_no_picture(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layouts.LAYOUTS[kind](tmp_path)
    real = Image.open

    def opened(stream: Any, **options: Any) -> Image.Image:
        # Masks of 0 and 255 are told from ids by looking into them, where there are two classes.
        if kind == "folder" and "/labels/" in stream.name:
            return real(stream, **options)
        pytest.fail(f"opened {stream.name}")

    monkeypatch.setattr(Image, "open", opened)
    assert len(list(open_dataset(tmp_path).items)) == len(open_dataset(tmp_path))


def test_cocostuff(tmp_path: Path) -> None:
    layouts.cocostuff(tmp_path)
    train = open_dataset(tmp_path)
    assert names(train) == ["000000000030", "000000000009"]  # the list, and its order
    assert train.notes == ()
    assert first_row(train)[:4] == [9, 17, 24, VOID]
    assert train.classes[9] == "person"
    assert names(open_dataset(tmp_path, split="val")) == ["000000000139"]


def test_cocostuff_without_lists_or_labels(tmp_path: Path) -> None:
    layouts.cocostuff(tmp_path)
    (tmp_path / "curated/train2017/Coco164kFull_Stuff_Coarse.txt").unlink()
    (tmp_path / "annotations/train2017/000000000025.png").unlink()
    train = open_dataset(tmp_path)
    assert names(train) == ["000000000009", "000000000030"]
    assert "Coco164kFull_Stuff_Coarse.txt is missing: all 2 annotated images" in train.notes[0]
    for file in (tmp_path / "annotations/train2017").iterdir():
        file.unlink()
    (tmp_path / "annotations/train2017").rmdir()
    bare = open_dataset(tmp_path)
    assert names(bare) == ["000000000009", "000000000025", "000000000030"]
    assert bare.load(0).labels is None
    assert bare.notes[0] == "annotations/train2017 is missing: opened without labels."


def test_cityscapes(tmp_path: Path) -> None:
    layouts.cityscapes(tmp_path)
    train = open_dataset(tmp_path)
    assert names(train) == ["aachen_000001_000019", "ulm_000002_000019"]
    assert first_row(train)[:6] == [0, 26, VOID, VOID, VOID, 4]
    assert (train.classes[0], train.classes[4], train.classes[26]) == (
        "road",
        "building",
        "bicycle",
    )
    assert train.load(0).photo.rgb[0, 0].tolist() == [101, 50, 60]


def test_potsdam(tmp_path: Path) -> None:
    layouts.potsdam(tmp_path)
    assert available_splits(tmp_path) == ("train", "unlabelled_train", "val")
    train = open_dataset(tmp_path)
    assert first_row(train)[:7] == [0, 1, 2, 2, 0, 1, VOID]
    assert train.load(0).photo.rgb[0, 0].tolist() == [100, 20, 30]
    assert open_dataset(tmp_path, split="unlabelled_train").load(0).labels is None
    assert names(open_dataset(tmp_path, split="val")) == ["3_9_1"]


def test_potsdam_files_that_cannot_be_read(tmp_path: Path) -> None:
    from scipy.io import savemat

    layouts.potsdam(tmp_path)
    train = open_dataset(tmp_path)
    image, labels = tmp_path / "imgs/3_10_2.mat", tmp_path / "gt/3_10_2.mat"
    savemat(labels, {"mask": np.zeros((2, 2))})
    with pytest.raises(LabelError, match=r"gt/3_10_2\.mat contains no array 'gt', only: mask"):
        train.load(0)
    savemat(image, {"img": np.zeros((2, 2, 4))})
    with pytest.raises(ImageError, match=r"must hold uint8 \(H, W, 4\), not float64"):
        train.load(0)
    image.write_bytes(image.read_bytes()[:-20])
    with pytest.raises(ImageError, match="damaged"):
        train.load(0)
    image.write_text("text")
    with pytest.raises(ImageError, match="is not a MATLAB file"):
        train.load(0)
    image.unlink()
    with pytest.raises(ImageError, match=r"imgs/3_10_2\.mat does not exist"):
        train.load(0)


def test_camvid(tmp_path: Path) -> None:
    layouts.camvid(tmp_path)
    train = open_dataset(tmp_path)
    assert names(train) == ["Seq_9", "Seq_10"]
    assert first_row(train)[:3] == [0, 10, VOID]
    assert first_row(open_dataset(tmp_path, split="val"))[:3] == [0, 10, VOID]
    assert len(train.classes) == 11


@pytest.mark.parametrize("inside", ["", "ImageNetS50"])
def test_imagenet_s(tmp_path: Path, inside: str) -> None:
    layouts.imagenet_s(tmp_path)
    root = tmp_path / inside
    assert detect_kind(root) == "imagenet_s"
    assert available_splits(root) == ("train", "train-semi", "validation")
    semi = open_dataset(root, split="train-semi")
    assert first_row(semi)[:3] == [0, 50, VOID]
    assert semi.classes[:2] == ("other", "n00000000")
    assert (len(semi.classes), len(set(semi.colours))) == (51, 51)
    assert open_dataset(root).load(0).labels is None
    assert open_dataset(root, split="val").split == "validation"


def test_imagenet_s_with_several_sizes_or_few_folders(tmp_path: Path) -> None:
    layouts.imagenet_s(tmp_path)
    (tmp_path / "ImageNetS50/train/n00000049").rmdir()
    for split in ("train-semi", "validation"):
        (tmp_path / f"ImageNetS50/{split}/n00000049").rmdir()
    semi = open_dataset(tmp_path, split="train-semi")
    assert semi.classes[50] == "class 50"
    assert semi.notes == ("Not all class folders are there: classes are called by number.",)
    (tmp_path / "ImageNetS300").mkdir()
    assert detect_kind(tmp_path) == "imagenet_s"
    said = "contains several: choose one of ImageNetS50, ImageNetS300"
    with pytest.raises(LayoutError, match=said):
        open_dataset(tmp_path)


@pytest.mark.parametrize("inside", ["", "cropped", "cropped/cityscapes_five_crop_0.5"])
def test_written_crops(tmp_path: Path, inside: str) -> None:
    layouts.five_crops(tmp_path)
    crops = open_dataset(tmp_path / inside)
    assert names(crops) == [str(n) for n in range(15)]
    assert first_row(crops)[:3] == [VOID, 0, 26]
    assert crops.classes[26] == "bicycle"
    (tmp_path / "cropped/cityscapes_five_crop_0.5/img/train/14.jpg").unlink()
    assert "14 crops are not a multiple of five" in open_dataset(tmp_path / inside).notes[0]


def test_written_crops_of_something_else(tmp_path: Path) -> None:
    layouts.write_image(tmp_path / "cropped/birds_five_crop_0.5/img/train/0.jpg")
    with pytest.raises(LayoutError, match=r"crops of 'birds', whose classes are not known"):
        open_dataset(tmp_path)


def test_crops_cut_while_reading(tmp_path: Path) -> None:
    root = tmp_path
    (root / "train").mkdir()
    (root / "trainannot").mkdir()
    y, x = np.mgrid[:5, :7]
    rgb = np.stack([y * 10, x * 10, x * 0], -1).astype(np.uint8)
    Image.fromarray(rgb).save(root / "train/a.png")
    Image.fromarray(y.astype(np.uint8)).save(root / "trainannot/a.png")
    crops = five_crops(open_dataset(root))
    assert len(crops) == 5
    assert names(crops)[0] == "a, top left"
    corners = [(0, 0), (0, 4), (3, 0), (3, 4), (2, 2)]  # of 2 × 3 pixels
    for index, (top, left) in enumerate(corners):
        example = pickle.loads(pickle.dumps(crops)).load(index)
        assert np.array_equal(example.photo.rgb, rgb[top : top + 2, left : left + 3])
        assert example.labels is not None
        assert np.array_equal(example.labels, y[top : top + 2, left : left + 3])
    assert np.array_equal(crops.load(-1).photo.rgb, crops.load(4).photo.rgb)
    with pytest.raises(ValueError, match="ratio must be above 0"):
        five_crops(open_dataset(root), 0)


def test_images(tmp_path: Path) -> None:
    layouts.images(tmp_path)
    dataset = open_dataset(tmp_path)
    assert names(dataset) == ["a.png", "b.JPG", "deep/er/img9.png", "deep/er/img10.webp"]
    assert dataset.split == "all"
    assert dataset.classes == ()
    assert dataset.load(3).labels is None
    assert dataset.notes == ("1 file of the kind .cr2 was left out: save it as JPEG or PNG.",)


def test_a_search_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layouts.images(tmp_path)
    monkeypatch.setattr("ppap.data.searching.MAX_ENTRIES", 5)
    dataset = open_dataset(tmp_path)
    assert names(dataset) == ["a.png", "b.JPG"]
    assert "The search stopped after" in dataset.notes[-1]


def test_samples() -> None:
    samples = samples_dataset()
    assert open_dataset(None, kind="samples").items == samples.items
    assert len(samples) == 6
    seen = set()
    for index in range(len(samples)):
        labels = samples.load(index).labels
        assert labels is not None
        seen |= set(np.unique(labels).tolist())
    # Every class occurs, and has the name and colour that it has in COCO-Stuff-27.
    assert seen == {-1, *range(len(samples.classes))}
    coco = dict(zip(COCOSTUFF27.names, COCOSTUFF27.colours, strict=True))
    for name, colour in zip(samples.classes, samples.colours, strict=True):
        assert coco[name] == colour
    # The big cat's face.
    labels = samples.load(0).labels
    assert labels is not None
    assert samples.classes[labels[148, 123]] == "animal"
    with pytest.raises(LayoutError, match="is not needed: the sample photos come with"):
        open_dataset("somewhere", kind="samples")


def test_natural_order() -> None:
    mixed = ["img10", "img9", "IMG1", "a", "img09", "2", "10", "1x"]
    assert sorted(mixed, key=natural_key) == [
        "1x",
        "2",
        "10",
        "a",
        "IMG1",
        "img09",
        "img9",
        "img10",
    ]


def test_items_are_a_sequence(tmp_path: Path) -> None:
    layouts.five_crops(tmp_path)
    dataset = open_dataset(tmp_path)
    assert [item.name for item in dataset.items[3:5]] == ["3", "4"]
    assert dataset.items[-1].name == "14"
    assert dataset.load(-1).photo.name == "14"
    with pytest.raises(IndexError, match="item 15 does not exist: train has 15 items"):
        dataset.load(15)


def test_label_maps_below_a_folder_are_no_photographs(tmp_path: Path) -> None:
    for part in ("a/images", "a/labels", "b/trainannot"):
        (tmp_path / part).mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(tmp_path / part / "0.png")
    data = open_dataset(tmp_path, kind="images")
    assert [item.name for item in data.items] == ["a/images/0.png"]
    (told,) = data.warnings
    assert told.startswith("Label maps were left out: 2 folders (a/labels, b/trainannot). To use")
    assert data.notes == data.warnings
