from __future__ import annotations

import math

import pytest
import torch

from ppap.propagation import unit
from ppap.study.expectation import AIMS, CURVES, Neighbours, expect, neighbours, pure_phi0


def test_neighbours_by_hand() -> None:
    # 2 rows of 3: 0°, 60°, 90° above 30°, 60°, 150°; and an image of 1 × 2 at 0° and 90°.
    angles = torch.tensor([0, 60, 90, 30, 60, 150, 0, 90.0], dtype=torch.float64).deg2rad()
    f = torch.stack([angles.cos(), angles.sin()], dim=1)
    apart = [60, 30, 30, 90, 30, 0, 60, 90]
    cosines = torch.tensor(apart, dtype=torch.float64).deg2rad().cos()
    found = neighbours(f, [(2, 3), (1, 2)])
    assert found.mean == pytest.approx(float(cosines.mean()))
    assert found.deviation == pytest.approx(float(cosines.std(unbiased=False)))
    assert found.median == pytest.approx(float(cosines.median()))
    assert found.most == pytest.approx(float(cosines.sort().values[1]))  # 6 of 8 exceed it


def test_the_curve_is_what_it_says() -> None:
    found = Neighbours(0.8, 0.1, 0.8, 0.5)
    for aim in AIMS:
        a, b, c, within = CURVES[aim]
        x = a + b * 0.6 + c * (0.6 - 0.8) / 0.1
        precision = 1 / (1 + math.exp(-x))
        got = expect(aim, 0.6, found)
        assert got.precision == pytest.approx(precision)
        assert got.low == pytest.approx(max(0, precision - within))
        assert got.high == pytest.approx(min(1, precision + within))


def test_more_is_expected_of_a_higher_phi_and_of_tighter_classes() -> None:
    usual, tight = Neighbours(0.8, 0.08, 0.8, 0.5), Neighbours(0.85, 0.08, 0.85, 0.5)
    shares = [expect("pure", phi0 / 100, usual).precision for phi0 in range(50, 90)]
    assert shares == sorted(shares)
    assert expect("pure", 0.7, tight).precision > expect("pure", 0.7, usual).precision
    assert pure_phi0(0.4, tight) < pure_phi0(0.4, usual)


def test_pure_goes_neither_below_the_complete_one_nor_above_the_neighbours() -> None:
    usual = Neighbours(0.8, 0.08, 0.8, 0.5)
    assert pure_phi0(0.95, usual) == 0.95
    assert pure_phi0(0.4, Neighbours(0.5, 0.2, 0.5, 0.5)) == 0.5
    phi0 = pure_phi0(0.4, usual)
    assert phi0 == round(phi0, 2)


def test_one_vector_everywhere_gives_a_share_all_the_same() -> None:
    found = neighbours(unit(torch.ones(8, 4)), [(2, 4)])
    for aim in AIMS:
        assert 0 <= expect(aim, 0.99, found).precision <= 1
