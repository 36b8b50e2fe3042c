"""Advice held against labels: what the best of a labelled sweep and the paper's values give."""

from __future__ import annotations

from typing import NamedTuple

from ppap.settings import PRESETS, Settings
from ppap.study.patches import Patches
from ppap.study.sweeping import Measured, Progress, sweep_unit

# Of every setting that decides over P: around the paper's, and far enough for other backbones.
PHI0 = tuple(round(0.2 + 0.05 * i, 2) for i in range(13))
SIGMA_POS = (2, 3, 5)
STEPS = (1, 2, 3)
PAPER = next(preset.settings for preset in PRESETS if preset.key == "coco_vits16")


class Proof(NamedTuple):
    """The sets at four choices of settings, over the same anchors."""

    advised: Measured
    pure: Measured
    """At the advice that looks for few positives of which most are right."""
    paper: Measured
    """At the paper's settings for COCO-Stuff with ViT-S/16."""
    best: Measured
    """The highest F1 among the settings above, the advice and the paper's."""


def prove(
    patches: Patches,
    advised: Settings,
    pure: Settings,
    *,
    most: int = 1000,
    progress: Progress | None = None,
) -> Proof:
    """Measure both kinds of advice on a labelled batch, at its first ``most`` anchors."""
    swept = [
        Settings(phi0, advised.psi0, sigma_pos, advised.sigma_amb, steps)
        for phi0 in PHI0
        for sigma_pos in SIGMA_POS
        for steps in STEPS
    ]
    step = max(1, len(patches.anchors) // most)
    found = sweep_unit(
        patches.f,
        patches.anchors[::step],
        [advised, pure, PAPER, *swept],
        labels=patches.labels,
        progress=progress,
    )
    return Proof(found[0], found[1], found[2], max(found, key=lambda one: one.f1))


def tried() -> str:
    """What ``best`` is the best of, in words."""
    return (
        f"Φ⁰ {PHI0[0]:g} to {PHI0[-1]:g}, σ_pos {', '.join(map(str, SIGMA_POS))} and "
        f"T {', '.join(map(str, STEPS))}: {len(PHI0) * len(SIGMA_POS) * len(STEPS)} settings"
    )
