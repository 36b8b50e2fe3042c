"""What the recorded training loop began with, made again: images, labels, weights, draws."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ppap.segmenter import Segmenter, TunedBlock
from trainers.config import Config
from trainers.runs.folder import Run
from trainers.runs.metrics import read_metrics
from trainers.training.distributed import World
from trainers.training.prepare import prepare
from trainers.training.trainer import Trainer

SIZE = 224
CLASSES = 27
TRAINING, HELD = range(8), (8, 9)
Golden = dict[str, np.ndarray]
# The recorded columns, and what a run's metrics call them.
LOSSES = {
    "loss": "loss",
    "linear": "linear_loss",
    "cluster": "cluster_loss",
    "gradient_norm": "gradient_norm",
}


def drawn(k: int, shape: tuple[int, ...]) -> Tensor:
    return torch.from_numpy(np.random.RandomState(1000 + k).standard_normal(shape) * 0.03)


def picture(n: int) -> np.ndarray:
    """Image ``n`` as it is described, uint8 ``(224, 224, 3)``."""
    y, x = np.mgrid[:SIZE, :SIZE].astype(np.float64)
    a = np.sin(0.05 * x * (1 + 0.1 * n) + 0.03 * y + n)
    b = np.cos(0.07 * x - 0.02 * y * (1 + 0.2 * n) + 2 * n)
    c = np.sin(0.11 * y + 0.5 * n) * np.cos(0.04 * x + n)
    s = np.sin(0.5 * (x // 56) + 0.9 * (y // 56) + 1.7 * n)
    channels = (0.5 + 0.25 * a + 0.25 * s, 0.5 + 0.25 * b - 0.25 * s, 0.5 + 0.5 * c * s)
    return (np.stack(channels, axis=2) * 255).round().clip(0, 255).astype(np.uint8)


def label_map(n: int) -> np.ndarray:
    """Its classes, −1 where void."""
    y, x = np.mgrid[:SIZE, :SIZE]
    return np.where((x + y) % 97 == 0, -1, (x // 56 + 5 * (y // 56) + 3 * n) % CLASSES)


def write_data(root: Path) -> Path:
    """The ten images as a data set of 27 classes, in the layout of Cityscapes."""
    for n in (*TRAINING, *HELD):
        split = "val" if n in HELD else "train"
        for folder in ("leftImg8bit", "gtFine"):
            (root / folder / split / "town").mkdir(parents=True, exist_ok=True)
        stem = f"{split}/town/town_{n:06d}_000019"
        Image.fromarray(picture(n)).save(root / f"leftImg8bit/{stem}_leftImg8bit.png")
        labels = (label_map(n) + 7) * (label_map(n) >= 0)  # 0 is one of their void ids
        Image.fromarray(labels.astype(np.uint8)).save(root / f"gtFine/{stem}_gtFine_labelIds.png")
    return root


def write_backbone(file: Path) -> Path:
    """The ViT-tiny with patches of 8, as DINO saves its own."""
    import timm

    vit = timm.create_model("vit_tiny_patch16_224", patch_size=8, num_classes=0)
    for k, (name, parameter) in enumerate(sorted(vit.named_parameters())):
        values = drawn(k, tuple(parameter.shape))
        if name.endswith(("norm.weight", "norm1.weight", "norm2.weight")):
            values += 1
        parameter.data.copy_(values)
    torch.save(vit.state_dict(), file)
    return file


def fill(segmenter: Segmenter) -> None:
    """What is trained beside the block; its dropout is taken out."""
    segmenter.dropout.p = 0
    assert isinstance(segmenter.head, TunedBlock)
    projection, linear = segmenter.head.projection, segmenter.linear_probe
    assert linear.bias is not None
    starts = {200: projection.bias, 201: projection.weight, 210: linear.bias, 211: linear.weight}
    starts[220] = segmenter.cluster_probe.clusters
    with torch.no_grad():
        for k, parameter in starts.items():
            parameter.copy_(drawn(k, tuple(parameter.shape)))


def configuration(numbers: Golden, backbone: Path) -> Config:
    """The recorded settings; all others are the published ones."""
    names = numbers["setting_names"].tolist()
    known = dict(zip(names, numbers["settings"].tolist(), strict=True))
    return Config(
        dataset="cityscapes27",
        backbone=str(backbone),
        temperature=known.pop("tau"),
        anchors=1 / known.pop("anchor_divisor"),
        optimizer=str(numbers["optimizer"]),
        published_scale=True,
        batch=numbers["batches"].shape[1],
        epochs=3,
        device="cpu",
        workers=0,
        cache="off",
        validate_every=0,
        log_every=1,
        **known,
    )


@contextmanager
def given_draws(numbers: Golden) -> Iterator[None]:
    """Meanwhile the recorded images make the batches, and the recorded patches are the anchors."""
    steps = [batch.tolist() for batch in numbers["batches"]]
    patches = (SIZE // 8) ** 2
    anchors = torch.from_numpy(numbers["anchors"].astype(np.int64))

    def batches(images: int, batch: int, *, epoch: int, first: int = 0, **_: Any) -> Any:
        each = images // batch
        return steps[epoch * each :][:each][first:]

    def anchors_of(images: int, count: int, share: float, seed: int, step: int) -> Tensor:
        assert (images, count, int(count * share)) == (len(steps[0]), patches, anchors.shape[2])
        return anchors[step] + patches * torch.arange(images).unsqueeze(1)

    with (
        mock.patch("trainers.training.trainer.batches", batches),
        mock.patch("trainers.training.objective.anchors_of", anchors_of),
    ):
        yield


def trained(root: Path, numbers: Golden, *, world: World, **changes: Any) -> Trainer:
    """Who has taken the recorded steps and written everything down."""
    config = configuration(numbers, write_backbone(root / "tiny.pth")).with_(changes)
    made = Run(root / "run")
    made.write_config(config)
    prepared = prepare(
        config,
        write_data(root / "data"),
        world=world,
        cache_root=root / "cache",
        stopped=lambda: False,
    )
    trainer = Trainer(config, prepared, made, world=world, stopped=lambda: False)
    fill(trainer.segmenter)
    # Both probes start where theirs did, not at noise of our own.
    with given_draws(numbers), mock.patch.object(trainer.probing, "begin"):
        assert trainer.fit() == "finished"
    trainer.close()
    return trainer


def column(numbers: Golden, name: str) -> np.ndarray:
    """What was recorded of every step."""
    found: np.ndarray = numbers["losses"][:, numbers["columns"].tolist().index(name)]
    return found


def told(run: Run, name: str) -> list[float]:
    """A column of the run's own metrics, one number for each step."""
    lines = [line for line in read_metrics(run.metrics_file) if line["kind"] == "step"]
    return [line[name] for line in lines]
