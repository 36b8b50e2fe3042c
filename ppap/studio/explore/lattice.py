"""Some patches that stand for all: every s-th row and column of each image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Grids = Sequence[tuple[int, int]]
"""Rows and columns of each image."""


def lattice(grids: Grids, stride: int) -> np.ndarray:
    """Indices of the patches in every ``stride``-th row and column of each image, int64, ascending.

    The lattice of a stride is part of that of its half.
    """
    found, start = [], 0
    for rows, columns in grids:
        own = start + np.arange(rows * columns).reshape(rows, columns)
        found.append(own[::stride, ::stride].ravel())
        start += rows * columns
    return np.concatenate(found)


def nearest(grids: Grids, stride: int) -> np.ndarray:
    """For each patch the nearest one of ``lattice(grids, stride)`` in its image, int64 ``(N,)``."""
    found, start = [], 0
    for rows, columns in grids:
        at_row, at_column = (_rounded(count, stride) for count in (rows, columns))
        found.append((start + at_row[:, None] * columns + at_column[None, :]).ravel())
        start += rows * columns
    return np.concatenate(found)


def _rounded(count: int, stride: int) -> np.ndarray:
    last = (count - 1) // stride
    return np.minimum((np.arange(count) + stride // 2) // stride, last) * stride


def finest(grids: Grids, most: int) -> int:
    """The smallest power of two as a stride whose lattice has at most ``most`` patches; where none
    has, that of one patch an image."""
    largest = max(max(grid) for grid in grids)
    stride = 1
    while stride < largest and len_of(grids, stride) > most:
        stride *= 2
    return stride


def len_of(grids: Grids, stride: int) -> int:
    """How many patches ``lattice(grids, stride)`` has."""
    return sum(-(-rows // stride) * -(-columns // stride) for rows, columns in grids)
