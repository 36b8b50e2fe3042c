from __future__ import annotations

import numpy as np
import pytest

from ppap.studio.explore.lattice import finest, lattice, len_of, nearest

GRIDS = [(4, 6), (1, 1), (3, 9)]


@pytest.mark.parametrize("stride", [1, 2, 3, 4, 16])
def test_a_lattice_is_every_so_many_rows_and_columns_of_each_image(stride: int) -> None:
    expected, start = [], 0
    for rows, columns in GRIDS:
        for row in range(0, rows, stride):
            expected += [start + row * columns + c for c in range(0, columns, stride)]
        start += rows * columns
    assert lattice(GRIDS, stride).tolist() == expected
    assert len_of(GRIDS, stride) == len(expected)


def test_a_lattice_holds_that_of_twice_its_stride() -> None:
    for stride in (1, 2, 4):
        assert set(lattice(GRIDS, 2 * stride)) <= set(lattice(GRIDS, stride))


@pytest.mark.parametrize("stride", [1, 2, 3, 4, 16])
def test_the_nearest_is_in_the_lattice_of_the_same_image_and_near(stride: int) -> None:
    found, chosen = nearest(GRIDS, stride), set(lattice(GRIDS, stride))
    start = 0
    for rows, columns in GRIDS:
        for patch in range(rows * columns):
            other = int(found[start + patch]) - start
            assert other + start in chosen
            assert 0 <= other < rows * columns
            for a, b, count in zip(
                divmod(patch, columns), divmod(other, columns), (rows, columns), strict=True
            ):
                last = (count - 1) // stride * stride
                assert abs(a - b) <= (stride / 2 if a <= last else a - last + stride / 2)
        start += rows * columns
    assert (found[lattice(GRIDS, stride)] == lattice(GRIDS, stride)).all()


def test_the_finest_stride_keeps_to_a_number() -> None:
    grids = [(28, 28)] * 8
    assert finest(grids, 10_000) == 1
    assert finest(grids, 8 * 196) == 2
    assert finest(grids, 8 * 196 - 1) == 4
    assert len(lattice(grids, finest(grids, 0))) == len(grids)
    assert np.all(nearest(grids, 32) == lattice(grids, 32).repeat(784))
