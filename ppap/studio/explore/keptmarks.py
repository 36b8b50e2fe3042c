"""Kept anchors in a picture, as assets/studio/explore/keptmarks.js draws them: the border of each
one's positives in its colour, and its number."""

from __future__ import annotations

import html
from collections.abc import Iterator

import numpy as np
from PIL import ImageDraw, ImageFont

from ppap.batches import Batch
from ppap.studio.explore.layout import Layout, Place
from ppap.studio.explore.looks.base import KEPT_COLOURS, PALETTE, Colour, Panel
from ppap.studio.explore.shape import Badge, Shape
from ppap.studio.explore.views import ANCHOR, POSITIVE

# Borders lie inside one another, so that none hides where sets share an edge.
STEP = 3
RADIUS = 11
FONT_SIZE = 15
WHITE = (255, 255, 255)


def kept_borders(batch: Batch, panel: Panel, layout: Layout) -> Iterator[Shape]:
    """The borders of the kept anchors' positives, white below their colours."""
    patch = min(min(p.width // p.columns, p.height // p.rows) for p in layout.places)
    apart = min(STEP, 0.42 * patch / max(1, len(panel.kept)))
    for i, one in enumerate(panel.kept):
        lines = []
        for codes, place in zip(batch.by_image(one.codes), layout.places, strict=True):
            lines += inner_border(codes >= POSITIVE, place, round((i + 0.5) * apart))
        for rgba, width in (((*WHITE, 230), 5), ((*KEPT_COLOURS[one.slot], 255), 3)):
            yield from (Shape(points, rgba, width) for points in lines)


def inner_border(inside: np.ndarray, place: Place, inset: int) -> list[tuple[int, int, int, int]]:
    """The border of a bool ``(h, w)`` region moved inwards, patch edge by patch edge."""
    padded = np.pad(inside, 1)
    found = []
    for row, column in np.argwhere(inside).tolist():
        left, top, right, low = place.square(row, column)
        # The patch and its neighbours; itself is in the middle.
        near = padded[row : row + 3, column : column + 3]

        def end(open_: bool, diagonal: bool) -> int:
            return inset if open_ else -inset if diagonal else 0

        for by, edge in ((0, top + inset), (2, low - inset)):
            if not near[by, 1]:
                a = left + end(not near[1, 0], near[by, 0])
                b = right - end(not near[1, 2], near[by, 2])
                found.append((a, edge, b, edge))
        for by, edge in ((0, left + inset), (2, right - inset)):
            if not near[1, by]:
                a = top + end(not near[0, 1], near[0, by])
                b = low - end(not near[2, 1], near[2, by])
                found.append((edge, a, edge, b))
    return found


def kept_badges(batch: Batch, panel: Panel, layout: Layout) -> Iterator[Badge]:
    """The numbers of the kept anchors, in the middle of their patches."""
    for one in panel.kept:
        image, row, column = batch.position(one.anchor)
        x1, y1, x2, y2 = layout.places[image].square(row, column)
        fill = KEPT_COLOURS[one.slot]
        # The number hides the anchor's frame.
        rim = PALETTE[ANCHOR] if one.anchor == panel.anchor else WHITE
        at = ((x1 + x2) // 2, (y1 + y2) // 2)
        yield Badge(*at, str(one.slot + 1), fill, ink_on(fill), rim)


def ink_on(fill: Colour) -> Colour:
    """Black or white, whichever is read better on a colour."""
    r, g, b = ((channel / 255) ** 2.2 for channel in fill)
    return (0, 0, 0) if 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.18 else WHITE


def draw_badge(draw: ImageDraw.ImageDraw, badge: Badge) -> None:
    """With Pillow."""
    x, y = badge.x, badge.y
    draw.ellipse((x - RADIUS, y - RADIUS, x + RADIUS, y + RADIUS), badge.fill, badge.rim, 2)
    font = ImageFont.load_default(FONT_SIZE)
    draw.text((x, y), badge.text, fill=badge.ink, font=font, anchor="mm")


def svg_badge(badge: Badge) -> str:
    """As elements."""
    colours = (badge.fill, badge.ink, badge.rim)
    fill, ink, rim = ("#{:02x}{:02x}{:02x}".format(*colour) for colour in colours)
    return (
        f'<circle cx="{badge.x}" cy="{badge.y}" r="{RADIUS}" fill="{fill}" stroke="{rim}" '
        f'stroke-width="2"/><text x="{badge.x}" y="{badge.y + 5}" text-anchor="middle" '
        f'font-weight="bold" font-size="{FONT_SIZE}" fill="{ink}">{html.escape(badge.text)}</text>'
    )
