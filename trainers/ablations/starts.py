"""Tables of runs whose reports have clusterings from many starts (the setting ``report_starts``).

Three things scatter and are told apart: starts of one clustering, seeds of a training, images. A
score is the mean over seeds ± over seeds ± over starts; what training gained over frozen features
has an interval over images.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ppap.evaluation import per_image
from ppap.evaluation.cells import NOTHING as NO_NUMBER
from ppap.evaluation.many_starts import STARTS
from ppap.evaluation.paired import in_words, of_kinds
from ppap.evaluation.starts_text import OVER, names
from trainers.ablations.cells import Cell
from trainers.ablations.differences import (
    NO_INTERVAL,
    NOTHING,
    OLD,
    Against,
    Row,
    mark_of,
    remembered,
    scored,
)
from trainers.runs.folder import Run

ABOUT = (
    "U-mIoU from many starts, for the clustering with the lowest loss: mean over the seeds ± "
    "standard deviation over the seeds ± standard deviation over a seed's starts."
)
GAINS = "Gain from training over the frozen features, in points of U-mIoU. {words}"


def score_cells(rows: Mapping[str, Mapping[str, Cell]]) -> tuple[list[str], list[list[str]]] | None:
    """Titles and rows of the scores, frozen features first; None where nothing was measured.

    Args:
        rows: each row's numbers by name, over its seeds.
    """
    titles = [names(start)[0] for start in STARTS]
    if not any(name in found for found in rows.values() for name in titles):
        return None
    lines: list[list[str]] = []
    for title, found in rows.items():
        if not lines and names("noise")[2] in found:
            # The same for every row: the same images, patches and seeds.
            frozen = [names(start)[2] for start in STARTS]
            lines.append(["Frozen features", *(_cell(found, name) for name in frozen)])
        lines.append([title, *(_cell(found, name) for name in titles)])
    return ["", *titles], lines


def _cell(found: Mapping[str, Cell], name: str) -> str:
    if name not in found:
        return NO_NUMBER
    over = found.get(f"{name}, {OVER}")
    return str(found[name]) if over is None else f"{found[name]} ± {over.mean:.1f}"


def gained(runs: Sequence[Run]) -> Against:
    """Trained minus frozen features from each kind of start, the seeds averaged."""
    row = [(run, report) for run, report in scored(runs) if report.get("starts")]
    if not row:
        return NOTHING
    marks = tuple(mark_of(report) for _, report in row)
    if None in marks:
        return Against({}, OLD)
    return remembered(("gained", *marks), lambda: _measured(row))


def _measured(row: Row) -> Against:
    sides = []
    for run, report in row:
        counts = per_image.read(report, run.folder / per_image.REPORT)
        if counts is None:
            return Against({}, OLD)
        sides.append(counts.kinds)
    found = {}
    for start in STARTS:
        frozen, trained = (
            [kinds[name] for kinds in sides if name in kinds]
            for name in (f"{per_image.START}{start}_{one}" for one in ("frozen", "trained"))
        )
        if len(frozen) == len(trained) == len(sides):
            found[names(start)[0]] = of_kinds(frozen, trained).miou
    return Against(found) if found else Against({}, OLD)


def gain_cells(rows: Mapping[str, Against]) -> tuple[list[str], list[list[str]]] | None:
    """Titles and rows of what training gained; None where there are no intervals."""
    titles = [names(start)[0] for start in STARTS]
    if not any(one.intervals for one in rows.values()):
        return None
    lines = [
        [title, *(str(one.intervals.get(name, NO_INTERVAL)) for name in titles)]
        for title, one in rows.items()
    ]
    return ["", *titles], lines


def about_gains(seeds: int) -> str:
    """What the gains are."""
    return GAINS.format(words=in_words(seeds))
