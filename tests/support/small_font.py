"""A font with nothing but the characters that a test asks for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib.font_manager import fontManager

from ppap.study import fonts


def make_font(file: Path, name: str, characters: str) -> Path:
    """Every character is the same full square, as wide as it is high."""
    pen = TTGlyphPen(None)
    pen.moveTo((0, 0))
    for corner in ((0, 900), (900, 900), (900, 0)):
        pen.lineTo(corner)
    pen.closePath()
    glyph = pen.glyph()
    names = [".notdef", *(f"u{ord(one):X}" for one in characters)]
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder(names)
    builder.setupCharacterMap({ord(one): f"u{ord(one):X}" for one in characters})
    builder.setupGlyf(dict.fromkeys(names, glyph))
    builder.setupHorizontalMetrics(dict.fromkeys(names, (1000, 0)))
    builder.setupHorizontalHeader(ascent=900, descent=-100)
    builder.setupNameTable({"familyName": name, "styleName": "Regular"})
    builder.setupOS2(usWeightClass=400)
    builder.setupPost()
    file.parent.mkdir(parents=True, exist_ok=True)
    builder.save(file)
    return file


@contextmanager
def installed(file: Path, name: str, characters: str) -> Iterator[Path]:
    """matplotlib knows the font meanwhile."""
    fontManager.addfont(make_font(file, name, characters))
    forget()
    try:
        yield file
    finally:
        fontManager.ttflist[:] = [one for one in fontManager.ttflist if one.fname != str(file)]
        forget()


def forget() -> None:
    """Look anew for what fonts there are."""
    fonts._found.cache_clear()
    fonts._characters_of.cache_clear()
