"""Vision transformers of timm as backbones: trunk, last block and final norm apart.

Plain ViTs (DINO, DINOv2, MAE, …) and timm's ``Eva`` family (DINOv3 and others with rotary
positions) are understood; timm itself is imported only when a ViT is built.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ppap.backbones.base import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    Backbone,
    BackboneError,
    BackboneInfo,
    Grid,
    TrunkOutput,
)


class VitBackbone(Backbone):
    """A timm ViT without its head: ``(B, 3, H, W)`` → ``(B, H/p, W/p, D)``.

    ``tokens`` of its trunk are all tokens, class and register tokens first; ``finish`` drops those.
    """

    def __init__(
        self,
        vit: nn.Module,
        info: BackboneInfo,
        *,
        mean: tuple[float, ...] = IMAGENET_MEAN,
        std: tuple[float, ...] = IMAGENET_STD,
        dino_positions: bool = False,
    ) -> None:
        """Take a ViT apart.

        Args:
            vit: a ``VisionTransformer`` or ``Eva`` of timm, built with ``dynamic_img_size=True``.
            info: what the backbone says of itself.
            mean: what its training subtracted from each channel.
            std: what its training divided each channel by.
            dino_positions: resize position embeddings as DINO does, not as timm does.

        Raises:
            BackboneError: the ViT has patches that are not square.
        """
        parts: Any = vit
        height, width = parts.patch_embed.patch_size
        if height != width:
            raise BackboneError(
                f"{info.name} has patches of {height}×{width} pixels; only square ones work here"
            )
        super().__init__(info, dim=parts.embed_dim, patch_size=height, mean=mean, std=std)
        self.dino_positions = dino_positions
        self.last_block = parts.blocks[-1]
        parts.blocks = parts.blocks[:-1]
        self.norm = final_norm(parts)
        parts.norm = parts.fc_norm = parts.head = nn.Identity()
        parts.attn_pool = None
        self.vit: Any = parts
        self.prefix_tokens: int = parts.num_prefix_tokens

    def trunk(self, images: Tensor) -> TrunkOutput:
        """See ``Backbone.trunk``; ``tokens`` is ``(B, prefix + h·w, D)``."""
        images = self.normalised(images)
        grid = self.grid(*images.shape[2:])
        patches = self.vit.patch_embed(images)  # (B, h, w, D)
        if self.dino_positions:
            tokens, ropes = self._with_dino_positions(patches), None
        else:
            placed = self.vit._pos_embed(patches)
            tokens, ropes = placed if isinstance(placed, tuple) else (placed, None)
        tokens = self.vit.norm_pre(tokens)
        for depth, block in enumerate(self.vit.blocks):
            tokens = self._run(block, tokens, self._rope_at(depth, ropes))
        return TrunkOutput(tokens, None, grid)

    def finish(self, trunk_output: TrunkOutput, last_block: nn.Module | None = None) -> Tensor:
        """See ``Backbone.finish``."""
        block = self.last_block if last_block is None else last_block
        rope, grid = getattr(self.vit, "rope", None), trunk_output.grid
        ropes = None if rope is None else rope.get_embed(shape=list(grid))
        tokens = trunk_output.tokens
        constant = torch.is_grad_enabled() and not tokens.requires_grad
        if last_block is not None and constant and norm_feeds_qkv(block):
            tokens = with_first_norm_folded(block, tokens)
        else:
            tokens = self._run(block, tokens, self._rope_at(-1, ropes))
        patches = self.norm(tokens)[:, self.prefix_tokens :]  # (B, h·w, D)
        return patches.unflatten(1, grid).float()

    def _with_dino_positions(self, patches: Tensor) -> Tensor:
        """``(B, h, w, D)`` patches → ``(B, prefix + h·w, D)`` tokens that know their places."""
        batch, rows, columns, _ = patches.shape
        tokens = patches.flatten(1, 2)
        if self.vit.cls_token is not None:
            tokens = torch.cat([self.vit.cls_token.expand(batch, -1, -1), tokens], dim=1)
        positions = self.vit.pos_embed
        return tokens + resized_as_dino(positions, Grid(rows, columns), self.prefix_tokens)

    def _rope_at(self, depth: int, ropes: Tensor | None) -> Tensor | None:
        """The rotary positions of one block: some models have one set a block, most share one."""
        mixed = ropes is not None and getattr(self.vit, "rope_mixed", False)
        return ropes[depth] if mixed and ropes is not None else ropes

    @staticmethod
    def _run(block: nn.Module, tokens: Tensor, rope: Tensor | None) -> Tensor:
        result: Tensor = block(tokens) if rope is None else block(tokens, rope=rope)
        return result


def norm_feeds_qkv(block: Any) -> bool:
    """Whether a block's first norm goes into one linear layer with a bias, and nowhere else."""
    from timm.models.vision_transformer import Block

    return (
        type(block) is Block
        and isinstance(block.norm1, nn.LayerNorm)
        and type(block.attn.qkv) is nn.Linear
        and block.attn.qkv.bias is not None
    )


def with_first_norm_folded(block: Any, tokens: Tensor) -> Tensor:
    """``block(tokens)`` of tokens without gradient, with the same gradients for a product less.

    The first norm scales and shifts what the linear layer after it reads. Done to that layer's
    weights instead, the layer's input is constant, and no gradient by it has to be worked out.
    With cached features that saves about 4 % of a training step.
    """
    norm, qkv = block.norm1, block.attn.qkv
    instead = {
        "norm1.weight": torch.ones_like(norm.weight),
        "norm1.bias": torch.zeros_like(norm.bias),
        "attn.qkv.weight": qkv.weight * norm.weight,
        "attn.qkv.bias": torch.addmv(qkv.bias, qkv.weight, norm.bias),
    }
    result: Tensor = torch.func.functional_call(block, instead, (tokens,))
    return result


def final_norm(vit: Any) -> nn.Module:
    """The norm after the last block.

    Models that norm after pooling (``fc_norm``) have none; theirs is then used on every patch.
    """
    norm: nn.Module = vit.fc_norm if isinstance(vit.norm, nn.Identity) else vit.norm
    return norm


def resized_as_dino(positions: Tensor, grid: Grid, prefix: int) -> Tensor:
    """DINO's own resizing of position embeddings, which differs from timm's by half a percent.

    Bicubic, not antialiased, with the scale factor (n + 0.1) / n₀ for n patches a side instead of
    n / n₀. The 0.1 once guarded against rounding; the weights' published results include it.

    Args:
        positions: ``(1, prefix + n₀², D)``.
        grid: rows and columns wanted.
        prefix: tokens before the patches, whose embeddings stay as they are.

    Returns:
        ``(1, prefix + rows·columns, D)``.
    """
    side = math.isqrt(positions.shape[1] - prefix)
    if grid == (side, side):
        return positions
    squares = positions[:, prefix:].unflatten(1, (side, side)).permute(0, 3, 1, 2)
    scale = ((grid.rows + 0.1) / side, (grid.columns + 0.1) / side)
    resized = F.interpolate(squares, scale_factor=scale, mode="bicubic")  # (1, D, rows, columns)
    return torch.cat([positions[:, :prefix], resized.flatten(2).transpose(1, 2)], dim=1)
