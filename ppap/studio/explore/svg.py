"""The exported picture as SVG: photographs embedded, sets as shapes that can be edited."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterable, Iterator

import numpy as np
from PIL import Image

from ppap.batches import Batch
from ppap.studio.explore.keptmarks import kept_badges, svg_badge
from ppap.studio.explore.layout import LINE, MARGIN, Layout, Lines, Place
from ppap.studio.explore.looks.base import Look, Panel
from ppap.studio.explore.pictures import (
    arrange,
    patch_rgba,
    photos,
    shapes,
    wrapped,
)
from ppap.studio.explore.shape import Shape


def as_svg(batch: Batch, panels: list[Panel], look: Look, lines: Lines) -> str:
    """The panels side by side as an SVG: photographs embedded, every run of patches a shape."""
    layout = arrange(batch, panels, lines)
    width = layout.width * len(panels)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{layout.height}" '
        f'viewBox="0 0 {width} {layout.height}" font-family="sans-serif" font-size="15">',
        f'<rect width="{width}" height="{layout.height}" fill="white"/>',
    ]
    placed = zip(photos(batch, look), layout.places, strict=True)
    uris = [photo_uri(image, place) for image, place in placed]
    for i, panel in enumerate(panels):
        parts.append(f'<g transform="translate({i * layout.width} 0)">')
        parts.extend(svg_panel(batch, panel, look, layout, uris))
        parts.append("</g>")
    return "\n".join([*parts, "</svg>", ""])


def photo_uri(image: np.ndarray, place: Place) -> str:
    """An image as a JPEG data address."""
    out = io.BytesIO()
    small = Image.fromarray(image).resize((place.width, place.height), Image.Resampling.LANCZOS)
    small.save(out, "JPEG", quality=90)
    return "data:image/jpeg;base64," + base64.b64encode(out.getvalue()).decode()


def svg_panel(
    batch: Batch, panel: Panel, look: Look, layout: Layout, photos: list[str]
) -> Iterator[str]:
    """The elements of one panel."""
    for n, line in enumerate(wrapped(panel.lines, layout.width)):
        y = MARGIN + n * LINE + 15
        yield f'<text x="{MARGIN}" y="{y}" fill="#141822">{html.escape(line)}</text>'
    colours = batch.by_image(patch_rgba(batch, panel, look))
    for name, place, photo, colour in zip(batch.names, layout.places, photos, colours, strict=True):
        yield (
            f'<image x="{place.x}" y="{place.y}" width="{place.width}" height="{place.height}" '
            f'href="{photo}"><title>{html.escape(name)}</title></image>'
        )
        yield f'<g transform="translate({place.x} {place.y})" shape-rendering="crispEdges">'
        for row in range(place.rows):
            yield from runs(colour[row], row, place)
        yield "</g>"
    for shape in shapes(batch, panel, look, layout):
        yield svg_shape(shape)
    yield from (svg_badge(badge) for badge in kept_badges(batch, panel, layout))


def runs(line: np.ndarray, row: int, place: Place) -> Iterator[str]:
    """Patches of one row that look alike, as one rectangle each."""
    start = 0
    xs = (place.xs - place.x).tolist()
    top, low = (place.ys[row : row + 2] - place.y).tolist()
    for column in range(1, len(line) + 1):
        if column < len(line) and (line[column] == line[start]).all():
            continue
        *rgb, alpha = line[start].tolist()
        if alpha:
            yield (
                f'<rect x="{xs[start]}" y="{top}" width="{xs[column] - xs[start]}" '
                f'height="{low - top}" fill="{hexadecimal(rgb)}" '
                f'fill-opacity="{alpha:.3g}"/>'
            )
        start = column


def hexadecimal(rgb: Iterable[float]) -> str:
    """A colour as ``#rrggbb``."""
    return "#" + "".join(f"{round(channel):02x}" for channel in rgb)


def svg_shape(shape: Shape) -> str:
    """A shape as an element."""
    x1, y1, x2, y2 = shape.points
    *rgb, alpha = shape.rgba
    stroke = (
        f'stroke="{hexadecimal(rgb)}" stroke-opacity="{alpha / 255:.3g}" '
        f'stroke-width="{shape.width}"'
    )
    if shape.form == "ring":
        place = f'cx="{(x1 + x2) / 2:g}" cy="{(y1 + y2) / 2:g}" r="{(x2 - x1) / 2:g}"'
        return f'<circle {place} fill="none" {stroke}/>'
    if shape.form == "box":
        place = f'x="{x1}" y="{y1}" width="{x2 - x1}" height="{y2 - y1}"'
        return f'<rect {place} fill="none" {stroke}/>'
    return f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" {stroke}/>'
