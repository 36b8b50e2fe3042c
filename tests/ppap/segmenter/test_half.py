"""The probes in half precision, beside the same in float32."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ppap.backbones.half import half_precision
from ppap.segmenter import ClusterProbe, LinearProbe, predict
from ppap.segmenter.half import (
    cluster_loss_in_half,
    cosines_in_half,
    linear_loss_in_half,
    predict_in_half,
)
from ppap.segmenter.inference import Inference, precision

DIM, CLASSES, SIZE = 24, 5, (40, 56)


@pytest.fixture
def probes() -> tuple[ClusterProbe, LinearProbe]:
    torch.manual_seed(3)
    return ClusterProbe(DIM, CLASSES + 2), LinearProbe(DIM, CLASSES)


@pytest.fixture
def features() -> Tensor:
    return torch.randn(2, 5, 7, DIM, generator=torch.Generator().manual_seed(1))


def test_few_pixels_differ_from_single_precision(
    probes: tuple[ClusterProbe, LinearProbe], features: Tensor
) -> None:
    ours = predict(features, *probes, SIZE, log_probabilities=True)
    theirs = predict_in_half(features, *probes, SIZE, log_probabilities=True)
    for kind in ("clusters", "classes"):
        share = (getattr(ours, kind) != getattr(theirs, kind)).float().mean()
        assert getattr(theirs, kind).shape == (2, *SIZE)
        assert share < 0.01
    for kind in ("cluster_log_probabilities", "class_log_probabilities"):
        a, b = getattr(ours, kind), getattr(theirs, kind)
        assert a.shape == b.shape
        torch.testing.assert_close(a, b, atol=5e-3, rtol=0)
        assert not torch.equal(a, b)
        torch.testing.assert_close(b.exp().sum(dim=1), torch.ones(2, *SIZE))


def test_features_are_upsampled_before_they_are_normalised(
    probes: tuple[ClusterProbe, LinearProbe], features: Tensor
) -> None:
    fine = F.interpolate(features.permute(0, 3, 1, 2), SIZE, mode="bilinear")
    cosines = cosines_in_half(probes[0], fine.permute(0, 2, 3, 1))
    assert cosines.dtype == torch.float16
    assert torch.equal(predict_in_half(features, *probes, SIZE).clusters, cosines.argmax(dim=3))


def test_losses_and_gradients_are_those_of_single_precision_but_for_rounding(
    probes: tuple[ClusterProbe, LinearProbe], features: Tensor
) -> None:
    clusters, linear = probes
    labels = torch.randint(-1, CLASSES, (2, *SIZE), generator=torch.Generator().manual_seed(2))
    for ours, theirs, of in (
        (clusters.loss(features), cluster_loss_in_half(clusters, features), clusters.clusters),
        (
            linear.loss(features, labels),
            linear_loss_in_half(linear, features, labels),
            linear.weight,
        ),
    ):
        assert theirs.item() == pytest.approx(ours.item(), rel=1e-3)
        assert theirs.item() != ours.item()
        (a,), (b,) = torch.autograd.grad(ours, of), torch.autograd.grad(theirs * 2048, of)
        assert (a - b / 2048).norm() < 0.01 * a.norm()


def test_where_all_is_void_there_is_nothing_to_learn(
    probes: tuple[ClusterProbe, LinearProbe], features: Tensor
) -> None:
    void = torch.full((2, *SIZE), -1)
    assert linear_loss_in_half(probes[1], features, void).item() == 0


def test_convolutions_on_a_cpu_are_rounded_as_on_a_gpu() -> None:
    layer = torch.nn.Conv2d(3, 4, 3)
    image = torch.rand(1, 3, 9, 9)
    with half_precision(torch.device("cpu")):
        found = layer(image)
    exact = F.conv2d(image.half().float(), layer.weight.half().float(), layer.bias.half().float())  # type: ignore[union-attr]
    assert torch.equal(found, exact.half())
    assert layer(image).dtype == torch.float32


def test_inference_says_when() -> None:
    with precision(Inference(half=True), torch.device("cpu")):
        assert torch.is_autocast_enabled("cpu")
    with precision(Inference(), torch.device("cpu")):
        assert not torch.is_autocast_enabled("cpu")
