"""Every anchor at once: how long it takes, and how well label-free measures rank anchors.

``python -m tests.benchmarks.bench_every_anchor`` times it (half a minute on two idle cores);
``python -m tests.benchmarks.bench_every_anchor DIR …``, labelled data sets, also prints Spearman's
rank correlation of each measure with the precision of P over the anchors of 8 images at 320 px.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ppap.propagation import propagate_unit, unit
from ppap.settings import Settings
from ppap.study.advice import advise_unit
from ppap.study.every_anchor import AnchorTable, every_anchor_unit
from tests.benchmarks.labelled_sets import Labelled, batches_of, folders_of

DIMENSIONS, CENTRES, NOISE = 624, 24, 1.1
LIMITS = {6_000: 3, 12_500: 10}
FEW_IMAGES = ((8, 320, 0),)
CHOSEN = Settings(0.6, 0.4, 3, 4, 2)
STRICT = Settings(0.75, 0.4, 3, 4, 2)
DROPPED = 0.1
ROWS_AT_ONCE = 400


def main(folders: Iterable[Path] = ()) -> None:
    """Time it; with folders, print the table of the measures."""
    for patches, limit in LIMITS.items():
        timed(patches, limit)
    for folder in folders:
        for batch in batches_of(folder, FEW_IMAGES):
            measured(batch)


def timed(patches: int, limit: float) -> None:
    """Random patches around a few centres; a third of their class is positive, as in a photo."""
    chance = torch.Generator().manual_seed(0)
    centres = unit(torch.randn(CENTRES, DIMENSIONS, generator=chance))
    labels = torch.randint(0, CENTRES, (patches,), generator=chance)
    noise = unit(torch.randn(patches, DIMENSIONS, generator=chance))
    f = unit(centres[labels] + NOISE * noise)
    load, begin, used = os.getloadavg()[0], time.perf_counter(), time.process_time()
    table = every_anchor_unit(f, Settings(0.45, 0.2, 3, 4, 2), labels=labels)
    seconds, used = time.perf_counter() - begin, time.process_time() - used
    print(
        f"{patches:,} patches, all as anchors ({table.positives.double().mean():,.0f} positives): "
        f"{seconds:.1f} s (limit {limit}); {used:.1f} s of processor time, load {load:.1f}",
        flush=True,
    )


def measured(batch: Labelled) -> None:
    """One line a choice of settings: the correlation of every measure with precision."""
    suggested = {
        aim: advise_unit(
            batch.f, images=batch.counts, grids=batch.grids, aim=aim, embedded=True
        ).settings
        for aim in ("pure", "complete")
    }
    choices = {"0.60 / 0.40": CHOSEN, "0.75 / 0.40": STRICT, **suggested}
    for name, settings in choices.items():
        table = every_anchor_unit(batch.f, settings, labels=batch.labels)
        known = table.precision.isfinite()
        found = {
            title: spearman(values[known], table.precision[known])
            for title, values in measures(batch, settings, table).items()
        }
        words = ", ".join(f"{title} {value:.2f}" for title, value in found.items())
        precision = 100 * table.precision.nanmean()
        print(
            f"{batch.name}, {batch.shape}, {name} (Φ⁰ {settings.phi0:.2f}, "
            f"precision {precision:.0f} %): {words}",
            flush=True,
        )


def measures(batch: Labelled, settings: Settings, table: AnchorTable) -> dict[str, Tensor]:
    """Every candidate, higher where more trust is expected, each ``(N,)``."""
    sets = _positives(batch.f, settings)
    kept = torch.rand(1, batch.f.shape[1], generator=torch.Generator().manual_seed(0)) >= DROPPED
    again = _positives(unit(batch.f * kept), settings)
    sizes = sets.sum(dim=1).double()
    mutual = torch.stack([(row & column).sum() for row, column in zip(sets, sets.T, strict=True)])
    beside = _beside(sets, batch)
    return {
        "cohesion": table.cohesion,
        "mutual": mutual / sizes.clamp(min=1),
        "neighbours": beside,
        "dropout": _overlap(sets, again),
        "cohesion and neighbours": _ranks(table.cohesion.nan_to_num(0)) + _ranks(beside),
        "moved little": -table.moved,
        "few ambiguous": -table.ambiguous.double(),
        "few positives": -table.positives.double(),
    }


def _positives(f: Tensor, settings: Settings) -> Tensor:
    """P of every patch, bool ``(N, N)``."""
    parts = torch.arange(len(f)).split(ROWS_AT_ONCE)
    five: dict[str, Any] = dict(settings.as_dict())
    return torch.cat([propagate_unit(f, own, **five).positive for own in parts])


def _overlap(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over union, row by row; 0 where both are empty."""
    return (a & b).sum(dim=1) / (a | b).sum(dim=1).clamp(min=1)


def _beside(sets: Tensor, batch: Labelled) -> Tensor:
    """Mean overlap of a patch's P with that of the patches left, right, above and below it."""
    total, count = torch.zeros(len(sets)), torch.zeros(len(sets))
    start = 0
    for rows, columns in batch.grids:
        places = torch.arange(start, start + rows * columns).view(rows, columns)
        for a, b in ((places[1:], places[:-1]), (places[:, 1:], places[:, :-1])):
            one, other = a.flatten(), b.flatten()
            overlap = _overlap(sets[one], sets[other])
            for each in (one, other):
                total.index_add_(0, each, overlap)
                count.index_add_(0, each, torch.ones(len(each)))
        start += rows * columns
    return total / count


def _ranks(values: Tensor) -> Tensor:
    """Ranks, the mean rank where values are equal."""
    _, place, counts = values.unique(return_inverse=True, return_counts=True)
    ends = counts.cumsum(dim=0).double()
    return (ends - (counts - 1) / 2)[place]


def spearman(a: Tensor, b: Tensor) -> float:
    """Rank correlation."""
    return float(torch.corrcoef(torch.stack([_ranks(a), _ranks(b)]))[0, 1])


if __name__ == "__main__":
    main(folders_of(__doc__ or "").folders)
