"""Weights under the names of Hugging Face's transformers, in all its versions, as their authors'.

Covers its ViT (DINO, iBOT, MAE), DINOv2 with and without registers, and DINOv3. The authors' names
are timm's too, or timm knows how to convert them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from ppap.backbones.base import BackboneError

# In this order; the first two make blocks of layers.
NAMES = tuple(
    (re.compile(pattern), instead)
    for pattern, instead in (
        (r"^(?:encoder\.|model\.)?layers?\.(\d+)\.", r"blocks.\1."),
        (r"^(blocks\.\d+\.)attention\.(?:attention\.)?", r"\1attn."),
        (r"^(blocks\.\d+\.attn\.)(?:output\.dense|o_proj)\.", r"\1proj."),
        (r"^(blocks\.\d+\.attn\.)(?:query|q_proj)\.", r"\1q."),
        (r"^(blocks\.\d+\.attn\.)(?:key|k_proj)\.", r"\1k."),
        (r"^(blocks\.\d+\.attn\.)(?:value|v_proj)\.", r"\1v."),
        (r"^(blocks\.\d+\.)intermediate\.dense\.", r"\1mlp.fc1."),
        (r"^(blocks\.\d+\.)output\.dense\.", r"\1mlp.fc2."),
        (r"^(blocks\.\d+\.)layernorm_before\.", r"\1norm1."),
        (r"^(blocks\.\d+\.)layernorm_after\.", r"\1norm2."),
        (r"^(blocks\.\d+\.)layer_scale(\d)\.lambda1$", r"\1ls\2.gamma"),
        (r"^(blocks\.\d+\.mlp\.)weights_in\.", r"\1w12."),
        (r"^(blocks\.\d+\.mlp\.)weights_out\.", r"\1w3."),
        (r"^embeddings\.patch_embeddings\.(?:projection\.)?", "patch_embed.proj."),
        (r"^embeddings\.position_embeddings$", "pos_embed"),
        (r"^embeddings\.(cls_token|mask_token|register_tokens)$", r"\1"),
        (r"^layernorm\.", "norm."),
    )
)
# Worked out anew from the size of the image.
FIXED = ("rope_embeddings.", "rope_embed.")
GATED = "blocks.0.mlp.gate_proj.weight"


def is_huggingface(names: Iterable[str]) -> bool:
    """Whether parameters have the names of transformers."""
    return any(name.startswith("embeddings.") for name in names)


def as_authors(tensors: Mapping[str, Tensor], file: Path) -> dict[str, Tensor]:
    """Parameters under their authors' names, with one matrix for queries, keys and values.

    Raises:
        BackboneError: a block lacks one of the three.
    """
    renamed = {}
    for name, tensor in tensors.items():
        new = in_authors_words(name)
        if new in renamed:
            raise BackboneError(
                f"{file.name} contains {new} twice, once as {name}; it is not clear which to use"
            )
        if not name.startswith(FIXED):
            renamed[new] = tensor
    rotary = "pos_embed" not in renamed
    if rotary and "register_tokens" in renamed:
        renamed["storage_tokens"] = renamed.pop("register_tokens")
    return fused(with_mlps(renamed, rotary=rotary), file)


def in_authors_words(name: str) -> str:
    """One parameter's name."""
    for pattern, instead in NAMES:
        name = pattern.sub(instead, name)
    return name


def with_mlps(tensors: dict[str, Tensor], *, rotary: bool) -> dict[str, Tensor]:
    """The layers of MLPs, which newer transformers call up, gate and down in every model.

    DINOv3 (``rotary``) has two matrices before the gate, DINOv2 one with both.
    """
    if GATED not in tensors:
        return renamed(tensors, {"up_proj": "fc1", "down_proj": "fc2"})
    if rotary:
        return renamed(tensors, {"gate_proj": "w1", "up_proj": "w2", "down_proj": "w3"})
    joined = {}
    for name, tensor in tensors.items():
        if ".mlp.gate_proj." in name:
            up = tensors.get(name.replace("gate_proj", "up_proj"))
            whole = tensor if up is None else torch.cat([tensor, up])
            joined[name.replace("gate_proj", "w12")] = whole
        elif ".mlp.up_proj." not in name:
            joined[name.replace(".mlp.down_proj.", ".mlp.w3.")] = tensor
    return joined


def renamed(tensors: Mapping[str, Tensor], layers: Mapping[str, str]) -> dict[str, Tensor]:
    """Layers of MLPs under other names."""
    found = {}
    for name, tensor in tensors.items():
        before, mlp, layer = name.partition(".mlp.")
        old, _, end = layer.partition(".")
        found[f"{before}{mlp}{layers[old]}.{end}" if old in layers else name] = tensor
    return found


def fused(tensors: Mapping[str, Tensor], file: Path) -> dict[str, Tensor]:
    """``q``, ``k`` and ``v`` of every block as one ``qkv``; DINOv3's keys have no bias."""
    found = {}
    for name, tensor in tensors.items():
        part = re.fullmatch(r"(blocks\.\d+\.attn\.)([qkv])\.(weight|bias)", name)
        if part is None:
            found[name] = tensor
        elif part[2] == "q":
            found[f"{part[1]}qkv.{part[3]}"] = joined(tensors, part[1], part[3], file)
        elif f"{part[1]}q.{part[3]}" not in tensors:
            raise BackboneError(f"{file.name} is incomplete; missing: {part[1]}query.{part[3]}")
    return found


def joined(tensors: Mapping[str, Tensor], block: str, end: str, file: Path) -> Tensor:
    """One block's three matrices, or its three biases, below each other."""
    parts: list[Tensor] = []
    for part, name in (("q", "query"), ("k", "key"), ("v", "value")):
        tensor = tensors.get(f"{block}{part}.{end}")
        if tensor is None and (part, end) == ("k", "bias"):
            tensor = torch.zeros_like(parts[0])
        if tensor is None:
            raise BackboneError(f"{file.name} is incomplete; missing: {block}{name}.{end}")
        parts.append(tensor)
    return torch.cat(parts)
