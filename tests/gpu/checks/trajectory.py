"""The recorded training loop, taken again by the trainer on the device."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.gpu.sheet import Place, Sheet
from tests.support.golden import FOLDER
from tests.support.trajectory import LOSSES, column, told, trained
from trainers.training.distributed import World

# What is measured of precisions on a CPU is in docs/deviations.md; a GPU rounds in other places.
BOUNDS = {
    "float32": {"loss": 1e-4, "linear": 1e-4, "cluster": 1e-4, "gradient_norm": 1e-3},
    "float16": {"loss": 5e-3, "linear": 1e-3, "cluster": 2e-3, "gradient_norm": 5e-2},
    "bfloat16": {"loss": 3e-2, "linear": 1e-2, "cluster": 1e-2, "gradient_norm": 0.3},
    "published": {"loss": 5e-3, "linear": 1e-3, "cluster": 2e-3, "gradient_norm": 5e-2},
}


def check(place: Place, sheet: Sheet) -> None:
    """Six steps in each precision, and with all that the published run does otherwise."""
    with np.load(FOLDER / "trajectory_adam.npz") as stored:
        numbers = dict(stored)
    world = World(0, 1, 0, place.device)
    for kind, bounds in BOUNDS.items():
        if place.small and kind != "float32":
            continue
        changes: dict[str, Any] = {"precision": kind}
        if kind == "published":
            # This alone: nearest pixels and groups of anchors change nothing at these sizes.
            changes = {"protocol": "published"}
        folder = place.folder / kind
        folder.mkdir()
        if place.small:
            changes["max_steps"] = 1
        run = trained(folder, numbers, world=world, device=str(place.device), **changes).run
        for name, bound in bounds.items():
            found = np.array(told(run, LOSSES[name]))
            wanted = column(numbers, name)[: len(found)]
            gap = float(np.abs(found - wanted).max() / np.abs(wanted).max())
            sheet.most(f"{kind}: {name.replace('_', ' ')}, most off by", gap, bound)
