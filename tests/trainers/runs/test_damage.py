"""Files in a run's folder that anybody may have edited: any field, any wrong type, any bytes.

One damaged run must neither take the list of runs down nor end a resume in a traceback.
"""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from ppap.settings import SettingError
from ppap.studio.checkpoints import Checkpoints
from ppap.studio.sources import Sources
from trainers.config import Config
from trainers.launching.runner import Runner
from trainers.processes import Identity
from trainers.runs import standing as module
from trainers.runs.folder import LAST, Run, RunError
from trainers.runs.launch import LAUNCH, Launch, is_alive, read_launch, write_launch
from trainers.runs.metrics import Metrics, cut, read_metrics
from trainers.runs.standing import Reading, standing, unlearnt

WRONG: list[Any] = [
    None, True, -1, 0, 2**31, 2**63, 10**400, 1.5, math.nan, math.inf, 1e300, "", "text", "\ud800",
    "x" * 20_000, [], [1], [[]], {}, {"a": 1}, {"recipe": []}, [None, None, None], ["\0"],
]  # fmt: skip
ABOUT = {
    "recipe": "samples",
    "data": None,
    "settings": {"seed": "1"},
    "config": {"recipe": "samples", "device": "cpu"},
}
LAUNCHED = Launch(
    ("-m", "trainers.train", "samples"),
    "cpu",
    "cpu",
    1000.0,
    about=ABOUT,
    began=1001.0,
    keeper=Identity(2**22 + 7, 5.0, "boot"),
    trainer=Identity(2**22 + 8, None),
    ended=1002.0,
    code=1,
)
STATE = {
    "state": "running", "pid": 2**22 + 9, "started": 3.0, "time": 1001.5, "data": "/data",
    "step": 3, "steps": 9, "time_left": 4.0, "seconds": 5.0, "images_per_second": 6.0,
    "reason": "why", "doing": "report", "unlearnt": "",
}  # fmt: skip
REPORT = {"cluster": {"accuracy": 1.0, "miou": 2.0}, "crf": {"linear": {"miou": 3.0}}}


def changed(usual: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every field left out, and with every wrong value; and every part of one that has parts."""
    for name, value in usual.items():
        yield {other: kept for other, kept in usual.items() if other != name}
        for wrong in WRONG:
            yield {**usual, name: wrong}
            if isinstance(value, list | tuple) and value:
                yield {**usual, name: [wrong, *value[1:]]}
            if isinstance(value, dict):
                for inner in value:
                    yield {**usual, name: {**value, inner: wrong}}


@pytest.fixture
def runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runner:
    """Two runs: one that is sound and one that is not. What seems to wait is not started."""
    monkeypatch.setattr("trainers.launching.queue.start", lambda *_: None)
    for name in ("sound", "broken"):
        folder = tmp_path / "runs" / name
        (folder / "checkpoints").mkdir(parents=True)
        (folder / "checkpoints" / LAST).touch()
        write_launch(folder, LAUNCHED)
        (folder / "config.json").write_text(json.dumps({**Config(recipe="samples").as_dict()}))
        (folder / "state.json").write_text(json.dumps(STATE))
        (folder / "metrics.jsonl").write_text('{"kind": "step", "step": 1, "loss": 0.5}\n')
        (folder / "report.json").write_text(json.dumps(REPORT))
    return Runner(tmp_path / "runs")


def look(runner: Runner) -> None:
    """Everything that the Train page asks for; what it gets can be sent and shown."""
    runner.reading = Reading()
    listed = [one.as_dict() for one in runner.runs()]
    assert {one["name"] for one in listed} == {"sound", "broken"}
    found: list[Any] = [listed, runner.settings("broken"), runner.last_lines("broken")]
    found.append(runner.compare(["sound", "broken"]))
    found.append(runner.watching.latest(runner.root / "broken"))
    for asked in (runner.about, runner.command):
        try:
            found.append(asked("broken"))
        except SettingError as error:
            found.append(str(error))
    for one in listed:
        texts = (one[n] for n in ("text", "recipe", "rule", "device", "state", "unlearnt"))
        assert all(isinstance(text, str) for text in texts)
        assert one["data"] is None or isinstance(one["data"], str)
        assert type(one["step"]) is type(one["steps"]) is int
    checkpoints = Checkpoints(runner.root, Sources([], uploads=runner.root, any_folder=False))
    found.append(checkpoints.listed())
    json.dumps(found, allow_nan=False).encode()
    text = json.dumps(found, ensure_ascii=False, allow_nan=False)
    assert len(text.encode("utf-8")) < 2**20
    assert max((abs(n) for n in numbers(found)), default=0) < 2**63


def numbers(value: Any) -> Iterator[float]:
    if isinstance(value, int | float):
        yield value
    elif isinstance(value, dict | list | tuple):
        for one in value.values() if isinstance(value, dict) else value:
            yield from numbers(one)


@pytest.mark.parametrize("field", asdict(LAUNCHED))
def test_any_field_of_a_launch(runner: Runner, field: str) -> None:
    file = runner.root / "broken" / LAUNCH
    usual = json.loads(json.dumps(asdict(LAUNCHED)))
    assert read_launch(file.parent) == LAUNCHED
    for raw in changed({field: usual[field]}):
        file.write_text(json.dumps({**{n: v for n, v in usual.items() if n != field}, **raw}))
        look(runner)
        launch = read_launch(file.parent)
        if launch is not None:  # sound enough to be written again
            write_launch(file.parent, launch)
            assert read_launch(file.parent) == launch
        is_alive(file.parent)


@pytest.mark.parametrize("field", STATE)
def test_any_field_of_a_state(runner: Runner, field: str) -> None:
    folder = runner.root / "broken"
    for launched in (True, False):
        if not launched:
            (folder / LAUNCH).unlink()
        for raw in changed({field: STATE[field]}):
            rest = {n: v for n, v in STATE.items() if n != field}
            (folder / "state.json").write_text(json.dumps({**rest, **raw}))
            look(runner)


def test_any_setting_and_any_report(runner: Runner) -> None:
    folder = runner.root / "broken"
    config = {**Config(recipe="samples").as_dict()}
    some = ("recipe", "rule", "device", "phi0", "batch", "crf", "max_steps", "probe_epochs")
    for raw in changed({name: config[name] for name in some}):
        (folder / "config.json").write_text(json.dumps(raw))
        look(runner)
    for raw in changed(REPORT):
        (folder / "report.json").write_text(json.dumps(raw))
        look(runner)


BYTES = [
    b"", b"{", b"[]", b"null", b"1", b'"text"', b"\xff\xfe", b'{"a": "\xe9"}', b"\0" * 100,
    b"[" * 100_000, b'{"a":' * 100_000, b'{"step": 1e999}', b"\xef\xbb\xbf{}",
    "{}".encode("utf-16"),
]  # fmt: skip


@pytest.mark.parametrize("name", [LAUNCH, "config.json", "state.json", "metrics.jsonl",
                                  "report.json"])  # fmt: skip
def test_any_bytes(runner: Runner, name: str) -> None:
    file = runner.root / "broken" / name
    for content in BYTES:
        file.write_bytes(content)
        look(runner)
    file.unlink()
    file.mkdir()
    if name != LAUNCH:
        look(runner)


LINES: list[Any] = [
    {"kind": "step", "step": 2, "loss": 10**400},
    {"kind": "step", "step": 2, "loss": 1e300},
    {"kind": "step", "step": 2, "loss": math.nan},
    {"kind": "step", "step": 2, "loss": "0.5", "\ud800": 1.0, "x" * 5000: 2},
    {"kind": "step", "step": "2", "loss": 1},
    {"kind": "step", "step": 2.5},
    {"kind": "step", "step": 10**30},
    {"kind": "step", "step": -1},
    {"kind": ["step"], "step": 2},
    {"kind": "other", "step": 2},
    {"kind": "step"},
    [],
    None,
]


def test_any_line_of_metrics(runner: Runner) -> None:
    file = runner.root / "broken/metrics.jsonl"
    sound = '{"kind": "step", "step": 3, "loss": 0.25}\n'
    for line in LINES:
        runner.watching.forget(file.parent)
        file.write_text(json.dumps(line) + "\n" + sound)
        look(runner)
        assert runner.watching.latest(file.parent)["loss"] == 0.25


def test_one_damaged_launch_leaves_the_others_what_they_are(runner: Runner) -> None:
    (runner.root / "broken" / LAUNCH).write_text(json.dumps({**asdict(LAUNCHED), "asked": "now"}))
    (runner.root / "broken/state.json").unlink()
    found = {one.name: one for one in runner.runs()}
    assert found["sound"].code == 1
    assert found["broken"].state == "failed"
    assert found["broken"].text == "Its launch.json is damaged, so its state is unknown."
    (runner.root / "broken/config.json").unlink()
    with pytest.raises(SettingError, match="settings of broken cannot be read"):
        runner.resume("broken")


# --- metrics that a resume reads


def test_bytes_that_are_no_text_do_not_end_a_resume(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = Run(tmp_path)
    lines = [
        b'{"kind": "step", "step": 1, "loss": 0.5}',
        '{"kind": "validation", "step": 1, "split": "Stra\xdfe"}'.encode("latin-1"),
        b"\xff\xfe\x00\x01",
        b'{"kind": "step", "step": 2, "loss": 0.4}',
        '{"kind": "validation", "step": 2, "split": "a\u2028b"}'.encode(),
        b'{"kind": "step", "step": 3}',
    ]
    whole = b"\n".join(lines) + b'\n{"kind": "st\xc3'
    run.metrics_file.write_bytes(whole)
    logger = logging.getLogger("trainers")
    logger.propagate = True
    metrics = Metrics(run, from_step=2)
    metrics.write("step", 3, loss=0.3)
    metrics.close()
    # What can be understood stays, byte for byte; what cannot is kept beside.
    assert run.metrics_file.read_bytes().split(b"\n")[:4] == [lines[i] for i in (0, 1, 3, 4)]
    assert [line["step"] for line in read_metrics(run.metrics_file)] == [1, 1, 2, 2, 3]
    assert (tmp_path / "metrics.damaged-1.jsonl").read_bytes() == whole
    assert "1 line of it cannot be read and is left out" in caplog.text
    assert "kept as metrics.damaged-1.jsonl" in caplog.text
    # Sound by now: nothing more is said.
    caplog.clear()
    Metrics(run, from_step=3).close()
    assert caplog.text == ""


def test_several_damaged_files_are_all_kept(tmp_path: Path) -> None:
    run = Run(tmp_path)
    for count in (1, 2, 3):
        run.metrics_file.write_bytes(b"\xff" * count + b"\n")
        Metrics(run, from_step=2).close()
        assert (tmp_path / f"metrics.damaged-{count}.jsonl").read_bytes() == b"\xff" * count + b"\n"


@pytest.mark.parametrize("content", BYTES)
def test_metrics_of_any_bytes(tmp_path: Path, content: bytes) -> None:
    run = Run(tmp_path)
    run.metrics_file.write_bytes(content + b"\n")
    assert cut(run.metrics_file.read_bytes(), 9).lines == []
    metrics = Metrics(run, from_step=9)
    metrics.write("step", 10)
    metrics.close()
    assert [line["step"] for line in read_metrics(run.metrics_file)] == [10]


# --- what has not learnt


def test_a_run_that_an_earlier_version_cut_off(tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    run.checkpoints.mkdir(parents=True)
    run.write_config(Config(recipe="camvid", max_steps=40, probe_epochs=5))
    said = {"state": "finished", "step": 40, "steps": 40}
    run.state_file.write_text(json.dumps(said))
    found = standing(run.folder)
    assert found.state == "finished"
    assert found.text == found.unlearnt
    assert found.text.startswith("max_steps ended it before its probes were trained")
    assert found.resumable
    for config, state in (
        ({"max_steps": 40}, said),  # the probes learnt beside the network
        ({"max_steps": 0, "probe_epochs": 5}, said),
        ({"max_steps": 40, "probe_epochs": 5}, {**said, "step": 45, "steps": 45}),
        ({"max_steps": 40, "probe_epochs": 5}, {**said, "unlearnt": ""}),  # of today's version
        ({"max_steps": 40, "probe_epochs": 5}, {**said, "state": "stopped"}),
    ):
        assert unlearnt(config, state) == ""


def test_what_has_not_learnt_is_listed(tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    run.write_config(Config())
    run.write_state("stopped", step=3, steps=9, unlearnt="The probes have not learnt.")
    found = standing(run.folder)
    assert (found.text, found.unlearnt) == ("The probes have not learnt.",) * 2
    run.write_state("running")  # lasts, but says nothing while it goes on
    assert run.state()["unlearnt"]
    assert standing(run.folder).unlearnt == ""


# --- disks with coarse times


def test_a_change_within_a_coarse_second_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Same time, same size, and the same number as before: only reading again tells."""
    file = tmp_path / "state.json"
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    reading = Reading()
    reads: list[Path] = []
    real = module.read_json

    def counting(file: Path, most: int) -> dict[str, Any]:
        reads.append(file)
        return real(file, most)

    monkeypatch.setattr(module, "read_json", counting)

    def write(word: str) -> None:
        file.write_text(json.dumps({"state": word}))
        stamp = time.time() // 1 - 1000
        module.os.utime(file, (stamp, stamp))

    write("running")
    assert reading.json(file) == {"state": "running"}
    write("stopped")
    assert reading.json(file) == {"state": "stopped"}
    now[0] += module.SETTLED_SECONDS + 1
    count = len(reads)
    assert reading.json(file) == {"state": "stopped"}
    assert len(reads) == count  # by now it would look different


def test_a_config_that_cannot_be_read_names_its_file(tmp_path: Path) -> None:
    for content in (b"\xff", b"[" * 100_000, b"[]"):
        (tmp_path / "config.json").write_bytes(content)
        with pytest.raises(RunError, match=r"config\.json"):
            Run(tmp_path).config()
