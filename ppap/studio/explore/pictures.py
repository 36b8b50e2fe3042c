"""What the mosaic shows, as PNG. The canvas in assets/studio draws the same look."""

from __future__ import annotations

import io
import textwrap
import unicodedata
from collections.abc import Iterator

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ppap.batches import Batch
from ppap.studio.explore.keptmarks import draw_badge, kept_badges, kept_borders
from ppap.studio.explore.layout import LINE, MARGIN, Layout, Lines, Place, lay_out
from ppap.studio.explore.looks.base import MARKED, PALETTE, Look, Panel
from ppap.studio.explore.looks.registry import STYLES
from ppap.studio.explore.looks.scales import grey
from ppap.studio.explore.shape import Shape
from ppap.studio.explore.views import AMBIGUOUS, ANCHOR, POSITIVE
from ppap.study.fonts import runs

# Pixels for a character of a caption, a little more than most fonts take on average.
LETTER = 8
FONT_SIZE = 15
INK = (20, 24, 34)


def arrange(batch: Batch, panels: list[Panel], lines: Lines) -> Layout:
    """The layout of a picture with its captions above the images."""
    width = lay_out(batch, lines, len(panels)).width
    caption = LINE * max(len(wrapped(panel.lines, width)) for panel in panels) + 6
    return lay_out(batch, lines, len(panels), caption)


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
    said = STYLES[look.style].legend(look, labelled)
    marks = "pink frame: anchor" + (", pink ring: nearest to the proxy" if ring else "")
    return "; ".join([said, marks] if said else [marks])


def patch_rgba(batch: Batch, panel: Panel, look: Look) -> np.ndarray:
    """Colour and opacity of every patch, float ``(N, 4)``: RGB 0–255 and alpha 0–1."""
    return STYLES[look.style].rgba(batch, panel, look)


def photos(batch: Batch, look: Look) -> list[np.ndarray]:
    """The photographs under a look, uint8 ``(H_i, W_i, 3)`` each: some take their colours away."""
    return [grey(image) if STYLES[look.style].grey else image for image in batch.images]


def as_png(batch: Batch, panels: list[Panel], look: Look, lines: Lines) -> bytes:
    """The panels side by side as a PNG."""
    layout = arrange(batch, panels, lines)
    sheet = Image.new("RGB", (layout.width * len(panels), layout.height), "white")
    for i, panel in enumerate(panels):
        sheet.paste(draw_panel(batch, panel, look, layout), (i * layout.width, 0))
    out = io.BytesIO()
    sheet.save(out, "PNG", optimize=False)
    return out.getvalue()


def draw_panel(batch: Batch, panel: Panel, look: Look, layout: Layout) -> Image.Image:
    """One mosaic with its caption."""
    sheet = Image.new("RGB", (layout.width, layout.height), "white")
    colours = batch.by_image(patch_rgba(batch, panel, look))
    for image, place, colour in zip(photos(batch, look), layout.places, colours, strict=True):
        sides = (place.width, place.height)
        tile = Image.fromarray(image).resize(sides, Image.Resampling.LANCZOS)
        tint = colour.repeat(np.diff(place.ys), 0).repeat(np.diff(place.xs), 1)
        mixed = np.asarray(tile) * (1 - tint[..., 3:]) + tint[..., :3] * tint[..., 3:]
        sheet.paste(Image.fromarray(np.rint(mixed).astype(np.uint8)), (place.x, place.y))
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
    for badge in kept_badges(batch, panel, layout):
        draw_badge(draw, badge)
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


def shapes(batch: Batch, panel: Panel, look: Look, layout: Layout) -> Iterator[Shape]:
    """Outline of the positives, hatching of the ambiguous, grid, boxes and the two marks."""
    for codes, place in zip(batch.by_image(panel.codes), layout.places, strict=True):
        if look.style == "boxes":
            yield from boxes(codes, look, place)
        if look.style == "sets" and look.ambiguous:
            alpha = round(140 * look.opacity)
            for row, column in np.argwhere(codes == AMBIGUOUS).tolist():
                x1, y1, x2, y2 = place.square(row, column)
                yield Shape((x1, y2, x2, y1), (60, 30, 0, alpha), 1)
        if look.style == "sets" and look.positive:
            yield from borders((codes == POSITIVE) | (codes == ANCHOR), place)
        if look.grid:
            left, top, right, low = place.xs[0], place.ys[0], place.xs[-1], place.ys[-1]
            for y in place.ys.tolist():
                yield Shape((int(left), y, int(right), y), (255, 255, 255, 70), 1)
            for x in place.xs.tolist():
                yield Shape((x, int(top), x, int(low)), (255, 255, 255, 70), 1)
    if look.style != "trust":
        yield from kept_borders(batch, panel, layout)
    yield from frames(batch, look, layout)
    yield from marks(batch, panel, layout)


def frames(batch: Batch, look: Look, layout: Layout) -> Iterator[Shape]:
    """Red frames upon white around the patches that a style marks."""
    marked = STYLES[look.style].marked
    for index in [] if marked is None else marked(look).tolist():
        image, row, column = batch.position(index)
        x1, y1, x2, y2 = layout.places[image].square(row, column)
        yield Shape((x1 + 1, y1 + 1, x2 - 1, y2 - 1), (255, 255, 255, 255), 3, "box")
        yield Shape((x1 + 2, y1 + 2, x2 - 2, y2 - 2), (*MARKED, 255), 2, "box")


def marks(batch: Batch, panel: Panel, layout: Layout) -> Iterator[Shape]:
    """A ring in the patch nearest to the proxy, a frame around the anchor: pink upon white."""
    white, pink = (255, 255, 255, 255), (*PALETTE[ANCHOR], 255)

    def square(index: int, out: int) -> tuple[int, int, int, int]:
        image, row, column = batch.position(index)
        x1, y1, x2, y2 = layout.places[image].square(row, column)
        return (x1 - out, y1 - out, x2 + out, y2 + out)

    if panel.nearest is not None:
        left, _, right, _ = square(panel.nearest, 0)
        # The page's radius: 0.42 of a patch, and a pixel.
        ring = square(panel.nearest, 1 - round(0.08 * (right - left)))
        yield Shape(ring, white, 4, "ring")
        yield Shape(ring, pink, 2, "ring")
    yield Shape(square(panel.anchor, 2), white, 5, "box")
    yield Shape(square(panel.anchor, 0), pink, 3, "box")


def boxes(codes: np.ndarray, look: Look, place: Place) -> Iterator[Shape]:
    """A box around every ambiguous and positive patch of one image, as in Fig. 5."""
    alpha = round(255 * (0.4 + 0.6 * look.opacity))
    for code in (AMBIGUOUS, POSITIVE):
        if look.shows(code):
            for row, column in np.argwhere(codes == code).tolist():
                yield Shape(place.square(row, column), (*PALETTE[code], alpha), 2, "box")


def borders(inside: np.ndarray, place: Place) -> Iterator[Shape]:
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
            xs, ys = place.xs[column : column + 2].tolist(), place.ys[row : row + 2].tolist()
            yield Shape((xs[ax], ys[ay], xs[bx], ys[by]), (255, 255, 255, 230), 2)
