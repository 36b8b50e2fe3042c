from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from ppap.evaluation.report import FORMAT
from ppap.evaluation.shape import misfit
from ppap.studio.evaluate.reports import Reports

SCORES = {"accuracy": 50.0, "miou": None}
REPORT: dict[str, Any] = {
    "format": FORMAT,
    "checkpoint": "runs/a/checkpoints/last.pt",
    "step": 4,
    "backbone": {"name": "n", "title": "t", "note": ""},
    "dataset": {"kind": "camvid", "title": "CamVid", "folder": "/d", "split": "val", "notes": []},
    "protocol": ["nearest"],
    "classes": ["sky"],
    "colours": [[1, 2, 3]],
    "cluster": SCORES,
    "linear": SCORES,
    "images": [{"index": 0, "name": "a", "cluster": SCORES, "linear": SCORES}],
    "notes": ["one"],
    "seconds": 1.5,
}
WRONG: list[Any] = [True, math.nan, 10**400, "\ud800", 7.5, [None], {"a": 1}, [[]]]


def test_what_is_written_fits() -> None:
    assert misfit(REPORT) is None
    assert misfit({**REPORT, "cluster": None, "linear": None, "step": None}) is None
    assert misfit({**REPORT, "something": "of a later version"}) is None


@pytest.mark.parametrize("name", [name for name in REPORT if name != "format"])
def test_any_part_of_a_wrong_type_is_found_and_keeps_the_list_up(name: str, tmp_path: Path) -> None:
    for folder in ("sound", "broken"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "report.json").write_text(json.dumps(REPORT))
    reports = Reports(tmp_path)
    assert len(reports.listed()) == 2
    for wrong in WRONG:
        if name == "seconds" and wrong == 7.5:
            continue  # which is right
        raw = {**REPORT, name: wrong}
        found = misfit(raw)
        assert found is not None
        assert found.split(".")[0] == name
        (tmp_path / "broken/report.json").write_text(json.dumps(raw))
        assert [one["key"] for one in reports.listed()] == ["sound"]


def test_a_square_has_a_side() -> None:
    assert misfit({**REPORT, "size": 1}) is misfit({**REPORT, "size": 2048}) is None
    for odd in (0, -1, 10**6, 32.5, "32", None):
        assert misfit({**REPORT, "size": odd}) == "size"


def test_how_images_were_looked_at_is_checked_where_it_is_told() -> None:
    for fine in ({}, None, {"mirror": True}, {"scales": [0.5, 1.0], "window": 64, "shifts": 2}):
        assert misfit({**REPORT, "inference": fine}) is None
    for odd in ("x", True, [1], 7):
        assert misfit({**REPORT, "inference": odd}) == "inference"
    for name, value in (("scales", ["x"]), ("scales", 2), ("window", "x"), ("shifts", [2])):
        assert misfit({**REPORT, "inference": {name: value}}) == f"inference.{name}"


@pytest.mark.parametrize("name", ["checkpoint", "step", "dataset", "backbone", "cluster"])
def test_what_must_be_there(name: str) -> None:
    assert misfit({other: value for other, value in REPORT.items() if other != name}) == name
