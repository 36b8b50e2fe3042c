"""The sample photos and their label maps: right photo, right size, right classes."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ppap.data import samples as module
from ppap.data.sample_photos import IDS
from ppap.data.samples import FOLDER, ORDER, Sample, samples

ANIMAL, BUILDING, GROUND, PLANT, SKY, SOLID, WATER, VOID = 7, 20, 21, 22, 23, 24, 26, 255

# Looked up by eye in the photos: (x, y) → class.
PINNED = {
    "cheetah1": [
        (123, 148, ANIMAL, "nose"),
        (89, 91, ANIMAL, "eye"),
        (45, 60, ANIMAL, "ear"),
        (140, 230, ANIMAL, "chest"),
        (20, 20, VOID, "blurred background"),
        (235, 150, VOID, "blurred background"),
    ],
    "lion": [
        (118, 92, ANIMAL, "the lion's nose"),
        (60, 150, ANIMAL, "black mane"),
        (110, 200, ANIMAL, "paw"),
        (215, 100, ANIMAL, "the lioness's back"),
        (20, 160, ANIMAL, "flank"),
        (180, 220, SOLID, "boulder"),
        (30, 40, SOLID, "rocks behind"),
        (240, 15, VOID, "shaded wall"),
    ],
    "cheetah": [
        (370, 148, ANIMAL, "muzzle"),
        (95, 141, ANIMAL, "tip of the tail"),
        (270, 145, ANIMAL, "flank"),
        (290, 228, ANIMAL, "hind paw"),
        (276, 205, GROUND, "between the legs"),
        (250, 50, GROUND, "behind"),
        (100, 300, GROUND, "in front"),
    ],
    "china": [
        (206, 40, BUILDING, "finial"),
        (230, 95, BUILDING, "top roof"),
        (250, 240, BUILDING, "middle ledge"),
        (250, 370, BUILDING, "lowest roof"),
        (450, 80, SKY, "sky"),
        (60, 100, SKY, "sky to the left"),
        (450, 280, WATER, "lake"),
        (50, 305, WATER, "lake to the left"),
        (450, 350, PLANT, "trees to the right"),
        (100, 400, PLANT, "trees in front"),
        (600, 300, PLANT, "tall tree"),
        (420, 208, VOID, "far shore in the haze"),
    ],
    "tower": [
        (212, 90, BUILDING, "top"),
        (212, 250, BUILDING, "shaft"),
        (200, 380, BUILDING, "second floor"),
        (200, 580, BUILDING, "first floor"),
        (60, 200, SKY, "sky to the left"),
        (340, 330, SKY, "sky to the right"),
        (304, 15, PLANT, "thick branch"),
        (366, 120, PLANT, "thick branch below"),
        (273, 545, VOID, "opening in the ironwork"),
    ],
    "flower": [
        (310, 220, PLANT, "heart of the dahlia"),
        (200, 200, PLANT, "outer petals"),
        (350, 410, PLANT, "second dahlia"),
        (60, 200, PLANT, "leaf to the left"),
        (550, 160, PLANT, "leaf to the right"),
        (170, 60, VOID, "dark gap"),
        (130, 370, VOID, "dark gap below"),
    ],
}
# In these two all that can be named is one class; a second one would be invented.
ONE_CLASS = {"cheetah1": ANIMAL, "flower": PLANT}


def labels_of(sample: Sample) -> np.ndarray:
    with Image.open(sample.labels) as picture:
        assert picture.mode == "L"
        return np.asarray(picture)


@pytest.fixture(scope="module")
def found() -> dict[str, Sample]:
    return {sample.name: sample for sample in samples()}


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A writable copy of assets/samples that the module reads instead."""
    folder = tmp_path / "samples"
    shutil.copytree(FOLDER, folder)
    monkeypatch.setattr(module, "FOLDER", folder)
    return folder


def change(card: Path, **fields: str) -> None:
    card.write_text(json.dumps(json.loads(card.read_text(encoding="utf-8")) | fields))


def test_all_six_are_found_in_their_fixed_order() -> None:
    assert tuple(sample.name for sample in samples()) == ORDER
    assert set(ORDER) == set(PINNED) == {file.stem for file in FOLDER.glob("*.png")}


@pytest.mark.parametrize("name", ORDER)
def test_label_map_fits_its_photo(found: dict[str, Sample], name: str) -> None:
    sample = found[name]
    labels = labels_of(sample)
    card = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    with Image.open(sample.photo) as photo:
        assert photo.size == labels.shape[::-1] == (card["width"], card["height"])
    assert hashlib.sha256(sample.photo.read_bytes()).hexdigest() == card["sha256"]


@pytest.mark.parametrize("name", ORDER)
def test_classes_and_void_share(found: dict[str, Sample], name: str) -> None:
    labels = labels_of(found[name])
    classes = set(np.unique(labels).tolist()) - {VOID}
    assert classes <= set(IDS)
    if name in ONE_CLASS:
        assert classes == {ONE_CLASS[name]}
        assert 0.1 < (labels == VOID).mean() < 0.5
    else:
        assert len(classes) >= 2
        assert 0.01 < (labels == VOID).mean() < 0.15


@pytest.mark.parametrize("name", ORDER)
def test_borders_between_classes_are_void(found: dict[str, Sample], name: str) -> None:
    labels = labels_of(found[name]).astype(int)
    for a, b in ((labels[1:], labels[:-1]), (labels[:, 1:], labels[:, :-1])):
        assert not ((a != b) & (a != VOID) & (b != VOID)).any()


@pytest.mark.parametrize(
    ("name", "x", "y", "label", "what"),
    [(name, *pin) for name, pins in PINNED.items() for pin in pins],
)
def test_pinned_pixels(
    found: dict[str, Sample], name: str, x: int, y: int, label: int, what: str
) -> None:
    assert labels_of(found[name])[y, x] == label, f"{what} of {name}"


@pytest.mark.parametrize(
    ("label", "names"),
    [
        (ANIMAL, {"cheetah1", "lion", "cheetah"}),
        (BUILDING, {"china", "tower"}),
        (SKY, {"china", "tower"}),
        (PLANT, {"china", "tower", "flower"}),
    ],
)
def test_classes_shared_by_photos(found: dict[str, Sample], label: int, names: set[str]) -> None:
    assert {name for name in ORDER if (labels_of(found[name]) == label).any()} == names


def test_alt_texts_are_single_sentences(found: dict[str, Sample]) -> None:
    alts = [sample.alt for sample in found.values()]
    assert len(set(alts)) == len(alts)
    for alt in alts:
        assert alt[0].isupper()
        assert alt.endswith(".")
        assert alt.count(".") == 1


def test_changed_photo_is_left_out(copied: Path, caplog: pytest.LogCaptureFixture) -> None:
    change(copied / "lion.json", sha256="0" * 64)
    with caplog.at_level(logging.WARNING):
        left = [sample.name for sample in samples()]
    assert left == [name for name in ORDER if name != "lion"]
    assert "lion is left out" in caplog.text
    assert "not the photo" in caplog.text


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"path": "media_assets/images/no_such.jpg"}, "has no media_assets/images/no_such.jpg"),
        ({"package": "no_such_package_at_all"}, "no_such_package_at_all is not installed"),
    ],
)
def test_missing_photo_is_left_out(
    copied: Path, caplog: pytest.LogCaptureFixture, fields: dict[str, str], reason: str
) -> None:
    change(copied / "tower.json", **fields)
    with caplog.at_level(logging.WARNING):
        assert "tower" not in {sample.name for sample in samples()}
    assert reason in caplog.text


def test_missing_label_map_is_left_out(copied: Path, caplog: pytest.LogCaptureFixture) -> None:
    (copied / "china.png").unlink()
    with caplog.at_level(logging.WARNING):
        assert "china" not in {sample.name for sample in samples()}
    assert "china.png is missing" in caplog.text


def test_no_photo_left_is_an_error(copied: Path) -> None:
    for card in copied.glob("*.json"):
        change(card, sha256="0" * 64)
    with pytest.raises(FileNotFoundError, match=r"install the versions of gradio and scikit-learn"):
        samples()


def test_finding_photos_imports_neither_package() -> None:
    code = (
        "import sys; from ppap.data.samples import samples; samples(); "
        "sys.exit(bool({'gradio', 'sklearn'} & set(sys.modules)))"
    )
    root = Path(module.__file__).resolve().parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0
