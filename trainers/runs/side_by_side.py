"""Several runs beside each other: the settings in which they differ, and what they came to."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trainers.rules import read_only
from trainers.runs.standing import Reading, settings_of, standing
from trainers.runs.values import number
from trainers.runs.watching import Watching


def side_by_side(folders: list[Path], reading: Reading, watching: Watching) -> dict[str, Any]:
    """Compare runs.

    Returns:
        ``names``; ``settings`` and ``metrics``, each a list of ``{name, values}``: a value for each
        of the names, None where a run has no such thing, or its rule does not read the setting.
    """
    settings = rows([read_only(settings_of(folder, reading)) for folder in folders])
    return {
        "names": [folder.name for folder in folders],
        "settings": [row for row in settings if differs(row["values"])],
        "metrics": rows([numbers(folder, reading, watching) for folder in folders]),
    }


def differs(values: list[Any]) -> bool:
    """Whether runs that have a setting have it otherwise than each other."""
    known = [value for value in values if value is not None]
    return any(value != known[0] for value in known)


def rows(columns: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A row for each name in any column."""
    names = dict.fromkeys(name for column in columns for name in column)
    return [{"name": name, "values": [column.get(name) for column in columns]} for name in names]


def numbers(folder: Path, reading: Reading, watching: Watching) -> dict[str, Any]:
    """What a run has come to: where it stands, its last metrics, and its report."""
    one = standing(folder, reading)
    found: dict[str, Any] = {"state": one.state, "step": one.step, "seconds": one.seconds}
    found |= watching.latest(folder)
    report = reading.json(folder / "report.json")
    for title, part in (("report", report), ("report with CRF", report.get("crf"))):
        for kind in ("cluster", "linear"):
            scores = part.get(kind) if isinstance(part, Mapping) else None
            if isinstance(scores, Mapping):
                for measure in ("accuracy", "miou"):
                    found[f"{title}: {kind} {measure}"] = number(scores.get(measure))
    return found
