"""Finished runs of one recipe with seeds, settings and reports, without anything being trained."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.support.counted_runs import finish_counted
from trainers.recipes import find
from trainers.runs.folder import Run


def finished(root: Path, name: str, seed: int, *, skill: float = 0.8, **changes: Any) -> Run:
    """A run of the sample photos that finished long ago, as right as ``skill`` says."""
    run = Run(root / name)
    run.write_config(find("samples").config.with_({"seed": seed, **changes}))
    finish_counted(run.folder, skill, seed)
    said = {"state": "finished", "seconds": 50, "step": 100, "steps": 100}
    run.state_file.write_text(json.dumps({**said, "time": 1_700_000_000 + seed}))
    return run
