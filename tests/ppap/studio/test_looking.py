"""What a folder seems to be before it is chosen, and its first images as thumbnails."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ppap.data import DataError
from ppap.studio import looking as module
from ppap.studio.looking import SIDE, Looking, thumbnail
from ppap.studio.patience import Patience
from ppap.studio.sources import Sources
from tests.support.layouts import LAYOUTS
from tests.support.small_studio import draw

WORDS = {
    "cocostuff27": "COCO-Stuff-27: train 2, val 1; 27 classes",
    "cityscapes27": "Cityscapes: train 2, val 1; 27 classes",
    "potsdam3": "Potsdam-3: train 1, unlabelled_train 1, val 1; 3 classes",
    "camvid": "CamVid: train 2, val 1; 11 classes",
    "imagenet_s": "ImageNet-S: train 2, train-semi 2, validation 2; 51 classes",
    "five_crops": "Five crops: train 15; 27 classes",
    "folder": "Folder with images: train 8, val 2; 2 classes",
    "images": "4 images without labels",
}


@pytest.fixture(autouse=True)
def _no_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """However busy the machine is that tests run on."""
    for name in ("SECONDS", "COUNTING_SECONDS", "THUMBNAIL_SECONDS"):
        monkeypatch.setattr(module, name, 300.0)


@pytest.fixture
def looking(tmp_path: Path) -> Looking:
    sources = Sources([tmp_path], uploads=tmp_path / "uploads", any_folder=False)
    return Looking(sources, Patience())


def look(looking: Looking, path: Path) -> dict[str, Any]:
    told: dict[str, Any] = looking.look_at_folder({"path": str(path)})
    return told


@pytest.mark.parametrize("kind", LAYOUTS)
def test_every_kind_in_words(kind: str, looking: Looking, tmp_path: Path) -> None:
    LAYOUTS[kind](tmp_path / "set")
    told = look(looking, tmp_path / "set")
    assert told["kind"] == kind
    assert told["text"] == WORDS[kind]
    assert bool(told["thumbnails"]) == (kind != "potsdam3")  # MATLAB's files are no pictures


def test_the_first_images_as_thumbnails(looking: Looking, tmp_path: Path) -> None:
    for n in range(12):
        draw(tmp_path / f"set/photo{n}.png", n, side=100 + n)
    (tmp_path / "set/photo1.png").write_bytes(b"no picture")
    told = look(looking, tmp_path / "set")
    assert [one["name"] for one in told["thumbnails"]] == [f"photo{n}.png" for n in (0, 2, 3, 4, 5)]
    data = told["thumbnails"][0]["image"].removeprefix("data:image/jpeg;base64,")
    with Image.open(io.BytesIO(base64.b64decode(data))) as image:
        assert image.size == (SIDE, SIDE)


def test_folders_without_a_data_set(looking: Looking, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert look(looking, tmp_path / "empty")["text"] == "No images were found."
    LAYOUTS["folder"](tmp_path / "set")
    (tmp_path / "set/train.txt").write_text("none\n")
    assert look(looking, tmp_path / "set")["text"].startswith("Folder with images: ")
    assert "There is no folder" in look(looking, tmp_path / "none")["error"]


def test_a_look_ends_after_so_many(
    looking: Looking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOKED_AT", 8)
    for n in range(6):
        draw(tmp_path / f"set/{n}/photo.png", n)
    told = look(looking, tmp_path / "set")
    assert told["text"].startswith("More than 2 images")
    assert told["notes"] == []


def test_a_look_is_remembered_for_a_moment(
    looking: Looking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw(tmp_path / "set/a.png", 1)
    assert look(looking, tmp_path / "set")["text"] == "1 image without labels"
    draw(tmp_path / "set/b.png", 1)
    assert look(looking, tmp_path / "set")["text"] == "1 image without labels"
    monkeypatch.setattr(module, "KEPT_SECONDS", 0)
    assert look(looking, tmp_path / "set")["text"] == "2 images without labels"


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "RGBA", "CMYK", "I;16"])
def test_a_thumbnail_of_any_mode(mode: str, tmp_path: Path) -> None:
    file = tmp_path / ("a.tif" if mode == "CMYK" else "a.png")
    if mode == "I;16":
        Image.fromarray(np.arange(600, dtype=np.uint16).reshape(20, 30)).save(file)
    else:
        Image.new("RGB", (30, 20), (200, 30, 40)).convert(mode).save(file)
    with Image.open(io.BytesIO(thumbnail(file))) as image:
        assert (image.size, image.mode) == ((SIDE, SIDE), "RGB")


def test_a_thumbnail_is_upright(tmp_path: Path) -> None:
    image = Image.new("RGB", (40, 40), "white")
    image.paste((0, 0, 0), (0, 0, 40, 20))  # dark above
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    image.save(tmp_path / "a.jpg", exif=exif)
    with Image.open(io.BytesIO(thumbnail(tmp_path / "a.jpg"))) as shown:
        assert np.asarray(shown.convert("L"))[SIDE - 8, SIDE // 2] < 60


def test_bombs_are_not_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = tmp_path / "bomb.png"
    Image.new("1", (20_000, 20_000)).save(bomb)
    with pytest.raises(DataError):
        thumbnail(bomb)
    wide = tmp_path / "wide.png"
    Image.new("L", (5000, 4000)).save(wide)
    with pytest.raises(DataError, match="too many pixels to preview"):
        thumbnail(wide)
    # A JPEG of that size is read at an eighth of it.
    Image.new("L", (5000, 4000)).save(tmp_path / "wide.jpg")
    assert thumbnail(tmp_path / "wide.jpg")
    monkeypatch.setattr(module, "MAX_BYTES", 10)
    with pytest.raises(DataError, match="too large to preview"):
        thumbnail(tmp_path / "wide.jpg")
