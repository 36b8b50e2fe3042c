"""Intervals of means over redrawn images: by hand, by statistics, and in a comparison."""

from __future__ import annotations

import math

import pytest
import torch

from ppap.study.comparison import Anchored, compare, measure, redrawn, sureness
from ppap.study.intervals import Interval, interval, redrawn_means
from tests.ppap.study.test_comparison import CLASSES, FIVE, batch


def test_with_two_images_there_are_three_means() -> None:
    # Image 7: values 0 and 1; image 9: value 1 alone, and one that is not there.
    values = torch.tensor([0.0, 1.0, 1.0, math.nan])
    means = redrawn_means(values, torch.tensor([7, 7, 9, 9]), draws=4000)
    assert set(means.tolist()) == {0.5, 2 / 3, 1.0}
    share = {m: float((means == m).double().mean()) for m in (0.5, 2 / 3, 1.0)}
    assert share[0.5] == pytest.approx(0.25, abs=0.03)
    assert share[2 / 3] == pytest.approx(0.5, abs=0.03)


def test_the_spread_is_that_of_the_images_not_of_the_anchors() -> None:
    chance = torch.Generator().manual_seed(0)
    of_image = torch.randn(50, generator=chance, dtype=torch.float64)
    values = of_image.repeat_interleave(20)  # twenty anchors that say the same
    images = torch.arange(50).repeat_interleave(20)
    low, high = interval(redrawn_means(values, images))
    error = float(of_image.std()) / math.sqrt(50)
    assert (high - low) / (2 * 1.96 * error) == pytest.approx(1, abs=0.1)
    assert low < float(of_image.mean()) < high


def test_95_per_cent_lie_within() -> None:
    assert interval(torch.arange(1001, dtype=torch.float64)) == Interval(25, 975)
    nothing = interval(torch.full((5,), math.nan))
    assert math.isnan(nothing.low)
    assert math.isnan(nothing.high)
    assert redrawn_means(torch.empty(0), torch.empty(0, dtype=torch.int64)).isnan().all()
    assert interval(torch.tensor([math.nan, 2.0])) == Interval(2, 2)


def test_the_same_images_are_drawn_for_every_rule() -> None:
    one = measure_of(0.5)
    # A rule that is 0.1 better at every anchor is so in every draw, however wide its own interval.
    better = one._replace(trust=one.trust._replace(precision=one.trust.precision + 0.1))
    found = sureness(one, redrawn(better, better.trust.precision))
    assert found.behind == pytest.approx((0.1, 0.1))
    assert found.precision.high - found.precision.low > 0.01


def measure_of(noise: float) -> Anchored:
    from ppap.rivals import Choice

    return measure(Choice("ppap", FIVE), [batch(int(10 * noise), images=8)])


def test_a_comparison_says_how_sure_it_is() -> None:
    rows = compare([batch(images=6)], FIVE, CLASSES, matched=False)
    assert rows[0].sureness.behind is None
    for row in rows:
        low, high = row.sureness.precision
        assert low <= row.mean.precision <= high
        assert row.sureness.f1.low <= row.f1 <= row.sureness.f1.high
    for row in rows[1:]:
        assert row.sureness.behind is not None
        lead = rows[0].mean.precision - row.mean.precision
        assert row.sureness.behind.low - 1e-9 <= lead <= row.sureness.behind.high + 1e-9
