"""What a tracker is told of a run, and what its process is told to do."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

from trainers.tracking.asked import Asked

# Kinds of lines in ``metrics.jsonl``, in the order in which a step's come.
ORDER = ("step", "validation")
REPORT = "report"
FOLDER = "tracking"
# Beside a line's numbers, what says where it belongs.
_PLACE = ("kind", "step")


@dataclass(frozen=True)
class About:
    """A run as its trackers know it."""

    folder: Path
    name: str
    project: str
    """``NAME`` or ``ENTITY/NAME``."""
    config: dict[str, Any] = field(default_factory=dict)
    from_step: int = 0
    """The step after which the run goes on."""
    known: int = 0
    """Bytes of ``metrics.jsonl`` that are of steps before."""

    @property
    def entity(self) -> str | None:
        """The team on W&B; None: whoever is logged in."""
        return self.project.rpartition("/")[0] or None

    @property
    def project_name(self) -> str:
        """The project's own name."""
        return self.project.rpartition("/")[2]

    def first_line(self, asked: Asked) -> str:
        """What the process of a tracker is told first."""
        return json.dumps({**asdict(self), "folder": str(self.folder), "asked": asdict(asked)})


def read_first_line(line: str) -> tuple[About, Asked]:
    """The other end of ``About.first_line``."""
    raw = json.loads(line)
    asked = Asked(**raw.pop("asked"))
    return About(**{**raw, "folder": Path(raw["folder"])}), asked


class Tracker(Protocol):
    """One tool that is told of a run. Whatever it raises ends the telling, never the run."""

    def write(self, kind: str, step: int, numbers: Mapping[str, Any]) -> None:
        """A line of ``metrics.jsonl``."""

    def report(self, step: int, scores: Mapping[str, float]) -> None:
        """The scores at the end."""

    def close(self, *, failed: bool) -> None:
        """Write what is left; ``failed``: the run did not come to its end."""


def curves(kind: str, numbers: Mapping[str, Any]) -> dict[str, float]:
    """Finite numbers by the names of their curves, such as ``step/loss``."""
    return {
        f"{kind}/{name}": value
        for name, value in numbers.items()
        if name not in _PLACE
        and isinstance(value, int | float)
        and not isinstance(value, bool)
        and math.isfinite(value)
    }


def told(config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that a tracker is told: of the backbone's file its name, not where it lies."""
    found = dict(config)
    backbone = str(found.get("backbone", ""))
    name, mark, file = backbone.rpartition("@")
    if "/" in file or "\\" in file:
        found["backbone"] = f"{name}{mark}{file.replace(chr(92), '/').rpartition('/')[2]}"
    return found


def scores_of(report: Mapping[str, Any]) -> dict[str, float]:
    """U-mIoU, U-Acc, L-mIoU and L-Acc of a report, in percent; those that it has."""
    found = {}
    for letter, probe in (("U", "cluster"), ("L", "linear")):
        measures = report.get(probe)
        if not isinstance(measures, Mapping):
            continue
        for title, name in (("mIoU", "miou"), ("Acc", "accuracy")):
            value = measures.get(name)
            if isinstance(value, int | float) and math.isfinite(value):
                found[f"{letter}-{title}"] = float(value)
    return found
