"""Scores for lists: from whatever reports and metrics hold, each file read as often as needed."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from ppap.evaluation.report import FORMAT
from tests.support.counted_runs import finish_counted
from trainers.runs import scores as module
from trainers.runs.scores import REPORTED, VALIDATED, Score, ScoreReader, Scores, from_report

LONG_AGO = 1_600_000_000


def report(folder: Path, miou: float, step: int = 100, age: float = LONG_AGO, **more: Any) -> None:
    scores = {"accuracy": 80.0, "miou": miou}
    raw = {"format": FORMAT, "step": step, "dataset": {"split": "val"}, "cluster": scores, **more}
    folder.mkdir(exist_ok=True)
    (folder / "report.json").write_text(json.dumps(raw))
    os.utime(folder / "report.json", (age, age))


def validation(step: int, miou: float, split: str = "val") -> str:
    record = {"kind": "validation", "step": step, "split": split, "cluster_miou": miou}
    return json.dumps(record) + "\n"


def steps(count: int, first: int = 1) -> str:
    return "".join(json.dumps({"kind": "step", "step": first + i}) + "\n" for i in range(count))


def of(reader: ScoreReader, folder: Path, *, ended: bool = True) -> Scores:
    found = reader.of(folder, ended=ended)
    assert found is not None
    return found


def test_a_report_gives_the_probes_refinements_and_starts(tmp_path: Path) -> None:
    finish_counted(tmp_path / "run", 0.8, 1, crf=True, starts=2)
    found = of(ScoreReader(), tmp_path / "run")
    assert (found.source, found.step, found.split, found.reservation) == (REPORTED, 1, "val", "")
    assert [row.way for row in found.rows] == ["", "crf", "noise", "spread", "merged", "linkage"]
    written = json.loads((tmp_path / "run/report.json").read_text())
    assert found.rows[0] == Score(
        "",
        written["cluster"]["accuracy"],
        written["cluster"]["miou"],
        written["linear"]["accuracy"],
        written["linear"]["miou"],
    )
    trained = next(
        row
        for row in written["starts"]["rows"]
        if row["start"] == "merged" and row["features"] == "trained"
    )
    assert found.rows[4] == Score("merged", trained["accuracy"], trained["miou"])
    json.dumps(found.as_dict())


@pytest.mark.parametrize(
    "raw",
    [
        None,
        [],
        {},
        {"format": "another", "cluster": {"miou": 5}},
        {"format": FORMAT},
        {"format": FORMAT, "cluster": 5, "linear": []},
        {"format": FORMAT, "cluster": {"miou": "5", "accuracy": True}},
        {"format": FORMAT, "cluster": {"miou": 101, "accuracy": -1}},
        {"format": FORMAT, "cluster": {"miou": 10**400}},
    ],
)
def test_what_is_no_report_gives_nothing(raw: Any) -> None:
    assert from_report(raw) is None


@pytest.mark.parametrize("indent", [None, 1, 2])
@pytest.mark.parametrize("images", [0, 1, 5])
def test_scores_of_each_image_are_passed_over(indent: int | None, images: int) -> None:
    each = {"name": '\n ],"cluster": 5', "cluster": {"miou": 1.0, "rows": [[1], []]}}
    raw = {"format": FORMAT, "images": [each] * images, "cluster": {"miou": 5.0}, "crf": [[]]}
    content = json.dumps(raw, indent=indent).encode()
    short = module.without_images(content)
    left = [] if indent == 1 else raw["images"]
    assert json.loads(short) == {**raw, "images": left}
    for cut in range(0, len(content), 7):  # damaged anywhere, it is no more than that
        module.without_images(content[:cut])


def test_odd_parts_are_left_out() -> None:
    raw = {
        "format": FORMAT,
        "cluster": {"miou": 5},
        "step": "x",
        "dataset": 1,
        "crf": {"cluster": {"miou": None}},
        "pamr": 5,
        "starts": {"rows": [1, {"features": "trained", "start": []}, {"start": "noise"}]},
        "inference": {"mirror": True},
        "selection": {"flatters": True},
    }
    found = from_report(raw)
    assert found is not None
    assert found.rows == (Score("", None, 5.0),)
    assert (found.step, found.split) == (None, "")
    assert "selected on the reported split" in found.reservation
    assert "several passes" in found.reservation


def test_without_a_report_the_last_validation_counts(tmp_path: Path) -> None:
    file = tmp_path / "metrics.jsonl"
    reader = ScoreReader()
    assert reader.of(tmp_path, ended=True) is None
    file.write_text(steps(5))
    assert reader.of(tmp_path, ended=False) is None
    with file.open("a") as stream:
        stream.write(validation(5, 20.0, "held out") + steps(3, 6))
    found = of(reader, tmp_path)
    assert (found.source, found.step, found.split) == (VALIDATED, 5, "held out")
    assert found.rows == (Score("", None, 20.0),)
    # A line that is half written does not count yet.
    line = validation(8, 30.0)
    with file.open("a") as stream:
        stream.write(line[:30])
    assert of(reader, tmp_path).step == 5
    with file.open("a") as stream:
        stream.write(line[30:])
    assert of(reader, tmp_path).step == 8
    # Of a run that goes on from an earlier step, the file is another.
    other = tmp_path / "other"
    other.write_text(validation(2, 10.0) + steps(100))
    other.replace(file)
    assert of(reader, tmp_path).step == 2


@pytest.mark.parametrize("block", [64, 100, 101, 4096])
def test_a_validation_is_found_wherever_blocks_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    monkeypatch.setattr(module, "BLOCK", block)
    for after in range(4):
        folder = tmp_path / f"{block}-{after}"
        folder.mkdir()
        odd = '{"kind": "validation", "step": 9, "cluster_miou": null}\n"validation"\n'
        content = validation(1, 1.0) + steps(20) + validation(3, 33.0) + odd + steps(7 * after)
        (folder / "metrics.jsonl").write_text(content)
        # A line is never longer than a block.
        wanted = 33.0 if block >= 100 else None
        found = ScoreReader().of(folder, ended=True)
        if wanted is not None:
            assert found is not None
            assert found.rows[0].u_miou == wanted


def test_only_what_is_new_of_metrics_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "metrics.jsonl"
    file.write_text(validation(1, 1.0) + steps(2000))
    read: list[int] = []
    looked = module._in_block

    def counted(block: bytes) -> Scores | None:
        read.append(len(block))
        return looked(block)

    monkeypatch.setattr(module, "_in_block", counted)
    reader = ScoreReader()
    assert of(reader, tmp_path).step == 1
    assert sum(read) == file.stat().st_size
    read.clear()
    of(reader, tmp_path)
    assert read == []
    with file.open("a") as stream:
        stream.write(steps(1, 2001))
    assert of(reader, tmp_path).step == 1
    assert sum(read) == len(steps(1, 2001))


def test_an_old_report_counts_until_the_run_has_validated_later(tmp_path: Path) -> None:
    report(tmp_path, 40.0, step=100)
    file = tmp_path / "metrics.jsonl"
    file.write_text(validation(100, 39.0))
    reader = ScoreReader()
    assert of(reader, tmp_path, ended=False).source == REPORTED
    with file.open("a") as stream:
        stream.write(validation(200, 45.0))
    assert of(reader, tmp_path, ended=False).step == 200
    # Ended, it is the report that counts: its checkpoint may have been chosen.
    assert of(reader, tmp_path, ended=True).source == REPORTED


def test_a_report_is_read_again_when_it_has_changed_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    count: list[Path] = []
    read = module.read_report

    def counted(file: Path) -> Scores | None:
        count.append(file)
        return read(file)

    monkeypatch.setattr(module, "read_report", counted)
    report(tmp_path, 40.0)
    reader = ScoreReader()
    assert not reader.knows(tmp_path)
    for _ in range(3):
        assert of(reader, tmp_path).rows[0].u_miou == 40.0
    assert reader.knows(tmp_path)
    assert len(count) == 1
    report(tmp_path, 41.0, age=LONG_AGO + 1)
    assert not reader.knows(tmp_path)
    assert of(reader, tmp_path).rows[0].u_miou == 41.0
    (tmp_path / "report.json").unlink()
    assert reader.of(tmp_path, ended=True) is None
    assert reader.knows(tmp_path)


def test_one_that_is_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report(tmp_path, 40.0)
    monkeypatch.setattr(module, "LARGEST_REPORT", 10)
    assert ScoreReader().of(tmp_path, ended=True) is None


def test_so_many_are_remembered_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST", 3)
    reader = ScoreReader()
    for number in range(10):
        report(tmp_path / str(number), number)
        assert of(reader, tmp_path / str(number)).rows[0].u_miou == number
        assert len(reader._reports) <= 3
