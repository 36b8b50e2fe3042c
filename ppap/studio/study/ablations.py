"""Ablations for the Study page: the command ``trainers.ablation``, and its tables as on disk.

The command is a process of its own that outlives the page and the studio, as its runs do; whatever
the page shows is read from disk.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ppap.backbones import as_path
from ppap.places import ROOT
from ppap.settings import SettingError, excerpt
from ppap.studio.access.owners import EVERYBODYS, Ownership, claim, environment
from ppap.studio.answers import answering
from ppap.studio.jobs import command
from ppap.studio.requests import CLOSED, RequestError, mapping
from ppap.studio.sources import Sources
from ppap.studio.study.planning import Planning
from trainers.ablations.conclusion import hint
from trainers.ablations.forecast import placed
from trainers.ablations.plan import Ablation, folder_of, read_ablation, reopen, studies, write_grid
from trainers.ablations.queue import standing
from trainers.ablations.table import (
    CRF,
    Table,
    as_csv,
    cells,
    concluded,
    difference_cells,
    differences_about,
    starts_tables,
    table,
)
from trainers.launching.orders import read_place, slurm_words
from trainers.launching.runner import Runner
from trainers.recipes import names
from trainers.runs.folder import RunError
from trainers.training.splits import SAMPLES

COMMAND = command("trainers.ablation")
OUTPUT = "output.txt"
# Of what the command said last, as much as a page shows.
MOST_SAID = 2000


class Ablating:
    """The state behind the ablations of all Study pages.

    Args:
        runner: the runs.
        sources: which folders and files may be looked into.
        allowed: whether pages may start ablations; they can be read all the same.
        ownership: says who may see which.
    """

    def __init__(
        self,
        runner: Runner,
        sources: Sources,
        *,
        allowed: bool = True,
        ownership: Ownership = EVERYBODYS,
    ) -> None:
        self.runner, self.sources, self.allowed = runner, sources, allowed
        self.ownership = ownership
        self.planning = Planning(runner, self.checked)
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def calls(self) -> list[Callable[[Any], Any]]:
        """What the page may call, by its name."""
        return [self.ablations, self.start_ablation, self.ablation, *self.planning.calls()]

    @answering
    def ablations(self, _: Any) -> dict[str, Any]:
        """The recipes that there are, and all ablations with how far each is."""
        return {"recipes": list(names()), "ablations": self.listed()}

    @answering
    def start_ablation(self, request: Any) -> dict[str, Any]:
        """Begin an ablation, or go on with it."""
        return self.begin(mapping(request))

    @answering
    def ablation(self, name: Any) -> dict[str, Any]:
        """An ablation's table so far."""
        return self.read(name)

    # What the page's calls share with the scripts' endpoints.

    def listed(self) -> list[dict[str, Any]]:
        """Every ablation: name, what it varies, and how many of its runs are finished."""
        found = []
        for name in studies(self.runner.root):
            if not self.ownership.sees(folder_of(self.runner.root, name)):
                continue
            try:
                ablation = reopen(self.runner.root, name)
                text = f"{', '.join(ablation.recipes)}{varied(ablation)}"
                finished = standing(self.runner, ablation).finished
                found.append(
                    {"name": name, "text": text, "finished": finished, "total": ablation.total}
                )
            except (SettingError, RunError) as error:  # such as a data folder that is gone
                found.append({"name": name, "text": str(error), "finished": 0, "total": 0})
        return found

    def begin(self, raw: Mapping[str, Any]) -> dict[str, Any]:
        """Check a request and start the command; errors as of ``ablation``."""
        if not self.allowed:
            raise RequestError(CLOSED)
        ablation, slurm = self.checked(raw), read_place(raw)
        # On a cluster a run may not fit where it fits here.
        for run in ablation.runs():
            placed(run.order, slurm)
        if not self.ownership.sees(folder_of(self.runner.root, ablation.name)):
            raise SettingError("name", f"{ablation.name} already exists. Choose another name.")
        known = self._processes.get(ablation.name)
        if known is not None and known.poll() is None:
            raise RequestError(f"{ablation.name} is already running.")
        root = self.runner.root
        folder = folder_of(root, ablation.name)
        new = not folder.exists()
        folder.mkdir(parents=True, exist_ok=True)
        if new:
            claim(folder)
        write_grid(root, ablation)
        with (folder / OUTPUT).open("wb") as output:
            self._processes[ablation.name] = subprocess.Popen(
                [
                    *COMMAND,
                    *arguments(ablation, root),
                    *slurm_words(None if slurm is None else slurm.as_dict()),
                ],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=output,
                start_new_session=True,
                env=environment(),
            )
        return self.read(ablation.name)

    def checked(self, raw: Mapping[str, Any]) -> Ablation:
        """An ablation from what a page's fields say; SettingError names the field."""
        recipe, data = raw.get("recipe"), raw.get("data") or None
        if recipe == SAMPLES:
            data = None
        elif data is None:
            raise SettingError("data", "Enter the data set folder.")
        elif not isinstance(data, str):
            raise SettingError("data", "The data set must be a folder on this server.")
        else:
            data = str(self.sources.folder(data.strip()))
        ablation = read_ablation(
            {
                "name": raw.get("name"),
                "recipes": [recipe],
                "data": data,
                "seeds": words("seeds", raw.get("seeds", "0 1 2")),
                "grid": read_grid(raw.get("grid", "")),
                "settings": mapping(raw.get("settings") or {}),
            }
        ).placed()
        for run in ablation.runs():
            if as_path(run.order.config.backbone) is not None:
                self.sources.weights(run.order.config.backbone)
        return ablation

    def read(self, name: Any) -> dict[str, Any]:
        """The table of an ablation, and where its runs stand.

        Raises:
            SettingError, RunError: there is none of that name, or it cannot be read.
        """
        if not self.ownership.sees(folder_of(self.runner.root, name)):
            raise RunError(f"There is no ablation called {name}.")
        ablation = reopen(self.runner.root, name)
        found, made = standing(self.runner, ablation), table(self.runner, ablation)
        crf = any(key.endswith(CRF) for row in made.rows for key in row.numbers)
        process = self._processes.get(ablation.name)
        ended = process is None or process.poll() is not None
        tables = [
            {"title": title, "columns": head, "rows": rows}
            for title, suffix in (("", ""), *((("with CRF", CRF),) if crf else ()))
            for head, rows in [cells(made, suffix)]
        ] + differences(made)
        many = starts_tables(made)
        tables += [{"title": title, "columns": head, "rows": rows} for title, head, rows, _ in many]
        return {
            "name": ablation.name,
            "about": ablation.as_dict(),
            "standing": {
                key: getattr(found, key)
                for key in ("total", "finished", "running", "waiting", "stopped", "failed")
            },
            "tables": tables,
            "notes": [*made.notes, *differences_about(made), *(one[-1] for one in many)],
            "conclusion": concluded(made),
            "hints": {
                column: hint(column) for one in tables for column in one["columns"] if column
            },
            "csv": as_csv(made),
            "ended": ended,
            "said": said(folder_of(self.runner.root, ablation.name)) if ended else "",
        }


def differences(made: Table) -> list[dict[str, Any]]:
    """The table of differences to the first row; none where there are no intervals."""
    found = difference_cells(made)
    if found is None:
        return []
    head, rows = found
    return [{"title": "Differences from the first row", "columns": head, "rows": rows}]


def arguments(ablation: Ablation, root: Path) -> list[str]:
    """Of the command; every value stays in one word with its name, so that none is a name."""
    found = [*ablation.recipes, f"--name={ablation.name}", f"--runs={root}"]
    found += [] if ablation.data is None else [f"--data={ablation.data}"]
    found += ["--seeds", *map(str, ablation.seeds)]
    for name, values in ablation.grid.items():
        found.append(f"--grid={name}={','.join(values)}")
    for name, value in ablation.settings.items():
        found.append(f"--set={name}={value}")
    return found


def varied(ablation: Ablation) -> str:
    """``: phi0 0.5, 0.6`` for lists."""
    parts = [f"{name} {', '.join(values)}" for name, values in ablation.grid.items()]
    return f": {'; '.join(parts)}" if parts else ""


def words(field: str, raw: Any) -> list[str]:
    """``0 1 2`` or ``0, 1, 2`` as three words; SettingError where it is no text."""
    if not isinstance(raw, str) or not raw.strip():
        raise SettingError(field, f"{field} must be one or more values, such as 0 1 2.")
    return raw.replace(",", " ").split()


def read_grid(raw: Any) -> dict[str, list[str]]:
    """``phi0=0.5,0.6 steps=1,2`` → values by setting; SettingError where that cannot be read."""
    if not isinstance(raw, str):
        raise SettingError("grid", "Write each setting to vary as phi0=0.5,0.6.")
    grid: dict[str, list[str]] = {}
    for word in raw.split():
        name, found, values = word.partition("=")
        if not found or name in grid:
            raise SettingError(
                "grid",
                f"Write the settings to vary as phi0=0.5,0.6 steps=1,2, not {excerpt(word)}.",
            )
        grid[name] = values.split(",")
    return grid


def said(folder: Path) -> str:
    """The last line of what the command said."""
    try:
        text = (folder / OUTPUT).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][-MOST_SAID:] if lines else ""
