"""``trainers.training.splits``: what a run trains on, holds out and is evaluated on."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ppap.data import DataError, Dataset, five_crops, open_dataset
from ppap.settings import SettingError
from tests.support import layouts
from tests.support.small_segmenters import write_folder
from trainers import crops as crops_command
from trainers.config import Config
from trainers.training.splits import (
    class_list_of,
    complete_crops,
    data_digest,
    has_labels,
    open_splits,
    refuse_bad_data,
)


def config(**changes: Any) -> Config:
    return Config(dataset="folder", batch=2).with_(changes)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """10 images, 2 of them val by the fixed rule."""
    write_folder(tmp_path / "data", 10)
    return tmp_path / "data"


def names(dataset: Dataset | None) -> list[str]:
    assert dataset is not None
    return [item.name for item in dataset.items]


# --- opening


def test_training_and_evaluation(data: Path) -> None:
    splits = open_splits(config(), data)
    assert names(splits.training) == names(open_dataset(data, split="train"))
    assert names(splits.evaluation) == names(open_dataset(data, split="val"))
    assert splits.held_out is None
    assert not splits.precut
    swapped = open_splits(config(train_split="val", eval_split="train"), data)
    assert names(swapped.training) == names(splits.evaluation)
    assert names(swapped.evaluation) == names(splits.training)


def test_held_out_images_leave_training(data: Path) -> None:
    whole = names(open_dataset(data, split="train"))
    splits = open_splits(config(selection="held_out", held_out=0.25), data)
    assert len(names(splits.held_out)) == 2
    assert sorted(names(splits.training) + names(splits.held_out)) == sorted(whole)
    other = open_splits(config(selection="held_out", held_out=0.25, seed=3), data)
    assert set(names(other.held_out)) != set(names(splits.held_out))


def test_crops_are_cut_from_what_is_left(data: Path) -> None:
    settings = config(selection="held_out", held_out=0.25, crops="five", crop_ratio=0.7)
    splits = open_splits(settings, data)
    plain = open_splits(config(selection="held_out", held_out=0.25), data)
    assert len(splits.training) == 5 * len(plain.training)
    kept = {item.image for item in plain.training.items}
    assert {item.image for item in splits.training.items} == kept
    assert names(splits.held_out) == names(plain.held_out)
    height, width = splits.training.load(0).photo.rgb.shape[:2]
    whole = plain.training.load(0).photo.rgb.shape
    assert (height, width) == (int(0.7 * whole[0]), int(0.7 * whole[1]))


def test_without_labels_there_is_no_evaluation(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(6):
        layouts.write_image(tmp_path / f"images/{number}.png")
    caplog.set_level(logging.INFO, "trainers")
    assert open_splits(config(), tmp_path).evaluation is None
    assert "No evaluation: " in caplog.text
    assert "no label maps" in caplog.text
    with pytest.raises(DataError, match="no label maps"):
        open_splits(config(selection="evaluation"), tmp_path)
    # Found out now, not at the end of the first epoch.
    with pytest.raises(DataError, match="no label maps"):
        open_splits(config(selection="held_out", held_out=0.5), tmp_path)


def test_a_split_that_is_not_there(data: Path) -> None:
    with pytest.raises(DataError, match="has no split 'trein', only: train, val, all"):
        open_splits(config(train_split="trein"), data)
    assert open_splits(config(eval_split="test"), data).evaluation is None


def test_the_sample_photos_need_no_folder() -> None:
    splits = open_splits(Config(dataset="samples", train_split="all", eval_split="all"), None)
    assert len(splits.training) > 3
    assert splits.evaluation is not None


def test_a_folder_that_is_not_given() -> None:
    with pytest.raises(DataError, match="folder is not given"):
        open_splits(config(), None)


# --- crops that were cut beforehand


def cut(data: Path, *words: str) -> Path:
    """Write the crops as people do."""
    assert crops_command.main(["folder", "--data", str(data), "--workers", "1", *words]) == 0
    return next((data / "cropped").iterdir())


def test_complete_crops_are_read(data: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "trainers")
    folder = cut(data)
    splits = open_splits(config(crops="five"), data)
    assert splits.precut
    assert f"Reading the crops in {folder}." in caplog.text
    assert splits.training.items[0].image.parent == folder / "img/train"
    cut_now = five_crops(open_dataset(data, split="train"))
    assert len(splits.training) == len(cut_now)
    assert splits.training.classes == cut_now.classes
    for index in (0, 7, 34):
        stored, fresh = splits.training.load(index), cut_now.load(index)
        assert np.array_equal(stored.labels, fresh.labels)  # type: ignore[arg-type]
        difference = stored.photo.rgb.astype(int) - fresh.photo.rgb
        assert np.abs(difference).mean() < 10  # JPEG, of noise
    assert names(splits.evaluation) == names(open_dataset(data, split="val"))


@pytest.mark.parametrize(
    "settings",
    [{"selection": "held_out", "held_out": 0.25}, {"crop_ratio": 0.6}, {"crops": "none"}],
)
def test_other_crops_are_cut_anew(data: Path, settings: dict[str, Any]) -> None:
    cut(data)
    splits = open_splits(config(crops="five").with_(settings), data)
    assert not splits.precut
    assert all(item.image.parent == data / "images" for item in splits.training.items)


def remove_a_crop(data: Path, folder: Path) -> None:
    (folder / "img/train/13.jpg").unlink()


def remove_labels(data: Path, folder: Path) -> None:
    shutil.rmtree(folder / "label")


def add_an_image(data: Path, folder: Path) -> None:
    for stem in ("p10", "p11", "p12", "p13", "p14"):
        shutil.copy(data / "images/p0.png", data / f"images/{stem}.png")


def rename_an_image(data: Path, folder: Path) -> None:
    stem = names(open_dataset(data, split="train"))[0]
    for part in ("images", "labels"):
        (data / f"{part}/{stem}.png").rename(data / f"{part}/{stem}0.png")
    (data / "val.txt").write_text("\n".join(names(open_dataset(data, split="val"))) + "\n")


def spoil_the_record(data: Path, folder: Path) -> None:
    (folder / "crops_train.json").write_text("{")


def name_it_badly(data: Path, folder: Path) -> None:
    (folder / "img/train/13.jpg").rename(folder / "img/train/thirteen.jpg")


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (remove_a_crop, "there are 39 of 40"),
        (remove_labels, "their label maps are missing"),
        (add_an_image, "there are 40 of "),
        (rename_an_image, "they were made from different images or label maps"),
        (spoil_the_record, "the record of what they were made from cannot be read"),
        (name_it_badly, "should be a number"),
    ],
)
def test_crops_that_do_not_fit_are_told_and_cut_anew(
    data: Path, caplog: pytest.LogCaptureFixture, spoil: Any, why: str
) -> None:
    folder = cut(data)
    caplog.set_level(logging.INFO, "trainers")
    if spoil is rename_an_image:  # which must not move it to the other split
        (data / "val.txt").write_text("\n".join(names(open_dataset(data, split="val"))) + "\n")
    spoil(data, folder)
    splits = open_splits(config(crops="five"), data)
    assert not splits.precut
    said = f"The crops in {folder} are not used; crops are cut from the images instead: "
    assert said in caplog.text
    assert why in caplog.text


def test_published_crops_have_no_record(data: Path) -> None:
    folder = cut(data)
    (folder / "crops_train.json").unlink()
    assert complete_crops(open_dataset(data, split="train"), 0.5) is not None


def test_any_quality_will_do(data: Path) -> None:
    folder = cut(data, "--quality", "60")
    assert json.loads((folder / "crops_train.json").read_text())["quality"] == 60
    assert open_splits(config(crops="five"), data).precut


def test_a_run_goes_on_as_it_began(data: Path) -> None:
    began_without = open_splits(config(crops="five"), data)
    folder = cut(data)
    assert not open_splits(config(crops="five"), data, precut=False).precut
    began_with = open_splits(config(crops="five"), data, precut=True)
    assert began_with.precut
    assert data_digest(began_with.training) != data_digest(began_without.training)
    shutil.rmtree(folder)
    with pytest.raises(DataError, match="no longer contains all the crops that the run started"):
        open_splits(config(crops="five"), data, precut=True)


def test_crops_of_crops(tmp_path: Path) -> None:
    layouts.five_crops(tmp_path)
    with pytest.raises(SettingError, match="already contains crops: use crops=none"):
        open_splits(config(dataset="five_crops", crops="five"), tmp_path)


# --- which images


def test_the_digest_is_of_the_images(data: Path, tmp_path: Path) -> None:
    train = open_dataset(data, split="train")
    write_folder(tmp_path / "moved", 10)
    moved = open_dataset(tmp_path / "moved", split="train")
    assert data_digest(moved) == data_digest(train)
    others = [
        open_dataset(data, split="val"),
        open_dataset(data, split="all"),
        five_crops(train),
        open_splits(config(selection="held_out"), data).training,
    ]
    assert len({data_digest(dataset) for dataset in (train, *others)}) == 5
    Image.new("RGB", (9, 9)).save(data / "images/q.png")
    assert data_digest(open_dataset(data, split="all")) != data_digest(others[1])


def test_classes_by_number_where_nothing_is_labelled(data: Path, tmp_path: Path) -> None:
    assert class_list_of(open_dataset(data), 5).names == ("sky", "road", "tree")
    layouts.images(tmp_path / "bare")
    bare = open_dataset(tmp_path / "bare")
    assert not has_labels(bare)
    made = class_list_of(bare, 40)
    assert len(made) == len(set(made.names)) == len(set(made.colours)) == 40


# --- before anything runs


def test_sound_data_pass(data: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "trainers")
    refuse_bad_data(config(), data, report=True)
    refuse_bad_data(Config(dataset="samples"), None, report=True)
    assert caplog.text.count("Note: No train.txt and val.txt") == 1


def test_one_broken_file_is_named(data: Path) -> None:
    train = names(open_dataset(data, split="train"))
    (data / f"images/{train[3]}.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=rf"{train[3]}\.png "):
        refuse_bad_data(config(), data, report=True)


def test_skipping_is_advised_where_it_helps(data: Path) -> None:
    def said(**changes: Any) -> str:
        with pytest.raises(DataError) as found:
            refuse_bad_data(config(**changes), data, report=True)
        return str(found.value)

    train = names(open_dataset(data, split="train"))
    picture = (data / f"images/{train[3]}.png").read_bytes()
    for damaged in (b"no picture", picture[:40]):
        (data / f"images/{train[3]}.png").write_bytes(damaged)
        assert "on_error=skip" in said()
    (data / f"images/{train[3]}.png").write_bytes(picture)
    # Label maps of other classes would leave most images out.
    for stem in train:
        Image.new("L", (50, 40), 77).save(data / f"labels/{stem}.png")
    assert "on_error" not in said()
    assert "on_error" not in said(on_error="skip")


def test_skipping_makes_warnings_of_broken_files(
    data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    train = names(open_dataset(data, split="train"))
    (data / f"images/{train[3]}.png").write_bytes(b"no picture")
    caplog.set_level(logging.INFO, "trainers")
    refuse_bad_data(config(on_error="skip"), data, report=True)
    assert f"{train[3]}.png is not an image" in caplog.text
    for crops in ("none", "five"):
        found = open_splits(config(on_error="skip", crops=crops), data)
        assert found.evaluation is not None
        assert found.training.on_error == found.evaluation.on_error == "skip"
    assert open_splits(config(), data).training.on_error == "stop"
    held = open_splits(config(on_error="skip", selection="held_out", held_out=0.3), data)
    assert held.held_out is not None
    assert held.held_out.on_error == held.training.on_error == "skip"


def test_several_are_listed(data: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "trainers")
    train, val = (names(open_dataset(data, split=split)) for split in ("train", "val"))
    broken = [*train[:2], val[0]]
    for stem in broken:
        Image.new("L", (3, 3), 9).save(data / f"labels/{stem}.png")
    with pytest.raises(DataError, match="data has 3 errors, listed above: fix them first"):
        refuse_bad_data(config(), data, report=True)
    for stem in broken:
        assert f"Error: {data}/labels/{stem}.png has 3×3 pixels" in caplog.text


def test_the_evaluation_is_looked_at_too(data: Path) -> None:
    (data / f"labels/{names(open_dataset(data, split='val'))[1]}.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"labels/.*\.png"):
        refuse_bad_data(config(), data, report=True)
    refuse_bad_data(config(eval_split="nothing"), data, report=True)


def test_many_starts_need_labels_of_the_training_images(data: Path) -> None:
    wanted = config(report_starts=2)
    refuse_bad_data(wanted, data, report=True)
    for stem in names(open_dataset(data, split="train")):
        (data / f"labels/{stem}.png").unlink()
    refuse_bad_data(wanted, data, report=False)
    with pytest.raises(SettingError, match="report_starts=2 needs label maps of the split 'train'"):
        refuse_bad_data(wanted, data, report=True)


def test_no_such_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere does not exist"):
        refuse_bad_data(config(), tmp_path / "nowhere", report=True)


def test_imagenets_bank_is_needed_for_its_report(tmp_path: Path) -> None:
    layouts.imagenet_s(tmp_path)
    settings = Config(dataset="imagenet_s", eval_split="validation")
    refuse_bad_data(settings, tmp_path, report=True)
    mask = next((tmp_path / "ImageNetS50/train-semi-segmentation").rglob("*.png"))
    mask.write_bytes(b"")
    with pytest.raises(DataError, match="train-semi-segmentation"):
        refuse_bad_data(settings, tmp_path, report=True)
    refuse_bad_data(settings, tmp_path, report=False)
