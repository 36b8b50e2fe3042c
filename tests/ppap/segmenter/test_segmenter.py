"""Two streams, two probes and predictions, on the embedded CNN and on a small ViT."""

from __future__ import annotations

import math
from collections.abc import Iterable
from copy import deepcopy
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ppap.backbones import Backbone, BackboneError, TrunkOutput, build_vit, load_backbone
from ppap.segmenter import (
    ClusterProbe,
    LinearProbe,
    Segmenter,
    Trained,
    TunedBlock,
    predict,
    prediction,
    rebuild,
)

FILE = Path("best.pt")


@pytest.fixture(scope="module")
def vit() -> Backbone:
    torch.manual_seed(0)
    return build_vit("test_vit", depth=3)


@pytest.fixture(scope="module", params=["embedded", "embedded_deep", "vit"])
def backbone(request: pytest.FixtureRequest, vit: Backbone) -> Backbone:
    return vit if request.param == "vit" else load_backbone(request.param)


@pytest.fixture(scope="module")
def images() -> Tensor:
    torch.manual_seed(1)
    return torch.rand(2, 3, 64, 96)


@pytest.fixture
def segmenter(backbone: Backbone) -> Segmenter:
    torch.manual_seed(2)
    return Segmenter(backbone, 5, extra_clusters=2)


@pytest.fixture
def small(vit: Backbone) -> Segmenter:
    torch.manual_seed(2)
    return Segmenter(vit, 5, extra_clusters=2)


def trained_block(segmenter: Segmenter) -> nn.Module:
    assert isinstance(segmenter.head, TunedBlock)
    return segmenter.head.trained_block


def shaken(segmenter: Segmenter) -> Segmenter:
    """With a trained stream that no longer equals the frozen one."""
    with torch.no_grad():
        for parameter in segmenter.parameter_groups().net:
            parameter.add_(0.05 * torch.randn_like(parameter))
    return segmenter


def with_gradient(parameters: Iterable[nn.Parameter]) -> list[bool]:
    return [p.grad is not None and bool(p.grad.any()) for p in parameters]


# The streams


def test_the_trained_copy_starts_equal_to_the_frozen_block(
    segmenter: Segmenter, backbone: Backbone, images: Tensor
) -> None:
    assert torch.equal(segmenter.features(images), backbone(images))
    assert trained_block(segmenter) is not backbone.last_block
    shaken(segmenter)
    assert not torch.allclose(segmenter.features(images), backbone(images), atol=1e-3)


def test_shapes_and_order_of_what_the_loss_gets(segmenter: Segmenter, images: Tensor) -> None:
    out = segmenter.eval().forward_training(segmenter.trunk(images))
    dim = segmenter.backbone.dim
    assert out.guidance.shape == out.tuned.shape == (2, 4, 6, dim)
    assert out.projected.shape == (2 * 4 * 6, dim)
    assert isinstance(segmenter.head, TunedBlock)
    z = segmenter.head.projection(out.tuned[1, 2, 3])
    assert torch.allclose(out.projected[1 * 24 + 2 * 6 + 3], z / z.norm(), atol=1e-5)
    assert torch.allclose(out.projected.norm(dim=1), torch.ones(48), atol=1e-5)


def test_the_main_loss_trains_the_copy_and_the_projection_alone(
    segmenter: Segmenter, images: Tensor
) -> None:
    trunk = segmenter.trunk(images)
    # Even tokens that ask for a gradient give none to the guidance.
    out = segmenter.train().forward_training(
        trunk._replace(tokens=trunk.tokens.clone().requires_grad_())
    )
    assert not out.guidance.requires_grad
    out.projected[:, 0].sum().backward()
    groups = segmenter.parameter_groups()
    assert all(with_gradient(groups.net))
    assert not any(with_gradient(segmenter.backbone.parameters()))
    assert not any(with_gradient([*groups.cluster, *groups.linear]))


def test_the_probes_train_themselves_alone(segmenter: Segmenter, images: Tensor) -> None:
    out = segmenter.train().forward_training(segmenter.trunk(images))
    assert out.tuned.requires_grad
    labels = torch.randint(0, 5, (2, 64, 96))
    losses = segmenter.probe_losses(out.tuned, labels)
    groups = segmenter.parameter_groups()
    losses.cluster.backward()
    assert all(with_gradient(groups.cluster))
    assert not any(with_gradient([*groups.net, *groups.linear]))
    assert losses.linear is not None
    losses.linear.backward()
    assert all(with_gradient(groups.linear))
    assert not any(with_gradient([*groups.net, *segmenter.backbone.parameters()]))


def test_the_groups_are_everything_that_trains_and_nothing_twice(segmenter: Segmenter) -> None:
    grouped = [id(p) for group in segmenter.parameter_groups() for p in group]
    assert len(set(grouped)) == len(grouped)
    assert set(grouped) == {id(p) for p in segmenter.parameters() if p.requires_grad}


def test_channels_of_the_guidance_drop_only_while_training(
    segmenter: Segmenter, backbone: Backbone, images: Tensor
) -> None:
    trunk = segmenter.trunk(images)
    whole = backbone(images)
    assert torch.equal(segmenter.eval().forward_training(trunk).guidance, whole)
    torch.manual_seed(3)
    out = segmenter.train().forward_training(trunk)
    dropped = (out.guidance == 0).all(dim=1).all(dim=1) & whole.any(dim=1).any(dim=1)  # (B, D)
    assert 0.02 < dropped.float().mean() < 0.25
    assert not torch.equal(dropped[0], dropped[1])
    kept = ~dropped[:, None, None].expand_as(whole)
    assert torch.allclose(out.guidance[kept], whole[kept] / 0.9)
    assert torch.equal(out.tuned, whole)


def test_the_backbone_never_leaves_evaluation(segmenter: Segmenter) -> None:
    segmenter.train()
    assert segmenter.head.training
    assert not any(module.training for module in segmenter.backbone.modules())
    assert not any(p.requires_grad for p in segmenter.backbone.parameters())


def test_evaluation_is_deterministic(segmenter: Segmenter, images: Tensor) -> None:
    segmenter.eval()
    trunk = segmenter.trunk(images)
    one, two = segmenter.forward_training(trunk), segmenter.forward_training(trunk)
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


def test_a_kept_trunk_gives_the_same_bits(
    segmenter: Segmenter, images: Tensor, tmp_path: Path
) -> None:
    shaken(segmenter).eval()
    torch.save(
        [tuple(part) if isinstance(part, tuple) else part for part in segmenter.trunk(images)],
        tmp_path / "trunk.pt",
    )
    kept = TrunkOutput(*torch.load(tmp_path / "trunk.pt", weights_only=True))
    assert torch.equal(segmenter.features(kept), segmenter.features(images))
    fresh = segmenter.forward_training(segmenter.trunk(images))
    again = segmenter.forward_training(kept)
    assert all(torch.equal(a, b) for a, b in zip(fresh, again, strict=True))
    assert segmenter.predict(kept).clusters.shape == (2, 64, 96)
    assert torch.equal(segmenter.predict(kept).clusters, segmenter.predict(images).clusters)


def test_a_trunk_kept_in_half_precision_works(segmenter: Segmenter, images: Tensor) -> None:
    trunk = segmenter.trunk(images)
    beside = None if trunk.beside is None else trunk.beside.half()
    halved = TrunkOutput(trunk.tokens.half(), beside, trunk.grid)
    features = segmenter.features(halved)
    assert features.dtype == torch.float32
    assert torch.allclose(features, segmenter.features(images), atol=0.02)
    segmenter.forward_training(halved).projected.sum().backward()


def test_kept_frozen_features_stand_in_for_the_frozen_block(
    segmenter: Segmenter, backbone: Backbone, images: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    shaken(segmenter).eval()
    trunk, frozen = segmenter.trunk(images), backbone(images)
    fresh = segmenter.forward_training(trunk)
    kept = segmenter.forward_training(trunk, frozen.clone().requires_grad_())
    assert not kept.guidance.requires_grad
    assert all(torch.equal(a, b) for a, b in zip(fresh, kept, strict=True))
    finished: list[nn.Module | None] = []
    finish = backbone.finish

    def recording(trunk_output: TrunkOutput, last_block: nn.Module | None = None) -> Tensor:
        finished.append(last_block)
        return finish(trunk_output, last_block)

    monkeypatch.setattr(backbone, "finish", recording)
    halved = segmenter.forward_training(trunk, frozen.half())
    assert finished == [trained_block(segmenter)]
    assert halved.guidance.dtype == torch.float32
    assert torch.equal(halved.guidance, frozen.half().float())
    assert torch.equal(halved.tuned, fresh.tuned)


def test_kept_frozen_features_of_other_images_are_refused(small: Segmenter) -> None:
    trunk = small.trunk(torch.rand(2, 3, 64, 96))
    with pytest.raises(ValueError, match=r"\(2, 4, 6, 64\).*not \(1, 4, 6, 64\)"):
        small.forward_training(trunk, torch.zeros(1, 4, 6, 64))


def test_inference_needs_no_gradients(segmenter: Segmenter, images: Tensor) -> None:
    assert not segmenter.features(images).requires_grad
    assert torch.equal(segmenter(images), segmenter.features(images))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_other_precisions(segmenter: Segmenter, images: Tensor, dtype: torch.dtype) -> None:
    own = segmenter.features(images)
    moved = deepcopy(segmenter).to(dtype)  # the fixture's backbone is shared
    features = moved.features(images)
    assert features.dtype == torch.float32
    assert torch.allclose(features, own, atol=0.15 if dtype == torch.bfloat16 else 1e-4)
    result = moved.predict(images, log_probabilities=True)
    assert result.cluster_log_probabilities is not None
    assert result.cluster_log_probabilities.dtype == torch.float32
    out = moved.forward_training(moved.trunk(images))
    out.projected[:, 0].sum().backward()
    assert all(with_gradient(moved.parameter_groups().net))
    losses = moved.probe_losses(out.tuned, torch.zeros(2, 64, 96, dtype=torch.int64))
    assert losses.cluster.isfinite()


def test_bytes_are_refused(small: Segmenter) -> None:
    with pytest.raises(TypeError, match="divide bytes by 255"):
        small.features(torch.zeros(1, 3, 32, 32, dtype=torch.uint8))


# The probes


def test_cluster_loss_by_hand() -> None:
    probe = ClusterProbe(2, 2)
    with torch.no_grad():
        probe.clusters.copy_(torch.tensor([[2.0, 0.0], [0.0, 5.0]]))
    # Cosines (0.6, 0.8) and (1, 0) and (−1, 0): the best are 0.8, 1 and 0.
    features = torch.tensor([[3.0, 4.0], [7.0, 0.0], [-2.0, 0.0]]).view(1, 1, 3, 2)
    assert probe.loss(features).item() == pytest.approx(-(0.8 + 1 + 0) / 3)
    assert torch.equal(probe.products(features)[0, :, 0].T, features[0, 0])


def linear_probe(weight: list[list[float]], bias: list[float]) -> LinearProbe:
    probe = LinearProbe(len(weight[0]), len(weight))
    with torch.no_grad():
        probe.weight.copy_(torch.tensor(weight)[:, :, None, None])
        assert probe.bias is not None
        probe.bias.copy_(torch.tensor(bias))
    return probe


def test_linear_loss_by_hand_without_void() -> None:
    # One patch with logits (log 3, 0), so probabilities ¾ and ¼ for all its pixels.
    probe = linear_probe([[2.0], [0.0]], [math.log(3) - 2, 0.0])
    features = torch.ones(1, 1, 1, 1)
    labels = torch.tensor([[[0, 1], [-1, 0]]])
    expected = -(2 * math.log(3 / 4) + math.log(1 / 4)) / 3
    assert probe.loss(features, labels).item() == pytest.approx(expected)
    more_void = torch.tensor([[[0, -1], [-1, -1]]])
    assert probe.loss(features, more_void).item() == pytest.approx(-math.log(3 / 4))


def test_linear_loss_upsamples_logits_between_the_centres_of_patches() -> None:
    # Two patches with logits (0, 0) and (4, 0); four pixels: 0, ¼, ¾ and 1 of the way.
    probe = linear_probe([[1.0], [0.0]], [0.0, 0.0])
    features = torch.tensor([0.0, 4.0]).view(1, 1, 2, 1)
    labels = torch.zeros(1, 1, 4, dtype=torch.int64)
    expected = sum(math.log(1 + math.exp(-logit)) for logit in (0, 1, 3, 4)) / 4
    assert probe.loss(features, labels).item() == pytest.approx(expected)


def test_only_void_is_no_loss_and_no_gradient() -> None:
    probe = LinearProbe(3, 2)
    loss = probe.loss(torch.rand(1, 2, 2, 3), torch.full((1, 8, 8), -1))
    loss.backward()
    assert loss.item() == 0
    assert probe.weight.grad is not None
    assert not probe.weight.grad.any()


def test_without_labels_the_linear_probe_rests(small: Segmenter, images: Tensor) -> None:
    losses = small.probe_losses(small.features(images), None)
    assert losses.linear is None
    assert losses.cluster.item() < 0


def test_probes_keep_their_precision_inside_autocast(small: Segmenter, images: Tensor) -> None:
    features = small.features(images)
    labels = torch.randint(0, 5, (2, 64, 96))
    plain = small.probe_losses(features, labels)
    with torch.autocast("cpu", torch.bfloat16):
        inside = small.probe_losses(features, labels)
    assert plain.linear is not None
    assert inside.linear is not None
    assert torch.equal(plain.cluster, inside.cluster)
    assert torch.equal(plain.linear, inside.linear)


@pytest.mark.parametrize(
    ("labels", "error", "message"),
    [
        (torch.zeros(2, 8, 8), TypeError, "int64 tensor"),
        (torch.zeros(3, 8, 8, dtype=torch.int64), ValueError, "B = 2"),
        (torch.zeros(2, 1, 8, 8, dtype=torch.int64), ValueError, "shape"),
        (torch.full((2, 8, 8), 5), ValueError, "class 5; the linear probe knows 0 to 4"),
        (torch.full((2, 8, 8), 255), ValueError, "class 255"),
        (torch.full((2, 8, 8), -2), ValueError, "class -2"),
    ],
)
def test_wrong_labels_are_named(
    small: Segmenter, labels: Tensor, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        small.probe_losses(torch.rand(2, 4, 4, 64), labels)


# Predictions


@pytest.fixture
def probes() -> tuple[ClusterProbe, LinearProbe]:
    torch.manual_seed(4)
    return ClusterProbe(8, 7), LinearProbe(8, 5)


def test_predictions_equal_those_of_features_upsampled_whole(
    probes: tuple[ClusterProbe, LinearProbe],
) -> None:
    cluster, linear = probes
    # Lengths that differ much, as a mistake with them would not show otherwise.
    features = torch.randn(2, 4, 5, 8) * torch.rand(2, 4, 5, 1).exp2() ** 4
    found = predict(features, cluster, linear, (33, 50), log_probabilities=True)
    maps = features.double().permute(0, 3, 1, 2)
    whole = F.interpolate(maps, (33, 50), mode="bilinear", align_corners=False)
    logits = F.conv2d(whole, linear.double().weight, linear.bias)
    directions = F.normalize(cluster.clusters.double(), dim=1)
    cosines = torch.einsum("bdhw,kd->bkhw", F.normalize(whole, dim=1), directions)
    for got, expected in (
        (found.class_log_probabilities, logits.log_softmax(1)),
        (found.cluster_log_probabilities, (2 * cosines).log_softmax(1)),
    ):
        assert got is not None
        assert got.dtype == torch.float32
        assert torch.allclose(got.double(), expected, atol=1e-5)
    for ids, scores in ((found.classes, logits), (found.clusters, cosines)):
        best = scores.topk(2, dim=1).values
        clear = best[:, 0] - best[:, 1] > 1e-5
        assert clear.float().mean() > 0.99
        assert torch.equal(ids[clear], scores.argmax(1)[clear])


def test_chunks_change_nothing(
    probes: tuple[ClusterProbe, LinearProbe], monkeypatch: pytest.MonkeyPatch
) -> None:
    features = torch.randn(2, 4, 5, 8)
    at_once = predict(features, *probes, (40, 50), log_probabilities=True)
    monkeypatch.setattr(prediction, "CHUNK_BYTES", 2 * 4 * 2 * 40 * 50)
    assert prediction.channels_at_once(2, (40, 50)) == 2
    chunked = predict(features, *probes, (40, 50), log_probabilities=True)
    lean = predict(features, *probes, (40, 50))
    assert lean.cluster_log_probabilities is None
    assert lean.class_log_probabilities is None
    for one, other in zip(at_once, chunked, strict=True):
        assert one is not None
        assert other is not None
        assert torch.allclose(one, other, atol=1e-5)
    assert torch.equal(lean.clusters, at_once.clusters)
    assert torch.equal(lean.classes, at_once.classes)
    assert len(lean.clusters.unique()) == 7


def test_features_of_no_length_give_even_odds(probes: tuple[ClusterProbe, LinearProbe]) -> None:
    found = predict(torch.zeros(1, 2, 2, 8), *probes, (4, 4), log_probabilities=True)
    assert found.cluster_log_probabilities is not None
    assert torch.allclose(found.cluster_log_probabilities, torch.tensor(1 / 7).log())


def test_prediction_of_images(segmenter: Segmenter, images: Tensor) -> None:
    found = segmenter.predict(images)
    assert found.clusters.shape == found.classes.shape == (2, 64, 96)
    assert found.clusters.max() < 7
    assert found.classes.max() < 5
    sized = segmenter.predict(images, (30, 45), log_probabilities=True)
    assert sized.cluster_log_probabilities is not None
    assert sized.cluster_log_probabilities.shape == (2, 7, 30, 45)
    assert sized.class_log_probabilities is not None
    assert sized.class_log_probabilities.shape == (2, 5, 30, 45)


# STEGO's head


def test_the_code_head_codes(backbone: Backbone, images: Tensor) -> None:
    segmenter = Segmenter(backbone, 5, head="code")
    out = segmenter.train().forward_training(segmenter.trunk(images))
    assert out.guidance.shape == (2, 4, 6, backbone.dim)
    assert out.tuned.shape == (2, 4, 6, 70)
    assert out.projected.shape == (48, 70)
    assert torch.allclose(out.projected[7], F.normalize(out.tuned[0, 1, 1], dim=0), atol=1e-6)
    out.projected[:, 0].sum().backward()
    assert all(with_gradient(segmenter.parameter_groups().net))
    assert not any(with_gradient(backbone.parameters()))
    assert segmenter.cluster_probe.clusters.shape == (5, 70)
    assert segmenter.predict(images).classes.shape == (2, 64, 96)


def test_the_code_is_the_sum_of_both_branches(vit: Backbone, images: Tensor) -> None:
    segmenter = Segmenter(vit, 5, head="code").eval()
    state = segmenter.head.state_dict()
    f = vit(images)
    hidden = (f @ state["nonlinear.0.weight"].T + state["nonlinear.0.bias"]).clamp(min=0)
    second = hidden @ state["nonlinear.2.weight"].T + state["nonlinear.2.bias"]
    first = f @ state["linear.weight"].T + state["linear.bias"]
    assert torch.allclose(segmenter.features(images), first + second, atol=1e-5)
    trained = segmenter.forward_training(segmenter.trunk(images)).tuned
    assert torch.allclose(trained, first + second, atol=1e-5)


def test_the_code_drops_channels_in_training_but_not_in_inference(
    vit: Backbone, images: Tensor
) -> None:
    segmenter = Segmenter(vit, 5, head="code").train()
    trunk = segmenter.trunk(images)
    one, two = (segmenter.forward_training(trunk).tuned for _ in range(2))
    assert not torch.allclose(one, two, atol=1e-4)
    # Each branch drops: without the other, results still differ.
    for branch in ("linear", "nonlinear.2"):
        alone = deepcopy(segmenter)
        with torch.no_grad():
            alone.head.get_submodule(branch).weight.zero_()  # type: ignore[operator]
        one, two = (alone.forward_training(trunk).tuned for _ in range(2))
        assert not torch.allclose(one, two, atol=1e-4)
    assert torch.equal(segmenter.features(images), segmenter.features(images))
    assert segmenter.head.training
    inference = segmenter.features(images)
    assert torch.equal(inference, segmenter.eval().features(images))


# Checkpoints


@pytest.mark.parametrize("head", ["block", "code"])
def test_what_was_trained_comes_back(
    backbone: Backbone, images: Tensor, head: str, tmp_path: Path
) -> None:
    segmenter = shaken(Segmenter(backbone, 5, extra_clusters=2, head=head))
    torch.save(segmenter.trained()._asdict(), tmp_path / "best.pt")
    trained = Trained(**torch.load(tmp_path / "best.pt", weights_only=True))
    assert trained.backbone == backbone.info.name
    names = set(trained.tensors)
    assert {name.split(".")[0] for name in names} == {"head", "cluster_probe", "linear_probe"}
    again = rebuild(trained, backbone, FILE)
    assert not again.training
    assert torch.equal(again.features(images), segmenter.features(images))
    assert torch.equal(again.predict(images).clusters, segmenter.predict(images).clusters)
    assert torch.equal(again.predict(images).classes, segmenter.predict(images).classes)


def test_a_checkpoint_is_a_snapshot_without_the_backbone(small: Segmenter) -> None:
    before = small.trained().tensors
    weight = before["linear_probe.weight"].clone()
    with torch.no_grad():
        small.linear_probe.weight.add_(1)
    assert torch.equal(before["linear_probe.weight"], weight)
    trainable = sum(p.numel() for p in small.parameters() if p.requires_grad)
    assert sum(tensor.numel() for tensor in before.values()) == trainable


def test_checkpoints_that_do_not_fit_are_explained(small: Segmenter, vit: Backbone) -> None:
    trained = small.trained()
    with pytest.raises(BackboneError, match=r"best.pt was trained on dino_vits8, not on test_vit"):
        small.load_trained(trained._replace(backbone="dino_vits8"), FILE)
    tensors = dict(trained.tensors)
    del tensors["head.projection.weight"]
    with pytest.raises(BackboneError, match=r"missing: head.projection.weight"):
        small.load_trained(trained._replace(tensors=tensors), FILE)
    with pytest.raises(BackboneError, match=r"linear_probe.weight \(5, 64, 1, 1\) instead"):
        Segmenter(vit, 6).load_trained(trained, FILE)
    with pytest.raises(BackboneError, match=r"unexpected: head.trained_block"):
        Segmenter(vit, 5, extra_clusters=2, head="code").load_trained(trained, FILE)


def test_a_backbone_file_may_have_moved(small: Segmenter) -> None:
    info = small.backbone.info
    try:
        small.backbone.info = info._replace(name="/here/dino.pth")
        small.load_trained(small.trained()._replace(backbone="/there/dino.pth"), FILE)
        with pytest.raises(BackboneError, match=r"other\.pth"):
            small.load_trained(small.trained()._replace(backbone="/here/other.pth"), FILE)
    finally:
        small.backbone.info = info


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_classes": 0}, "n_classes must be a whole number, 1 or more"),
        ({"extra_clusters": -1}, "extra_clusters"),
        ({"head": "tail"}, "block, code"),
    ],
)
def test_wrong_settings_are_named(
    vit: Backbone, settings: dict[str, int | str], message: str
) -> None:
    given = {"n_classes": 5, **settings}
    with pytest.raises(ValueError, match=message):
        Segmenter(vit, **given)  # type: ignore[arg-type]


# Training


def test_a_few_steps_reduce_all_three_losses(segmenter: Segmenter) -> None:
    torch.manual_seed(5)
    # The left half dark, the right half bright.
    images = torch.rand(2, 3, 64, 96) * 0.4
    images[..., 48:] += 0.6
    labels = torch.zeros(2, 64, 96, dtype=torch.int64)
    labels[..., 48:] = 1
    side = labels[:, ::16, ::16].flatten()
    groups = segmenter.train().parameter_groups()
    rates = (3e-3, 5e-2, 5e-2)
    optimizers = [torch.optim.Adam(g, lr=rate) for g, rate in zip(groups, rates, strict=True)]
    trunk = segmenter.trunk(images)
    frozen = [p.clone() for p in segmenter.backbone.parameters()]
    history = []
    for _ in range(15):
        out = segmenter.forward_training(trunk)
        # Patches of one side together, those of two sides apart.
        same = (side[:, None] == side[None]).float() * 2 - 1
        main = -(same * (out.projected @ out.projected.T)).mean()
        losses = segmenter.probe_losses(out.tuned, labels)
        assert losses.linear is not None
        for optimizer in optimizers:
            optimizer.zero_grad()
        (main + losses.cluster + losses.linear).backward()
        for optimizer in optimizers:
            optimizer.step()
        history.append((main.item(), losses.cluster.item(), losses.linear.item()))
    for first, last in zip(history[0], history[-1], strict=True):
        assert last < first - 0.1
    assert all(
        torch.equal(a, b) for a, b in zip(frozen, segmenter.backbone.parameters(), strict=True)
    )


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("/here/dino.pth", "/there/dino.pth", True),
        ("/here/dino.pth", "/here/other.pth", False),
        ("dino_vits8", "dino_vits16", False),
        ("dino_vits8", "/here/dino_vits8", False),
        ("test_vit@/here/x.pth", "test_vit@/there/x.pth", True),
        ("test_vit@/here/x.pth", "/there/x.pth", True),
        ("test_vit@/here/x.pth", "test_vit2@/here/x.pth", False),
    ],
)
def test_files_that_moved_are_the_same_backbone(one: str, other: str, same: bool) -> None:
    from ppap.segmenter.model import same_backbone

    assert same_backbone(one, other) == same_backbone(other, one) == same
