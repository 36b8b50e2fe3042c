"""Runs that are started for others: real processes, real signals, and the truth on disk."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from ppap.settings import SettingError
from tests.conftest import ROOT
from tests.support.pretend_run import ENDS, FAILS, HANGS, REFUSES
from tests.support.small_runs import Place
from tests.support.small_studio import wait_until
from trainers.launching import queue, runner
from trainers.launching.estimates import Estimate
from trainers.launching.orders import NAME, Order, command_line, read_order, run_name
from trainers.launching.runner import Runner, as_text, free_name
from trainers.processes import Identity, identity, process_started
from trainers.recipes import find
from trainers.runs.folder import Run, RunError, locked
from trainers.runs.launch import Launch, is_alive, read_launch, write_launch
from trainers.runs.standing import Standing
from trainers.runs.watching import Cursor

PRETENDER = ROOT / "tests" / "support" / "pretend_run.py"
NEEDS = Estimate(30, 10, "cpu", 1000, 0, 1000, None)


class Pretending(Runner):
    """A runner whose runs pretend, and that keeps quiet about what they would need."""

    needs = NEEDS

    def estimate(self, order: Order) -> Estimate:
        return self.needs

    def begin(self, name: str, does: str = "", **changes: str) -> Standing:
        changes |= {"train_split": does} if does else {}
        return self.start(Order(name, "samples", None, changes, find("samples").config))

    def wait(self, name: str, *states: str) -> Standing:
        wait_until(lambda: self.standing(name).state in states)
        return self.standing(name)

    def wait_begun(self, name: str) -> Standing:
        """Until the run itself has said that it runs."""
        self.wait(name, "running")
        wait_until(lambda: self.standing(name).step == 5)
        return self.standing(name)

    def trainer(self, name: str) -> Identity:
        launch = read_launch(self.root / name)
        assert launch is not None
        assert launch.trainer is not None
        return launch.trainer

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


def test_a_run_outlives_whoever_started_it_and_is_found_again(runs: Pretending) -> None:
    runs.begin("one")
    found = runs.wait_begun("one")
    assert (found.recipe, found.device, found.steps) == ("samples", "cpu", 10)
    trainer = runs.trainer("one")
    # A session of its own, and nothing of it is this process's: a closed studio ends nothing.
    assert os.getsid(trainer.pid) == trainer.pid != os.getsid(0)
    again = Runner(runs.root)
    assert again.standing("one").state == "running"
    assert [one.name for one in again.runs()] == ["one"]


def test_a_run_stops_with_a_checkpoint_and_goes_on(runs: Pretending) -> None:
    runs.begin("one")
    runs.wait_begun("one")
    assert runs.stop("one").state in ("stopping", "stopped")
    found = runs.wait("one", "stopped")
    assert found.code == 0 or found.code is None
    assert (runs.root / "one/checkpoints/step-00000005.pt").exists()
    runs.resume("one")
    found = runs.wait("one", "finished")
    assert found.step == 10
    launch = read_launch(runs.root / "one")
    assert launch is not None
    assert launch.arguments[1:] == (f"--out={runs.root / 'one'}", "--resume")
    with pytest.raises(RunError, match="finished"):
        runs.resume("one")
    with pytest.raises(RunError, match="is not running"):
        runs.stop("one")


def test_a_killed_run_is_failed_within_seconds_and_says_why(runs: Pretending) -> None:
    runs.begin("one")
    runs.wait_begun("one")
    os.kill(runs.trainer("one").pid, signal.SIGKILL)
    began = time.monotonic()
    found = runs.wait("one", "failed")
    assert time.monotonic() - began < 5
    assert "SIGKILL" in found.text
    wait_until(lambda: runs.standing("one").code == -signal.SIGKILL)
    assert "Step 5 of 10" in runs.last_lines("one")
    runs.resume("one")
    runs.wait("one", "finished")


def test_a_run_whose_keeper_is_killed_too_is_failed(runs: Pretending) -> None:
    runs.begin("one")
    runs.wait_begun("one")
    launch = read_launch(runs.root / "one")
    assert launch is not None
    assert launch.keeper is not None
    os.kill(launch.keeper.pid, signal.SIGKILL)
    wait_until(lambda: not launch.keeper.alive())  # type: ignore[union-attr]
    assert runs.standing("one").state == "running"
    os.kill(runs.trainer("one").pid, signal.SIGKILL)
    found = runs.wait("one", "failed")
    assert found.text.startswith("It ended unobserved")


def test_a_run_that_fails_says_its_reason(runs: Pretending) -> None:
    runs.begin("said", FAILS)
    found = runs.wait("said", "failed")
    assert found.text == "The loss is no number."
    runs.begin("refused", REFUSES)
    found = runs.wait("refused", "failed")
    wait_until(lambda: runs.standing("refused").code == 2)
    assert runs.standing("refused").text == "The images are nowhere to be found."
    # It never began: resumed, it begins as it was asked for.
    runs.resume("refused")
    runs.wait("refused", "failed")
    launch = read_launch(runs.root / "refused")
    assert launch is not None
    assert f"train_split={REFUSES}" in launch.arguments


def test_what_does_not_stop_in_time_is_killed(runs: Pretending) -> None:
    runs.patience = 0.3
    runs.begin("one", HANGS)
    runs.wait_begun("one")
    runs.stop("one")
    found = runs.wait("one", "stopped")
    assert "killed" in found.text
    assert not runs.trainer("one").alive()


def test_stop_now_kills_at_once(runs: Pretending) -> None:
    runs.begin("one", HANGS)
    runs.wait_begun("one")
    assert runs.stop("one").state == "stopping"
    runs.stop("one", now=True)
    runs.wait("one", "stopped")


def test_a_number_that_is_used_again_is_not_the_run(runs: Pretending) -> None:
    folder = runs.root / "one"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    mine = os.getpid()
    said = {"state": "running", "pid": mine, "started": process_started(mine), "time": time.time()}
    (folder / "state.json").write_text(json.dumps(said))
    assert runs.standing("one").state == "running"
    said["started"] = process_started(mine) - 1  # type: ignore[operator]
    (folder / "state.json").write_text(json.dumps(said, indent=1))
    assert runs.standing("one").state == "failed"
    own = identity(mine)
    assert own.alive()
    assert not own._replace(boot="another start of the machine").alive()


def test_a_process_that_waits_to_be_buried_is_gone() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    known = identity(child.pid)
    wait_until(lambda: not known.alive())
    child.wait()


def test_a_device_takes_one_run_and_the_others_wait_their_turn(runs: Pretending) -> None:
    for name in ("first", "second", "third"):
        runs.begin(name)
    runs.wait_begun("first")
    places = {one.name: (one.state, one.position) for one in runs.runs()}
    assert places["second"] == ("queued", 1)
    assert places["third"] == ("queued", 2)
    # The queue is on disk: another studio sees the same, and starts nothing twice.
    other = Runner(runs.root)
    assert [one.state for one in other.runs()].count("running") == 1
    runs.stop("first")
    runs.wait_begun("second")
    assert runs.standing("third").state == "queued"
    assert runs.stop("third").state == "stopped"
    runs.resume("third")
    assert runs.standing("third").position == 1
    runs.stop("second")
    runs.wait_begun("third")


def test_the_queue_goes_on_without_any_studio(runs: Pretending) -> None:
    runs.begin("first")
    runs.begin("second", ENDS)
    runs.wait_begun("first")
    os.kill(runs.trainer("first").pid, signal.SIGTERM)
    # Only looking at the file, which starts nothing.
    state = runs.root / "second/state.json"
    wait_until(lambda: state.exists() and "finished" in state.read_text())


def test_two_devices_take_a_run_each(runs: Pretending) -> None:
    runs.begin("first")
    runs.needs = replace(NEEDS, device="cuda")
    runs.begin("second")
    runs.begin("third")
    runs.wait_begun("second")
    assert runs.standing("second").device == "cuda:0"
    assert runs.standing("third").state == "queued"


GPUS = ("cuda:0", "cuda:1", "cuda:2")


def ask_for(runs: Pretending, count: int, among: tuple[str, ...] = GPUS) -> None:
    """The next run needs so many of these GPUs."""
    runs.needs = replace(NEEDS, device=f"{count} GPUs", among=among, count=count)


def test_several_devices_are_given_together_and_others_go_on_beside(runs: Pretending) -> None:
    ask_for(runs, 2)
    runs.begin("pair")
    runs.wait_begun("pair")
    assert runs.standing("pair").device == "cuda:0,cuda:1"
    # What its processes are told.
    told = psutil.Process(runs.trainer("pair").pid).environ()["PPAP_DEVICES"]
    assert told == "cuda:0,cuda:1"
    ask_for(runs, 2)
    assert runs.begin("waits").state == "queued"
    runs.needs = replace(NEEDS, device="cuda:2")
    # The third GPU is kept for the pair that waits, which would else wait for ever.
    assert runs.begin("later").state == "queued"
    runs.needs = NEEDS
    runs.begin("cpu")
    runs.wait_begun("cpu")
    runs.stop("pair")
    runs.wait_begun("waits")
    assert runs.standing("waits").device == "cuda:0,cuda:1"
    runs.wait_begun("later")
    assert runs.standing("later").device == "cuda:2"


def test_a_list_means_these_devices(runs: Pretending) -> None:
    runs.needs = replace(NEEDS, device="cuda:1")
    runs.begin("one")
    runs.wait_begun("one")
    ask_for(runs, 2, ("cuda:1", "cuda:2"))
    assert runs.begin("these").state == "queued"
    assert runs.standing("these").device == "2 GPUs"
    runs.stop("one")
    runs.wait_begun("these")
    assert runs.standing("these").device == "cuda:1,cuda:2"


@pytest.mark.parametrize(
    ("settings", "devices"),
    [
        ({"device": "cuda", "devices": "2"}, {"cuda:0", "cuda:1"}),
        ({"device": "cuda", "devices": "0,2"}, {"cuda:0", "cuda:2"}),
        ({"device": "cpu", "devices": "2"}, {"cpu"}),
        ({"device": "cuda", "devices": "nonsense"}, {"cuda:0"}),
        ({"devices": "2"}, {"cpu"}),
    ],
)
def test_the_devices_of_a_run_that_was_typed(
    tmp_path: Path, settings: dict[str, str], devices: set[str]
) -> None:
    (tmp_path / "config.json").write_text(json.dumps(settings))
    assert queue.devices_of(tmp_path, "cpu") == devices
    (tmp_path / "config.json").write_text('{"device": "cuda", "devices": "all"}')
    assert {"cuda:0", "cuda:7"} <= queue.devices_of(tmp_path, "cpu")


def test_a_run_goes_on_with_other_settings_of_the_machine(runs: Pretending) -> None:
    runs.begin("one", devices="2")
    runs.wait_begun("one")
    runs.stop("one")
    runs.wait("one", "stopped")
    with pytest.raises(SettingError, match="batch cannot change in the middle of a run"):
        runs.resume("one", {"batch": "3"})
    with pytest.raises(SettingError, match="devices must be a number"):
        runs.resume("one", {"devices": "many"})
    runs.resume("one", {"devices": "1"})
    launch = read_launch(runs.root / "one")
    assert launch is not None
    assert launch.arguments[-2:] == ("--set", "devices=1")
    assert launch.about["settings"] == {"devices": "1"}
    runs.wait("one", "finished")


def test_a_run_of_the_command_line_holds_the_device_too(runs: Pretending) -> None:
    folder = runs.root / "typed"
    folder.mkdir(parents=True)
    process = subprocess.Popen([sys.executable, str(PRETENDER), "samples", f"--out={folder}"])
    wait_until((folder / "config.json").exists)
    runs.wait_begun("typed")
    assert runs.begin("mine").state == "queued"
    assert runs.stop("typed").state in ("running", "stopped")
    assert process.wait(20) == 0
    runs.runs()  # whoever looks starts what waits
    runs.wait_begun("mine")


@pytest.mark.parametrize("names", [["one"] * 4, ["a", "b", "c", "d"]])
def test_starts_at_once_give_one_run(runs: Pretending, names: list[str]) -> None:
    refused: list[str] = []
    gate = threading.Barrier(len(names))

    def begin(name: str) -> None:
        other = Pretending(runs.root)
        gate.wait()
        try:
            other.begin(name)
        except SettingError as error:
            refused.append(error.field)

    threads = [threading.Thread(target=begin, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = [one.state for one in runs.runs()]
    assert len(found) == len(set(names))
    assert found.count("running") == 1
    assert found.count("queued") == len(set(names)) - 1
    assert refused == ["name"] * (len(names) - len(set(names)))


def test_what_does_not_fit_is_refused_and_leaves_nothing(runs: Pretending) -> None:
    runs.needs = replace(NEEDS, refusal="It takes more memory than there is.")
    with pytest.raises(RunError, match="more memory"):
        runs.begin("one")
    assert not runs.root.exists()


def test_a_full_disk_fails_a_waiting_run_and_lets_the_next_go(
    runs: Pretending, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs.begin("first")
    runs.needs = replace(NEEDS, checkpoints=10**18)
    runs.begin("large")
    runs.needs = NEEDS
    runs.begin("small")
    runs.wait_begun("first")
    runs.stop("first")
    runs.wait_begun("small")
    found = runs.standing("large")
    assert found.state == "failed"
    assert "The disk was too full" in found.text


def test_a_disk_that_takes_no_order_keeps_no_name(
    runs: Pretending, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    for part in ("write_launch", "write_owner"):
        with monkeypatch.context() as patched:
            patched.setattr(runner, part, full)
            with pytest.raises(RunError, match="No space left on device"):
                runs.begin("one")
        assert not (runs.root / "one").exists()
    # What waits already stays, whatever becomes of the others.
    with monkeypatch.context() as patched:
        patched.setattr(runner, "start_waiting", full)
        with pytest.raises(OSError, match="No space"):
            runs.begin("one")
    assert [one.name for one in runs.runs()] == ["one"]  # which starts it
    assert runs.wait_begun("one").state == "running"


HOSTILE = [
    "",
    ".",
    "..",
    "../out",
    "/tmp/out",
    "a/b",
    "-flag",
    "--set",
    ".hidden",
    "a b",
    "a;touch x",
    "a\n",
    "a\0b",
    "é",
    "²",
    "x" * 101,
    "<b>",
    None,
    5,
    ["a"],
    {"a": 1},
]


@pytest.mark.parametrize("name", HOSTILE)
def test_names_that_break_out_are_refused(runs: Pretending, name: Any) -> None:
    with pytest.raises(SettingError) as raised:
        run_name(name)
    assert raised.value.field == "name"
    (runs.root.parent / "out").mkdir()
    for act in (runs.standing, runs.stop, runs.resume, runs.delete, runs.contents, runs.settings):
        with pytest.raises(SettingError):
            act(name)
    assert sorted(path.name for path in runs.root.parent.iterdir()) in (["out"], ["out", "runs"])
    assert (runs.root.parent / "out").exists()


@pytest.mark.parametrize("name", ["a", "A.b-c_d", "0", "_", "x" * 100])
def test_plain_names_are_taken(name: str) -> None:
    assert run_name(name) == name
    assert NAME.fullmatch(name)


def test_deleting_takes_the_folder_and_nothing_else(runs: Pretending) -> None:
    runs.begin("one", ENDS)
    runs.wait("one", "finished")
    runs.end_all()
    kept = runs.root.parent / "kept"
    kept.mkdir()
    (kept / "precious").write_text("data")
    (runs.root / "one/link").symlink_to(kept)
    (runs.root / "linked").symlink_to(kept)
    (kept / "config.json").write_text("{}")
    told = runs.contents("one")
    assert told.files >= 5
    assert runs.delete("one") == told
    assert [path.name for path in runs.root.iterdir() if path.is_dir()] == ["linked"]
    assert (kept / "precious").read_text() == "data"
    with pytest.raises(SettingError, match="no run"):
        runs.delete("linked")
    assert (kept / "precious").exists()


def test_what_runs_is_neither_deleted_nor_renamed(runs: Pretending) -> None:
    runs.begin("one")
    runs.begin("two")
    runs.wait_begun("one")
    for name in ("one", "two"):
        with pytest.raises(RunError, match="stop it"):
            runs.delete(name)
        with pytest.raises(RunError, match="stop it"):
            runs.rename(name, "other")
        with pytest.raises(RunError, match="stop it"):
            runs.resume(name)
    runs.stop("two")
    # Somebody trains into the folder without having said so yet.
    with locked(Run(runs.root / "two")), pytest.raises(RunError, match="another process"):
        runs.delete("two")
    assert (runs.root / "two").is_dir()


def test_a_renamed_run_goes_on_in_its_new_folder(runs: Pretending) -> None:
    runs.begin("one")
    runs.wait_begun("one")
    runs.stop("one")
    runs.wait("one", "stopped")
    runs.begin("taken", ENDS)
    runs.wait("taken", "finished")
    with pytest.raises(SettingError) as raised:
        runs.rename("one", "taken")
    assert raised.value.field == "new_name"
    with pytest.raises(SettingError):
        runs.rename("one", "../two")
    assert runs.rename("one", "two").name == "two"
    assert not (runs.root / "one").exists()
    runs.resume("two")
    runs.wait("two", "finished")


def test_runs_are_compared_where_they_differ(runs: Pretending) -> None:
    runs.begin("a", ENDS, phi0="0.5", psi0="0.2")
    runs.wait("a", "finished")
    runs.begin("b", ENDS, phi0="0.7", psi0="0.2")
    runs.wait("b", "finished")
    (runs.root / "b/report.json").write_text(json.dumps({"cluster": {"miou": 12.5}}))
    found = runs.compare(["b", "a"])
    assert found["names"] == ["b", "a"]
    assert {"name": "phi0", "values": [0.7, 0.5]} in found["settings"]
    assert "psi0" not in {row["name"] for row in found["settings"]}
    rows = {row["name"]: row["values"] for row in found["metrics"]}
    assert rows["loss"] == [0.2, 0.2]
    assert rows["report: cluster miou"] == [12.5, None]
    with pytest.raises(SettingError):
        runs.compare(["a"])


def test_the_newest_run_comes_first(runs: Pretending) -> None:
    for name in ("old", "new"):
        runs.begin(name, ENDS)
        runs.wait(name, "finished")
    assert [one.name for one in runs.runs()] == ["new", "old"]


def test_another_name_is_found(tmp_path: Path) -> None:
    (tmp_path / "camvid").mkdir()
    assert free_name(tmp_path, "camvid") == "camvid-2"
    assert free_name(tmp_path, "../x") == "run"


def test_a_launch_is_written_whole_and_a_damaged_one_is_none(tmp_path: Path) -> None:
    launch = Launch(("a",), "cpu", "cpu", 1.0, keeper=Identity(1, 2.0, "b"))
    write_launch(tmp_path, launch)
    assert read_launch(tmp_path) == launch
    for text in ("", "[]", "{}", '{"arguments": 5}', "\xff"):
        (tmp_path / "launch.json").write_text(text, encoding="latin-1")
        assert read_launch(tmp_path) is None


@pytest.mark.slow
def test_the_trainer_itself_is_started_and_resumed(tmp_path: Path) -> None:
    place = Place(tmp_path, images=12)
    usual = find("coco_vits16").config.as_dict()
    small = place.config(epochs=400, crops="none", crf=False).as_dict()
    changes = {n: as_text(v) for n, v in small.items() if v != usual[n] and n != "recipe"}
    raw = {"recipe": "coco_vits16", "name": "real", "data": str(place.data), "settings": changes}
    made, errors = read_order(raw)
    assert errors == {}
    assert made is not None
    runs = Pretending(tmp_path / "runs", cache=place.cache)
    runs.needs = Runner.estimate(runs, made)
    assert runs.needs.steps == 400 * 5
    try:
        runs.start(made)
        wait_until(lambda: runs.standing("real").step >= 2, seconds=300)
        found = runs.watching.changes(runs.folder("real"), Cursor())
        assert len(found["series"]["step"]["loss"]["x"]) >= 2
        assert "Step 1 of 2000" in found["log"]
        runs.stop("real")
        wait_until(lambda: runs.standing("real").state == "stopped", seconds=120)
        stopped = runs.standing("real")
        assert Run(runs.root / "real").latest() is not None
        assert runs.about("real")["settings"] == made.changes
        runs.resume("real")
        wait_until(lambda: runs.standing("real").step > stopped.step, seconds=300)
        runs.stop("real")
        wait_until(lambda: runs.standing("real").state == "stopped", seconds=120)
    finally:
        runs.end_all()


# --- orders


def order(**raw: Any) -> tuple[Order | None, dict[str, str]]:
    return read_order({"recipe": "samples", "name": "a", **raw})


def test_an_order_keeps_its_backbones_file_in_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The trainer starts in another folder than the one that it was typed in."""
    monkeypatch.chdir(tmp_path)
    for typed, kept in (
        ("vit.pth", f"{tmp_path}/vit.pth"),
        ("test_vit@vit.pth", f"test_vit@{tmp_path}/vit.pth"),
        ("dino_vits8", "dino_vits8"),
    ):
        made, errors = order(settings={"backbone": typed})
        assert errors == {}
        assert made is not None
        assert made.config.backbone == made.changes["backbone"] == kept
    data = {"data": str(tmp_path)}
    made, _ = order(recipe="coco_ibot_vits16", **data)
    assert made is not None
    assert made.changes == {"backbone": f"{tmp_path}/ibot_vits16.pth"}


def test_an_order_is_what_the_command_line_says(tmp_path: Path) -> None:
    made, errors = order(settings={"phi0": "0.5", "epochs": 20, "crf": False})
    assert errors == {}
    assert made is not None
    # Only what differs from the recipe.
    assert made.changes == {"phi0": "0.5"}
    assert made.config.phi0 == 0.5
    line = command_line(made.about(), tmp_path / "a b")
    assert line == f"python -m trainers.train samples '--out={tmp_path / 'a b'}' --set phi0=0.5"
    made, errors = order(recipe="camvid", data=str(tmp_path))
    assert made is not None
    assert made.data == tmp_path.resolve()


@pytest.mark.parametrize(
    ("field", "raw"),
    [
        ("recipe", {"recipe": "../samples"}),
        ("recipe", {"recipe": ["samples"]}),
        ("recipe", {"recipe": None}),
        ("name", {"name": "../a"}),
        ("data", {"recipe": "camvid"}),
        ("data", {"recipe": "camvid", "data": "/no/such/folder"}),
        ("data", {"recipe": "camvid", "data": "a\0b"}),
        ("data", {"recipe": "camvid", "data": "\ud800"}),
        ("data", {"recipe": "camvid", "data": "x" * 5000}),
        ("data", {"data": "/tmp"}),
        ("settings", {"settings": [1]}),
        ("phi0", {"settings": {"phi0": "nan"}}),
        ("phi0", {"settings": {"phi0": 1e9}}),
        ("phi0", {"settings": {"phi0": 10**5000}}),
        ("phi0", {"settings": {"phi0": {"a": 1}}}),
        ("rule", {"settings": {"rule": "--out"}}),
        ("backbone", {"settings": {"backbone": "a\nb"}}),
        ("recipe", {"settings": {"recipe": "camvid"}}),
        ("phi9", {"settings": {"phi9": "1"}}),
        ("epochs", {"settings": {"epochs": "0", "probe_epochs": "0"}}),
    ],
)
def test_what_cannot_be_ordered_is_told_at_its_field(field: str, raw: dict[str, Any]) -> None:
    made, errors = order(**raw)
    assert made is None
    assert list(errors) == [field]
    assert errors[field].endswith((".", "?"))


def test_every_wrong_field_is_told_at_once() -> None:
    _, errors = order(name="", settings={"phi0": "x", "lr": "-1", "batch": "2"})
    assert set(errors) == {"name", "phi0", "lr"}
