"""Runs that have ended: remembered as long as nothing in their folders looks different."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from trainers.recipes import find
from trainers.runs import settled as module
from trainers.runs.folder import Run, process_identity
from trainers.runs.settled import Settled
from trainers.runs.standing import Reading

LONG_AGO = 1_600_000_000


def run_in(root: Path, state: str = "finished", **facts: Any) -> Path:
    run = Run(root / "run")
    run.write_config(find("samples").config)
    run.checkpoints.mkdir()
    run.state_file.write_text(json.dumps({"state": state, "time": LONG_AGO, **facts}))
    grow_old(run.folder)
    return run.folder


def grow_old(folder: Path, age: float = LONG_AGO) -> None:
    for path in (*folder.iterdir(), folder):
        os.utime(path, (age, age))


def known(settled: Settled, folder: Path) -> bool:
    return folder in settled.among([folder])


def test_a_run_that_has_ended_is_the_same_until_its_folder_changes(tmp_path: Path) -> None:
    folder, settled = run_in(tmp_path), Settled()
    assert not known(settled, folder)
    one = settled.read(folder, Reading())
    assert settled.among([folder])[folder] is one
    changes = [
        lambda: (folder / "notes.json").write_text("{}"),
        lambda: (folder / "state.json").write_text('{"state": "stopped"}'),
        lambda: (folder / "checkpoints/last.pt").write_bytes(b"x"),
        lambda: (folder / "notes.json").unlink(),
    ]
    for change in changes:
        change()
        assert not known(settled, folder)
        # Just changed, it may change again without looking different.
        settled.read(folder, Reading())
        assert not known(settled, folder)
        grow_old(folder)
        settled.read(folder, Reading())
        assert known(settled, folder)
    settled.forget(folder)
    assert not known(settled, folder)


def test_one_that_runs_is_read_every_time(tmp_path: Path) -> None:
    folder, settled = run_in(tmp_path, "running", **process_identity()), Settled()
    assert settled.read(folder, Reading()).state == "running"
    assert not known(settled, folder)


def test_whatever_is_edited_by_hand_is_seen_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, settled = run_in(tmp_path), Settled()
    settled.read(folder, Reading())
    assert known(settled, folder)
    now = module.time.time()
    monkeypatch.setattr(module.time, "time", lambda: now + 3 * module.AGAIN)
    assert not known(settled, folder)


def test_one_that_is_gone_is_not_known(tmp_path: Path) -> None:
    folder, settled = run_in(tmp_path), Settled()
    settled.read(folder, Reading())
    folder.rename(tmp_path / "other")
    assert not known(settled, folder)
