"""DINOv2 and DINOv3 in local files: as their authors, timm or transformers write them.

Both scale what their layers add, which tells them from the plain ViTs. timm's own models are built,
with the sizes that the tensors have, and timm converts its authors' names.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ppap.backbones.base import IMAGENET_MEAN, IMAGENET_STD, BackboneError, BackboneInfo
from ppap.backbones.files import named
from ppap.backbones.folders import Facts, Read, refuse_activation
from ppap.backbones.plain import SIZES, depth_of, heads_of
from ppap.backbones.refusals import by_name, fill_or_advise, left_out, refuse_families
from ppap.backbones.unwrapping import Unwrapped
from ppap.backbones.vit import VitBackbone

V2, V3 = "DINOv2", "DINOv3"
NOTES = {
    V2: "Self-supervised; not in the paper.",
    V3: "Self-supervised, under the DINOv3 licence; not in the paper.",
}
SCALES = ("blocks.0.ls1.gamma", "blocks.0.gamma_1")
REGISTERS = ("register_tokens", "storage_tokens", "reg_token")
AXES = {
    "patch_embed.proj.weight": 4,
    "blocks.0.attn.qkv.weight": 2,
    **dict.fromkeys(("cls_token", "pos_embed", *REGISTERS), 3),
}
# The published ones have none or four; another family has one.
COUNTS = (0, 4)
# A head of the largest DINOv3 is twice as wide as all others.
HEADS_OF_7B = {4096: 32}
NEEDED = ("patch_embed.proj.weight", "blocks.0.attn.qkv.weight")
# DINOv3's models of satellite images, whose colours lie elsewhere; only the file's name tells.
SATELLITE = ("sat493m", "vit_large_patch16_dinov3.sat493m")
PATCH_OF_V2 = 14
FC1 = "blocks.0.mlp.fc1.weight"


def is_scaled(tensors: Mapping[str, Tensor]) -> bool:
    """Whether the layers of a ViT scale what they add, as DINOv2's and DINOv3's do."""
    return any(name in tensors for name in SCALES)


def family_of(found: Unwrapped, file: Path) -> str:
    """DINOv2 or DINOv3; BackboneError where the tensors may be of yet another ViT."""
    tensors = found.tensors
    absent = [name for name in (*NEEDED, "cls_token") if name not in tensors]
    if absent:
        raise BackboneError(
            f"{file.name} is incomplete, or from another ViT; missing: {named(absent)}. "
            f"{by_name(file, 'dinov2_vits14')}"
        )
    refuse_axes(tensors, file)
    sure = register_count(tensors) in COUNTS
    if sure and "pos_embed" not in tensors:
        return V3
    published = "mask_token" in tensors or tensors[NEEDED[0]].shape[-1] == PATCH_OF_V2
    if sure and published and SCALES[0] in tensors:
        return V2
    raise BackboneError(
        f"{file.name} is from a ViT with layer scale, but not clearly DINOv2 or DINOv3. "
        f"{by_name(file, 'deit3_base_patch16_224')}"
    )


def refuse_axes(tensors: Mapping[str, Tensor], file: Path) -> None:
    """BackboneError for parameters that cannot be what they are called."""
    for name, tensor in tensors.items():
        end = name.rpartition(".")[2]
        wanted = AXES.get(name, 1 if name.endswith(("bias", "bias_mask", "gamma")) else None)
        if wanted is None and ".mlp." in name and end == "weight":
            wanted = 2
        if wanted is not None and tensor.ndim != wanted:
            raise BackboneError(
                f"{file.name} is not from DINOv2 or DINOv3: {name} has the shape "
                f"{tuple(tensor.shape)}. {by_name(file)}"
            )


def register_count(tensors: Mapping[str, Tensor]) -> int:
    """Tokens beside the class token and the patches."""
    return next((tensors[name].shape[1] for name in REGISTERS if name in tensors), 0)


def build_scaled(read: Read, found: Unwrapped, *, heads: int | None = None) -> VitBackbone:
    """The DINOv2 or DINOv3 in a file, its shapes measured and every parameter accounted for.

    Raises:
        BackboneError: it is of another ViT, lacks parameters or has some too many; names them.
    """
    refuse_families(found.prefix, read.file)
    family = family_of(found, read.file)
    tensors = prepared(found.tensors, read.file)
    heads = read.facts.heads if heads is None else heads
    gated = is_gated(tensors)
    if family == V3 or not gated:  # DINOv2's gate is always SiLU
        refuse_activation(read.facts, read.file, "silu" if gated else "gelu")
    vit = measured_vit(family, tensors, read.file, heads)
    filtered = filtered_by_timm(vit, tensors)
    title = f"{family} {size_of(family, tensors, read.file)}"
    fill_or_advise(vit, filtered, read.file, title)
    mean, std = colours(read.facts, family, read.file)
    note = NOTES[family] + left_out(found.beside)
    if (mean, std) != (IMAGENET_MEAN, IMAGENET_STD) and read.facts.mean is None:
        note = f"For satellite images, according to its file name. {note}"
    return VitBackbone(
        vit,
        BackboneInfo(
            str(read.file.absolute()), f"{title} ({read.file.name})", note, needs_download=False
        ),
        mean=mean,
        std=std,
        dino_positions=family == V2 and not register_count(tensors),
    ).frozen()


def prepared(tensors: Mapping[str, Tensor], file: Path) -> dict[str, Tensor]:
    """What timm's conversions may be given: they take some parts for granted."""
    result = dict(tensors)
    if "register_tokens" in result and "cls_token" in result:
        # timm tells DINOv2's files by this one, which only training needs.
        result.setdefault("mask_token", torch.zeros(1, result["cls_token"].shape[-1]))
    refuse_key_biases(result, file)
    if not has_bias(result):
        result = {n: t for n, t in result.items() if not is_bias(n)}
    return result


def refuse_key_biases(tensors: Mapping[str, Tensor], file: Path) -> None:
    """BackboneError where DINOv3's keys have a bias: published files mask it, timm has none."""
    if "pos_embed" in tensors:
        return
    for name, bias in tensors.items():
        if not name.endswith(".attn.qkv.bias") or bias.ndim != 1:
            continue
        _, keys, _ = bias.chunk(3)
        mask = tensors.get(f"{name}_mask")
        masked = mask is not None and not mask.chunk(3)[1].nan_to_num().any()
        if keys.any() and not masked:
            raise BackboneError(
                f"{file.name} has a bias on its keys ({name}), which no published DINOv3 has; it "
                "cannot be used"
            )


def is_bias(name: str) -> bool:
    """Whether a parameter is a bias of queries and values, or of all three."""
    return name.endswith((".attn.qkv.bias", ".attn.q_bias", ".attn.v_bias", ".attn.qkv.bias_mask"))


def has_bias(tensors: Mapping[str, Tensor]) -> bool:
    """Whether queries, keys and values have one: some of DINOv3's are all zero.

    DINOv2's models always have one.
    """
    if "pos_embed" in tensors:
        return any(is_bias(name) for name in tensors)
    return any(is_bias(n) and not n.endswith("mask") and bool(t.any()) for n, t in tensors.items())


def measured_vit(
    family: str, tensors: Mapping[str, Tensor], file: Path, heads: int | None
) -> nn.Module:
    """timm's model of a family with the sizes of a file's tensors."""
    import timm

    dim, _, patch, other = tensors[NEEDED[0]].shape
    usual = HEADS_OF_7B.get(dim, dim // 64)
    settings: dict[str, Any] = {
        "patch_size": (patch, other),
        "embed_dim": dim,
        "depth": depth_of(tensors, file),
        "num_heads": heads_of(dim, file, heads, usual),
        "qkv_bias": has_bias(tensors),
        "num_classes": 0,
        "dynamic_img_size": True,
    }
    settings |= mlp_of(family, tensors, dim, file)
    registers = register_count(tensors)
    if family == V3:
        return timm.create_model("vit_small_patch16_dinov3", num_reg_tokens=registers, **settings)
    side = side_of(tensors["pos_embed"], file)
    base = "vit_small_patch14_reg4_dinov2" if registers else "vit_small_patch14_dinov2"
    if registers:
        settings["reg_tokens"] = registers
    return timm.create_model(base, img_size=(side * patch, side * other), **settings)


def mlp_of(family: str, tensors: Mapping[str, Tensor], dim: int, file: Path) -> dict[str, Any]:
    """timm's settings of the MLPs: two layers, or three around a gate."""
    from timm.layers import SwiGLUPacked

    width = {
        name: len(tensors[f"blocks.0.mlp.{name}.weight"])
        for name in ("fc1", "fc2", "w12", "w1", "fc1_g")
        if f"blocks.0.mlp.{name}.weight" in tensors
    }
    if not width.keys() - {"fc2"}:
        raise BackboneError(f"{file.name} is incomplete; missing: blocks.0.mlp.fc1.weight")
    # Half a unit more, lest rounding takes one away.
    ratio = (next(n for name, n in width.items() if name != "fc2") + 0.5) / dim
    if family == V3:
        gated = is_gated(tensors)
        return {"mlp_ratio": ratio, "swiglu_mlp": gated, "swiglu_align_to": int(gated)}
    gate = {"mlp_layer": SwiGLUPacked, "act_layer": nn.SiLU} if is_gated(tensors) else {}
    return {"mlp_ratio": ratio, **gate}


def is_gated(tensors: Mapping[str, Tensor]) -> bool:
    """Whether the MLPs have a gate, in the form of a matrix of its own or beside another."""
    names = ("w1", "fc1_g", "w12")
    inner = tensors.get("blocks.0.mlp.fc2.weight")
    packed = inner is not None and inner.ndim == 2 and len(tensors.get(FC1, ())) == 2 * len(inner.T)
    return packed or any(f"blocks.0.mlp.{name}.weight" in tensors for name in names)


def side_of(positions: Tensor, file: Path) -> int:
    """Patches a side at which DINOv2 was trained; its class token may be without a position."""
    for patches in (positions.shape[1] - 1, positions.shape[1]):
        side = math.isqrt(max(patches, 0))
        if side and side**2 == patches:
            return side
    raise BackboneError(
        f"{file.name} was trained on {positions.shape[1] - 1} patches; only square images are "
        "supported"
    )


def filtered_by_timm(vit: nn.Module, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Under timm's names."""
    from timm.models import eva, vision_transformer

    filters: Any = eva if isinstance(vit, eva.Eva) else vision_transformer
    given = dict(tensors)
    # timm tells DINOv3's files by their registers.
    bare = filters is eva and not register_count(tensors)
    if bare:
        given["storage_tokens"] = torch.zeros(1, 0)
    result: dict[str, Tensor] = filters.checkpoint_filter_fn(given, vit)
    if bare:
        result.pop("reg_token", None)
    # Without registers timm leaves DINOv3's as it is.
    result.pop("mask_token", None)
    return result


def size_of(family: str, tensors: Mapping[str, Tensor], file: Path) -> str:
    """The usual name: ViT-S/14, ViT-H+/16, or ViT-B/14 with 4 registers."""
    dim, _, patch, _ = tensors[NEEDED[0]].shape
    size = SIZES.get(dim, f"{dim}×{depth_of(tensors, file)}")
    plus = "+" if family == V3 and is_gated(tensors) and re.fullmatch("[SBLH]", size) else ""
    registers = register_count(tensors) if family == V2 else 0
    return f"ViT-{size}{plus}/{patch}" + (f" with {registers} registers" if registers else "")


def colours(facts: Facts, family: str, file: Path) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and spread of each channel in training: as told beside the file, or as is usual."""
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    if family == V3 and SATELLITE[0] in file.name.lower():
        from timm.models import get_pretrained_cfg

        known = get_pretrained_cfg(SATELLITE[1])
        if known is not None:
            mean, std = tuple(known.mean), tuple(known.std)
    return facts.mean or mean, facts.std or std
