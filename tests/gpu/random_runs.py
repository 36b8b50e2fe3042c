"""Runs of the paper's recipes on made-up photos, with a ViT of the right shape and random weights.

What they learn is nothing; what they cost, and whether every number stays one, is the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import torch

from tests.support.small_runs import save_vit
from tests.support.small_segmenters import write_folder
from trainers.config import Config
from trainers.recipes import find
from trainers.runs.folder import Run
from trainers.training.distributed import World
from trainers.training.loading import TrainingBatch
from trainers.training.prepare import prepare
from trainers.training.trainer import Trainer

PHOTOS, SIDE = 128, 256
SMALL_PHOTOS, SMALL_SIDE, SMALL_BATCH = 10, 40, 4
READERS = 8
# What stands for the weights that a recipe names.
SHAPES = {
    "dino_vits8": "vit_small_patch8_224",
    "dino_vits16": "vit_small_patch16_224",
    "dino_vitb8": "vit_base_patch8_224",
}


def write_backbone(recipe: str, folder: Path, *, small: bool) -> Path:
    """Random weights for a recipe's backbone, in a file as DINO saves its own."""
    file = folder / "vit.pth"
    if small:
        return save_vit(file)
    import timm

    torch.manual_seed(0)
    shape = SHAPES[find(recipe).config.backbone]
    torch.save(timm.create_model(shape, pretrained=False, num_classes=0).state_dict(), file)
    return file


def write_photos(folder: Path, *, small: bool, count: int = PHOTOS) -> Path:
    """Photos of three classes; two for the evaluation, which there is none of."""
    root = folder / "photos"
    count, side = (SMALL_PHOTOS, SMALL_SIDE) if small else (count + 2, SIDE)
    write_folder(root, count, side)
    (root / "val.txt").write_text("p0\np1\n", encoding="utf-8")
    return root


def configuration(recipe: str, backbone: Path, *, small: bool, **changes: Any) -> Config:
    """The recipe's settings, on five crops of the photos."""
    settings: dict[str, Any] = {
        "dataset": "folder",
        "backbone": str(backbone),
        "crops": "five",
        "epochs": 99,
        "validate_every": 0,
        "workers": READERS,
        "cache": "off",
    }
    if small:
        settings |= {"size": 64, "eval_size": 64, "batch": SMALL_BATCH, "workers": 0}
    return find(recipe).config.with_({**settings, **changes})


def trainer_of(config: Config, folder: Path, name: str, device: torch.device) -> Trainer:
    """A new run in ``folder``, on its photos; all share one cache of features."""
    world = World(0, 1, 0, device)
    run = Run(folder / name)
    run.write_config(config)
    prepared = prepare(
        config,
        folder / "photos",
        world=world,
        cache_root=folder / "cache",
        stopped=lambda: False,
    )
    return Trainer(config, prepared, run, world=world, stopped=lambda: False)


def endless(trainer: Trainer) -> Iterator[TrainingBatch]:
    """Batches, epoch after epoch, for steps that somebody else takes."""
    if trainer.step == 0 and trainer.probes_learn:
        trainer._begin_probes()
    while True:
        with closing(trainer._rest_of_epoch()) as loaded:
            yield from loaded
