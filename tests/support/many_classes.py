"""A run of 301 classes with its data set and its report: more than a byte tells apart."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from ppap.backbones import load_backbone
from ppap.segmenter import Segmenter
from tests.support.small_runs import save_vit
from tests.support.small_segmenters import save_small
from trainers.evaluate import main as evaluate
from trainers.runs.folder import Run

SIZE = 48
# What the masks hold, beside void.
IDS = (0, 3, 254, 255, 256, 290, 299, 300)
IGNORED = 1000


def write_imagenet_s300(root: Path) -> None:
    """Photos of ImageNet-S-300, whose masks hold ids on both sides of 255."""
    draw = np.random.default_rng(5)
    ids = np.array([*IDS, IGNORED]).reshape(3, 3).repeat(16, 0).repeat(16, 1)
    splits = ("train-semi", "validation")  # the first is what Table 4 compares with
    for split, number in itertools.product(splits, range(300)):
        (root / split / f"n{number:08d}").mkdir(parents=True)
    for split, number in itertools.product(splits, range(4)):
        turned = np.roll(ids, number, 0)
        mask = np.stack([turned % 256, turned // 256, turned * 0], -1).astype(np.uint8)
        rgb = draw.integers(0, 256, (*ids.shape, 3), np.uint8)
        for folder, array, name in (
            (split, rgb, f"{number}.JPEG"),
            (f"{split}-segmentation", mask, f"{number}.png"),
        ):
            file = root / folder / "n00000007" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(array).save(file)


def run_of_many_classes(root: Path) -> Run:
    """The run ``many`` in ``root/runs``; what its linear probe says is above 249."""
    data = root / "ImageNetS300"
    write_imagenet_s300(data)
    torch.manual_seed(1)
    made = Segmenter(load_backbone(str(save_vit(root / "vit.pth"))), 301)
    torch.nn.init.normal_(made.linear_probe.weight)
    bias = made.linear_probe.bias
    assert bias is not None
    with torch.no_grad():
        bias[250:] = 50
    run = Run(root / "runs/many")
    save_small(made.eval(), run.checkpoints / "last.pt", SIZE, dataset="imagenet_s")
    run.write_state("finished", data=str(data), step=7)
    words = [str(run.folder), "--split=validation", f"--pictures={run.folder}", "--workers=0"]
    assert evaluate(words) == 0
    return run
