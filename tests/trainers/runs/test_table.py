"""Rows by columns, and curves of them: peaks and means stay, whoever adds rows meanwhile."""

from __future__ import annotations

import numpy as np
import pytest

from trainers.runs.lines import Rows
from trainers.runs.table import POINTS, Table, thinned


def rows(first: int, count: int, **columns: float) -> Rows:
    steps = np.arange(first, first + count)
    return Rows(steps, {n: np.full(count, v, np.float32) for n, v in columns.items()})


def test_long_series_keep_their_peaks() -> None:
    values = np.zeros(100_000, np.float32)
    values[12_345], values[77_777], values[5] = 9, -9, np.nan
    x, y, m = thinned(np.arange(100_000), values)
    assert len(x) <= POINTS
    assert x == sorted(set(x))
    assert dict(zip(x, y, strict=True))[12_345] == 9
    assert dict(zip(x, y, strict=True))[77_777] == -9
    assert not np.isnan(y).any()
    # And say what is between them: a peak is one of 250 values.
    assert m is not None
    assert dict(zip(x, m, strict=True))[12_345] == pytest.approx(9 / 250)


@pytest.mark.parametrize("count", [POINTS, POINTS + 1, 1999, 2000, 2001, 54_321])
def test_every_stretch_is_there_with_its_mean(count: int) -> None:
    values = np.random.default_rng(0).normal(size=count).astype(np.float32)
    x, y, m = thinned(np.arange(count) * 3, values)
    assert len(x) <= POINTS
    assert min(y) == pytest.approx(values.min(), rel=1e-5)
    assert max(y) == pytest.approx(values.max(), rel=1e-5)
    assert [y[0], y[-1]] == pytest.approx(values[[x[0] // 3, x[-1] // 3]], rel=1e-5)
    if m is None:
        assert count == POINTS
        return
    # The means, each weighed by its stretch, make the mean of all.
    size = -(-count // (POINTS // 2))
    part = np.array(x) // 3 // size
    means = [m[np.flatnonzero(part == p)[0]] for p in range(-(-count // size))]
    weights = [min(size, count - p * size) for p in range(len(means))]
    assert np.average(means, weights=weights) == pytest.approx(values.mean(dtype=float), abs=1e-5)


def test_columns_that_come_late_and_go_early() -> None:
    table = Table()
    for begin in range(0, 1000, 100):
        table.add(rows(begin, 100, loss=1.0, **({"late": 2.0} if begin >= 500 else {"early": 3.0})))
    found = table.since(0)
    assert found["late"]["x"][0] == 500
    assert found["early"]["x"][-1] == 499
    assert table.last() == {"loss": 1.0, "late": 2.0, "early": 3.0}
    assert table.since(1000) == {}
    assert Table().last() == {}


def test_what_was_taken_stays_as_it_was() -> None:
    table = Table()
    table.add(rows(0, 3, loss=1.0))
    taken = table.now()
    table.add(rows(3, 5000, loss=2.0, other=1.0))
    assert taken.since(0) == {"loss": {"x": [0, 1, 2], "y": [1.0, 1.0, 1.0]}}
    assert taken.count == 3
    assert table.now().count == 5003


def test_a_range_is_told_as_finely_as_a_reply_holds_it() -> None:
    table = Table()
    table.add(Rows(np.arange(0, 200_000, 2), {"loss": np.arange(100_000, dtype=np.float32)}))
    assert len(table.since(0)["loss"]["x"]) <= POINTS
    found = table.between(1001, 1009.5)["loss"]
    assert found == {"x": [1002, 1004, 1006, 1008], "y": [501.0, 502.0, 503.0, 504.0]}
    assert table.between(-5, -1) == {}
    assert table.between(0, 0)["loss"]["x"] == [0]
