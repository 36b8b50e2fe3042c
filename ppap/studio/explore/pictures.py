"""What the mosaic shows, as PNG. The canvas in assets/studio draws the same look."""

from __future__ import annotations

import io
import math
import textwrap
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ppap.batches import Batch
from ppap.studio.explore.views import AMBIGUOUS, ANCHOR, NEGATIVE, POSITIVE
from ppap.study.fonts import runs

Colour = tuple[int, int, int]

# Blue and amber differ under every common colour-vision deficiency, and in lightness.
PALETTE: dict[int, Colour] = {
    POSITIVE: (61, 123, 255),
    AMBIGUOUS: (255, 176, 0),
    NEGATIVE: (8, 12, 24),
    ANCHOR: (220, 38, 127),
}
FILL = {POSITIVE: 0.8, AMBIGUOUS: 0.72, NEGATIVE: 0.9}
NAMES = {POSITIVE: "positive", AMBIGUOUS: "ambiguous", NEGATIVE: "negative"}
LEGENDS = {
    "sets": {
        POSITIVE: "blue: positive",
        AMBIGUOUS: "amber hatched: ambiguous",
        NEGATIVE: "dark: negative",
    },
    "boxes": {POSITIVE: "blue box: positive", AMBIGUOUS: "amber box: ambiguous"},
}
GAP = 6
LINE = 22
# Pixels for a character of a caption, a little more than most fonts take on average.
LETTER = 8
FONT_SIZE = 15
INK = (20, 24, 34)
MARGIN = 12


@dataclass(frozen=True)
class Look:
    """How the sets are drawn; the same choices as in the page."""

    style: str = "sets"
    opacity: float = 0.6
    grid: bool = False
    positive: bool = True
    ambiguous: bool = True
    negative: bool = True

    def shows(self, code: int) -> bool:
        """Whether a set is switched on."""
        return code in NAMES and bool(getattr(self, NAMES[code]))


class Panel(NamedTuple):
    """One mosaic with its caption lines."""

    lines: list[str]
    codes: np.ndarray
    """uint8 ``(N,)``."""
    similarity: np.ndarray
    """float ``(N,)``."""
    anchor: int
    nearest: int | None = None
    """The patch nearest to the proxy once it has moved."""


class Layout(NamedTuple):
    """Where things are, in pixels of the exported picture."""

    tile: int
    across: int
    down: int
    width: int
    height: int
    caption: int

    def origin(self, image: int) -> tuple[int, int]:
        """Top-left corner of an image within its panel."""
        step = self.tile + GAP
        return (
            MARGIN + image % self.across * step,
            MARGIN + self.caption + image // self.across * step,
        )


def atlas(images: np.ndarray) -> tuple[Image.Image, int]:
    """All images of a batch in one picture, for one download; returns it and its columns."""
    count, size = images.shape[:2]
    across = math.ceil(math.sqrt(count))
    down = -(-count // across)
    sheet = np.zeros((down * size, across * size, 3), np.uint8)
    for i, image in enumerate(images):
        y, x = i // across * size, i % across * size
        sheet[y : y + size, x : x + size] = image
    return Image.fromarray(sheet), across


def lay_out(batch: Batch, panels: list[Panel], across: int) -> Layout:
    """Tiles as large as the images, but no wider than about 3,000 pixels together."""
    across = max(1, min(across, len(batch)))
    down = -(-len(batch) // across)
    largest = (3000 // len(panels) - 2 * MARGIN) // across - GAP
    tile = max(batch.rows * 2, min(batch.size, largest))
    tile -= tile % batch.rows
    width = 2 * MARGIN + across * tile + (across - 1) * GAP
    caption = LINE * max(len(wrapped(panel.lines, width)) for panel in panels) + 6
    height = 2 * MARGIN + caption + down * tile + (down - 1) * GAP
    return Layout(tile, across, down, width, height, caption)


def wrapped(lines: list[str], width: int) -> list[str]:
    """Caption lines broken where they would be wider than their panel."""
    letters = max(20, (width - 2 * MARGIN) // LETTER)
    return [
        part
        for line in lines
        for part in textwrap.wrap(line, letters // (2 if is_wide(line) else 1)) or [""]
    ]


def is_wide(line: str) -> bool:
    """Whether it has characters that take twice the room, as Chinese ones do."""
    return any(unicodedata.east_asian_width(one) in "WF" for one in line)


def legend(look: Look, *, labelled: bool, ring: bool) -> str:
    """What the colours and marks of a picture mean, in one line."""
    parts = []
    if look.style == "similarity":
        parts = ["dark blue to yellow: similarity −0.2 to 1"]
    elif look.style == "labels" and labelled:
        parts = ["colours: classes of the label maps"]
    elif look.style in LEGENDS:
        shown = [text for code, text in LEGENDS[look.style].items() if look.shows(code)]
        parts = [", ".join(shown)] if shown else []
    marks = "pink frame: anchor" + (", pink ring: nearest to the proxy" if ring else "")
    return "; ".join([*parts, marks])


def heat(similarity: np.ndarray) -> np.ndarray:
    """Cosines → uint8 RGB, dark blue to yellow, the same formula as in the page."""
    x = np.clip((similarity + 0.2) / 1.2, 0, 1)
    channels = (255 * x**0.9, 32 + 200 * x, 76 + 60 * np.sin(np.pi * x) - 30 * x)
    return np.clip(np.rint(np.stack(channels, -1)), 0, 255).astype(np.uint8)


def patch_rgba(batch: Batch, panel: Panel, look: Look) -> np.ndarray:
    """Colour and opacity of every patch, float ``(N, 4)``: RGB 0–255 and alpha 0–1."""
    out = np.zeros((len(panel.codes), 4))
    if look.style == "similarity":
        out[:, :3], out[:, 3] = heat(panel.similarity), look.opacity
    elif look.style == "labels" and batch.labels is not None:
        known = batch.labels.numpy() >= 0
        out[known, :3] = np.array(batch.colours)[batch.labels.numpy()[known]]
        out[known, 3] = look.opacity
    elif look.style == "sets":
        for code in NAMES:
            if look.shows(code):
                chosen = panel.codes == code
                out[chosen, :3], out[chosen, 3] = PALETTE[code], FILL[code] * look.opacity
    return out


def as_png(batch: Batch, panels: list[Panel], look: Look, across: int) -> bytes:
    """The panels side by side as a PNG."""
    layout = lay_out(batch, panels, across)
    sheet = Image.new("RGB", (layout.width * len(panels), layout.height), "white")
    for i, panel in enumerate(panels):
        sheet.paste(draw_panel(batch, panel, look, layout), (i * layout.width, 0))
    out = io.BytesIO()
    sheet.save(out, "PNG", optimize=False)
    return out.getvalue()


def draw_panel(batch: Batch, panel: Panel, look: Look, layout: Layout) -> Image.Image:
    """One mosaic with its caption."""
    sheet = Image.new("RGB", (layout.width, layout.height), "white")
    colours = patch_rgba(batch, panel, look).reshape(len(batch), batch.rows, batch.columns, 4)
    patch = layout.tile // batch.rows
    for i, image in enumerate(batch.images):
        tile = Image.fromarray(image).resize((layout.tile, layout.tile), Image.Resampling.LANCZOS)
        tint = colours[i].repeat(patch, 0).repeat(patch, 1)
        mixed = np.asarray(tile) * (1 - tint[..., 3:]) + tint[..., :3] * tint[..., 3:]
        sheet.paste(Image.fromarray(np.rint(mixed).astype(np.uint8)), layout.origin(i))
    draw = ImageDraw.Draw(sheet, "RGBA")
    for shape in shapes(batch, panel, look, layout):
        if shape.form == "box":
            draw.rectangle(shape.points, outline=shape.rgba, width=shape.width)
        elif shape.form == "ring":
            # Pillow draws the stroke inside the points, SVG along them.
            x1, y1, x2, y2 = shape.points
            half = shape.width // 2
            around = (x1 - half, y1 - half, x2 + half, y2 + half)
            draw.ellipse(around, outline=shape.rgba, width=shape.width)
        else:
            draw.line(shape.points, fill=shape.rgba, width=shape.width)
    for n, line in enumerate(wrapped(panel.lines, layout.width)):
        write(draw, MARGIN, MARGIN + n * LINE, line)
    return sheet


def write(draw: ImageDraw.ImageDraw, x: float, y: float, line: str) -> None:
    """A line of a caption, in whichever fonts have its characters."""
    usual = ImageFont.load_default(FONT_SIZE)
    if line.isascii():
        draw.text((x, y), line, fill=INK, font=usual)
        return
    ascent = usual.getmetrics()[0] if isinstance(usual, ImageFont.FreeTypeFont) else FONT_SIZE
    for file, part in runs(line):
        font = ImageFont.truetype(file, FONT_SIZE)
        # All on one line, whatever their fonts' heights.
        draw.text((x, y + ascent), part, fill=INK, font=font, anchor="ls")
        x += font.getlength(part)


class Shape(NamedTuple):
    """A line, a box or a ring within a box on top of the patches."""

    points: tuple[int, int, int, int]
    rgba: tuple[int, int, int, int]
    width: int
    form: Literal["line", "box", "ring"] = "line"


def shapes(batch: Batch, panel: Panel, look: Look, layout: Layout) -> Iterator[Shape]:
    """Outline of the positives, hatching of the ambiguous, grid, boxes and the two marks."""
    codes = panel.codes.reshape(len(batch), batch.rows, batch.columns)
    patch = layout.tile // batch.rows
    for image in range(len(batch)):
        x0, y0 = layout.origin(image)
        if look.style == "boxes":
            yield from boxes(codes[image], look, x0, y0, patch)
        if look.style == "sets" and look.ambiguous:
            for row, column in np.argwhere(codes[image] == AMBIGUOUS).tolist():
                x, y = x0 + column * patch, y0 + row * patch
                alpha = round(140 * look.opacity)
                yield Shape((x, y + patch, x + patch, y), (60, 30, 0, alpha), 1)
        if look.style == "sets" and look.positive:
            inside = (codes[image] == POSITIVE) | (codes[image] == ANCHOR)
            yield from edges(inside, x0, y0, patch)
        if look.grid:
            for k in range(batch.rows + 1):
                at, far = k * patch, layout.tile
                yield Shape((x0, y0 + at, x0 + far, y0 + at), (255, 255, 255, 70), 1)
                yield Shape((x0 + at, y0, x0 + at, y0 + far), (255, 255, 255, 70), 1)
    yield from marks(batch, panel, layout)


def marks(batch: Batch, panel: Panel, layout: Layout) -> Iterator[Shape]:
    """A ring in the patch nearest to the proxy, a frame around the anchor: pink upon white."""
    patch = layout.tile // batch.rows
    white, pink = (255, 255, 255, 255), (*PALETTE[ANCHOR], 255)

    def square(index: int, out: int) -> tuple[int, int, int, int]:
        where = batch.position(index)
        x0, y0 = layout.origin(where.image)
        x, y = x0 + where.column * patch, y0 + where.row * patch
        return (x - out, y - out, x + patch + out, y + patch + out)

    if panel.nearest is not None:
        # The page's radius: 0.42 of a patch, and a pixel.
        ring = square(panel.nearest, 1 - round(0.08 * patch))
        yield Shape(ring, white, 4, "ring")
        yield Shape(ring, pink, 2, "ring")
    yield Shape(square(panel.anchor, 2), white, 5, "box")
    yield Shape(square(panel.anchor, 0), pink, 3, "box")


def boxes(codes: np.ndarray, look: Look, x0: int, y0: int, patch: int) -> Iterator[Shape]:
    """A box around every ambiguous and positive patch of one image, as in Fig. 5."""
    alpha = round(255 * (0.4 + 0.6 * look.opacity))
    for code in (AMBIGUOUS, POSITIVE):
        if look.shows(code):
            for row, column in np.argwhere(codes == code).tolist():
                x, y = x0 + column * patch, y0 + row * patch
                yield Shape((x, y, x + patch, y + patch), (*PALETTE[code], alpha), 2, "box")


def edges(inside: np.ndarray, x0: int, y0: int, patch: int) -> Iterator[Shape]:
    """The border of a bool ``(h, w)`` region as single patch edges."""
    padded = np.pad(inside, 1)
    sides = (
        ((-1, 0), (0, 0, 1, 0)),
        ((1, 0), (0, 1, 1, 1)),
        ((0, -1), (0, 0, 0, 1)),
        ((0, 1), (1, 0, 1, 1)),
    )
    for (dy, dx), (ax, ay, bx, by) in sides:
        beyond = padded[1 + dy : padded.shape[0] - 1 + dy, 1 + dx : padded.shape[1] - 1 + dx]
        for row, column in np.argwhere(inside & ~beyond).tolist():
            x, y = x0 + column * patch, y0 + row * patch
            points = (x + ax * patch, y + ay * patch, x + bx * patch, y + by * patch)
            yield Shape(points, (255, 255, 255, 230), 2)
