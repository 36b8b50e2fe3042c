"""The list's rows: scores in good time, tags, and what folds together."""

from __future__ import annotations

import json
import math
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from ppap.studio.train import listing
from ppap.studio.train.listing import Listing
from tests.support.seeded_runs import finished
from trainers.launching.runner import Runner
from trainers.recipes import find
from trainers.runs.notes import Notes, write_notes
from trainers.runs.standing import Standing


def test_rows_say_what_decides(tmp_path: Path) -> None:
    first = finished(tmp_path, "first", 0)
    finished(tmp_path, "second", 1)
    finished(tmp_path, "other", 1, phi0=0.5)
    note = "word " * 400
    write_notes(first.folder, Notes(("baseline",), note.strip()))
    runner = Runner(tmp_path)
    rows, whole = Listing(runner.reading).rows(runner)
    json.dumps(rows, allow_nan=False)
    assert whole
    by_name = {row["name"]: row for row in rows}
    assert by_name["first"]["fold"] == by_name["second"]["fold"] != by_name["other"]["fold"]
    assert [by_name[name]["seed"] for name in ("first", "second", "other")] == [0, 1, 1]
    assert by_name["first"]["tags"] == ["baseline"]
    assert by_name["first"]["note"] == note[: listing.EXCERPT]
    batch = find("samples").config.batch
    assert by_name["first"]["mean_speed"] == 2.0 * batch
    scores = by_name["first"]["scores"]
    report = json.loads((first.folder / "report.json").read_text())
    assert scores["source"] == "report"
    assert scores["rows"][0]["u_miou"] == round(report["cluster"]["miou"], 2)


def test_reports_that_take_long_come_with_the_next_looks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in range(3):
        finished(tmp_path, f"run-{seed}", seed)
    runner = Runner(tmp_path)
    found = Listing(runner.reading)
    rows, whole = found.rows(runner, 0.0)
    assert not whole
    assert [row["scores"] for row in rows] == [None] * 3
    rows, whole = found.rows(runner, math.inf)
    assert whole
    # What is known is told, however little time there is.
    rows, whole = found.rows(runner, 0.0)
    assert whole
    assert None not in [row["scores"] for row in rows]


def test_what_runs_fold_into_is_worked_out_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = finished(tmp_path, "run", 0)
    runner = Runner(tmp_path)
    runner.reading.settings(run.config_file)
    count: list[int] = []

    def counted(*_: object) -> str:
        count.append(1)
        return "same"

    monkeypatch.setattr(listing, "fold_of", counted)
    config = runner.reading.settings(run.config_file)
    monkeypatch.setattr(listing, "settings_of", lambda *_: config)
    found = Listing(runner.reading)
    for _ in range(3):
        found.rows(runner)
    assert len(count) == 1
    monkeypatch.setattr(listing, "settings_of", lambda *_: {**config, "seed": 4})
    found.rows(runner)
    assert len(count) == 2


def test_a_page_hears_only_what_has_changed(tmp_path: Path) -> None:
    for seed in range(3):
        finished(tmp_path, f"run-{seed}", seed)
    runner = Runner(tmp_path)
    found = Listing(runner.reading)
    first = found.news(runner, None, partly=True)
    assert [row["name"] for row in first["runs"]] == ["run-2", "run-1", "run-0"]
    same = found.news(runner, first["version"], partly=True)
    assert same == {"version": first["version"], "whole": True, "runs": None}
    write_notes(tmp_path / "run-1", Notes(("new",)))
    later = found.news(runner, first["version"], partly=True)
    assert later["runs"] is None
    assert later["names"] == ["run-2", "run-1", "run-0"]
    assert [(row["name"], row["tags"]) for row in later["changed"]] == [("run-1", ["new"])]
    # One that is gone is named no more; what was told to others is of no use to guess at.
    shutil.rmtree(tmp_path / "run-2")
    last = found.news(runner, later["version"], partly=True)
    assert (last["names"], last["changed"]) == (["run-1", "run-0"], [])
    odd: list[Any] = [None, 5, "x", -1, 10**30, [], True]
    for known in odd:
        assert len(found.news(runner, known, partly=True)["runs"]) == 2
    assert len(found.news(runner, first["version"], partly=False)["runs"]) == 2


def test_a_row_is_made_once_while_its_run_lies_still(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = finished(tmp_path, "run", 0)
    for path in (*run.folder.iterdir(), run.folder):
        os.utime(path, (1_600_000_000, 1_600_000_000))
    runner = Runner(tmp_path)
    found = Listing(runner.reading)
    made: list[str] = []
    row = found.row

    def counted(folder: Path, one: Standing, *, scored: bool) -> dict[str, Any]:
        made.append(one.name)
        return row(folder, one, scored=scored)

    monkeypatch.setattr(found, "row", counted)
    for _ in range(4):
        found.rows(runner)
    assert made == ["run"]
    write_notes(run.folder, Notes(("new",)))
    assert found.rows(runner)[0][0]["tags"] == ["new"]
