"""What training gains over frozen features, and what decides it.

    python -m tests.benchmarks.bench_gain RECIPE DIR OUT [--size N] [--seeds 0 1 2] [--only NAME …]

Every variant of a recipe is trained with each seed and evaluated twice: on the training images,
where settings may be compared, and on the evaluation split, which decides nothing. Scores are of
clusterings from many starts (``--starts`` of trainers.evaluate), trained features beside frozen
ones. What is finished is not done again; the tables are printed and written to OUT/gain.md.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ppap.evaluation import per_image
from ppap.evaluation.many_starts import STARTS
from ppap.evaluation.paired import Interval, of_kinds
from tests.browser.driver import ROOT

# The network learns as the recipe says; the linear probe gets one round on finished features, and
# clusters are found anew by the evaluation.
COMMON = ("crf=false", "probe_epochs=1", "cluster_starts=1", "cluster_start=spread")
VARIANTS: dict[str, tuple[str, ...]] = {
    "frozen": ("rule=frozen", "epochs=0"),
    "PPAP": (),
    "baseline": ("rule=baseline",),
    "TPS": ("rule=tps",),
    "ANS": ("rule=ans",),
    "HP's rule": ("rule=hp",),
    "k-NN": ("rule=knn",),
    "k-means": ("rule=kmeans",),
    "purer": ("phi0=0.8", "psi0=0.3"),
    "lr 1e-4": ("lr=1e-4",),
    "lr 1e-3": ("lr=1e-3",),
    "purer, lr 1e-4": ("phi0=0.8", "psi0=0.3", "lr=1e-4"),
    "τ 0.2": ("temperature=0.2",),
    "factor τ/0.07": ("published_scale=true",),
    "twice the batch": ("batch=20",),
    "half the batch": ("batch=5",),
    "three times as long": ("epochs=9",),
}
NUMBERS = ("accuracy", "miou")


class Made(NamedTuple):
    """One report, with every image's counts."""

    report: dict[str, Any]
    counts: per_image.PerImage


def main() -> None:
    """Train what is missing, evaluate it, and print the tables."""
    made = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    made.add_argument("recipe")
    made.add_argument("data", type=Path)
    made.add_argument("out", type=Path)
    made.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    made.add_argument("--only", nargs="+", default=list(VARIANTS), choices=list(VARIANTS))
    made.add_argument("--starts", type=int, default=10)
    made.add_argument("--splits", nargs=2, default=["train", "val"])
    made.add_argument("--set", nargs="+", default=[], help="settings of all runs")
    given = made.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    for seed in given.seeds:
        for name in given.only:
            run(given, name, seed)
    text = "\n\n".join(tables(given, split) for split in given.splits)
    (given.out / "gain.md").write_text(text + "\n", encoding="utf-8")
    print(text)


def folder_of(given: argparse.Namespace, name: str, seed: int) -> Path:
    """Where one run lies."""
    plain = "".join(c if c.isalnum() else "_" for c in name)
    return Path(given.out) / f"{plain}-{seed}"


def run(given: argparse.Namespace, name: str, seed: int) -> None:
    """Train and evaluate one variant with one seed, as far as that is missing."""
    folder = folder_of(given, name, seed)
    if not (folder / "report.json").exists():
        again = (folder / "checkpoints/last.pt").exists()
        begun = ["--resume"] if again else ["--set", *COMMON, *given.set, *VARIANTS[name]]
        begun += [] if again else [f"seed={seed}"]
        recipe = [] if again else [given.recipe]
        cache = ["--cache", given.out / "cache"]
        call("train", *recipe, "--out", folder, "--data", given.data, *cache, *begun)
    for split in given.splits:
        file = folder / f"{split}.json"
        if not file.exists():
            how = ["--starts", given.starts, "--seed", seed, "--json", file]
            call("evaluate", folder, "--data", given.data, "--split", split, *how)


def call(program: str, *words: object) -> None:
    """One of the trainers' commands; its last lines where it fails."""
    command = [sys.executable, "-m", f"trainers.{program}", *map(str, words)]
    print("·", " ".join(command[2:]), flush=True)
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise SystemExit("\n".join((ended.stdout + ended.stderr).splitlines()[-10:]))


def reports(given: argparse.Namespace, name: str, split: str) -> Iterator[Made]:
    """One variant's reports on a split, seed by seed."""
    for seed in given.seeds:
        file = folder_of(given, name, seed) / f"{split}.json"
        report = json.loads(file.read_text(encoding="utf-8"))
        counts = per_image.read(report, file)
        assert counts is not None, file
        yield Made(report, counts)


def tables(given: argparse.Namespace, split: str) -> str:
    """Scores and gains of every variant on a split, in Markdown."""
    lines = [f"### {given.recipe}, split {split}", ""]
    head = ["", *(f"U-mIoU, {start}" for start in STARTS), "L-mIoU"]
    gains = ["", *(f"gain, {start}" for start in STARTS), "gain, linear"]
    for columns, cells in ((head, score_cells), (gains, gain_cells)):
        lines += ["| " + " | ".join(columns) + " |", "|" + " --- |" * len(columns)]
        if cells is score_cells:
            lines += [
                "| " + " | ".join(["frozen", *score_cells(given, "frozen", split, True)]) + " |"
            ]
        for name in given.only:
            if name != "frozen":
                lines.append("| " + " | ".join([name, *cells(given, name, split)]) + " |")
        lines.append("")
    return "\n".join(lines)


def score_cells(
    given: argparse.Namespace, name: str, split: str, frozen: bool = False
) -> list[str]:
    """Mean over seeds of the chosen clusterings' mIoU, ± over seeds, ± over starts."""
    made = [one.report for one in reports(given, name, split)]
    features = "frozen" if frozen else "trained"
    cells = []
    for start in STARTS:
        rows = [
            row
            for report in made
            for row in report["starts"]["rows"]
            if (row["start"], row["features"]) == (start, features)
        ]
        inside = statistics.fmean(deviation(row["mious"]) for row in rows)
        cells.append(f"{with_deviation([row['miou'] for row in rows])} ± {inside:.1f}")
    return [*cells, with_deviation([report["linear"]["miou"] for report in made])]


def gain_cells(given: argparse.Namespace, name: str, split: str) -> list[str]:
    """Trained minus frozen, from each start; the linear probe against that of the frozen run."""
    made = list(reports(given, name, split))
    frozen = list(reports(given, "frozen", split))
    cells = []
    for start in STARTS:
        before, after = (
            [one.counts.kinds[f"start_{start}_{features}"] for one in made]
            for features in ("frozen", "trained")
        )
        cells.append(marked(of_kinds(before, after).miou))
    linear = [[one.counts.kinds["linear"] for one in some] for some in (frozen, made)]
    return [*cells, marked(of_kinds(*linear).miou)]


def marked(found: Interval) -> str:
    """In bold where the interval leaves zero out."""
    return f"**{found}**" if found.apart else str(found)


def deviation(values: Sequence[float]) -> float:
    """Sample standard deviation; 0 for one value."""
    return statistics.stdev(values) if len(values) > 1 else 0.0


def with_deviation(values: Sequence[float]) -> str:
    """Mean ± deviation."""
    return f"{statistics.fmean(values):.1f} ± {deviation(values):.1f}"


if __name__ == "__main__":
    main()
