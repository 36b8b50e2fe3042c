"""Ablations: what is planned, what becomes of it in the queue, and the table at the end."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import math
import re
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ppap.data import DataError
from ppap.settings import SettingError
from tests.conftest import ROOT
from tests.support.pretend_run import ENDS, FAILS, REFUSES
from tests.support.small_runs import Place
from tests.support.small_studio import wait_until
from trainers import ablation
from trainers.ablation import main
from trainers.ablations.plan import (
    Ablation,
    PlannedRun,
    read_ablation,
    reopen,
    studies,
    write_grid,
)
from trainers.ablations.queue import StudyStanding, Submitted, standing, submit
from trainers.ablations.table import as_csv, as_json, as_markdown, table
from trainers.launching import queue, runner
from trainers.launching.estimates import Estimate
from trainers.launching.orders import NAME, Order
from trainers.launching.runner import Runner, as_text
from trainers.recipes import find
from trainers.runs.folder import Run, RunError
from trainers.runs.launch import is_alive
from trainers.runs.standing import Standing

PRETENDER = ROOT / "tests" / "support" / "pretend_run.py"
NEEDS = Estimate(30, 10, "cpu", 1000, 0, 1000, None)
WORKS = "works"


# --- the plan


def test_every_combination_comes_with_every_seed_the_first_seed_first(tmp_path: Path) -> None:
    made = Ablation(
        "study",
        ("coco_vits16", "coco_vits16_tps"),
        tmp_path,
        (3, 0),
        {"epochs": "2"},
        {"phi0": ("0.60", ".5"), "crf": ("no", "true")},
    )
    runs = made.runs()
    assert [run.name for run in runs[:3]] == [
        "study-coco_vits16-phi0_0.6-crf_false-seed3",
        "study-coco_vits16-phi0_0.6-crf_true-seed3",
        "study-coco_vits16-phi0_0.5-crf_false-seed3",
    ]
    assert len(runs) == made.total == len({run.name for run in runs}) == 16
    assert [run.seed for run in runs] == [3] * 8 + [0] * 8
    last = runs[-1]
    assert last.combination.title == "coco_vits16_tps, phi0=0.5, crf=true"
    config = last.order.config
    assert (config.rule, config.phi0, config.crf, config.seed) == ("tps", 0.5, True, 0)
    assert (config.epochs, last.order.data) == (2, tmp_path)


def test_a_grid_may_be_empty() -> None:
    (run,) = Ablation("a", ("samples",), seeds=(7,)).runs()
    assert run.name == "a-samples-seed7"
    assert run.order.data is None


def test_names_are_the_runners_and_tell_all_combinations_apart() -> None:
    backbones = ("/some/where/vit.pth", "/some_where/vit.pth", "x" * 200, "x" * 199, "é; touch x")
    grid = {"backbone": backbones, "train_split": ("a", "a-eval_split_b"), "psi0": ("-0.2", "1e-5")}
    made = Ablation("n" * 60, ("samples",), seeds=(0, 2**31 - 1), grid=grid)
    names = [run.name for run in made.runs()]
    assert len(set(names)) == made.total == 40
    assert all(NAME.fullmatch(name) for name in names)
    assert [run.name for run in Ablation(**vars_of(made)).runs()] == names
    # The same again on any machine, or a study would not be found again.
    long = Ablation("a", ("samples",), grid={"backbone": ("/x/y.pth",)}).runs()[0]
    assert long.name == "a-samples-backbone__x_y.pth-5d9a9caa-seed0"
    small = Ablation("a", ("samples",), grid={"lr": ("1e-5",), "psi0": ("-0.2",)}).runs()[0]
    assert small.name == "a-samples-lr_1e-05-psi0_-0.2-seed0"


def vars_of(made: Ablation) -> dict[str, Any]:
    return {"name": made.name, "recipes": made.recipes, "seeds": made.seeds, "grid": made.grid}


def test_values_that_could_be_read_as_two_settings_do_not_give_one_name() -> None:
    grid = {"train_split": ("x", "x-eval_split_y"), "eval_split": ("y-eval_split_z", "z")}
    names = [run.name for run in Ablation("a", ("samples",), seeds=(0,), grid=grid).runs()]
    assert len(set(names)) == 4


WRONG: list[tuple[str, dict[str, Any]]] = [
    ("name", {"name": "../a"}),
    ("name", {"name": "a\nb"}),
    ("name", {"name": "a; touch x"}),
    ("name", {"name": None}),
    ("name", {"name": "x" * 101}),
    ("recipe", {"recipes": ["../samples"]}),
    ("recipe", {"recipes": ["samples", "samples"]}),
    ("recipe", {"recipes": [["samples"]]}),
    ("recipe", {"recipes": []}),
    ("recipe", {"recipes": "samples"}),
    ("data", {"recipes": ["camvid"]}),
    ("data", {"recipes": ["camvid"], "data": "/no/such/folder"}),
    ("data", {"recipes": ["camvid"], "data": "a\0b"}),
    ("data", {"data": "/tmp"}),
    ("data", {"recipes": ["camvid", "samples"], "data": "/tmp"}),
    ("seed", {"seeds": ["-1"]}),
    ("seed", {"seeds": ["nan"]}),
    ("seed", {"seeds": ["0; touch x"]}),
    ("seed", {"seeds": [True]}),
    ("seed", {"seeds": [1, "1.0"]}),
    ("seeds", {"seeds": []}),
    ("seeds", {"seeds": list(range(1001))}),
    ("phi0", {"settings": {"phi0": "nan"}}),
    ("phi0", {"settings": {"phi0": 10**5000}}),
    ("phi0", {"grid": {"phi0": ["0.5", "1e9"]}}),
    ("phi0", {"grid": {"phi0": ["0.5", "0.50"]}}),
    ("phi0", {"grid": {"phi0": []}}),
    ("phi0", {"grid": {"phi0": "0.5"}}),
    ("phi0", {"grid": {"phi0": ["0.5"]}, "settings": {"phi0": "0.5"}}),
    ("backbone", {"grid": {"backbone": ["a\nb"]}}),
    ("rule", {"grid": {"rule": ["--out"]}}),
    ("phi9", {"grid": {"phi9": ["1"]}}),
    ("phi9", {"settings": {"phi9": "1"}}),
    ("recipe", {"grid": {"recipe": ["camvid"]}}),
    ("seed", {"grid": {"seed": ["1"]}}),
    ("seed", {"settings": {"seed": "1"}}),
    ("grid", {"grid": ["phi0"]}),
    ("settings", {"settings": "phi0=1"}),
    ("epochs", {"grid": {"epochs": ["0", "1"], "probe_epochs": ["0", "1"]}}),
    ("grid", {"grid": {name: [f"0.{i}1" for i in range(9)] for name in ("phi0", "psi0", "lr")}}),
]


@pytest.mark.parametrize(("field", "raw"), WRONG)
def test_what_cannot_be_asked_for_is_told_at_its_field(field: str, raw: dict[str, Any]) -> None:
    with pytest.raises(SettingError) as raised:
        read_ablation({"name": "a", "recipes": ["samples"], **raw})
    # A list that is none is told by the list's name.
    assert raised.value.field in (field, f"{field}s")
    assert str(raised.value).endswith((".", "?"))


def test_a_value_out_of_range_is_told_with_the_range() -> None:
    with pytest.raises(SettingError, match=r"phi0 must be a number from -1 to 1, not '2'\."):
        Ablation("a", ("samples",), grid={"phi0": ("0.5", "2")})
    grid = {name: tuple(f"0.{i}1" for i in range(9)) for name in ("phi0", "psi0")}
    with pytest.raises(SettingError, match=r"1,458 runs; the most is 1,000"):
        Ablation("a", ("samples",), seeds=tuple(range(18)), grid=grid)


@pytest.mark.parametrize(
    "words",
    [
        ["nonsense"],
        ["samples", "--name", "../x"],
        ["samples", "--name", "x\n"],
        ["samples", "--set", "phi0=nan"],
        ["samples", "--set", "phi0"],
        ["samples", "--set", "x; touch y=1"],
        ["samples", "--grid", "phi0=0.5,../../x"],
        ["samples", "--grid", "phi0="],
        ["samples", "--grid", "phi0=0.5", "phi0=0.6"],
        ["samples", "--seeds", "0", "one"],
        ["samples", "--seeds", "-1"],
        ["camvid", "--data", "/no/such/folder"],
        # Fine by itself, and only found to be nothing when somebody looks.
        ["samples", "--grid", "backbone=embedded,; touch x"],
        ["samples", "--set", "device=cuda:99"],
        ["samples", "--only-table", "--set", "lr=-1"],
        ["--set", "phi0=0.5"],
        [],
    ],
)
def test_hostile_words_get_a_sentence_and_start_nothing(
    words: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(Runner, "start", lambda *_: pytest.fail("something was started"))
    name = [] if "--name" in words else ["--name", "a"]
    assert main([*words, *name, "--runs", str(tmp_path / "runs")]) == 2
    said = capsys.readouterr()
    (line,) = said.err.splitlines()
    assert line.endswith((".", "?"))
    assert said.out == ""
    assert list(tmp_path.iterdir()) == []


def test_a_study_is_opened_again_as_it_was_asked_for(tmp_path: Path) -> None:
    made = Ablation("b", ("camvid",), tmp_path, (4,), {"lr": "0.5"}, {"rule": ("tps", "ans")})
    assert read_ablation(json.loads(json.dumps(made.as_dict()))) == made
    ablation.write_table(tmp_path, table(Runner(tmp_path), made))
    assert reopen(tmp_path, "b") == made
    assert list(studies(tmp_path)) == ["b"]
    file = tmp_path / ".ablations/b/grid.json"
    for text in ("", "[]", "{}", '{"format": "ppap-studio ablation", "version": 99}'):
        file.write_text(text)
        with pytest.raises(RunError, match="cannot be read"):
            reopen(tmp_path, "b")
    with pytest.raises(RunError, match="does not exist"):
        reopen(tmp_path, "c")
    with pytest.raises(SettingError):
        reopen(tmp_path, "../.ablations/b")


# --- in the queue


class Pretending(Runner):
    """A runner whose runs pretend, and that keeps quiet about what they would need."""

    def estimate(self, order: Order) -> Estimate:
        return NEEDS

    def end_all(self) -> None:
        for one in self.runs():
            if one.state == "queued":
                self.stop(one.name)
        for one in self.runs():
            with contextlib.suppress(RunError):
                self.stop(one.name, now=True)
        wait_until(lambda: not any(is_alive(self.root / one.name) for one in self.runs()))
        for child in queue._CHILDREN:
            child.wait(20)

    def stop_begun(self, name: str) -> None:
        """Stop a run when it has said that it runs, and wait for its end."""
        wait_until(lambda: self.standing(name).state == "running" and self.standing(name).step == 5)
        self.stop(name)
        wait_until(lambda: self.standing(name).state == "stopped")

    def states(self) -> dict[str, str]:
        return {one.name: one.state for one in self.runs()}

    def launches(self) -> dict[str, bytes]:
        return {f.parent.name: f.read_bytes() for f in self.root.glob("*/launch.json")}


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pretending]:
    monkeypatch.setattr(runner, "PROGRAM", (str(PRETENDER),))
    monkeypatch.setattr(ablation, "Runner", Pretending)
    monkeypatch.setattr(ablation, "LOOK_SECONDS", 0.02)
    made = Pretending(tmp_path / "runs", patience=30)
    yield made
    made.end_all()


def words(runs: Pretending, does: str, *more: str) -> list[str]:
    given = ["samples", "--name", "a", "--runs", str(runs.root), "--grid", f"train_split={does}"]
    return [*given, *more]


def test_a_failed_run_stops_no_other_and_is_not_tried_again(
    runs: Pretending, capsys: pytest.CaptureFixture[str]
) -> None:
    given = words(runs, f"{FAILS},{ENDS}", "--seeds", "0", "1")
    assert main(given) == 1
    failed = [f"a-samples-train_split_fails-seed{seed}" for seed in (0, 1)]
    ended = [f"a-samples-train_split_ends-seed{seed}" for seed in (0, 1)]
    states = dict.fromkeys(failed, "failed") | dict.fromkeys(ended, "finished")
    assert runs.states() == states
    said = capsys.readouterr()
    for name in failed:
        assert f"{name} failed: The loss is no number." in said.err
    assert "--retry" in said.err
    assert "2 of 4 runs finished, 2 failed" in said.err
    assert said.out == (runs.root / ".ablations/a/table.md").read_text()

    before = runs.launches()
    assert main(given) == 1
    assert runs.launches() == before  # nothing was started
    # Anew and by itself: the pretended run ends well when it is resumed.
    assert main(["--name", "a", "--runs", str(runs.root), "--retry"]) == 0
    after = runs.launches()
    assert {name for name in after if after[name] != before[name]} == set(failed)
    assert main(given) == 0


def test_what_failed_after_a_checkpoint_goes_on_from_it(runs: Pretending) -> None:
    given = words(runs, FAILS, "--seeds", "0")
    assert main(given) == 1
    (folder,) = (runs.root / name for name in runs.states())
    (folder / "checkpoints/step-00000005.pt").write_bytes(b"kept")
    assert main(given) == 0
    assert b'"--resume"' in runs.launches()[folder.name]


def test_waiting_can_be_interrupted_and_the_same_command_goes_on(
    runs: Pretending, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given = words(runs, WORKS, "--seeds", "0", "1", "2")

    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(ablation, "sleep", interrupt)
        assert main(given) == 130
    assert "continue by themselves" in capsys.readouterr().err
    names = [f"a-samples-train_split_works-seed{seed}" for seed in (0, 1, 2)]
    assert runs.states() == dict(zip(names, ("running", "queued", "queued"), strict=True))
    runs.stop_begun(names[0])
    runs.stop(names[2])  # out of the queue: it has not even begun
    runs.stop_begun(names[1])
    first = {one.name: one.asked for one in runs.runs()}
    # Resumed, the pretended runs end; the third begins.
    monkeypatch.setattr(ablation, "standing", ending(runs, names[2]))
    assert main(given) == 1
    assert f"{names[2]} was stopped; the same command" in capsys.readouterr().err
    assert main(given) == 0
    assert set(runs.states().values()) == {"finished"}
    assert {one.name: one.asked for one in runs.runs()} == first
    before = runs.launches()
    assert main(given) == 0
    assert runs.launches() == before


def ending(runs: Pretending, name: str) -> Callable[..., StudyStanding]:
    """``standing``, and somebody who stops a run by hand as soon as it works."""
    stopped: list[str] = []

    def looked(*given: Any) -> StudyStanding:
        found = standing(*given)
        one = found.runs[name]
        if one is not None and one.state == "running" and one.step == 5 and not stopped:
            stopped.append(name)
            runs.stop(name)
        return found

    return looked


def test_what_finds_no_room_is_fed_when_there_is(
    runs: Pretending, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[str] = []

    def crowded(self: Pretending, order: Order) -> Estimate:
        """There is memory for one run at a time."""
        busy = any(state in ("running", "queued") for state in self.states().values())
        asked.append(order.name)
        return replace(NEEDS, refusal="It takes more memory than there is." if busy else "")

    monkeypatch.setattr(Pretending, "estimate", crowded)
    assert main(words(runs, ENDS, "--seeds", "0", "1", "2")) == 0
    assert list(runs.states().values()) == ["finished"] * 3
    said = capsys.readouterr().err
    assert "seed1 has not started yet: It takes more memory than there is." in said
    # Asked again when something has changed, not on every look.
    assert len(asked) < 15


def test_what_was_refused_beside_another_run_is_tried_once_more_alone(
    runs: Pretending, monkeypatch: pytest.MonkeyPatch
) -> None:
    active = iter([{"other"}, set(), set(), set()])  # it ends while there is an attempt
    replies = iter([{"a": "Too large."}, {}])
    monkeypatch.setattr(ablation, "standing", lambda *_: StudyStanding({}, frozenset(next(active))))
    monkeypatch.setattr(ablation, "feed", lambda *_: next(replies))
    left = Submitted((), (), {"a": "Too large."})
    assert ablation.wait(runs, Ablation("a", ("samples",)), left) == {}
    assert list(replies) == []


def test_what_never_finds_room_is_told_and_the_others_are_done(
    runs: Pretending, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def small(self: Pretending, order: Order) -> Estimate:
        return replace(NEEDS, refusal="Too large." if order.config.seed == 1 else "")

    monkeypatch.setattr(Pretending, "estimate", small)
    assert main(words(runs, ENDS, "--seeds", "0", "1", "2")) == 1
    assert sorted(runs.states()) == [f"a-samples-train_split_ends-seed{i}" for i in (0, 2)]
    assert "ends-seed1 could not be started: Too large." in capsys.readouterr().err


def test_nothing_starts_when_one_combination_cannot_begin(
    runs: Pretending, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing(self: Pretending, order: Order) -> Estimate:
        if order.config.train_split == "nowhere":
            raise DataError("nowhere", "is no split")
        return NEEDS

    monkeypatch.setattr(Pretending, "estimate", missing)
    assert main(words(runs, f"{ENDS},nowhere")) == 2
    assert capsys.readouterr().err == "nowhere is no split\n"
    assert not runs.root.exists()


def test_a_run_that_is_there_with_other_settings_is_not_taken_for_its_own(
    runs: Pretending, capsys: pytest.CaptureFixture[str]
) -> None:
    given = words(runs, ENDS, "--seeds", "0")
    assert main([*given, "--set", "lr=0.5"]) == 0
    for more in (["--set", "lr=0.6"], [], ["--only-table"]):
        capsys.readouterr()
        assert main([*given, *more]) == 2
        text = capsys.readouterr().err
        assert "The run a-samples-train_split_ends-seed0 already exists" in text
        assert "lr=0.5 instead of" in text
    # How it is computed may differ, and more seeds may come.
    assert main([*given, "1", "--set", "lr=0.5", "workers=1", "keep=5"]) == 0
    assert len(runs.states()) == 2


def test_two_commands_at_once_do_everything_once(runs: Pretending) -> None:
    made = Ablation("a", ("samples",), grid={"train_split": (WORKS,)})
    first = submit(runs, made)
    assert len(first.started) == 3
    other = Pretending(runs.root)
    # As if it had looked before the first had begun.
    late = StudyStanding(dict.fromkeys((run.name for run in made.runs()), None), frozenset())
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("trainers.ablations.queue.standing", lambda *_: late)
        assert submit(other, made) == ((), (), {})
    found = standing(other, made)
    assert (found.running, found.waiting, found.missing) == (1, 2, 0)
    assert found.active == set(found.runs)


def test_a_run_that_was_deleted_is_done_again_by_the_next_command_only(
    runs: Pretending, capsys: pytest.CaptureFixture[str]
) -> None:
    made = Ablation("a", ("samples",), seeds=(0,), grid={"train_split": (REFUSES,)})
    submit(runs, made)
    (name,) = (run.name for run in made.runs())
    wait_until(lambda: runs.standing(name).state == "failed" and not is_alive(runs.root / name))
    wait_until(lambda: runs.standing(name).code == 2)
    assert standing(runs, made).failed == 1
    runs.delete(name)
    found = standing(runs, made)
    assert (found.missing, found.failed, found.total) == (1, 0, 1)
    assert ablation.tell(runs, found, {}) == 1
    assert "It has been deleted." in capsys.readouterr().err
    assert submit(runs, made).started == (name,)


# --- time


def one(state: str, **facts: Any) -> Standing:
    known = dict.fromkeys(Standing.__dataclass_fields__, None)
    return Standing(**{**known, "step": 0, "steps": 0, "state": state, **facts})


def test_the_time_left_follows_the_finished_runs_and_the_devices() -> None:
    runs: dict[str, Standing | None] = {"a": one("finished", seconds=100.0), "b": None}
    assert StudyStanding(runs, frozenset()).time_left() == 0
    runs |= {"c": one("running", step=1, steps=4), "d": one("queued"), "e": one("failed")}
    assert StudyStanding(runs, frozenset()).time_left() == 175
    assert StudyStanding(runs, frozenset()).time_left(1) == 275
    # A second device halves it, and a run that tells knows better.
    runs["f"] = one("running", step=1, steps=4, time_left=25.0)
    assert StudyStanding(runs, frozenset()).time_left() == 100
    alone: dict[str, Standing | None] = {"a": one("running", step=1, steps=4, seconds=10.0)}
    assert StudyStanding(alone, frozenset()).time_left() == 30
    assert StudyStanding({"a": one("running")}, frozenset()).time_left() is None


def test_a_line_says_how_far_it_is_when_that_changes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    runs: dict[str, Standing | None] = {"a": one("running", step=1, steps=4, seconds=60.0)}
    line = ablation.Line()
    for _ in range(2):
        line.show(StudyStanding({**runs, "b": None}, frozenset()), 1)
    runs |= {"a": one("finished", seconds=240.0), "b": one("queued")}
    line.show(StudyStanding(runs, frozenset()), 0)
    assert capsys.readouterr().err.splitlines() == [
        "0 of 2 runs finished, 1 running, 1 waiting, about 7 min left",
        "1 of 2 runs finished, 1 waiting, about 4 min left",
    ]
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    line = ablation.Line()
    for _ in range(2):
        line.show(StudyStanding(runs, frozenset()), 0)
    assert capsys.readouterr().err.count("\r\x1b[K1 of 2 runs") == 2


# --- the table


def finish(
    root: Path, run: PlannedRun, first: float, *, crf: bool = True, minutes: float = 2, **facts: Any
) -> None:
    """A finished run whose report's numbers count up from ``first``."""
    target = Run(root / run.name)
    target.write_config(run.order.config)
    target.write_state("finished", data=str(run.order.data), step=5, steps=5, seconds=60 * minutes)
    values = iter(range(100))

    def part() -> dict[str, Any]:
        return {
            probe: {measure: first + next(values) for measure in ("accuracy", "miou")}
            for probe in ("cluster", "linear")
        }

    report: dict[str, Any] = part()
    if crf:
        report["crf"] = part()
    report |= {
        "dataset": {"kind": "cocostuff27"},
        "backbone": {"title": "DINO ViT-S/16 (file.pth)"},
        "notes": ["The checkpoint is its run's last one."],
    }
    (target.folder / "report.json").write_text(json.dumps(report | facts))


@pytest.fixture
def study(tmp_path: Path) -> Ablation:
    grid = {"rule": ("ppap", "knn")}
    return Ablation("t", ("coco_vits16",), tmp_path, (0, 1, 2), {"epochs": "2"}, grid)


def test_a_row_is_the_mean_and_sample_deviation_beside_the_papers(
    tmp_path: Path, study: Ablation
) -> None:
    ppap = [run for run in study.runs() if run.combination.values["rule"] == "ppap"]
    knn = [run for run in study.runs() if run.combination.values["rule"] == "knn"]
    for run, first, minutes in zip(ppap, (11, 12, 16), (1, 2, 6), strict=True):
        finish(tmp_path, run, first, minutes=minutes)
    finish(tmp_path, knn[0], 30)
    Run(tmp_path / knn[1].name).write_config(knn[1].order.config)
    Run(tmp_path / knn[1].name).write_state("stopped", data=str(tmp_path))
    made = table(Runner(tmp_path), study)
    row, other = made.rows
    assert (row.seeds, row.finished, other.seeds, other.finished) == (3, 3, 3, 1)
    assert row.numbers["U-Acc"].mean == 13
    assert row.numbers["U-Acc"].deviation == pytest.approx(math.sqrt(7))
    assert row.numbers["L-mIoU, CRF"].mean == 20
    assert row.numbers["minutes"].mean == 3
    assert row.in_paper("U-Acc") == (59.9, 10)
    assert row.in_paper("U-Acc, CRF") == (62.9, 1)
    assert row.in_paper("minutes") == (None, None)
    assert other.paper == ()

    plain, crf = as_markdown(made).split("## With CRF")
    assert cells(plain) == [
        "recipe rule seeds U-Acc paper U-mIoU paper L-Acc paper L-mIoU paper minutes paper's table",
        "coco\\_vits16 ppap 3 13.0 ± 2.6 59.9 14.0 ± 2.6 25.0 15.0 ± 2.6 74.3 16.0 ± 2.6 42.1 "
        "3.0 ± 2.6 Table 10",
        "coco\\_vits16 knn 1 of 3 30.0 – 31.0 – 32.0 – 33.0 – 2.0 –",
    ]
    assert "17.0 ± 2.6 62.9 18.0 ± 2.6 26.5 19.0 ± 2.6 76.0 20.0 ± 2.6 43.3" in cells(crf)[1]
    assert "- 4 of 6 runs are finished; the table is incomplete." in plain
    assert "in all runs epochs=2." in plain

    lines = list(csv.DictReader(io.StringIO(as_csv(made))))
    assert lines[0] == {
        "recipe": "coco_vits16", "rule": "ppap", "measure": "U-Acc", "mean": "13.0000",
        "deviation": "2.6458", "seeds finished": "3", "paper": "59.9", "paper's table": "10",
    }  # fmt: skip
    assert len(lines) == 18
    assert lines[-1]["deviation"] == lines[-1]["paper"] == ""
    found = json.loads(as_json(made))
    assert found["rows"][1]["numbers"]["U-Acc"] == {"mean": 30, "deviation": None}
    assert found["rows"][0]["paper"][1]["cluster_accuracy"] == 62.9
    assert read_ablation(found["ablation"]) == study


def cells(text: str) -> list[str]:
    """The rows of the Markdown table in a text, but for the rule under its head."""
    rows = [line.strip("|") for line in text.splitlines() if line.startswith("|")]
    return [" ".join(row.replace("|", " ").split()) for row in (rows[0], *rows[2:])]


def test_without_crf_there_is_one_table_and_without_a_paper_row_no_column(
    tmp_path: Path,
) -> None:
    made = Ablation("t", ("coco_vits16",), tmp_path, (0,), {"crf": "false"}, {"rule": ("knn",)})
    finish(tmp_path, made.runs()[0], 10, crf=False)
    text = as_markdown(table(Runner(tmp_path), made))
    assert "CRF" not in text
    assert cells(text)[0] == "recipe rule seeds U-Acc U-mIoU L-Acc L-mIoU minutes"
    assert "not complete" not in text


def test_the_papers_row_is_there_before_anything_is_finished(
    tmp_path: Path, study: Ablation
) -> None:
    made = table(Runner(tmp_path), study)
    assert made.rows[0].numbers == {}
    plain, crf = as_markdown(made).split("## With CRF")
    assert cells(plain)[1].endswith("ppap 0 of 3 – 59.9 – 25.0 – 74.3 – 42.1 – Table 10")
    assert cells(crf)[1].endswith("ppap 0 of 3 – 62.9 – 26.5 – 76.0 – 43.3 – Table 1")


def test_a_table_says_what_makes_its_numbers_flatter(tmp_path: Path, study: Ablation) -> None:
    flatters = "Reservation: the checkpoint was chosen because it scores best on the very split."
    for run in study.runs():
        finish(tmp_path, run, 10, notes=["Fine.", flatters, 5])
    text = as_markdown(table(Runner(tmp_path), study))
    assert text.count(flatters) == 1
    assert "Fine." not in text


@pytest.mark.parametrize("report", ["", "[]", "{}", '{"cluster": {"accuracy": "x"}}', '{"crf": 5}'])
def test_a_damaged_report_counts_for_nothing(tmp_path: Path, study: Ablation, report: str) -> None:
    first, second, *_ = (run for run in study.runs() if run.combination.values["rule"] == "ppap")
    finish(tmp_path, first, 10)
    finish(tmp_path, second, 90)
    (tmp_path / second.name / "report.json").write_text(report)
    row = table(Runner(tmp_path), study).rows[0]
    assert row.numbers["U-Acc"].mean == 10
    assert row.finished == 2


def test_runs_on_other_data_are_not_its_own(tmp_path: Path, study: Ablation) -> None:
    other = tmp_path / "other"
    other.mkdir()
    finish(tmp_path, study.runs()[0], 10)
    with pytest.raises(SettingError, match="with different data"):
        table(Runner(tmp_path), replace(study, data=other))


def test_what_computes_the_same_is_its_own_but_not_without_crf(
    tmp_path: Path, study: Ablation
) -> None:
    finish(tmp_path, study.runs()[0], 10)
    other = replace(study, settings={"epochs": "2", "workers": "1", "keep": "7"})
    assert table(Runner(tmp_path), other).rows[0].finished == 1
    for name, value in (("crf", "false"), ("temperature", "0.07")):
        with pytest.raises(SettingError, match=f"with {name}="):
            table(Runner(tmp_path), replace(study, settings={"epochs": "2", name: value}))


def test_the_table_alone_starts_nothing_and_is_written_whole(
    tmp_path: Path, study: Ablation, capsys: pytest.CaptureFixture[str]
) -> None:
    for run in study.runs()[:2]:
        finish(tmp_path, run, 10)
    given = ["coco_vits16", "--name", "t", "--runs", str(tmp_path), "--data", str(tmp_path)]
    given += ["--set", "epochs=2", "--grid", "rule=ppap,knn", "--only-table"]
    before = sorted(path.name for path in tmp_path.iterdir())
    assert main(given) == 0
    folder = tmp_path / ".ablations/t"
    assert capsys.readouterr().out == (folder / "table.md").read_text()
    names = ["grid.json", "table.csv", "table.json", "table.md"]
    assert sorted(path.name for path in folder.iterdir()) == names
    assert sorted(p.name for p in tmp_path.iterdir()) == [".ablations", *before]
    assert main(["--name", "t", "--runs", str(tmp_path), "--only-table"]) == 0
    assert capsys.readouterr().out == (folder / "table.md").read_text()


# --- the trainer itself


@pytest.mark.slow
def test_two_seeds_are_trained_interrupted_and_go_on_to_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    place = Place(tmp_path, images=12)
    usual = find("coco_vits16").config.as_dict()
    small = place.config(epochs=20, crf=False, checkpoint_every=2, validate_every=0, keep=1)
    changes = {n: v for n, v in small.as_dict().items() if v != usual[n]}
    given = ["coco_vits16", "--name", "real", "--data", str(place.data), "--seeds", "0", "1"]
    given += ["--runs", str(tmp_path / "runs"), "--cache", str(place.cache)]
    given += ["--set", *(f"{n}={as_text(v)}" for n, v in changes.items() if n != "recipe")]
    runs = Pretending(tmp_path / "runs")  # for what it can end
    first, second = (Run(runs.root / f"real-coco_vits16-seed{seed}") for seed in (0, 1))

    def look(_: float) -> None:
        """Wait until the first run has a checkpoint, stop it, and press Ctrl+C."""
        if first.latest() is not None:
            runs.stop(first.folder.name)
            raise KeyboardInterrupt
        pause(0.05)

    pause = time.sleep
    try:
        with monkeypatch.context() as patched:
            patched.setattr(ablation, "sleep", look)
            assert main(given) == 130
        wait_until(lambda: runs.standing(first.folder.name).state == "stopped", seconds=120)
        assert main(given) == 0
        log = first.log_file.read_text()
        assert "Stopped at step" in log
        assert re.search(r"Continuing from .*step-\d+\.pt: step [1-9]", log)
        assert "Going on" not in second.log_file.read_text()
    finally:
        runs.end_all()
    said = capsys.readouterr()
    assert said.out == (runs.root / ".ablations/real/table.md").read_text()
    assert "2 of 2 runs finished" in said.err
    found = json.loads((runs.root / ".ablations/real/table.json").read_text())
    (row,) = found["rows"]
    values = [json.loads((r.folder / "report.json").read_text()) for r in (first, second)]
    scores = [value["cluster"]["accuracy"] for value in values]
    assert row["numbers"]["U-Acc"]["mean"] == pytest.approx(sum(scores) / 2)
    assert row["finished"] == 2
    before = [run.state_file.read_bytes() for run in (first, second)]
    assert main(given) == 0
    assert [run.state_file.read_bytes() for run in (first, second)] == before


def test_files_of_backbones_are_kept_in_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are read again from other folders; one that was kept as it was typed stays so."""
    monkeypatch.chdir(tmp_path)
    raw = {"name": "vits", "recipes": ["samples"], "seeds": [0]}
    both = {"backbone": ["a.pth", "test_vit@b.pth", "dino_vits8"]}
    made = read_ablation({**raw, "grid": both}).placed()
    kept = (f"{tmp_path}/a.pth", f"test_vit@{tmp_path}/b.pth", "dino_vits8")
    assert made.grid == {"backbone": kept}
    assert [run.order.config.backbone for run in made.runs()] == list(kept)
    assert made.placed() is made
    one = read_ablation({**raw, "settings": {"backbone": "a.pth"}})
    assert one.settings == {"backbone": "a.pth"}
    assert one.placed().settings == {"backbone": f"{tmp_path}/a.pth"}
    (tmp_path / "runs").mkdir()
    write_grid(tmp_path / "runs", one)
    assert reopen(tmp_path / "runs", "vits").settings == {"backbone": "a.pth"}
