from __future__ import annotations

import numpy as np
import pytest

from ppap.inspection.lengths import outliers


def test_what_is_far_longer_than_the_others_stands_out() -> None:
    chance = np.random.default_rng(0)
    lengths = chance.normal(40, 2, 5000)
    lengths[[7, 4000]] = 150, 90
    found = outliers(lengths)
    assert found.patches.tolist() == [7, 4000]
    assert found.median == pytest.approx(40, abs=0.2)
    assert found.spread == pytest.approx(2, abs=0.1)  # a normal distribution's deviation
    assert found.threshold == pytest.approx(found.median + 6 * found.spread)


def test_many_outliers_do_not_hide_each_other() -> None:
    lengths = np.concatenate([np.linspace(39, 41, 700), np.full(300, 150.0)])
    assert outliers(lengths).patches.tolist() == list(range(700, 1000))


def test_short_ones_are_no_outliers() -> None:
    assert not len(outliers(np.concatenate([np.linspace(39, 41, 100), [0.0]])).patches)


def test_rounding_is_no_spread() -> None:
    lengths = np.ones(100)
    lengths[3] += 1e-6
    assert not len(outliers(lengths).patches)
    lengths[3] = 1.1
    assert outliers(lengths).patches.tolist() == [3]


def test_the_bar_can_be_moved() -> None:
    lengths = np.concatenate([np.linspace(9, 11, 100), [13.0]])
    assert outliers(lengths, 2).patches.tolist() == [100]
    assert not len(outliers(lengths, 20).patches)


@pytest.mark.parametrize("wrong", [[], [1.0, np.nan], [[1.0]]])
def test_what_is_no_lengths_is_refused(wrong: list[float]) -> None:
    with pytest.raises(ValueError, match="finite numbers"):
        outliers(np.array(wrong))
    with pytest.raises(ValueError, match="above 0"):
        outliers(np.ones(3), 0)
