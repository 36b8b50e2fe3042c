"""Fonts for names in any script: those of this machine that have the characters, and what none has.

matplotlib and Pillow draw a box for a character that a font lacks. Class names and files' names are
strangers': Korean, Chinese, Arabic, emoji.
"""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

# Comes with matplotlib: Latin, Greek, Cyrillic, Arabic, signs, the older emoji.
USUAL = "DejaVu Sans"
# Made for reading, and of one style for many scripts; before whatever else is there.
PREFERRED = (
    "Noto Sans",
    "Noto Sans CJK KR",
    "Noto Sans CJK JP",
    "Noto Sans CJK SC",
    "Noto Sans CJK TC",
    "Noto Sans KR",
    "Noto Sans JP",
    "Noto Sans SC",
    "Source Han Sans",
    "Malgun Gothic",
    "Yu Gothic",
    "Microsoft YaHei",
    "Apple SD Gothic Neo",
    "Hiragino Sans",
    "PingFang SC",
    "NanumGothic",
    "WenQuanYi Zen Hei",
    "Noto Sans Arabic",
    "Noto Sans Hebrew",
    "Noto Sans Devanagari",
    "Noto Sans Thai",
    "Noto Emoji",
    "Segoe UI Emoji",
    "Arial Unicode MS",
    "Unifont",
)
# Draw a box for every character there is, on purpose.
NO_FONTS = ("Last Resort",)
SUGGESTED = "Noto Sans CJK (fonts-noto-cjk on Debian and Ubuntu)"


class Fonts(NamedTuple):
    """What to write a text with."""

    families: tuple[str, ...]
    """Beside USUAL, in this order."""
    files: tuple[Path, ...]
    """Of USUAL and the families."""
    missing: frozenset[str]
    """Characters that none has."""

    def lacks(self, text: str) -> bool:
        """Whether the text cannot be written."""
        return not self.missing.isdisjoint(text)


def fonts_for(texts: Iterable[str]) -> Fonts:
    """Fonts of this machine that together have as many characters of the texts as any have."""
    return _found(frozenset(one for text in texts for one in text if not _invisible(one)))


def writable(lines: Iterable[str]) -> list[str]:
    """Lines with a question mark for what no font has, and a last line that says so."""
    lines = [without_invisible(line) for line in lines]
    fonts = fonts_for(lines)
    if not fonts.missing:
        return lines
    table = {ord(one): "?" for one in fonts.missing}
    said = "?: a character that no font on the studio's machine has"
    return [*(line.translate(table) for line in lines), said]


def runs(text: str) -> Iterator[tuple[Path, str]]:
    """``text`` in parts that one font each can write; what none has goes with its neighbours."""
    files = fonts_for([text]).files
    part, current = "", files[0]
    for one in text:
        having = [file for file in files if one in _characters_of(file)]
        file = current if current in having or not having or _invisible(one) else having[0]
        if file != current and part:
            yield current, part
            part = ""
        part, current = part + one, file
    if part:
        yield current, part


def without_invisible(text: str) -> str:
    """``text`` without the joiners and selectors that many fonts would draw a box for."""
    return "".join(one for one in text if one.isspace() or not _invisible(one))


def _invisible(character: str) -> bool:
    """Whether it is drawn as nothing: blanks, and what only says how its neighbours look."""
    selector = "\ufe00" <= character <= "\ufe0f"
    return selector or character.isspace() or unicodedata.category(character) in ("Cc", "Cf")


@functools.lru_cache(maxsize=64)
def _found(characters: frozenset[str]) -> Fonts:
    file = _file_of(USUAL)
    missing = characters - _characters_of(file)
    families, files = [], [file]
    for name in _names() if missing else ():
        other = _file_of(name)
        had = missing & _characters_of(other)
        if had:
            families.append(name)
            files.append(other)
            missing -= had
        if not missing:
            break
    return Fonts(tuple(families), tuple(files), missing)


def _names() -> Iterator[str]:
    """The families of this machine, the best first, and what was installed since it looked."""
    from matplotlib import font_manager

    manager = font_manager.fontManager
    known = {entry.fname for entry in manager.ttflist}
    for file in sorted(set(font_manager.findSystemFonts()) - known):
        try:
            manager.addfont(file)
        except Exception:  # any file may call itself a font
            continue
    found = {e.name for e in manager.ttflist if not e.name.startswith(NO_FONTS)} - {USUAL}
    yield from (name for name in PREFERRED if name in found)
    yield from sorted(found.difference(PREFERRED))


def _file_of(name: str) -> Path:
    """The plainest file of a family."""
    from matplotlib.font_manager import fontManager, weight_dict

    def plain(entry: Any) -> tuple[bool, int]:
        weight = weight_dict.get(entry.weight, entry.weight)
        return entry.style != "normal", abs(weight - 400) if isinstance(weight, int) else 1000

    return Path(min((e for e in fontManager.ttflist if e.name == name), key=plain).fname)


@functools.lru_cache(maxsize=8)
def _characters_of(file: Path) -> frozenset[str]:
    """What a font has; nothing where it cannot be drawn with, as with pictures of emoji."""
    from matplotlib.ft2font import FT2Font

    try:
        font = FT2Font(str(file))
        if not font.scalable:
            return frozenset()
        return frozenset(map(chr, font.get_charmap()))
    except Exception:  # any file may call itself a font
        return frozenset()
