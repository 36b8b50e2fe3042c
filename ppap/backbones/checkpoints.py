"""Local checkpoint files that say themselves what they are of."""

from __future__ import annotations

from pathlib import Path

from ppap.backbones.base import Backbone, BackboneError
from ppap.backbones.dinov2 import build_scaled, is_scaled
from ppap.backbones.folders import Read, read_weights
from ppap.backbones.plain import build, read_plain
from ppap.backbones.timm_models import build_vit, is_plain_vit
from ppap.backbones.unwrapping import vit_in


class WholeModelError(BackboneError):
    """A checkpoint of training where a backbone was expected."""


def load_checkpoint(path: Path, *, heads: int | None = None) -> Backbone:
    """A backbone from a local file or folder, frozen, on the CPU.

    Args:
        path: what ``torch.save`` wrote, or ``.safetensors``; or a folder of Hugging Face's.
        heads: attention heads of each block, where they are not as usual (the file cannot tell).

    Raises:
        BackboneError: the file cannot be read, is of another kind, or lacks parameters or has
            some too many; names them.
    """
    read = read_weights(path)
    refuse_models(read)
    name = declared(read)
    if name and heads is None:
        backbone = build_vit(name, weights=path, read=read)
        place = str(path.absolute())
        title = f"{backbone.info.title} ({read.file.name})"
        backbone.info = backbone.info._replace(name=place, title=title)
        return backbone
    found = vit_in(read)
    if is_scaled(found.tensors):
        backbone = build_scaled(read, found, heads=heads)
    else:
        backbone = build(read_plain(read, found), read.file, heads=heads)
    if path != read.file:  # a folder stays the folder, whatever its file is called
        backbone.info = backbone.info._replace(name=str(path.absolute()))
    return backbone


def refuse_models(read: Read) -> None:
    """WholeModelError for whole segmenters, which are opened elsewhere."""
    trained = "net_model_state_dict" in read.content
    if trained or str(read.content.get("format", "")).startswith("ppap-studio"):
        raise WholeModelError(
            f"{read.file.name} is a whole trained PPAP model, not a backbone; open it as a "
            "checkpoint of a training run"
        )


def declared(read: Read) -> str:
    """timm's name of the model, where the file or its folder says it; else empty."""
    told = read.content.get("arch")
    for name in (read.facts.architecture, told if isinstance(told, str) else ""):
        if name and is_plain_vit(name):
            return name
    return ""
