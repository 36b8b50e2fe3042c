"""What every backbone offers: images in [0, 1] → patch features, in two halves.

The trunk is everything before the last block and never trains, so its output can be computed once
and kept. Training copies the last block; ``finish`` runs such a copy, or the backbone's own.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor, nn

Self = TypeVar("Self", bound="Backbone")

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class BackboneError(RuntimeError):
    """A backbone cannot be had; the message says what was tried and what to do instead."""


class BackboneInfo(NamedTuple):
    """What a person choosing a backbone wants to know."""

    name: str
    """What ``load_backbone`` takes: a name, or the path of a checkpoint file."""
    title: str
    note: str
    """How it was trained, and whatever must be said beside its results."""
    needs_download: bool
    """Its weights come from a model hub unless they are on this machine already."""


class Grid(NamedTuple):
    """Patches in an image."""

    rows: int
    columns: int


class TrunkOutput(NamedTuple):
    """What the last block needs, for B images; may be kept and used again."""

    tokens: Tensor
    """Input of the last block: ``(B, T, D)`` in a ViT, ``(B, C, h/2, w/2)`` in the CNN."""
    beside: Tensor | None
    """Features that go past the last block into the result, ``(B, h, w, D')``."""
    grid: Grid


class Backbone(nn.Module, ABC):
    """A frozen network; images ``(B, 3, H, W)`` in [0, 1] → features ``(B, h, w, D)``.

    It has no training mode: ``train()`` leaves it as it is, so that a model holding it cannot
    switch its dropout or batch statistics on. Copies of ``last_block`` are free to train.
    """

    info: BackboneInfo
    dim: int
    """D, the length of a patch feature."""
    patch_size: int
    """Pixels of image side per patch."""
    last_block: nn.Module
    """The part that training copies."""
    mean: Tensor
    std: Tensor

    def __init__(
        self,
        info: BackboneInfo,
        *,
        dim: int,
        patch_size: int,
        mean: tuple[float, ...] = IMAGENET_MEAN,
        std: tuple[float, ...] = IMAGENET_STD,
    ) -> None:
        super().__init__()
        self.info = info
        self.dim = dim
        self.patch_size = patch_size
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1), persistent=False)

    @abstractmethod
    def trunk(self, images: Tensor) -> TrunkOutput:
        """Everything before the last block.

        Args:
            images: floating point ``(B, 3, H, W)`` in [0, 1]; normalised inside.

        Raises:
            TypeError: the images are not floating point.
            ValueError: not ``(B, 3, H, W)``, or sides that are no multiples of the patch size.
        """

    @abstractmethod
    def finish(self, trunk_output: TrunkOutput, last_block: nn.Module | None = None) -> Tensor:
        """The last block, a trained copy or the backbone's own, then the frozen final norm.

        Returns:
            Patch features only, float32 ``(B, h, w, D)``.
        """

    def forward(self, images: Tensor) -> Tensor:
        """Images ``(B, 3, H, W)`` in [0, 1] → features, float32 ``(B, h, w, D)``."""
        return self.finish(self.trunk(images))

    def attending(self) -> tuple[Backbone, nn.Module]:
        """The backbone, and the block after its trunk, whose attention the features come from."""
        return self, self.last_block

    def grid(self, height: int, width: int) -> Grid:
        """Patches of an image of ``height`` × ``width`` pixels.

        Raises:
            ValueError: a side is no multiple of the patch size; names the nearest that are.
        """
        for side, pixels in (("height", height), ("width", width)):
            if pixels < self.patch_size or pixels % self.patch_size:
                below = pixels // self.patch_size * self.patch_size
                near = [str(n) for n in (below, below + self.patch_size) if n]
                raise ValueError(
                    f"an image {side} of {pixels} pixels does not divide into patches of "
                    f"{self.patch_size} pixels; the nearest size that does: {' or '.join(near)}"
                )
        return Grid(height // self.patch_size, width // self.patch_size)

    def normalised(self, images: Tensor) -> Tensor:
        """Check ``(B, 3, H, W)`` images and bring them to the mean and spread of training."""
        if not images.is_floating_point():
            raise TypeError(
                f"images must be floating point in [0, 1], not {images.dtype}; "
                "divide bytes by 255 first: images.float() / 255"
            )
        if images.ndim != 4 or images.shape[1] != 3:
            raise ValueError(f"images must have the shape (B, 3, H, W), not {tuple(images.shape)}")
        return (images - self.mean) / self.std

    def train(self: Self, mode: bool = True) -> Self:
        """Stay in evaluation mode whatever ``mode`` says."""
        return super().train(False)

    def frozen(self: Self) -> Self:
        """Switch gradients off for every parameter, the last block's included."""
        return self.requires_grad_(False).eval()
