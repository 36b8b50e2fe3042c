"""What training gains over frozen features, and what decides it.

    python -m tests.benchmarks.bench_gain SET DATA OUT [--seeds 0 1 2] [--only NAME …]

Every variant of a set's recipe is trained with each seed and scored twice (see ``gain_scores``): on
the training images, where settings may be compared, and on images that decide nothing. What is
finished is not done again; the tables are printed and written to OUT/gain.md.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

from ppap.evaluation.many_starts import STARTS
from ppap.evaluation.paired import Interval, of_kinds
from tests.benchmarks.gain_scores import Scored, file_of, read
from tests.browser.driver import ROOT

# The network learns as the recipe says; the linear probe learns on finished features for long
# enough to be done, and clusters are found anew by the scoring.
COMMON = ("crf=false", "probe_epochs=10", "cluster_starts=1", "cluster_start=spread")
# A recipe, and what all runs change of it: the paper's temperature and the rate of before.
BASE = ("temperature=0.8", "lr=3e-4")
SETS: dict[str, tuple[str, ...]] = {
    "camvid": ("camvid", *BASE),
    "aerial": ("dubai", *BASE),
    "photos": ("camvid", "dataset=folder", "size=224", "eval_size=224", *BASE),
}
RULES = ("PPAP", "baseline", "TPS", "ANS", "HP's rule", "k-NN", "k-means")
# A variant is one of these, or several with commas: "baseline, lr 3e-5".
VARIANTS: dict[str, tuple[str, ...]] = {
    "frozen": ("rule=frozen", "epochs=0"),
    "PPAP": (),
    "baseline": ("rule=baseline",),
    "TPS": ("rule=tps",),
    "ANS": ("rule=ans",),
    "HP's rule": ("rule=hp",),
    "k-NN": ("rule=knn",),
    "k-means": ("rule=kmeans",),
    "looser": ("phi0=0.5", "psi0=0.4"),
    "purer": ("phi0=0.8", "psi0=0.3"),
    "lr 1e-5": ("lr=1e-5",),
    "lr 3e-5": ("lr=3e-5",),
    "lr 1e-4": ("lr=1e-4",),
    "lr 3e-4": ("lr=3e-4",),
    "lr 1e-3": ("lr=1e-3",),
    "τ 0.2": ("temperature=0.2",),
    "τ 0.07": ("temperature=0.07",),
    "factor τ/0.07": ("published_scale=true",),
    "half the batch": ("batch=5",),
    "twice the batch": ("batch=20",),
    "three times as long": ("epochs=9",),
    "one stage": ("backbone=embedded",),
}
# Threads of one process wait for each other; two processes do not. Memory that was freed is kept:
# large blocks would go back to the system, and come back page by page.
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "MALLOC_MMAP_THRESHOLD_": "4294967296",
    "MALLOC_TRIM_THRESHOLD_": "8589934592",
}


def main() -> None:
    """Train what is missing, score it, and print the tables."""
    made = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    made.add_argument("data_set", metavar="SET", choices=list(SETS))
    made.add_argument("data", type=Path)
    made.add_argument("out", type=Path)
    made.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    made.add_argument("--only", nargs="+", default=["frozen", *RULES])
    made.add_argument("--starts", type=int, default=5)
    made.add_argument("--splits", nargs="+", default=["train", "val"])
    made.add_argument("--images", type=int, default=100, help="most that are scored of a split")
    made.add_argument("--set", nargs="+", dest="settings", default=[], help="of all runs")
    made.add_argument("--against", default="frozen", help="the variant that others are set against")
    made.add_argument("--jobs", type=int, default=2, help="side by side, a core each")
    made.add_argument("--tables", action="store_true", help="of what there is; train nothing")
    given = made.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    for name in given.only:
        settings_of(name)  # before an hour has passed
    jobs = list(product(given.seeds, given.only))
    if not given.tables:
        run(given, "frozen", given.seeds[0])  # fills the cache
        with ThreadPoolExecutor(given.jobs) as pool:
            list(pool.map(lambda job: run(given, job[1], job[0]), jobs))
    text = "\n\n".join(Tables(given, split).text() for split in given.splits)
    (given.out / "gain.md").write_text(text + "\n", encoding="utf-8")
    print(text)


def settings_of(name: str) -> list[str]:
    """What a variant changes."""
    return [change for part in name.split(", ") for change in VARIANTS[part]]


def folder_of(given: argparse.Namespace, name: str, seed: int) -> Path:
    """Where one run lies."""
    plain = "".join(c if c.isalnum() else "_" for c in name)
    return Path(given.out) / f"{plain}-{seed}"


def run(given: argparse.Namespace, name: str, seed: int) -> None:
    """Train and score one variant with one seed, as far as that is missing."""
    folder = folder_of(given, name, seed)
    recipe, *changes = SETS[given.data_set]
    if not (folder / "report.json").exists():
        again = (folder / "checkpoints/last.pt").exists()
        every = [*COMMON, *changes, *given.settings, *settings_of(name), f"seed={seed}"]
        sets = dict(one.split("=", 1) for one in every)  # of two, the last
        begun = ["--resume"] if again else ["--set", *map("=".join, sets.items())]
        first = [] if again else [recipe]
        cache = ["--cache", given.out / "cache"]
        call("trainers.train", *first, "--out", folder, "--data", given.data, *cache, *begun)
    if not all(file_of(folder, split).exists() for split in given.splits):
        how = ["--starts", given.starts, "--seed", seed, "--splits", *given.splits]
        how += ["--images", given.images]
        how += ["--frozen"] if name == "frozen" else []
        call("tests.benchmarks.gain_scores", folder, given.data, *how)


def call(module: str, *words: object) -> None:
    """A command; its last lines where it fails."""
    command = [sys.executable, "-m", module, *map(str, words)]
    print("·", " ".join(command[2:]), flush=True)
    environment = os.environ | ENVIRONMENT
    ended = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    if ended.returncode:
        raise SystemExit("\n".join((ended.stdout + ended.stderr).splitlines()[-10:]))


class Tables:
    """Everything about one split, in Markdown."""

    def __init__(self, given: argparse.Namespace, split: str) -> None:
        self.given, self.split = given, split
        self.made = {name: self.read(name) for name in given.only}
        self.made = {name: some for name, some in self.made.items() if some}
        self.reference = self.read(given.against)
        measured = self.reference[0].record
        self.measures = ["linear", "area"] + ["retrieval"] * ("retrieval" in measured)

    def read(self, name: str) -> list[Scored]:
        """One variant's scores, seed by seed, as far as they are there."""
        folders = [folder_of(self.given, name, seed) for seed in self.given.seeds]
        return [
            read(folder, self.split) for folder in folders if file_of(folder, self.split).exists()
        ]

    def text(self) -> str:
        """Scores, then gains."""
        titles = {"linear": "L-mIoU", "area": "same class, AP", "retrieval": "k-NN mIoU"}
        head = [f"U-mIoU, {start}" for start in STARTS] + [titles[one] for one in self.measures]
        gain = [one.replace("U-mIoU", "gain") for one in head] + ["gain, mean of all starts"]
        lines = [f"### {self.given.data_set}, split {self.split}", ""]
        lines += table(["", "right in P", *head], self.made, self.scores)
        rest = {name: some for name, some in self.made.items() if name != self.given.against}
        lines += ["", *table(["", *gain], rest, self.gains)]
        return "\n".join(lines)

    def scores(self, name: str, some: Sequence[Scored]) -> list[str]:
        """Mean over seeds of the chosen clusterings, ± over seeds, ± over starts of a seed."""
        cells = [self.purity(name)]
        for start in STARTS:
            rows = [one.record["starts"][start] for one in some]
            inside = statistics.fmean(deviation(row["mious"]) for row in rows)
            cells.append(f"{with_deviation([row['miou'] for row in rows])} ± {inside:.1f}")
        return cells + [
            with_deviation([one.record[name] for one in some]) for name in self.measures
        ]

    def purity(self, name: str) -> str:
        """Share of right positives over the whole training, where the rule has sets."""
        found = []
        for seed in self.given.seeds:
            file = folder_of(self.given, name, seed) / "metrics.jsonl"
            lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
            found += [line["precision"] for line in map(json.loads, lines) if "precision" in line]
        known = [100 * one for one in found if isinstance(one, float)]
        return f"{statistics.fmean(known):.0f} %" if known else ""

    def gains(self, _: str, some: Sequence[Scored]) -> list[str]:
        """Minus the reference, which is the frozen features unless another is named, in points."""
        before = self.reference[: len(some)]
        cells = []
        for kind in (*STARTS, "linear"):
            sides = [[one.kinds[kind] for one in side] for side in (before, some)]
            cells.append(marked(of_kinds(*sides).miou))
        for name in self.measures[1:]:
            cells.append(differences(before, some, partial(measure, name)))
        return [*cells, differences(before, some, mean_of_starts)]


def measure(name: str, one: Scored) -> float:
    """A number of a record."""
    return float(one.record[name])


def mean_of_starts(one: Scored) -> float:
    """Mean mIoU over all clusterings of all kinds of start."""
    rows = one.record["starts"].values()
    return statistics.fmean(value for row in rows for value in row["mious"])


def differences(
    before: Sequence[Scored], after: Sequence[Scored], value: Callable[[Scored], float]
) -> str:
    """Mean difference, ± over seeds."""
    pairs = zip(before, after, strict=True)
    return with_deviation([value(two) - value(one) for one, two in pairs], "+")


def table(
    head: Sequence[str],
    rows: dict[str, list[Scored]],
    cells: Callable[[str, Sequence[Scored]], Sequence[str]],
) -> list[str]:
    """Lines of Markdown."""
    lines = [list(head), ["---"] * len(head)]
    lines += [[name, *cells(name, some)] for name, some in rows.items()]
    return ["| " + " | ".join(line) + " |" for line in lines]


def marked(found: Interval) -> str:
    """In bold where the interval leaves zero out."""
    return f"**{found}**" if found.apart else str(found)


def deviation(values: Sequence[float]) -> float:
    """Sample standard deviation; 0 for one value."""
    return statistics.stdev(values) if len(values) > 1 else 0.0


def with_deviation(values: Sequence[Any], sign: str = "") -> str:
    """Mean ± deviation."""
    mean = f"{statistics.fmean(values):{sign}.1f}".replace("-", "−")
    return f"{mean} ± {deviation(values):.1f}"


if __name__ == "__main__":
    main()
