"""Every kind of picture a person may drop on the page, read or refused with a sentence."""

from __future__ import annotations

import contextlib
import io
import pickle
import struct
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ppap.data import MAX_PIXELS, ImageError, read_image
from ppap.data import images as module

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def png(width: int, height: int, depth: int, colour: int, rows: bytes) -> bytes:
    """A PNG from its header and raw rows, for what Pillow itself cannot write."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def scene(width: int = 40, height: int = 24) -> np.ndarray:
    """Smooth, and different in every corner: JPEG keeps it, and a turn shows."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 255 // (width - 1), y * 255 // (height - 1), x * 0 + 90], -1).astype(
        np.uint8
    )


@pytest.mark.parametrize(
    "kind", ["PNG", "BMP", "TIFF", "PPM", "GIF", "WEBP", "JPEG", "AVIF", "JPEG2000"]
)
def test_reads_every_format_it_names(kind: str) -> None:
    options = {"lossless": True} if kind == "WEBP" else {"quality": 95} if kind == "AVIF" else {}
    photo = read_image(encoded(Image.fromarray(scene()), kind, **options), name="a")
    assert photo.rgb.dtype == np.uint8
    assert photo.rgb.shape == (24, 40, 3)
    off = np.abs(photo.rgb.astype(int) - scene())
    assert off.max() == 0 if kind in ("PNG", "BMP", "TIFF", "PPM", "WEBP") else off.mean() < 12
    assert photo.notes == ()


def test_a_file_gives_its_name_and_the_array_may_be_written_to(tmp_path: Path) -> None:
    path = tmp_path / "a b.png"
    Image.new("RGB", (3, 2), RED).save(path)
    photo = read_image(path)
    assert photo.name == "a b.png"
    photo.rgb[0, 0] = 7
    assert read_image(path, name="other").name == "other"


def test_names_are_for_showing_and_never_interpreted() -> None:
    data = encoded(Image.new("RGB", (3, 2)))
    assert read_image(data, name="<b>a</b>\n%s{0}.png").name == r"<b>a</b>\n%s{0}.png"
    with pytest.raises(ImageError, match=r"^\\udc80\\n is an empty file$"):
        read_image(b"", name="\udc80\n")


# What is in the file → what is seen.


def test_cmyk_jpeg_is_inverted_as_adobe_writes_it() -> None:
    data = encoded(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG", quality=95)
    assert b"Adobe" in data
    photo = read_image(data)
    assert np.abs(photo.rgb[8, 8].astype(int) - RED).max() < 6
    assert photo.notes == ("CMYK, converted to RGB",)


def test_16_bit_grey_is_scaled_to_its_own_range() -> None:
    values = np.array([[100, 600], [1100, 4100]], np.uint16)
    photo = read_image(encoded(Image.fromarray(values)))
    assert photo.rgb[..., 0].tolist() == [[0, 32], [64, 255]]
    assert photo.notes == ("16-bit, scaled to 8 bits: 100 is shown black and 4100 white",)


@pytest.mark.parametrize("order", ["<u2", ">u2"])
def test_16_bit_tiff_of_either_byte_order(order: str) -> None:
    values = np.array([[0, 65535]], np.uint16).astype(order)
    mode = "I;16B" if order == ">u2" else "I;16"
    image = Image.frombytes(mode, (2, 1), values.tobytes())
    assert read_image(encoded(image, "TIFF")).rgb[0, :, 0].tolist() == [0, 255]


def test_flat_16_bit_grey_does_not_divide_by_zero() -> None:
    assert not read_image(encoded(Image.fromarray(np.full((2, 2), 9, np.uint16)))).rgb.any()


def test_16_bit_colours_keep_their_upper_bits() -> None:
    rows = b"\0" + struct.pack(">6H", 0xFF12, 0x8034, 0, 0, 0x1256, 0xFFFF)
    photo = read_image(png(2, 1, 16, 2, rows))
    assert photo.rgb.tolist() == [[[255, 128, 0], [0, 18, 255]]]
    assert photo.notes == ("16-bit colours, read as 8-bit",)


def test_floating_point_tiff_with_values_that_are_not_numbers() -> None:
    values = np.array([[-1, 0, 3], [np.nan, np.inf, -np.inf]], np.float32)
    photo = read_image(encoded(Image.fromarray(values), "TIFF"))
    assert photo.rgb[..., 1].tolist() == [[0, 64, 255], [0, 0, 0]]
    assert photo.notes == ("floating point, scaled to 8 bits: -1 is shown black and 3 white",)
    with pytest.raises(ImageError, match="contains no finite values"):
        read_image(encoded(Image.fromarray(values[1:, :1]), "TIFF"))


def test_one_bit() -> None:
    bits = Image.fromarray(np.array([[0, 255], [255, 0]], np.uint8)).convert("1")
    assert read_image(encoded(bits)).rgb[..., 2].tolist() == [[0, 255], [255, 0]]


def with_palette() -> Image.Image:
    image = Image.fromarray(np.array([[0, 1]], np.uint8), "L").convert("P")
    image.putpalette([*RED, *GREEN])
    image.putdata([0, 1])
    return image


@pytest.mark.parametrize(
    ("data", "seen"),
    [
        (encoded(Image.new("RGBA", (2, 1), (0, 0, 255, 0))), [WHITE, WHITE]),
        (encoded(Image.new("RGBA", (1, 1), (0, 0, 255, 51))), [(204, 204, 255)]),
        (encoded(Image.new("LA", (1, 1), (0, 127))), [(128, 128, 128)]),
        (encoded(with_palette(), transparency=0), [WHITE, GREEN]),
        (encoded(with_palette(), transparency=bytes([255, 0])), [RED, WHITE]),
        (encoded(Image.new("RGB", (1, 1), RED), transparency=RED), [WHITE]),
    ],
    ids=["clear", "partly", "grey", "palette", "palette-bytes", "colour-key"],
)
def test_transparency_is_shown_on_white(data: bytes, seen: list[tuple[int, int, int]]) -> None:
    photo = read_image(data)
    assert [tuple(pixel) for pixel in photo.rgb[0].tolist()] == seen
    assert photo.notes == ("transparent: shown on white",)


def test_an_alpha_channel_without_transparency_goes_unmentioned() -> None:
    photo = read_image(encoded(Image.new("RGBA", (1, 1), (*BLUE, 255))))
    assert photo.rgb.tolist() == [[list(BLUE)]]
    assert photo.notes == ()
    assert read_image(encoded(with_palette())).rgb.tolist() == [[list(RED), list(GREEN)]]


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF", "AVIF"])
def test_of_an_animation_the_first_frame(kind: str) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in (RED, GREEN, BLUE)]
    photo = read_image(encoded(frames[0], kind, save_all=True, append_images=frames[1:]))
    assert np.abs(photo.rgb.astype(int) - RED).max() < 4
    what = (
        "several pages: the first is used"
        if kind == "TIFF"
        else "animated: the first frame is used"
    )
    assert photo.notes == (what,)


# Orientation → where the picture's top left corner is stored, as (row, column) of the file.
CORNER = {
    1: (0, 0),
    2: (0, -1),
    3: (-1, -1),
    4: (-1, 0),
    5: (0, 0),
    6: (-1, 0),
    7: (-1, -1),
    8: (0, -1),
}


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_exif_orientation(kind: str, orientation: int) -> None:
    stored = scene()
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(Image.fromarray(stored), kind, exif=exif.tobytes(), quality=95)
    photo = read_image(data)
    turned = orientation >= 5
    assert photo.rgb.shape == ((40, 24, 3) if turned else (24, 40, 3))
    assert np.abs(photo.rgb[0, 0].astype(int) - stored[CORNER[orientation]]).max() < 16
    # The corner alone does not tell a turn from a mirrored turn.
    along = photo.rgb[:, 0] if turned else photo.rgb[0]
    first, last = stored[CORNER[orientation]], along[-1].astype(int)
    assert abs(int(last[0]) - int(first[0])) > 200
    assert photo.notes == (("rotated as its EXIF data says",) if orientation > 1 else ())
    assert read_image(data, upright=False).rgb.shape == (24, 40, 3)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_damaged_exif_does_not_cost_the_picture() -> None:
    data = encoded(Image.fromarray(scene()), "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\0")
    assert read_image(data).rgb.shape == (24, 40, 3)


def test_large_jpegs_can_be_decoded_smaller() -> None:
    data = encoded(Image.fromarray(scene(1600, 800)), "JPEG")
    photo = read_image(data, at_least=300)
    assert photo.rgb.shape == (400, 800, 3)
    assert photo.notes == ("decoded at 1/2 of its size",)
    assert read_image(data, at_least=801).rgb.shape == (800, 1600, 3)
    assert read_image(encoded(Image.fromarray(scene())), at_least=3).rgb.shape == (24, 40, 3)


# What cannot be read.


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "is an empty file"),
        (b"To whom it may concern: this is a letter.", "is not an image in a supported format"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "is not an image"),
        (
            b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(64),
            "is a HEIC image.*save it as JPEG or PNG",
        ),
        (
            encoded(Image.fromarray(scene()), "JPEG")[:-400],
            "cannot be read: it is damaged or cut short",
        ),
        (encoded(Image.fromarray(scene()))[:60], "cannot be read: it is damaged or cut short"),
        (b"\x89PNG\r\n\x1a\n", "is not an image|cannot be read"),
        (png(0, 5, 8, 2, b""), "has no pixels|cannot be read|is not an image"),
        (encoded(Image.new("LAB", (2, 2)), "TIFF"), "uses Lab colours"),
    ],
    ids=["empty", "text", "eps", "heic", "cut-jpeg", "cut-png", "signature", "no-width", "lab"],
)
def test_refuses_with_a_sentence(data: bytes, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "holiday.jpg"
    path.write_bytes(data)
    for source, name in ((path, None), (data, "holiday.jpg")):
        with pytest.raises(ImageError, match=f"^holiday.jpg ({reason})") as caught:
            read_image(source, name=name)
        assert str(tmp_path) not in str(caught.value)


def test_what_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"^none\.png does not exist"):
        read_image(tmp_path / "none.png")
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(ImageError, match=r"^folder\.png is not a file"):
        read_image(tmp_path / "folder.png")
    with pytest.raises(ImageError, match="cannot be read: File name too long"):
        read_image(tmp_path / ("x" * 300))


@pytest.mark.parametrize(("width", "height"), [(20_000, 20_000), (10_000, 10_000), (8_001, 8_000)])
def test_refuses_huge_pictures_before_decoding(width: int, height: int) -> None:
    data = png(width, height, 8, 2, b"\0" * 100)
    tracemalloc.start()
    try:
        with pytest.raises(ImageError, match="at most 64 million pixels can be read"):
            read_image(data, name="huge.png")
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_the_limit_itself_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PIXELS", 40 * 24)
    assert read_image(encoded(Image.fromarray(scene(40, 24)))).rgb.size == 40 * 24 * 3
    with pytest.raises(ImageError, match=r"has 41×24 pixels; at most 0 million"):
        read_image(encoded(Image.fromarray(scene(41, 24))))
    # Or Pillow would warn on pictures we take.
    assert Image.MAX_IMAGE_PIXELS is None or MAX_PIXELS <= Image.MAX_IMAGE_PIXELS


def test_damage_anywhere_is_an_image_error_or_a_picture() -> None:
    random = np.random.default_rng(0)
    for kind in ("JPEG", "PNG", "GIF", "TIFF", "WEBP", "BMP"):
        sound = encoded(Image.fromarray(scene()), kind)
        for _ in range(60):
            data = bytearray(sound)
            for place in random.integers(0, len(data), 4):
                data[place] = random.integers(256)
            with contextlib.suppress(ImageError):
                assert read_image(bytes(data)).rgb.ndim == 3


def test_errors_survive_a_loader_process() -> None:
    error = pickle.loads(pickle.dumps(ImageError("a.png", "is an empty file")))
    assert (str(error), error.name) == ("a.png is an empty file", "a.png")
    assert isinstance(error, ValueError)
