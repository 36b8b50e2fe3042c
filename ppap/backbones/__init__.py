"""Backbones by name, behind one interface: images in [0, 1] → patch features.

``embedded`` works at once and offline, but was trained with labels; DINO is what the paper and the
literature use. Any other ViT of timm goes by its timm name, and checkpoints of DINO, iBOT,
SelfPatch and MAE by their path.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch

from ppap.backbones.base import (
    Backbone,
    BackboneError,
    BackboneInfo,
    Grid,
    TrunkOutput,
)
from ppap.backbones.checkpoints import load_checkpoint
from ppap.backbones.embedded import EMBEDDED, EMBEDDED_DEEP, is_embedded, load_embedded
from ppap.backbones.timm_models import build_vit

__all__ = [
    "Backbone",
    "BackboneError",
    "BackboneInfo",
    "Grid",
    "TrunkOutput",
    "build_vit",
    "known_backbones",
    "load_backbone",
]

# What makes a name without a folder a file.
SUFFIXES = (".pth", ".pt", ".bin", ".ckpt", ".tar", ".safetensors")


class Named(NamedTuple):
    """A ViT of timm under a short name of its own."""

    info: BackboneInfo
    timm_name: str


def _vit(name: str, title: str, timm_name: str, note: str) -> Named:
    return Named(BackboneInfo(name, title, note, needs_download=True), timm_name)


DINO = "Self-supervised on ImageNet; a backbone of the paper."
DINOV2 = "Self-supervised on LVD-142M; not in the paper."
DINOV3 = "Self-supervised on LVD-1689M, under the DINOv3 licence; not in the paper."
VITS = {
    vit.info.name: vit
    for vit in (
        _vit("dino_vits16", "DINO ViT-S/16", "vit_small_patch16_224.dino", DINO),
        _vit("dino_vits8", "DINO ViT-S/8", "vit_small_patch8_224.dino", DINO),
        _vit("dino_vitb16", "DINO ViT-B/16", "vit_base_patch16_224.dino", DINO),
        _vit("dino_vitb8", "DINO ViT-B/8", "vit_base_patch8_224.dino", DINO),
        _vit("dinov2_vits14", "DINOv2 ViT-S/14", "vit_small_patch14_dinov2.lvd142m", DINOV2),
        _vit("dinov2_vitb14", "DINOv2 ViT-B/14", "vit_base_patch14_dinov2.lvd142m", DINOV2),
        _vit("dinov3_vits16", "DINOv3 ViT-S/16", "vit_small_patch16_dinov3.lvd1689m", DINOV3),
        _vit("dinov3_vitb16", "DINOv3 ViT-B/16", "vit_base_patch16_dinov3.lvd1689m", DINOV3),
    )
}


def known_backbones() -> list[BackboneInfo]:
    """The backbones with names of their own, those that need no download first."""
    return [EMBEDDED, EMBEDDED_DEEP, *(vit.info for vit in VITS.values())]


def load_backbone(
    name: str | Path,
    *,
    device: str | torch.device = "cpu",
    checkpoint: Path | None = None,
    progress: Callable[[str, float], None] | None = None,
    heads: int | None = None,
) -> Backbone:
    """A backbone with its weights, in evaluation mode, every parameter frozen.

    Args:
        name: one of ``known_backbones()``, any ViT of timm, or the path of a DINO, iBOT, SelfPatch
            or MAE checkpoint (with a folder, ``./file``, or one of SUFFIXES).
        device: where it shall run.
        checkpoint: a local file with the weights of the ViT ``name``, instead of a download.
        progress: told what is being downloaded and the fraction done, in [0, 1].
        heads: attention heads of a checkpoint given by its path, where they are not D / 64.

    Raises:
        BackboneError: there is no such backbone, its weights cannot be had, or do not fit.
    """
    path = as_path(name)
    if heads is not None and path is None:
        raise BackboneError(f"heads are known for {name}; leave heads out, it is for files")
    if path is not None:
        if checkpoint is not None:
            raise BackboneError(f"{name} and checkpoint={checkpoint} are two files; give one")
        return load_checkpoint(path, heads=heads).to(device)
    if is_embedded(name):
        if checkpoint is not None:
            raise BackboneError(f"{name} has its own weights; give {checkpoint} as the name")
        return load_embedded(deep=name == EMBEDDED_DEEP.name).to(device)
    return _load_vit(str(name), checkpoint, progress).to(device)


def _load_vit(
    name: str, checkpoint: Path | None, progress: Callable[[str, float], None] | None
) -> Backbone:
    own = VITS.get(name)
    info, timm_name = own or (None, name)
    return build_vit(
        timm_name,
        pretrained=checkpoint is None,
        weights=None if checkpoint is None else Path(checkpoint).expanduser(),
        info=info,
        progress=progress,
    )


def as_path(name: str | Path) -> Path | None:
    """The file that a name means, if it means one: names of models have no folders."""
    if isinstance(name, Path) or "/" in name or "\\" in name or name.endswith(SUFFIXES):
        return Path(name).expanduser()
    return None
