"""Where every image and patch lies: in an exported picture, and in the sheet that pages fetch."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
from PIL import Image

from ppap.batches import Batch

GAP = 6
LINE = 22
MARGIN = 12
# Of all panels of a picture together, about.
WIDEST = 3000
# A sheet that every browser can draw from: canvases end at 16,384 pixels a side.
LONGEST_SHEET, SHEET_PIXELS = 16_000, 2**25

Lines = Sequence[int]
"""How many images stand in each line of a picture."""


class _Box(NamedTuple):
    x: int
    y: int
    width: int
    height: int
    rows: int
    columns: int


class Place(_Box):
    """An image in a picture: its top-left corner and sides in pixels, and its grid of patches."""

    @cached_property
    def xs(self) -> np.ndarray:
        """Where columns begin, and the right edge; int64 ``(columns + 1,)``."""
        return self.x + edges(self.width, self.columns)

    @cached_property
    def ys(self) -> np.ndarray:
        """Where rows begin, and the lower edge; int64 ``(rows + 1,)``."""
        return self.y + edges(self.height, self.rows)

    def square(self, row: int, column: int) -> tuple[int, int, int, int]:
        """Left, top, right and lower edge of a patch."""
        xs, ys = self.xs, self.ys
        return int(xs[column]), int(ys[row]), int(xs[column + 1]), int(ys[row + 1])


def edges(length: int, parts: int) -> np.ndarray:
    """Where equal parts of a length begin, to the nearest pixel, and its end."""
    return (2 * np.arange(parts + 1) * length + parts) // (2 * parts)


class Layout(NamedTuple):
    """Where things are, in pixels of the exported picture; the same in each of its panels."""

    places: tuple[Place, ...]
    width: int
    height: int


def lay_out(batch: Batch, lines: Lines, panels: int, caption: int = 0) -> Layout:
    """Images line by line, no larger than they are and no wider than WIDEST pixels together.

    Images of equal sides are drawn at equal sides, of whole pixels a patch. Others fill their
    lines: those of one line are equally high, and the lines equally wide where that enlarges none
    of them much.
    """
    bounds = np.cumsum([0, *lines])
    members = [range(a, b) for a, b in itertools.pairwise(bounds)]
    room = WIDEST // panels - 2 * MARGIN
    if len(set(batch.grids)) == 1:
        sizes = _equal(batch, max(lines), room)
    else:
        sizes = _filling(batch, members, room)
    places, y, widest = [], MARGIN + caption, 0
    for line in members:
        x = MARGIN
        for i in line:
            width, height = sizes[i]
            places.append(Place(x, y, width, height, *batch.grids[i]))
            x += width + GAP
        widest = max(widest, x - GAP + MARGIN)
        y += max(sizes[i][1] for i in line) + GAP
    return Layout(tuple(places), widest, y - GAP + MARGIN)


def _equal(batch: Batch, across: int, room: int) -> list[tuple[int, int]]:
    rows, columns = batch.grids[0]
    side = max(2, min(batch.patch, (room // across - GAP) // columns))
    return [(columns * side, rows * side)] * len(batch)


def _filling(batch: Batch, members: Sequence[range], room: int) -> list[tuple[int, int]]:
    aspects = [grid.columns / grid.rows for grid in batch.grids]
    own = [max(batch.grids[i].rows for i in line) * batch.patch for line in members]
    sums = [sum(aspects[i] for i in line) for line in members]
    gaps = [GAP * (len(line) - 1) for line in members]
    natural = max(h * a + g for h, a, g in zip(own, sums, gaps, strict=True))
    width = min(room, natural)
    sizes = []
    for line, most, total, gap in zip(members, own, sums, gaps, strict=True):
        height = round(min(most, (width - gap) / total))
        for i in line:
            rows, columns = batch.grids[i]
            # A patch is two pixels at least.
            small = height < 2 * rows
            sizes.append((2 * columns, 2 * rows) if small else (round(height * aspects[i]), height))
    return sizes


class Sheet(NamedTuple):
    """All images of a batch in one picture, for one download."""

    image: Image.Image
    corners: tuple[tuple[int, int], ...]
    """x and y of each image."""
    patch: int
    """Side of a patch in its pixels: the batch's, or less where the sheet would be too large."""


def sheet_of(batch: Batch) -> Sheet:
    """Put all images of a batch into one picture."""
    corners = packed(batch)
    ends = [(x + g.columns, y + g.rows) for (x, y), g in zip(corners, batch.grids, strict=True)]
    across, down = (max(end[axis] for end in ends) for axis in (0, 1))
    most = min(LONGEST_SHEET // max(across, down), math.isqrt(SHEET_PIXELS // (across * down)))
    patch = max(1, min(batch.patch, most))
    sheet = Image.new("RGB", (across * patch, down * patch))
    for image, grid, (x, y) in zip(batch.images, batch.grids, corners, strict=True):
        part, sides = Image.fromarray(image), (grid.columns * patch, grid.rows * patch)
        if part.size != sides:
            part = part.resize(sides, Image.Resampling.LANCZOS)
        sheet.paste(part, (x * patch, y * patch))
    return Sheet(sheet, tuple((x * patch, y * patch) for x, y in corners), patch)


def packed(batch: Batch) -> list[tuple[int, int]]:
    """Corners of the images in a nearly square sheet, in patches: shelf by shelf, the high first.

    Images of equal sides come in their own order.
    """
    grids = batch.grids
    if len(set(grids)) == 1:
        across = math.ceil(math.sqrt(len(grids)))
        width = across * grids[0].columns
    else:
        area = sum(batch.counts)
        width = max(math.ceil(math.sqrt(1.1 * area)), max(grid.columns for grid in grids))
    corners = [(0, 0)] * len(grids)
    x = y = shelf = 0
    for i in sorted(range(len(grids)), key=lambda i: -grids[i].rows):
        if x + grids[i].columns > width:
            x, y, shelf = 0, y + shelf, 0
        corners[i] = (x, y)
        x, shelf = x + grids[i].columns, max(shelf, grids[i].rows)
    return corners
