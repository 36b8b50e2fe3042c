"""What is said of files that were taken for another network's, and of what is left out of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from torch import Tensor, nn

from ppap.backbones.base import BackboneError
from ppap.backbones.damage import DamagedError
from ppap.backbones.files import fill, named

HEADS = ("head.", "ca_head.", "c_head.", "p_head.", "dino_head.", "ibot_head.")
# Beside a network in its training's file, and of no interest to anybody who wants its features.
USUAL = (*HEADS, "pooler.", "classifier.", "decoder", "mask_token", "fc.", "criterion", "loss")
# Words in prefixes of families whose colours and heads are others.
FAMILIES = {
    "visual": "an image–text model",
    "vision_model": "an image–text model",
    "vision_encoder": "an image–text model",
    "image_encoder": "another program's image encoder",
    "base_encoder": "MoCo",
    "momentum_encoder": "MoCo",
}


def by_name(file: Path, example: str = "vit_base_patch16_224") -> str:
    """How a file is used whose tensors do not tell what they are of; works wherever one can type
    a backbone."""
    return (
        "If it is another ViT that timm knows, put timm's name for it before the file: "
        f"{example}@{file}"
    )


def refuse_families(prefix: str, file: Path) -> None:
    """Raise for ViTs of other families, whose colours and heads are others: CLIP, SAM, MoCo."""
    words = [word for word in prefix.split(".") if word in FAMILIES]
    if words:
        raise BackboneError(
            f"{file.name} is from {FAMILIES[words[0]]}, judging by the name {words[0]} in it. "
            f"{by_name(file)}"
        )


def fill_or_advise(vit: nn.Module, tensors: Mapping[str, Tensor], file: Path, title: str) -> None:
    """``fill``, whose errors say what can be done where a file was taken for another ViT's."""
    try:
        fill(vit, tensors, file, title)
    except DamagedError:
        raise
    except BackboneError as error:
        raise BackboneError(f"{error}. {by_name(file)}") from error


def left_out(beside: Iterable[str]) -> str:
    """What a note says of parameters that belong to nothing we know; empty where there are none."""
    others = [name for name in beside if not name.startswith(USUAL)]
    return f" Left out of the file: {named(others, 3)}." if others else ""
