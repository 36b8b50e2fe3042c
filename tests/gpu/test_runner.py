"""Checks are kept apart, end in their time, and are told in a table and in JSON; no GPU needed."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.conftest import ROOT
from tests.gpu import __main__ as command
from tests.gpu import checks, worker
from tests.gpu.checks import CHECKS, Check
from tests.gpu.runner import Worker, outcomes_of, run_all, summary
from tests.gpu.sheet import Outcome, Place, Row, Sheet, as_table

AMPLE = 60.0
# Answers with its number; hangs, dies or breaks where it is told to.
SCRIPT = """
import json, os, sys, time
for line in sys.stdin:
    name = line.strip()
    print(json.dumps({"row": {"what": "process", "value": os.getpid()}}), flush=True)
    if name == "die":
        print("CUDA error: an illegal memory access", file=sys.stderr)
        os._exit(3)
    if name == "hang":
        time.sleep(600)
    print(json.dumps({"state": "broke" if name == "break" else "passed"}), flush=True)
"""


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Worker]:
    """A worker without any of ours in it."""
    found = Worker("cpu", tmp_path)
    found.words = [sys.executable, "-c", SCRIPT]
    yield found
    found.end()


def asked(made: Worker, *names: str, seconds: float = AMPLE, **options: Any) -> list[Outcome]:
    checks = [(name, "what it is about", seconds if name != "hang" else 0.2) for name in names]
    return list(outcomes_of(checks, made, **{"limit": 10 * AMPLE, **options}))


def test_one_that_fails_ends_no_other(made: Worker) -> None:
    found = asked(made, "one", "die", "two", "hang", "three", "break", "four", "five")
    assert [one.state for one in found] == [
        "passed", "broke", "passed", "late", "passed", "broke", "passed", "passed",
    ]  # fmt: skip
    assert found[1].said == "CUDA error: an illegal memory access\nthe process ended with 3"
    assert found[3].said == "not done after 0 s"
    # What was found before stays known, whatever comes.
    assert all(len(one.rows) == 1 for one in found)
    # Another process after each that went wrong, the same one otherwise.
    numbers = {one.name: one.rows[0].value for one in found}
    assert len({numbers[name] for name in ("one", "two", "three", "four")}) == 4
    assert numbers["three"] == numbers["break"]
    assert numbers["four"] == numbers["five"]
    assert made.process is None


def test_what_no_time_is_left_for_is_left_out(made: Worker) -> None:
    now = iter([0.0, 0, 8, 8, 11, 11, 20, 20])
    found = asked(
        made, "one", "two", "three", "four", seconds=30, limit=15, clock=lambda: next(now)
    )
    assert [one.state for one in found] == ["passed", "passed", "left out", "left out"]
    assert [one.seconds for one in found] == [8, 3, 0, 0]
    assert found[2].said == "no time was left for it"


def test_a_hanging_one_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    made = Worker("cpu", tmp_path)
    alive = tmp_path / "alive"
    child = f"import time\nwhile True: open({str(alive)!r}, 'w').close(); time.sleep(0.02)"
    made.words = [sys.executable, "-c", f"""
import subprocess, sys, time
sys.stdin.readline()
subprocess.Popen([sys.executable, "-c", {child!r}])
time.sleep(600)
"""]  # fmt: skip
    end = time.monotonic() + AMPLE
    assert made.ask("hang", 0.1)["state"] == "late"
    while time.monotonic() < end:  # nobody writes the file any more
        alive.unlink(missing_ok=True)
        time.sleep(0.3)
        if not alive.exists():
            return
    raise AssertionError("what it started goes on")


def test_a_check_runs_in_the_real_worker() -> None:
    (found,) = run_all([("processes", "over gloo", AMPLE)], device="cpu", limit=AMPLE, small=True)
    assert (found.state, found.said) == ("passed", "")
    assert len(found.rows) == 8


# --- in the worker


def raising(place: Place, sheet: Sheet) -> None:
    sheet.tell("before", 5)
    (place.folder / "left behind").touch()
    raise RuntimeError("it\nbroke")


def breaking_a_bound(place: Place, sheet: Sheet) -> None:
    sheet.most("too much", 3.0, 2)
    sheet.tell("after", 5)


def saying_nothing(place: Place, sheet: Sheet) -> None:
    pass


@pytest.mark.parametrize(
    ("work", "state", "rows"),
    [(raising, "broke", ["before"]), (breaking_a_bound, "failed", ["too much", "after"]),
     (saying_nothing, "failed", [])],
)  # fmt: skip
def test_what_becomes_of_a_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, work: checks.Work, state: str, rows: list[str]
) -> None:
    monkeypatch.setitem(CHECKS, "made up", Check("", 1, "none"))
    monkeypatch.setattr(Check, "work", lambda self: work)
    told: list[Row] = []
    found = worker.answer("made up", "cpu", tmp_path / "work", small=True, told=told.append)
    assert found["state"] == state
    assert [row.what for row in told] == rows
    assert (found["said"].splitlines()[-2:] == ["RuntimeError: it", "broke"]) == (state == "broke")
    assert not (tmp_path / "work").exists()


def test_every_check_has_its_module_and_all_fit_into_their_time() -> None:
    for check in CHECKS.values():
        assert callable(check.work())
        assert check.meaning
    # Budgets are for cards that are slow; what is usual leaves time for all.
    assert sum(check.seconds for check in CHECKS.values()) < 2 * command.LIMIT_SECONDS
    assert len([name for name in CHECKS if name.startswith("recipe")]) == 6


# --- what is told


def test_bounds() -> None:
    sheet = Sheet()
    sheet.most("fine", 2, 2)
    sheet.most("none", math.nan, 2)
    sheet.least("little", 1, 2)
    sheet.least("none", math.nan, 2)
    sheet.must("so", True)
    sheet.must("not so", False, "otherwise")
    sheet.tell("only told", math.nan)
    assert [row.kept for row in sheet.rows] == [True, False, False, False, True, False, True]
    assert len(sheet.broken) == 4


OUTCOMES = [
    Outcome("one", "about one", "passed", 3.2, "", (Row("speed", 12345.6, "images"), Row("n", 7))),
    Outcome(
        "two", "about two", "failed", 1, "", (Row("off by", 0.51234, "", "at most 0.1", False),)
    ),
    Outcome("three", "about three", "broke", 0.2, "Traceback\n  in a | line\nError: no\n"),
]


def test_the_table() -> None:
    assert as_table(OUTCOMES).splitlines()[2:] == [
        "| one: passed, 3 s | speed | 12,346 images |  |",
        "|  | n | 7 |  |",
        "| two: failed, 1 s | off by | 0.512 | **at most 0.1** |",
        "| three: broke, 0 s | about three | Error: no | |",
    ]
    assert summary(OUTCOMES) == "1 passed, 1 failed, 1 broke."


@pytest.mark.parametrize(("found", "code"), [(OUTCOMES[:1], 0), (OUTCOMES, 1)])
def test_everything_is_kept(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    found: list[Outcome],
    code: int,
) -> None:
    def run(chosen: Any, *, device: str, limit: float, told: Any) -> None:
        assert [name for name, *_ in chosen] == ["golden", "loss"]
        assert limit < command.LIMIT_SECONDS
        for one in found:
            told(one)
            kept = json.loads((tmp_path / "new/gpu.json").read_text())
            assert kept["checks"][-1]["name"] == one.name  # at once

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(command, "machine", lambda: {"torch": "2.14", "GPU": "a card, 80 GB"})
    monkeypatch.setattr(command, "run_all", run)
    given = ["--out", str(tmp_path / "new"), "--only", "golden", "loss"]
    assert command.main(given) == code
    kept = json.loads((tmp_path / "new/gpu.json").read_text())
    assert kept["machine"]["GPU"] == "a card, 80 GB"
    assert [one["state"] for one in kept["checks"]] == [one.state for one in found]
    assert kept["checks"][0]["rows"][0]["value"] == 12345.6
    text = (tmp_path / "new/gpu.md").read_text()
    assert text.startswith("torch 2.14, GPU a card, 80 GB.\n\n| check |")
    assert "1 passed" in capsys.readouterr().out


def test_without_a_gpu_it_says_so_and_does_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(command, "run_all", None)
    assert command.main(["--out", str(tmp_path / "new")]) == 0
    assert capsys.readouterr().out == f"{command.NONE}\n"
    assert not (tmp_path / "new").exists()


def test_make_gpu_is_this_command() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert "gpu: $(VENV)/installed-dev\n\t$(BIN)/python -m tests.gpu\n" in text


def test_versions_are_told() -> None:
    found = command.machine()
    assert found["torch"] == torch.__version__.partition("+")[0] or found["torch"]
    assert "python" in found
