"""Local ViT checkpoints of DINO, iBOT, SelfPatch and MAE, told apart by what is in the file.

They share timm's parameter names. Training checkpoints wrap them: under ``teacher`` with the
prefixes ``module.`` and ``backbone.`` beside the heads' parameters (DINO, iBOT, SelfPatch), under
``state_dict`` (iBOT's backbone files) or ``model`` (MAE).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ppap.backbones.base import BackboneError, BackboneInfo
from ppap.backbones.files import fill, named, read_checkpoint, tensors_only
from ppap.backbones.vit import VitBackbone

HEADS = ("head.", "ca_head.", "c_head.", "p_head.")
DECODER = ("decoder_", "mask_token")
HEAD_WIDTH = 64  # channels per attention head in every published ViT of these methods
SIZES = {192: "Ti", 384: "S", 768: "B", 1024: "L", 1280: "H"}
# A file without these cannot even be measured.
NEEDED = (
    "patch_embed.proj.weight",
    "pos_embed",
    "blocks.0.attn.qkv.weight",
    "blocks.0.mlp.fc1.weight",
)


class Kind(Enum):
    """The training methods whose files are understood."""

    DINO = "DINO"
    IBOT = "iBOT"
    SELFPATCH = "SelfPatch"
    MAE = "MAE"


# SelfPatch has no norm after its last block, and some exports drop MAE's.
ALWAYS_NORMED = (Kind.DINO, Kind.IBOT)


class Checkpoint(NamedTuple):
    """A ViT as found in a file."""

    kind: Kind
    tensors: dict[str, Tensor]
    """The backbone's parameters under timm's names."""
    note: str


class Architecture(NamedTuple):
    """What the shapes of the parameters say."""

    dim: int
    depth: int
    patch_size: int
    heads: int
    hidden: int
    """Width of the MLP."""
    side: int
    """Patches a side at which it was trained."""
    class_token: bool
    final_norm: bool

    @property
    def title(self) -> str:
        """The usual name: ViT-S/16."""
        size = SIZES.get(self.dim, f"{self.dim}×{self.depth}")
        return f"ViT-{size}/{self.patch_size}"


def load_checkpoint(file: Path, *, heads: int | None = None) -> VitBackbone:
    """A backbone from a local file, frozen, on the CPU.

    Args:
        file: ``.pth`` or anything else that ``torch.save`` wrote, or ``.safetensors``.
        heads: attention heads of each block, where they are not D / 64 (the file cannot tell).

    Raises:
        BackboneError: the file cannot be read, is of another kind, or lacks parameters or has
            some too many; names them.
    """
    return build(read_vit(file), file, heads=heads)


def read_vit(file: Path) -> Checkpoint:
    """Read a checkpoint and recognise its kind."""
    content = read_checkpoint(file)
    if "net_model_state_dict" in content:
        raise BackboneError(
            f"{file.name} is a whole trained PPAP model, not a backbone; open it as a checkpoint "
            "of a training run"
        )
    backbone, beside = split_heads(tensors_only(content))
    refuse_others(backbone, file)
    kind = recognised(content, backbone, beside)
    for name in ("masked_embed", "mask_token"):
        backbone.pop(name, None)
    tuned = kind is Kind.MAE and without_mae_heads(backbone)
    note = "Fine-tuned with ImageNet labels." if tuned else "Self-supervised."
    if kind is Kind.DINO:
        note += " iBOT weights saved without their wrapping look the same."
    if kind not in ALWAYS_NORMED and "norm.weight" not in backbone:
        note += " The file has no final norm: the last block's output is used as it is."
    return Checkpoint(kind, backbone, note)


def read_dino(file: Path, name: str) -> dict[str, Tensor]:
    """The parameters of a DINO checkpoint that was given for the DINO ViT ``name``.

    Raises:
        BackboneError: it cannot be read, or is of another kind.
    """
    found = read_vit(file)
    if found.kind is not Kind.DINO:
        raise BackboneError(
            f"{file.name} is a checkpoint of {found.kind.value}, not of DINO; to use it, give its "
            f"path alone instead of {name}"
        )
    return found.tensors


def split_heads(tensors: dict[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    """Prefixes off: the backbone's parameters, and the names of the heads' beside it."""
    names = {key: re.sub(r"^(module\.)+", "", key) for key in tensors}
    if any(name.startswith("backbone.") for name in names.values()):
        backbone = {
            names[key].removeprefix("backbone."): tensor
            for key, tensor in tensors.items()
            if not names[key].startswith(HEADS)
        }
        return backbone, [name for name in names.values() if name.startswith(HEADS)]
    return {names[key]: tensor for key, tensor in tensors.items()}, []


def refuse_others(tensors: Mapping[str, Tensor], file: Path) -> None:
    """Raise for files that are no ViT of the known methods, saying what they are."""
    absent = [name for name in NEEDED if name not in tensors]
    if "blocks.0.ls1.gamma" in tensors or "storage_tokens" in tensors:
        raise BackboneError(
            f"{file.name} looks like DINOv2 or DINOv3, whose files do not say which; name it: "
            f"load_backbone('dinov2_vits14', checkpoint=Path('{file.name}'))"
        )
    if len(absent) == len(NEEDED):
        found = f"it holds {named(list(tensors), 4)}" if tensors else "it holds no parameters"
        raise BackboneError(
            f"{file.name} is no ViT checkpoint of DINO, iBOT, SelfPatch or MAE: {found}. "
            "Any other timm ViT can be loaded by its name, with the file as checkpoint"
        )
    if absent:
        raise BackboneError(f"{file.name} is incomplete; missing: {named(absent)}")


def recognised(
    content: Mapping[str, Any], backbone: Mapping[str, Tensor], beside: list[str]
) -> Kind:
    """Which method wrote the file, from what only its files have."""
    if (
        "ibot_loss" in content
        or "masked_embed" in backbone
        or any(name.startswith(("head.last_layer2", "head.mlp2")) for name in beside)
    ):
        return Kind.IBOT
    # SelfPatch's class token belongs to its head, so the backbone has none.
    if "cls_token" not in backbone or any(name.startswith("ca_head.") for name in beside):
        return Kind.SELFPATCH
    if (
        any(name.startswith(DECODER) for name in backbone)
        or "fc_norm.weight" in backbone
        or is_fixed(backbone["pos_embed"])
    ):
        return Kind.MAE
    return Kind.IBOT if isinstance(content.get("state_dict"), Mapping) else Kind.DINO


def without_mae_heads(tensors: dict[str, Tensor]) -> bool:
    """Take MAE's decoder and classifier out (in place); whether it was fine-tuned with labels.

    A fine-tuned MAE norms after pooling; that norm then stands for the final one.
    """
    tuned = "fc_norm.weight" in tensors or "head.weight" in tensors
    for name in [n for n in tensors if n.startswith(("decoder_", "head."))]:
        del tensors[name]
    for end in ("weight", "bias"):
        norm = tensors.pop(f"fc_norm.{end}", None)
        if norm is not None:
            tensors.setdefault(f"norm.{end}", norm)
    return tuned


def is_fixed(positions: Tensor) -> bool:
    """Whether position embeddings ``(1, 1 + n², D)`` are MAE's sines and cosines, not learned."""
    side, dim = math.isqrt(positions.shape[1] - 1), positions.shape[2]
    if side**2 != positions.shape[1] - 1 or dim % 4:
        return False
    fixed = sines_and_cosines(side, dim)
    return torch.allclose(positions[0, 1:].double(), fixed, atol=1e-3) and not positions[0, 0].any()


def sines_and_cosines(side: int, dim: int) -> Tensor:
    """Fixed positions of a square grid: ``(side², dim)``, the column's half before the row's."""
    speed = 10000.0 ** -(torch.arange(dim // 4, dtype=torch.float64) / (dim // 4))
    angle = torch.arange(side, dtype=torch.float64).outer(speed)
    along = torch.cat([angle.sin(), angle.cos()], dim=1)  # (side, dim / 2)
    columns = along.expand(side, side, -1)
    return torch.cat([columns, columns.transpose(0, 1)], dim=2).flatten(0, 1)


def measured(tensors: Mapping[str, Tensor], file: Path, heads: int | None) -> Architecture:
    """The architecture, from the parameters' names and shapes."""
    dim, _, patch, other = tensors["patch_embed.proj.weight"].shape
    class_token = "cls_token" in tensors
    patches = tensors["pos_embed"].shape[1] - class_token
    side = math.isqrt(patches)
    if side**2 != patches or patch != other:
        raise BackboneError(
            f"{file.name} was trained on {patches} patches of {patch}×{other} pixels; only square "
            "images of square patches are understood"
        )
    if heads is None:
        heads = dim // HEAD_WIDTH
    if heads < 1 or dim % heads:
        raise BackboneError(
            f"{file.name}: {dim} channels do not divide into {heads or 'whole'} heads; "
            "say how many attention heads it has: load_backbone(…, heads=…)"
        )
    blocks = [re.match(r"blocks\.(\d+)\.", name) for name in tensors]
    return Architecture(
        dim=dim,
        depth=1 + max(int(block[1]) for block in blocks if block),
        patch_size=patch,
        heads=heads,
        hidden=len(tensors["blocks.0.mlp.fc1.weight"]),
        side=side,
        class_token=class_token,
        final_norm="norm.weight" in tensors,
    )


def build(found: Checkpoint, file: Path, *, heads: int | None = None) -> VitBackbone:
    """The ViT of a checkpoint, its shapes measured and every parameter accounted for."""
    from timm.models.vision_transformer import VisionTransformer

    shape = measured(found.tensors, file, heads)
    vit = VisionTransformer(
        img_size=shape.side * shape.patch_size,
        patch_size=shape.patch_size,
        embed_dim=shape.dim,
        depth=shape.depth,
        num_heads=shape.heads,
        mlp_ratio=shape.hidden / shape.dim,
        class_token=shape.class_token,
        final_norm=shape.final_norm or found.kind in ALWAYS_NORMED,
        fc_norm=False,
        global_pool="",
        num_classes=0,
        dynamic_img_size=True,
    )
    title = f"{found.kind.value} {shape.title}"
    fill(vit, found.tensors, file, title)
    return VitBackbone(
        vit,
        BackboneInfo(str(file), f"{title} ({file.name})", found.note, needs_download=False),
        dino_positions=found.kind is not Kind.MAE,
    ).frozen()
