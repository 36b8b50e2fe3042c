"""``python -m trainers.train`` as people and programs meet it."""

from __future__ import annotations

import json
import logging
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from ppap.checkpoints.own import CheckpointError, load_checkpoint
from ppap.evaluation import crf
from ppap.settings import SettingError
from tests.conftest import ROOT
from tests.support import layouts
from tests.support.small_disks import fill, small_disk
from tests.support.small_runs import Place, results, save_vit, state_of
from trainers import train
from trainers.command import default_cache
from trainers.config import KIND, Config
from trainers.recipes import names
from trainers.runs.folder import REPORTED, Run, locked
from trainers.runs.metrics import read_metrics
from trainers.runs.notes import read_notes
from trainers.train import parser
from trainers.training import arguments, session
from trainers.training.distributed import DistributedError
from trainers.training.trainer import Trainer


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)


Said = Callable[[], str]


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Said:
    """The last line on stderr so far."""

    def last() -> str:
        lines = capsys.readouterr().err.splitlines()
        return lines[-1] if lines else ""

    return last


def words(place: Place, name: str = "run", **changes: Any) -> list[str]:
    return [*place.words(name, place.config(epochs=1, **changes)), "--no-report"]


def without(given: list[str], option: str) -> list[str]:
    """The words but for an option and its value."""
    at = given.index(option)
    return given[:at] + given[at + 2 :]


def refused(given: list[str], said: Said, status: int = 2) -> str:
    """What is said of arguments that do not fit; always one sentence."""
    said()
    assert train.main(given) == status
    line = said()
    assert line
    assert "Traceback" not in line
    return line


# --- help


def test_help_is_complete_and_quick() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "trainers.train", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    text = done.stdout
    for action in parser()._actions:
        for option in action.option_strings:
            assert option in text
        assert action.help
    assert text.count("python -m trainers.train ") >= 5
    assert "torchrun --nproc-per-node 4 -m trainers.train" in text
    for part in ("RECIPE", "examples:", "exit status: 0 done", "state.json", "SIGTERM", "--resume"):
        assert part in text
    assert all(len(line) <= 100 for line in text.splitlines())
    assert "torch" not in {line.split("|")[-1].strip() for line in done.stderr.splitlines()}


def test_the_examples_are_what_the_parser_takes() -> None:
    known = names()
    text = train.EPILOG.replace("\\\n", " ")
    commands = [line for line in text.splitlines() if "-m trainers.train" in line]
    assert len(commands) >= 6
    for command in commands:
        given = parser().parse_args(shlex.split(command.partition("trainers.train ")[2]))
        assert given.resume or given.recipe in known
        arguments.parse_changes(given.set)
        assert given.out is not None


def test_lists(capsys: pytest.CaptureFixture[str]) -> None:
    assert train.main(["--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == names()
    assert all(len(line.split()) > 3 for line in lines)
    assert train.main(["--settings"]) == 0
    text = capsys.readouterr().out
    assert [line.split()[0] for line in text.splitlines() if line[0] != " "] == list(KIND)
    assert "a number from -1 to 1; default 0.55" in text
    assert "default (empty)" in text
    assert "true or false; default false" in text
    assert all(len(line) <= 100 for line in text.splitlines())


def test_a_recipe_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert train.main(["--show", "coco_vits8_stego"]) == 0
    text = capsys.readouterr().out
    assert "python -m trainers.train coco_vits8_stego --data COCOSTUFF" in text
    assert "Expected score: U-Acc 48.3" in text
    for changed in ("rule=stego", "max_steps=5000", "crf=true", "lr=0.0005", "weight_decay=0"):
        assert changed in text.split()
    assert "size=224" not in text
    assert train.main(["--show", "coco_vit8"]) == 2
    assert "Did you mean coco_vits8?" in capsys.readouterr().err


def test_the_cache_has_a_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PPAP_CACHE", str(tmp_path / "own"))
    assert default_cache() == tmp_path / "own"
    monkeypatch.delenv("PPAP_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_cache() == tmp_path / "ppap-studio/features"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert default_cache() == Path.home() / ".cache/ppap-studio/features"


# --- arguments that do not fit


@pytest.mark.parametrize(
    "given", [["--dta", "x"], ["a", "b"], ["--out"], ["--set"], ["--res"], ["--data"]]
)
def test_wrong_options_are_one_sentence(
    given: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as found:
        train.main(given)
    assert found.value.code == 2
    text = capsys.readouterr().err
    assert text.count("\n") == 1
    assert "(all options: python -m trainers.train --help)" in text


def test_arguments_that_do_not_fit(place: Place, said: Said, tmp_path: Path) -> None:
    given = words(place)
    (tmp_path / "file").touch()
    out = str(tmp_path / "run")
    for wrong, wanted in (
        (["camvit", *given[1:]], "There is no recipe called 'camvit'. Did you mean camvid?"),
        (given[1:], "Name a recipe: camvid, "),
        (without(given, "--data"), "Give the data set folder: --data DIR."),
        (["--resume"], "Give a folder for the run: --out runs/NAME."),
        (["--set", "lr=0.1"], "Give a recipe (--list shows them all) and a folder"),
        (without(given, "--out"), "Give a folder for the run: --out runs/NAME."),
        ([*given, "--set", "ph0=1"], "There is no setting called 'ph0'. Did you mean phi0?"),
        ([*given, "--tag", "a b"], "'a b' cannot be a tag: "),
        ([*given, "--set", "phi0"], "'phi0' is not a setting: write key=value, as in phi0=0.6."),
        ([*given, "--set", "seed=1", "seed=2"], "seed is given twice."),
        ([*given, "--set", "tau=1"], "There is no setting called 'tau'."),
        ([*given, "--set", "extra_clusters=x"], "extra_clusters must be a whole number from 0 to"),
        ([*given, "--set", "device=cuda:77"], "device must be one of auto, cpu"),
        ([*given, "--out", str(tmp_path / "file")], "file is a file, not a folder"),
        (
            [*given, "--out", str(tmp_path / "file/run")],
            f"A run cannot be written to {tmp_path}/file/run: ",
        ),
        ([*given, "--data", str(tmp_path / "nowhere")], "nowhere does not exist"),
        (["samples", "--out", out, "--data", "x"], "The sample photos come with the project"),
        (["--out", out, "--resume"], f"{out} is not a run: it has no config.json."),
    ):
        assert wanted in refused(wrong, said), wrong
        assert not (tmp_path / "run/config.json").exists(), wrong
    # Whatever was refused, the folder may still be used.
    assert train.main(given) == 0


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"batch": 11}, "A batch of 11 is more than the 10 training images"),
        ({"size": 70}, "size: an image height of 70 pixels does not divide into patches of 16"),
        ({"eval_size": 90}, "eval_size: an image height of 90 pixels"),
        ({"train_split": "trane"}, "has no split 'trane', only: train, val, all"),
        ({"cache": "on", "cache_gb": 0}, "Use cache=off, or a larger cache_gb."),
        ({"backbone": "gone.pth"}, "gone.pth cannot be opened"),
        ({"selection": "evaluation", "eval_split": "tset"}, "has no split 'tset'"),
        ({"cluster_start": "spread", "extra_clusters": 9999}, "centroids cannot start from"),
    ],
)
def test_settings_that_do_not_fit_the_data(
    place: Place, said: Said, changes: dict[str, Any], wanted: str
) -> None:
    line = refused(words(place, **changes), said)
    assert wanted in line
    run = Run(place.root / "run")
    state = state_of(run)
    assert (state["state"], state["data"]) == ("failed", str(place.data))
    assert wanted in state["reason"]
    assert f"failed: {state['reason']}" in run.log_file.read_text()
    # It never ran: the same command with other settings may follow.
    assert train.main(words(place)) == 0
    assert state_of(run)["state"] == "finished"
    assert "reason" not in state_of(run)


def test_a_split_that_was_asked_for_must_be_there(place: Place, said: Said) -> None:
    line = refused([*words(place), "--set", "eval_split=test"], said)
    assert "has no split 'test', only: train, val, all" in line


def test_a_single_error_is_told_once(place: Place, said: Said) -> None:
    (place.data / "images/p2.png").write_bytes(b"broken")
    line = refused(words(place), said)
    assert "images/p2.png is not an image" in line
    assert (place.root / "run/log.txt").read_text().count("p2.png") == 1


@pytest.mark.parametrize(
    ("rule", "psi0", "noted"), [("ppap", 0.7, True), ("ppap", 0.6, False), ("tps", 0.7, False)]
)
def test_criteria_that_leave_nothing_ambiguous_are_noted(
    place: Place, rule: str, psi0: float, noted: bool
) -> None:
    assert train.main(words(place, rule=rule, psi0=psi0, max_steps=1)) == 0
    log = (place.root / "run/log.txt").read_text()
    assert ("there is no ambiguous zone" in log) is noted


def test_bad_files_are_told_before_anything_runs(place: Place, said: Said, tmp_path: Path) -> None:
    (place.data / "images/p2.png").write_bytes(b"broken")
    (place.data / "labels/p5.png").write_bytes(b"")
    line = refused(words(place), said)
    assert "data has 2 errors, listed above: fix them first" in line
    log = (place.root / "run/log.txt").read_text()
    assert f"Error: {place.data / 'images/p2.png'} " in log
    assert f"Error: {place.data / 'labels/p5.png'} " in log
    layouts.cocostuff(tmp_path / "coco")
    (tmp_path / "coco/images/train2017/000000000030.jpg").unlink()
    given = ["coco_vits16", "--data", str(tmp_path / "coco"), "--out", str(tmp_path / "a")]
    assert "000000000030.jpg does not exist" in refused([*given, "--set", "crf=no"], said)


def test_what_is_needed_later_is_looked_for_now(
    place: Place, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(track: str) -> None:
        if track:
            raise SettingError("track", "TensorBoard is not installed.")

    monkeypatch.setattr(crf, "why_unavailable", lambda: "CRF is not available.")
    monkeypatch.setattr(arguments, "require_trackers", missing)
    given = [word for word in words(place, crf=True) if word != "--no-report"]
    line = refused(given, said)
    assert line == "CRF is not available. For a report without it, set crf=false."
    assert refused(words(place, track="tensorboard"), said) == "TensorBoard is not installed."
    assert not (place.root / "run").exists()
    assert train.main(words(place, crf=True)) == 0  # without a report there is no need


# --- a run


def test_a_run_folder(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    given = [*place.words("run", place.config(epochs=2, log_every=4)), "--tag", "small", "cpu"]
    assert train.main(given) == 0
    run = Run(place.root / "run")
    assert read_notes(run.folder).tags == ("small", "cpu")
    found = {path.name for path in run.folder.iterdir()}
    assert found == {
        "config.json", "state.json", "metrics.jsonl", "log.txt", "command.txt", "checkpoints",
        "pictures", "report.json", "report", "images.npz", "lock",
        "notes.json",
    }  # fmt: skip
    assert run.config() == place.config(epochs=2, log_every=4, recipe="coco_vits16")
    state = state_of(run)
    assert (state["state"], state["step"], state["steps"]) == ("finished", 10, 10)
    assert state["seconds"] > 0
    assert state["data"] == str(place.data)
    # Every fourth step, the end of each epoch, and a validation at each.
    assert [line["step"] for line in read_metrics(run.metrics_file)] == [4, 5, 5, 8, 10, 10]
    log = run.log_file.read_text()
    for part in (
        "10 images, 10 steps with a batch of 2, on cpu.",
        "Step 4 of 10: loss ",
        "Validation (val) at",
    ):
        assert part in log
    assert "Finished in " in log.splitlines()[-1]
    report = json.loads((run.folder / "report.json").read_text())
    assert set(report["cluster"]["iou"]) == {"sky", "road", "tree"}
    # What was validated last is what the report says.
    last = read_metrics(run.metrics_file)[-1]
    assert report["cluster"]["miou"] == pytest.approx(last["cluster_miou"], abs=1e-3)
    assert (run.checkpoints / REPORTED).samefile(run.checkpoints / "step-00000010.pt")
    again = shlex.split((run.folder / "command.txt").read_text())
    assert again[:3] == ["python", "-m", "trainers.train"]
    assert parser().parse_args(again[3:]).set == parser().parse_args(given).set
    assert parser().parse_args(again[3:]).tag == ["small", "cpu"]
    assert "measured here" in capsys.readouterr().out
    assert logging.getLogger("trainers").handlers == []


def test_an_existing_run_is_not_overwritten(place: Place, said: Said) -> None:
    assert train.main(words(place)) == 0
    run = Run(place.root / "run")
    before = results(run)
    line = refused(words(place, seed=1), said)
    assert line.endswith(
        "already contains a run. Continue it with --resume, or choose another --out."
    )
    assert (results(run), state_of(run)["state"]) == (before, "finished")


def test_resuming_what_is_finished_makes_the_report_again(place: Place) -> None:
    assert train.main(words(place)) == 0
    run = Run(place.root / "run")
    before = results(run)
    assert not (run.folder / "report.json").exists()
    assert train.main(place.resumed("run")) == 0
    assert (run.folder / "report.json").exists()
    assert results(run) == before
    assert state_of(run)["state"] == "finished"


def stopped_run(place: Place, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> Run:
    """A run that was stopped after its second step."""
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_must_stop", lambda self: self.step == 2)
        assert train.main(words(place, **changes)) == 0
    run = Run(place.root / "run")
    assert state_of(run)["state"] == "stopped"
    return run


def test_a_resume_that_does_not_fit_changes_nothing(
    place: Place, said: Said, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run = stopped_run(place, monkeypatch)
    before, state = results(run), state_of(run)
    resume = place.resumed("run")
    (tmp_path / "other").mkdir()
    other = Place(tmp_path / "other", images=9)
    for wrong, wanted in (
        (["camvid", *resume], "is a run of the recipe coco_vits16, not camvid."),
        (
            [*resume, "--set", "lr=0.1"],
            "lr cannot change in the middle of a run; only these can: cache, ",
        ),
        ([*resume, "--set", "lrr=0.1"], "There is no setting called 'lrr'."),
        ([*resume, "--set", "workers=-1"], "workers must be a whole number"),
        ([*resume, "--data", str(other.data)], "was trained on different images from the 7 now"),
        ([*resume, "--data", str(tmp_path / "gone")], "gone does not exist"),
    ):
        assert wanted in refused(wrong, said), wrong
        assert results(run) == before
        assert state_of(run) == state
    changed = [*resume, "--no-report", "--set", "log_every=2", "keep=1", "workers=1"]
    assert train.main(["coco_vits16", *changed]) == 0
    assert (run.config().log_every, run.config().keep) == (2, 1)
    assert state_of(run)["state"] == "finished"


def test_the_data_set_is_remembered_whatever_happened(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also by the lines of a run that is under way, and in one that was killed there."""
    run = stopped_run(place, monkeypatch)
    run.write_state("running", step=2)
    assert state_of(run)["data"] == str(place.data)
    assert train.main([*place.resumed("run"), "--no-report"]) == 0
    assert state_of(run)["data"] == str(place.data)


def test_relative_paths_and_the_home(
    place: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    given = words(place)
    given = [*given[:1], "--data=~/data", "--out=~/runs/deep/run", *given[5:]]
    assert train.main(given) == 0
    assert state_of(Run(tmp_path / "runs/deep/run"))["data"] == str(place.data)


def test_another_process_trains_here(
    place: Place, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second is refused, and what the first says of itself stays."""
    run = stopped_run(place, monkeypatch)
    run.write_state("running", step=2, steps=5)
    state, log = state_of(run), run.log_file.read_text()
    with locked(run):
        line = refused(place.resumed("run"), said)
        assert f"is being trained by another process ({os.getpid()})." in line
        run.config_file.rename(run.folder / "later.json")  # as if it had only just begun
        line = refused(words(place), said)
        assert "is being trained by another process" in line
    assert (state_of(run), run.log_file.read_text()) == (state, log)


def test_who_comes_second_does_not_begin_anew(
    place: Place, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between looking and locking, another process may have trained a whole run."""
    original = session.require

    def meanwhile(config: Config, *, report: bool) -> None:
        original(config, report=report)
        Run(place.root / "run").write_config(config)

    monkeypatch.setattr(session, "require", meanwhile)
    assert "already contains a run" in refused(words(place), said)


# --- what breaks on the way


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (CheckpointError("step-2.pt cannot be written: No space left on device"), 1, None),
        (
            OSError(28, "No space left on device"),
            1,
            "A file cannot be written, because the disk is full.",
        ),
        (torch.OutOfMemoryError("CUDA: a long story"), 1, "The GPU ran out of memory: use a sm"),
        (DistributedError("process 1 brings 3 rows"), 1, None),
        (ZeroDivisionError("our mistake"), 1, None),
        (RuntimeError(), 1, "RuntimeError"),
        (KeyboardInterrupt(), 130, "Interrupted twice"),
    ],
)
def test_a_failure_leaves_word(
    place: Place,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    status: int,
    reason: str | None,
) -> None:
    original = Trainer._one_step

    def breaking(self: Trainer, batch: Any) -> None:
        if self.step == 3:
            raise error
        original(self, batch)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_one_step", breaking)
        assert train.main(words(place, checkpoint_every=2)) == status
    run = Run(place.root / "run")
    state = state_of(run)
    assert (state["state"], state["step"], state["steps"]) == ("failed", 3, 5)
    assert (reason or str(error)) in state["reason"]
    assert f"failed: {state['reason']}" in run.log_file.read_text()
    shown = capsys.readouterr().err
    # Only our own mistakes show where they happened.
    ours = type(error) in (ZeroDivisionError, RuntimeError)
    assert ("Traceback" in shown) is ours
    # And the run can go on, as if nothing had been.
    assert train.main([*place.resumed("run"), "--no-report"]) == 0
    assert train.main(words(place, "plain", checkpoint_every=2)) == 0
    assert results(run) == results(Run(place.root / "plain"))


@pytest.mark.parametrize("step", [0, 3])
def test_a_full_disk_is_told_by_the_name_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: Said, step: int
) -> None:
    """The state is not left at "running", nothing that was saved is lost, and it goes on."""
    with small_disk(tmp_path / "disk", 16 * 1024) as disk:
        place = Place(tmp_path)
        given = words(place, f"{disk}/run", checkpoint_every=1)
        original = Trainer._one_step

        def filling(self: Trainer, batch: Any) -> None:
            if self.step == step:
                fill(disk)
            original(self, batch)

        with monkeypatch.context() as patch:
            patch.setattr(Trainer, "_one_step", filling)
            line = refused(given, said, 1)
        run = Run(disk / "run")
        state = state_of(run)
        assert (state["state"], state["reason"]) == ("failed", line)
        # The last block of the metrics may have had room for one more line.
        file = run.metrics_file if step == 0 else run.state_file
        assert line.startswith(f"{file} cannot be written, because the disk is full.")
        assert [load_checkpoint(file).step for file in run.steps()] == list(range(1, step + 1))[-2:]
        assert not list(run.folder.rglob("*.partial"))
        # Still full: another try says the same and changes nothing.
        assert "because the disk is full" in refused([*place.resumed(f"{disk}/run")], said)
        assert state_of(run) == state
        (disk / "filler").unlink()
        assert train.main([*place.resumed(f"{disk}/run"), "--no-report"]) == 0
        assert train.main(words(place, "plain", checkpoint_every=1)) == 0
        assert results(run) == results(Run(place.root / "plain"))


def test_a_full_disk_in_the_middle_of_a_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: Said
) -> None:
    """What the failed writer took is given back, so that there is room to say so."""
    with small_disk(tmp_path / "disk", 2 * 1024) as disk:
        place = Place(tmp_path)
        line = refused(words(place, f"{disk}/run", checkpoint_every=1, keep=9), said, 1)
        run = Run(disk / "run")
        state = state_of(run)
        assert (state["state"], state["reason"]) == ("failed", line)
        assert line.startswith(str(run.checkpoints / "step-0000000"))
        assert "cannot be written: " in line
        assert run.steps() != []
        for file in run.checkpoints.iterdir():
            load_checkpoint(file)


def test_a_report_that_fails(place: Place, said: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    given = [word for word in words(place) if word != "--no-report"]
    with monkeypatch.context() as patch:
        patch.setattr(session, "report", lambda _: 2)
        assert "The report failed; the checkpoints are intact." in refused(given, said, 1)
    run = Run(place.root / "run")
    assert state_of(run)["state"] == "failed"
    assert train.main(place.resumed("run")) == 0
    assert state_of(run)["state"] == "finished"


def test_a_damaged_checkpoint_is_passed_over(
    place: Place, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = stopped_run(place, monkeypatch, checkpoint_every=1, keep=3)
    newest = run.latest()
    assert newest is not None
    whole = newest.read_bytes()
    newest.unlink()
    newest.write_bytes(whole[:5000])
    assert train.main([*place.resumed("run"), "--no-report"]) == 0
    log = run.log_file.read_text()
    assert "step-00000002.pt cannot be read as a checkpoint" in log
    assert "step-00000001.pt: step 1 of 5." in log
    assert train.main(words(place, "plain", checkpoint_every=1, keep=3)) == 0
    assert results(run) == results(Run(place.root / "plain"))
    for file in run.steps():
        file.unlink()
        file.write_bytes(b"")
    assert "step-00000005.pt cannot be read" in refused(place.resumed("run"), said)


def test_a_run_that_never_reached_a_checkpoint_begins_anew(place: Place) -> None:
    run = Run(place.root / "run")
    assert train.main(words(place)) == 0
    wanted = results(run)
    shutil.rmtree(run.checkpoints)
    shutil.rmtree(run.pictures)
    run.write_state("running", step=1)
    assert train.main([*place.resumed("run"), "--no-report"]) == 0
    assert results(run) == wanted


def test_without_labels_there_is_a_run_but_no_report(place: Place) -> None:
    for folder in (place.data / "labels").iterdir():
        folder.unlink()
    (place.data / "classes.txt").unlink()
    given = [word for word in words(place) if word != "--no-report"]
    assert train.main(given) == 0
    run = Run(place.root / "run")
    log = run.log_file.read_text()
    assert "No evaluation: " in log
    assert "27 clusters are learnt" in log
    assert "precision" not in log
    assert log.splitlines()[-1].endswith(
        f"There is no report: {place.data} has no label maps in its split 'val', so there is "
        "nothing to score."
    )
    assert not (run.folder / "report.json").exists()
    assert all("linear_loss" not in line for line in read_metrics(run.metrics_file))
    assert state_of(run)["state"] == "finished"


def test_the_crops_that_a_run_began_with(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Crops that were written meanwhile are not mixed into a run that cut its own."""
    from trainers import crops

    run = stopped_run(place, monkeypatch, crops="five")
    assert crops.main(["folder", "--data", str(place.data), "--workers", "1"]) == 0
    assert train.main([*place.resumed("run"), "--no-report"]) == 0
    assert "Reading the crops" not in run.log_file.read_text()
    assert train.main(words(place, "files", crops="five")) == 0
    assert "Reading the crops in" in (place.root / "files/log.txt").read_text()


def test_another_backbone_under_the_same_name(
    place: Place, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped_run(place, monkeypatch)
    content = torch.load(place.vit, weights_only=True)
    torch.save({name: tensor * 1.1 for name, tensor in content.items()}, place.vit)
    assert "trained on different weights of" in refused(place.resumed("run"), said)
    save_vit(place.vit)
    assert train.main([*place.resumed("run"), "--no-report"]) == 0


@pytest.mark.parametrize("cache", ["off", "on"])
def test_what_breaks_later_stops_or_is_left_out(cache: str, tmp_path: Path) -> None:
    place = Place(tmp_path)
    for name in ("p1", "p7"):  # of training and of evaluation; headers and ends stay as they are
        broken = place.data / f"images/{name}.png"
        raw = bytearray(broken.read_bytes())
        raw[len(raw) // 2 - 40 : len(raw) // 2] = bytes(40)
        broken.write_bytes(raw)
    given = place.words("run", place.config(epochs=2, cache=cache, on_error="skip"))
    assert train.main(given) == 0
    made = json.loads((tmp_path / "run/report.json").read_text())
    assert made["left_out"] == 1
    assert "Warning: 1 training image was left out as unreadable." in made["notes"]
    assert [one["name"] for one in made["skipped"]] == ["p7"]
    assert [one["name"] for one in made["images"]] == ["p3"]
    log = (tmp_path / "run/log.txt").read_text()
    assert log.count(f"Left out: {place.data}/images/p1.png cannot be read") == 1
    # And so it is where the checkpoint is evaluated anew.
    assert Run(tmp_path / "run").state()["left_out"] == 1
    given = place.words("stops", place.config(epochs=2, cache=cache, on_error="stop"))
    assert train.main(given) == 2
