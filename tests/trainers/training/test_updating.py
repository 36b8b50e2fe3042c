from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch
from torch import Tensor

from ppap.segmenter import Segmenter
from tests.support.small_runs import ALONE
from tests.support.small_segmenters import small_vit
from trainers.config import Config
from trainers.training.probing import Probing
from trainers.training.updating import (
    LEAST_SCALE,
    TrainingError,
    Updating,
    no_number,
    precision_of,
)

CPU, GPU = torch.device("cpu"), torch.device("cuda")


def made(**changes: Any) -> tuple[Segmenter, Updating]:
    config = Config(**changes)
    torch.manual_seed(0)
    segmenter = Segmenter(small_vit(), 3)
    probing = Probing(segmenter, "noise", 1, ALONE)
    return segmenter, Updating(config, segmenter, probing, world=ALONE, main_steps=10)


def summed(parameters: Any) -> Tensor:
    return torch.stack([p.sum() for p in parameters]).sum()


def everything(segmenter: Segmenter) -> Tensor:
    return summed(p for p in segmenter.parameters() if p.requires_grad)


def test_three_optimizers_have_everything_that_trains() -> None:
    segmenter, updating = made(
        optimizer="adamw", lr=0.1, weight_decay=0.2, cluster_lr=0.3, linear_lr=0.4
    )
    net, cluster, linear = updating.optimizers.values()
    assert type(net) is torch.optim.AdamW
    assert type(made(optimizer="adam")[1].optimizers["net"]) is torch.optim.Adam
    assert type(cluster) is type(linear) is torch.optim.Adam
    rates = [
        (each.param_groups[0]["lr"], each.param_groups[0]["weight_decay"])
        for each in (net, cluster, linear)
    ]
    assert rates == [(0.1, 0.2), (0.3, 0), (0.4, 0)]
    groups = segmenter.parameter_groups()
    for optimizer, wanted in zip((net, cluster, linear), groups, strict=True):
        found = optimizer.param_groups[0]["params"]
        assert [id(p) for p in found] == [id(p) for p in wanted]


@pytest.mark.parametrize(
    ("learning", "probes_learn", "changed"),
    [(True, True, {"head", "cluster_probe", "linear_probe"}), (True, False, {"head"}),
     (False, True, {"cluster_probe", "linear_probe"})],
)  # fmt: skip
def test_who_learns(learning: bool, probes_learn: bool, changed: set[str]) -> None:
    segmenter, updating = made()
    before = {n: p.detach().clone() for n, p in segmenter.named_parameters()}
    norm = updating.update(
        everything(segmenter), 0, learning=learning, probes_learn=probes_learn, logged=True
    )
    moved = {
        n.split(".")[0] for n, p in segmenter.named_parameters() if not torch.equal(p, before[n])
    }
    assert moved == changed
    assert (norm is not None) is learning


def test_probes_without_a_gradient_stay() -> None:
    segmenter, updating = made()
    updating.update(
        summed(segmenter.cluster_probe.parameters()),
        0,
        learning=False,
        probes_learn=True,
        logged=True,
    )
    assert len(updating.optimizers["linear"].state) == 0
    assert len(updating.optimizers["cluster"].state) == 1


def test_the_gradient_is_clipped_and_its_norm_told() -> None:
    _, updating = made(clip=0.5, optimizer="adam")
    count = sum(p.numel() for p in updating.net)
    norm = updating.update(
        3 * summed(updating.net), 0, learning=True, probes_learn=False, logged=True
    )
    assert norm is not None
    assert float(norm) == pytest.approx(3 * math.sqrt(count), rel=1e-4)
    clipped = torch.cat([p.grad.flatten() for p in updating.net if p.grad is not None]).norm()
    assert float(clipped) == pytest.approx(0.5, rel=1e-4)


def test_gradients_do_not_add_up() -> None:
    _, updating = made(clip=1e9)
    for _ in range(2):
        norm = updating.update(
            summed(updating.net), 0, learning=True, probes_learn=False, logged=True
        )
    count = sum(p.numel() for p in updating.net)
    assert norm is not None
    assert float(norm) == pytest.approx(math.sqrt(count), rel=1e-4)


def test_the_learning_rate_goes_as_it_should() -> None:
    constant, cosine = made(lr=0.01)[1], made(lr=0.01, schedule="cosine")[1]
    assert [constant.learning_rate(step) for step in (0, 5, 9)] == [0.01] * 3
    found = [cosine.learning_rate(step) for step in (0, 5, 10)]
    assert found == [0.01, pytest.approx(0.005), pytest.approx(0, abs=1e-12)]
    rates = [cosine.learning_rate(step) for step in range(11)]
    assert rates == sorted(rates, reverse=True)
    segmenter, updating = made(lr=0.01, schedule="cosine", cluster_lr=0.3)
    updating.update(everything(segmenter), 5, learning=True, probes_learn=True, logged=False)
    assert updating.optimizers["net"].param_groups[0]["lr"] == pytest.approx(0.005)
    assert updating.optimizers["cluster"].param_groups[0]["lr"] == 0.3


@pytest.mark.parametrize(
    ("precision", "on_cpu", "on_gpu"),
    [("auto", None, torch.float16), ("float32", None, None),
     ("float16", torch.float16, torch.float16), ("bfloat16", torch.bfloat16, torch.bfloat16)],
)  # fmt: skip
def test_precision(precision: str, on_cpu: Any, on_gpu: Any) -> None:
    config = Config(precision=precision)
    assert (precision_of(config, CPU), precision_of(config, GPU)) == (on_cpu, on_gpu)
    _, updating = made(precision=precision)
    a = torch.ones(2, 2)
    with updating.precision():
        assert (a @ a).dtype == (on_cpu or torch.float32)
    assert updating.scaler.is_enabled() is (on_cpu is torch.float16)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_no_number(value: float) -> None:
    segmenter, updating = made()
    before = {n: p.detach().clone() for n, p in segmenter.named_parameters()}
    with pytest.raises(TrainingError, match=r"The loss is no longer a number at step 8\. Use a"):
        updating.update(
            everything(segmenter) * value, 7, learning=True, probes_learn=True, logged=False
        )
    assert all(torch.equal(p, before[n]) for n, p in segmenter.named_parameters())


@pytest.mark.parametrize(
    ("settings", "advice"),
    [
        ({}, "Use a smaller lr or a larger temperature in a new run"),
        ({"rule": "knn"}, "Use a smaller lr or a larger temperature in a new run"),
        ({"rule": "stego"}, "Use a smaller lr in a new run"),
        ({"rule": "frozen"}, "Use a smaller linear_lr or cluster_lr in a new run"),
        ({"precision": "bfloat16"}, "temperature, or precision=float32 instead of bfloat16, in a"),
    ],
)
def test_the_advice_is_about_settings_that_the_rule_uses(
    settings: dict[str, Any], advice: str
) -> None:
    assert advice in str(no_number("The loss", 3, Config().with_(settings)))


def test_weights_that_are_no_numbers() -> None:
    segmenter, updating = made()
    updating.check_weights(3)
    with torch.no_grad():
        segmenter.linear_probe.weight[1] = math.inf
    with pytest.raises(TrainingError, match="A weight is no longer a number at step 4"):
        updating.check_weights(3)


def test_a_scaler_skips_what_is_no_number_until_it_is_hopeless() -> None:
    segmenter, updating = made(precision="float16")
    before = {n: p.detach().clone() for n, p in segmenter.named_parameters()}
    scale = updating.scaler.get_scale()
    ruined = everything(segmenter) * math.inf
    updating.update(ruined, 0, learning=True, probes_learn=True, logged=True)
    assert all(torch.equal(p, before[n]) for n, p in segmenter.named_parameters())
    assert updating.scaler.get_scale() == scale / 2

    def ruin(steps: int) -> None:
        for step in range(steps):
            ruined = everything(segmenter) * math.inf
            updating.update(ruined, step, learning=True, probes_learn=True, logged=True)

    with pytest.raises(TrainingError, match="Gradients are not finite, step after step"):
        ruin(99)
    assert updating.scaler.get_scale() < LEAST_SCALE


def test_the_state_goes_on() -> None:
    def step(segmenter: Segmenter, updating: Updating, number: int) -> None:
        loss = sum((p * p).sum() for p in segmenter.parameters() if p.requires_grad)
        assert isinstance(loss, Tensor)
        updating.update(loss, number, learning=True, probes_learn=True, logged=False)

    segmenter, updating = made(precision="float16")
    step(segmenter, updating, 0)
    kept, weights = updating.state(), {n: t.clone() for n, t in segmenter.state_dict().items()}
    # A checkpoint holds copies; these go on changing.
    kept = copy.deepcopy(kept)
    step(segmenter, updating, 1)
    again, resumed = made(precision="float16")
    again.load_state_dict(weights)
    resumed.load(kept)
    step(again, resumed, 1)
    for (name, one), other in zip(
        segmenter.state_dict().items(), again.state_dict().values(), strict=True
    ):
        assert torch.equal(one, other), name
    resumed.forget_probes()
    assert [len(each.state) for each in resumed.optimizers.values()][1:] == [0, 0]


def test_from_a_cpu_to_a_gpu_there_is_no_scaler_to_go_on_with() -> None:
    _, plain = made(precision="float32")
    assert plain.state()["scaler"] == {}
    _, scaled = made(precision="float16")
    scaled.load(plain.state())
    assert scaled.scaler.is_enabled()
