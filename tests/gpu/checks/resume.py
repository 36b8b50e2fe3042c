"""A run in a process that is killed, and resumed, beside one that nobody disturbs."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

from tests.conftest import ROOT
from tests.gpu.sheet import Place, Sheet
from tests.support import small_runs
from tests.support.small_runs import results, weights
from trainers.config import Config
from trainers.runs.folder import Run

# Two stretches, several cluster probes, checkpoints within an epoch, a learning rate that changes.
EVERYTHING: dict[str, Any] = {
    "epochs": 2,
    "probe_epochs": 1,
    "cluster_start": "spread",
    "cluster_starts": 2,
    "checkpoint_every": 2,
    "schedule": "cosine",
    "validate_every": 0,
    "workers": 2,
}
KILLED = (
    "import sys; from tests.support.killable import At, listen_for; from trainers import train; "
    "listen_for([At('_one_step', 8)]); sys.exit(train.main(sys.argv[1:]))"
)
SECONDS = 60


def check(place: Place, sheet: Sheet) -> None:
    """Killed within its eighth step, resumed, compared; with images and with cached features."""
    made = small_runs.Place(place.folder)
    for cache in ("off", "on"):
        config = made.config(**EVERYTHING, cache=cache, device=str(place.device))
        whole, again = (undisturbed(made, f"{name} {cache}", config) for name in ("one", "two"))
        killed = Run(made.root / f"killed {cache}")
        code = command([*made.words(killed.folder.name, config), "--no-report"], KILLED)
        sheet.must(f"cache {cache}: killed", code == -9, f"exit status {code}")
        code = command([*made.resumed(killed.folder.name), "--no-report"])
        sheet.must(f"cache {cache}: resumed", code == 0, f"exit status {code}")
        same, twice = results(killed) == results(whole), results(again) == results(whole)
        sheet.tell(f"cache {cache}: undisturbed runs are the same, bit for bit", twice)
        sheet.tell(f"cache {cache}: the resumed one is, too", same)
        # Where sums on this card have no fixed order, no two runs are alike; a resumed one must
        # then be no farther from either than they are from each other, in the last digits.
        spread = difference(whole, again)
        if twice:
            sheet.must(f"cache {cache}: resumed bit for bit", same)
        else:
            sheet.tell(f"cache {cache}: between undisturbed runs", spread)
            bound = max(10 * spread, 1e-6)
            sheet.most(f"cache {cache}: resumed, off by", difference(whole, killed), bound)


def undisturbed(made: small_runs.Place, name: str, config: Config) -> Run:
    """In this process, through the command."""
    from trainers import train

    code = train.main([*made.words(name, config), "--no-report"])
    if code:
        raise RuntimeError(f"the run {name} ended with {code}")
    return Run(made.root / name)


def command(words: list[str], script: str = "") -> int:
    """The train command in a process of its own; its exit status."""
    start = ["-c", script] if script else ["-m", "trainers.train"]
    return subprocess.run(
        [sys.executable, *start, *words], cwd=ROOT, check=False, timeout=SECONDS
    ).returncode


def difference(one: Run, other: Run) -> float:
    """The largest relative difference of a weight of the last checkpoints."""
    a, b = weights(one), weights(other)
    return max(((a[n] - b[n]).norm() / a[n].norm().clamp(min=1e-12)).item() for n in a)
