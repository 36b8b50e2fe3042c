"""PPAP's anchors one by one: where each lies, and how right its positives are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from ppap.evaluation.trust import Trust
from ppap.study.plain import plain

# Evenly over the images where there are more: enough to look at, and a page can hold them.
MOST = 2000


def anchor_list(
    found: Trust,
    anchors: Tensor,
    labels: Tensor,
    grids: Sequence[tuple[int, int]],
    classes: Sequence[str],
) -> dict[str, Any]:
    """The anchors of one batch as columns of equal length, as ``study.json`` holds them.

    Args:
        found: of these anchors, each ``(A,)``.
        anchors: patches, int64 ``(A,)``, ascending.
        labels: class of every patch, int64 ``(N,)``.
        grids: rows and columns of every image.
        classes: their names.

    Returns:
        "image", "row" and "column", each from 0; "class", a place in "classes", the names;
        "positives"; "precision", None where there are none.
    """
    starts, start = [], 0
    for rows, columns in grids:
        starts.append(start)
        start += rows * columns
    columns_of: dict[str, list[Any]] = {
        name: [] for name in ("image", "row", "column", "class", "positives", "precision")
    }
    image = 0
    step = max(1, -(-len(anchors) // MOST))
    for at in range(0, len(anchors), step):
        patch = int(anchors[at])
        while image + 1 < len(starts) and patch >= starts[image + 1]:
            image += 1
        row, column = divmod(patch - starts[image], grids[image][1])
        values = (image, row, column, int(labels[patch]), int(found.positives[at]))
        precision = plain(float(found.precision[at]))
        for name, value in zip(columns_of, (*values, precision), strict=True):
            columns_of[name].append(value)
    return {**columns_of, "classes": list(classes)}
