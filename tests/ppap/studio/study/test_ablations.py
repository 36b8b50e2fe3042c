"""The Study page's ablations: checked, begun as a process of their own, read from disk."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from ppap.studio.sources import Sources
from ppap.studio.study import ablations as ablating
from ppap.studio.study.ablations import Ablating
from tests.ppap.study.test_run import striped
from trainers.launching.runner import Runner

ASKED = {"name": "phi", "recipe": "camvid", "grid": "phi0=0.5,0.60 steps=1,2", "seeds": "0, 1"}
# Stands in for the command: writes down what it was told.
TELL = (
    "import json, sys; from pathlib import Path; "
    "runs = next(w for w in sys.argv if w.startswith('--runs='))[7:]; "
    "Path(runs, 'told.json').write_text(json.dumps(sys.argv[1:])); "
    "print('8 of 8 runs', file=sys.stderr)"
)


class Place:
    """A folder of runs, a data set, and the page's server over them."""

    def __init__(self, root: Path, *, allowed: bool = True) -> None:
        self.runs, self.data = root / "runs", root / "stripes"
        self.runs.mkdir()
        striped(self.data)
        sources = Sources([self.data], uploads=root / "uploads", any_folder=False)
        self.ablating = Ablating(Runner(self.runs), sources, allowed=allowed)

    def request(self, **changes: Any) -> dict[str, Any]:
        return {**ASKED, "data": str(self.data), **changes}


def stand_in(monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    monkeypatch.setattr(ablating, "COMMAND", (sys.executable, "-c", script))


def ended(place: Place) -> dict[str, Any]:
    for _ in range(400):
        reply = place.ablating.ablation("phi")
        if reply["ended"]:
            return reply
        time.sleep(0.05)
    raise AssertionError(reply)


def test_the_command_is_told_what_was_asked(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, TELL)
    begun = place.ablating.start_ablation(place.request(settings={"epochs": "2"}))
    assert begun["standing"]["total"] == 8
    assert begun["hints"].keys() == set(begun["tables"][0]["columns"])
    assert begun["hints"]["phi0"] == "The setting phi0, which was varied."
    assert begun["conclusion"] == ""  # nothing has scores yet
    reply = ended(place)
    assert reply["said"] == "8 of 8 runs"
    assert json.loads((place.runs / "told.json").read_text()) == [
        "camvid",
        "--name=phi",
        f"--runs={place.runs}",
        f"--data={place.data}",
        "--seeds",
        "0",
        "1",
        "--grid=phi0=0.5,0.6",
        "--grid=steps=1,2",
        "--set=epochs=2",
    ]
    (listed,) = place.ablating.ablations(None)["ablations"]
    assert listed == {
        "name": "phi",
        "text": "camvid: phi0 0.5, 0.6; steps 1, 2",
        "finished": 0,
        "total": 8,
    }
    (table,) = reply["tables"]
    assert table["columns"][:4] == ["recipe", "phi0", "steps", "seeds"]
    assert table["rows"][0][:4] == ["camvid", "0.5", "1", "0 of 2"]
    assert len(table["rows"]) == 4
    assert json.loads(json.dumps(reply))


def test_one_command_at_a_time_for_a_name(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, "import time; time.sleep(600)")
    place.ablating.start_ablation(place.request())
    assert "phi is already running" in place.ablating.start_ablation(place.request())["error"]
    assert not place.ablating.ablation("phi")["ended"]


@pytest.mark.parametrize(
    ("changes", "field", "sentence"),
    [
        ({"name": "../x"}, "name", "letters"),
        ({"name": "a b; touch x"}, "name", "letters"),
        ({"recipe": "nothing"}, "recipe", "nothing"),
        ({"recipe": None}, "recipe", ""),
        ({"data": ""}, "data", "Enter the data set folder."),
        ({"data": 3}, "data", "must be a folder"),
        ({"data": "/etc"}, None, "open to other machines"),
        ({"seeds": ""}, "seeds", "such as 0 1 2"),
        ({"seeds": "0 x"}, "seed", "not 'x'"),
        ({"seeds": "0 0"}, "seed", "given twice"),
        ({"grid": "phi0"}, "grid", "to vary as phi0=0.5,0.6"),
        ({"grid": "phi=1,2"}, "phi", "phi0"),
        ({"grid": "phi0=0.5,nan"}, "phi0", "not 'nan'"),
        ({"grid": "phi0=0.1 phi0=0.2"}, "grid", "to vary as phi0=0.5,0.6"),
        ({"grid": "seed=1,2"}, "seed", "seeds separately"),
        ({"grid": 5}, "grid", "to vary as phi0=0.5,0.6"),
        ({"grid": "backbone=/etc/passwd"}, None, "open to other machines"),
        ({"settings": {"--out": "x"}}, "--out", "--out"),
    ],
)
def test_nonsense_gets_a_sentence_and_starts_nothing(
    place: Place, changes: dict[str, Any], field: str | None, sentence: str
) -> None:
    reply = place.ablating.start_ablation(place.request(**changes))
    assert sentence in reply["error"]
    assert reply["field"] == field
    assert list(place.runs.iterdir()) == []


@pytest.mark.parametrize("name", ["../runs", "", None, ["x"], "nothing", "a\nb"])
def test_no_name_leads_elsewhere(place: Place, name: Any) -> None:
    assert place.ablating.ablation(name)["error"]


def test_where_others_can_reach_it_nothing_starts(tmp_path: Path) -> None:
    place = Place(tmp_path, allowed=False)
    assert "--runs FOLDER" in place.ablating.start_ablation(place.request())["error"]
    assert place.ablating.ablations(None)["ablations"] == []


def test_what_cannot_be_opened_any_more_says_so(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(monkeypatch, "pass")
    place.ablating.start_ablation(place.request())
    place.data.rename(place.data.with_name("moved"))
    (listed,) = place.ablating.ablations(None)["ablations"]
    assert listed["total"] == 0
    assert "stripes" in listed["text"]
