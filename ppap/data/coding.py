"""How a picture file holds class numbers: grey values in any mode, palette indices, or colours."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from ppap.data.classes import Colour
from ppap.data.errors import LabelError

LOSSLESS = ("PNG", "TIFF", "BMP", "DIB", "GIF")
GREY = ("L", "I", "I;16", "I;16B", "I;16L", "I;16N")
# Pillow stretches grey of 2 and 4 bits to 0..255 as it reads it.
STRETCHED = {"L;2": 85, "L;4": 17}
# Of strange colours, that many are named.
NAMED = 6


@dataclass(frozen=True)
class Coding:
    """What the label files of a data set may hold; tuples, since it is a part of caches' names."""

    numbers: tuple[int, ...] = ()
    """Numbers that mean something, void among them; sorted."""
    colours: tuple[tuple[Colour, int], ...] = ()
    """Colours that stand for numbers."""
    implied: bool = False
    """Whether nobody gave those colours: they are known by the names of the classes."""
    numbered: bool = False
    """Whether somebody gave the numbers."""


PLAIN = Coding()


def voc_colour(index: int) -> Colour:
    """PASCAL VOC's colour of a number: its bits, spread over red, green and blue."""
    channels = [0, 0, 0]
    for bit in range(8):
        for channel in range(3):
            channels[channel] |= (index >> channel & 1) << (7 - bit)
        index >>= 3
    return channels[0], channels[1], channels[2]


def raw_modes(image: Image.Image) -> tuple[str, ...]:
    """How the file itself stores pixels, which is known until it is loaded."""
    layouts = [tile[3] for tile in getattr(image, "tile", None) or ()]
    return tuple(str(args if isinstance(args, str) else args[0]) for args in layouts if args)


def numbers_in(image: Image.Image, raw: tuple[str, ...], coding: Coding, path: Path) -> np.ndarray:
    """The numbers of a loaded picture, ``(H, W)``; LabelError where they cannot be told."""
    mode, stored = image.mode, np.array(image)
    if mode == "1":
        return stored.astype(np.uint8)
    if mode in GREY:
        factor = next((f for start, f in STRETCHED.items() if raw and raw[0].startswith(start)), 1)
        return stored if factor == 1 else stored // stored.dtype.type(factor)
    if mode == "P":
        return from_palette(image, stored, coding, path)
    if mode == "F":
        if not (np.isfinite(stored).all() and (stored == np.rint(stored)).all()):
            raise LabelError(path, "contains fractions, not class ids: save whole numbers")
        return stored.astype(np.int64)
    if any(";16" in each for each in raw):
        raise LabelError(
            path, "contains 16-bit colours, which lose the ids when read: save one grey channel"
        )
    if mode in ("LA", "RGBA"):
        alpha = stored[..., -1]
        if alpha.min() != alpha.max():
            raise LabelError(
                path, "is transparent in places, which could mean any class: save it without alpha"
            )
        stored = stored[..., :-1]
        if mode == "LA":
            return stored[..., 0]
    elif mode != "RGB":
        raise LabelError(
            path, f"is in Pillow's mode {mode}, which cannot hold class ids: save one grey channel"
        )
    return from_colours(stored, coding, path)


def from_palette(image: Image.Image, indices: np.ndarray, coding: Coding, path: Path) -> np.ndarray:
    """The numbers of a palette file: its colours where those are declared, else its indices.

    Some programs (labelme) paint the classes of any data set in PASCAL VOC's colours, by their
    numbers. Where the names are VOC's as well, in another order, it may be either; LabelError then,
    unless somebody gave the numbers.

    Programs that turn grey pictures into palette files number the greys as they please. Where the
    greys are numbers of this data set they count, then; a palette of black and white alone says
    nothing (many masks of 0 and 1 are shown so).
    """
    used = np.unique(indices)
    flat = np.zeros((256, 3), np.int64)
    known = np.array(image.getpalette("RGB") or [], np.int64).reshape(-1, 3)
    flat[: len(known)] = known
    declared = dict(coding.colours)
    colours = [(int(r), int(g), int(b)) for r, g, b in flat[used]]
    table = np.arange(256, dtype=np.int32)
    if declared and all(colour in declared for colour in colours):
        meant = [declared[colour] for colour in colours]
        if not (coding.implied and painted_by_number(used.tolist(), colours, meant, coding)):
            table[used] = meant
        elif not coding.numbered:
            raise LabelError(
                path,
                "can be read by its numbers or by its palette's colours, which give different "
                "classes: write the number of every class into classes.txt, as in '1 bicycle', "
                "or its colour, as in 'bicycle #008000'",
            )
    elif all(r == g == b for r, g, b in colours):
        greys = {r for r, _, _ in colours}
        telling = image.format == "GIF" or greys - {0, 255}
        if telling and (greys <= set(coding.numbers) or image.format == "GIF"):
            table[used] = [r for r, _, _ in colours]
    result: np.ndarray = table[indices]
    return result


def painted_by_number(
    numbers: list[int], colours: list[Colour], meant: list[int], coding: Coding
) -> bool:
    """Whether a palette has PASCAL VOC's colours in their order, but they tell of other classes
    than the numbers, which are all known."""
    usual = colours == [voc_colour(number) for number in numbers]
    return usual and meant != numbers and set(numbers) <= set(coding.numbers)


def from_colours(rgb: np.ndarray, coding: Coding, path: Path) -> np.ndarray:
    """The numbers of an RGB picture ``(H, W, 3)``: declared colours, or grey."""
    declared = sorted((r << 16 | g << 8 | b, number) for (r, g, b), number in coding.colours)
    red, green, blue = (rgb[..., channel] for channel in range(3))
    codes = red.astype(np.uint32) << 16 | green.astype(np.uint32) << 8 | blue
    unknown = np.ones(codes.shape, bool)
    if declared:
        known = np.array([code for code, _ in declared], np.uint32)
        numbers = np.array([number for _, number in declared], np.int32)
        place = np.searchsorted(known, codes).clip(max=len(known) - 1)
        unknown = known[place] != codes
        if not unknown.any():
            mapped: np.ndarray = numbers[place]
            return mapped
    if (red == green).all() and (red == blue).all():
        return red
    strange = np.unique(codes[unknown]).tolist()
    named = ", ".join(f"#{code:06x}" for code in strange[:NAMED])
    named += f" and {len(strange) - NAMED} more" if len(strange) > NAMED else ""
    if declared:
        raise LabelError(
            path,
            f"has colours that belong to no class: {named}. Give them a class, or if the label "
            "maps were resized or saved as JPEG, export them again without smoothing",
        )
    raise LabelError(
        path,
        f"contains colours, not class ids: {named}. Write the colour of every class into "
        f"classes.txt, as in 'road #{strange[-1]:06x}'; or save a PNG of one channel whose values "
        "are the ids",
    )
