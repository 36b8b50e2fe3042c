"""Published PPAP checkpoints, written here from a small ViT in their layout."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ppap.backbones import BackboneError, Grid, load_backbone
from ppap.backbones.vit import VitBackbone, resized_as_dino
from ppap.checkpoints.published import load_published
from ppap.segmenter import TunedBlock

DIM, DEPTH, HEADS, PATCH, SIDE = 128, 3, 2, 16, 6
CLASSES, CLUSTERS = 4, 6
MEAN = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
STD = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)


class Source(NamedTuple):
    """The three models of a published run."""

    vit: Any
    decoder: nn.Module
    project_head: nn.Linear
    linear: nn.Conv2d
    clusters: Tensor

    def content(self) -> dict[str, Any]:
        """What its training saves."""
        net = {f"model.{name}": tensor for name, tensor in self.vit.state_dict().items()}
        net |= {f"decoder.{name}": tensor for name, tensor in self.decoder.state_dict().items()}
        head = self.project_head.state_dict()
        net |= {f"project_head.{name}": tensor for name, tensor in head.items()}
        return {
            "net_model_state_dict": net,
            "linear_model_state_dict": self.linear.state_dict(),
            "cluster_model_state_dict": {"clusters": self.clusters},
            "epoch": 3,
            "best": 1.5,
        }

    def before_last(self, images: Tensor) -> Tensor:
        """Input of the last block, worked out step by step."""
        grid = Grid(images.shape[2] // PATCH, images.shape[3] // PATCH)
        patches = self.vit.patch_embed.proj((images - MEAN) / STD).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.vit.cls_token.expand(len(images), -1, -1), patches], dim=1)
        tokens = tokens + resized_as_dino(self.vit.pos_embed, grid, 1)
        result: Tensor = self.vit.blocks[:-1](tokens)
        return result

    def features(self, images: Tensor, block: nn.Module) -> Tensor:
        """``(B, h, w, D)`` behind ``block`` and the frozen norm."""
        tokens: Tensor = self.vit.norm(block(self.before_last(images)))
        return tokens[:, 1:].unflatten(1, (images.shape[2] // PATCH, images.shape[3] // PATCH))


@pytest.fixture(scope="module")
def source() -> Source:
    from timm.models.vision_transformer import VisionTransformer

    torch.manual_seed(0)
    vit = VisionTransformer(
        img_size=SIDE * PATCH,
        patch_size=PATCH,
        embed_dim=DIM,
        depth=DEPTH,
        num_heads=HEADS,
        num_classes=0,
        dynamic_img_size=True,
    )
    decoder = deepcopy(vit.blocks[-1])
    linear = nn.Conv2d(DIM, CLASSES, 1)
    made = Source(vit.eval(), decoder.eval(), nn.Linear(DIM, DIM), linear, torch.empty(0))
    for part in made[:4]:
        for name, parameter in part.requires_grad_(False).named_parameters():
            nn.init.normal_(parameter, std=0.1)
            if "norm" in name and name.endswith("weight"):
                parameter.add_(1)
    return made._replace(clusters=torch.randn(CLUSTERS, DIM))


@pytest.fixture(scope="module")
def images() -> Tensor:
    """Not of the training size, so that the positions must be resized DINO's way."""
    torch.manual_seed(1)
    return torch.rand(2, 3, 8 * PATCH, 5 * PATCH)


@pytest.fixture
def file(source: Source, tmp_path: Path) -> Path:
    path = tmp_path / "best.pth"
    torch.save(source.content(), path)
    return path


def test_features_and_probes_equal_the_sources(file: Path, source: Source, images: Tensor) -> None:
    segmenter = load_published(file)
    assert not segmenter.training
    assert (segmenter.n_classes, segmenter.extra_clusters) == (CLASSES, CLUSTERS - CLASSES)
    tuned = source.features(images, source.decoder)
    frozen = source.features(images, source.vit.blocks[-1])
    assert not torch.allclose(tuned, frozen, atol=0.1)
    assert torch.allclose(segmenter.features(images), tuned, atol=1e-4)
    out = segmenter.forward_training(segmenter.trunk(images))
    assert torch.allclose(out.guidance, frozen, atol=1e-4)
    assert torch.allclose(out.tuned, tuned, atol=1e-4)
    z = F.normalize(source.project_head(tuned.flatten(0, 2)), dim=1)
    assert torch.allclose(out.projected, z, atol=1e-4)
    assert torch.equal(segmenter.cluster_probe.clusters, source.clusters)
    logits = source.linear(tuned.permute(0, 3, 1, 2))
    assert torch.allclose(segmenter.linear_probe.logits(tuned), logits, atol=1e-4)


def test_predictions_follow_the_published_order_of_steps(
    file: Path, source: Source, images: Tensor
) -> None:
    """Features are upsampled first there, then compared and classified."""
    found = load_published(file).predict(images, log_probabilities=True)
    maps = source.features(images, source.decoder).permute(0, 3, 1, 2)
    whole = F.interpolate(maps, images.shape[2:], mode="bilinear", align_corners=False)
    directions = F.normalize(source.clusters, dim=1)
    cosines = torch.einsum("bdhw,kd->bkhw", F.normalize(whole, dim=1), directions)
    assert found.cluster_log_probabilities is not None
    assert torch.allclose(found.cluster_log_probabilities, (2 * cosines).log_softmax(1), atol=1e-4)
    assert found.class_log_probabilities is not None
    logits = source.linear(whole).log_softmax(1)
    assert torch.allclose(found.class_log_probabilities, logits, atol=1e-4)
    assert (found.clusters == cosines.argmax(1)).float().mean() > 0.999
    assert (found.classes == logits.argmax(1)).float().mean() > 0.999


def test_the_architecture_is_measured(file: Path) -> None:
    segmenter = load_published(file)
    backbone = segmenter.backbone
    assert isinstance(backbone, VitBackbone)
    assert (backbone.dim, backbone.patch_size) == (DIM, PATCH)
    assert len(backbone.vit.blocks) == DEPTH - 1
    assert "best.pth" in backbone.info.title
    assert "does not say how it was trained" in backbone.info.note


def test_it_can_be_trained_further(file: Path, images: Tensor) -> None:
    segmenter = load_published(file).train()
    out = segmenter.forward_training(segmenter.trunk(images))
    out.projected[:, 0].sum().backward()
    assert isinstance(segmenter.head, TunedBlock)
    assert all(p.grad is not None for p in segmenter.head.parameters())
    assert all(p.grad is None for p in segmenter.backbone.parameters())


def test_half_precision_and_names_of_several_devices(
    source: Source, images: Tensor, tmp_path: Path
) -> None:
    content = source.content()
    for part, state in content.items():
        if isinstance(state, dict):
            content[part] = {f"module.{name}": tensor.half() for name, tensor in state.items()}
    torch.save(content, tmp_path / "best.pth")
    segmenter = load_published(tmp_path / "best.pth")
    assert {p.dtype for p in segmenter.parameters()} == {torch.float32}
    tuned = source.features(images, source.decoder)
    assert torch.allclose(segmenter.features(images), tuned, atol=0.05)


def test_moves_to_another_precision(file: Path, source: Source, images: Tensor) -> None:
    segmenter = load_published(file).to(torch.float64)
    tuned = source.features(images, source.decoder)
    assert torch.allclose(segmenter.features(images), tuned, atol=1e-4)
    assert segmenter.predict(images).clusters.shape == (2, 8 * PATCH, 5 * PATCH)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_moves_to_a_gpu(file: Path, source: Source, images: Tensor) -> None:
    segmenter = load_published(file).to("cuda")
    tuned = source.features(images, source.decoder)
    assert torch.allclose(segmenter.features(images.cuda()).cpu(), tuned, atol=1e-2)
    trunk = segmenter.trunk(images)
    assert segmenter.forward_training(trunk).projected.is_cuda


Change = Callable[[dict[str, Any]], object]
NET, LINEAR, CLUSTER = (f"{part}_model_state_dict" for part in ("net", "linear", "cluster"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.pop(LINEAR), "lacks linear_model_state_dict"),
        (lambda c: c.update({CLUSTER: None}), "lacks cluster_model_state_dict"),
        (lambda c: c[NET].pop("decoder.attn.qkv.weight"), r"missing: decoder\.attn\.qkv\.weight"),
        (lambda c: c[NET].pop("project_head.bias"), r"missing: project_head\.bias"),
        (lambda c: c[NET].pop("model.pos_embed"), "missing: pos_embed"),
        (lambda c: c[NET].pop("model.blocks.1.norm2.bias"), r"missing: blocks\.1\.norm2\.bias"),
        (lambda c: c[NET].pop("model.norm.weight"), r"missing: norm\.weight"),
        (
            lambda c: c[NET].update({"decoder.gamma": torch.ones(1)}),
            r"unexpected: decoder\.gamma",
        ),
        (
            lambda c: c[NET].update({"cluster1.0.weight": torch.ones(1)}),
            r"different network than PPAP's; unexpected: cluster1\.0\.weight",
        ),
        (lambda c: c[LINEAR].pop("weight"), "missing: weight in linear_model_state_dict"),
        (lambda c: c[LINEAR].pop("bias"), "missing: bias"),
        (lambda c: c[CLUSTER].clear(), "missing: clusters in cluster_model_state_dict"),
        (
            lambda c: c[CLUSTER].update(clusters=torch.zeros(CLUSTERS, 70)),
            r"clusters \(6, 70\) instead of \(6, 128\)",
        ),
        (
            lambda c: c[CLUSTER].update(clusters=torch.zeros(2, DIM)),
            "2 clusters for 4 classes",
        ),
    ],
)
def test_what_does_not_fit_is_named(
    source: Source, tmp_path: Path, change: Change, message: str
) -> None:
    content = source.content()
    change(content)
    torch.save(content, tmp_path / "best.pth")
    with pytest.raises(BackboneError, match=message) as error:
        load_published(tmp_path / "best.pth")
    assert str(error.value).startswith("best.pth")


def test_a_backbone_alone_is_told_apart(source: Source, tmp_path: Path) -> None:
    torch.save(source.vit.state_dict(), tmp_path / "dino.pth")
    with pytest.raises(BackboneError, match="only a backbone, choose it as a backbone"):
        load_published(tmp_path / "dino.pth")
    torch.save(source.content(), tmp_path / "best.pth")
    with pytest.raises(BackboneError, match="whole trained PPAP model"):
        load_backbone(tmp_path / "best.pth")


class Trap:
    """Runs something when it is unpickled carelessly."""

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return eval, ("1 / 0",)


def test_code_in_a_file_is_not_run(source: Source, tmp_path: Path) -> None:
    torch.save({**source.content(), "trap": Trap()}, tmp_path / "best.pth")
    with pytest.raises(BackboneError, match="nothing in it was run"):
        load_published(tmp_path / "best.pth")
