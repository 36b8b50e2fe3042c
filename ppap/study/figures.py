"""A study's figures, drawn the same for the page, the command line and a paper."""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ppap.rivals import RULES
from ppap.study.dark import BLACK, BLUE, CHANCE, GRID, INK, PAPER, THEMED
from ppap.study.fonts import SUGGESTED, USUAL, Fonts, fonts_for, without_invisible
from ppap.study.heat import draw_maps, maps_size

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

Study = dict[str, Any]
"""What ``ppap.study.run`` gives: plain values that JSON can hold."""

# Okabe and Ito's colours, which colour-blind people tell apart; and a mark each, for print.
COLOURS = {
    "ppap": "#d55e00",
    "baseline": BLACK,
    "hp": BLUE,
    "knn": "#009e73",
    "kmeans": "#cc79a7",
}
MARKS = {"ppap": "o", "baseline": "s", "hp": "^", "knn": "D", "kmeans": "v"}
NAMES = {rule: RULES[rule].title for rule in COLOURS}
STYLE: dict[Any, Any] = {
    "font.sans-serif": [USUAL],
    "font.size": 8,
    "axes.titlesize": 8.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    # Names in any script are written by whatever shows the file, which may have more fonts.
    "svg.fonttype": "none",
    # The same study gives the same file.
    "svg.hashsalt": "ppap",
}
DOTS_PER_INCH = 200
# A logarithmic axis that goes so far has room for two numbers in each power of ten.
MANY_TIMES = 60


def _percent(value: float | None) -> float:
    return math.nan if value is None else 100 * value


class Box(NamedTuple):
    """Where a panel's cells are in a picture: shares of its width and height, from the top left."""

    left: float
    top: float
    width: float
    height: float


class Drawn(NamedTuple):
    """One figure."""

    name: str
    title: str
    """What it shows, in a sentence."""
    svg: str
    png: bytes
    boxes: tuple[Box, ...] = ()
    """Of a sweep: its panels, so that a page can tell which cell was clicked."""


def draw(study: Study) -> list[Drawn]:
    """All figures that a study has parts for."""
    from matplotlib import rc_context

    drawn = []
    fonts = fonts_for(class_names(study))
    with rc_context({**STYLE, "font.family": [USUAL, *fonts.families, "sans-serif"]}):
        if study.get("advice"):
            drawn.append(_saved("advice", ADVICE_TITLE, _advice(study)))
        if study.get("rules"):
            drawn.append(_saved("trust", TRUST_TITLE, _trust(study)))
            drawn.append(_draw_classes(study, fonts))
        if any(one["same_class"]["curve"] for one in study.get("stages") or ()):
            drawn.append(_saved("same_class", SAME_CLASS_TITLE, _same_class(study)))
        if study.get("sweep"):
            figure = _figure(*maps_size(study))
            axes = draw_maps(figure, study, COLOURS["ppap"])
            drawn.append(_saved("sweep", SWEEP_TITLE, figure, axes))
    return drawn


def class_names(study: Study) -> list[str]:
    """The names that the figures are lettered with; none where nothing is labelled."""
    rules = [rule for rule in study.get("rules") or () if not rule["matched"]]
    return [one["name"] for one in rules[0]["classes"]] if rules else []


def unwritable(study: Study) -> str:
    """A sentence on the names that no font here has the characters of; empty where all can be."""
    names = class_names(study)
    fonts = fonts_for(names)
    lacking = [name for name in names if fonts.lacks(name)]
    if not lacking:
        return ""
    listed = ", ".join(lacking[:5]) + (" …" if len(lacking) > 5 else "")
    return (
        f"No font on this machine can display {listed}, so classes.png shows numbers, and "
        f"classes.svg the names. Install a font such as {SUGGESTED} to have names in both."
    )


ADVICE_TITLE = "How similar patches are, and where Φ⁰ and Ψ⁰ lie"
TRUST_TITLE = (
    "Number of positives and their precision over the first q % of the anchors, fewest positives "
    "first (Fig. 1b of the paper)"
)
CLASSES_TITLE = "Correct positives by the anchor's class, and the number of positives"
NUMBERED = (
    "Classes are numbered from the top where no font has the characters of their names; "
    "classes.svg has the names."
)
SAME_CLASS_TITLE = (
    "Telling same-class pairs by cosine: precision against recall over all pairs of patches, "
    "without a threshold"
)
SWEEP_TITLE = "What two settings do to the sets (settings of the paper's Fig. 4)"


def _saved(name: str, title: str, figure: Figure, axes: Sequence[Axes] = ()) -> Drawn:
    svg, png = _svg(figure), _png(figure)
    boxes = []
    for one in axes:
        place = one.get_position()
        boxes.append(Box(place.x0, 1 - place.y1, place.width, place.height))
    return Drawn(name, title, svg, png, tuple(boxes))


_ABOUT = {"Date": None, "Creator": "PPAP Studio", "Description": THEMED}


def _svg(figure: Figure) -> str:
    svg = io.StringIO()
    figure.savefig(svg, format="svg", metadata=_ABOUT)
    return svg.getvalue()


def _png(figure: Figure) -> bytes:
    png = io.BytesIO()
    figure.savefig(png, format="png", dpi=DOTS_PER_INCH, metadata={"Software": "PPAP Studio"})
    return png.getvalue()


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained", facecolor=PAPER)


def _advice(study: Study) -> Figure:
    advice = study["advice"]
    figure = _figure(5.2, 2.6)
    axes = figure.subplots()
    edges = advice["edges"]
    for field, label, colour, line in (
        ("pairs", "two patches of the batch", COLOURS["hp"], "-"),
        ("own_pairs", "two patches of one image", COLOURS["knn"], "--"),
    ):
        axes.stairs(
            [100 * v for v in advice[field]],
            edges,
            label=label,
            color=colour,
            linestyle=line,
            lw=1.4,
        )
    top = axes.get_ylim()[1]
    for symbol, value in (("Φ⁰", advice["settings"]["phi0"]), ("Ψ⁰", advice["settings"]["psi0"])):
        axes.axvline(value, color=COLOURS["ppap"], lw=1.2)
        axes.annotate(
            f"{symbol} {value:.2f}",
            (value, top),
            xytext=(3, 0),  # a space at the beginning is nothing in an SVG
            textcoords="offset points",
            va="top",
            color=COLOURS["ppap"],
            fontsize=8,
        )
    axes.set(xlabel="Cosine similarity", ylabel="Pairs, per cent", ylim=(0, top))
    axes.legend(frameon=False, loc="upper right", bbox_to_anchor=(1, 0.85))
    return figure


def _trust(study: Study) -> Figure:
    """Precision above |P|; beside each other: own settings, equal sizes."""
    groups = [[r for r in study["rules"] if not r["matched"]]]
    if any(r["matched"] for r in study["rules"]):
        own = [r for r in study["rules"] if r["rule"] == "ppap"]
        groups.append(own + [r for r in study["rules"] if r["matched"]])
    figure = _figure(3.5 * len(groups), 4.2)
    grid = figure.subplots(2, len(groups), squeeze=False, sharex=True)
    for column, rules in enumerate(groups):
        precision, sizes = grid[0][column], grid[1][column]
        for rule in rules:
            colour, x = COLOURS[rule["rule"]], [point["first"] for point in rule["curve"]]
            precision.plot(
                x,
                [_percent(point["precision"]) for point in rule["curve"]],
                color=colour, marker=MARKS[rule["rule"]], ms=3.5, lw=1.3, label=NAMES[rule["rule"]],
            )  # fmt: skip
            sizes.plot(
                x, [max(0.5, p["positives"]) for p in rule["curve"]],
                color=colour, marker=MARKS[rule["rule"]], ms=3.5, lw=1.3,
            )  # fmt: skip
        precision.set_title("at their own settings" if column == 0 else "at equal mean |P|")
        precision.grid(axis="y", color=GRID, lw=0.6)
        precision.set_ylim(0, 100)
        sizes.set_yscale("log")
        _plain_numbers(sizes.yaxis)
        sizes.set_xticks([20, 40, 60, 80, 100])
        sizes.set_xlabel("First q % of the anchors")
    grid[0][0].set_ylabel("Correct positives, %")
    grid[1][0].set_ylabel("Positives, mean |P| (log scale)")
    grid[0][-1].legend(frameon=False, loc="lower right", ncols=2, fontsize=7)
    return figure


def _same_class(study: Study) -> Figure:
    """A line a stage, its area in the legend, and chance."""
    figure = _figure(5.2, 3.2)
    axes = figure.subplots()
    lines = zip(study["stages"], (BLACK, "#d55e00", BLUE), ("-", "-", "--"), strict=False)
    for stage, colour, line in lines:
        found = stage["same_class"]
        axes.plot(
            [100 * recall for recall, _, _ in found["curve"]],
            [100 * precision for _, precision, _ in found["curve"]],
            color=colour, linestyle=line, lw=1.5,
            label=f"{stage['title']}: area {_percent(found['area']):.1f} %",
        )  # fmt: skip
    chance = _percent(study["stages"][0]["same_class"]["chance"])
    axes.axhline(chance, color=CHANCE, lw=1, linestyle=":", label=f"chance: {chance:.1f} %")
    axes.set(xlim=(0, 100), ylim=(0, 100), xlabel="Recall, %", ylabel="Precision, %")
    axes.grid(axis="both", color=GRID, lw=0.6)
    axes.legend(frameon=False, loc="upper right")
    return figure


def _plain_numbers(axis: Axis) -> None:
    """1,000 instead of 10³, and as many between the powers as have room; after plotting."""
    from matplotlib.ticker import FuncFormatter, LogLocator

    low, high = axis.get_view_interval()
    subs = (1, 3) if high > MANY_TIMES * low else (1, 2, 5)
    axis.set_major_locator(LogLocator(subs=subs))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axis.set_minor_formatter(FuncFormatter(lambda value, _: ""))


def _draw_classes(study: Study, fonts: Fonts) -> Drawn:
    """The names as they are, and numbers in the PNG for those that cannot be drawn here."""
    names = [without_invisible(name) for name in class_names(study)]
    if not any(map(fonts.lacks, names)):
        return _saved("classes", CLASSES_TITLE, _classes(study, names))
    numbered = _classes(
        study, [f"class {n}" if fonts.lacks(t) else t for n, t in enumerate(names, 1)]
    )
    numbered.supxlabel(NUMBERED, fontsize=6)
    # Whatever shows the SVG has the characters, and most that are missing here are wide.
    wide = ["".join("W" if c in fonts.missing else c for c in name) for name in names]
    figure = _classes(study, wide)
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    figure.axes[0].set_yticks(range(len(names)), names, parse_math=False)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph \d+ .*missing from font")
        svg = _svg(figure)
    return Drawn("classes", CLASSES_TITLE, svg, _png(numbered))


def _classes(study: Study, names: Sequence[str]) -> Figure:
    """``names``: how the classes are called in this figure, in their order."""
    rules = [rule for rule in study["rules"] if not rule["matched"]]
    keys = class_names(study)
    figure = _figure(6.4, 0.9 + 0.42 * len(names))
    left, right = figure.subplots(1, 2, sharey=True)
    thick = 0.8 / len(rules)
    for index, rule in enumerate(rules):
        found = {one["name"]: one for one in rule["classes"]}
        y = [row + (index - (len(rules) - 1) / 2) * thick for row in range(len(names))]
        precision = [100 * (found[key]["precision"] or 0) if key in found else 0 for key in keys]
        sizes = [max(0.5, found[key]["positives"] or 0) if key in found else 0.5 for key in keys]
        colour, label = COLOURS[rule["rule"]], NAMES[rule["rule"]]
        left.barh(y, precision, height=thick, color=colour, label=label)
        right.plot(sizes, y, MARKS[rule["rule"]], color=colour, ms=4)
    left.set(xlim=(0, 100), xlabel="Correct positives, %")
    # A dollar sign in a name begins no formula.
    left.set_yticks(range(len(names)), names, parse_math=False)
    left.invert_yaxis()
    right.set(xscale="log", xlabel="Positives, mean |P| (log scale)")
    right.grid(axis="both", color=GRID, lw=0.6)
    _plain_numbers(right.xaxis)
    figure.legend(
        *left.get_legend_handles_labels(), loc="outside upper center", ncols=5, frameon=False
    )
    return figure
