"""Small random ViTs of timm, and the names under which others write the same weights.

Written apart from the readers: by hand, name by name.
"""

from __future__ import annotations

from typing import Any

import timm
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

State = dict[str, Tensor]
DIM, DEPTH, HEADS = 128, 2, 2
SIDE = 4  # patches a side in training


def random_parameters(vit: nn.Module) -> Any:
    """Every parameter random, in steps of 1/64, so that sums of a few are exact."""
    torch.manual_seed(0)
    with torch.no_grad():
        for name, parameter in vit.named_parameters():
            parameter.copy_((torch.randn_like(parameter) * 0.15 * 64).round() / 64)
            if name.endswith(("norm1.weight", "norm2.weight", "norm.weight")):
                parameter.add_(1)
    return vit.eval().requires_grad_(False)


def plain(**changes: Any) -> Any:
    """A ViT as DINO, iBOT and MAE train it."""
    settings: dict[str, Any] = {
        "img_size": SIDE * 16,
        "embed_dim": DIM,
        "depth": DEPTH,
        "num_heads": HEADS,
    }
    settings |= {"num_classes": 0, "dynamic_img_size": True, "global_pool": ""}
    return random_parameters(VisionTransformer(**{**settings, **changes}))


def dinov2(*, registers: int = 0, giant: bool = False) -> Any:
    """timm's DINOv2."""
    size = "giant" if giant else "small"
    name = f"vit_{size}_patch14_{'reg4_' if registers else ''}dinov2"
    changes: dict[str, Any] = {"img_size": SIDE * 14, "dynamic_img_size": True, "num_classes": 0}
    changes |= {"embed_dim": DIM, "depth": DEPTH, "num_heads": HEADS}
    if registers:
        changes["reg_tokens"] = registers
    return random_parameters(timm.create_model(name, **changes))


def dinov3(*, plus: bool = False, biased: bool = True, registers: int = 4) -> Any:
    """timm's DINOv3."""
    name = f"vit_small{'_plus' if plus else ''}_patch16_dinov3{'_qkvb' if biased else ''}"
    return random_parameters(
        timm.create_model(
            name,
            embed_dim=DIM,
            depth=DEPTH,
            num_heads=HEADS,
            num_classes=0,
            num_reg_tokens=registers,
        )
    )


def as_timm(vit: nn.Module) -> State:
    """timm's own names."""
    return dict(vit.state_dict())


def split_position(state: State) -> tuple[Tensor, Tensor]:
    """DINOv2's class token and positions, of which the class token has one, too."""
    place = torch.arange(DIM).view(1, 1, DIM) / 64
    return state["cls_token"] - place, torch.cat([place, state["pos_embed"]], dim=1)


def as_meta_v2(vit: nn.Module) -> State:
    """DINOv2's authors' names."""
    state = as_timm(vit)
    new: State = {"mask_token": torch.ones(1, DIM)}
    if "reg_token" in state:
        new["register_tokens"] = state.pop("reg_token")
        state["cls_token"], state["pos_embed"] = split_position(state)
    packed = (
        state["blocks.0.mlp.fc1.weight"].shape[0] == 2 * state["blocks.0.mlp.fc2.weight"].shape[1]
    )
    for name, tensor in state.items():
        if packed:
            name = name.replace("mlp.fc1", "mlp.w12").replace("mlp.fc2", "mlp.w3")
        new[name] = tensor
    return new


def as_meta_v3(vit: nn.Module) -> State:
    """DINOv3's authors' names."""
    state = as_timm(vit)
    new: State = {
        "mask_token": torch.ones(1, DIM),
        "rope_embed.periods": torch.ones(16, dtype=torch.bfloat16),
    }
    if "reg_token" in state:
        new["storage_tokens"] = state.pop("reg_token")
    for i in range(DEPTH):
        at = f"blocks.{i}."
        none = torch.zeros(DIM)
        q, v = state.pop(f"{at}attn.q_bias", none), state.pop(f"{at}attn.v_bias", none)
        new[f"{at}attn.qkv.bias"] = torch.cat([q, none, v])
        ones = torch.ones(DIM)
        new[f"{at}attn.qkv.bias_mask"] = torch.cat([ones, torch.zeros(DIM), ones])
        for k in (1, 2):
            new[f"{at}ls{k}.gamma"] = state.pop(f"{at}gamma_{k}")
        if f"{at}mlp.fc1_g.weight" in state:
            for mine, theirs in (("fc1_g", "w1"), ("fc1_x", "w2"), ("fc2", "w3")):
                for end in ("weight", "bias"):
                    new[f"{at}mlp.{theirs}.{end}"] = state.pop(f"{at}mlp.{mine}.{end}")
    return {**state, **new}


def as_transformers(meta: State, *, newest: bool = False, plain: bool = False) -> State:
    """transformers' names for what ``as_meta_v2``, ``as_meta_v3`` or a plain ViT holds.

    newest: as its models' ``state_dict()`` names them since 5; files keep the older names.
    plain: as its ViT names blocks, not as its DINOv2 does.
    """
    rotary = "pos_embed" not in meta
    new: State = {}
    for name, tensor in meta.items():
        if name.startswith("blocks."):
            _, number, rest = name.split(".", 2)
            outer = f"model.layer.{number}." if newest and rotary else f"layer.{number}."
            if not rotary:
                outer = f"layers.{number}." if newest and plain else f"encoder.layer.{number}."
            if rest.startswith("attn.qkv.bias_mask"):
                continue
            new |= of_block(outer, rest, tensor, newest=newest, plain=plain, rotary=rotary)
            continue
        if name.startswith("rope_embed"):
            continue
        name = name.replace("storage_tokens", "register_tokens")
        if name in ("cls_token", "mask_token", "register_tokens"):
            name = f"embeddings.{name}"
        elif name == "pos_embed":
            name = "embeddings.position_embeddings"
        elif name.startswith("patch_embed.proj."):
            inner = "" if rotary else "projection."
            name = name.replace("patch_embed.proj.", f"embeddings.patch_embeddings.{inner}")
        elif name.startswith("norm.") and not rotary:
            name = f"layer{name}"
        new[name] = tensor
    return new


def of_block(
    outer: str, rest: str, tensor: Tensor, *, newest: bool, plain: bool, rotary: bool
) -> State:
    """One parameter of a block in transformers' words."""
    end = rest.rpartition(".")[2]
    if rest.startswith("attn.qkv."):
        q, k, v = tensor.chunk(3)
        if newest or rotary:
            words, at = ("q_proj", "k_proj", "v_proj"), "attention."
        else:
            words, at = ("query", "key", "value"), "attention.attention."
        parts = {word: part.clone() for word, part in zip(words, (q, k, v), strict=True)}
        if rotary and end == "bias":
            del parts["k_proj"]
        return {f"{outer}{at}{word}.{end}": part for word, part in parts.items()}
    if rest.startswith("attn.proj."):
        return {
            f"{outer}attention.{'o_proj' if newest or rotary else 'output.dense'}.{end}": tensor
        }
    if rest.startswith("ls"):
        return {f"{outer}layer_scale{rest[2]}.lambda1": tensor}
    if plain:
        words_of = {"norm1": "layernorm_before", "norm2": "layernorm_after"}
        words_of |= (
            {"mlp.fc1": "mlp.fc1", "mlp.fc2": "mlp.fc2"}
            if newest
            else {"mlp.fc1": "intermediate.dense", "mlp.fc2": "output.dense"}
        )
        return {f"{outer}{words_of[rest.rpartition('.')[0]]}.{end}": tensor}
    if rotary:
        gated = {"w1": "gate_proj", "w2": "up_proj", "w3": "down_proj"}
        words_of = {**gated, "fc1": "up_proj", "fc2": "down_proj"}
        if rest.startswith("mlp."):
            return {f"{outer}mlp.{words_of[rest.split('.')[1]]}.{end}": tensor}
    if rest.startswith("mlp.w12."):
        if not newest:
            return {f"{outer}mlp.weights_in.{end}": tensor}
        gate, up = tensor.chunk(2)
        return {
            f"{outer}mlp.gate_proj.{end}": gate.clone(),
            f"{outer}mlp.up_proj.{end}": up.clone(),
        }
    if rest.startswith("mlp.w3."):
        return {f"{outer}mlp.{'down_proj' if newest else 'weights_out'}.{end}": tensor}
    return {outer + rest: tensor}
