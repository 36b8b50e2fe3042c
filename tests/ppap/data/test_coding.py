"""Class numbers in pictures of every depth and mode."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ppap.data import LabelError, read_labels
from ppap.data.coding import Coding

IDS = np.array([[0, 1, 2, 3], [3, 2, 1, 0], [1, 1, 0, 0]], np.uint8)


def grey_png(path: Path, ids: np.ndarray, depth: int, colour: int = 0) -> None:
    """A PNG of ``depth`` bits; Pillow itself writes 8 and 16 only."""
    height, width = ids.shape
    rows = b""
    for row in ids:
        bits = "".join(f"{int(value):0{depth}b}" for value in row)
        bits += "0" * (-len(bits) % 8)
        rows += b"\0" + int(bits, 2).to_bytes(len(bits) // 8, "big")

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    palette = (
        chunk(b"PLTE", bytes((7 + 5 * i) % 256 for i in range(3 * 2**depth)))
        if colour == 3
        else b""
    )
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + palette
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_grey_of_every_depth(depth: int, tmp_path: Path) -> None:
    ids = IDS.astype(int) % 2**depth
    grey_png(tmp_path / "a.png", ids, depth)
    assert np.array_equal(read_labels(tmp_path / "a.png"), ids)


def test_the_largest_number_of_every_depth(tmp_path: Path) -> None:
    for depth, most in ((2, 3), (4, 15), (8, 255), (16, 65_535)):
        ids = np.array([[0, most, most - 1]])
        grey_png(tmp_path / "a.png", ids, depth)
        assert read_labels(tmp_path / "a.png").tolist() == ids.tolist()


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_palettes_of_every_depth(depth: int, tmp_path: Path) -> None:
    ids = IDS.astype(int) % 2**depth
    grey_png(tmp_path / "a.png", ids, depth, colour=3)
    assert np.array_equal(read_labels(tmp_path / "a.png"), ids)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "I", "F"])
@pytest.mark.parametrize("suffix", ["png", "TIF", "bmp", "Gif"])
def test_grey_in_other_modes(mode: str, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{suffix}"
    if (mode, suffix) == ("RGBA", "Gif"):
        pytest.skip("Pillow merges colours as it writes these")
    try:
        Image.fromarray(IDS).convert(mode).save(path)
    except (OSError, ValueError, DeprecationWarning):
        pytest.skip("this format has no such mode")
    assert np.array_equal(read_labels(path), IDS)


def test_greys_that_a_program_numbered_as_it_pleased(tmp_path: Path) -> None:
    ids = np.array([[5, 9, 255, 5, 0]], np.uint8)
    quantised = Image.fromarray(ids).convert("RGB").quantize(8)
    assert np.array(quantised).tolist() != ids.tolist()
    quantised.save(tmp_path / "a.png")
    known = Coding((*range(10), 255))
    assert read_labels(tmp_path / "a.png", coding=known).tolist() == ids.tolist()


def test_a_palette_of_black_and_white_shows_numbers(tmp_path: Path) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([0, 0, 0, 255, 255, 255])
    image.putdata([0, 1])
    image.save(tmp_path / "a.png")
    assert read_labels(tmp_path / "a.png", coding=Coding((0, 1, 255))).tolist() == [[0, 1]]


def test_a_ramp_of_greys_shows_numbers(tmp_path: Path) -> None:
    image = Image.new("P", (4, 1))
    image.putpalette([v for i in range(4) for v in (85 * i,) * 3])
    image.putdata([0, 1, 2, 3])
    image.save(tmp_path / "a.png")
    coding = Coding((0, 1, 2, 3, 255))
    assert read_labels(tmp_path / "a.png", coding=coding).tolist() == [[0, 1, 2, 3]]


COLOURS = Coding((0, 7, 255), (((0, 0, 0), 255), ((128, 64, 128), 7), ((255, 255, 255), 0)))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
def test_declared_colours(mode: str, tmp_path: Path) -> None:
    rgb = np.array([[[128, 64, 128], [0, 0, 0], [255, 255, 255]]], np.uint8)
    image = Image.fromarray(rgb)
    (image.quantize(4) if mode == "P" else image.convert(mode)).save(tmp_path / "a.png")
    assert read_labels(tmp_path / "a.png", coding=COLOURS).tolist() == [[7, 255, 0]]


def test_strange_colours_are_named(tmp_path: Path) -> None:
    rgb = np.array([[[128, 64, 128], [127, 64, 128]]], np.uint8)
    Image.fromarray(rgb).save(tmp_path / "a.png")
    said = r"colours that belong to no class: #7f4080\. Give them a class"
    with pytest.raises(LabelError, match=said):
        read_labels(tmp_path / "a.png", coding=COLOURS)
    with pytest.raises(LabelError, match=r"not class ids: #7f4080, #804080\. Write .* 'road #8040"):
        read_labels(tmp_path / "a.png")


def test_what_would_lose_numbers_is_refused(tmp_path: Path) -> None:
    alpha = np.zeros((2, 2, 4), np.uint8)
    alpha[0, 0, 3] = 255
    Image.fromarray(alpha).save(tmp_path / "alpha.png")
    with pytest.raises(LabelError, match="is transparent in places"):
        read_labels(tmp_path / "alpha.png")
    Image.fromarray(np.full((2, 2), 0.5, np.float32)).save(tmp_path / "f.tif")
    with pytest.raises(LabelError, match="contains fractions, not class ids"):
        read_labels(tmp_path / "f.tif")
    frames = [Image.fromarray(IDS), Image.fromarray(IDS[::-1].copy())]
    frames[0].save(tmp_path / "two.gif", save_all=True, append_images=frames[1:])
    with pytest.raises(LabelError, match="contains 2 images; a label map must be a single one"):
        read_labels(tmp_path / "two.gif")
    frames[0].save(tmp_path / "two.tif", save_all=True, append_images=frames[1:])
    with pytest.raises(LabelError, match="contains 2 images"):
        read_labels(tmp_path / "two.tif")


def test_colours_of_16_bits_are_refused(tmp_path: Path) -> None:
    # Ids up to 20 in such a file are all zero once Pillow has read it.
    rows = b"".join(b"\0" + struct.pack(">6H", *[v] * 3, *[v + 1] * 3) for v in (3, 5))
    header = struct.pack(">IIBBBBB", 2, 2, 16, 2, 0, 0, 0)
    body = b""
    for name, data in ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")):
        body += struct.pack(">I", len(data)) + name + data
        body += struct.pack(">I", zlib.crc32(name + data))
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    with pytest.raises(LabelError, match="16-bit colours, which lose the ids"):
        read_labels(tmp_path / "a.png")


@pytest.mark.parametrize(("kind", "suffix"), [("JPEG", "jpg"), ("WEBP", "webp"), ("JPEG", "png")])
def test_lossy_label_maps_are_refused_with_the_reason(
    kind: str, suffix: str, tmp_path: Path
) -> None:
    Image.fromarray(IDS).convert("RGB").save(tmp_path / f"a.{suffix}", kind)
    with pytest.raises(LabelError, match=f"is a {kind}, which does not preserve class ids"):
        read_labels(tmp_path / f"a.{suffix}")
