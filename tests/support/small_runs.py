"""Runs small enough for tests: a tiny ViT in a file, a data set made by code, few steps."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ppap.checkpoints.own import Checkpoint, content_digest, load_checkpoint
from tests.support.small_segmenters import write_folder
from trainers.config import Config
from trainers.recipes import find
from trainers.runs.folder import Run
from trainers.runs.metrics import read_metrics
from trainers.training.distributed import World
from trainers.training.prepare import prepare
from trainers.training.trainer import Outcome, Trainer

ALONE = World(0, 1, 0, torch.device("cpu"))
SIZE = 64
# What differs between two runs that compute the same.
BY_THE_CLOCK = ("seconds", "images_per_second", "memory_mb")


def save_vit(file: Path, patch: int = 16) -> Path:
    """A ViT of two blocks with random weights, as DINO saves its own; features differ widely."""
    from timm.models.vision_transformer import VisionTransformer

    torch.manual_seed(0)
    vit = VisionTransformer(
        img_size=SIZE,
        patch_size=patch,
        embed_dim=64,
        depth=2,
        num_heads=1,
        num_classes=0,
        dynamic_img_size=True,
    )
    for name, parameter in vit.named_parameters():
        nn.init.normal_(parameter, std=0.2)
        if "norm" in name and name.endswith("weight"):
            nn.init.ones_(parameter)
    torch.save(vit.state_dict(), file)
    return file


@dataclass
class Place:
    """A data set, a backbone and a cache, for runs beside each other."""

    root: Path
    images: int = 12
    data: Path = field(init=False)
    vit: Path = field(init=False)
    cache: Path = field(init=False)

    def __post_init__(self) -> None:
        self.data, self.cache = self.root / "data", self.root / "cache"
        write_folder(self.data, self.images)
        # Not the rule's choice: 2 for validation, the others for training.
        (self.data / "val.txt").write_text("p3\np7\n", encoding="utf-8")
        self.vit = save_vit(self.root / "vit.pth")

    def config(self, **changes: Any) -> Config:
        """10 training images, batches of 2: 5 steps an epoch."""
        small = {
            "dataset": "folder",
            "backbone": str(self.vit),
            "size": SIZE,
            "eval_size": SIZE,
            "phi0": 0.7,
            "psi0": 0.4,
            "batch": 2,
            "epochs": 2,
            "workers": 0,
            "cache": "off",
            "log_every": 1,
        }
        return Config().with_(small | changes)

    def trainer(
        self, name: str, config: Config, stopped: Callable[[], bool] = lambda: False
    ) -> Trainer:
        """A trainer for the run ``name``, which goes on from its newest checkpoint, if any."""
        run = Run(self.root / name)
        run.write_config(config)
        prepared = prepare(
            config, self.data, world=ALONE, cache_root=self.cache, stopped=lambda: False
        )
        trainer = Trainer(config, prepared, run, world=ALONE, stopped=stopped)
        latest = run.latest()
        if latest is not None:
            trainer.restore(load_checkpoint(latest), latest.name)
        return trainer

    def train(self, name: str, config: Config, steps: int | None = None) -> Outcome:
        """Train to the end, or stop after so many steps, whatever validations are then due."""
        trainer = self.trainer(name, config, lambda: enough())
        first = trainer.step

        def enough() -> bool:
            return steps is not None and trainer.step >= first + steps and not trainer.pending

        try:
            return trainer.fit()
        finally:
            trainer.close()

    def words(self, name: str, config: Config) -> list[str]:
        """The command that trains the run ``name`` with this configuration."""
        recipe = find("coco_vits16")
        usual = recipe.config.as_dict()
        changed = {n: v for n, v in config.as_dict().items() if v != usual[n] and n != "recipe"}
        words = [recipe.name, "--data", str(self.data), "--out", str(self.root / name)]
        words += ["--cache", str(self.cache), "--set", *(f"{n}={v}" for n, v in changed.items())]
        return words

    def resumed(self, name: str) -> list[str]:
        """The command that goes on with it."""
        return ["--out", str(self.root / name), "--cache", str(self.cache), "--resume"]


def results(run: Run) -> dict[str, Any]:
    """Everything that a run computed, for comparing two to the last bit."""
    return {
        "metrics": [timeless(line) for line in read_metrics(run.metrics_file)],
        "checkpoints": {
            f.name: kept(load_checkpoint(f)) for f in sorted(run.checkpoints.iterdir())
        },
        "pictures": {f.name: f.read_bytes() for f in sorted(run.pictures.glob("*"))},
    }


def timeless(line: dict[str, Any]) -> dict[str, Any]:
    """A line of metrics without what the clock decides."""
    return {name: value for name, value in line.items() if name not in BY_THE_CLOCK}


def kept(checkpoint: Checkpoint) -> dict[str, Any]:
    """What a checkpoint holds, part by part as checksums, but for the time."""
    training = dict(checkpoint.training or {})
    training.pop("seconds")
    parts = {
        **{f"trained {n}": t for n, t in checkpoint.trained.tensors.items()},
        **{f"training {n}": value for n, value in training.items()},
    }
    return {"step": checkpoint.step, **{n: content_digest({"": p}) for n, p in parts.items()}}


def state_of(run: Run) -> dict[str, Any]:
    """What ``state.json`` says."""
    found: dict[str, Any] = json.loads(run.state_file.read_text(encoding="utf-8"))
    return found


def weights(run: Run) -> dict[str, Tensor]:
    """Head and probes of the last checkpoint."""
    latest = run.latest()
    assert latest is not None
    return load_checkpoint(latest).trained.tensors
