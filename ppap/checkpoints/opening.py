"""A checkpoint file → a segmenter that is ready to use, whoever wrote the file."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch

from ppap.backbones import Backbone, BackboneError, called, load_backbone, located
from ppap.backbones.damage import DamagedError
from ppap.backbones.files import all_finite, read_checkpoint
from ppap.backbones.naming import expanded
from ppap.checkpoints.beside import intact_beside
from ppap.checkpoints.learnt import unlearnt
from ppap.checkpoints.own import (
    FORMAT,
    Checkpoint,
    CheckpointError,
    load_checkpoint,
    sound,
    weights_digest,
)
from ppap.checkpoints.published import load_published, read_published
from ppap.data import ClassList, palette
from ppap.segmenter import Segmenter, rebuild

# Side of the squares that the published implementation evaluates on.
PUBLISHED_SIZE = 320


@dataclass(frozen=True, eq=False)
class LoadedSegmenter:
    """A segmenter with what its file says of it."""

    segmenter: Segmenter
    """In evaluation mode, on the device asked for."""
    class_list: ClassList
    """Names and colours of the linear probe's classes."""
    named: bool
    """Whether those names are known; a published checkpoint has none, and its classes are called
    by number unless they were given."""
    size: int
    """Side in pixels of the squares it is evaluated on."""
    step: int | None
    """Optimizer steps it has seen; None where the file does not say."""
    config: dict[str, Any]
    """The configuration of its run; empty where the file has none."""
    source: Literal["studio", "published"]
    """Who wrote the file: this project or the published implementation."""
    digest: str
    """SHA-256: of the content, as our own files hold it, or of a published file's bytes."""
    file: Path
    unlearnt: str = ""
    """What of it has not learnt, in a sentence; empty where all has, or the file does not tell."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names by id."""
        return self.class_list.names


def load_segmenter(
    file: str | Path,
    *,
    device: str | torch.device = "cpu",
    backbone: str | Path | None = None,
    heads: int | None = None,
    classes: ClassList | None = None,
    progress: Callable[[str, float], None] | None = None,
) -> LoadedSegmenter:
    """Open a checkpoint of this project or of the published implementation.

    Args:
        file: the checkpoint; nothing in it is run.
        device: where the segmenter shall run.
        backbone: a local file with the weights of the frozen backbone, where the one that the
            checkpoint names has moved or cannot be downloaded. A published checkpoint holds its
            own.
        heads: attention heads of a ViT in a file, where they are not D / 64.
        classes: names and colours, for a published checkpoint, which has none.
        progress: told what is being downloaded and the fraction done, in [0, 1].

    Raises:
        BackboneError: the file, or the backbone it was trained on, cannot be had, is of another
            kind or does not fit (CheckpointError where the checkpoint itself is at fault).
        ValueError: another number of classes than the checkpoint's.
    """
    path = expanded(str(file))
    try:
        return _load(path, device, backbone, heads, classes, progress)
    except DamagedError as error:
        other = intact_beside(path, _usable)
        raise CheckpointError(f"{error}; {other}" if other else str(error)) from error


def _usable(file: Path) -> bool:
    """Whether a file is a checkpoint of either kind that is whole and holds numbers."""
    if sound(file):
        return True
    try:
        found = read_published(file)
        parts = (found.vit, found.tuned, found.linear, found.cluster)
        return all(all_finite(tensor) for part in parts for tensor in part.values())
    except BackboneError:
        return False


def _load(
    path: Path,
    device: str | torch.device,
    backbone: str | Path | None,
    heads: int | None,
    classes: ClassList | None,
    progress: Callable[[str, float], None] | None,
) -> LoadedSegmenter:
    """See ``load_segmenter``."""
    content = read_checkpoint(path)
    if content.get("format") == FORMAT:
        found = _own(path, str(content.get("sha256")), backbone, heads, progress)
    else:
        if backbone is not None:
            raise BackboneError(
                f"{path.name} is not a checkpoint of PPAP Studio. A published checkpoint contains "
                f"its own backbone: leave out {backbone}"
            )
        found = _published(path, heads)
    if classes is not None and found.source == "published":
        if len(classes) != len(found.class_list):
            raise ValueError(
                f"{path.name} has {len(found.class_list)} classes, not the {len(classes)} given"
            )
        found = replace(found, class_list=classes, named=True)
    found.segmenter.to(device)
    return found


def _own(
    file: Path,
    digest: str,
    given: str | Path | None,
    heads: int | None,
    progress: Callable[[str, float], None] | None,
) -> LoadedSegmenter:
    checkpoint = load_checkpoint(file)
    backbone = backbone_of(checkpoint, file, given=given, heads=heads, progress=progress)
    # Whatever it is called here: its weights are the ones.
    trained = checkpoint.trained._replace(backbone=backbone.info.name)
    return LoadedSegmenter(
        segmenter=rebuild(trained, backbone, file),
        class_list=ClassList(checkpoint.classes, checkpoint.colours),
        named=True,
        size=checkpoint.size,
        step=checkpoint.step,
        config=checkpoint.config,
        source="studio",
        digest=digest,
        file=file,
        unlearnt=unlearnt(checkpoint),
    )


def backbone_of(
    checkpoint: Checkpoint,
    file: Path,
    *,
    given: str | Path | None = None,
    heads: int | None = None,
    progress: Callable[[str, float], None] | None = None,
) -> Backbone:
    """The frozen backbone that a checkpoint was trained on, on the CPU.

    Args:
        checkpoint: says which, by name and by the checksum of its weights.
        file: where the checkpoint is, for the message.
        given: see ``load_segmenter``'s ``backbone``.
        heads: see ``load_segmenter``.
        progress: see ``load_segmenter``.

    Raises:
        BackboneError: it cannot be had.
        CheckpointError: it has other weights.
    """
    name = located(checkpoint.trained.backbone, file.parent)
    model, path = called(name)
    if given is None and path is not None and not path.exists():
        raise CheckpointError(
            f"{file.name} was trained on the backbone {name}, which cannot be found. Put the file "
            "back, or give its new place: --backbone FILE on the command line, backbone=… in "
            "Python"
        )
    chosen = name if given is None else str(given)
    moved = called(chosen)
    if given is not None and model is not None and moved.model is None and moved.file is not None:
        # The file alone: what it is of was said in training.
        chosen = f"{model}@{moved.file}"
    try:
        backbone = load_backbone(chosen, heads=heads, progress=progress)
    except DamagedError as error:  # no other checkpoint would help
        raise BackboneError(str(error)) from error
    if weights_digest(backbone) != checkpoint.backbone_digest:
        what = f"the backbone {name}" if given is None else f"{given} as the backbone"
        raise CheckpointError(
            f"{file.name} was trained on different weights from those of {what}, whose features "
            "would mean nothing to the trained part. Use the backbone file from that training"
        )
    return backbone


def _published(file: Path, heads: int | None) -> LoadedSegmenter:
    segmenter = load_published(file, heads=heads)
    count = segmenter.n_classes
    names = tuple(f"class {i}" for i in range(count))
    return LoadedSegmenter(
        segmenter=segmenter,
        class_list=ClassList(names, palette(count)),
        named=False,
        size=PUBLISHED_SIZE,
        step=None,
        config={},
        source="published",
        digest=file_digest(file),
        file=file,
    )


def file_digest(file: Path) -> str:
    """SHA-256 of a file's bytes."""
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while block := stream.read(2**20):
            digest.update(block)
    return digest.hexdigest()
