"""Which picture formats can be read, by a file's name and by its content."""

from __future__ import annotations

import os
from functools import cache

_PICTURES = ".jpg .jpeg .jpe .jfif .png .webp .avif .gif .bmp .dib .tif .tiff"
_MORE = ".ppm .pgm .pbm .pnm .jp2 .j2k .j2c"
IMAGE_SUFFIXES = frozenset(f"{_PICTURES} {_MORE}".split())
# Photos of telephones, read where the extra "formats" is installed.
HEIF_SUFFIXES = frozenset((".heic", ".heif", ".hif"))
# What people may take for photos, though nothing here can read it.
_OTHER = ".cr2 .cr3 .nef .arw .dng .raf .orf .rw2 .psd .svg .jxl .exr .hdr .npy .mat"
UNREADABLE_SUFFIXES = frozenset(_OTHER.split())
# What keeps every number of a label map, and what does not.
LABEL_SUFFIXES = frozenset((".png", ".tif", ".tiff", ".bmp", ".dib", ".gif"))
_LOSSY = ".jpg .jpeg .jpe .jfif .webp .avif .jp2 .j2k .j2c"
LOSSY_SUFFIXES = frozenset(_LOSSY.split())
# Listed, because Pillow would otherwise try formats that start other programs (EPS).
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF", "JPEG2000", "DIB")
_READABLE = "JPEG, PNG, WebP, AVIF, GIF, BMP, TIFF, PPM and JPEG 2000"
INSTALL_HEIF = "pip install 'ppap-studio[formats]' (or pillow-heif)"


@cache
def heif() -> bool:
    """Whether HEIC photos can be read: pillow-heif is an extra, and is told to Pillow here."""
    try:
        from pillow_heif import register_heif_opener
    except ImportError:
        return False
    register_heif_opener()
    return True


def readable_formats() -> tuple[str, ...]:
    """The formats that Pillow may try."""
    return (*_FORMATS, "HEIF") if heif() else _FORMATS


def readable() -> str:
    """The formats in words."""
    return f"HEIC, {_READABLE}" if heif() else _READABLE


def suffix_of(name: str) -> str:
    """``a/b.JPG`` → ``.jpg``."""
    return os.path.splitext(name)[1].lower()  # noqa: PTH122


def is_image_name(name: str) -> bool:
    """Whether the name ends like that of a picture that can be read."""
    suffix = suffix_of(name)
    return suffix in IMAGE_SUFFIXES or (suffix in HEIF_SUFFIXES and heif())
