"""What the mosaic shows, as PNG. The canvas in assets/studio draws the same look."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ppap.batches import Batch
from ppap.studio.explorer import AMBIGUOUS, ANCHOR, NEGATIVE, POSITIVE

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
GAP = 6
LINE = 22
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
    caption = LINE * max(len(panel.lines) for panel in panels) + 6
    width = 2 * MARGIN + across * tile + (across - 1) * GAP
    height = 2 * MARGIN + caption + down * tile + (down - 1) * GAP
    return Layout(tile, across, down, width, height, caption)


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
        if shape.box:
            draw.rectangle(shape.points, outline=shape.rgba, width=shape.width)
        else:
            draw.line(shape.points, fill=shape.rgba, width=shape.width)
    font = ImageFont.load_default(15)
    for n, line in enumerate(panel.lines):
        draw.text((MARGIN, MARGIN + n * LINE), line, fill=(20, 24, 34), font=font)
    return sheet


class Shape(NamedTuple):
    """A line or a box on top of the patches."""

    points: tuple[int, int, int, int]
    rgba: tuple[int, int, int, int]
    width: int
    box: bool = False


def shapes(batch: Batch, panel: Panel, look: Look, layout: Layout) -> Iterator[Shape]:
    """Outline of the positives, hatching of the ambiguous, grid, boxes and the anchor."""
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
    where = batch.position(panel.anchor)
    x0, y0 = layout.origin(where.image)
    x, y = x0 + where.column * patch, y0 + where.row * patch
    yield Shape((x - 2, y - 2, x + patch + 2, y + patch + 2), (255, 255, 255, 255), 5, box=True)
    yield Shape((x, y, x + patch, y + patch), (*PALETTE[ANCHOR], 255), 3, box=True)


def boxes(codes: np.ndarray, look: Look, x0: int, y0: int, patch: int) -> Iterator[Shape]:
    """A box around every ambiguous and positive patch of one image, as in Fig. 5."""
    alpha = round(255 * (0.4 + 0.6 * look.opacity))
    for code in (AMBIGUOUS, POSITIVE):
        if look.shows(code):
            for row, column in np.argwhere(codes == code).tolist():
                x, y = x0 + column * patch, y0 + row * patch
                yield Shape((x, y, x + patch, y + patch), (*PALETTE[code], alpha), 2, box=True)


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
