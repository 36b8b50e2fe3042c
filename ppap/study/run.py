"""A whole study of a data set: advice, rules against each other, a sweep; as plain values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch

from ppap.backbones import Backbone
from ppap.checks import check_count
from ppap.data import DataError, Dataset
from ppap.settings import SettingError, Settings
from ppap.study.advice import Advice, advise_unit
from ppap.study.anchors import anchor_list
from ppap.study.comparison import RuleTrust, compare
from ppap.study.expectation import AIMS, FITTED_TO, UNPROVEN, Aim
from ppap.study.figures import Study
from ppap.study.grid import Axis, Grid
from ppap.study.patches import Patches, sample_anchors
from ppap.study.plain import cell, plain
from ppap.study.proof import prove
from ppap.study.reading import Embedded, draw_images, read_batches, sentences
from ppap.study.stages import StagesAt
from ppap.study.sweeping import sweep_unit

FORMAT = 1
Progress = Callable[[str, float], None]
DEFAULT_X = Axis("phi0", tuple(round(0.3 + 0.05 * i, 2) for i in range(10)))
# P does not depend on Ψ⁰, so that a map over it would be stripes.
DEFAULT_Y = Axis("steps", tuple(range(6)))


@dataclass(frozen=True)
class Plan:
    """What a study looks at; a value out of range raises SettingError or ValueError."""

    settings: Settings | None = None
    """PPAP's; left out, the advice's."""
    x: Axis | None = DEFAULT_X
    """The sweep's axes; None for no sweep."""
    y: Axis | None = DEFAULT_Y
    images: int = 32
    """Images in a batch: the patches that an anchor sees."""
    batches: int = 1
    anchors: int = 1000
    """In each batch."""
    size: int = 320
    """Side of the images in pixels."""
    seed: int = 0
    matched: bool = True
    """Whether rivals are measured at equal numbers of positives, too."""

    def __post_init__(self) -> None:
        for name, most in (("images", 4096), ("batches", 1000), ("anchors", 10**6), ("size", 8192)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
                raise SettingError(
                    name, f"{name} must be a whole number from 1 to {most:,}, not {value}."
                )
        check_count("seed", self.seed, 0, 2**32 - 1)
        if (self.x is None) != (self.y is None):
            raise SettingError("axis", "A sweep needs two axes, or none.")


def study(
    plan: Plan,
    dataset: Dataset,
    backbone: Backbone,
    *,
    trained: Sequence[tuple[str, Backbone]] = (),
    progress: Progress | None = None,
) -> Study:
    """Carry a plan out.

    Args:
        plan: what is looked at.
        dataset: images, drawn at random; with label maps everything is measured, without them the
            advice and the sets' sizes.
        backbone: whose features are studied.
        trained: features that stand beside these on the first batch, each with a title, such as
            those of ``ppap.checkpoints.features``.
        progress: called with a sentence and the share done, 0 to 1; what it raises ends the study.

    Returns:
        Plain values, as ``study.json`` holds them; None stands for what was not measured.

    Raises:
        DataError: none of the images can be read, or too many cannot.
        ValueError: a size that the backbone does not take.
    """
    say = progress or (lambda text, share: None)
    drawn = draw_images(plan.images, plan.batches, len(dataset), plan.seed)
    count, left_out = len(drawn.batches), list[DataError]()
    batches = list(
        read_batches(
            dataset,
            drawn,
            backbone,
            plan.size,
            left_out,
            lambda n: say(f"Computing features of batch {n} of {count}", 0.3 * (n - 1) / count),
        )
    )
    patches = [one for one in (_patches(made, plan) for made in batches) if one is not None]
    labelled = len(patches) == len(batches)
    say("Measuring similarities", 0.3)
    embedded = backbone.info.name == FITTED_TO
    advice, pure = (_advised(batches[0], aim, embedded, plan.seed) for aim in AIMS)
    settings = plan.settings or advice.settings
    found: Study = {
        "format": FORMAT,
        "dataset": _about(dataset),
        "backbone": backbone.info.title,
        "backbone_name": backbone.info.name,
        "images": [name for made in batches for name in made.names],
        "indices": [made.indices for made in batches],
        "notes": [*dataset.notes, *sentences(left_out)],
        "patches": len(batches[0].features),
        "plan": _plan(plan),
        "labelled": labelled,
        "settings": settings.as_dict(),
        "advice": advice_as_dict(advice),
        "pure": advice_as_dict(pure),
        "expectation": "" if embedded else UNPROVEN,
        "proof": None,
        "stages": [],
        "rules": [],
        "anchors": None,
        "sweep": None,
    }
    if labelled:
        found |= _measured(
            plan, patches, settings, (advice, pure), dataset.classes, say, batches[0]
        )
        networks = [("frozen feature" if trained else "these features", backbone), *trained]
        look = StagesAt(
            dataset, batches[0], patches[0].anchors, plan.size, plan.settings, plan.seed
        )
        found["stages"] = look.through(networks, lambda text, share: say(text, 0.7 + 0.1 * share))
    if plan.x is not None and plan.y is not None:
        first = patches[0] if labelled else None
        found["sweep"] = _swept(plan, Grid(plan.x, plan.y, settings), batches[0], first, say)
    say("Drawing the figures", 1.0)
    return found


def _measured(
    plan: Plan,
    patches: Sequence[Patches],
    settings: Settings,
    advice: tuple[Advice, Advice],
    classes: Sequence[str],
    say: Progress,
    first: Embedded,
) -> dict[str, Any]:
    """What needs labels: the rules beside each other, and the advice against the best."""
    rules = compare(
        patches,
        settings,
        classes,
        seed=plan.seed,
        matched=plan.matched,
        progress=lambda text, share: say(text, 0.3 + 0.3 * share),
    )
    proof = prove(
        patches[0],
        *(one.settings for one in advice),
        progress=lambda share: say("Testing the suggestion", 0.6 + 0.1 * share),
    )
    return {
        "rules": [_rule(one) for one in rules],
        # Of the first batch, which comes first.
        "anchors": anchor_list(
            rules[0].each, patches[0].anchors, patches[0].labels, first.grids, classes
        ),
        "proof": {name: cell(one) for name, one in proof._asdict().items()},
    }


def _advised(batch: Embedded, aim: Aim, embedded: bool, seed: int) -> Advice:
    counts = [grid.rows * grid.columns for grid in batch.grids]
    return advise_unit(
        batch.features, images=counts, grids=batch.grids, aim=aim, embedded=embedded, seed=seed
    )


def _about(dataset: Dataset) -> dict[str, str]:
    return {
        "kind": dataset.name,
        "title": dataset.title,
        "split": dataset.split,
        "folder": str(dataset.root),
    }


def _patches(batch: Embedded, plan: Plan) -> Patches | None:
    """The batch as rules need it; None where nothing is labelled."""
    if batch.labels is None or not bool((batch.labels >= 0).any()) or len(batch.names) < 2:
        return None
    anchors = sample_anchors(batch.labels, plan.anchors, plan.seed)
    return Patches(batch.features, batch.labels, len(batch.names), anchors)


def _swept(
    plan: Plan, grid: Grid, batch: Embedded, patches: Patches | None, say: Progress
) -> dict[str, Any]:
    if patches is None:
        labels = None
        anchors = sample_anchors(torch.zeros(len(batch.features)), plan.anchors, plan.seed)
    else:
        labels, anchors = patches.labels, patches.anchors
    cells = list(grid.cells())
    measured = sweep_unit(
        batch.features,
        anchors,
        [settings for _, _, settings in cells],
        labels=labels,
        progress=lambda share: say("Sweeping", 0.8 + 0.2 * share),
    )
    rows: list[list[dict[str, Any]]] = [[] for _ in grid.y.values]
    for (row, _, _), one in zip(cells, measured, strict=True):
        rows[row].append(cell(one))
    return {
        "x": {"setting": grid.x.setting, "symbol": grid.x.symbol, "values": list(grid.x.values)},
        "y": {"setting": grid.y.setting, "symbol": grid.y.symbol, "values": list(grid.y.values)},
        "cells": rows,
    }


def _plan(plan: Plan) -> dict[str, Any]:
    kept = {name: getattr(plan, name) for name in ("images", "batches", "anchors", "size", "seed")}
    return {**kept, "matched": plan.matched, "advised": plan.settings is None}


def advice_as_dict(advice: Advice) -> dict[str, Any]:
    """An ``Advice`` as plain values."""
    return {
        **{name: plain(value) for name, value in advice._asdict().items() if name != "settings"},
        "settings": advice.settings.as_dict(),
    }


def _rule(one: RuleTrust) -> dict[str, Any]:
    return {
        "title": one.title,
        "rule": one.choice.rule,
        "choice": asdict(one.choice),
        "matched": one.matched,
        "f1": plain(one.f1),
        "sureness": {name: plain(ends) for name, ends in one.sureness._asdict().items()},
        **{name: plain(value) for name, value in one.mean._asdict().items()},
        "curve": [{n: plain(v) for n, v in point._asdict().items()} for point in one.curve],
        "classes": [
            {"name": c.name, **{n: plain(v) for n, v in c.mean._asdict().items()}}
            for c in one.classes
        ],
    }
