"""What is new since somebody last looked: by byte offset, thinned, bounded."""

from __future__ import annotations

import json
import math
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from trainers.config import Config
from trainers.runs import watching
from trainers.runs.folder import Run
from trainers.runs.lines import parse
from trainers.runs.metrics import Metrics
from trainers.runs.table import POINTS
from trainers.runs.watching import (
    LOG_BYTES,
    Cursor,
    Watching,
    log_part,
    picture_file,
    pictures,
    search_log,
)


def line(step: int, kind: str = "step", **numbers: Any) -> str:
    return json.dumps({"kind": kind, "step": step, **numbers}) + "\n"


def add(folder: Path, text: str) -> None:
    with (folder / "metrics.jsonl").open("a") as stream:
        stream.write(text)


def look(
    watch: Watching, folder: Path, cursor: dict[str, int] | None = None
) -> tuple[dict[str, Any], dict[str, int]]:
    reply = watch.changes(folder, Cursor(**(cursor or {})))
    return reply, reply["cursor"]


def test_only_new_rows_are_told_and_half_lines_wait(tmp_path: Path) -> None:
    watch = Watching()
    add(tmp_path, line(1, loss=3.0) + line(2, loss=2.0, precision=None))
    reply, cursor = look(watch, tmp_path)
    assert reply["series"] == {"step": {"loss": {"x": [1, 2], "y": [3.0, 2.0]}}}
    whole = line(3, loss=1.0, precision=0.5)
    add(tmp_path, whole[:20])
    reply, cursor = look(watch, tmp_path, cursor)
    assert reply["series"] == {}
    add(tmp_path, whole[20:] + line(3, "validation", split="val", cluster_miou=12.5))
    reply, cursor = look(watch, tmp_path, cursor)
    assert not reply["reset"]
    assert reply["series"] == {
        "step": {"loss": {"x": [3], "y": [1.0]}, "precision": {"x": [3], "y": [0.5]}},
        "validation": {"cluster_miou": {"x": [3], "y": [12.5]}},
    }
    assert look(watch, tmp_path, cursor)[0]["series"] == {}


def test_a_run_that_goes_on_from_an_earlier_step_is_read_anew(tmp_path: Path) -> None:
    run, watch = Run(tmp_path), Watching()
    run.write_config(Config())
    metrics = Metrics(run, from_step=0)
    for step in range(1, 6):
        metrics.write("step", step, loss=float(step))
    metrics.close()
    _, cursor = look(watch, tmp_path)
    metrics = Metrics(run, from_step=2)
    metrics.write("step", 3, loss=30.0)
    metrics.close()
    reply, cursor = look(watch, tmp_path, cursor)
    assert reply["reset"]
    assert reply["series"]["step"]["loss"] == {"x": [1, 2, 3], "y": [1.0, 2.0, 30.0]}
    # Likewise for a studio that was restarted meanwhile, and a page that was not.
    reply, _ = look(Watching(), tmp_path, cursor)
    assert (reply["reset"], reply["series"]) == (False, {})
    add(tmp_path, line(4, loss=1.0))
    (tmp_path / "metrics.jsonl").write_text(line(1, loss=9.0))
    reply, cursor = look(watch, tmp_path, cursor)
    assert reply["reset"]
    (tmp_path / "metrics.jsonl").unlink()
    reply, _ = look(watch, tmp_path, cursor)
    assert reply["reset"]
    assert reply["series"] == {}


def test_nothing_is_parsed_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    watch, parsed = Watching(), []

    def counting(data: bytes) -> Any:
        parsed.append(data.count(b"\n"))
        return parse(data)

    monkeypatch.setattr(watching, "parse", counting)
    add(tmp_path, "".join(line(step, loss=1.0) for step in range(100)))
    _, cursor = look(watch, tmp_path)
    assert sum(parsed) == 100
    look(watch, tmp_path, cursor)
    look(watch, tmp_path)  # another page
    assert sum(parsed) == 100
    add(tmp_path, line(100, loss=1.0))
    look(watch, tmp_path, cursor)
    assert sum(parsed) == 101


def test_a_call_parses_a_bounded_amount(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "METRICS_BYTES", 1000)
    monkeypatch.setattr(watching, "READING_SECONDS", 0)
    add(tmp_path, "".join(line(step, loss=1.0) for step in range(200)))
    watch, cursor, seen, calls = Watching(), None, 0, 0
    while True:
        reply, cursor = look(watch, tmp_path, cursor)
        seen += len(reply["series"].get("step", {}).get("loss", {"x": []})["x"])
        calls += 1
        if not reply["more"]:
            break
    assert seen == 200
    assert calls == pytest.approx((tmp_path / "metrics.jsonl").stat().st_size / 1000, abs=2)


def test_nobody_waits_for_somebody_else_who_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One page reads a long file; another looks at the same run, and at one more, meanwhile."""
    for name in ("long", "short"):
        (tmp_path / name).mkdir()
    add(tmp_path / "long", "".join(line(step, loss=1.0) for step in range(200)))
    add(tmp_path / "short", line(1, loss=1.0))
    monkeypatch.setattr(watching, "METRICS_BYTES", 1000)
    watch, parts, looked = Watching(), 0, []

    def in_between(data: bytes) -> Any:
        nonlocal parts
        parts += 1
        if parts == 3:
            looked.append(look(watch, tmp_path / "short")[0])
            other.start()
            other.join(60)
        return parse(data)

    def look_at_the_same() -> None:
        looked.append(watch.changes(tmp_path / "long", Cursor(), until=math.inf))

    other = threading.Thread(target=look_at_the_same)
    monkeypatch.setattr(watching, "parse", in_between)
    reply = watch.changes(tmp_path / "long", Cursor(), until=math.inf)
    assert not other.is_alive()
    assert (reply["more"], reply["cursor"]["step"]) == (False, 200)
    assert [(one["more"], one["cursor"]["step"]) for one in looked] == [(False, 1), (True, 0)]


def test_rows_do_not_mix_where_many_look(tmp_path: Path) -> None:
    text = "".join(line(step, loss=step / 3) for step in range(3000))
    add(tmp_path, text)
    watch, found = Watching(), []

    def follow() -> None:
        cursor: dict[str, int] = {}
        steps: list[int] = []
        more = True
        while more:
            reply = watch.changes(tmp_path, Cursor(**cursor), until=0)
            steps += reply["series"].get("step", {}).get("loss", {"x": []})["x"]
            cursor, more = reply["cursor"], reply["more"]
        found.append((steps[0], steps[-1], steps == sorted(steps), cursor["step"]))

    threads = [threading.Thread(target=follow) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert found == [(0, 2999, True, 3000)] * 4


def test_a_range_of_steps_comes_finer(tmp_path: Path) -> None:
    add(tmp_path, "".join(line(step, loss=1.0) for step in range(2000)))
    watch = Watching()
    assert watch.between(tmp_path, 0, 10)["series"] == {}  # nobody has read it yet
    _, cursor = look(watch, tmp_path)
    reply = watch.between(tmp_path, 100, 104.5)
    assert reply["file"] == cursor["file"]
    assert reply["series"] == {"step": {"loss": {"x": [100, 101, 102, 103, 104], "y": [1.0] * 5}}}


def test_lines_that_make_no_sense_are_left_out(tmp_path: Path) -> None:
    add(
        tmp_path,
        'nonsense\n[]\n{"kind": "step"}\n{"kind": [], "step": 1}\n{"kind": "x", "step": 1}\n',
    )
    add(tmp_path, line(2**70, loss=1) + line(1, loss="high", on=True, lr=0.5))
    reply, _ = look(Watching(), tmp_path)
    assert reply["series"] == {"step": {"lr": {"x": [1], "y": [0.5]}}}


def test_a_late_column_begins_where_it_begins(tmp_path: Path) -> None:
    add(tmp_path, line(1, loss=1.0) + line(2, loss=1.0) + line(3, other=5.0))
    reply, _ = look(Watching(), tmp_path)
    assert reply["series"]["step"]["other"] == {"x": [3], "y": [5.0]}
    assert Watching().latest(tmp_path) == {"loss": 1.0, "other": 5.0}


def test_hostile_cursors_give_the_beginning(tmp_path: Path) -> None:
    add(tmp_path, line(1, loss=1.0))
    (tmp_path / "log.txt").write_text("a\n")
    for number in (10**9, 10**30):
        reply, _ = look(Watching(), tmp_path, {"file": number, "step": number, "log": number})
        assert reply["reset"]
        assert reply["series"]["step"]["loss"]["x"] == [1]
        assert reply["log"] == "a\n"


# --- the log


def test_the_log_comes_in_whole_lines_from_its_end(tmp_path: Path) -> None:
    log = tmp_path / "console.txt"
    log.write_bytes(b"one\ntwo\nhal")
    part = log_part(tmp_path, -1)
    assert (part.text, part.gap) == ("one\ntwo\n", False)
    assert log_part(tmp_path, part.offset).text == ""
    with log.open("ab") as stream:
        stream.write("f a line ü\n\xff".encode() + b"\xff\n")
    part = log_part(tmp_path, part.offset)
    assert part.text.startswith("half a line ü\n")
    log.write_bytes(b"anew\n")
    assert log_part(tmp_path, part.offset).text == "anew\n"


def test_a_long_log_is_told_from_its_end(tmp_path: Path) -> None:
    lines = [f"line {n}\n" for n in range(20_000)]
    (tmp_path / "console.txt").write_text("".join(lines))
    part = log_part(tmp_path, 0)
    assert part.gap
    assert len(part.text) <= LOG_BYTES
    assert part.text.splitlines()[0] in {line.strip() for line in lines}
    assert part.text.endswith(lines[-1])


def test_the_log_is_searched(tmp_path: Path) -> None:
    (tmp_path / "log.txt").write_text("Step 1\nWarning: <b>odd</b>\nstep 2\n")
    assert search_log(tmp_path, "STEP") == [
        {"line": 1, "text": "Step 1"},
        {"line": 3, "text": "step 2"},
    ]
    assert search_log(tmp_path, "<b>")[0]["text"] == "Warning: <b>odd</b>"
    assert search_log(tmp_path, "[a-z]") == []
    assert search_log(tmp_path / "none", "a") == []


# --- pictures


def test_pictures_are_listed_by_step_and_nothing_else_is_one(tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name in ("step-00000012-image-0003.png", "step-00000005-image-0003.png"):
        (folder / name).write_bytes(b"png")
    (folder / "notes.png").write_bytes(b"")
    (folder / "step-00000007-image-0001.png").symlink_to("/etc/passwd")
    assert pictures(tmp_path)["steps"] == [5, 7, 12]
    assert picture_file(tmp_path, 12, 3) == folder / "step-00000012-image-0003.png"
    assert picture_file(tmp_path, 7, 1) is None
    assert picture_file(tmp_path, 99, 3) is None


def test_twenty_long_runs_are_cheap_to_look_at_again(tmp_path: Path) -> None:
    """Not by the clock of a busy machine, but by what is read: nothing."""
    text = "".join(line(step, loss=step * 0.5, precision=0.5) for step in range(5000))
    watch, cursors = Watching(), {}
    for n in range(20):
        (tmp_path / str(n)).mkdir()
        add(tmp_path / str(n), text)
        reply, cursors[n] = look(watch, tmp_path / str(n))
        assert len(reply["series"]["step"]["loss"]["x"]) <= POINTS
    began = time.process_time()
    replies = [look(watch, tmp_path / str(n), cursors[n])[0] for n in range(20)]
    assert time.process_time() - began < 1
    assert len(json.dumps(replies)) < 20 * 400
