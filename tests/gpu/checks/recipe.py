"""Twenty steps of a recipe, in each precision, compiled, with images and with cached features."""

from __future__ import annotations

import math
from typing import Any

import torch

from tests.gpu.random_runs import configuration, trainer_of, write_backbone, write_photos
from tests.gpu.sheet import Place, Sheet
from trainers.runs.metrics import read_metrics
from trainers.training.updating import LEAST_SCALE

STEPS, EVERY = 20, 6
# Between these two lines of metrics no checkpoint is written: 640 crops are ten steps of 64.
TIMED = (12, 18)
WAYS: dict[str, dict[str, Any]] = {
    "float16": {"precision": "float16"},
    "bfloat16": {"precision": "bfloat16"},
    "float16, cached": {"precision": "float16", "cache": "on"},
    "float16, cached, compiled": {"precision": "float16", "cache": "on", "compile": True},
}
# The first loss of a way beside that of float16 without a cache: the same draws, rounded otherwise.
NEAR = 0.05


def check(place: Place, sheet: Sheet, *, name: str) -> None:
    """All ways of one recipe."""
    write_photos(place.folder, small=place.small)
    backbone = write_backbone(name, place.folder, small=place.small)
    first: float | None = None
    for way, changes in WAYS.items():
        if place.small and changes.get("compile"):
            continue
        config = configuration(
            name,
            backbone,
            small=place.small,
            max_steps=STEPS,
            log_every=EVERY,
            device=str(place.device),
            **changes,
        )
        on_gpu = place.device.type == "cuda"
        if on_gpu:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(place.device)
        trainer = trainer_of(config, place.folder, f"run {way}", place.device)
        try:
            outcome = trainer.fit()
        finally:
            trainer.close()
        lines = [x for x in read_metrics(trainer.run.metrics_file) if x["kind"] == "step"]
        losses = [line["loss"] for line in lines]
        sheet.must(f"{way}: {STEPS} steps", outcome == "finished" and trainer.step == STEPS)
        finite = all(math.isfinite(x) for x in losses)
        sheet.must(f"{way}: losses are numbers", finite, f"{losses[0]:.4g} to {losses[-1]:.4g}")
        if first is None:
            first = losses[0]
        else:
            sheet.most(f"{way}: beside float16, off by", abs(losses[0] - first) / first, NEAR)
        if trainer.updating.scaler.is_enabled():
            scale = trainer.updating.scaler.get_scale()
            sheet.least(f"{way}: the scaler's factor", scale, LEAST_SCALE)
        at = {line["step"]: line["seconds"] for line in lines}
        seconds = at[TIMED[1]] - at[TIMED[0]]
        images = (TIMED[1] - TIMED[0]) * config.batch / max(seconds, 1e-9)
        sheet.tell(f"{way}: images per second", float(images))
        if on_gpu:
            sheet.tell(f"{way}: peak memory", lines[-1]["memory_mb"] / 1024, "GB")
        del trainer
