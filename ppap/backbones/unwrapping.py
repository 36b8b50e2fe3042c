"""The ViT in a checkpoint, wherever it is: under branches, prefixes, and beside other networks.

Training scripts put it under ``teacher``, ``state_dict`` or ``model``; wrappers add prefixes
(``module.``, ``_orig_mod.``, ``backbone.``, an attribute of a Lightning module) and nest them. It
is found by the names that every ViT's file has, not by a list of wrappers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from ppap.backbones.base import BackboneError
from ppap.backbones.folders import Read
from ppap.backbones.huggingface import as_authors, is_huggingface

# The projection of patches, in timm's and the authors' files and in those of transformers; the
# rest finds an incomplete file, so that what it lacks can be named.
ANCHORS = (
    (
        "patch_embed.proj.weight",
        "embeddings.patch_embeddings.projection.weight",
        "embeddings.patch_embeddings.weight",
    ),
    ("blocks.0.norm1.weight", "encoder.layer.0.norm1.weight"),
    ("pos_embed", "embeddings.position_embeddings"),
    ("cls_token", "embeddings.cls_token"),
)
# Words in a prefix, the better ones first: averages over a training generalise best.
AVERAGES = ("teacher", "ema", "momentum", "target")
LEARNERS = ("student", "online", "query")
# Branches of a training's file that hold no network.
NO_NETWORKS = (
    "optimizer",
    "optimizer_states",
    "optimizers",
    "scaler",
    "scheduler",
    "lr_schedulers",
)
MOST = 200  # dictionaries that are looked into


class Unwrapped(NamedTuple):
    """A ViT's parameters, and where they were."""

    tensors: dict[str, Tensor]
    """Under the names of whoever wrote them, without the prefix."""
    prefix: str = ""
    """Branches and wrappers, such as ``teacher.module.backbone.``."""
    beside: Sequence[str] = ()
    """Other parameters of the same branch: heads, decoders, losses; without its wrappers."""


def unwrapped(content: Mapping[str, Any], file: Path) -> Unwrapped:
    """Find the ViT in a checkpoint's content.

    A file without one comes back as it is, for the message that says what it holds instead.

    Raises:
        BackboneError: it holds several, and nothing says which is meant.
    """
    every = dict(flattened(content))
    prefixes = prefixes_in(every)
    if not prefixes:
        return Unwrapped(
            {plain(n.removeprefix(branch_of(n, content))): t for n, t in every.items()}
        )
    prefix = chosen(prefixes, file)
    branch = branch_of(prefix, content)
    others = tuple(other for other in prefixes if other and not prefix.startswith(other))
    own = {n: t for n, t in every.items() if n.startswith(branch) and not n.startswith(others)}
    tensors = {n.removeprefix(prefix): t for n, t in own.items() if n.startswith(prefix)}
    beside = [plain(n.removeprefix(branch)) for n in own if not n.startswith(prefix)]
    return Unwrapped(unchunked(tensors), prefix, beside)


def flattened(
    content: Mapping[Any, Any], before: str = "", seen: set[int] | None = None
) -> Iterator[tuple[str, Tensor]]:
    """Tensors with their dotted names, from dictionaries in dictionaries.

    Each dictionary once: a pickle may hold one twice, or one that holds itself.
    """
    seen = set() if seen is None else seen
    seen.add(id(content))
    for key, value in content.items():
        if isinstance(value, Tensor):
            yield f"{before}{key}", value
        elif (
            isinstance(value, Mapping)
            and key not in NO_NETWORKS
            and id(value) not in seen
            and len(seen) < MOST
        ):
            yield from flattened(value, f"{before}{key}.", seen)


def prefixes_in(names: Mapping[str, Tensor]) -> list[str]:
    """What stands before the names that tell a ViT; empty where there is none."""
    for anchors in ANCHORS:
        found = [
            name.removesuffix(anchor)
            for anchor in anchors
            for name in names
            if name == anchor or name.endswith(f".{anchor}")
        ]
        if found:
            return found
    return []


def chosen(prefixes: list[str], file: Path) -> str:
    """The prefix of the network that is meant."""
    best = min(rank(prefix) for prefix in prefixes)
    first = [prefix for prefix in prefixes if rank(prefix) == best]
    if len(first) > 1:
        raise BackboneError(
            f"{file.name} contains {len(first)} ViTs, under {' and under '.join(sorted(first))}, "
            "and it is not clear which to use: save the weights of one alone, "
            "torch.save(model.state_dict(), path)"
        )
    return first[0]


def rank(prefix: str) -> int:
    """How much a prefix promises; the least is the best."""
    words = set(re.split(r"[._]", prefix.lower()))
    if words & set(AVERAGES):
        return 0
    return 2 if words & set(LEARNERS) else 1


def branch_of(prefix: str, content: Mapping[str, Any]) -> str:
    """The part of a prefix that is a dictionary of the file, not of names in one."""
    branch, inside = "", content
    for part in prefix.split("."):
        inner = inside.get(part)
        if not isinstance(inner, Mapping):
            break
        branch, inside = f"{branch}{part}.", inner
    return branch


def plain(name: str) -> str:
    """A name without what training on several devices, or compiling, puts before it."""
    return re.sub(r"^((module|_orig_mod|model)\.)+", "", name)


def unchunked(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """DINOv2 trains in chunks: its block 7 is ``blocks.1.7`` there, and ``blocks.7`` everywhere."""
    return {re.sub(r"^blocks\.\d+\.(\d+)\.", r"blocks.\1.", n): t for n, t in tensors.items()}


def vit_in(read: Read) -> Unwrapped:
    """The ViT in a checkpoint that was read, under its authors' names, which timm knows, too.

    Raises:
        BackboneError: see ``unwrapped`` and ``as_authors``.
    """
    found = unwrapped(read.content, read.file)
    if not is_huggingface(found.tensors):
        return found
    return found._replace(tensors=as_authors(found.tensors, read.file))
