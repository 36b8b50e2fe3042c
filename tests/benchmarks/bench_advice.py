"""What the suggested settings give, beside what was expected of them without labels.

``python -m tests.benchmarks.bench_advice DIR …``: labelled data sets; for each, batches of random
images, the suggestions, and the precision that they have (over 300 anchors). ``--fit`` fits the
curves of ``ppap.study.expectation`` to the sets, and says how far each set is from curves that were
fitted to the others alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from ppap.study import expectation
from ppap.study.advice import advise_unit
from ppap.study.every_anchor import every_anchor_unit, spread
from ppap.study.expectation import AIMS, CURVES, Aim, Curve, Neighbours, neighbours
from tests.benchmarks.labelled_sets import Labelled, batches_of, folders_of

# Images, pixels, seed: what people look at together.
SHAPES = ((8, 320, 0), (8, 320, 1), (8, 320, 2), (8, 448, 0), (8, 448, 1), (16, 320, 0))
ANCHORS = 300
# Where each aim's Φ⁰ falls: what its curve is fitted to.
SPANS: dict[Aim, tuple[float, ...]] = {
    "complete": (0.35, 0.4, 0.45, 0.5, 0.55, 0.6),
    "pure": (0.6, 0.65, 0.7, 0.75, 0.8),
}
NEAR = 0.05


class Found(NamedTuple):
    """One suggestion for one batch."""

    name: str
    aim: Aim
    expected: float
    within: float
    precision: float


class Point(NamedTuple):
    """What a curve is fitted to."""

    name: str
    aim: Aim
    phi0: float
    beside: Neighbours
    precision: float


def main(folders: Iterable[Path] = (), fit: bool = False) -> None:
    """Print a line a batch and aim, and a summary a set."""
    batches = [(batch, neighbours(batch.f, batch.grids)) for f in folders for batch in _read(f)]
    _summary([_tried(batch, aim) for batch, _ in batches for aim in AIMS])
    if not fit:
        return
    points = [
        Point(batch.name, aim, phi0, beside, _precision(batch, aim, phi0))
        for batch, beside in batches
        for aim in AIMS
        for phi0 in SPANS[aim]
    ]
    names = sorted({point.name for point in points})
    for aim in AIMS:
        print(f"fitted to all, {aim}: {_numbers(_fitted(points, aim, names))}")
    for left_out in names:
        others = [name for name in names if name != left_out]
        print(f"\nfitted without {left_out}:")
        curves = {aim: _fitted(points, aim, others) for aim in AIMS}
        for aim, curve in curves.items():
            print(f"  {aim}: {_numbers(curve)}")
        # The rule itself looks them up there.
        kept, expectation.CURVES = expectation.CURVES, curves
        own = [batch for batch, _ in batches if batch.name == left_out]
        _summary([_tried(batch, aim, say=False) for batch in own for aim in AIMS])
        expectation.CURVES = kept


def _read(folder: Path) -> Iterable[Labelled]:
    return batches_of(folder, SHAPES)


def _tried(batch: Labelled, aim: Aim, *, say: bool = True) -> Found:
    advice = advise_unit(batch.f, images=batch.counts, grids=batch.grids, aim=aim, embedded=True)
    assert advice.expected is not None
    table = every_anchor_unit(
        batch.f, advice.settings, labels=batch.labels, anchors=spread(len(batch.f), ANCHORS)
    )
    precision, recall = float(table.precision.nanmean()), float(table.recall.nanmean())
    expected, low, high = advice.expected
    if say:
        print(
            f"{batch.name}, {batch.shape}, {aim}: Φ⁰ {advice.settings.phi0:.2f}, expected "
            f"{100 * expected:.0f} % ({100 * low:.0f} to {100 * high:.0f}), true "
            f"{100 * precision:.0f} %, recall {100 * recall:.0f} %, "
            f"{table.positives.double().mean():,.0f} positives",
            flush=True,
        )
    return Found(batch.name, aim, expected, CURVES[aim].within, precision)


def _precision(batch: Labelled, aim: Aim, phi0: float) -> float:
    settings = advise_unit(
        batch.f, images=batch.counts, grids=batch.grids, aim=aim, embedded=True
    ).settings
    settings = replace(settings, phi0=phi0, psi0=min(settings.psi0, phi0))
    anchors = spread(len(batch.f), ANCHORS)
    table = every_anchor_unit(batch.f, settings, labels=batch.labels, anchors=anchors)
    return float(table.precision.nanmean())


def _summary(found: Sequence[Found]) -> None:
    for aim in AIMS:
        for name in dict.fromkeys(one.name for one in found):
            own = [one for one in found if one.name == name and one.aim == aim]
            off = torch.tensor([one.expected - one.precision for one in own], dtype=torch.float64)

            def share(bound: float, off: Tensor = off) -> float:
                return 100 * float((off.abs() <= bound).double().mean())

            print(
                f"  {name}, {aim}, {len(own)} batches: expected {_mean(own, 'expected'):.0f} %, "
                f"true {_mean(own, 'precision'):.0f} %; off by {100 * off.abs().mean():.1f} points "
                f"on average, {100 * off.abs().max():.1f} at most; within 5 points "
                f"{share(NEAR):.0f} %, within the range {share(own[0].within):.0f} %"
            )


def _mean(found: Sequence[Found], field: str) -> float:
    return 100 * sum(getattr(one, field) for one in found) / len(found)


def _fitted(points: Sequence[Point], aim: Aim, names: Sequence[str]) -> Curve:
    """Least squares of the logits, every set with the same weight."""
    own = [point for point in points if point.aim == aim and point.name in names]
    weights = [1 / sum(other.name == point.name for other in own) for point in own]
    rows = [[1, p.phi0, (p.phi0 - p.beside.mean) / p.beside.deviation] for p in own]
    a, w = torch.tensor(rows, dtype=torch.float64), torch.tensor(weights, dtype=torch.float64)
    y = torch.tensor([p.precision for p in own], dtype=torch.float64).logit()
    weighted = a * w.unsqueeze(1)
    intercept, height, depth = torch.linalg.solve(weighted.T @ a, weighted.T @ y).tolist()
    return Curve(intercept, height, depth, CURVES[aim].within)


def _numbers(curve: Curve) -> str:
    return f"intercept {curve.intercept:.2f}, height {curve.height:.2f}, depth {curve.depth:.3f}"


if __name__ == "__main__":
    given = folders_of(__doc__ or "", ("--fit", "fit the curves anew"))
    main(given.folders, given.fit)
