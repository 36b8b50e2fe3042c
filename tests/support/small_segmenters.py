"""Segmenters small enough for tests, and data for them, made by code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from ppap.backbones import Backbone, build_vit
from ppap.checkpoints.own import Checkpoint, save_checkpoint, weights_digest
from ppap.data import palette
from ppap.segmenter import Segmenter

NAMES = ("sky", "road", "tree")


def small_vit(seed: int = 0) -> Backbone:
    """Two blocks, patches of 16 pixels."""
    torch.manual_seed(seed)
    return build_vit("test_vit", depth=2)


def small_segmenter(classes: int = len(NAMES), extra_clusters: int = 0, seed: int = 0) -> Segmenter:
    """Untrained; its probes disagree with each other."""
    backbone = small_vit()
    torch.manual_seed(seed + 1)
    made = Segmenter(backbone, classes, extra_clusters=extra_clusters)
    torch.nn.init.normal_(made.linear_probe.weight)
    return made.eval()


def save_small(segmenter: Segmenter, file: Path, size: int = 64, **config: Any) -> str:
    """A checkpoint of it; returns its digest."""
    names = NAMES if segmenter.n_classes == len(NAMES) else None
    classes = names or tuple(f"thing {i}" for i in range(segmenter.n_classes))
    checkpoint = Checkpoint(
        trained=segmenter.trained(),
        backbone_digest=weights_digest(segmenter.backbone),
        classes=classes,
        colours=palette(len(classes)),
        size=size,
        step=7,
        config=config,
    )
    return save_checkpoint(checkpoint, file)


def write_folder(root: Path, count: int = 5, side: int = 40, unlabelled: int = 0) -> None:
    """A data set of kind ``folder`` with three classes: coloured blocks and noise, void corners.

    The last ``unlabelled`` images have no label map.
    """
    draw = np.random.default_rng(0)
    for folder in ("images", "labels"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    base = np.array([(90, 140, 220), (120, 110, 110), (60, 120, 50)])
    for number in range(count):
        ids = draw.integers(0, len(NAMES), (4, 5)).repeat(side // 4, 0).repeat(side // 4, 1)
        noise = draw.integers(-40, 40, (*ids.shape, 3))
        rgb = np.clip(base[ids] + noise, 0, 255).astype(np.uint8)
        Image.fromarray(rgb).save(root / f"images/p{number}.png")
        if number < count - unlabelled:
            stored = ids.astype(np.uint8)
            stored[:3, 10:20] = 255
            Image.fromarray(stored).save(root / f"labels/p{number}.png")
    (root / "classes.txt").write_text("\n".join(NAMES) + "\n", encoding="utf-8")
