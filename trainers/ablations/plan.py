"""What an ablation asks for: recipes × values of settings × seeds, each combination a run.

Everything is checked when an ``Ablation`` is made, so that nothing has started when a value turns
out to be wrong. It is kept on disk as ``RUNS/.ablations/NAME/grid.json`` and can be opened again.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from ppap.backbones.naming import absolute
from ppap.evaluation.report import write_text
from ppap.settings import SettingError, excerpt
from trainers.config import KIND, checked, limits, unknown
from trainers.launching.orders import NAME, Order, plain_text, read_order, run_name
from trainers.launching.runner import as_text
from trainers.recipes import find
from trainers.rules import reads
from trainers.runs.folder import RunError
from trainers.runs.values import read_json

SEEDS = (0, 1, 2)
# More is a slip of the hand, and would take a year.
MOST_RUNS = 1000
BACKBONE = "backbone"
# As the runner's rule for names has it.
LONGEST_NAME = 100
# Values that can stand in a run's name as they are, and still be told from the next setting.
PLAIN = re.compile(r"-?[A-Za-z0-9._]+(e-[0-9]+)?")
# Hidden, so that nobody takes it for a run.
FOLDER, GRID = ".ablations", "grid.json"
FORMAT, VERSION = "ppap-studio ablation", 1
ELSEWHERE = {
    "recipe": "recipe is not a setting to vary: name several recipes instead.",
    "seed": "seed is not a setting to vary: give the seeds separately.",
}


class Combination(NamedTuple):
    """A row of the table: the runs that differ in their seed only."""

    recipe: str
    values: dict[str, str]
    """Of the settings in the grid, by name."""

    @property
    def title(self) -> str:
        """``camvid, phi0=0.6``."""
        return ", ".join([self.recipe, *(f"{name}={value}" for name, value in self.values.items())])


class PlannedRun(NamedTuple):
    """One run of an ablation."""

    name: str
    combination: Combination
    seed: int
    order: Order


@dataclass(frozen=True)
class Ablation:
    """A checked ablation; a part that cannot be used raises SettingError, which names the field.

    All parts may come from anybody: they are checked, and brought into one form.
    """

    name: str
    recipes: tuple[str, ...]
    data: Path | None = None
    """The data set's folder; None for the sample photos."""
    seeds: tuple[int, ...] = SEEDS
    settings: Mapping[str, str] = field(default_factory=dict)
    """Changed in all runs."""
    grid: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Every value of each of these settings is combined with every other."""

    def __post_init__(self) -> None:
        run_name(self.name)
        recipes = [plain_text("recipe", one) for one in listed("recipe", self.recipes)]
        for one in recipes:
            find(one)
        whole = [int(str(_typed("seed", one))) for one in listed("seeds", self.seeds)]
        settings = {n: value_text(n, v) for n, v in _mapping("settings", self.settings).items()}
        grid = {
            name: once(name, [value_text(name, value) for value in listed(name, values)])
            for name, values in _mapping("grid", self.grid).items()
        }
        for name in grid:
            if name in settings:
                raise SettingError(name, f"{name} is both set for all runs and varied: choose one.")
        # A frozen field is set this way only.
        object.__setattr__(self, "recipes", once("recipe", recipes))
        object.__setattr__(self, "seeds", once("seed", whole))
        object.__setattr__(self, "settings", settings)
        object.__setattr__(self, "grid", grid)
        self._check_together()

    def _check_together(self) -> None:
        """The number of runs, the data, and settings that are only wrong beside each other."""
        if self.total > MOST_RUNS:
            raise SettingError(
                "grid", f"That would be {self.total:,} runs; the most is {MOST_RUNS:,}."
            )
        object.__setattr__(self, "data", self._planned[0].order.data)

    def placed(self) -> Ablation:
        """The same with files of backbones in full, for the one that is asked for here and now: it
        is read again in other folders, and named by its values.

        Raises:
            SettingError: a setting that its rules do not read. One from an earlier version may be
                read again all the same.
        """
        self._require_read()
        settings = {n: absolute(v) if n == BACKBONE else v for n, v in self.settings.items()}
        grid = {
            n: tuple(map(absolute, values)) if n == BACKBONE else values
            for n, values in self.grid.items()
        }
        if (settings, grid) == (self.settings, self.grid):
            return self
        return replace(self, settings=settings, grid=grid)

    def _require_read(self) -> None:
        rules = dict.fromkeys(run.order.config.rule for run in self.runs())
        for name, values in self.grid.items():
            blind = [rule for rule in rules if not reads(rule, name)]
            if blind and len(values) > 1:
                who = " and ".join(f"rule={rule}" for rule in blind)
                who += " does not use" if len(blind) == 1 else " do not use"
                raise SettingError(
                    name,
                    f"{who} {name}: runs that differ only in it would be identical. Vary it with "
                    "a rule that uses it.",
                )
        for name in self.settings:
            if not any(reads(rule, name) for rule in rules):
                raise SettingError(
                    name,
                    f"None of these runs uses {name}, because their rule is {' or '.join(rules)}: "
                    "leave it out.",
                )

    @property
    def total(self) -> int:
        """How many runs it has."""
        values = math.prod(len(values) for values in self.grid.values())
        return len(self.recipes) * values * len(self.seeds)

    def combinations(self) -> list[Combination]:
        """The rows of its table."""
        return [
            Combination(recipe, dict(zip(self.grid, values, strict=True)))
            for recipe in self.recipes
            for values in itertools.product(*self.grid.values())
        ]

    def runs(self) -> tuple[PlannedRun, ...]:
        """All runs; every combination comes with the first seed before the second begins."""
        return self._planned

    @cached_property
    def _planned(self) -> tuple[PlannedRun, ...]:
        return tuple(
            PlannedRun(name_of(self.name, each, seed), each, seed, self._order(each, seed))
            for seed in self.seeds
            for each in self.combinations()
        )

    def _order(self, combination: Combination, seed: int) -> Order:
        raw = {
            "recipe": combination.recipe,
            "name": name_of(self.name, combination, seed),
            "data": None if self.data is None else str(self.data),
            "settings": {**self.settings, **combination.values, "seed": str(seed)},
        }
        order, errors = read_order(raw)
        if order is None:
            raise SettingError(*next(iter(errors.items())))
        return order

    def as_dict(self) -> dict[str, Any]:
        """For JSON; ``read_ablation`` makes the same of it."""
        return {
            "name": self.name,
            "recipes": list(self.recipes),
            "data": None if self.data is None else str(self.data),
            "seeds": list(self.seeds),
            "settings": dict(self.settings),
            "grid": {name: list(values) for name, values in self.grid.items()},
        }


def read_ablation(raw: Mapping[str, Any]) -> Ablation:
    """An ablation from plain, untrusted values.

    Raises:
        SettingError: names the field that is missing or cannot be used.
    """
    return Ablation(
        name=raw.get("name"),  # type: ignore[arg-type]
        recipes=raw.get("recipes", ()),
        data=raw.get("data") or None,
        seeds=raw.get("seeds", SEEDS),
        settings=raw.get("settings", {}),
        grid=raw.get("grid", {}),
    )


def name_of(study: str, combination: Combination, seed: int) -> str:
    """``study-camvid-phi0_0.6-seed0``; ends in a checksum before the seed where that cannot be."""
    parts = [study, combination.recipe, *(f"{n}_{v}" for n, v in combination.values.items())]
    whole = "-".join(parts)
    safe = re.sub(r"[^A-Za-z0-9._-]+", "_", whole)
    tail = f"-seed{seed}"
    room = LONGEST_NAME - len(tail)
    plain = all(PLAIN.fullmatch(value) for value in combination.values.values())
    if not plain or len(safe) > room:
        mark = hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:8]
        safe = f"{safe[: room - 9]}-{mark}"
    assert NAME.fullmatch(safe + tail)
    return safe + tail


def value_text(name: object, value: object) -> str:
    """A setting's value as it stands in commands and names: ``0.60`` → ``0.6``.

    Raises:
        SettingError: there is no such setting, it is chosen elsewhere, or the value is none.
    """
    typed = _typed(name, value)
    if isinstance(typed, float) and typed == int(typed) and abs(typed) < 1e15:
        typed = int(typed)
    return as_text(typed)


def _typed(name: object, value: object) -> object:
    text = str(name) if isinstance(name, str) else ""
    if text not in KIND:
        raise unknown(name)
    return checked(text, plain_text(text, value), KIND[text], limits(text))


def listed(field: str, given: object) -> list[object]:
    """A list that holds something; SettingError otherwise."""
    if not isinstance(given, list | tuple) or not given:
        raise SettingError(field, f"{field} must be a list of one or more.")
    if len(given) > MOST_RUNS:
        raise SettingError(field, f"{field} has {len(given):,} entries; the most is {MOST_RUNS:,}.")
    return list(given)


def once(field: str, given: list[Any]) -> tuple[Any, ...]:
    """The same, in which nothing is twice; SettingError otherwise."""
    for i, one in enumerate(given):
        if one in given[:i]:
            raise SettingError(field, f"{field} {excerpt(one)} is given twice.")
    return tuple(given)


def _mapping(field: str, given: object) -> Mapping[str, Any]:
    if not isinstance(given, Mapping):
        raise SettingError(field, f"{field} must be an object with named settings.")
    for name in given:
        if name in ELSEWHERE:
            raise SettingError(str(name), ELSEWHERE[name])
    return given


# --- on disk


def folder_of(root: Path, name: object) -> Path:
    """Where a study's files lie; SettingError for what is no name."""
    return root / FOLDER / run_name(name)


def write_grid(root: Path, ablation: Ablation) -> None:
    """Write down what was asked for, whole or not at all."""
    raw = {"format": FORMAT, "version": VERSION, **ablation.as_dict()}
    write_text(json.dumps(raw, indent=1) + "\n", folder_of(root, ablation.name) / GRID)


def reopen(root: Path, name: object) -> Ablation:
    """The study of that name, as it was last asked for.

    Raises:
        RunError: there is none, or its file is damaged.
        SettingError: it asks for what there is no more, such as a folder of data.
    """
    file = folder_of(root, name) / GRID
    raw = read_json(file)
    if raw.get("format") != FORMAT or raw.get("version") != VERSION:
        what = "cannot be read" if file.exists() else "does not exist"
        raise RunError(f"There is no ablation called {name} to continue: {file} {what}.")
    return read_ablation({**raw, "name": name})


def studies(root: Path) -> Iterator[str]:
    """The names of all studies, in alphabetic order."""
    for file in sorted((root / FOLDER).glob(f"*/{GRID}")):
        if NAME.fullmatch(file.parent.name):
            yield file.parent.name
