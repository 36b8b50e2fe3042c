"""An ablation's form: every setting, the number of runs, and where they run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from ppap.studio.study.endpoints import StudyEndpoints
from tests.ppap.studio.study.test_ablations import TELL, Place, ended, stand_in
from trainers.config import KIND
from trainers.launching import orders
from trainers.slurm.options import VARIABLE


def asked(place: Place, **changes: Any) -> dict[str, Any]:
    settings = {"size": "64", "eval_size": "64", "batch": "2", "cache": "off"}
    request = {"name": "phi", "recipe": "photos", "grid": "phi0=0.5,0.6", "seeds": "0 1"}
    return {**request, "data": str(place.data), "settings": settings, **changes}


def test_the_plan_is_told_before_the_start(place: Place) -> None:
    found = place.ablating.planning.plan_ablation(asked(place))
    assert found["runs"] == 4, found
    assert found["sentences"][0].startswith("4 runs (2 combinations × 2 seeds), ")
    assert found["seconds"] is None
    assert found["refusal"] == ""
    json.dumps(found)
    assert not any(place.runs.iterdir())  # nothing has begun


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"settings": {"epochs": "x"}}, "epochs", "epochs must be"),
        ({"settings": {"phi0": "0.5"}}, "phi0", "varied"),
        ({"settings": {"rule": "knn"}}, "phi0", "rule=knn does not use phi0"),
        ({"settings": {"rho": "0.1"}}, "rho", "None of these runs uses rho"),
        ({"settings": {"seed": "1"}}, "seed", "give the seeds"),
        ({"settings": 5}, None, "object"),
        ({"data": "/none"}, None, "folder"),
        ({"on": "moon"}, "on", "here or slurm"),
        ({"seeds": ""}, "seeds", ""),
    ],
)
def test_what_is_wrong_is_told_as_at_the_start(
    place: Place, changes: dict[str, Any], field: str | None, words: str
) -> None:
    for call in (place.ablating.planning.plan_ablation, place.ablating.start_ablation):
        reply = call(asked(place, **changes))
        assert words in reply["error"]
        if field is not None:
            assert reply["field"] == field
    assert not any(place.runs.iterdir())


def test_runs_are_sent_to_slurm_where_that_is_asked_for(
    place: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(orders, "why_absent", lambda: "")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "none.toml"))
    stand_in(monkeypatch, TELL)
    request = asked(place, on="slurm", slurm={"gpus": "2", "time": ""})
    assert "on SLURM" in place.ablating.planning.plan_ablation(request)["sentences"][0]
    assert "error" not in place.ablating.start_ablation(request)
    ended(place)
    told = json.loads((place.runs / "told.json").read_text())
    assert told[-4:] == ["--on", "slurm", "--slurm", "gpus=2"]
    refused = place.ablating.start_ablation({**request, "slurm": {"gpus": "3"}, "name": "other"})
    assert refused["field"] == "batch"


def test_the_form_offers_every_setting(place: Place) -> None:
    lists = place.ablating.planning.ablation_lists(None)
    offered = [one["name"] for group in lists["groups"] for one in group["settings"]]
    offered += [one["name"] for one in lists["head"]]
    assert sorted([*offered, "recipe"]) == sorted(KIND)
    json.dumps(lists, allow_nan=False)


def test_scripts_plan_and_start_likewise(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    scripts = StudyEndpoints(None, place.ablating)  # type: ignore[arg-type]
    words = asked(place)
    assert scripts.plan_ablation(**words)["runs"] == 4
    monkeypatch.setattr(orders, "why_absent", lambda: "There is no SLURM here.")
    for call in (scripts.plan_ablation, scripts.start_ablation):
        with pytest.raises(gr.Error, match="There is no SLURM here"):
            call(**words, slurm={})
    assert not any(place.runs.iterdir())
