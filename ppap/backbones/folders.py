"""Weights in a folder, as Hugging Face's libraries and its hub's cache keep them, and beside them
what the model says of itself."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from ppap.backbones.base import BackboneError
from ppap.backbones.files import read_checkpoint
from ppap.backbones.naming import SUFFIXES

# The usual names, the best first.
WEIGHTS = ("model.safetensors", "pytorch_model.bin", "open_clip_pytorch_model.bin")
INDEXES = ("model.safetensors.index.json", "pytorch_model.bin.index.json")
PREPROCESSOR = "preprocessor_config.json"
UNFINISHED = (".incomplete", ".part", ".partial", ".crdownload", ".download", ".aria2", ".tmp")


class Read(NamedTuple):
    """The content of a checkpoint, whole."""

    file: Path
    """Of the weights; one of them where they are in several."""
    content: dict[str, Any]
    facts: Facts


class Facts(NamedTuple):
    """What a folder says of the model in it; empty where it says nothing."""

    model_type: str = ""
    """What transformers calls the architecture: ``vit``, ``vit_mae``, ``dinov2``, …"""
    architecture: str = ""
    """timm's name of the model, with its tag."""
    activation: str = ""
    heads: int | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None


def read_weights(path: Path) -> Read:
    """Read a file of weights, or a folder that has one.

    Raises:
        BackboneError: it cannot be read, or the folder has none or several that may be meant.
    """
    if not path.is_dir():
        return Read(path, read_checkpoint(path), facts_beside(path))
    folder = snapshot(path)
    for name in WEIGHTS:
        if (folder / name).is_file():
            return Read(folder / name, read_checkpoint(folder / name), facts_in(folder))
    for name in INDEXES:
        if (folder / name).is_file():
            return Read(folder / name, read_parts(folder / name), facts_in(folder))
    file = only_weights(folder)
    return Read(file, read_checkpoint(file), facts_in(folder))


def has_weights(folder: Path) -> bool:
    """Whether a folder is one that ``read_weights`` takes for a model's."""
    try:
        known = any((folder / name).is_file() for name in (*WEIGHTS, *INDEXES))
        return known or (folder / "snapshots").is_dir()
    except OSError:
        return False


def snapshot(folder: Path) -> Path:
    """The folder that has the files: the hub's cache keeps every version of them in one."""
    versions = folder / "snapshots"
    if not versions.is_dir():
        return folder
    main = folder / "refs" / "main"
    if main.is_file() and (versions / main.read_text(encoding="utf-8").strip()).is_dir():
        return versions / main.read_text(encoding="utf-8").strip()
    found = sorted(each for each in versions.iterdir() if each.is_dir())
    if len(found) != 1:
        raise BackboneError(
            f"{folder} is a folder with {len(found)} versions of a model: choose one in {versions}"
        )
    return found[0]


def only_weights(folder: Path) -> Path:
    """The one file of weights in a folder."""
    names = sorted(each.name for each in folder.iterdir() if each.is_file())
    found = [name for name in names if name.endswith(SUFFIXES)]
    if len(found) == 1:
        return folder / found[0]
    advice = "for a run, checkpoints/reported.pt"
    if found:
        advice = f"it has {listed(found)}"
    elif unfinished := [name for name in names if name.endswith(UNFINISHED)]:
        advice = f"{unfinished[0]} is an unfinished download"
    elif (folder / "tf_model.h5").is_file() or (folder / "flax_model.msgpack").is_file():
        advice = "it has weights for TensorFlow or Flax only; download model.safetensors too"
    raise BackboneError(f"{folder} is a folder: choose a file in it; {advice}")


def listed(names: list[str]) -> str:
    """Some names, in words."""
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return ", ".join(names[:4]) + more


def read_parts(index: Path) -> dict[str, Any]:
    """A checkpoint that is spread over several files."""
    parts = read_json(index).get("weight_map")
    if not isinstance(parts, dict) or not parts:
        raise BackboneError(f"{index} does not say which files contain the weights")
    content: dict[str, Any] = {}
    for name in sorted({str(part) for part in parts.values()}):
        # The index is somebody else's: it may only speak of files beside it.
        if Path(name).name != name:
            raise BackboneError(f"{index} refers to a file outside its folder: {name}")
        if not (index.parent / name).is_file():
            raise BackboneError(
                f"{index} refers to {name}, which is not next to it: download it too"
            )
        content.update(read_checkpoint(index.parent / name))
    return content


def refuse_activation(facts: Facts, file: Path, usual: str) -> None:
    """BackboneError where the layers' activation is another than in every published model."""
    if facts.activation not in ("", usual):
        raise BackboneError(
            f"according to its config.json, {file} is from a ViT with the activation "
            f"{facts.activation}; only {usual} is supported"
        )


def facts_beside(file: Path) -> Facts:
    """What is said beside a file with one of the usual names; others may belong to anything."""
    if file.name in WEIGHTS and file.is_file():
        return facts_in(file.parent)
    return Facts()


def facts_in(folder: Path) -> Facts:
    """What ``config.json`` and ``preprocessor_config.json`` say, as far as it makes sense."""
    config, images = (read_json(folder / name) for name in ("config.json", PREPROCESSOR))
    told = config.get("pretrained_cfg")
    told = told if isinstance(told, dict) else {}
    name, tag = config.get("architecture"), told.get("tag")
    architecture = name if isinstance(name, str) else ""
    if architecture and isinstance(tag, str) and tag:
        architecture = f"{architecture}.{tag}"
    heads = config.get("num_attention_heads")
    model_type, activation = config.get("model_type"), config.get("hidden_act")
    return Facts(
        model_type=model_type if isinstance(model_type, str) else "",
        architecture=architecture,
        activation=activation if isinstance(activation, str) else "",
        heads=heads if isinstance(heads, int) and heads > 0 else None,
        mean=channels(images.get("image_mean")) or channels(told.get("mean")),
        std=spreads(images.get("image_std")) or spreads(told.get("std")),
    )


def channels(value: object) -> tuple[float, ...] | None:
    """Three numbers, one for each channel; None for anything else."""
    if not isinstance(value, Iterable) or isinstance(value, str):
        return None
    numbers = tuple(value)
    if len(numbers) != 3 or not all(isinstance(number, int | float) for number in numbers):
        return None
    return tuple(float(number) for number in numbers)


def spreads(value: object) -> tuple[float, ...] | None:
    """The same; none may be zero, for images are divided by them."""
    numbers = channels(value)
    return None if numbers is None or min(numbers) <= 0 else numbers


def read_json(file: Path) -> dict[str, Any]:
    """An object in a file; empty where there is none."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
