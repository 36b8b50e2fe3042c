"""Whether a picture file is whole, from its header and its end, without decoding it.

A hundred thousand files are looked at in a minute. What looks odd is decoded, so that nothing that
can be read is complained of; damage in the middle of a file is found by decoding alone.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from PIL import Image

from ppap.data.errors import ImageError
from ppap.data.images import opened, stored_orientation
from ppap.data.labels import check_lossless

# What programs and cameras may append to a JPEG.
TRAILER = 65_536
# So many zeros at the end of a file are room that was reserved and never filled.
HOLE = 512


@dataclass(frozen=True)
class Look:
    """What the header says."""

    width: int
    height: int
    orientation: int
    """By EXIF, 1 to 8."""
    format: str


def look(path: Path, labels: bool = False) -> Look:
    """Look at one file; ``labels``: it is to be a label map.

    Raises:
        ImageError: it is no picture that can be read, or is cut short; the name is the full path.
        LabelError: it is in a format that does not keep the numbers of a label map.
    """
    with opened(path, str(path)) as image:
        if labels:
            check_lossless(image, path)
        kind = image.format or ""
        found = Look(image.width, image.height, 1 if labels else orientation_of(image), kind)
        stream: IO[bytes] | None = getattr(image, "fp", None)
        if stream is not None and not ends_well(kind, stream, image, path):
            # What was read of the header may have moved the place where decoding begins.
            with opened(path, str(path)) as again:
                again.load()
    return found


def orientation_of(image: Image.Image) -> int:
    """The EXIF orientation, as far as it can be had without decoding."""
    # Pillow itself turns a TIFF as it is read, and gives the size that it has then. Of a PNG
    # without EXIF before its pixels, it would decode all to see whether some comes behind them.
    known = image.format != "PNG" or {"exif", "Raw profile type exif"} & image.info.keys()
    return stored_orientation(image) if known and image.format != "TIFF" else 1


def ends_well(kind: str, stream: IO[bytes], image: Image.Image, path: Path) -> bool:
    """Whether the file ends as its format must; False where only decoding can tell.

    Raises:
        ImageError: the end was never written.
    """
    length = stream.seek(0, os.SEEK_END)
    place = min(length, TRAILER)
    if kind in ("JPEG", "MPO"):
        stream.seek(length - 2)
        if stream.read(2) == b"\xff\xd9":
            return True
        stream.seek(length - place)
        tail = stream.read()
        if b"\xff\xd9" not in tail and not tail[-HOLE:].strip(b"\0"):
            # The decoder takes zeros for grey, and does not complain.
            raise ImageError(path, "ends in zeros: it was not copied or downloaded completely")
        return tail.rstrip(b"\0").endswith(b"\xff\xd9")
    check = _CHECKS.get(kind)
    return check is not None and check(stream, length, image)


def _png(stream: IO[bytes], length: int, image: Image.Image) -> bool:
    stream.seek(max(0, length - 12))
    return stream.read(12) == b"\0\0\0\0IEND\xaeB`\x82"


def _gif(stream: IO[bytes], length: int, image: Image.Image) -> bool:
    stream.seek(length - 1)
    return stream.read(1) == b";"


def _webp(stream: IO[bytes], length: int, image: Image.Image) -> bool:
    stream.seek(4)
    size: int = struct.unpack("<I", stream.read(4))[0]
    return size + 8 <= length


def _boxes(stream: IO[bytes], length: int, image: Image.Image) -> bool:
    """AVIF, HEIC and JPEG 2000 consist of boxes, each with its length before it."""
    at = 0
    while at + 8 <= length:
        stream.seek(at)
        size = int.from_bytes(stream.read(4), "big")
        stream.seek(4, os.SEEK_CUR)
        if size == 1:
            size = int.from_bytes(stream.read(8), "big")
        elif size == 0:
            return False
        if size < 8 or at + size > length:
            return False
        at += size
    return at == length


def _strips(stream: IO[bytes], length: int, image: Image.Image) -> bool:
    """Every strip or tile of a TIFF's first page lies inside the file."""
    tags = getattr(image, "tag_v2", {})
    for starts, counts in ((273, 279), (324, 325)):
        if starts in tags and counts in tags:
            ends = [a + b for a, b in zip(tags[starts], tags[counts], strict=False)]
            return bool(ends) and max(ends) <= length
    return False


_CHECKS: dict[str, Callable[[IO[bytes], int, Image.Image], bool]] = {
    "PNG": _png,
    "GIF": _gif,
    "WEBP": _webp,
    "AVIF": _boxes,
    "HEIF": _boxes,
    "JPEG2000": _boxes,
    "TIFF": _strips,
}
