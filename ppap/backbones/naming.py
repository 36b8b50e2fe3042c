"""What a backbone can be called: a model's name, a file's path, or both: ``name@file``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from ppap.places import ROOT

# What makes a name without a folder a file.
SUFFIXES = (".pth", ".pt", ".bin", ".ckpt", ".tar", ".safetensors")
NEAR = 5  # a checkpoint's folder, its run's, and those that runs are kept in
MODEL = re.compile(r"\w+(\.\w+)?", re.ASCII)


class Called(NamedTuple):
    """What a name means."""

    model: str | None
    """A model's name; None where the weights must tell."""
    file: Path | None
    """A file of weights, or a folder with one; None where they are downloaded."""


def called(name: str | Path) -> Called:
    """Take a name apart: ``dinov2_vits14``, ``weights/x.pth`` or ``dinov2_vits14@weights/x.pth``.

    Names of models have neither folders nor the suffixes of files. A file that is there and has an
    @ in its own name stays that file.
    """
    if isinstance(name, Path):
        return Called(None, name.expanduser())
    model, at, rest = name.partition("@")
    if at and rest and MODEL.fullmatch(model) and not model.endswith(SUFFIXES) and not there(name):
        return Called(model, expanded(rest))
    if "/" in name or "\\" in name or name.endswith(SUFFIXES):
        return Called(None, expanded(name))
    return Called(name, None)


def as_path(name: str | Path) -> Path | None:
    """The file that a name means or ends in; None where it is a model's name alone."""
    return called(name).file


def with_file(name: str, file: Path) -> str:
    """The same backbone with its weights in another place; a name without a file stays as it is."""
    model, old = called(name)
    if old is None:
        return name
    return str(file) if model is None else f"{model}@{file}"


def absolute(name: str, folder: Path | None = None) -> str:
    """A name that means the same from every folder; ``folder``: what it is relative to."""
    file = as_path(name)
    if file is None:
        return name
    return with_file(name, (file if folder is None else folder / file).absolute())


def located(name: str, near: Path) -> str:
    """A name whose relative file is looked for from the current folder, then around ``near``.

    Earlier versions kept files as they were typed, relative to wherever the command was given: in
    most cases the folder that the run's folder was named from.
    """
    file = as_path(name)
    if file is None or file.is_absolute():
        return name
    for folder in (Path.cwd(), *[near.absolute(), *near.absolute().parents][:NEAR], ROOT):
        if there(str(folder / file)):
            return with_file(name, folder / file)
    return name


def expanded(text: str) -> Path:
    """A path with ``~`` put in, where this machine knows a home for it."""
    try:
        return Path(text).expanduser()
    except RuntimeError:  # no such user, or nobody's home is known
        return Path(text)


def there(text: str) -> bool:
    """Whether a file or folder of exactly this name exists."""
    try:
        return expanded(text).exists()
    except (OSError, ValueError):  # too long, or with characters that no name has
        return False
