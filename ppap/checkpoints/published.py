"""Checkpoints of the published PPAP implementation, as segmenters.

They are files of ``torch.save`` with one state for each of three models: the network
(``model.*`` the frozen ViT, ``decoder.*`` the trained copy of its last block, ``project_head.*``
the projection), the linear probe and the cluster probe. The architecture is not written down in
them; it is measured from the shapes.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from torch import Tensor, nn

from ppap.backbones import Backbone, BackboneError
from ppap.backbones.files import fill, named, read_checkpoint
from ppap.backbones.plain import Checkpoint, Kind, build, refuse_others
from ppap.segmenter import Segmenter, TunedBlock

NET, LINEAR, CLUSTER = (f"{part}_model_state_dict" for part in ("net", "linear", "cluster"))
FROZEN = "model."
TUNED = ("decoder.", "project_head.")
NOTE = "The frozen ViT from a published PPAP checkpoint, which does not say how it was trained."


class Published(NamedTuple):
    """The tensors of a published checkpoint, by what they belong to."""

    vit: dict[str, Tensor]
    """The frozen ViT under timm's names."""
    tuned: dict[str, Tensor]
    """``decoder.*`` and ``project_head.*``."""
    linear: dict[str, Tensor]
    cluster: dict[str, Tensor]


def load_published(file: Path, *, heads: int | None = None) -> Segmenter:
    """The segmenter in a published checkpoint, in evaluation mode, on the CPU.

    Args:
        file: what the published training wrote; nothing in it is run.
        heads: attention heads of each block, where they are not D / 64 (the file cannot tell).

    Raises:
        BackboneError: the file cannot be read, is of another kind, or lacks parameters or has
            some too many; names them.
    """
    found = read_published(file)
    refuse_others(found.vit, file)
    # Kind.DINO: the published code runs every ViT with DINO's positions and final norm.
    backbone = build(Checkpoint(Kind.DINO, found.vit, NOTE), file, heads=heads, alone=False)
    classes, clusters = counted(found, backbone, file)
    segmenter = Segmenter(backbone, classes, extra_clusters=clusters - classes)
    head = segmenter.head
    assert isinstance(head, TunedBlock)
    tuned = nn.ModuleDict({"decoder": head.trained_block, "project_head": head.projection})
    what = backbone.info.title
    fill(tuned, found.tuned, file, f"a copy of the last block and a projection of {what}")
    fill(segmenter.linear_probe, found.linear, file, f"the linear probe ({LINEAR})")
    fill(segmenter.cluster_probe, found.cluster, file, f"the cluster probe ({CLUSTER})")
    return segmenter.eval()


def read_published(file: Path) -> Published:
    """Read a published checkpoint and sort its tensors.

    Raises:
        BackboneError: it cannot be read, lacks a part, or has parameters of no known part.
    """
    content = read_checkpoint(file)
    absent = [name for name in (NET, LINEAR, CLUSTER) if not isinstance(content.get(name), Mapping)]
    if absent:
        raise BackboneError(
            f"{file.name} is not a published PPAP checkpoint: it lacks {', '.join(absent)}. If it "
            "is only a backbone, choose it as a backbone: it contains nothing to segment with"
        )
    net = tensors(content[NET])
    unknown = [name for name in net if not name.startswith((FROZEN, *TUNED))]
    if unknown:
        raise BackboneError(
            f"{file.name} is from a different network than PPAP's; unexpected: {named(unknown)}"
        )
    return Published(
        {n.removeprefix(FROZEN): t for n, t in net.items() if n.startswith(FROZEN)},
        {n: t for n, t in net.items() if n.startswith(TUNED)},
        tensors(content[LINEAR]),
        tensors(content[CLUSTER]),
    )


def tensors(state: Mapping[str, object]) -> dict[str, Tensor]:
    """The tensors of a state; without the prefix that training on several devices adds."""
    return {
        str(name).removeprefix("module."): tensor
        for name, tensor in state.items()
        if isinstance(tensor, Tensor)
    }


def counted(found: Published, backbone: Backbone, file: Path) -> tuple[int, int]:
    """How many classes and clusters the probes have, from their shapes."""
    counts = []
    for part, state, name in (
        (LINEAR, found.linear, "weight"),
        (CLUSTER, found.cluster, "clusters"),
    ):
        if name not in state or state[name].ndim < 2 or not len(state[name]):
            raise BackboneError(f"{file.name} is incomplete; missing: {name} in {part}")
        counts.append(len(state[name]))
    classes, clusters = counts
    if clusters < classes:
        raise BackboneError(
            f"{file.name} has {clusters} clusters for {classes} classes; there must be at least "
            "one for each"
        )
    return classes, clusters
