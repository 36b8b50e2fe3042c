"""Masks as polygons along the borders of pixels, for tools that take no run lengths."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from scipy import ndimage

Ring = list[int]
"""x, y, x, y, … of a polygon's corners, as COCO lists them."""


def polygons_of(mask: np.ndarray) -> list[Ring]:
    """A bool mask ``(H, W)`` → polygons that cover just its pixels.

    COCO's polygons have no holes, and many tools read each by itself. So every piece of the mask
    is one (pixels are joined by their sides), and a piece with holes is cut by vertical lines
    through these, as few as will do. No polygon touches itself, and none overlaps another.
    Corners are those of pixels, from 0 to W and H; a pixel's centre lies at a half. Nothing is
    smoothed: filled again, the polygons are the mask.

    Raises:
        TypeError, ValueError: not a bool mask.
    """
    if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_:
        kind = mask.dtype if isinstance(mask, np.ndarray) else type(mask).__name__
        raise TypeError(f"the mask must be a bool array (H, W), not {kind}")
    if mask.ndim != 2:
        raise ValueError(f"the mask must have the shape (H, W), not {mask.shape}")
    return [
        [*np.add(ring, (left, top)).ravel().tolist()]
        for top, left, piece in pieces_of(mask)
        for ring in (outline(piece),)
    ]


def pieces_of(mask: np.ndarray) -> Iterator[tuple[int, int, np.ndarray]]:
    """Parts without holes: row and column of each one's corner, and its own small mask."""
    labels, _ = ndimage.label(mask)
    for number, (down, across) in enumerate(ndimage.find_objects(labels), 1):
        whole = labels[down, across] == number
        cuts = cuts_through(holes_of(whole))
        ends = [0, *cuts, whole.shape[1]]
        for left, right in pairwise(ends):
            if not cuts:
                yield down.start, across.start, whole
                continue
            strips, _ = ndimage.label(whole[:, left:right])
            for part, (rows, columns) in enumerate(ndimage.find_objects(strips), 1):
                corner = (down.start + rows.start, across.start + left + columns.start)
                yield *corner, strips[rows, columns] == part


def holes_of(whole: np.ndarray) -> list[tuple[int, int]]:
    """Where the holes of a connected mask begin and end from left to right.

    A gap that is open only at a corner counts as one: a polygon around it would touch itself.
    """
    if whole.all():
        return []
    labels, count = ndimage.label(~np.pad(whole, 1))
    outside = labels[0, 0]
    found = ndimage.find_objects(labels)
    return [
        (found[n - 1][1].start - 1, found[n - 1][1].stop - 1)
        for n in range(1, count + 1)
        if n != outside
    ]


def cuts_through(holes: list[tuple[int, int]]) -> list[int]:
    """The fewest columns that every hole is cut open by, if only at its side."""
    cuts: list[int] = []
    for left, right in sorted(holes, key=lambda hole: hole[1]):
        if not cuts or cuts[-1] < left:
            cuts.append(right)
    return cuts


def outline(piece: np.ndarray) -> np.ndarray:
    """The corners around a connected piece without holes, x and y, int64 ``(N, 2)``, clockwise."""
    if piece.all():
        bottom, right = piece.shape
        return np.array([(0, 0), (right, 0), (right, bottom), (0, bottom)], np.int64)
    wide = np.pad(piece, 1)  # so that nothing wraps around
    width = wide.shape[1] + 1
    following: dict[int, int] = {}
    # Every side of a pixel that lies at the border, walked with the piece on its right hand.
    for (dy, dx), start, end in (
        ((-1, 0), (0, 0), (0, 1)),
        ((0, 1), (0, 1), (1, 1)),
        ((1, 0), (1, 1), (1, 0)),
        ((0, -1), (1, 0), (0, 0)),
    ):
        rows, columns = np.nonzero(wide & ~np.roll(wide, (-dy, -dx), (0, 1)))
        begin = (rows + start[0]) * width + columns + start[1]
        finish = (rows + end[0]) * width + columns + end[1]
        following |= dict(zip(begin.tolist(), finish.tolist(), strict=True))
    first = min(following)
    ring: list[int] = []
    place = first
    while not ring or place != first:
        ring.append(place)
        place = following[place]
    corners = np.array(ring, np.int64)
    steps = np.diff(corners, append=corners[:1])
    turns = steps != np.roll(steps, 1)
    y, x = np.divmod(corners[turns], width)
    return np.stack([x - 1, y - 1], axis=1)
