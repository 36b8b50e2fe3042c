"""Finished runs whose reports come with counts of their images, without anything being trained."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from ppap.evaluation.many_starts import STARTS
from ppap.evaluation.per_image import KEY, START, Gathering, PerImage
from ppap.evaluation.report import FORMAT, write_json
from trainers.runs.folder import Run

NAMES = ["sky", "road", "tree"]


def counts_of(
    images: int, skill: float, seed: int, *, crf: bool = False, starts: int = 0
) -> PerImage:
    """Images of 300 pixels, of which ``skill`` and a little more or less is right."""
    chance = np.random.default_rng(seed)
    kinds = {}
    many = [f"{START}{start}_{one}" for start in STARTS for one in ("trained", "frozen")]
    names = ["cluster", "linear", *(("cluster_crf", "linear_crf") if crf else ())]
    for name in [*names, *(many if starts else ())]:
        gathering = Gathering(3)
        for _ in range(images):
            share = 0.5 if name.endswith("_frozen") else skill
            p = np.full((3, 3), (1 - share) / 2) + np.eye(3) * (1.5 * share - 0.5)
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


def many_of(counts: PerImage) -> list[str]:
    """The kinds that are of clusterings from many starts."""
    return [name for name in counts.kinds if name.startswith(START)]


def start_row(counts: PerImage, name: str, starts: int) -> dict[str, Any]:
    """A row of a report's ``starts``; the first clustering is the chosen one."""
    _, start, features = name.split("_")
    found = scores_of(counts, name)
    mious = [found["miou"] + one for one in range(starts)]
    return {
        "start": start,
        "features": features,
        "chosen": 0,
        "losses": [-0.5] * starts,
        **found,
        "accuracies": [found["accuracy"]] * starts,
        "mious": mious,
    }


def finish_counted(
    folder: Path,
    skill: float,
    seed: int,
    *,
    images: int = 12,
    crf: bool = False,
    size: int = 64,
    starts: int = 0,
) -> Run:
    """A finished run of that folder; with ``starts`` also clusterings, each 1 better than the last.

    What is of frozen features has a skill of 0.5.
    """
    counts = counts_of(images, skill, seed, crf=crf, starts=starts)
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
    if starts:
        rows = [start_row(counts, name, starts) for name in many_of(counts)]
        none = dict.fromkeys(("difference", "low", "high"))
        gain = {"accuracy": none, "miou": none, "iou": {}}
        gains = {one["start"]: gain for one in rows}
        report["starts"] = {"split": "train", "images": 9, "seed": 0, "rows": rows, "gains": gains}
    write_json(report, folder / "report.json", counts)
    run = Run(folder)
    run.state_file.write_text(json.dumps({"state": "finished", "seconds": 60}))
    return run
