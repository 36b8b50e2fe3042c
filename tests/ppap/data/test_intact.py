"""Files that are whole, or not, told from their headers and ends."""

from __future__ import annotations

import io
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from ppap.data import DataError, ImageError, LabelError
from ppap.data.intact import Look, look
from ppap.data.potsdam import look_at

SCENE = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
KINDS = {
    "JPEG": "jpg",
    "PNG": "png",
    "GIF": "gif",
    "BMP": "bmp",
    "TIFF": "tif",
    "WEBP": "webp",
    "PPM": "ppm",
    "AVIF": "avif",
    "JPEG2000": "jp2",
}


def encoded(kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(SCENE).save(stream, kind, **options)
    return stream.getvalue()


@pytest.mark.parametrize("kind", KINDS)
def test_whole_files_pass(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{KINDS[kind]}"
    path.write_bytes(encoded(kind))
    assert look(path) == Look(64, 48, 1, kind)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("kept", [0.5, 0.9])
def test_files_cut_short_are_found(kind: str, kept: float, tmp_path: Path) -> None:
    path = tmp_path / f"a.{KINDS[kind]}"
    whole = encoded(kind)
    path.write_bytes(whole[: int(len(whole) * kept)])
    with pytest.raises(ImageError, match=str(path)):
        look(path)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
def test_what_was_never_filled_is_found(kind: str, tmp_path: Path) -> None:
    whole = encoded(kind)
    half = len(whole) // 2
    path = tmp_path / "a"
    path.write_bytes(whole[:half] + bytes(len(whole) - half))
    if kind == "TIFF":  # zeros are black there, and its index stands before the pixels
        assert look(path).width == 64
    else:
        with pytest.raises(ImageError):
            look(path)


@pytest.mark.parametrize("tail", [b"\0" * 3000, b"\r\n", b"camera's own words" * 20, b"\xff\xd9"])
def test_what_cameras_append_is_no_damage(tail: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(encoded("JPEG") + tail)
    assert look(path).height == 48


@pytest.mark.parametrize("head", [b"", b"<!DOCTYPE html><html>", b"version https://git-lfs.github"])
def test_what_lies_there_instead_is_named(head: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(head)
    said = {b"": "is an empty file", b"<": "is a web page", b"v": "is a Git LFS pointer"}[head[:1]]
    with pytest.raises(ImageError, match=said):
        look(path)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_the_size_and_the_turn_of_a_photo(kind: str, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "a"
    path.write_bytes(encoded(kind, exif=exif))
    # Pillow turns a TIFF by itself.
    assert look(path) == (Look(48, 64, 1, kind) if kind == "TIFF" else Look(64, 48, 6, kind))


def test_lossy_label_maps_are_found(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(encoded("JPEG"))
    assert look(path).format == "JPEG"
    with pytest.raises(LabelError, match="is a JPEG, which does not preserve class ids"):
        look(path, True)


def test_matlab_files(tmp_path: Path) -> None:
    path = tmp_path / "a.mat"
    for compress in (False, True):
        savemat(path, {"img": SCENE}, do_compression=compress)
        look_at(path)
        whole = path.read_bytes()
        for kept in (100, 128, len(whole) - 1):
            path.write_bytes(whole[:kept])
            with pytest.raises(DataError, match=r"a\.mat is "):
                look_at(path)


def test_looking_is_fast(tmp_path: Path) -> None:
    # A hundred thousand in a minute on two cores; this machine may have others to serve.
    for number in range(300):
        (tmp_path / f"{number}.jpg").write_bytes(encoded("JPEG"))
    began = time.process_time()
    for number in range(300):
        look(tmp_path / f"{number}.jpg")
    assert (time.process_time() - began) / 300 < 2 * 60 / 100_000
