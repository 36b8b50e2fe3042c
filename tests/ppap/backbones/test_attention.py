from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import timm
import torch
from torch import Tensor

from ppap.backbones import BackboneInfo, load_backbone
from ppap.backbones.attention import (
    AttentionUnavailableError,
    attends,
    fused,
    has_class_token,
    last_attention,
)
from ppap.backbones.vit import VitBackbone
from tests.support.foreign_weights import dinov2, dinov3, plain


def backbone(vit: Any) -> VitBackbone:
    return VitBackbone(vit, BackboneInfo("random", "A random ViT", "", False)).frozen()


def images(vit: VitBackbone, rows: int = 3, columns: int = 4) -> Tensor:
    chance = torch.Generator().manual_seed(0)
    side = vit.patch_size
    return torch.rand(2, 3, rows * side, columns * side, generator=chance)


def by_hand(vit: VitBackbone, tokens: Tensor) -> Tensor:
    """All weights of the last block from its queries and keys, ``(B, heads, T, T)``."""
    block: Any = vit.last_block
    attn = block.attn
    qkv = attn.qkv(block.norm1(tokens)).unflatten(-1, (3, attn.num_heads, -1))  # (B, T, 3, H, d)
    q, k, _ = qkv.permute(2, 0, 3, 1, 4)
    weights: Tensor = (q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5).softmax(-1)
    return weights


KINDS: dict[str, Callable[[], Any]] = {
    "plain": plain,
    "registers": lambda: dinov2(registers=4),
    "no class token": lambda: plain(class_token=False, global_pool="avg"),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("query", [None, 0, 7])
def test_it_is_that_of_the_block_by_hand(kind: str, query: int | None) -> None:
    vit = backbone(KINDS[kind]())
    trunk = vit.trunk(images(vit))
    if query is None and kind == "no class token":
        with pytest.raises(AttentionUnavailableError, match="A random ViT has no class token"):
            last_attention(vit, trunk)
        return
    found = last_attention(vit, trunk, query)
    prefix = {"plain": 1, "registers": 5, "no class token": 0}[kind]
    assert found.patches.shape == (2, 2, 3, 4)
    assert found.prefix.shape == (2, 2, prefix)
    rows = by_hand(vit, trunk.tokens)
    row = rows[:, :, 0 if query is None else prefix + query]
    # Class and register tokens stand first, and are not among the patches.
    assert torch.allclose(found.prefix, row[..., :prefix], atol=1e-6)
    assert torch.allclose(found.patches.flatten(2), row[..., prefix:], atol=1e-6)
    total = found.patches.flatten(2).sum(-1) + found.prefix.sum(-1)
    assert torch.allclose(total, torch.ones(2, 2), atol=1e-5)


@pytest.mark.parametrize("query", [None, 5])
def test_rotary_positions_are_part_of_it(query: int | None) -> None:
    vit = backbone(dinov3())
    trunk = vit.trunk(images(vit))
    block: Any = vit.last_block
    seen: list[Tensor] = []
    block.attn.fused_attn = False
    hook = block.attn.attn_drop.register_forward_hook(lambda *args: seen.append(args[1][0]))
    vit.finish(trunk)
    hook.remove()
    row = seen[0][:, :, 0 if query is None else 5 + query]
    found = last_attention(vit, trunk, query)  # also where timm would not use torch's own function
    assert torch.allclose(found.patches.flatten(2), row[..., 5:], atol=1e-6)
    assert block.attn.fused_attn is False  # the block itself stays as it is


def test_a_trained_copy_has_attention_of_its_own() -> None:
    vit = backbone(plain())
    trunk = vit.trunk(images(vit))
    other = backbone(plain())
    with torch.no_grad():
        block: Any = other.last_block
        block.attn.qkv.weight.mul_(3)
    found = last_attention(vit, trunk, last_block=other.last_block)
    expected = by_hand(other, trunk.tokens)[:, :, 0, 1:]
    assert torch.allclose(found.patches.flatten(2), expected, atol=1e-6)
    assert not torch.allclose(last_attention(vit, trunk).patches.flatten(2), expected, atol=1e-3)


def test_running_the_copy_changes_nothing() -> None:
    vit = backbone(plain())
    trunk = vit.trunk(images(vit))
    before = vit.finish(trunk)
    last_attention(vit, trunk)
    assert torch.equal(vit.finish(trunk), before)
    copied = fused(vit.last_block)
    assert copied is not vit.last_block
    assert {id(p) for p in copied.parameters()} == {id(p) for p in vit.last_block.parameters()}


def test_only_one_row_is_ever_computed() -> None:
    """Of a large image the whole weights would be gigabytes."""
    vit = backbone(plain())
    trunk = vit.trunk(images(vit, 40, 50))
    largest = 0

    class Watch(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None):  # type: ignore[no-untyped-def]
            nonlocal largest
            result = func(*args, **(kwargs or {}))
            if isinstance(result, Tensor) and "attention" not in str(func):
                largest = max(largest, result.numel())
            return result

    with Watch():
        last_attention(vit, trunk, 17)
    assert largest < 2 * 2001 * 2001


def test_what_there_is_to_look_at_is_said() -> None:
    assert attends(backbone(plain())) == (2, True, "")
    assert attends(backbone(plain(class_token=False, global_pool="avg"))) == (2, False, "")
    embedded = load_backbone("embedded")
    found = attends(embedded)
    assert found.heads == 0
    assert "EfficientNet-Lite0" in found.reason
    assert "is not a ViT" in found.reason
    assert not has_class_token(embedded)
    with pytest.raises(AttentionUnavailableError, match="is not a ViT"):
        last_attention(embedded, embedded.trunk(torch.rand(1, 3, 32, 32)))


def test_blocks_that_attend_otherwise_are_refused() -> None:
    parallel = timm.create_model(
        "vit_small_patch16_18x2_224",
        embed_dim=32,
        num_heads=2,
        depth=2,
        num_classes=0,
        dynamic_img_size=True,
    )
    vit = backbone(parallel)
    assert attends(vit).reason.startswith("The attention in the last block of")
    assert attends(vit).reason.endswith("cannot be read.")
    with pytest.raises(
        AttentionUnavailableError, match=r"attention in the last block .* cannot be read"
    ):
        last_attention(vit, vit.trunk(images(vit)))


def test_a_patch_that_is_not_there_is_refused() -> None:
    vit = backbone(plain())
    with pytest.raises(IndexError, match="from 0 to 11, not 12"):
        last_attention(vit, vit.trunk(images(vit)), 12)
