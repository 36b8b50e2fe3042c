"""Reading one item: turned photos, and what cannot be read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ppap.data import VOID, ImageError, LabelError, five_crops, open_dataset, preflight
from ppap.data.images import UPRIGHT, turned
from tests.support import layouts

HEIGHT, WIDTH = 24, 40


def write(root: Path, orientation: int, *, drawn: str, size: tuple[int, int]) -> None:
    """A photo that is bright where its label map says 1, in every corner otherwise."""
    height, width = size
    ids = np.zeros((height, width), np.uint8)
    ids[: height // 3, : width // 2] = 1
    exif = Image.Exif()
    exif[0x0112] = orientation
    (root / "images").mkdir(parents=True, exist_ok=True)
    (root / "labels").mkdir(exist_ok=True)
    bright = np.repeat(ids[..., None] * 255, 3, axis=2)
    Image.fromarray(bright).save(root / "images/a.png", exif=exif)
    kept = ids if drawn == "as stored" else np.ascontiguousarray(turned(ids, orientation))
    Image.fromarray(kept).save(root / "labels/a.png")
    (root / "classes.txt").write_text("dark\nbright\n")


def agree(root: Path) -> bool:
    example = open_dataset(root, split="all").load(0)
    assert example.labels is not None
    return bool(((example.photo.rgb[..., 0] > 127) == (example.labels == 1)).all())


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
@pytest.mark.parametrize("drawn", ["as stored", "as seen"])
def test_the_size_tells_how_a_label_map_was_drawn(
    orientation: int, drawn: str, tmp_path: Path
) -> None:
    write(tmp_path, orientation, drawn=drawn, size=(HEIGHT, WIDTH))
    assert agree(tmp_path)
    notes = open_dataset(tmp_path, split="all").load(0).photo.notes
    assert any("its label map" in note for note in notes)
    found = preflight(tmp_path, split="all")
    assert [f for f in found if f.severity != "note"] == []
    begins = "1 label map is rotated along with the image"
    alike = [f.text for f in found if f.text.startswith(begins)]
    assert bool(alike) == (drawn == "as stored")


@pytest.mark.parametrize(
    ("orientation", "size"), [(2, (24, 40)), (3, (24, 40)), (4, (24, 40)), (6, (32, 32))]
)
def test_where_the_size_cannot_tell_it_is_said(
    orientation: int, size: tuple[int, int], tmp_path: Path
) -> None:
    write(tmp_path, orientation, drawn="as seen", size=size)
    assert agree(tmp_path)
    (warning,) = (f for f in preflight(tmp_path, split="all") if f.severity == "warning")
    assert warning.file.endswith("images/a.png")
    assert warning.text.startswith("is rotated by its EXIF data, and its size does not tell")
    notes = open_dataset(tmp_path, split="all").load(0).photo.notes
    assert "its label map is assumed to fit the rotated image; its size does not tell" in notes


def test_another_size_is_still_refused(tmp_path: Path) -> None:
    write(tmp_path, 6, drawn="as seen", size=(HEIGHT, WIDTH))
    Image.new("L", (10, 10)).save(tmp_path / "labels/a.png")
    with pytest.raises(LabelError, match="has 10×10 pixels, but its image has 24×40"):
        open_dataset(tmp_path, split="all").load(0)
    (error,) = (f for f in preflight(tmp_path, split="all", open_files=0) if f.severity == "error")
    assert error.text == "has 10×10 pixels, but its image has 24×40"


def test_turns_are_those_of_the_photos() -> None:
    values = np.arange(12, dtype=np.uint8).reshape(3, 4)
    for orientation, way in UPRIGHT.items():
        wanted = np.array(Image.fromarray(values).transpose(way))
        assert np.array_equal(turned(values, orientation), wanted)
    assert turned(values, 1) is values


# What cannot be read.


def test_the_next_stands_in_for_what_cannot_be_read(tmp_path: Path) -> None:
    layouts.folder(tmp_path)
    data = replace(open_dataset(tmp_path, split="all"), on_error="skip")
    names = [item.name for item in data.items]
    (tmp_path / "images/day/p1.png").write_text("no picture")
    (tmp_path / "labels/day/p3.png").write_text("no label map")
    (tmp_path / "images/night/p8.png").unlink()
    with pytest.raises(ImageError):
        replace(data, on_error="stop").load(0)
    for broken, instead in (("day/p1", 105), ("day/p3", 105), ("night/p8", 105)):
        example = data.load(names.index(broken))
        assert example.photo.name == broken
        assert example.skipped is not None
        assert f"/{broken}.png " in example.skipped
        assert example.labels is not None
        assert (example.labels == VOID).all()
        assert example.photo.rgb[0, 0, 0] == instead
    assert data.load(names.index("day/p5")).skipped is None


def test_one_without_a_label_map_keeps_none(tmp_path: Path) -> None:
    layouts.folder(tmp_path)
    data = replace(open_dataset(tmp_path, split="all"), on_error="skip")
    (tmp_path / "images/night/p4.png").write_text("no picture")
    example = data.load([item.name for item in data.items].index("night/p4"))
    assert example.skipped is not None
    assert example.labels is None


def test_crops_of_what_cannot_be_read(tmp_path: Path) -> None:
    layouts.folder(tmp_path)
    data = five_crops(replace(open_dataset(tmp_path, split="all"), on_error="skip"))
    data.items[0].image.write_text("no picture")
    for index in range(5):
        example = data.load(index)
        assert example.skipped is not None
        assert example.photo.rgb.shape == (3, 4, 3)
        assert example.labels is not None
        assert (example.labels == VOID).all()
    assert data.load(5).skipped is None


def test_where_nothing_can_be_read_it_fails(tmp_path: Path) -> None:
    layouts.folder(tmp_path)
    data = replace(open_dataset(tmp_path, split="all"), on_error="skip")
    for item in data.items:
        item.image.write_text("no picture")
    with pytest.raises(ImageError, match=r"p1\.png is not an image"):
        data.load(0)
    found = preflight(tmp_path, split="all", on_error="skip")
    errors = [f.text for f in found if f.severity == "error"]
    assert errors == ["contains no image that can be read"]
