"""ViT backbones: equal to the official DINO features, and to timm's own for every other family."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ppap.backbones import BackboneError, BackboneInfo, Grid, build_vit
from ppap.backbones.vit import VitBackbone, resized_as_dino

INFO = BackboneInfo("test", "Test", "random weights", needs_download=False)


@pytest.fixture(autouse=True)
def same_seed() -> None:
    torch.manual_seed(0)


def fill_by_formula(vit: nn.Module) -> None:
    """Every parameter as the golden values' writers set it, in float64."""
    parameters = sorted(vit.named_parameters())
    for k, (name, parameter) in enumerate(parameters):
        i = np.arange(parameter.numel(), dtype=np.float64)
        values = 0.06 * np.sin(0.7391 * i + k) * np.cos(0.0137 * i + 2 * k)
        if name == "norm.weight" or name.endswith(("norm1.weight", "norm2.weight")):
            values += 1
        parameter.data.copy_(torch.from_numpy(values).view(parameter.shape))


def golden_image(size: int, backbone: VitBackbone) -> Tensor:
    """The golden image, brought to where the backbone's own normalisation restores it."""
    y, x = np.mgrid[:size, :size].astype(np.float64)
    channels = (
        np.sin(0.05 * x + 0.03 * y),
        np.cos(0.07 * x - 0.02 * y),
        np.sin(0.11 * y) * np.cos(0.04 * x),
    )
    return torch.from_numpy(np.stack(channels)).float()[None] * backbone.std + backbone.mean


@pytest.mark.parametrize("patch_size", [16, 8])
def test_dino_features_equal_the_official_ones(golden: Path, patch_size: int) -> None:
    import timm

    vit = timm.create_model(
        "vit_tiny_patch16_224", patch_size=patch_size, num_classes=0, dynamic_img_size=True
    )
    fill_by_formula(vit)
    backbone = VitBackbone(vit, INFO, dino_positions=True).frozen()
    expected = np.load(golden / "dino_vit_tiny.npz")
    compared = 0
    for size in (224, 320):
        key = f"p{patch_size}_{size}"
        picked = expected[f"{key}_tokens"]
        trunk = backbone.trunk(golden_image(size, backbone))
        np.testing.assert_allclose(
            trunk.tokens[0, picked].numpy(), expected[f"{key}_before_last"], atol=1e-4
        )
        # The class token, which ``finish`` drops, is among the golden ones.
        every_token = backbone.norm(backbone.last_block(trunk.tokens))[0]
        np.testing.assert_allclose(
            every_token[picked].numpy(), expected[f"{key}_frozen"], atol=1e-4
        )
        patches = backbone.finish(trunk)[0].flatten(0, 1)
        assert len(patches) == (size // patch_size) ** 2
        is_patch = picked > 0
        np.testing.assert_allclose(
            patches[picked[is_patch] - 1].numpy(), expected[f"{key}_frozen"][is_patch], atol=1e-4
        )
        compared += 2
    assert compared == 4


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("vit_tiny_patch16_224", id="plain, own position resizing"),
        pytest.param("vit_small_patch14_reg4_dinov2", id="registers, patch 14"),
        pytest.param("vit_small_patch16_dinov3", id="rotary positions, registers"),
        pytest.param("vit_small_patch16_rope_mixed_224", id="rotary positions per block"),
        pytest.param("vit_base_patch32_clip_224", id="norm before the blocks"),
        pytest.param("eva02_tiny_patch14_224", id="eva"),
        pytest.param("deit_tiny_distilled_patch16_224", id="two class tokens"),
        pytest.param("vit_medium_patch16_gap_240", id="norm after pooling, no class token"),
    ],
)
@torch.no_grad()
def test_other_vits_equal_timm(name: str) -> None:
    import timm

    small: dict[str, Any] = {"depth": 2, "embed_dim": 192, "num_heads": 3}
    vit: Any = timm.create_model(name, num_classes=0, dynamic_img_size=True, **small).eval()
    for parameter in vit.parameters():  # as timm starts them, most of them hardly matter
        parameter.normal_(std=0.2)
    backbone = VitBackbone(copy.deepcopy(vit), INFO).frozen()
    p = backbone.patch_size
    images = torch.rand(2, 3, 5 * p, 7 * p)
    tokens = vit.forward_features((images - backbone.mean) / backbone.std)
    tokens = vit.fc_norm(tokens) if isinstance(vit.norm, nn.Identity) else tokens
    features = backbone(images)
    assert features.shape == (2, 5, 7, 192)
    expected = tokens[:, vit.num_prefix_tokens :]
    torch.testing.assert_close(features.flatten(1, 2), expected, atol=1e-4, rtol=1e-4)
    assert build_vit(name, depth=1).patch_size == p


def test_each_vit_has_the_mean_and_spread_it_was_trained_with() -> None:
    dino = build_vit("vit_small_patch16_224.dino", depth=1)
    torch.testing.assert_close(dino.mean.flatten(), torch.tensor([0.485, 0.456, 0.406]))
    torch.testing.assert_close(dino.std.flatten(), torch.tensor([0.229, 0.224, 0.225]))
    google = build_vit("vit_tiny_patch16_224", depth=1)
    assert google.mean.unique().tolist() == google.std.unique().tolist() == [0.5]


def test_a_name_with_dinos_tag_resizes_positions_as_dino() -> None:
    assert build_vit("vit_small_patch16_224.dino", depth=1).dino_positions
    assert build_vit("vit_small_patch8_224", depth=1).dino_positions  # DINO is its default tag
    assert not build_vit("vit_small_patch16_224", depth=1).dino_positions


def test_dino_positions_of_the_training_size_stay_as_they_are() -> None:
    positions = torch.randn(1, 1 + 14 * 14, 8)
    assert resized_as_dino(positions, Grid(14, 14), 1) is positions


def test_dino_positions_depend_on_the_grid_not_only_on_its_area() -> None:
    positions = torch.randn(1, 1 + 6 * 6, 8)
    resized = resized_as_dino(positions, Grid(4, 9), 1)
    assert resized.shape == positions.shape
    assert torch.equal(resized[:, :1], positions[:, :1])
    assert not torch.allclose(resized, positions)


@pytest.mark.parametrize("rows", range(1, 64))
def test_dino_positions_have_one_embedding_a_patch(rows: int) -> None:
    positions = torch.randn(1, 14 * 14, 2)
    assert resized_as_dino(positions, Grid(rows, 65 - rows), 0).shape == (1, rows * (65 - rows), 2)


@pytest.fixture(scope="module")
def small() -> VitBackbone:
    torch.manual_seed(0)
    return build_vit("test_vit", depth=3)


def test_everything_is_frozen_and_stays_in_evaluation_mode(small: VitBackbone) -> None:
    assert not any(p.requires_grad for p in small.parameters())
    nn.ModuleList([small]).train()
    assert not any(m.training for m in small.modules())


def test_training_a_copy_reaches_nothing_else(small: VitBackbone) -> None:
    images = torch.rand(2, 3, 48, 32)
    trunk = small.trunk(images)
    block = copy.deepcopy(small.last_block).requires_grad_(True).train()
    torch.testing.assert_close(small.finish(trunk, block), small(images))
    small.finish(trunk, block).square().sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in block.parameters())
    assert all(p.grad is None for p in small.parameters())
    with torch.no_grad():
        next(p for p in block.parameters() if p.ndim == 2).add_(0.1)
    assert not torch.allclose(small.finish(trunk, block), small(images))


def test_a_copys_first_norm_trains_without_a_gradient_by_its_output(small: VitBackbone) -> None:
    backbone = copy.deepcopy(small).double()
    trunk = backbone.trunk(torch.rand(2, 3, 48, 32).double())
    block: Any = copy.deepcopy(backbone.last_block).requires_grad_(True)
    for parameter in block.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    seen = []
    block.attn.qkv.register_forward_hook(lambda _, x, y: seen.append(x[0].requires_grad))
    gradients = []
    for plain in (True, False):  # a gradient by the tokens needs that by the norm's output
        source = trunk._replace(tokens=trunk.tokens.clone().requires_grad_(plain))
        backbone.finish(source, block).sin().sum().backward()
        gradients.append([parameter.grad for parameter in block.parameters()])
        block.zero_grad(set_to_none=True)
    assert seen == [True, False]
    torch.testing.assert_close(*gradients, rtol=1e-5, atol=1e-5)  # features are float32


def test_the_last_block_is_not_among_the_trunk(small: VitBackbone) -> None:
    images = torch.rand(1, 3, 32, 32)
    before = small.trunk(images).tokens
    for parameter in (saved := copy.deepcopy(small)).last_block.parameters():
        parameter.zero_()
    assert torch.equal(saved.trunk(images).tokens, before)
    assert not torch.equal(saved(images), small(images))


def test_images_of_a_batch_do_not_touch_each_other(small: VitBackbone) -> None:
    images = torch.rand(3, 3, 32, 48)
    parts = torch.cat([small(images[:2]), small(images[2:])])
    torch.testing.assert_close(small(images), parts)


def test_features_are_float32_under_autocast(small: VitBackbone) -> None:
    with torch.autocast("cpu", torch.bfloat16):
        assert small(torch.rand(1, 3, 32, 32)).dtype == torch.float32


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((1, 3, 32, 50), r"width of 50 pixels .* of 16 pixels.*: 48 or 64"),
        ((1, 3, 17, 32), r"height of 17 pixels .*: 16 or 32"),
        ((1, 3, 8, 32), r"height of 8 pixels .*: 16$"),
        ((3, 32, 32), r"\(B, 3, H, W\), not \(3, 32, 32\)"),
        ((1, 1, 32, 32), r"\(B, 3, H, W\), not \(1, 1, 32, 32\)"),
    ],
)
def test_images_that_do_not_fit_are_named(
    small: VitBackbone, shape: tuple[int, ...], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        small(torch.rand(shape))


def test_bytes_are_refused(small: VitBackbone) -> None:
    with pytest.raises(TypeError, match="divide bytes by 255"):
        small(torch.zeros(1, 3, 32, 32, dtype=torch.uint8))


def test_an_empty_image_has_no_grid(small: VitBackbone) -> None:
    with pytest.raises(ValueError, match="height of 0 pixels"):
        small.grid(0, 32)


def test_grid_names_rows_first(small: VitBackbone) -> None:
    assert small.grid(32, 80) == Grid(rows=2, columns=5)
    assert math.prod(small(torch.rand(1, 3, 32, 80)).shape[1:3]) == 10


def test_random_weights_say_so(small: VitBackbone) -> None:
    assert "random" in small.info.title
    assert not small.info.needs_download


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("vit_smal_patch16_224", "did you mean vit_small_patch16_224"),
        ("qqqq", "no backbone 'qqqq'; timm has no such model"),
        ("resnet18", "not a plain ViT"),
        ("vit_small_patch16_224.dinosaur", r"it has .*vit_small_patch16_224\.dino"),
    ],
)
def test_unknown_names_say_what_there_is(name: str, message: str) -> None:
    with pytest.raises(BackboneError, match=message):
        build_vit(name)
