"""Rules against each other: which runs are made, and what becomes of their numbers."""

from __future__ import annotations

import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ppap.evaluation.paired import Interval
from tests.support import layouts
from tests.support.counted_runs import finish_counted
from trainers import compare
from trainers.ablations.cells import COLUMNS, Cell, cell
from trainers.compare import Task, as_csv, as_markdown, main, row
from trainers.runs.folder import Run


def made(folder: Path, rule: str, seed: int, first: float, *, crf: bool = True) -> Task:
    """A finished run whose numbers count up from ``first``."""
    run = Run(folder / f"{rule}-seed{seed}")
    run.folder.mkdir(parents=True)
    values = iter(range(100))

    def part() -> dict[str, Any]:
        return {
            probe: {measure: first + next(values) for measure in ("accuracy", "miou")}
            for probe in ("cluster", "linear")
        }

    report: dict[str, Any] = {**part()}
    if crf:
        report["crf"] = part()
    (run.folder / "report.json").write_text(json.dumps(report))
    run.state_file.write_text(json.dumps({"state": "finished", "seconds": 120}))
    return Task(rule, seed, run)


def test_a_cell_is_the_mean_and_the_sample_deviation() -> None:
    assert cell([1, 2, 6]).mean == 3
    assert cell([1, 2, 6]).deviation == pytest.approx(math.sqrt(7))
    assert str(cell([1, 2, 6])) == "3.0 ± 2.6"
    assert str(cell([1.26])) == "1.3"
    assert str(Cell(math.nan, math.nan)) == "–"


def test_a_row_reads_every_number_of_its_rule_and_no_other(tmp_path: Path) -> None:
    tasks = [made(tmp_path, "ppap", 0, 10), made(tmp_path, "ppap", 1, 14)]
    tasks += [made(tmp_path, "tps", 0, 50)]
    found = row(tasks, "ppap")
    names = [name for name, _, _ in COLUMNS]
    expected = [*names, *(f"{name}, CRF" for name in names)]
    assert list(found) == [*expected, "minutes"]
    assert [found[name].mean for name in expected] == [12, 13, 14, 15, 16, 17, 18, 19]
    assert found["minutes"].mean == 2


def test_runs_that_are_not_finished_do_not_count(tmp_path: Path) -> None:
    task = made(tmp_path, "ppap", 0, 10)
    task.run.state_file.write_text(json.dumps({"state": "stopped"}))
    assert row([task], "ppap") == {}


def test_the_table_has_crf_columns_only_where_there_was_one(tmp_path: Path) -> None:
    plain = row([made(tmp_path, "ppap", 0, 10, crf=False)], "ppap")
    assert "CRF" not in as_markdown({"ppap": plain}, [0])
    both = row([made(tmp_path, "tps", 0, 10)], "tps")
    lines = as_markdown({"ppap": plain, "tps": both}, [0]).splitlines()
    assert lines[0].count("CRF") == 4
    assert "| PPAP | 10.0 | 11.0 | 12.0 | 13.0 | – | – | – | – | 2.0 |" in lines
    assert "tps,U-Acc,10.0000,nan" in as_csv({"tps": both}).splitlines()


def test_what_is_finished_is_not_done_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made(tmp_path, "ppap", 0, 10)
    asked: list[list[str]] = []

    def run(words: list[str], **_: Any) -> Any:
        asked.append(words)
        out = Path(words[words.index("--out") + 1])
        rule, seed = out.name.split("-seed")
        for file in out.iterdir():
            file.unlink()
        out.rmdir()
        made(tmp_path, rule, int(seed), 20)
        return type("Done", (), {"returncode": 0})

    monkeypatch.setattr(compare.subprocess, "run", run)
    layouts.camvid(tmp_path / "data")
    given = ["camvid", "--data", str(tmp_path / "data"), "--out", str(tmp_path)]
    assert main([*given, "--rules", "frozen", "ppap", "--seeds", "0", "1", "--set", "lr=0.1"]) == 0
    changes = [words[words.index("--set") + 1 : words.index("--data")] for words in asked]
    assert changes == [
        ["rule=frozen", "seed=0", "lr=0.1", "epochs=0"],
        ["rule=frozen", "seed=1", "lr=0.1", "epochs=0"],
        ["rule=ppap", "seed=1", "lr=0.1"],
    ]
    printed = capsys.readouterr().out
    assert printed == (tmp_path / "table.md").read_text()
    assert "| PPAP | 15.0 ± 7.1 |" in printed
    table = json.loads((tmp_path / "table.json").read_text())
    assert table["ppap"]["U-Acc"] == {"mean": 15, "deviation": pytest.approx(7.0710678)}


def test_a_failed_run_is_named_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    reasons = iter(["The disk is full.", "The folder is gone."])

    def run(words: list[str], stdout: Any, **_: Any) -> Any:
        stdout.write(f"Step 1 of 2\n{next(reasons)}\n".encode())
        return type("Done", (), {"returncode": 1})

    monkeypatch.setattr(compare.subprocess, "run", run)
    assert main(["samples", "--out", str(tmp_path), "--rules", "tps", "--seeds", "5"]) == 1
    said = capsys.readouterr()
    assert "tps-seed5 failed: The disk is full." in said.err
    assert "| TPS | – |" in said.out
    main(["samples", "--out", str(tmp_path), "--rules", "tps", "--seeds", "5"])
    assert "tps-seed5 failed: The folder is gone." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        (["camvd", "--data", "{data}"], "There is no recipe called 'camvd'"),
        (["camvid", "--data", "{data}", "--set", "phi=3"], "phi"),
        (["camvid", "--data", "{data}", "--set", "phi0=3"], "phi0 must be a number from"),
        (
            ["camvid", "--data", "{data}", "--seeds", "0", "-1"],
            "seed must be a whole number from 0",
        ),
        (["camvid"], "Give the data set folder: --data DIR."),
        (["camvid", "--data", "{data}/nothing"], "nothing does not exist"),
        (
            ["camvid", "--data", "{data}", "--set", "eval_split=test"],
            "has no split 'test', only: train, val",
        ),
        (["camvid", "--data", "{data}/train"], "does not have the layout 'CamVid, 11 classes'"),
        (["camvid", "--data", "{data}", "--out", "{data}/classes.txt"], "classes.txt"),
        (["camvid", "--data", "{data}", "--rules", "ppap", "foo"], "invalid choice: 'foo'"),
    ],
)
def test_what_does_not_fit_is_told_before_anything_starts(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    changed: list[str],
    sentence: str,
) -> None:
    data = tmp_path / "data"
    layouts.camvid(data)
    (data / "classes.txt").touch()
    monkeypatch.setattr(compare.subprocess, "run", lambda *_, **__: pytest.fail("it started"))
    try:
        code = main(["--out", str(tmp_path / "out"), *(one.format(data=data) for one in changed)])
    except SystemExit as ended:
        code = int(str(ended.code))
    said = capsys.readouterr().err
    assert code == 2
    assert sentence in said
    assert "usage" not in said
    assert not (tmp_path / "out").exists()


def test_a_file_of_weights_is_found_where_the_command_was_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert compare.in_full("backbone=vit.pth") == f"backbone={tmp_path}/vit.pth"
    assert compare.in_full(" backbone = ./vit.pth").endswith(f"={tmp_path}/vit.pth")
    assert compare.in_full("backbone=dino_vits8@w/x.pth") == (
        f"backbone=dino_vits8@{tmp_path}/w/x.pth"
    )
    for other in ("backbone=dino_vits8", "phi0=0.6", "backbone", "rule=ppap"):
        assert compare.in_full(other) == other


def test_runs_find_a_backbones_file_from_their_own_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are started elsewhere; a recipe may name a file, too."""
    monkeypatch.chdir(tmp_path)
    out = ["--data", str(tmp_path), "--out", "o"]
    given = compare.parser().parse_args(["coco_ibot_vits16", *out])
    asked = compare.changes("ppap", 0, given)
    assert asked == ["rule=ppap", "seed=0", f"backbone={tmp_path}/ibot_vits16.pth"]
    given.set = [compare.in_full("backbone=test_vit@mine.pth")]
    asked = compare.changes("ppap", 0, given)
    assert asked == ["rule=ppap", "seed=0", f"backbone=test_vit@{tmp_path}/mine.pth"]
    plain = compare.parser().parse_args(["dubai", *out])
    assert compare.changes("ppap", 0, plain) == ["rule=ppap", "seed=0"]


def test_many_starts_have_tables_of_their_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for rule, skill in (("ppap", 0.7), ("tps", 0.5)):
        for seed in (0, 1):
            finish_counted(tmp_path / f"{rule}-seed{seed}", skill, seed + len(rule), starts=3)
    given = ["camvid", "--out", str(tmp_path), "--rules", "ppap", "tps", "--seeds", "0", "1"]
    assert main(given) == 0
    _, scores, gains = capsys.readouterr().out.split("U-mIoU, noise ")
    found = [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for part in (scores, gains)
        for line in part.splitlines()
        if line.startswith(("| PPAP", "| TPS", "| Frozen features"))
    ]
    assert [row[0] for row in found] == ["Frozen features", "PPAP", "TPS", "PPAP", "TPS"]
    made = json.loads((tmp_path / "table.json").read_text())["ppap"]
    score, over = made["U-mIoU, linkage"], made["U-mIoU, linkage, over starts"]
    assert over["mean"] == 1
    assert found[1][4] == f"{score['mean']:.1f} ± {score['deviation']:.1f} ± 1.0"
    assert found[0][4].startswith(f"{made['U-mIoU, linkage, frozen features']['mean']:.1f} ± ")
    points = [float(cell.split()[0].replace("−", "-")) for cell in found[3][1:]]
    assert all(10 < one < 30 for one in points)
    assert points[3] == round(score["mean"] - made["U-mIoU, linkage, frozen features"]["mean"], 1)
    assert all(abs(float(cell.split()[0].replace("−", "-"))) < 5 for cell in found[4][1:])


def test_differences_to_the_baseline_stand_below_the_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for rule, skill in (("ppap", 0.7), ("baseline", 0.5), ("frozen", 0.5)):
        for seed in (0, 1):
            finish_counted(tmp_path / f"{rule}-seed{seed}", skill, seed + len(rule))
    given = ["camvid", "--out", str(tmp_path), "--seeds", "0", "1"]
    assert main([*given, "--rules", "ppap", "baseline", "frozen"]) == 0
    below = capsys.readouterr().out.split("Mean ± standard deviation over 2 seeds, per cent.")[1]
    made = json.loads((tmp_path / "differences.json").read_text())
    assert made["reference"] == "baseline"
    assert list(made["differences"]) == ["ppap", "frozen"]
    found = made["differences"]["ppap"]["U-Acc"]
    assert 15 < found["low"] < found["difference"] < found["high"] < 25
    assert f"| PPAP | {Interval(**found)} |" in below
    assert "| Baseline |" not in below
    assert "Difference from Baseline in points" in below
    assert main([*given, "--rules", "ppap", "frozen"]) == 0
    assert json.loads((tmp_path / "differences.json").read_text())["reference"] == "ppap"


def test_on_a_cluster_runs_are_sent_and_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["samples", "--out", str(tmp_path), "--on", "slurm", "--slurm", "gpus=2"]
    given = compare.parser().parse_args(words)
    task = compare.Task("ppap", 0, Run(tmp_path / "ppap-seed0"))
    sent: list[list[str]] = []

    def run(words: list[str], **options: Any) -> SimpleNamespace:
        sent.append(words)
        return SimpleNamespace(returncode=0)

    def ends(*states: tuple[str, str]) -> None:
        left = iter([SimpleNamespace(state=state, text=text) for state, text in states])
        monkeypatch.setattr(compare, "standing", lambda folder: next(left))

    monkeypatch.setattr(compare.subprocess, "run", run)
    monkeypatch.setattr(compare, "LOOK_SECONDS", 0)
    ends(("queued", ""), ("running", ""), ("finished", ""))
    assert compare.train(task, given) is None
    assert sent[0][-4:] == ["--on", "slurm", "--slurm", "gpus=2"]
    ends(("running", ""), ("failed", "One of its nodes failed (job 7)."))
    assert compare.train(task, given) == "One of its nodes failed (job 7)."
    # One that goes on from an earlier command is not sent again.
    monkeypatch.setattr(compare, "is_alive", lambda folder: True)
    ends(("running", ""), ("finished", ""))
    assert compare.train(task, given) is None
    assert len(sent) == 2
