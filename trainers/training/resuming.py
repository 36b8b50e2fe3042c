"""What a run goes on from: its newest whole checkpoint, and the settings that it was trained with.

``config.json`` is there for people, who may edit it or lose a part of it. What a run was trained
with stands in its checkpoints; where the two differ, the checkpoint is right.
"""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch

from ppap.checkpoints.own import Checkpoint, CheckpointError, load_checkpoint
from ppap.settings import SettingError, excerpt
from trainers.config import KIND, Config, checked, limits, parse_changes, read_config, unknown
from trainers.recipes import find
from trainers.runs.folder import Run, RunError
from trainers.tracking.asked import current

# What may change between a run's beginning and its continuation: nothing of what it computes.
CHANGEABLE = (
    "cache",
    "cache_gb",
    "checkpoint_every",
    "crf",
    "device",
    "devices",
    "exchange",
    "keep",
    "log_every",
    "track",
    "track_project",
    "workers",
)
# The backbone's file may have moved: a checkpoint knows its weights by their checksum.
MAY_DIFFER = (*CHANGEABLE, "backbone")


def newest(target: Run, warn: Callable[[str], Any]) -> tuple[Path, Checkpoint] | None:
    """The newest checkpoint that is whole; None where there is none at all.

    Raises:
        CheckpointError: there are some, but none can be read.
    """
    failed = None
    for file in reversed(target.steps()):
        try:
            return file, sound(file, load_checkpoint(file))
        except CheckpointError as error:
            failed = failed or error
            warn(f"{error}.")
    if failed is not None:
        raise failed
    return None


def sound(file: Path, checkpoint: Checkpoint) -> Checkpoint:
    """CheckpointError where a weight is no number: what goes on from it would be none, too."""
    for name, weight in checkpoint.trained.tensors.items():
        if weight.is_floating_point() and not bool(torch.isfinite(weight).all()):
            raise CheckpointError(
                f"{file.name} cannot be used: its weights {name} contain NaN or infinity"
            )
    return checkpoint


class Mended(NamedTuple):
    """The settings that a run goes on with."""

    config: Config
    told: list[str]
    """What was not as it should be, a sentence each."""


def readable_config(target: Run) -> Config:
    """The settings in ``config.json``; those of the newest checkpoint where it makes no sense.

    Raises:
        RunError, SettingError: as ``Run.config``, where there is no checkpoint either.
    """
    try:
        return target.config()
    except (RunError, SettingError) as error:
        trained_with = None
        if target.exists():
            with contextlib.suppress(CheckpointError):
                latest = newest(target, lambda _: None)
                trained_with = None if latest is None else latest[1].config
        if trained_with is None:
            if isinstance(error, SettingError):
                raise SettingError(error.field, f"{target.config_file}: {error}") from None
            raise
        return mended(target, trained_with, {}).config


def mended(
    target: Run, trained_with: Mapping[str, Any] | None, changes: Mapping[str, str]
) -> Mended:
    """Hold ``config.json`` against what the run was trained with.

    Args:
        target: the run.
        trained_with: the settings in its newest checkpoint; None where there is none yet.
        changes: settings that are changed now.

    Raises:
        SettingError: a setting that does not exist, or a value out of range.
    """
    told: list[str] = []
    raw: dict[str, Any] = {}
    try:
        raw = target.raw_config()
    except RunError as error:
        if trained_with is None:
            raise
        told.append(f"{error} The settings are taken from the newest checkpoint.")
    for name in raw:
        if name not in KIND:
            raise unknown(name)
    if trained_with is None:
        return _filled_up(target, raw, changes)
    found = dict(raw)
    lacking = []
    for name, value in current(trained_with).items():
        if name not in KIND or not _fits(name, value):
            continue
        if name not in raw:
            found[name] = value
            lacking.append(name)
        elif not _fits(name, raw[name]):
            found[name] = value
            told.append(
                f"config.json has the invalid value {name}={excerpt(raw[name])}: continuing with "
                f"{name}={value}, from the newest checkpoint."
            )
        elif name not in MAY_DIFFER and _value(name, raw[name]) != _value(name, value):
            found[name] = value
            told.append(
                f"config.json says {name}={excerpt(raw[name])}, but the run was trained with "
                f"{name}={value}: continuing with that. For other settings, start a new run."
            )
    if lacking and raw:
        told.append(
            f"config.json lacks {', '.join(lacking)}: taken from the newest checkpoint "
            f"({_listed(found, lacking)})."
        )
    return Mended(read_config(found).with_(changes), told)


def _filled_up(target: Run, raw: dict[str, Any], changes: Mapping[str, str]) -> Mended:
    """Of a run without a checkpoint: what is lacking, its recipe and its command tell."""
    lacking = [name for name in KIND if name not in raw]
    if not lacking:
        return Mended(read_config(raw).with_(changes), [])
    usual = Config().as_dict()
    with contextlib.suppress(SettingError, OSError, ValueError):
        words = shlex.split((target.folder / "command.txt").read_text(encoding="utf-8"))[3:]
        usual = find(str(raw.get("recipe") or words[0])).config.as_dict()
        usual |= parse_changes(_after_set(words))
    found = {**usual, **raw}
    sentence = (
        f"config.json lacks {', '.join(lacking)}: taken from the run's command and its recipe "
        f"({_listed(found, lacking)})."
    )
    return Mended(read_config(found).with_(changes), [sentence])


def _after_set(words: list[str]) -> list[str]:
    """The settings on a command line as ``trainers.training.arguments`` writes it."""
    return words[words.index("--set") + 1 :] if "--set" in words else []


def _listed(found: Mapping[str, Any], names: Iterable[str]) -> str:
    return ", ".join(f"{name}={found[name]}" for name in names)


def _fits(name: str, value: object) -> bool:
    try:
        checked(name, value, KIND[name], limits(name))
    except SettingError:
        return False
    return True


def _value(name: str, value: object) -> object:
    return checked(name, value, KIND[name], limits(name))
