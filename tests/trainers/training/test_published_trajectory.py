"""Six optimizer steps of the published training loop, taken by the trainer as a run takes them.

The recorded numbers are of float32 on a CPU, without dropout. Images and labels are written as
files and read by the trainer itself; only what both sides leave to chance is set: the parameters
at the start, which images make a batch, and which patches are anchors.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from ppap.checkpoints.opening import load_segmenter
from tests.support.small_runs import ALONE, weights
from tests.support.trajectory import HELD, LOSSES, Golden, column, picture, told, trained
from trainers.runs.folder import Run

SIZES = ("positives", "negatives")
BLOCK = "head.trained_"
# Of the 576 entries of the queries', keys' and values' bias.
KEYS = slice(192, 384)


@pytest.fixture(scope="module")
def numbers(golden: Path) -> Golden:
    with np.load(golden / "trajectory_adam.npz") as stored:
        return dict(stored)


@pytest.fixture(scope="module")
def run(numbers: Golden, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Six steps, of which everything is written down."""
    made = trained(tmp_path_factory.mktemp("published"), numbers, world=ALONE).run
    assert told(made, "step") == [1, 2, 3, 4, 5, 6]
    return made


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
