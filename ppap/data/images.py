"""Files or uploaded bytes → pictures as uint8 RGB arrays, whatever their format.

Colour profiles are not applied (nor does the published code): the stored numbers are the colours.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image, UnidentifiedImageError

from ppap.data.confining import LEADS_OUT, leads_out
from ppap.data.errors import DataError, ImageError, printable
from ppap.data.formats import INSTALL_HEIF, readable, readable_formats

# Reading takes 10 to 14 bytes a pixel, so under a gigabyte. Pillow's own alarm is at 89 million.
MAX_PIXELS = 64_000_000
HEIC_BRANDS = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")
# What a failed download or a repository leaves under the name of a picture.
IMPOSTORS = {
    b"version https://git-lfs": (
        "is a Git LFS pointer, not the image itself: fetch it with 'git lfs pull'"
    ),
    b"<!doctype html": "is a web page, not an image: download it again",
    b"<html": "is a web page, not an image: download it again",
}
DEEP_GREY = {"I;16": "16-bit", "I;16L": "16-bit", "I;16B": "16-bit", "I": "32-bit"}
DEEP_GREY |= {"I;16N": "16-bit", "F": "floating point"}
ROWS_AT_ONCE = 256
FIRST_FRAME = "animated: the first frame is used"

EXIF_ORIENTATION = 0x0112
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True, eq=False)
class Photo:
    """A decoded picture."""

    name: str
    """For showing only; not a path, and free of line breaks."""
    rgb: np.ndarray
    """uint8 ``(H, W, 3)``."""
    notes: tuple[str, ...] = ()
    """What had to be done to read it, such as "animated: the first frame is used"."""
    turned: int = 1
    """The EXIF orientation that was undone, 1 where none was."""


def read_image(
    source: Path | bytes,
    *,
    name: str | None = None,
    upright: bool = True,
    at_least: int | None = None,
) -> Photo:
    """Decode a picture to RGB.

    Args:
        source: a file, or a file's bytes.
        name: what to call it; a file's own name otherwise.
        upright: turn it as its EXIF orientation says. Published data sets are read as stored,
            because their label maps are.
        at_least: when given, a large JPEG may be decoded at 1/2, 1/4 or 1/8 of its size, as long
            as both sides keep at least this many pixels.

    Raises:
        ImageError: no such file, not an image, damaged, or more than MAX_PIXELS pixels. The size
            is read from the header, before anything is decoded.
    """
    shown = name or (source.name if isinstance(source, Path) else "the image")
    notes: list[str] = []
    with opened(source, shown) as image:
        if image.format != "MPO" and getattr(image, "is_animated", False):
            paged = image.format == "TIFF"
            notes.append("several pages: the first is used" if paged else FIRST_FRAME)
        if at_least is not None and image.format in ("JPEG", "MPO"):
            reduce_at_decoding(image, at_least, notes)
        deep = is_deep_colour(image)
        image.load()
        orientation = stored_orientation(image) if upright else 1
        rgb = to_rgb(image, shown, notes)
        if deep:
            notes.append("16-bit colours, read as 8-bit")
        if orientation in UPRIGHT:
            rgb = rgb.transpose(UPRIGHT[orientation])
            notes.append("rotated as its EXIF data says")
        turned = orientation if orientation in UPRIGHT else 1
        return Photo(printable(shown), np.array(rgb), tuple(notes), turned)


@contextmanager
def opened(source: Path | bytes, name: str) -> Iterator[Image.Image]:
    """A Pillow image whose header is read and whose size is allowed; not decoded yet.

    Whatever Pillow raises, here or while the caller decodes, becomes an ImageError.
    """
    try:
        with open_stream(source, name) as stream:
            try:
                with Image.open(stream, formats=readable_formats()) as image:
                    check_size(image.size, name)
                    yield image
            except UnidentifiedImageError:
                raise ImageError(name, what_else(stream)) from None
    except DataError:  # the caller's own complaint, too
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise ImageError(name, too_large()) from None
    except MemoryError:
        raise ImageError(name, "needs more memory than is available") from None
    except OSError as error:
        raise ImageError(name, f"cannot be read: {error.strerror or cut_short(error)}") from None
    except Exception as error:  # Pillow's decoders raise almost anything on damaged files
        raise ImageError(name, f"cannot be read: {cut_short(error)}") from None


def open_stream(source: Path | bytes, name: str) -> IO[bytes]:
    """The source as a stream; ImageError for what is no file (a pipe would block for ever)."""
    if isinstance(source, bytes):
        stream: IO[bytes] = io.BytesIO(source)
    else:
        if not source.exists():
            raise ImageError(name, "does not exist")
        if not source.is_file():
            raise ImageError(name, "is not a file")
        if leads_out(source):
            raise ImageError(name, LEADS_OUT)
        stream = source.open("rb")
    if not stream.read(1):
        stream.close()
        raise ImageError(name, "is an empty file")
    stream.seek(0)
    return stream


def cut_short(error: Exception) -> str:
    """Pillow's reason in a sentence that also says what it usually means."""
    said = printable(str(error)) or type(error).__name__
    return f"it is damaged or cut short ({said}). Copy it again, or leave it out"


def too_large(size: tuple[int, int] | None = None) -> str:
    """Why a picture of ``size`` (width, height) is refused."""
    has = f"has {size[0]:,}×{size[1]:,} pixels" if size else "is too large"
    limit = f"{MAX_PIXELS // 10**6} million pixels"
    return f"{has}; at most {limit} can be read: make it smaller first"


def check_size(size: tuple[int, int], name: str) -> None:
    """Refuse pictures without pixels and with too many; ``size`` is width and height."""
    if min(size) < 1:
        raise ImageError(name, f"has no pixels ({size[0]}×{size[1]})")
    if size[0] * size[1] > MAX_PIXELS:
        raise ImageError(name, too_large(size))


def what_else(stream: IO[bytes]) -> str:
    """Why Pillow could not tell the format."""
    stream.seek(0)
    head = stream.read(64)
    if head[4:8] == b"ftyp" and head[8:12] in HEIC_BRANDS:
        return f"is a HEIC image: install its reader with {INSTALL_HEIF}, or save it as JPEG or PNG"
    for beginning, said in IMPOSTORS.items():
        if head.lstrip().lower().startswith(beginning):
            return said
    return f"is not an image in a supported format ({readable()})"


def reduce_at_decoding(image: Image.Image, at_least: int, notes: list[str]) -> None:
    """Let the JPEG decoder skip detail nobody will see; several times faster and smaller."""
    before = image.width
    image.draft(None, (at_least, at_least))
    if image.width < before:
        notes.append(f"decoded at 1/{round(before / image.width)} of its size")


def is_deep_colour(image: Image.Image) -> bool:
    """Whether a colour file has 16 bits a channel; Pillow keeps the upper 8 and says nothing."""
    layouts = [tile[3] for tile in getattr(image, "tile", None) or ()]
    first = [args if isinstance(args, str) else args[0] for args in layouts if args]
    return image.mode not in DEEP_GREY and any(";16" in str(layout) for layout in first)


def stored_orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 to 8; 1 also where EXIF is absent or damaged."""
    try:
        orientation = image.getexif().get(EXIF_ORIENTATION, 1)
    except Exception:  # a damaged block of metadata must not cost the picture
        return 1
    return orientation if isinstance(orientation, int) else 1


def turned(values: np.ndarray, orientation: int) -> np.ndarray:
    """``(H, W)`` numbers turned as a photo with this EXIF orientation is."""
    if orientation not in UPRIGHT:
        return values
    mirrored = values.T if orientation in (5, 6, 7, 8) else values
    if orientation in (3, 4, 7, 8):
        mirrored = mirrored[::-1]
    if orientation in (2, 3, 6, 7):
        mirrored = mirrored[:, ::-1]
    return np.ascontiguousarray(mirrored)


def to_rgb(image: Image.Image, name: str, notes: list[str]) -> Image.Image:
    """Any Pillow mode → mode RGB; says in ``notes`` what changed the picture."""
    if image.mode in DEEP_GREY:
        return stretched(image, name, notes)
    if image.mode == "LAB":
        raise ImageError(name, "uses Lab colours, which are not supported: save it as RGB")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        alpha = layer.getchannel("A")
        if alpha.getextrema() == (255, 255):
            return layer.convert("RGB")
        notes.append("transparent: shown on white")
        page = Image.new("RGB", image.size, "white")
        page.paste(layer, mask=alpha)
        return page
    if image.mode == "CMYK":
        notes.append("CMYK, converted to RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def stretched(image: Image.Image, name: str, notes: list[str]) -> Image.Image:
    """Grey values of more than 8 bits → RGB, the smallest shown black and the largest white.

    Cameras and scanners seldom fill 16 bits; dividing by 257 would leave such pictures black.
    Values that are not finite are shown black.
    """
    values = np.asarray(image)
    low, high = np.inf, -np.inf
    blocks = [slice(y, y + ROWS_AT_ONCE) for y in range(0, len(values), ROWS_AT_ONCE)]
    for rows in blocks:
        known = values[rows][np.isfinite(values[rows])]
        if known.size:
            low, high = min(low, float(known.min())), max(high, float(known.max()))
    if low > high:
        raise ImageError(name, "contains no finite values")
    grey = np.zeros(values.shape, np.uint8)
    for rows in blocks:
        block = values[rows].astype(np.float64)
        share = (block - low) / max(high - low, np.finfo(np.float64).tiny)
        grey[rows] = np.rint(255 * np.nan_to_num(share, nan=0, posinf=0, neginf=0)).astype(np.uint8)
    kind = DEEP_GREY[image.mode]
    notes.append(f"{kind}, scaled to 8 bits: {low:g} is shown black and {high:g} white")
    return Image.fromarray(grey).convert("RGB")
