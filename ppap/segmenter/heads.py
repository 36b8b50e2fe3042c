"""What is trained on top of the frozen trunk: PPAP's copy of the last block, or STEGO's code."""

from __future__ import annotations

from abc import ABC, abstractmethod
from copy import deepcopy
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ppap.backbones import Backbone, TrunkOutput

DROPOUT = 0.1
# Channels of STEGO's code.
CODE_WIDTH = 70


class Part(NamedTuple):
    """Where the images at hand are in a batch that several processes share."""

    first: int
    total: int


class ChannelDropout(nn.Module):
    """Dropout of whole channels, another choice for every image; only while training."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p
        self.part: Part | None = None
        """Set where several processes share a batch: each draws for all images and takes its own,
        so that together they drop what a single process would."""

    def forward(self, features: Tensor) -> Tensor:
        """``(B, h, w, D)`` → the same, each channel of each image 0 with probability ``p``."""
        if not self.training:
            return features
        images = len(features)
        first, total = self.part or Part(0, images)
        drawn = torch.rand(total, features.shape[3], device=features.device)
        keep = (drawn[first : first + images] >= self.p).to(features.dtype) / (1 - self.p)
        return features * keep[:, None, None]


class Head(nn.Module, ABC):
    """The trained stream: a trunk's output → features for the probes, and those for the loss."""

    width: int
    """Channels of the features."""

    @abstractmethod
    def forward(
        self, backbone: Backbone, trunk_output: TrunkOutput, frozen: Tensor | None = None
    ) -> Tensor:
        """Features of inference and of both probes.

        Args:
            backbone: the frozen network that ``trunk_output`` is from.
            trunk_output: of B images.
            frozen: the backbone's own features ``(B, h, w, D)``, if they are there already.

        Returns:
            float32 ``(B, h, w, width)``.
        """

    @abstractmethod
    def project(self, features: Tensor) -> Tensor:
        """``forward``'s features → what the loss compares, unit vectors ``(B·h·w, ·)`` float32."""


class TunedBlock(Head):
    """PPAP's second stream: a trained copy of the last block, and the projection to z.

    The copy's output passes the backbone's final norm, which stays frozen. At first it equals the
    backbone's own features. Inference and probes use the copy's features, not z.
    """

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.width = backbone.dim
        self.trained_block = deepcopy(backbone.last_block).requires_grad_(True)
        self.projection = nn.Linear(backbone.dim, backbone.dim)

    def forward(
        self, backbone: Backbone, trunk_output: TrunkOutput, frozen: Tensor | None = None
    ) -> Tensor:
        """See ``Head.forward``."""
        return backbone.finish(trunk_output, self.trained_block)

    def project(self, features: Tensor) -> Tensor:
        """z: one linear layer D → D, then L2 norm."""
        z = self.projection(features.flatten(0, 2).to(self.projection.weight.dtype))
        return F.normalize(z.float(), dim=1)


class CodeHead(Head):
    """STEGO's code: a linear map of the frozen features plus a second branch with one ReLU.

    Each branch drops channels of its own while training. STEGO writes the layers as 1×1
    convolutions, which are linear layers where channels come last.
    """

    def __init__(self, backbone: Backbone, width: int = CODE_WIDTH) -> None:
        super().__init__()
        self.width = width
        self.dropout = ChannelDropout(DROPOUT)
        self.linear = nn.Linear(backbone.dim, width)
        self.nonlinear = nn.Sequential(
            nn.Linear(backbone.dim, backbone.dim), nn.ReLU(), nn.Linear(backbone.dim, width)
        )

    def forward(
        self, backbone: Backbone, trunk_output: TrunkOutput, frozen: Tensor | None = None
    ) -> Tensor:
        """See ``Head.forward``."""
        features = backbone.finish(trunk_output) if frozen is None else frozen
        features = features.to(self.linear.weight.dtype)
        code: Tensor = self.linear(self.dropout(features)) + self.nonlinear(self.dropout(features))
        return code.float()

    def project(self, features: Tensor) -> Tensor:
        """The code itself, L2-normalised."""
        return F.normalize(features.flatten(0, 2).float(), dim=1)
