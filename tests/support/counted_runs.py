"""Finished runs whose reports come with counts of their images, without anything being trained."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from ppap.evaluation.per_image import KEY, Gathering, PerImage
from ppap.evaluation.report import FORMAT, write_json
from trainers.runs.folder import Run

NAMES = ["sky", "road", "tree"]


def counts_of(images: int, skill: float, seed: int, *, crf: bool = False) -> PerImage:
    """Images of 300 pixels, of which ``skill`` and a little more or less is right."""
    chance = np.random.default_rng(seed)
    kinds = {}
    for name in ("cluster", "linear", *(("cluster_crf", "linear_crf") if crf else ())):
        gathering = Gathering(3)
        for _ in range(images):
            p = np.full((3, 3), (1 - skill) / 2) + np.eye(3) * (1.5 * skill - 0.5)
            rows = [chance.multinomial(100, row / row.sum()) for row in p]
            gathering.add(np.arange(9), np.concatenate(rows))
        kinds[name] = gathering.kind(3, np.arange(3))
    return PerImage(np.arange(images), kinds)


def scores_of(counts: PerImage, kind: str) -> dict[str, Any]:
    """What a report has of them."""
    table = counts.kinds[kind].confusion()
    right = table.diagonal()
    iou = 100 * right / (table.sum(1) + table[:, :-1].sum(0) - right)
    return {
        "accuracy": 100 * float(right.sum() / table.sum()),
        "miou": float(iou.mean()),
        "iou": dict(zip(NAMES, iou.tolist(), strict=True)),
        "assignment": [0, 1, 2],
        "confusion": table.tolist(),
    }


def finish_counted(
    folder: Path, skill: float, seed: int, *, images: int = 12, crf: bool = False, size: int = 64
) -> Run:
    """A finished run of that folder."""
    counts = counts_of(images, skill, seed, crf=crf)
    kinds = ("cluster", "linear")
    measures = {kind: {"accuracy": 1.0, "miou": 1.0} for kind in kinds}
    report: dict[str, Any] = {
        "format": FORMAT,
        "checkpoint": "last.pt",
        "digest": "d",
        "step": 1,
        "dataset": {
            "kind": "folder", "title": "t", "folder": "f", "split": "val", "notes": [],
        },
        "backbone": {"name": "b", "title": "Backbone", "note": ""},
        "classes": NAMES,
        "size": size,
        "images": [{"index": i, "name": f"p{i}", **measures} for i in range(images)],
        **{kind: scores_of(counts, kind) for kind in kinds},
        KEY: {"stamp": counts.stamp},
    }  # fmt: skip
    if crf:
        report["crf"] = {kind: scores_of(counts, f"{kind}_crf") for kind in kinds}
    write_json(report, folder / "report.json", counts)
    run = Run(folder)
    run.state_file.write_text(json.dumps({"state": "finished", "seconds": 60}))
    return run
