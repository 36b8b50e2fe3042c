"""Rules against each other: ``python -m trainers.compare RECIPE --data DIR --out FOLDER``."""

from __future__ import annotations

import argparse
import csv
import io
import json
import math
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from ppap.backbones.naming import absolute
from ppap.evaluation.markdown import table
from ppap.machine import cores
from ppap.places import ROOT
from trainers.ablations import starts
from trainers.ablations.cells import COLUMNS, Cell, cell, numbers
from trainers.ablations.differences import NO_INTERVAL, Against, about, against, columns_of, record
from trainers.command import DONE, FAILED, WRONG, Parser, as_command, expanded, say
from trainers.config import parse_changes
from trainers.launching.cluster import Lookout
from trainers.progress import in_words
from trainers.recipes import find
from trainers.runs.folder import Run, write_text
from trainers.runs.launch import is_alive
from trainers.runs.log import end_log, start_log
from trainers.runs.standing import ACTIVE, standing
from trainers.slurm.line import SLURM, add_place
from trainers.training.arguments import check_data, require
from trainers.training.errors import EXPECTED, sentence
from trainers.training.splits import refuse_bad_data

RULES = ("frozen", "baseline", "tps", "ans", "ppap", "hp", "knn")
TITLES = {
    "frozen": "Frozen backbone",
    "baseline": "Baseline",
    "tps": "TPS",
    "ans": "ANS",
    "ppap": "PPAP",
    "hp": "HP's rule",
    "knn": "k-NN",
    "kmeans": "k-means",
    "stego": "STEGO's loss",
}
EXAMPLES = """
examples:
  python -m trainers.compare camvid --data ~/CamVid --out runs/camvid_table
  python -m trainers.compare camvid --data ~/CamVid --out runs/table --rules ppap stego --seeds 0
  python -m trainers.compare dubai --data ~/dubai --out runs/dubai_table --set epochs=2

Every run is a folder in --out, trained by trainers.train and evaluated by trainers.evaluate.
Finished runs are not repeated and interrupted ones continue, so the same command resumes. The table
is printed and written to table.md, table.csv and table.json; below it, and in differences.json, are
the differences from the baseline (or from the first rule), with intervals over the evaluated
images. With --set report_starts=10 there are two more tables: scores from ten starts of each kind,
and the gain from training over frozen features.

exit status: 0 all runs are finished; 1 some run failed; 2 wrong arguments, or files that are
missing or do not fit: nothing was started.
"""


# Handed in at a time where nothing else is said.
JOBS_OF_A_CLUSTER = 16
# Between two looks at jobs.
LOOK_SECONDS = 1.0
# One at a time: each loads PyTorch to look at what it hands in.
_SENDING = threading.Lock()


class Task(NamedTuple):
    """One run of the table."""

    rule: str
    seed: int
    run: Run


def parser() -> Parser:
    """The command line."""
    made = Parser(
        prog="python -m trainers.compare",
        description="Train and evaluate several rules with several seeds, and make one table.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument(
        "recipe", metavar="RECIPE", help="whose settings all runs share, apart from rule and seed"
    )
    made.add_argument("--data", metavar="DIR", type=expanded, help="the data set folder")
    made.add_argument(
        "--out", metavar="FOLDER", type=expanded, required=True, help="folder for the runs"
    )
    made.add_argument(
        "--rules", nargs="+", default=list(RULES), choices=list(TITLES), metavar="RULE",
        help=f"rules to compare (default: {' '.join(RULES)}; kmeans and stego are also available)",
    )  # fmt: skip
    made.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], help="default: 0 1 2")
    made.add_argument(
        "--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE",
        help="change settings in all runs",
    )  # fmt: skip
    made.add_argument(
        "--jobs",
        type=int,
        default=1,
        help="runs at the same time, sharing the cores (default: 1; with --on slurm: 16 jobs)",
    )
    made.add_argument("--cache", metavar="DIR", type=expanded, help="as in trainers.train")
    add_place(made, waits=False)
    return made


@as_command
def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is missing and print the table; returns the exit status."""
    given = parser().parse_args(arguments)
    given.set = [in_full(change) for change in given.set]
    if given.on == SLURM and given.jobs < 2:
        given.jobs = JOBS_OF_A_CLUSTER
    tasks = [
        Task(rule, seed, Run(given.out / f"{rule}-seed{seed}"))
        for seed in given.seeds
        for rule in given.rules
    ]
    missing = [task for task in tasks if not finished(task.run)]
    try:
        if missing:
            refuse(given)
        given.out.mkdir(parents=True, exist_ok=True)
    except EXPECTED as error:
        say(sentence(error))
        return WRONG
    began = time.monotonic()
    failed: list[tuple[Task, str]] = []
    with ThreadPoolExecutor(max(1, given.jobs)) as pool:
        for done, (task, why) in enumerate(pool.map(lambda t: (t, train(t, given)), missing), 1):
            passed = time.monotonic() - began
            left = passed / done * (len(missing) - done)
            say(f"{task.run.folder.name}: {done} of {len(missing)} runs, {in_words(left)} left")
            if why is not None:
                failed.append((task, why))
    for task, why in failed:
        say(f"{task.run.folder} failed: {why}")
    rows = {rule: row(tasks, rule) for rule in given.rules}
    reference = reference_of(given.rules)
    found = differences(tasks, given.rules, reference)
    text = as_markdown(rows, given.seeds) + differences_text(found, reference, len(given.seeds))
    text += starts_text(rows, gains(tasks, given.rules), len(given.seeds))
    write_text(given.out / "table.md", text)
    write_text(given.out / "table.csv", as_csv(rows))
    write_text(given.out / "table.json", as_json(rows))
    write_text(given.out / "differences.json", differences_json(found, reference))
    print(text, end="")
    return FAILED if failed else DONE


def in_full(change: str) -> str:
    """``backbone=vit.pth`` with the file's folder: the runs have another working directory."""
    name, equals, value = change.partition("=")
    return f"{name}={absolute(value.strip())}" if equals and name.strip() == "backbone" else change


def refuse(given: argparse.Namespace) -> None:
    """Look at what all runs need, before any of them starts; findings go to stderr.

    Raises:
        SettingError, DataError, CrfUnavailableError, OSError: it is missing or does not fit.
    """
    recipe = find(given.recipe).config
    configs = [
        recipe.with_(parse_changes(changes(rule, seed, given)))
        for rule in given.rules
        for seed in given.seeds
    ]
    check_data(given, configs[0])
    require(configs[0], report=True)
    start_log(None)
    try:
        refuse_bad_data(configs[0], given.data, report=True, named=parse_changes(given.set))
    finally:
        end_log()


def finished(run: Run) -> bool:
    """Whether a run and its report are complete."""
    return run.state().get("state") == "finished" and (run.folder / "report.json").exists()


def changes(rule: str, seed: int, given: argparse.Namespace) -> list[str]:
    """What a run changes of its recipe."""
    made = [f"rule={rule}", f"seed={seed}", *given.set]
    usual = find(given.recipe).config.backbone
    if absolute(usual) != usual and not any(c.startswith("backbone=") for c in given.set):
        made.append(in_full(f"backbone={usual}"))
    if rule == "frozen" and not any(c.startswith("epochs=") for c in given.set):
        made.append("epochs=0")
    return made


def train(task: Task, given: argparse.Namespace) -> str | None:
    """One run in a process of its own, or as a job; why it failed, or None."""
    if given.on != SLURM:
        return in_process(task, given)
    with _SENDING:
        # A job goes on by itself where whoever waited for it was interrupted.
        why = None if is_alive(task.run.folder) else in_process(task, given)
    return why or until_ended(task.run.folder)


def until_ended(folder: Path) -> str | None:
    """Wait for a run's job; why it did not finish, or None."""
    lookout = Lookout(folder.parent)
    while (now := standing(folder)).state in ACTIVE:
        lookout.look()
        time.sleep(LOOK_SECONDS)
    return None if now.state == "finished" else now.text or now.state


def in_process(task: Task, given: argparse.Namespace) -> str | None:
    """Run the command for a task; why it failed, or None."""
    words = [sys.executable, "-m", "trainers.train"]
    if task.run.latest() is not None:
        words += ["--out", str(task.run.folder), "--resume"]
    else:
        task.run.config_file.unlink(missing_ok=True)  # it ended before its first checkpoint
        words += [given.recipe, "--out", str(task.run.folder)]
        words += ["--set", *changes(task.rule, task.seed, given)]
    words += ["--data", str(given.data)] if given.data else []
    words += ["--cache", str(given.cache)] if given.cache else []
    words += ["--on", SLURM] if given.on == SLURM else []
    words += ["--slurm", *given.slurm] if given.slurm else []
    task.run.folder.mkdir(parents=True, exist_ok=True)
    said = task.run.folder / "output.txt"
    with said.open("ab") as output:
        before = output.tell()
        code = subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=ROOT,
            env=os.environ | threads(1 if given.on == SLURM else given.jobs),
            check=False,
        ).returncode
    if not code:
        return None
    # Its last words; what is above them, and in state.json, may be of an earlier attempt.
    lines = said.read_bytes()[before:].decode("utf-8", "replace").split("\n")
    return next((line for line in reversed(lines) if line.strip()), f"see {said}")


def threads(jobs: int) -> dict[str, str]:
    """The environment in which several processes share the cores instead of fighting for them."""
    if jobs < 2:
        return {}
    return {"OMP_NUM_THREADS": str(max(1, cores() // jobs))}


Row = dict[str, Cell]
"""``U-Acc`` …, and the same with ``, CRF``; and ``minutes``."""


def row(tasks: Sequence[Task], rule: str) -> Row:
    """The numbers of one rule, over the seeds that are finished."""
    found: dict[str, list[float]] = {}
    for task in tasks:
        if task.rule == rule and finished(task.run):
            for name, value in numbers(task.run):
                found.setdefault(name, []).append(value)
    return {name: cell(values) for name, values in found.items()}


def as_markdown(rows: dict[str, Row], seeds: Sequence[int]) -> str:
    """The table for people."""
    names = [name for name, _, _ in COLUMNS]
    with_crf = any(", CRF" in name for row in rows.values() for name in row)
    columns = [*names, *([f"{name}, CRF" for name in names] if with_crf else []), "minutes"]
    lines = [
        "| | " + " | ".join(columns) + " |",
        "| --- |" + " ---: |" * len(columns),
    ]
    nothing = Cell(math.nan, math.nan)
    for rule, found in rows.items():
        cells = [str(found.get(name, nothing)) for name in columns[:-1]]
        minutes = found.get("minutes", nothing).mean
        cells.append("–" if math.isnan(minutes) else f"{minutes:.1f}")
        lines.append(f"| {TITLES[rule]} | " + " | ".join(cells) + " |")
    count = len(seeds)
    lines += [
        "",
        f"Mean ± standard deviation over {count} seeds, per cent." if count > 1 else "Per cent.",
    ]
    return "\n".join(lines) + "\n"


def reference_of(rules: Sequence[str]) -> str:
    """The rule that the others are set against: the baseline, or the first."""
    return "baseline" if "baseline" in rules else rules[0]


def differences(tasks: Sequence[Task], rules: Sequence[str], reference: str) -> dict[str, Against]:
    """Every other rule against the reference, over the seeds that are finished."""
    runs = {
        rule: [task.run for task in tasks if task.rule == rule and finished(task.run)]
        for rule in rules
    }
    return {
        rule: against(runs[reference], some) for rule, some in runs.items() if rule != reference
    }


def differences_text(found: dict[str, Against], reference: str, seeds: int) -> str:
    """The table of differences for people; empty where there is none."""
    measures = columns_of(found)
    lines = []
    if measures:
        lines += ["", "| | " + " | ".join(measures) + " |", "| --- |" + " ---: |" * len(measures)]
        for rule, one in found.items():
            cells = [str(one.intervals.get(name, NO_INTERVAL)) for name in measures]
            lines.append(f"| {TITLES[rule]} | " + " | ".join(cells) + " |")
    for said in about(TITLES[reference], found, seeds):
        lines += ["", said]
    return "\n".join([*lines, ""]) if lines else ""


def gains(tasks: Sequence[Task], rules: Sequence[str]) -> dict[str, Against]:
    """What training gained over frozen features from many starts, where reports tell it."""
    return {
        TITLES[rule]: starts.gained(
            [task.run for task in tasks if task.rule == rule and finished(task.run)]
        )
        for rule in rules
        if rule != "frozen"
    }


def starts_text(rows: dict[str, Row], gained: dict[str, Against], seeds: int) -> str:
    """Scores from many starts and what training gained; empty where no report has them."""
    scores = starts.score_cells({TITLES[rule]: found for rule, found in rows.items()})
    if scores is None:
        return ""
    text = f"\n{table(*scores)}\n\n{starts.ABOUT}\n"
    if gain := starts.gain_cells(gained):
        text += f"\n{table(*gain)}\n\n{starts.about_gains(seeds)}\n"
    return text


def differences_json(found: dict[str, Against], reference: str) -> str:
    """Differences by rule and measure, with their intervals; null where there is none."""
    rows = {rule: record(one) for rule, one in found.items()}
    return json.dumps({"reference": reference, "differences": rows}, indent=1) + "\n"


def as_csv(rows: dict[str, Row]) -> str:
    """One line a number."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["rule", "measure", "mean", "deviation"])
    for rule, found in rows.items():
        for name, (mean, deviation) in found.items():
            writer.writerow([rule, name, f"{mean:.4f}", f"{deviation:.4f}"])
    return text.getvalue()


def as_json(rows: dict[str, Row]) -> str:
    """The numbers by rule and measure; null where there is no deviation."""
    plain = {
        rule: {
            name: {"mean": mean, "deviation": None if math.isnan(deviation) else deviation}
            for name, (mean, deviation) in found.items()
        }
        for rule, found in rows.items()
    }
    return json.dumps(plain, indent=1) + "\n"


if __name__ == "__main__":
    sys.exit(main())
