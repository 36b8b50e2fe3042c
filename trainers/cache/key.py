"""What cached features depend on, as plain facts; their hash is the name of the cache.

Anything that changes a stored number must be among the facts: the files (by path, size and time
of change), how they are cut, the label numbers, the backbone's weights and settings, the size, and
the format. Where the data lies, and under which name the backbone was asked for, must not be.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from torch import nn

from ppap.backbones import Backbone
from ppap.checkpoints.own import weights_digest
from ppap.data import DataError, Dataset
from ppap.data.base import OnError

FORMAT = "ppap-studio cached features"
VERSION = 2  # 2: DINOv2 resizes its positions as its authors do
KEY_LETTERS = 16


class Facts(NamedTuple):
    """What one cache is of."""

    data: dict[str, Any]
    backbone: dict[str, Any]
    size: int
    fields: dict[str, Any]
    """What is stored of every image: name → type and shape."""

    def key(self) -> str:
        """Their hash, hexadecimal."""
        text = json.dumps([FORMAT, VERSION, self._asdict()], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:KEY_LETTERS]

    def folder_name(self, name: str) -> str:
        """Where it lies below the root: words for people, then the key."""
        words = f"{self.data['kind']}-{self.data['split']}-{name}-{self.size}"
        return f"{re.sub('[^A-Za-z0-9._]+', '-', words)[:80].strip('-.')}-{self.key()}"


def facts_of_data(dataset: Dataset) -> dict[str, Any]:
    """What decides the squares and label maps of a data set.

    Raises:
        DataError: a file of it is missing; names it.
    """
    own = {f.name for f in fields(Dataset)}
    return {
        "kind": dataset.name,
        "split": dataset.split,
        "images": len(dataset),
        "files": digest_of_files(dataset),
        "label_table": hashlib.sha256(dataset.table.tobytes()).hexdigest(),
        # Such as the ratio of five crops.
        "cut": {
            type(dataset).__name__: {
                f.name: getattr(dataset, f.name) for f in fields(dataset) if f.name not in own
            }
        },
        "readers": [called(dataset.read_photo), called(dataset.read_stored)],
        # Stand-ins for images that cannot be read must not reach a run that would stop at those.
        **({"on_error": dataset.on_error} if dataset.on_error != "stop" else {}),
        **({"resizing": dataset.resizing} if dataset.resizing != "smooth" else {}),
    }


def digest_of_files(dataset: Dataset) -> str:
    """SHA-256 over path below the root, size and time of change of every image and label map."""
    digest = hashlib.sha256()
    root = os.path.join(os.fspath(dataset.root), "")  # noqa: PTH118  (a million paths)
    last, told = None, b""
    for item in dataset.items:
        # The five crops of a picture follow each other.
        if (item.image, item.labels) != last:
            last = (item.image, item.labels)
            told = b"".join(told_of(path, root, dataset.on_error) for path in last)
        digest.update(told)
    return digest.hexdigest()


def told_of(path: Path | None, root: str, on_error: OnError = "stop") -> bytes:
    """One file for ``digest_of_files``; a label map that is not there is a fact, too, and so is
    any file where those that cannot be read are skipped."""
    if path is None:
        return b"none\0"
    name = os.fspath(path)
    try:
        found = os.stat(name)  # noqa: PTH116
    except OSError as error:
        if on_error == "skip":
            return os.fsencode(f"{name.removeprefix(root)}\0missing\0")
        raise DataError(path, f"cannot be read: {error.strerror or error}") from None
    told = f"{name.removeprefix(root)}\0{found.st_size}\0{found.st_mtime_ns}\0"
    return os.fsencode(told)


def called(function: Callable[..., Any]) -> str:
    """A function by name, with what was set of it beforehand."""
    if isinstance(function, partial):
        return f"{called(function.func)}{function.args}{sorted(function.keywords.items())}"
    module = getattr(function, "__module__", "")
    return f"{module}.{getattr(function, '__qualname__', type(function).__name__)}"


def facts_of_backbone(backbone: Backbone) -> dict[str, Any]:
    """What decides the features of a square: weights, and settings that are no weights."""
    settings = {name: settings_of(module) for name, module in backbone.named_modules()}
    text = json.dumps(settings, sort_keys=True)
    return {
        "class": type(backbone).__name__,
        "patch_size": backbone.patch_size,
        "weights": weights_digest(backbone),
        "mean": backbone.mean.flatten().tolist(),
        "std": backbone.std.flatten().tolist(),
        "precision": str(backbone.mean.dtype),
        "settings": hashlib.sha256(text.encode()).hexdigest(),
    }


def settings_of(module: nn.Module) -> dict[str, Any]:
    """Numbers, switches and words that a module holds, such as its heads or its epsilon."""
    plain = {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in vars(module).items()
        if not name.startswith("_") and name != "training" and is_plain(value)
    }
    return {"is": type(module).__name__, **plain}


def is_plain(value: object) -> bool:
    """Whether a value is a number, a switch, a word, or several numbers."""
    if isinstance(value, tuple):
        return all(isinstance(part, int | float) for part in value)
    return value is None or isinstance(value, bool | int | float | str)
