"""ViTs by their timm names: looked up, built, and given weights."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from ppap.backbones.base import IMAGENET_MEAN, IMAGENET_STD, BackboneError, BackboneInfo
from ppap.backbones.dinov2 import has_bias, is_bias, prepared
from ppap.backbones.files import fill
from ppap.backbones.folders import Read, read_weights
from ppap.backbones.hub import HubSource, fetch_weights, of_the_cache
from ppap.backbones.naming import there
from ppap.backbones.plain import Kind, read_plain
from ppap.backbones.refusals import left_out
from ppap.backbones.unwrapping import Unwrapped, vit_in
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
        """One of the first DINO's."""
        return self.name.endswith(".dino")

    @property
    def as_dino(self) -> bool:
        """Whether positions are resized in DINO's way: DINOv2 does it, too, but for registers."""
        return self.is_dino or ("_dinov2" in self.name and "_reg" not in self.name)


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
        if there(timm_name):
            hint = f"for the file or folder with that name, write ./{timm_name}"
        raise BackboneError(f"there is no backbone {timm_name!r}; {hint}")
    if not is_model_in_modules(base, FAMILIES):
        raise BackboneError(f"{timm_name} is a timm model, but not a plain ViT; choose a ViT")
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


def is_plain_vit(timm_name: str) -> bool:
    """Whether timm has such a ViT, with parts that ``VitBackbone`` understands."""
    try:
        find_vit(timm_name)
    except BackboneError:
        return False
    return True


def build_vit(
    timm_name: str,
    *,
    pretrained: bool = False,
    weights: Path | None = None,
    read: Read | None = None,
    info: BackboneInfo | None = None,
    progress: Callable[[str, float], None] | None = None,
    **architecture: Any,
) -> VitBackbone:
    """A ViT by its timm name, frozen, on the CPU.

    Args:
        timm_name: such as ``vit_small_patch16_224.dino``.
        pretrained: with its published weights, downloaded where necessary.
        weights: a file to take them from instead; with neither they are random.
        read: what ``read_weights`` made of it, if that was done before.
        info: what the backbone says of itself, if not what timm says of it.
        progress: told what is being downloaded, and the fraction done.
        architecture: changes for random weights, such as ``depth=2`` or ``img_size=96``.

    Raises:
        BackboneError: timm has no such ViT, or its weights cannot be had or do not fit.
    """
    source = find_vit(timm_name)
    info = info or described(source, timm_name)
    if weights is not None:
        return with_weights(source, info, read or read_weights(weights), **architecture)

    import timm

    # Fetched first: without a network this fails before a large model is built for nothing.
    file = fetch_weights(info.name, source.hub, progress) if pretrained else None
    vit = timm.create_model(source.name, num_classes=0, dynamic_img_size=True, **architecture)
    if file is not None:
        with of_the_cache(file, info.name):
            tensors = vit_in(read_weights(file)).tensors
            # They are timm's own: what it does not use of them is not the user's mistake.
            fill(vit, converted(vit, tensors, file, info.name), file, info.name, extra=True)
    return VitBackbone(
        vit,
        info if file is not None else remarked(info, None),
        mean=source.mean,
        std=source.std,
        dino_positions=source.as_dino,
    ).frozen()


def with_weights(
    source: VitSource, info: BackboneInfo, read: Read, **architecture: Any
) -> VitBackbone:
    """A ViT of timm with the weights of a file."""
    import timm

    found = vit_in(read)
    if source.is_dino:
        found = found._replace(tensors=dinos(read, found, info.name))
    of_dinov = "_dinov" in source.name
    tensors = prepared(found.tensors, read.file) if of_dinov else dict(found.tensors)
    changes = {**of_weights(source, tensors), **architecture}
    vit = timm.create_model(source.name, num_classes=0, dynamic_img_size=True, **changes)
    refuse_patches(vit, tensors, read.file, info.name)
    fill(vit, converted(vit, tensors, read.file, info.name), read.file, info.name)
    info = remarked(info, read.file)
    return VitBackbone(
        vit,
        info._replace(note=info.note + left_out(found.beside)),
        mean=read.facts.mean or source.mean,
        std=read.facts.std or source.std,
        dino_positions=source.as_dino,
    ).frozen()


def dinos(read: Read, found: Unwrapped, name: str) -> dict[str, Tensor]:
    """The parameters of a file that was given for the DINO ViT ``name``."""
    checkpoint = read_plain(read, found)
    if checkpoint.kind not in (Kind.DINO, Kind.PLAIN):
        raise BackboneError(
            f"{read.file.name} is a checkpoint of {checkpoint.kind.value}, not of DINO; to use it, "
            f"give its path alone instead of {name}"
        )
    return checkpoint.tensors


def of_weights(source: VitSource, tensors: dict[str, Tensor]) -> dict[str, Any]:
    """What a file's tensors say of a model that its name leaves open.

    The size of its training images: timm would resize the positions to its own, and again to those
    of an image. Whether DINOv3 has biases: those of some published files are zero, and left out.
    """
    import timm

    changes: dict[str, Any] = {}
    positions = tensors.get("pos_embed")
    projection = tensors.get("patch_embed.proj.weight")
    if positions is not None and projection is not None and positions.ndim == 3:
        for patches in (positions.shape[1] - 1, positions.shape[1]):
            side = math.isqrt(max(patches, 0))
            if side and side**2 == patches and projection.ndim == 4:
                changes["img_size"] = side * projection.shape[-1]
                break
    base = source.name.partition(".")[0]
    if "_dinov3" in base and any(is_bias(name) for name in tensors):
        changes["qkv_bias"] = has_bias(tensors)
    elif "_dinov3" in base and timm.is_model(base):
        changes["qkv_bias"] = False
    return changes


def refuse_patches(vit: Any, tensors: dict[str, Tensor], file: Path, name: str) -> None:
    """BackboneError for patches of another size, to which timm would resize the weights."""
    own = vit.patch_embed.proj.weight
    given = tensors.get("patch_embed.proj.weight", own)
    if given.shape != own.shape:
        raise BackboneError(
            f"{file.name} does not fit {name}; different shape: patch_embed.proj.weight "
            f"{tuple(given.shape)} instead of {tuple(own.shape)}"
        )


def described(source: VitSource, name: str) -> BackboneInfo:
    """What a ViT says of itself when nothing else is known."""
    note = f"{source.name} from timm, licence {source.licence}; its tag says how it was trained."
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

    tensors = dict(tensors)  # timm takes some out
    result: dict[str, Tensor]
    try:
        if isinstance(vit, eva.Eva):
            result = eva.checkpoint_filter_fn(tensors, vit)
        else:
            result = vision_transformer.checkpoint_filter_fn(tensors, vit, adapt_layer_scale=True)
    except Exception as error:  # the conversions assume the right file and fail in many ways
        raise BackboneError(f"{file.name} is not a checkpoint of {name} ({error})") from error
    # Some heads' parts are in the model: the norm of models that norm after pooling.
    own = vit.state_dict()
    return {k: t for k, t in result.items() if k in own or not k.startswith(HEADS)}
