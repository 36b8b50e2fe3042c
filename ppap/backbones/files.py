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
from ppap.backbones.damage import DamagedError, damaged, is_safetensors

# What training scripts leave beside the weights: settings, counters and schedules.
HARMLESS = (
    "argparse.Namespace",
    "numpy.dtype",
    "numpy.ndarray",
    "numpy.core.multiarray.scalar",
    "numpy.core.multiarray._reconstruct",
    "numpy._core.multiarray.scalar",
    "numpy._core.multiarray._reconstruct",
    "omegaconf.base.ContainerMetadata",
    "omegaconf.base.Metadata",
    "omegaconf.dictconfig.DictConfig",
    "omegaconf.listconfig.ListConfig",
    "omegaconf.nodes.AnyNode",
    "omegaconf.nodes.BooleanNode",
    "omegaconf.nodes.FloatNode",
    "omegaconf.nodes.IntegerNode",
    "omegaconf.nodes.StringNode",
    "pathlib.Path",
    "pathlib.PosixPath",
    "pathlib.WindowsPath",
    "pathlib.PurePosixPath",
    "pathlib._local.PosixPath",
    "pathlib._local.WindowsPath",
    "types.SimpleNamespace",
    "typing.Any",
)
# The same, which torch would not fill unless they were dictionaries.
HARMLESS_MAPPINGS = (
    "lightning.fabric.utilities.data.AttributeDict",
    "lightning_fabric.utilities.data.AttributeDict",
    "pytorch_lightning.utilities.parsing.AttributeDict",
)
# What the two kinds are made of, and default dictionaries of.
HARMLESS_TYPES = ("dict", "list", "int", "float", "str", "bool")
BUILTINS = ("builtins", "__builtin__")


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


def empty_mapping(*_: object) -> dict[Any, Any]:
    """Stands in for ``collections.defaultdict``: a dictionary without the default."""
    return {}


def read_checkpoint(file: Path) -> dict[str, Any]:
    """The dictionary in a ``.safetensors`` file or one written by ``torch.save``.

    Tensors come to the CPU. Anything in the file that is neither a tensor, a plain Python value
    nor HARMLESS is refused, and nothing in it is executed.

    Raises:
        BackboneError: there is no such file, it is damaged or no checkpoint, or asks for code.
    """
    if file.is_dir():
        raise BackboneError(
            f"{file} is a folder: choose a file in it; for a run, checkpoints/reported.pt"
        )
    try:
        with file.open("rb") as stream:
            start = stream.read(64)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else None
        raise BackboneError(f"{file} cannot be opened: {why or error}") from error
    content = _safetensors(file, start) if is_safetensors(start) else _pickled(file, start)
    if not isinstance(content, Mapping):
        raise BackboneError(
            f"{file.name} contains a {type(content).__name__}, not a dictionary of parameters; "
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
    stand_ins += [(Ignored, f"{home}.{t}") for t in HARMLESS_TYPES for home in BUILTINS]
    stand_ins += [(dict, name) for name in HARMLESS_MAPPINGS]
    stand_ins += [(empty_mapping, "collections.defaultdict")]
    try:
        with ALLOWING, torch.serialization.safe_globals(stand_ins):
            if file.suffix == ".safetensors":  # torch would go by the name
                with file.open("rb") as stream:
                    return torch.load(stream, map_location="cpu", weights_only=True)
            # Mapped, the optimizer's half of a training checkpoint is never read from the disk.
            return torch.load(
                file, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(file)
            )
    except Exception as error:  # a damaged file can raise nearly anything
        asked = re.search(r"GLOBAL ([\w.]+)", str(error))
        if asked is None:
            raise damaged(file, start, error) from error
        raise BackboneError(
            f"{file.name} would run {asked[1]} when opened, so it was refused, and nothing in it "
            "was run. Save only the weights: torch.save(model.state_dict(), path), or use "
            ".safetensors"
        ) from error


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
        BackboneError: parameters are missing, unexpected, of other shapes, or no finite numbers;
            names them.
    """
    own = network.state_dict()
    missing = [name for name in own if name not in tensors]
    unexpected = [] if extra else [name for name in tensors if name not in own]
    shapes = [
        f"{name} {tuple(tensors[name].shape)} instead of {tuple(own[name].shape)}"
        for name in own
        if name in tensors and tensors[name].shape != own[name].shape
    ]
    problems = {"missing": missing, "unexpected": unexpected, "different shape": shapes}
    found = [f"{problem}: {named(names)}" for problem, names in problems.items() if names]
    if found:
        raise BackboneError(f"{file.name} does not fit {what}; {'; '.join(found)}")
    refuse_unsound({name: tensors[name] for name in own}, file)
    network.load_state_dict({name: tensors[name] for name in own})


def refuse_unsound(tensors: Mapping[str, Tensor], file: Path) -> None:
    """DamagedError where parameters are NaN or infinite, or are packed into whole numbers."""
    whole = [n for n, t in tensors.items() if not t.is_floating_point() and not is_counter(n)]
    if whole:
        raise DamagedError(
            f"{file} has values of an unsupported type ({tensors[whole[0]].dtype}) in "
            f"{named(whole, 2)}: it was quantised for another program, or is damaged. Use the "
            "file with the full weights"
        )
    broken = [name for name, tensor in tensors.items() if not all_finite(tensor)]
    if broken:
        raise DamagedError(
            f"{file} contains NaN or infinity in {named(broken, 2)}: the training that wrote it "
            "went wrong, or the file is damaged. Use an earlier checkpoint of that training, or "
            "download the file again"
        )


def is_counter(name: str) -> bool:
    """Whether a buffer counts something, as batch norms do."""
    return name.endswith("num_batches_tracked")


def all_finite(tensor: Tensor) -> bool:
    """Whether no number is NaN or infinite; the types of 8 bits cannot be asked directly."""
    if tensor.is_meta:  # a shape without any numbers
        return False
    plain = tensor.float() if tensor.element_size() == 1 else tensor
    return bool(torch.isfinite(plain).all())


def named(names: Iterable[str], most: int = 8) -> str:
    """Names for an error: the first few, and how many more."""
    names = list(names)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
