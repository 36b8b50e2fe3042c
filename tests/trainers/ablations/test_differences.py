"""Differences between rows of runs: from their reports' counts, kept, and refused in words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ppap.evaluation import per_image
from ppap.evaluation.paired import Side, paired
from tests.support.counted_runs import finish_counted
from trainers.ablations import differences
from trainers.ablations.differences import NOTHING, OLD, about, against, columns_of, record
from trainers.ablations.plan import Ablation
from trainers.ablations.table import as_json, as_markdown, table
from trainers.launching.runner import Runner
from trainers.runs.folder import Run


def side(run: Run) -> Side:
    report = json.loads((run.folder / "report.json").read_text())
    counts = per_image.read(report, run.folder / "report.json")
    assert counts is not None
    return Side(report, counts)


def test_a_row_against_another_is_the_paired_interval_of_its_seeds(tmp_path: Path) -> None:
    first = [finish_counted(tmp_path / f"a{i}", 0.5, i, crf=True) for i in range(2)]
    second = [finish_counted(tmp_path / f"b{i}", 0.7, 9 + i, crf=True) for i in range(2)]
    found = against(first, second)
    wanted = paired([side(run) for run in first], [side(run) for run in second])
    assert found.intervals["U-mIoU"] == wanted["cluster"].miou
    assert found.intervals["L-Acc, CRF"] == wanted["linear_crf"].accuracy
    assert len(found.intervals) == len(columns_of({"b": found})) == 8
    assert found.intervals["U-Acc"].difference == pytest.approx(20, abs=4)
    assert record(found)["U-Acc"]["low"] == found.intervals["U-Acc"].low
    (said,) = about("the first row", {"b": found}, 2)
    assert said.startswith("Difference from the first row in points; + is better.")
    assert said.endswith("Seeds are averaged in every resampling, not resampled.")
    assert against(first, first) == NOTHING == against(first, [])


def test_what_was_worked_out_is_kept_until_a_report_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (finish_counted(tmp_path / name, 0.5, i) for i, name in enumerate("ab"))
    before = against([first], [second])
    monkeypatch.setattr(differences, "paired", None)
    assert against([first], [second]) is before
    monkeypatch.undo()
    finish_counted(second.folder, 0.9, 3)
    assert against([first], [second]).intervals != before.intervals


def test_reports_that_do_not_fit_say_why(tmp_path: Path) -> None:
    first, second = (finish_counted(tmp_path / name, 0.4, i) for i, name in enumerate("ab"))
    other = finish_counted(tmp_path / "c", 0.5, 0, images=9)
    assert against([first], [other]).reason == "The reports are about different images."
    (second.folder / "images.npz").unlink()
    found = {"b": against([first], [second])}
    assert found["b"].reason == OLD
    assert columns_of(found) == []
    assert about("x", found, 1) == [OLD]


def test_an_ablations_table_ends_with_them(tmp_path: Path) -> None:
    grid = {"rule": ("baseline", "ppap")}
    made = Ablation("t", ("coco_vits16",), tmp_path, (0, 1), {"crf": "false"}, grid)
    for place, run in enumerate(made.runs()):
        skill = 0.7 if run.combination.values["rule"] == "ppap" else 0.5
        finish_counted(tmp_path / run.name, skill, place)
        Run(tmp_path / run.name).write_config(run.order.config)
        Run(tmp_path / run.name).write_state("finished", data=str(tmp_path), seconds=60)
    found = table(Runner(tmp_path), made)
    interval = found.rows[1].against.intervals["U-Acc"]
    assert interval.apart
    text = as_markdown(found)
    part = text[text.index("## Differences from the first row") :]
    line = next(one for one in part.splitlines() if "ppap" in one)
    assert f"| {interval} |" in line
    assert "baseline" not in part
    assert "95 % of 2,000 resamplings of the images" in part
    rows = json.loads(as_json(found))["rows"]
    assert rows[0]["difference_to_first"] == {}
    assert rows[1]["difference_to_first"]["U-Acc"] == interval._asdict()
