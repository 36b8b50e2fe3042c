"""Where the last block of a ViT looks, head by head: from its class token or from a patch.

The block itself runs, and its queries and keys are read where it multiplies them: what is shown is
what it did. Of the T × T weights only the rows that are asked for are ever computed, so that large
images need no more memory than the block itself.
"""

from __future__ import annotations

import copy
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from ppap.backbones.base import Backbone, BackboneError, Grid, TrunkOutput
from ppap.backbones.vit import VitBackbone


class AttentionUnavailableError(BackboneError):
    """A backbone has no attention to show; the message says why."""


class Attention(NamedTuple):
    """The weights of one token of each image, for every head; patches and prefix sum to 1."""

    patches: Tensor
    """float32 ``(B, heads, h, w)``."""
    prefix: Tensor
    """To class and register tokens, float32 ``(B, heads, P)``; the class token is the first."""


class Attends(NamedTuple):
    """What there is to look at in a backbone's last block."""

    heads: int
    """0 where it has no attention."""
    class_token: bool
    """Whether there is one to look from."""
    reason: str = ""
    """Why there is no attention, as a sentence; empty where there is."""


def attends(backbone: Backbone) -> Attends:
    """What there is to look at in whichever block the features come from."""
    vit, block = backbone.attending()
    reason = why_no_attention(vit)
    if reason:
        return Attends(0, False, reason)
    attn: Any = block.attn
    return Attends(int(attn.num_heads), has_class_token(vit))


def why_no_attention(backbone: Backbone) -> str:
    """Why a backbone has none, as a sentence; empty where it has."""
    if not isinstance(backbone, VitBackbone):
        return f"{backbone.info.title} is not a ViT, so it has no attention."
    if not hasattr(backbone.last_block, "attn"):
        return f"The attention in the last block of {backbone.info.title} cannot be read."
    return ""


def has_class_token(backbone: Backbone) -> bool:
    """Whether a backbone has a class token to look from."""
    return getattr(getattr(backbone, "vit", None), "cls_token", None) is not None


@torch.no_grad()
def last_attention(
    backbone: Backbone,
    trunk_output: TrunkOutput,
    query: int | None = None,
    *,
    last_block: nn.Module | None = None,
) -> Attention:
    """The last block's attention weights from one token.

    Args:
        backbone: a ViT.
        trunk_output: from its ``trunk``, B images.
        query: a patch, its row · w + column; None for the class token.
        last_block: a trained copy instead of the backbone's own.

    Raises:
        AttentionUnavailableError: no ViT, no class token, or a block that does something else.
        IndexError: there is no such patch.
    """
    reason = why_no_attention(backbone)
    if reason:
        raise AttentionUnavailableError(reason)
    assert isinstance(backbone, VitBackbone)
    if query is None and not has_class_token(backbone):
        raise AttentionUnavailableError(f"{backbone.info.title} has no class token.")
    grid, prefix = trunk_output.grid, backbone.prefix_tokens
    if query is not None and not 0 <= query < grid.rows * grid.columns:
        raise IndexError(f"query must be from 0 to {grid.rows * grid.columns - 1}, not {query}")
    block = backbone.last_block if last_block is None else last_block
    with Products() as products:
        backbone.finish(trunk_output, fused(block))
    if len(products.seen) != 1:
        raise AttentionUnavailableError(
            f"The last block of {backbone.info.title} computes attention in an unsupported way."
        )
    q, k, scale, mask = products.seen[0]
    tokens = k.shape[-2]
    if mask is not None or q.shape[:-2] != k.shape[:-2] or tokens != prefix + grid_size(grid):
        raise AttentionUnavailableError(
            f"The last block of {backbone.info.title} does not treat all tokens alike in its "
            "attention."
        )
    row = 0 if query is None else prefix + query
    products_of_row = q[:, :, row : row + 1].float() @ k.float().transpose(-2, -1)
    weights = (products_of_row * scale).softmax(dim=-1)[:, :, 0].cpu()  # (B, heads, T)
    return Attention(weights[..., prefix:].unflatten(-1, tuple(grid)), weights[..., :prefix])


def grid_size(grid: Grid) -> int:
    """How many patches it has."""
    return grid.rows * grid.columns


def fused(block: nn.Module) -> nn.Module:
    """A block with the same parameters that leaves softmax and products to one torch function.

    The block itself may be in use elsewhere, and stays as it is.
    """
    attn: Any = copy.copy(block.attn)
    if hasattr(attn, "fused_attn"):
        attn.fused_attn = True
    copied = copy.copy(block)
    copied._modules = {**block._modules, "attn": attn}
    return copied


class Products(TorchFunctionMode):
    """Sees every scaled product of queries and keys in this thread: q, k, scale and mask."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[Tensor, Tensor, float, Tensor | None]] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Do what was asked for, and remember it if it is attention."""
        kwargs = kwargs or {}
        if func is F.scaled_dot_product_attention:
            given = [*args, *(kwargs[n] for n in ("query", "key", "value") if n in kwargs)]
            q, k = given[:2]
            mask = given[3] if len(given) > 3 else kwargs.get("attn_mask")
            scale = kwargs.get("scale")
            self.seen.append((q, k, q.shape[-1] ** -0.5 if scale is None else scale, mask))
        return func(*args, **kwargs)
