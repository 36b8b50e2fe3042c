"""What pages ask about the queue and notes: who may, what is refused, and at which field."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ppap.studio import sample
from ppap.studio.requests import CLOSED
from ppap.studio.sources import Sources
from ppap.studio.train.endpoints import TrainingEndpoints
from ppap.studio.train.server import Training
from tests.trainers.launching.test_runner import PRETENDER, Pretending
from trainers.launching import runner
from trainers.launching.queue import waiting
from trainers.runs.notes import Notes, read_notes, write_notes


@pytest.fixture
def tab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Training]:
    monkeypatch.setattr(runner, "PROGRAM", (str(PRETENDER),))
    runs = Pretending(tmp_path / "runs", patience=30)
    yield Training(runs, Sources([], uploads=tmp_path / "uploads", any_folder=True))
    runs.end_all()


def call(tab: Training, name: str, request: Any) -> dict[str, Any]:
    found: dict[str, Any] = next(c for c in tab.calls() if c.__name__ == name)(request)
    return found


def test_the_queue_is_paused_reordered_and_resumed(tab: Training) -> None:
    pretending = tab.runner
    assert isinstance(pretending, Pretending)
    for name in ("one", "two", "three"):
        pretending.begin(name)
    assert tab.watch({})["queue"] == {"since": None, "by_all": False}
    since = call(tab, "queue", {"action": "pause"})["queue"]["since"]
    assert since is not None
    assert tab.watch({})["queue"]["since"] == since
    call(tab, "queue", {"action": "move", "name": "three", "to": "first"})
    assert [folder.name for folder in waiting(pretending.root)] == ["three", "two"]
    assert call(tab, "queue", {"action": "move", "name": "one", "to": "up"})["error"]
    assert call(tab, "queue", {"action": "move", "name": "two", "to": "x"})["field"] == "to"
    assert call(tab, "queue", {"action": "move", "name": "../two", "to": "up"})["field"] == "name"
    assert call(tab, "queue", {"action": "resume"})["queue"]["since"] is None
    assert call(tab, "queue", {"action": "look"})["queue"]["since"] is None


def test_notes_are_written_refused_at_their_field_and_never_overwritten(tab: Training) -> None:
    pretending = tab.runner
    assert isinstance(pretending, Pretending)
    pretending.begin("one")
    folder = pretending.root / "one"
    empty = call(tab, "notes", {"name": "one"})
    assert empty == {"tags": [], "note": ""}
    wanted = {"name": "one", "tags": ["a"], "note": "n", "known": empty}
    assert call(tab, "notes", wanted) == {"tags": ["a"], "note": "n"}
    assert "in the meantime" in call(tab, "notes", {**wanted, "note": "other"})["error"]
    assert read_notes(folder) == Notes(("a",), "n")
    for field, value in (("tags", ["a b"]), ("note", 5)):
        assert call(tab, "notes", {"name": "one", field: value})["field"] == field
    assert call(tab, "notes", {"name": "one", "note": "x", "known": 5})["error"].endswith(".")
    assert call(tab, "notes", {"name": "one", "tags": ["b"]}) == {"tags": ["b"], "note": "n"}
    assert call(tab, "notes", {"name": "one", "note": "m"}) == {"tags": ["b"], "note": "m"}
    call(tab, "notes", {"name": "one", "tags": ["a"], "note": "n"})
    assert read_notes(folder) == Notes(("a",), "n")
    (row,) = tab.watch({})["runs"]
    assert (row["tags"], row["note"]) == (["a"], "n")


def test_whoever_may_only_look_changes_nothing(tmp_path: Path) -> None:
    runs = Pretending(tmp_path / "runs")
    (runs.root / "one").mkdir(parents=True)
    (runs.root / "one/config.json").write_text("{}")
    write_notes(runs.root / "one", Notes(("a",)))
    sources = Sources([], uploads=tmp_path / "uploads", any_folder=True)
    tab = Training(runs, sources, allowed=False)
    before = {file: file.read_bytes() for file in runs.root.rglob("*") if file.is_file()}
    for action in ("pause", "resume", "move", "x"):
        reply = call(tab, "queue", {"action": action, "name": "one", "to": "first"})
        assert reply["error"] == CLOSED
    assert call(tab, "notes", {"name": "one", "note": "x"})["error"] == CLOSED
    assert call(tab, "notes", {"name": "one"}) == {"tags": ["a"], "note": ""}
    after = {file: file.read_bytes() for file in runs.root.rglob("*") if file.is_file()}
    assert before == after


def test_the_sample_keeps_its_silence(tab: Training) -> None:
    assert call(tab, "notes", {"name": sample.KEY}) == {"tags": [], "note": ""}
    for request in ({"name": sample.KEY, "note": "x"}, {"name": sample.KEY, "tags": ["x"]}):
        assert call(tab, "notes", request)["error"] == sample.KEPT
    moving = {"action": "move", "name": sample.KEY, "to": "up"}
    assert call(tab, "queue", moving)["error"] == sample.KEPT


def test_scripts_do_the_same(tab: Training) -> None:
    pretending = tab.runner
    assert isinstance(pretending, Pretending)
    scripts = TrainingEndpoints(tab)
    pretending.begin("one")
    assert scripts.note_run("one", ["a"], "text") == {"tags": ["a"], "note": "text"}
    assert scripts.note_run("one", ["b"]) == {"tags": ["b"], "note": "text"}
    assert scripts.note_run("one") == {"tags": ["b"], "note": "text"}
    assert scripts.list_runs()["runs"][0]["tags"] == ["b"]
    assert scripts.arrange_queue("pause")["queue"]["since"] is not None
    assert scripts.arrange_queue("resume")["queue"]["since"] is None
    with pytest.raises(Exception, match="no run"):
        scripts.note_run("none")
