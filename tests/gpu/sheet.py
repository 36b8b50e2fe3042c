"""What a check finds: numbers, each with the bound that it must keep."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import torch

Value = float | int | str | bool


class Place(NamedTuple):
    """Where a check works."""

    device: torch.device
    folder: Path
    """Empty, and its own."""
    small: bool = False
    """For the CPU in tests: a few images, a few steps, bounds that a clock decides left out."""


@dataclass(frozen=True)
class Row:
    """One number of a check."""

    what: str
    value: Value
    unit: str = ""
    bound: str = ""
    """What it must keep, in words; empty where it is only told."""
    kept: bool = True


@dataclass
class Sheet:
    """The rows of one check, in their order."""

    rows: list[Row] = field(default_factory=list)
    told: Callable[[Row], None] = lambda row: None
    """Hears of every row at once: whoever is ended half way has told what he found so far."""

    def _add(self, row: Row) -> None:
        self.rows.append(row)
        self.told(row)

    def tell(self, what: str, value: Value, unit: str = "") -> None:
        """A number that nothing is asked of."""
        self._add(Row(what, value, unit))

    def most(self, what: str, value: float, bound: float, unit: str = "") -> None:
        """A number that must not exceed ``bound``; one that is none does."""
        kept = value <= bound and not math.isnan(value)
        self._add(Row(what, value, unit, f"at most {number(bound)}", kept))

    def least(self, what: str, value: float, bound: float, unit: str = "") -> None:
        """A number that must reach ``bound``."""
        self._add(Row(what, value, unit, f"at least {number(bound)}", value >= bound))

    def must(self, what: str, holds: bool, found: str = "") -> None:
        """Something that must be so; ``found``: what was there instead, or beside."""
        self._add(Row(what, found or ("yes" if holds else "no"), "", "must be", holds))

    @property
    def broken(self) -> list[Row]:
        """The rows that did not keep their bound."""
        return [row for row in self.rows if not row.kept]


def number(value: Value) -> str:
    """A value for people."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else value


@dataclass(frozen=True)
class Outcome:
    """How a check went."""

    name: str
    meaning: str
    state: str
    """passed, failed (a bound was not kept), broke (an error), late (its time was up), or left out
    (no time was left for it)."""
    seconds: float
    said: str = ""
    """Of what broke: the error, in its last lines."""
    rows: tuple[Row, ...] = ()

    @property
    def good(self) -> bool:
        """Whether nothing speaks against it."""
        return self.state == "passed"


def as_table(outcomes: Iterable[Outcome]) -> str:
    """Markdown for the documents, a line for every number."""
    lines = ["| check | what | found | bound |", "| --- | --- | --- | --- |"]
    for one in outcomes:
        title = f"{one.name}: {one.state}, {one.seconds:.0f} s"
        if not one.rows:
            lines.append(f"| {title} | {one.meaning} | {one_line(one.said)} | |")
        for row in one.rows:
            value = f"{number(row.value)} {row.unit}".strip()
            bound = row.bound if row.kept else f"**{row.bound}**"
            lines.append(f"| {title} | {row.what} | {one_line(value)} | {bound} |")
            title = ""
        if one.rows and one.said:
            lines.append(f"| | it said | {one_line(one.said)} | |")
    return "\n".join(lines) + "\n"


def one_line(text: str) -> str:
    """Text for a cell of a table: its last line that says anything."""
    said = [line.strip() for line in text.splitlines() if line.strip()]
    return (said[-1] if said else "").replace("|", "\\|")
