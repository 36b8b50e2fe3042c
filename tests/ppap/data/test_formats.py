"""Formats by name and content, with and without the extra for HEIC."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ppap.data import ImageError, formats, open_dataset, preflight, read_image
from ppap.data.intact import look
from tests.support import layouts

SCENE = np.full((32, 48, 3), (200, 90, 30), np.uint8)


@pytest.fixture
def no_heif(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ppap.data.formats.heif", lambda: False)


@pytest.mark.parametrize("suffix", ["heic", "HEIC", "heif", "Avif"])
def test_photos_of_telephones(suffix: str, tmp_path: Path) -> None:
    if suffix != "Avif":
        pytest.importorskip("pillow_heif")
        assert formats.heif()
    path = tmp_path / f"images/a.{suffix}"
    path.parent.mkdir()
    Image.fromarray(SCENE).save(path, format="AVIF" if suffix == "Avif" else "HEIF")
    data = open_dataset(tmp_path, split="all")
    rgb = data.load(0).photo.rgb
    assert rgb.shape == SCENE.shape
    assert np.abs(rgb.astype(int) - SCENE).mean() < 8
    assert (look(path).width, look(path).height) == (48, 32)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 2 // 3])
    assert any(f.severity == "error" for f in preflight(tmp_path, split="all"))


@pytest.mark.usefixtures("no_heif")
def test_without_the_extra_they_are_told(tmp_path: Path) -> None:
    layouts.write_image(tmp_path / "a.jpg")
    for name in ("b.heic", "c.HEIF"):
        (tmp_path / name).write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(64))
    data = open_dataset(tmp_path)
    assert len(data) == 1
    assert data.notes == (
        "2 HEIC images were left out: install the reader with pip install 'ppap-studio[formats]' "
        "(or pillow-heif), or save them as JPEG or PNG.",
    )
    with pytest.raises(ImageError, match=r"is a HEIC image: install its reader with pip install"):
        read_image(tmp_path / "b.heic")


def test_names() -> None:
    for name in ("a.JPG", "a.jfif", "a.TIFF", "a.Bmp", "b.c.WebP", "a.AVIF"):
        assert formats.is_image_name(name)
    for name in ("a", "jpg", "a.txt", "a.jpg.zip", ".jpg"):
        assert not formats.is_image_name(name)


def test_what_cannot_be_read_is_counted_by_kind(tmp_path: Path) -> None:
    layouts.write_image(tmp_path / "images/a.jpg")
    for name in ("b.CR2", "c.cr2", "d.psd"):
        (tmp_path / "images" / name).write_bytes(b"x")
    assert open_dataset(tmp_path, split="all").notes[-2:] == (
        "2 files of the kind .cr2 were left out: save them as JPEG or PNG.",
        "1 file of the kind .psd was left out: save it as JPEG or PNG.",
    )
