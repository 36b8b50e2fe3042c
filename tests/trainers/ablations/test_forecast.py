"""How many runs an ablation has and how long they take, before any of them starts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ppap.settings import SettingError
from trainers.ablations.forecast import MOST_ESTIMATED, forecast
from trainers.ablations.plan import Ablation
from trainers.launching.estimates import Estimate
from trainers.launching.orders import Order
from trainers.launching.runner import Runner
from trainers.slurm.options import Options

NEEDS = Estimate(30, 10, "cpu", 1000, 0, 1000, None)


class Estimating(Runner):
    """A runner whose estimates are made up: 10 steps an epoch, a second each."""

    def __init__(self, root: Path, *, timed: bool = True) -> None:
        super().__init__(root)
        self.timed = timed
        self.asked: list[Order] = []

    def estimate(self, order: Order) -> Estimate:
        self.asked.append(order)
        steps = 10 * order.config.epochs
        # Nothing like rule=knn was trained before.
        known = self.timed and order.config.rule != "knn"
        where = "SLURM" if order.slurm is not None else "cpu"
        return replace(NEEDS, steps=steps, seconds=float(steps) if known else None, device=where)


def ablation(seeds: tuple[int, ...] = (0, 1, 2), **grid: tuple[str, ...]) -> Ablation:
    return Ablation("a", ("samples",), seeds=seeds, settings={"batch": "6"}, grid=grid)


def test_every_seed_of_every_combination_counts(tmp_path: Path) -> None:
    runner = Estimating(tmp_path)
    found = forecast(runner, ablation(epochs=("1", "5"), phi0=("0.5", "0.6")))
    assert (found.runs, found.combinations, found.seeds) == (12, 4, 3)
    assert found.steps == 3 * 2 * (10 + 50)
    assert found.seconds == found.steps
    assert found.sentences() == [
        "12 runs (4 combinations × 3 seeds), 360 steps in all on cpu.",
        "About 6 min one after another, at the pace of similar earlier runs, plus validations and "
        "reports.",
    ]
    # Φ⁰ costs nothing: it is not asked twice what cannot differ.
    assert len(runner.asked) == 2


def test_what_is_not_known_is_said(tmp_path: Path) -> None:
    found = forecast(Estimating(tmp_path, timed=False), ablation(seeds=(7,)))
    assert found.seconds is None
    assert found.sentences()[0] == "1 run (1 combination × 1 seed), 200 steps in all on cpu."
    assert "not known yet" in found.sentences()[1]
    # Of one rule it is known: that stands for the other.
    found = forecast(Estimating(tmp_path), ablation(rule=("ppap", "knn")))
    assert found.seconds == found.steps == 3 * 2 * 200


def test_a_large_one_does_not_read_its_data_for_every_combination(tmp_path: Path) -> None:
    runner = Estimating(tmp_path)
    found = forecast(runner, ablation(epochs=tuple(map(str, range(1, 40)))))
    assert len(runner.asked) == MOST_ESTIMATED
    assert found.runs == 117


def test_what_is_in_the_way_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refusing = replace(NEEDS, refusal="There is no room.")
    monkeypatch.setattr(Runner, "estimate", lambda self, order: refusing)
    assert forecast(Runner(tmp_path), ablation()).refusal == "There is no room."


def test_on_a_cluster_every_run_must_fit(tmp_path: Path) -> None:
    slurm = Options().with_({"gpus": "2"})
    assert forecast(Estimating(tmp_path), ablation(), slurm).device == "SLURM"
    with pytest.raises(SettingError) as found:
        forecast(Estimating(tmp_path), ablation(anchors=("0.1",)), Options().with_({"gpus": "4"}))
    assert found.value.field == "batch"
