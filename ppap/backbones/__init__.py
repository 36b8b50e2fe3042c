"""Backbones by name, behind one interface: images in [0, 1] → patch features.

``embedded`` works at once and offline, but was trained with labels; DINO is what the paper and the
literature use. Any other ViT of timm goes by its timm name, local checkpoints by their path, and
those that do not tell what they are by both: ``name@file``.
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
from ppap.backbones.naming import absolute, as_path, called, located, with_file
from ppap.backbones.timm_models import build_vit, described, find_vit

__all__ = [
    "Backbone",
    "BackboneError",
    "BackboneInfo",
    "Grid",
    "TrunkOutput",
    "absolute",
    "as_path",
    "build_vit",
    "called",
    "known_backbones",
    "load_backbone",
    "located",
    "with_file",
]


class Named(NamedTuple):
    """A ViT of timm under a short name of its own."""

    info: BackboneInfo
    timm_name: str


def _vit(name: str, title: str, timm_name: str, note: str) -> Named:
    return Named(BackboneInfo(name, title, note, needs_download=True), timm_name)


DINO = "Self-supervised on ImageNet; used in the paper."
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
        _vit(
            "dinov2_vits14_reg",
            "DINOv2 ViT-S/14 with 4 registers",
            "vit_small_patch14_reg4_dinov2.lvd142m",
            DINOV2,
        ),
        _vit(
            "dinov2_vitb14_reg",
            "DINOv2 ViT-B/14 with 4 registers",
            "vit_base_patch14_reg4_dinov2.lvd142m",
            DINOV2,
        ),
        _vit("dinov3_vits16", "DINOv3 ViT-S/16", "vit_small_patch16_dinov3.lvd1689m", DINOV3),
        _vit("dinov3_vitb16", "DINOv3 ViT-B/16", "vit_base_patch16_dinov3.lvd1689m", DINOV3),
    )
}


# The larger ones under their authors' names, too; no list needs them.
TIMM_NAMES = {
    "dinov2_vitl14": "vit_large_patch14_dinov2.lvd142m",
    "dinov2_vitl14_reg": "vit_large_patch14_reg4_dinov2.lvd142m",
    "dinov2_vitg14": "vit_giant_patch14_dinov2.lvd142m",
    "dinov2_vitg14_reg": "vit_giant_patch14_reg4_dinov2.lvd142m",
    "dinov3_vits16plus": "vit_small_plus_patch16_dinov3.lvd1689m",
    "dinov3_vitl16": "vit_large_patch16_dinov3.lvd1689m",
    "dinov3_vith16plus": "vit_huge_plus_patch16_dinov3.lvd1689m",
    "dinov3_vit7b16": "vit_7b_patch16_dinov3.lvd1689m",
    **{name: vit.timm_name for name, vit in VITS.items()},
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
        name: one of ``known_backbones()``, any ViT of timm, or the path of a checkpoint of DINO,
            DINOv2, DINOv3, iBOT, SelfPatch or MAE (a file, or a folder in Hugging Face's format).
            If the file does not say what it is, name and path: ``vit_small_patch16_224@file``.
        device: where it runs.
        checkpoint: a local file with the weights of the ViT ``name``, instead of a download.
        progress: called with what is being downloaded and the fraction done, in [0, 1].
        heads: attention heads of a checkpoint given by its path, where they are not D / 64.

    Raises:
        BackboneError: there is no such backbone, or its weights are not available or do not fit.
    """
    model, path = called(name)
    if heads is not None and (path is None or model is not None):
        raise BackboneError(
            f"the number of heads is known for {name}; leave out heads, which is for files"
        )
    if path is not None and checkpoint is not None:
        raise BackboneError(f"{name} and checkpoint={checkpoint} are two files; give only one")
    if path is not None and model is None:
        return load_checkpoint(path, heads=heads).to(device)
    if is_embedded(str(model)):
        if path is not None or checkpoint is not None:
            raise BackboneError(
                f"{model} has its own weights; give {path or checkpoint} as the name"
            )
        return load_embedded(deep=model == EMBEDDED_DEEP.name).to(device)
    backbone = _load_vit(str(model), path or checkpoint, progress)
    if path is not None:
        title = f"{backbone.info.title} ({path.name})"
        whole = f"{model}@{path.absolute()}"
        backbone.info = backbone.info._replace(name=whole, title=title)
    return backbone.to(device)


def _load_vit(
    name: str, checkpoint: Path | None, progress: Callable[[str, float], None] | None
) -> Backbone:
    known = VITS.get(name)
    info = None if known is None else known.info
    timm_name = TIMM_NAMES.get(name, name)
    if info is None and timm_name != name:
        info = described(find_vit(timm_name), name)
    return build_vit(
        timm_name,
        pretrained=checkpoint is None,
        weights=None if checkpoint is None else Path(checkpoint).expanduser(),
        info=info,
        progress=progress,
    )
