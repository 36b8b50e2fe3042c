"""Checkpoint files: written whole or not at all, with their configuration and a checksum inside.

A file is what ``torch.save`` writes of plain values and tensors, so reading one runs no code. The
frozen backbone is not in it, only its name and a checksum of its weights.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ppap.backbones import BackboneError
from ppap.backbones.damage import DamagedError
from ppap.backbones.files import all_finite, read_checkpoint
from ppap.checkpoints.beside import intact_beside
from ppap.segmenter import Trained
from ppap.writing import writing

FORMAT = "ppap-studio checkpoint"
VERSION = 1


class CheckpointError(BackboneError):
    """A checkpoint that cannot be read or written; the message names the file."""


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """What is in a checkpoint file."""

    trained: Trained
    """Head and probes."""
    backbone_digest: str
    """``weights_digest`` of the backbone that it was trained on."""
    classes: tuple[str, ...]
    """Names of the linear probe's classes."""
    colours: tuple[tuple[int, int, int], ...]
    """RGB, by class id."""
    size: int
    """Side in pixels of the squares it is evaluated on."""
    step: int
    """Optimizer steps it has seen."""
    config: dict[str, Any] = field(default_factory=dict)
    """The configuration of the run, as plain JSON values."""
    training: dict[str, Any] | None = None
    """What continuing needs beside it: optimizers, scaler, random state; plain values and tensors.
    None where only the result is kept."""


def save_checkpoint(checkpoint: Checkpoint, file: Path) -> str:
    """Write a checkpoint; whoever looks sees the old file or the new one, never a part.

    Returns:
        The SHA-256 of its content, as the file holds it, too.

    Raises:
        CheckpointError: it cannot be written; an older file of that name is still whole.
    """
    content = {
        "format": FORMAT,
        "version": VERSION,
        "trained": checkpoint.trained._asdict(),
        "backbone_digest": checkpoint.backbone_digest,
        "classes": list(checkpoint.classes),
        "colours": [list(colour) for colour in checkpoint.colours],
        "size": checkpoint.size,
        "step": checkpoint.step,
        "config": json.dumps(checkpoint.config, ensure_ascii=False, sort_keys=True),
        "training": checkpoint.training,
    }
    digest = content_digest(content)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with writing(file) as partial:
            torch.save({**content, "sha256": digest}, partial)
    except OSError as error:
        raise CheckpointError(f"{file} cannot be written: {error.strerror or error}") from error
    except RuntimeError as error:  # what torch makes of a disk that takes no more
        reason = (str(error).splitlines() or [""])[0]
        raise CheckpointError(f"{file} cannot be written: is the disk full? ({reason})") from error
    return digest


def load_checkpoint(file: Path) -> Checkpoint:
    """Read a checkpoint and hold its content against its checksum.

    Raises:
        CheckpointError: there is no such file, it is of another kind, or damaged.
    """
    try:
        return _read(file)
    except DamagedError as error:
        other = intact_beside(file, sound)
        raise CheckpointError(f"{error}; {other}" if other else str(error)) from error


def sound(file: Path) -> bool:
    """Whether a file is a checkpoint of ours that is whole and holds numbers."""
    try:
        return all(map(all_finite, _read(file).trained.tensors.values()))
    except BackboneError:
        return False


def _read(file: Path) -> Checkpoint:
    """See ``load_checkpoint``; DamagedError where the file is at fault."""
    try:
        content = read_checkpoint(file)
    except DamagedError:
        raise
    except BackboneError as error:
        raise CheckpointError(str(error)) from error
    if content.get("format") != FORMAT:
        raise CheckpointError(f"{file.name} is not a checkpoint of PPAP Studio")
    if content.get("version") != VERSION:
        raise CheckpointError(
            f"{file.name} uses version {content.get('version')} of the format; this PPAP Studio "
            f"reads version {VERSION}"
        )
    digest = content.pop("sha256", None)
    if digest != content_digest(content):
        raise DamagedError(
            f"{file} is damaged: its content does not match its checksum. "
            "Use an older checkpoint of the run"
        )
    return Checkpoint(
        trained=Trained(**content["trained"]),
        backbone_digest=content["backbone_digest"],
        classes=tuple(content["classes"]),
        colours=tuple((r, g, b) for r, g, b in content["colours"]),
        size=content["size"],
        step=content["step"],
        config=json.loads(content["config"]),
        training=content["training"],
    )


def is_checkpoint(file: Path) -> bool:
    """Whether the file says it is one of ours; CheckpointError where it cannot be read at all."""
    try:
        return read_checkpoint(file).get("format") == FORMAT
    except BackboneError as error:
        raise CheckpointError(str(error)) from error


def content_digest(content: Mapping[str, Any]) -> str:
    """SHA-256 over plain values and tensors, whatever the order of the names."""
    digest = hashlib.sha256()
    _feed(digest, content)
    return digest.hexdigest()


def _feed(digest: Any, value: object) -> None:
    if isinstance(value, Tensor):
        plain = value.detach().cpu().contiguous()
        digest.update(f"tensor {plain.dtype} {tuple(plain.shape)}:".encode())
        digest.update(plain.flatten().view(torch.uint8).numpy().data if plain.numel() else b"")
    elif isinstance(value, Mapping):
        digest.update(f"mapping {len(value)}:".encode())
        for key in sorted(value, key=lambda key: (type(key).__name__, str(key))):
            _feed(digest, key)
            _feed(digest, value[key])
    elif isinstance(value, Sequence) and not isinstance(value, str | bytes):
        digest.update(f"sequence {len(value)}:".encode())
        for part in value:
            _feed(digest, part)
    else:
        digest.update(f"{type(value).__name__} {value!r};".encode())


def weights_digest(network: nn.Module) -> str:
    """SHA-256 of a network's parameters and buffers: the same weights, the same digest."""
    return content_digest(dict(network.state_dict()))
