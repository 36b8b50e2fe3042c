"""The maps of a sweep: a measure over two settings, with its number in every cell."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ppap.study.dark import ON_BRIGHT, ON_DARK

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# More numbers than this in a row of cells cannot be read.
MOST_WRITTEN = 12


class Panel(NamedTuple):
    """A map of a sweep: a measure, its title, and how its numbers are written."""

    field: str
    title: str
    written: Callable[[float], str]
    logarithmic: bool = False
    less_is_better: bool = False


def _share(value: float) -> str:
    return f"{100 * value:.0f}"


def _size(value: float) -> str:
    return f"{value / 1000:.1f}k" if value >= 1000 else f"{value:.0f}"


LABELLED = (
    Panel("f1", "F1 of P, per cent", _share),
    Panel("precision", "Correct positives, per cent", _share),
    Panel("positives", "Positives, mean |P|", _size, True),
    Panel("false_negatives", "Wrong negatives, per cent", _share, less_is_better=True),
)
UNLABELLED = (
    Panel("positives", "Positives, mean |P|", _size, True),
    Panel("ambiguous", "Ambiguous, mean |A|", _size, True),
)


def maps_size(study: Mapping[str, Any]) -> tuple[float, float]:
    """Width and height of the figure in inches."""
    return 7.2, 0.75 + 3.0 * (len(_panels(study)) // 2)


def _panels(study: Mapping[str, Any]) -> tuple[Panel, ...]:
    return LABELLED if study["labelled"] else UNLABELLED


def draw_maps(figure: Figure, study: Mapping[str, Any], colour: str) -> list[Axes]:
    """A map of every measure of a study's sweep, with the study's own settings marked."""
    sweep, panels = study["sweep"], _panels(study)
    xs, ys = sweep["x"]["values"], sweep["y"]["values"]
    axes = list(figure.subplots(len(panels) // 2, 2, squeeze=False).flat)
    marked = False
    for one, panel in zip(axes, panels, strict=True):
        values = [[cell[panel.field] for cell in row] for row in sweep["cells"]]
        _heat(one, values, panel)
        one.set_title(panel.title)
        one.set_xticks(range(len(xs)), [f"{x:g}" for x in xs], rotation=45 if len(xs) > 8 else 0)
        one.set_yticks(range(len(ys)), [f"{y:g}" for y in ys])
        one.set_xlabel(sweep["x"]["symbol"])
        one.set_ylabel(sweep["y"]["symbol"])
        marked = _mark(one, study, colour) or marked
    if marked:
        said = "suggested settings" if study["plan"]["advised"] else "the study's settings"
        handles = axes[0].get_legend_handles_labels()[0]
        figure.legend(handles, [said], loc="outside lower center", frameon=False, fontsize=8)
    return axes


def _mark(axes: Axes, study: Mapping[str, Any], colour: str) -> bool:
    """A ring where the study's own settings lie, between the cells as it may be."""
    sweep, own = study["sweep"], study["settings"]
    at = [_place(sweep[axis]["values"], own[sweep[axis]["setting"]]) for axis in ("x", "y")]
    if at[0] is None or at[1] is None:
        return False
    axes.scatter(
        [at[0]], [at[1]], s=150, label="own", zorder=3, clip_on=False,
        facecolors="none", edgecolors=colour, linewidths=1.8,
    )  # fmt: skip
    return True


def _place(values: Sequence[float], value: float) -> float | None:
    """Where a value lies among those of an axis, 0 for the first; None outside of them."""
    if not values[0] <= value <= values[-1]:
        return None
    after = next(i for i, one in enumerate(values) if one >= value)
    if values[after] == value:
        return float(after)
    before = values[after - 1]
    return after - 1 + (value - before) / (values[after] - before)


def _heat(axes: Axes, values: list[list[float | None]], panel: Panel) -> None:
    from matplotlib import colormaps
    from matplotlib.colors import LogNorm, Normalize

    flat = [value for row in values for value in row if value is not None]
    low, high = (min(flat), max(flat)) if flat else (0.0, 1.0)
    if panel.logarithmic:
        scale: Normalize = LogNorm(max(low, 1), max(high, 2))
    else:
        scale = Normalize(low, max(high, low + 1e-6))
    # Bright is good.
    shades = colormaps["cividis_r" if panel.less_is_better else "cividis"].with_extremes(
        bad="#e6e6e6"
    )
    shown = [
        [math.nan if v is None else max(v, 1) if panel.logarithmic else v for v in row]
        for row in values
    ]
    axes.imshow(shown, norm=scale, cmap=shades, origin="lower", aspect="auto")
    for side in axes.spines.values():
        side.set_visible(False)
    if max(len(values), len(values[0])) > MOST_WRITTEN:
        return
    for y, row in enumerate(values):
        for x, value in enumerate(row):
            if value is None:
                continue
            share = float(scale(max(value, 1) if panel.logarithmic else value))
            bright = share < 0.5 if panel.less_is_better else share > 0.5
            axes.text(
                x, y, panel.written(value),
                ha="center", va="center", fontsize=6, color=ON_BRIGHT if bright else ON_DARK,
            )  # fmt: skip
