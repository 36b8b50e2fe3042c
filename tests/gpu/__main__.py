"""Run every check on a GPU: ``python -m tests.gpu [--out DIR] [--only NAME …]``.

Without a GPU it says so and ends at once. With one it takes at most eight minutes, and leaves
``gpu.json`` (every number, the card, all versions) and ``gpu.md`` (the table for the documents).
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from tests.gpu.checks import CHECKS
from tests.gpu.runner import run_all, summary
from tests.gpu.sheet import Outcome, as_table

LIMIT_SECONDS = 8 * 60.0
# What of a minute is left for starting and for writing down.
SPARE_SECONDS = 15.0
PACKAGES = ("torch", "timm", "numpy", "triton", "torchvision", "pillow")
NONE = "There is no GPU that PyTorch can use here (CUDA), so nothing is checked."


def main(arguments: Sequence[str] | None = None) -> int:
    """Run them; 0 where all passed, or there is no GPU."""
    began = time.monotonic()
    parser = argparse.ArgumentParser(prog="python -m tests.gpu", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/gpu"), metavar="DIR")
    parser.add_argument("--only", nargs="+", choices=list(CHECKS), metavar="NAME", default=[])
    parser.add_argument("--seconds", type=float, default=LIMIT_SECONDS, help="for all of them")
    given = parser.parse_args(arguments)
    if not torch.cuda.is_available():
        print(NONE)
        return 0
    given.out.mkdir(parents=True, exist_ok=True)
    chosen = [
        (name, check.meaning, check.seconds)
        for name, check in CHECKS.items()
        if not given.only or name in given.only
    ]
    found: list[Outcome] = []

    def told(outcome: Outcome) -> None:
        found.append(outcome)
        print(f"{outcome.name}: {outcome.state}, {outcome.seconds:.0f} s", flush=True)
        for line in outcome.said.splitlines():
            print(f"    {line}", flush=True)
        # What is known so far stays known, whatever comes.
        write(given.out, found)

    run_all(chosen, device="cuda:0", limit=given.seconds - SPARE_SECONDS, told=told)
    print(as_table(found))
    print(f"{summary(found)} {time.monotonic() - began:.0f} s. {given.out / 'gpu.json'}")
    return 0 if all(one.good for one in found) else 1


def write(folder: Path, outcomes: Sequence[Outcome]) -> None:
    """The JSON and the table."""
    about = machine()
    known = {"machine": about, "checks": [as_dict(one) for one in outcomes]}
    (folder / "gpu.json").write_text(json.dumps(known, indent=2, ensure_ascii=False) + "\n")
    versions = ", ".join(f"{name} {value}" for name, value in about.items())
    (folder / "gpu.md").write_text(f"{versions}.\n\n{as_table(outcomes)}")


def as_dict(outcome: Outcome) -> dict[str, Any]:
    """For JSON."""
    rows = [vars(row) for row in outcome.rows]
    return {**vars(outcome), "rows": rows}


def machine() -> dict[str, str]:
    """The card and the versions."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    found["CUDA"] = str(torch.version.cuda)
    if torch.cuda.is_available():
        about = torch.cuda.get_device_properties(0)
        found["GPU"] = f"{about.name}, {about.total_memory / 2**30:.0f} GB"
    return found


if __name__ == "__main__":
    sys.exit(main())
