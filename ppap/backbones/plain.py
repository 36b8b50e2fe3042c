"""Plain ViTs in local files: DINO, iBOT, SelfPatch and MAE, told apart by what is in the file.

They share timm's parameter names; so do what transformers writes of them, once renamed.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from enum import Enum
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from ppap.backbones.base import IMAGENET_MEAN, IMAGENET_STD, BackboneError, BackboneInfo
from ppap.backbones.files import fill, named
from ppap.backbones.folders import Facts, Read, refuse_activation
from ppap.backbones.refusals import by_name, fill_or_advise, left_out, refuse_families
from ppap.backbones.unwrapping import Unwrapped
from ppap.backbones.vit import VitBackbone

DECODER = ("decoder_", "decoder.", "mask_token")
# What transformers puts after the last norm.
CLASSIFIERS = ("pooler.", "classifier.")
# What DINO's family and training on several devices, or compiling, put before the names.
WRAPPERS = ("teacher", "student", "module", "backbone", "_orig_mod")
WIDEST = 2**14  # channels; no ViT has more
HEAD_WIDTH = 64  # channels per attention head in most published ViTs of these methods
HEADS_OF = {1280: 16}  # the huge ViT's are wider
SIZES = {192: "Ti", 384: "S", 768: "B", 1024: "L", 1280: "H", 1408: "g", 1536: "g", 4096: "7B"}
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
    PLAIN = "Plain"
    """None of them, or trained with labels."""


# Resized positions are the method's own; timm does it as MAE does.
AS_DINO = (Kind.DINO, Kind.IBOT, Kind.SELFPATCH)
# SelfPatch has no norm after its last block, and some exports drop MAE's.
ALWAYS_NORMED = (Kind.DINO, Kind.IBOT)


class Checkpoint(NamedTuple):
    """A ViT as found in a file."""

    kind: Kind
    tensors: dict[str, Tensor]
    """The backbone's parameters under timm's names."""
    note: str
    facts: Facts = Facts()


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
    qkv_bias: bool

    @property
    def title(self) -> str:
        """The usual name: ViT-S/16."""
        size = SIZES.get(self.dim, f"{self.dim}×{self.depth}")
        return f"ViT-{size}/{self.patch_size}"


def read_plain(read: Read, found: Unwrapped) -> Checkpoint:
    """Recognise the kind of a plain ViT's file.

    Raises:
        BackboneError: it is none, or lacks what every ViT has.
    """
    backbone = dict(found.tensors)
    refuse_others(backbone, read.file)
    refuse_families(found.prefix, read.file)
    refuse_activation(read.facts, read.file, "gelu")
    kind = recognised(read, found)
    for name in [n for n in backbone if n.startswith(("masked_embed", "mask_token", *CLASSIFIERS))]:
        del backbone[name]
    tuned = kind is Kind.MAE and without_mae_heads(backbone)
    note = "Fine-tuned with ImageNet labels." if tuned else "Self-supervised."
    if kind is Kind.DINO and set(found.prefix.split(".")) - {*WRAPPERS, ""}:
        note += " Assumed to be DINO's: the file does not say how it was trained."
    elif kind is Kind.DINO:
        note += " iBOT weights saved without their wrapper look the same."
    elif kind is Kind.PLAIN:
        note = "The file does not say how it was trained, perhaps with labels."
    if kind not in ALWAYS_NORMED and "norm.weight" not in backbone:
        note += " The file has no final norm: the last block's output is used as it is."
    return Checkpoint(kind, backbone, note + left_out(found.beside), read.facts)


def refuse_others(tensors: Mapping[str, Tensor], file: Path) -> None:
    """Raise for files that are no ViT of the known methods, saying what they are."""
    absent = [name for name in NEEDED if name not in tensors]
    if len(absent) == len(NEEDED):
        found = f"it contains {named(list(tensors), 4)}" if tensors else "it contains no parameters"
        raise BackboneError(
            f"{file.name} is not a ViT checkpoint of DINO, DINOv2, DINOv3, iBOT, SelfPatch or "
            f"MAE: {found}. {by_name(file)}"
        )
    if absent:
        raise BackboneError(f"{file.name} is incomplete; missing: {named(absent)}")
    refuse_shapes(tensors, file)


def refuse_shapes(tensors: Mapping[str, Tensor], file: Path) -> None:
    """Raise for parameters that have a ViT's names but are for something else than images."""
    wanted = {NEEDED[0]: 4, NEEDED[1]: 3, NEEDED[2]: 2, NEEDED[3]: 2}
    for name, axes in wanted.items():
        if name in tensors and tensors[name].ndim != axes:
            raise BackboneError(
                f"{file.name} is not from a plain image ViT: {name} has the shape "
                f"{tuple(tensors[name].shape)}. {by_name(file)}"
            )


def recognised(read: Read, found: Unwrapped) -> Kind:
    """Which method wrote the file, from what only its files have."""
    content, backbone, beside = read.content, found.tensors, found.beside
    if (
        "ibot_loss" in content
        or "masked_embed" in backbone
        or any(name.startswith(("head.last_layer2", "head.mlp2")) for name in beside)
    ):
        return Kind.IBOT
    if read.facts.model_type == "vit_mae":
        return Kind.MAE
    if any(name.startswith(CLASSIFIERS) for name in (*backbone, *beside)):
        return Kind.PLAIN
    fixed = is_fixed(backbone["pos_embed"], "cls_token" in backbone)
    # SelfPatch's class token belongs to its head, so the backbone has none.
    if "cls_token" not in backbone or any(name.startswith("ca_head.") for name in beside):
        return Kind.PLAIN if fixed else Kind.SELFPATCH
    if (
        any(name.startswith(DECODER) for name in (*backbone, *beside))
        or "fc_norm.weight" in backbone
        or fixed
    ):
        return Kind.MAE
    # iBOT's files of the backbone alone are wrapped in this way, and hold nothing else.
    return Kind.IBOT if [*content] == ["state_dict"] == [found.prefix[:-1]] else Kind.DINO


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


def is_fixed(positions: Tensor, class_token: bool = True) -> bool:
    """Whether position embeddings ``(1, 1 + n², D)`` are MAE's sines and cosines, not learned."""
    patches = positions[0, class_token:]
    side, dim = math.isqrt(len(patches)), positions.shape[2]
    if side**2 != len(patches) or dim % 4:
        return False
    fixed = sines_and_cosines(side, dim)
    # Of a class token's place nothing is known, so that it is zero.
    return torch.allclose(patches.double(), fixed, atol=1e-3) and not (
        class_token and positions[0, 0].any()
    )


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
    if side < 1 or side**2 != patches or patch != other:
        raise BackboneError(
            f"{file.name} was trained on {patches} patches of {patch}×{other} pixels; only square "
            "images with square patches are supported"
        )
    heads = heads_of(dim, file, heads)
    return Architecture(
        dim=dim,
        depth=depth_of(tensors, file),
        patch_size=patch,
        heads=heads,
        hidden=len(tensors["blocks.0.mlp.fc1.weight"]),
        side=side,
        class_token=class_token,
        final_norm="norm.weight" in tensors,
        qkv_bias="blocks.0.attn.qkv.bias" in tensors,
    )


def heads_of(dim: int, file: Path, heads: int | None, usual: int | None = None) -> int:
    """Attention heads of each block: as given, or as in the published ViTs of that width."""
    if heads is None:
        heads = HEADS_OF.get(dim, dim // HEAD_WIDTH) if usual is None else usual
    if heads < 1 or dim % heads or dim > WIDEST:
        raise BackboneError(
            f"{file.name}: {dim} channels do not divide into {heads or 'whole'} heads, and the "
            f"file does not say how many there are. {by_name(file)} (in Python, heads=… also "
            "works)"
        )
    return heads


def depth_of(tensors: Iterable[str], file: Path) -> int:
    """Blocks, from the parameters' names; BackboneError where one in between is missing."""
    found = {match[1] for name in tensors if (match := re.match(r"blocks\.(\d+)\.", name))}
    for number in range(len(found)):
        if str(number) not in found:
            raise BackboneError(f"{file.name} is incomplete; missing: blocks.{number}")
    return len(found)


def build(
    found: Checkpoint, file: Path, *, heads: int | None = None, alone: bool = True
) -> VitBackbone:
    """The ViT of a checkpoint, its shapes measured and every parameter accounted for.

    Args:
        found: the parameters, and what they are of.
        file: where they are from.
        heads: see ``load_checkpoint``.
        alone: whether the file is of a backbone only, which may be of another one than it seems.
    """
    from timm.models.vision_transformer import VisionTransformer

    shape = measured(found.tensors, file, found.facts.heads if heads is None else heads)
    vit = VisionTransformer(
        img_size=shape.side * shape.patch_size,
        patch_size=shape.patch_size,
        embed_dim=shape.dim,
        depth=shape.depth,
        num_heads=shape.heads,
        mlp_ratio=(shape.hidden + 0.5) / shape.dim,
        class_token=shape.class_token,
        final_norm=shape.final_norm or found.kind in ALWAYS_NORMED,
        fc_norm=False,
        global_pool="",
        num_classes=0,
        dynamic_img_size=True,
        qkv_bias=shape.qkv_bias,
    )
    title = f"{found.kind.value} {shape.title}"
    (fill_or_advise if alone else fill)(vit, found.tensors, file, title)
    place = file.absolute()
    return VitBackbone(
        vit,
        BackboneInfo(str(place), f"{title} ({file.name})", found.note, needs_download=False),
        mean=found.facts.mean or IMAGENET_MEAN,
        std=found.facts.std or IMAGENET_STD,
        dino_positions=found.kind in AS_DINO,
    ).frozen()
