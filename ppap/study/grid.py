"""Two settings and the values that a sweep gives them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from ppap.settings import RANGES, SettingError, Settings, excerpt, number

MOST_VALUES = 40


@dataclass(frozen=True)
class Axis:
    """A setting and its values, in ascending order; SettingError where they cannot be used."""

    setting: str
    values: tuple[float, ...]

    def __post_init__(self) -> None:
        if self.setting not in RANGES:
            known = ", ".join(RANGES)
            raise SettingError(
                "axis", f"There is no setting called {excerpt(self.setting)!r}: {known}."
            )
        symbol = RANGES[self.setting].symbol
        if not 1 <= len(self.values) <= MOST_VALUES:
            raise SettingError(
                self.setting,
                f"A sweep needs 1 to {MOST_VALUES} values of {symbol}, not {len(self.values)}.",
            )
        checked = {number(self.setting, value, RANGES[self.setting]) for value in self.values}
        if len(checked) < len(self.values):
            raise SettingError(self.setting, f"{symbol} has the same value twice.")
        object.__setattr__(self, "values", tuple(sorted(checked)))

    @property
    def symbol(self) -> str:
        """What the paper calls the setting."""
        return RANGES[self.setting].symbol


@dataclass(frozen=True)
class Grid:
    """Every value of one axis with every value of the other, the rest as in ``base``."""

    x: Axis
    y: Axis
    base: Settings

    def __post_init__(self) -> None:
        if self.x.setting == self.y.setting:
            raise SettingError("axis", f"Choose two different axes; both are {self.x.symbol}.")

    def __len__(self) -> int:
        """Number of cells."""
        return len(self.x.values) * len(self.y.values)

    def at(self, row: int, column: int) -> Settings:
        """The settings of a cell: ``row`` along y, ``column`` along x."""
        changes = {self.x.setting: self.x.values[column], self.y.setting: self.y.values[row]}
        return replace(self.base, **changes)  # type: ignore[arg-type]

    def cells(self) -> Iterator[tuple[int, int, Settings]]:
        """Row, column and settings of every cell."""
        for row in range(len(self.y.values)):
            for column in range(len(self.x.values)):
                yield row, column, self.at(row, column)


def evenly(setting: str, first: float, last: float, count: int) -> Axis:
    """An axis of ``count`` values from ``first`` to ``last``, rounded to the third decimal."""
    if count < 2:
        return Axis(setting, (first,))
    step = (last - first) / (count - 1)
    values: Sequence[float] = [round(first + i * step, 3) for i in range(count)]
    if setting in RANGES and RANGES[setting].whole:
        values = sorted({float(round(value)) for value in values})
    return Axis(setting, tuple(values))
