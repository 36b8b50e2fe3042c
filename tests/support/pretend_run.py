"""Stands in for the trainer: writes what a run writes, in milliseconds, without importing torch.

It works until it is told to stop, unless its setting ``train_split`` says otherwise.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

HANGS, ENDS, FAILS, REFUSES = "hangs", "ends", "fails", "refuses"


def main() -> int:
    """Pretend."""
    parser = argparse.ArgumentParser()
    parser.add_argument("recipe", nargs="?")
    parser.add_argument("--data")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--cache")
    parser.add_argument("--set", nargs="+", default=[])
    parser.add_argument("--resume", action="store_true")
    given = parser.parse_args()
    out: Path = given.out
    changes = dict(word.split("=", 1) for word in given.set)
    does = changes.get("train_split", "") if not given.resume else ENDS
    if does == REFUSES:
        sys.stderr.write("The images are nowhere to be found.\n")
        return 2
    asked: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: asked.append(number))
    if not given.resume:
        config = {"recipe": given.recipe, **changes}
        (out / "config.json").write_text(json.dumps(config))
    (out / "checkpoints").mkdir(exist_ok=True)
    say(out, "running", step=5, steps=10, data=given.data, images_per_second=4.0)
    with (out / "metrics.jsonl").open("a") as metrics:
        for step in range(1, 6):
            metrics.write(json.dumps({"kind": "step", "step": step, "loss": 1 / step}) + "\n")
    print("Step 5 of 10", flush=True)
    if does == FAILS:
        say(out, "failed", reason="The loss is no number.", step=5, steps=10)
        return 1
    if does == ENDS:
        say(out, "finished", step=10, steps=10)
        return 0
    while not asked or does == HANGS:
        time.sleep(0.01)
    (out / "checkpoints" / "step-00000005.pt").write_bytes(b"kept")
    say(out, "stopped", step=5, steps=10)
    return 0


def say(out: Path, state: str, **facts: Any) -> None:
    """As ``Run.write_state``."""
    started = float(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    content = {"state": state, "pid": os.getpid(), "started": started, "time": time.time(), **facts}
    partial = out / ".state.partial"
    partial.write_text(json.dumps(content))
    partial.replace(out / "state.json")


if __name__ == "__main__":
    sys.exit(main())
