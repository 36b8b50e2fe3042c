"""Tiny data sets in the published layouts, built by code: every file is where the real one is."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from PIL import Image

HEIGHT, WIDTH = 6, 8


def write_image(path: Path, value: int = 100, height: int = HEIGHT, width: int = WIDTH) -> None:
    """A flat picture; its red value tells which one was read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (width, height), (value, 50, 60)).save(path, quality=100)


def write_labels(path: Path, ids: Iterable[int]) -> None:
    """The ids from left to right over the first row, the last one everywhere else."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(label_array(ids)).save(path)


def label_array(ids: Iterable[int], dtype: type = np.uint8) -> np.ndarray:
    """What ``write_labels`` stores."""
    row = list(ids)
    labels: np.ndarray = np.full((HEIGHT, WIDTH), row[-1], dtype)
    labels[0, : len(row)] = row
    return labels


def write_text(path: Path, *lines: str) -> None:
    """A list, one entry a line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def cocostuff(root: Path) -> None:
    """Three training images of which two are curated, one validation image."""
    for folder, ids in (("train2017", (9, 25, 30)), ("val2017", (139,))):
        for id_ in ids:
            write_image(root / f"images/{folder}/{id_:012d}.jpg", 100 + id_)
            write_labels(root / f"annotations/{folder}/{id_:012d}.png", (0, 91, 181, 255))
    lists = root / "curated"
    write_text(lists / "train2017/Coco164kFull_Stuff_Coarse.txt", "000000000030", "000000000009")
    write_text(lists / "val2017/Coco164kFull_Stuff_Coarse_7.txt", "000000000139")


def cityscapes(root: Path) -> None:
    """Two cities; beside the label ids lie the other files of gtFine."""
    for split, city, frame in (("train", "ulm", 2), ("train", "aachen", 1), ("val", "bonn", 3)):
        stem = f"{split}/{city}/{city}_{frame:06d}_000019"
        write_image(root / f"leftImg8bit/{stem}_leftImg8bit.png", 100 + frame)
        write_labels(root / f"gtFine/{stem}_gtFine_labelIds.png", (7, 33, 6, 0, 255, 11))
        write_labels(root / f"gtFine/{stem}_gtFine_instanceIds.png", (7,))
        write_image(root / f"gtFine/{stem}_gtFine_color.png")
        write_text(root / f"gtFine/{stem}_gtFine_polygons.json", "{}")


def potsdam(root: Path) -> None:
    """One labelled training image, one test image, one without labels."""
    from scipy.io import savemat

    for folder in ("imgs", "gt"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(("3_10_2", "3_9_1", "7_0_0")):
        values = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
        values[...] = (100 + number, 20, 30, 40)
        savemat(root / f"imgs/{name}.mat", {"img": values})
    for name in ("3_10_2", "3_9_1"):
        savemat(root / f"gt/{name}.mat", {"gt": label_array((0, 1, 2, 3, 4, 5, 255))})
    write_text(root / "labelled_train.txt", "3_10_2")
    write_text(root / "labelled_test.txt", "3_9_1")
    write_text(root / "unlabelled_train.txt", "7_0_0")


def camvid(root: Path) -> None:
    """PNG photos in train, JPEG photos in val."""
    for split, name in (("train", "Seq_10.png"), ("train", "Seq_9.png"), ("val", "Seq_1.jpg")):
        write_image(root / split / name)
        write_labels(root / f"{split}annot" / f"{name[:-4]}.png", (0, 10, 11))


def imagenet_s(root: Path) -> None:
    """ImageNet-S-50 with all its class folders, two of them filled."""
    home = root / "ImageNetS50"
    for split in ("train", "train-semi", "validation"):
        for number in range(50):
            (home / split / f"n{number:08d}").mkdir(parents=True, exist_ok=True)
    for wnid in ("n00000000", "n00000007"):
        write_image(home / f"train/{wnid}/{wnid}_5.JPEG")
        for split, name in (
            ("train-semi", f"{wnid}_12"),
            ("validation", "ILSVRC2012_val_00000001"),
        ):
            write_image(home / f"{split}/{wnid}/{name}.JPEG")
            ids = label_array((0, 50, 1000), np.int64)
            mask = np.stack([ids % 256, ids // 256, ids * 0], axis=-1).astype(np.uint8)
            path = home / f"{split}-segmentation/{wnid}/{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(mask).save(path)


def five_crops(root: Path) -> None:
    """The crops of three Cityscapes pictures; numbers sort as numbers."""
    home = root / "cropped/cityscapes_five_crop_0.5"
    for number in range(15):
        write_image(home / f"img/train/{number}.jpg", 100 + number)
        write_labels(home / f"label/train/{number}.png", (0, 1, 27))


def folder(root: Path) -> None:
    """Ten pictures in two folders, labels for all but one."""
    for number in range(10):
        stem = f"{'day' if number % 2 else 'night'}/p{number}"
        write_image(root / f"images/{stem}.png", 100 + number)
        if number != 4:
            write_labels(root / f"labels/{stem}.png", (0, 1, 255))
    write_text(root / "classes.txt", "land", "open water")


def images(root: Path) -> None:
    """Pictures at three depths beside files that are none."""
    for name in ("b.JPG", "a.png", "deep/er/img10.webp", "deep/er/img9.png"):
        write_image(root / name)
    for name in ("notes.txt", "deep/video.mp4", "IMG_1.CR2", ".hidden.png", "deep/._a.png"):
        write_text(root / name, "no picture")


LAYOUTS: dict[str, Callable[[Path], None]] = {
    "cocostuff27": cocostuff,
    "cityscapes27": cityscapes,
    "potsdam3": potsdam,
    "camvid": camvid,
    "imagenet_s": imagenet_s,
    "five_crops": five_crops,
    "folder": folder,
    "images": images,
}
