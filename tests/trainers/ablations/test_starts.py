"""Tables of runs that were scored from many starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from ppap.evaluation.many_starts import STARTS
from ppap.evaluation.starts_text import names
from tests.support.counted_runs import finish_counted
from trainers.ablations.cells import Cell, cell, numbers
from trainers.ablations.differences import OLD, Against
from trainers.ablations.starts import gain_cells, gained, score_cells
from trainers.runs.folder import Run


def over_seeds(runs: list[Run]) -> dict[str, Cell]:
    found: dict[str, list[float]] = {}
    for run in runs:
        for name, value in numbers(run):
            found.setdefault(name, []).append(value)
    return {name: cell(values) for name, values in found.items()}


def test_seeds_and_starts_are_told_apart(tmp_path: Path) -> None:
    runs = [finish_counted(tmp_path / f"a{seed}", 0.7, seed, starts=3) for seed in (0, 1)]
    found = over_seeds(runs)
    made = score_cells({"A": found, "B": {}})
    assert made is not None
    head, (frozen, first, second) = made
    assert head[1:] == ["U-mIoU, noise", "U-mIoU, spread", "U-mIoU, merged", "U-mIoU, linkage"]
    assert frozen[0] == "Frozen features"
    for place, start in enumerate(STARTS, 1):
        name, over, of_frozen = names(start)
        assert found[over].mean == pytest.approx(1)
        assert first[place] == f"{found[name]} ± 1.0"
        assert frozen[place] == f"{found[of_frozen]} ± 1.0"
    assert second == ["B", "–", "–", "–", "–"]


def test_one_start_has_no_spread(tmp_path: Path) -> None:
    found = over_seeds([finish_counted(tmp_path / "a", 0.7, 0, starts=1)])
    made = score_cells({"A": found})
    assert made is not None
    assert made[1][1][1] == str(found["U-mIoU, noise"])


def test_reports_without_starts_have_no_tables(tmp_path: Path) -> None:
    run = finish_counted(tmp_path / "a", 0.7, 0)
    assert score_cells({"A": over_seeds([run])}) is None
    assert gained([run]) == gained([]) == Against({})
    assert gain_cells({"A": Against({}), "B": Against({}, OLD)}) is None


def test_gains_are_of_trained_over_frozen_features(tmp_path: Path) -> None:
    runs = [finish_counted(tmp_path / f"a{seed}", 0.7, seed, starts=1) for seed in (0, 1)]
    found, numbers_found = gained(runs), over_seeds(runs)
    assert list(found.intervals) == [names(start)[0] for start in STARTS]
    for start in STARTS:
        name, _, frozen = names(start)
        one = found.intervals[name]
        difference = numbers_found[name].mean - numbers_found[frozen].mean
        assert one.difference == pytest.approx(difference)
        assert one.apart
    (runs[1].folder / "images.npz").unlink()
    # What was measured once is remembered: the run is the same.
    assert gained(runs) == found
    assert gained(runs[1:]) == Against({}, OLD)


def test_a_run_that_was_evaluated_again_is_measured_again(tmp_path: Path) -> None:
    run = finish_counted(tmp_path / "a", 0.7, 0, starts=1)
    before = gained([run])
    finish_counted(tmp_path / "a", 0.9, 0, starts=1)
    after = gained([run])
    for name, one in after.intervals.items():
        assert (one.difference or 0) > (before.intervals[name].difference or 0) + 10
