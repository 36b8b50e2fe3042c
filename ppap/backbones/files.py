"""Checkpoint files read without running anything in them."""

from __future__ import annotations

import re
import threading
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ppap.backbones.base import BackboneError

# What training scripts leave beside the weights: settings, counters and schedules.
HARMLESS = (
    "argparse.Namespace",
    "numpy.dtype",
    "numpy.ndarray",
    "numpy.core.multiarray.scalar",
    "numpy.core.multiarray._reconstruct",
    "numpy._core.multiarray.scalar",
    "numpy._core.multiarray._reconstruct",
    "pathlib.Path",
    "pathlib.PosixPath",
    "pathlib.WindowsPath",
    "pathlib.PurePosixPath",
    "pathlib._local.PosixPath",
    "pathlib._local.WindowsPath",
)


# torch keeps one list of allowed names for all threads.
ALLOWING = threading.Lock()


class Ignored:
    """Stands in for the HARMLESS objects of a file, whose contents nobody reads.

    So even those are never called: they come out as instances of this class.
    """

    def __new__(cls, *_: object) -> Ignored:
        """Take any arguments and forget them."""
        return super().__new__(cls)

    def __init__(self, *_: object) -> None:
        pass

    def __setstate__(self, _: object) -> None:
        pass


def read_checkpoint(file: Path) -> dict[str, Any]:
    """The dictionary in a ``.safetensors`` file or one written by ``torch.save``.

    Tensors come to the CPU. Anything in the file that is neither a tensor, a plain Python value
    nor HARMLESS is refused, and nothing in it is executed.

    Raises:
        BackboneError: there is no such file, it is damaged or no checkpoint, or asks for code.
    """
    if file.is_dir():
        raise BackboneError(
            f"{file} is a folder: name a file in it; a run's is checkpoints/reported.pt"
        )
    try:
        with file.open("rb") as stream:
            start = stream.read(64)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else None
        raise BackboneError(f"{file} cannot be opened: {why or error}") from error
    safe = file.suffix == ".safetensors"
    content = _safetensors(file, start) if safe else _pickled(file, start)
    if not isinstance(content, Mapping):
        raise BackboneError(
            f"{file.name} holds a {type(content).__name__}, not a dictionary of parameters; "
            "save the model's state_dict()"
        )
    return {str(key): value for key, value in content.items()}


def _safetensors(file: Path, start: bytes) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(file)
    except (SafetensorError, OSError, ValueError) as error:
        raise damaged(file, start, error) from error


def _pickled(file: Path, start: bytes) -> object:
    # A set of (stand-in, name) pairs, to which torch looks up the names in the file.
    stand_ins: list[Any] = [(Ignored, name) for name in HARMLESS]
    try:
        with ALLOWING, torch.serialization.safe_globals(stand_ins):
            # Mapped, the optimizer's half of a training checkpoint is never read from the disk.
            return torch.load(
                file, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(file)
            )
    except Exception as error:  # a damaged file can raise nearly anything
        asked = re.search(r"GLOBAL ([\w.]+)", str(error))
        if asked is None:
            raise damaged(file, start, error) from error
        raise BackboneError(
            f"{file.name} asks to run {asked[1]}; it was refused and nothing in it was run. "
            "Save only the weights: torch.save(model.state_dict(), path), or use .safetensors"
        ) from error


def damaged(file: Path, start: bytes, error: Exception) -> BackboneError:
    """The error for a file that cannot be read; its first bytes give the usual reasons away."""
    if not start:
        reason = "the file is empty"
    elif start.lstrip().startswith(b"<"):
        reason = "it is a web page, saved in place of the file behind a link"
    elif start.startswith(b"version https://git-lfs"):
        reason = "it is a Git LFS pointer; fetch the file itself with git lfs pull"
    elif start.startswith(b"PK") and not zipfile.is_zipfile(file):
        reason = "its end is missing; copy or download it again"
    else:
        said = next(iter(str(error).strip().splitlines()), "")
        first = re.split(r"(?<=[.!?]) ", said)[0]
        # torch names the first byte that it does not know, or nothing.
        reason = "it is no such file, or it is damaged"
        reason += f" ({first})" if " " in first else ""
    return BackboneError(f"{file.name} cannot be read as a checkpoint: {reason}")


def tensors_only(content: Mapping[str, Any]) -> dict[str, Tensor]:
    """The network in a checkpoint: its dictionary of tensors, wherever that is.

    Training scripts put it under ``teacher``, ``state_dict`` or ``model``; plain files are the
    dictionary themselves.
    """
    for branch in ("teacher", "state_dict", "model", "student"):
        inner = content.get(branch)
        if isinstance(inner, Mapping):
            tensors = {str(k): v for k, v in inner.items() if isinstance(v, Tensor)}
            if tensors:
                return tensors
    return {k: v for k, v in content.items() if isinstance(v, Tensor)}


def fill(
    network: nn.Module, tensors: Mapping[str, Tensor], file: Path, what: str, *, extra: bool = False
) -> None:
    """Copy a file's tensors into a network, every parameter of it accounted for.

    Args:
        network: gets the values.
        tensors: under the network's own names.
        file: where they are from, and ``what`` it is taken for: for the message.
        what: see ``file``.
        extra: whether tensors that the network has no place for are fine.

    Raises:
        BackboneError: parameters are missing, unexpected or of other shapes; names them.
    """
    own = network.state_dict()
    missing = [name for name in own if name not in tensors]
    unexpected = [] if extra else [name for name in tensors if name not in own]
    shapes = [
        f"{name} {tuple(tensors[name].shape)} instead of {tuple(own[name].shape)}"
        for name in own
        if name in tensors and tensors[name].shape != own[name].shape
    ]
    problems = {"missing": missing, "unexpected": unexpected, "of another shape": shapes}
    found = [f"{problem}: {named(names)}" for problem, names in problems.items() if names]
    if found:
        raise BackboneError(f"{file.name} does not fit {what}; {'; '.join(found)}")
    network.load_state_dict({name: tensors[name] for name in own})


def named(names: Iterable[str], most: int = 8) -> str:
    """Names for an error: the first few, and how many more."""
    names = list(names)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
