from __future__ import annotations

import pytest

from ppap.settings import SettingError, Settings
from ppap.study.grid import Axis, Grid, evenly

BASE = Settings(0.55, 0.15, 3, 4, 2)


def test_every_cell_has_its_settings_and_the_rest_of_the_base() -> None:
    grid = Grid(Axis("phi0", (0.6, 0.5)), Axis("steps", (1, 3, 2)), BASE)
    assert len(grid) == 6
    assert grid.x.values == (0.5, 0.6)
    assert [(row, column, s.phi0, s.steps) for row, column, s in grid.cells()] == [
        (0, 0, 0.5, 1),
        (0, 1, 0.6, 1),
        (1, 0, 0.5, 2),
        (1, 1, 0.6, 2),
        (2, 0, 0.5, 3),
        (2, 1, 0.6, 3),
    ]
    assert all((s.psi0, s.sigma_pos, s.sigma_amb) == (0.15, 3, 4) for _, _, s in grid.cells())


@pytest.mark.parametrize(
    ("setting", "values", "sentence"),
    [
        ("phi", (0.5,), "no setting called 'phi'"),
        ("phi0", (), "1 to 40 values of Φ⁰, not 0"),
        ("phi0", tuple(i / 100 for i in range(41)), "not 41"),
        ("phi0", (0.5, 1.5), "Φ⁰ must be a number from -1 to 1, not 1.5"),
        ("phi0", (0.5, float("nan")), "not nan"),
        ("steps", (1.5,), "T must be a whole number"),
        ("phi0", (0.5, 0.5), "the same value twice"),
    ],
)
def test_an_axis_says_what_is_wrong(setting: str, values: tuple[float, ...], sentence: str) -> None:
    with pytest.raises(SettingError, match=sentence.replace("(", r"\(")):
        Axis(setting, values)


def test_two_axes_of_one_setting_are_refused() -> None:
    with pytest.raises(SettingError, match="both are Φ⁰"):
        Grid(Axis("phi0", (0.5,)), Axis("phi0", (0.6,)), BASE)


def test_evenly_spaced_values() -> None:
    assert evenly("phi0", 0.3, 0.75, 4).values == (0.3, 0.45, 0.6, 0.75)
    assert evenly("steps", 1, 4, 10).values == (1, 2, 3, 4)
    assert evenly("phi0", 0.3, 0.9, 1).values == (0.3,)
