"""Six optimizer steps of the published training loop, taken by the trainer as a run takes them.

The recorded numbers are of float32 on a CPU, without dropout. Images and labels are written as
files and read by the trainer itself; only what both sides leave to chance is set: the parameters
at the start, which images make a batch, and which patches are anchors.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from ppap.checkpoints.opening import load_segmenter
from ppap.segmenter import Segmenter, TunedBlock
from tests.support.small_runs import ALONE, weights
from trainers.config import Config
from trainers.runs.folder import Run
from trainers.runs.metrics import read_metrics
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
SIZES = ("positives", "negatives")
BLOCK = "head.trained_"
# Of the 576 entries of the queries', keys' and values' bias.
KEYS = slice(192, 384)


# --- what the recorded loop began with


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


def given_draws(monkeypatch: pytest.MonkeyPatch, numbers: Golden) -> None:
    """Let the recorded images make the batches, and the recorded patches be the anchors."""
    steps = [batch.tolist() for batch in numbers["batches"]]
    patches = (SIZE // 8) ** 2
    anchors = torch.from_numpy(numbers["anchors"].astype(np.int64))

    def batches(images: int, batch: int, *, epoch: int, first: int = 0, **_: Any) -> Any:
        each = images // batch
        return steps[epoch * each :][:each][first:]

    def anchors_of(images: int, count: int, share: float, seed: int, step: int) -> Tensor:
        assert (images, count, int(count * share)) == (len(steps[0]), patches, anchors.shape[2])
        return anchors[step] + patches * torch.arange(images).unsqueeze(1)

    monkeypatch.setattr("trainers.training.trainer.batches", batches)
    monkeypatch.setattr("trainers.training.objective.anchors_of", anchors_of)


# --- the run


@pytest.fixture(scope="module")
def numbers(golden: Path) -> Golden:
    with np.load(golden / "trajectory_adam.npz") as stored:
        return dict(stored)


@pytest.fixture(scope="module")
def run(numbers: Golden, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Six steps, of which everything is written down."""
    root = tmp_path_factory.mktemp("published")
    config = configuration(numbers, write_backbone(root / "tiny.pth"))
    made = Run(root / "run")
    made.write_config(config)
    prepared = prepare(
        config,
        write_data(root / "data"),
        world=ALONE,
        cache_root=root / "cache",
        stopped=lambda: False,
    )
    trainer = Trainer(config, prepared, made, world=ALONE, stopped=lambda: False)
    fill(trainer.segmenter)
    with pytest.MonkeyPatch.context() as monkeypatch:
        given_draws(monkeypatch, numbers)
        # Both probes start where theirs did, not at noise of our own.
        monkeypatch.setattr(trainer.probing, "begin", lambda features, seed: None)
        assert trainer.fit() == "finished"
    trainer.close()
    return made


def column(numbers: Golden, name: str) -> np.ndarray:
    return numbers["losses"][:, numbers["columns"].tolist().index(name)]


def told(run: Run, name: str) -> list[float]:
    """A column of the run's own metrics."""
    lines = [line for line in read_metrics(run.metrics_file) if line["kind"] == "step"]
    assert [line["step"] for line in lines] == [1, 2, 3, 4, 5, 6]
    return [line[name] for line in lines]


@pytest.mark.parametrize("name", LOSSES)
def test_every_step_has_the_published_losses(run: Run, numbers: Golden, name: str) -> None:
    np.testing.assert_allclose(told(run, LOSSES[name]), column(numbers, name), rtol=1e-5)


@pytest.mark.parametrize("name", SIZES)
def test_every_step_has_the_published_sets(run: Run, numbers: Golden, name: str) -> None:
    # The means are of whole numbers; in single precision one patch in 100,000 may change sides.
    anchors = numbers["anchors"][0].size
    np.testing.assert_allclose(told(run, name), column(numbers, name), atol=2.5 / anchors)


def test_the_trained_block_is_the_published_one(run: Run, numbers: Golden) -> None:
    ours = weights(run)
    vectors = [name for name in numbers if name.startswith("block.")]
    sizes = [name for name in numbers if name.startswith("norm.block.")]
    assert {name.removeprefix("norm.") for name in sizes} == {
        name.removeprefix(BLOCK) for name in ours if name.startswith(BLOCK)
    }
    assert len(vectors) == 8
    for name in vectors:
        found, wanted = ours[f"{BLOCK}{name}"].numpy(), numbers[name]
        np.testing.assert_allclose(found, wanted, atol=1e-3, rtol=0, err_msg=name)
        if name == "block.attn.qkv.bias":
            # One and the same for all keys changes no attention: it follows rounding alone.
            found, wanted = np.delete(found, KEYS), np.delete(wanted, KEYS)
        np.testing.assert_allclose(found, wanted, atol=1e-5, rtol=1e-5, err_msg=name)
    for name in sizes:
        size = ours[BLOCK + name.removeprefix("norm.")].double().norm().item()
        assert size == pytest.approx(numbers[name].item(), rel=1e-5), name


def test_the_projection_and_both_probes_are_the_published_ones(run: Run, numbers: Golden) -> None:
    ours = weights(run)
    size = ours["head.projection.weight"].double().norm().item()
    assert size == pytest.approx(numbers["project_head.weight_norm"].item(), rel=1e-5)
    for name, theirs in {
        "head.projection.bias": "project_head.bias",
        "linear_probe.weight": "linear.weight",
        "linear_probe.bias": "linear.bias",
        "cluster_probe.clusters": "clusters",
    }.items():
        found = ours[name].numpy().reshape(numbers[theirs].shape)
        np.testing.assert_allclose(found, numbers[theirs], atol=1e-6, rtol=1e-5, err_msg=name)


def test_the_checkpoint_sees_new_images_as_the_published_network(run: Run, numbers: Golden) -> None:
    segmenter = load_segmenter(run.to_evaluate()).segmenter
    images = np.stack([picture(n) for n in HELD]).transpose(0, 3, 1, 2)
    trunk = segmenter.trunk(torch.from_numpy(images).float() / 255)
    tuned = segmenter.features(trunk)[:, ::4, ::4].permute(0, 3, 1, 2).numpy()
    size = np.abs(numbers["tuned"]).max()
    np.testing.assert_allclose(tuned, numbers["tuned"], atol=1e-5 * size, rtol=0)
    seen = segmenter.predict(trunk)
    assert np.array_equal(seen.classes[:, ::4, ::4], numbers["linear_map"])
    assert np.array_equal(seen.clusters[:, ::4, ::4], numbers["cluster_map"])
    for kind in ("linear_map", "cluster_map"):
        assert len(np.unique(numbers[kind])) > 10, "one class everywhere would say little"
