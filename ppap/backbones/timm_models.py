"""ViTs by their timm names: looked up, built, and given weights."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from ppap.backbones.base import IMAGENET_MEAN, IMAGENET_STD, BackboneError, BackboneInfo
from ppap.backbones.checkpoints import read_dino
from ppap.backbones.files import fill, read_checkpoint, tensors_only
from ppap.backbones.hub import HubSource, fetch_weights
from ppap.backbones.vit import VitBackbone

# timm's modules whose models have the parts that ``VitBackbone`` uses.
FAMILIES = ["vision_transformer", "eva", "deit"]
# Parameters behind the patch features: classifiers, poolings, and what masked training needs.
HEADS = ("head", "fc_norm.", "attn_pool.", "pre_logits.", "mask_token")


class VitSource(NamedTuple):
    """What timm knows of a ViT, before it is built."""

    name: str
    """With its tag, which says how it was trained: ``vit_small_patch16_224.dino``."""
    mean: tuple[float, ...]
    std: tuple[float, ...]
    licence: str
    hub: HubSource | None
    """Where its weights are; None where timm has none to offer."""

    @property
    def is_dino(self) -> bool:
        """One of the first DINO's, whose positions are resized in DINO's way."""
        return self.name.endswith(".dino")


def find_vit(timm_name: str) -> VitSource:
    """Look a ViT up in timm.

    Raises:
        BackboneError: timm has no such model, or it is no plain ViT; names similar ones.
    """
    import timm
    from timm.models import get_pretrained_cfg, is_model_in_modules

    base, _, tag = timm_name.partition(".")
    if not timm.is_model(base):
        vits = [name for family in FAMILIES for name in timm.list_models(module=family)]
        close = difflib.get_close_matches(base, vits, n=3)
        hint = f"did you mean {' or '.join(close)}?" if close else "timm has no such model either."
        raise BackboneError(f"there is no backbone {timm_name!r}; {hint}")
    if not is_model_in_modules(base, FAMILIES):
        raise BackboneError(f"{timm_name} is a model of timm, but not a plain ViT; choose a ViT")
    known = timm.list_pretrained(f"{base}.*")
    if tag and timm_name not in known:
        choices = ", ".join(known) or f"{base}, without weights"
        raise BackboneError(f"timm has no {timm_name}; it has {choices}")
    config = get_pretrained_cfg(timm_name) if known else None
    if config is None:
        return VitSource(timm_name, IMAGENET_MEAN, IMAGENET_STD, "unknown", None)
    mean, std, licence = tuple(config.mean), tuple(config.std), config.license or "unknown"
    hub = HubSource(config.hf_hub_id, config.hf_hub_filename) if config.hf_hub_id else None
    return VitSource(f"{base}.{config.tag}", mean, std, licence, hub)


def build_vit(
    timm_name: str,
    *,
    pretrained: bool = False,
    weights: Path | None = None,
    info: BackboneInfo | None = None,
    progress: Callable[[str, float], None] | None = None,
    **architecture: Any,
) -> VitBackbone:
    """A ViT by its timm name, frozen, on the CPU.

    Args:
        timm_name: such as ``vit_small_patch16_224.dino``.
        pretrained: with its published weights, downloaded where necessary.
        weights: a file to take them from instead; with neither they are random.
        info: what the backbone says of itself, if not what timm says of it.
        progress: told what is being downloaded, and the fraction done.
        architecture: changes for random weights, such as ``depth=2`` or ``img_size=96``.

    Raises:
        BackboneError: timm has no such ViT, or its weights cannot be had or do not fit.
    """
    source = find_vit(timm_name)
    info = info or described(source, timm_name)
    # Fetched first: without a network this fails before a large model is built for nothing.
    file = weights
    if pretrained and weights is None:
        file = fetch_weights(info.name, source.hub, progress)

    import timm

    vit = timm.create_model(source.name, num_classes=0, dynamic_img_size=True, **architecture)
    if file is not None:
        if source.is_dino and weights is not None:
            tensors = read_dino(file, info.name)
        else:
            tensors = converted(vit, tensors_only(read_checkpoint(file)), file, info.name)
        # The hub's files are timm's own: what it does not use of them is not the user's mistake.
        fill(vit, tensors, file, info.name, extra=weights is None)
    return VitBackbone(
        vit,
        info if file is not None and weights is None else remarked(info, weights),
        mean=source.mean,
        std=source.std,
        dino_positions=source.is_dino,
    ).frozen()


def described(source: VitSource, name: str) -> BackboneInfo:
    """What a ViT says of itself when nothing else is known."""
    note = f"{source.name} of timm, licence {source.licence}; its tag says how it was trained."
    return BackboneInfo(name, name, note, needs_download=True)


def remarked(info: BackboneInfo, weights: Path | None) -> BackboneInfo:
    """What a ViT says of itself when its weights are not the hub's: a file's, or random."""
    if weights is None:
        title, note = f"{info.title} (random weights)", "Not trained at all."
    else:
        title, note = info.title, f"{info.note} Weights from {weights.name}."
    return info._replace(title=title, note=note, needs_download=False)


def converted(vit: Any, tensors: dict[str, Tensor], file: Path, name: str) -> dict[str, Tensor]:
    """A file's tensors under timm's names, its heads left out; timm knows its authors' layouts."""
    from timm.models import eva, vision_transformer

    result: dict[str, Tensor]
    try:
        if isinstance(vit, eva.Eva):
            result = eva.checkpoint_filter_fn(tensors, vit)
        else:
            result = vision_transformer.checkpoint_filter_fn(tensors, vit, adapt_layer_scale=True)
    except Exception as error:  # the conversions assume the right file and fail in many ways
        raise BackboneError(f"{file.name} is no checkpoint of {name} ({error})") from error
    # Some heads' parts are in the model: the norm of models that norm after pooling.
    own = vit.state_dict()
    return {k: t for k, t in result.items() if k in own or not k.startswith(HEADS)}
