"""What ``protocol=published`` and each of its switches change in training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from ppap import ppap_loss
from ppap.contrast.in_half import loss_in_half, sets_in_half
from ppap.data.crops import CompressedCrops, FiveCrops, record_file
from ppap.propagation import unit
from ppap.protocol import OF_EVALUATION, PUBLISHED, SWITCHES
from ppap.segmenter import Segmenter, TrainingFeatures
from ppap.settings import SettingError
from tests.support.small_runs import ALONE
from tests.support.small_segmenters import small_vit, write_folder
from tests.support.trajectory import LOSSES, column, trained
from trainers.cache.key import facts_of_data
from trainers.config import Config
from trainers.recipes import find
from trainers.runs.metrics import read_metrics
from trainers.training.arguments import read
from trainers.training.distributed import World
from trainers.training.objective import GROUP, Objective, anchors_of
from trainers.training.prepare import cached_features, check_groups
from trainers.training.probing import Probing
from trainers.training.resuming import CHANGEABLE
from trainers.training.splits import open_splits
from trainers.training.updating import Updating, precision_of

CPU = torch.device("cpu")


# --- the settings


def test_recipes_and_defaults_are_ours() -> None:
    assert Config().protocol == "studio"
    assert find("coco_vits16").config.protocol == "studio"
    assert "protocol" not in CHANGEABLE


def test_what_cannot_go_together_is_refused() -> None:
    with pytest.raises(SettingError, match="protocol must be one of studio, published, nearest, "):
        Config(protocol="paper")
    for name in ("published", "half_loss", "half_probes"):
        with pytest.raises(SettingError, match="needs a gradient scaler") as refused:
            Config(protocol=name, precision="float32")
        assert refused.value.field == "precision"
    with pytest.raises(SettingError, match="use cache=auto or off") as refused:
        Config(protocol="half_evaluation", cache="on")
    assert refused.value.field == "cache"
    assert Config(protocol="nearest", precision="float32", cache="on").protocol == "nearest"


def test_the_command_line_has_a_word_of_its_own(tmp_path: Path) -> None:
    from trainers.train import parser

    given = parser().parse_args(
        ["samples", "--out", str(tmp_path / "r"), "--protocol", "published", "--set", "lr=0.1"]
    )
    assert read(given)[1].protocol == "published"
    assert given.set == ["lr=0.1", "protocol=published"]  # what is written down of it


# --- precision and scaler


def updating(**changes: Any) -> Updating:
    segmenter = Segmenter(small_vit(), 3)
    probing = Probing(segmenter, "noise", 1, ALONE)
    return Updating(Config(**changes), segmenter, probing, world=ALONE, main_steps=1)


def test_the_scaler_begins_and_grows_as_published() -> None:
    for protocol, start, interval in (("published", 2048, 1000), ("half_loss", 65_536, 2000)):
        scaler = updating(protocol=protocol).scaler
        assert scaler.is_enabled()
        assert scaler.get_scale() == start
        assert scaler.get_growth_interval() == interval
    assert not updating().scaler.is_enabled()


@pytest.mark.parametrize("name", SWITCHES)
def test_only_training_in_half_precision_asks_for_it(name: str) -> None:
    wanted = torch.float16 if name in ("half_loss", "half_probes") else None
    assert precision_of(Config(protocol=name), CPU) is wanted
    with updating(protocol=name).precision():
        assert torch.is_autocast_enabled("cpu") is (wanted is not None)


def test_probes_learn_in_half_precision() -> None:
    torch.manual_seed(0)
    segmenter, features = Segmenter(small_vit(), 3), torch.randn(2, 4, 4, 64)
    features = torch.randn(2, 4, 4, segmenter.head.width)
    labels = torch.randint(-1, 3, (2, 64, 64))
    ours, theirs = (Probing(segmenter, "noise", 1, ALONE, half=half) for half in (False, True))
    for name, given in (("cluster_loss", (features,)), ("linear_loss", (features, labels))):
        one, other = getattr(ours, name)(*given).item(), getattr(theirs, name)(*given).item()
        assert one != other
        assert one == pytest.approx(other, rel=1e-3)


# --- anchors and the loss


def streams(images: int, side: int) -> TrainingFeatures:
    chance = torch.Generator().manual_seed(0)
    centres = torch.randn(6, 12, generator=chance)
    owner = torch.randint(0, 6, (images, side, side), generator=chance)
    guidance = centres[owner] + 0.7 * torch.randn(images, side, side, 12, generator=chance)
    z = F.normalize(guidance.flatten(0, 2) @ torch.randn(12, 12, generator=chance), dim=1)
    return TrainingFeatures(guidance, guidance, z)


def config(**changes: Any) -> Config:
    return Config(phi0=0.6, psi0=0.2, sigma_amb=3, temperature=0.3, anchors=0.1).with_(changes)


@pytest.mark.parametrize("images", [4, 5, 9])
def test_anchors_come_from_groups_of_784_patches(images: int) -> None:
    given, settings = streams(images, 14), config(protocol="anchor_groups")
    groups = images // 4  # what is left beyond them has no anchors
    own = anchors_of(groups, GROUP, 0.1, 0, 3).flatten()
    assert len(own) == groups * 78
    found = Objective(settings, classes=4, world=ALONE)(given, 3)
    wanted = ppap_loss(
        given.guidance.flatten(0, 2),
        given.projected,
        own,
        **settings.settings.as_dict(),  # type: ignore[arg-type]
        temperature=0.3,
        images=own // GROUP,
    )
    assert found.loss == wanted.loss
    assert found.counted == groups
    ours = Objective(config(), classes=4, world=ALONE)(given, 3)
    assert ours.counted == images
    assert ours.loss != found.loss


def test_the_loss_is_in_half_precision() -> None:
    given, settings = streams(2, 28), config(protocol="published")
    f, own = unit(given.guidance.flatten(0, 2)), anchors_of(2, GROUP, 0.1, 0, 3).flatten()
    found = Objective(settings, classes=4, world=ALONE)(given, 3)
    wanted = loss_in_half(
        lambda some: sets_in_half(f, some, settings.settings),
        given.projected,
        own,
        temperature=0.3,
        images=own // GROUP,
    )
    assert found.loss == wanted.loss
    exact = Objective(config(), classes=4, world=ALONE)(given, 3)
    assert exact.loss != found.loss
    assert exact.loss.item() == pytest.approx(found.loss.item(), rel=1e-3)


def test_other_rules_keep_their_sets() -> None:
    given = streams(2, 28)
    found = Objective(config(protocol="half_loss", rule="baseline"), classes=4, world=ALONE)
    exact = Objective(config(rule="baseline"), classes=4, world=ALONE)
    one, other = found(given, 0), exact(given, 0)
    assert one.positives == other.positives > 0
    assert one.loss.item() == pytest.approx(other.loss.item(), rel=1e-3)


def test_batches_without_a_whole_group_are_refused() -> None:
    backbone = small_vit()  # 196 patches at 224 px
    check_groups(Config(batch=5, protocol="anchor_groups"), backbone, ALONE)
    check_groups(Config(batch=3), backbone, ALONE)
    check_groups(Config(batch=3, protocol="published", rule="frozen"), backbone, ALONE)
    with pytest.raises(SettingError, match="groups of 784 patches, and a batch has 588 in every"):
        check_groups(Config(batch=3, protocol="published"), backbone, ALONE)
    two = World(rank=0, size=2, local_rank=0, device=CPU)
    check_groups(Config(batch=16, protocol="published"), backbone, two)
    with pytest.raises(SettingError, match=r"a batch has 980 .* divides into such groups"):
        check_groups(Config(batch=10, protocol="published"), backbone, two)


# --- data


def test_images_are_resized_and_crops_compressed(tmp_path: Path) -> None:
    write_folder(tmp_path, count=10, side=80)
    asked = Config(dataset="folder", crops="five", batch=1)
    ours = open_splits(asked, tmp_path)
    theirs = open_splits(asked.with_({"protocol": "published"}), tmp_path)
    for found, resizing, kind in (
        (ours, "smooth", FiveCrops),
        (theirs, "nearest", CompressedCrops),
    ):
        assert found.evaluation is not None
        assert found.training.resizing == found.evaluation.resizing == resizing
        assert type(found.training) is kind
    one, other = (found.training.load(7).photo.rgb for found in (ours, theirs))
    assert 0 < np.abs(one.astype(int) - other).mean() < 30
    file = tmp_path / "crop.jpg"
    Image.fromarray(one).save(file, quality=75)  # as the published code saves them
    assert np.array_equal(other, np.array(Image.open(file)))
    alone = open_splits(asked.with_({"protocol": "jpeg_crops"}), tmp_path)
    assert (type(alone.training), alone.training.resizing) == (CompressedCrops, "smooth")


def test_crops_on_disk_count_only_where_the_published_code_wrote_them(tmp_path: Path) -> None:
    from trainers.crops import main

    write_folder(tmp_path, count=10)
    assert main(["folder", "--data", str(tmp_path), "--split", "train"]) == 0
    asked = Config(dataset="folder", crops="five", batch=1)
    assert open_splits(asked, tmp_path).precut
    published = asked.with_({"protocol": "published"})
    assert not open_splits(published, tmp_path).precut
    record_file(tmp_path / "cropped/folder_five_crop_0.5", "train").unlink()
    assert open_splits(published, tmp_path).precut


def test_nothing_is_kept_of_half_precision_and_nothing_taken_for_the_other(tmp_path: Path) -> None:
    write_folder(tmp_path, count=10)
    asked = Config(dataset="folder", batch=1, cache="auto")
    smooth, jagged = (
        open_splits(asked.with_({"protocol": name}), tmp_path).training
        for name in ("studio", "nearest")
    )
    assert facts_of_data(smooth) != facts_of_data(jagged)
    found = cached_features(
        asked.with_({"protocol": "published"}),
        jagged,
        small_vit(),
        size=32,
        root=tmp_path / "cache",
        world=ALONE,
        stopped=lambda: False,
    )
    assert found is None
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("images", [130, 4545])
def test_potsdam_takes_whole_images(images: int) -> None:
    """In each of 40 epochs 71 steps over the 4,545 images of IIC's list; not five times that."""
    recipe = find("potsdam_vitb8").config
    assert (recipe.crops, recipe.size) == ("none", 224)
    steps = images // recipe.batch
    assert recipe.stretches(steps).total == 40 * steps
    assert images != 4545 or recipe.stretches(steps).total == 2840


# --- the whole


def test_a_step_is_the_recorded_one_but_for_the_rounding(golden: Path, tmp_path: Path) -> None:
    """Every switch on, beside what the published loop gave in float32 (see
    ``test_published_trajectory``); docs/deviations.md has all six steps."""
    with np.load(golden / "trajectory_adam.npz") as stored:
        numbers = dict(stored)
    trainer = trained(tmp_path, numbers, world=ALONE, protocol="published", max_steps=1)
    run = trainer.run
    steps = [line for line in read_metrics(run.metrics_file) if line["kind"] == "step"]
    # Measured over six: 3.4e-4, 1e-5, 9.1e-5 and 3.9e-3; and 1.5e-3 of the positives.
    near = {"loss": 1e-3, "linear": 1e-4, "cluster": 5e-4, "gradient_norm": 1e-2}
    for name, share in near.items():
        found = [line[LOSSES[name]] for line in steps]
        np.testing.assert_allclose(found, column(numbers, name)[:1], rtol=share, err_msg=name)
        assert not np.allclose(found, column(numbers, name)[:1], rtol=1e-7), "this is float32"
    found = [line["positives"] for line in steps]
    np.testing.assert_allclose(found, column(numbers, "positives")[:1], rtol=4e-3)
    kept = json.loads(run.config_file.read_text(encoding="utf-8"))
    assert kept["protocol"] == "published"
    assert trainer.validation.inference.half
    assert set(PUBLISHED.record()) > set(OF_EVALUATION)
