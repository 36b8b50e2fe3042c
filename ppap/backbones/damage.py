"""Why a file cannot be read as a checkpoint, told from its first bytes and its end."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

from ppap.backbones.base import BackboneError

AGAIN = "copy or download it again"
UNPACK = "it is a compressed archive; unpack it and choose the file inside"
ONLY_TORCH = "only weights for PyTorch can be used"
# How other kinds of files begin, and what to say of them.
BEGINNINGS = (
    (
        b"version https://git-lfs",
        "it is a Git LFS pointer; download the file itself with git lfs pull",
    ),
    *((magic, UNPACK) for magic in (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd")),
    (b"\x89HDF", f"it is an HDF5 file (Keras); {ONLY_TORCH}"),
    (b"GGUF", f"it is a GGUF file; {ONLY_TORCH}"),
    (b"\x93NUMPY", f"it is a NumPy array; {ONLY_TORCH}"),
)


class DamagedError(BackboneError):
    """A file that is broken, cut short, or holds no numbers: another one may do instead."""


def damaged(file: Path, start: bytes, error: Exception) -> DamagedError:
    """The error for a file that cannot be read; ``start``: its first bytes."""
    return DamagedError(f"{file} cannot be read as a checkpoint: {reason(file, start, error)}")


def reason(file: Path, start: bytes, error: Exception) -> str:
    """What is wrong with it, and what to do where that is known."""
    if not start:
        return "the file is empty"
    if start.lstrip().startswith(b"<"):
        return "it is a web page that was saved instead of the file"
    for beginning, said in BEGINNINGS:
        if start.startswith(beginning):
            return said
    if start.startswith(b"PK"):
        return of_archive(file, error)
    if is_safetensors(start):
        return f"it is cut short or damaged; {AGAIN} ({first_sentence(error)})"
    if not any(start):
        return f"it contains nothing but zeros, as after an interrupted download; {AGAIN}"
    said = first_sentence(error)
    # torch names the first byte that it does not know, or nothing.
    return "it is not a checkpoint file, or it is damaged" + (f" ({said})" if " " in said else "")


def of_archive(file: Path, error: Exception) -> str:
    """What is wrong with a file that begins as a zip archive, as those of ``torch.save`` do."""
    if not zipfile.is_zipfile(file):
        return f"its end is missing; {AGAIN}"
    try:
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
    except Exception:  # the names in it are damaged, too, in as many ways as there are
        return f"it is damaged; {AGAIN}"
    if any(name.endswith("/constants.pkl") for name in names):
        return (
            "it is a TorchScript program, which would have to be run; save the weights alone: "
            "torch.save(model.state_dict(), path)"
        )
    if any(name.endswith(".npy") for name in names):
        return f"it is a NumPy archive; {ONLY_TORCH}"
    if not any(name.endswith("data.pkl") for name in names):
        return "it is a zip archive; unpack it and choose the file inside"
    return f"it is damaged; {AGAIN} ({first_sentence(error)})"


def is_safetensors(start: bytes) -> bool:
    """Whether a file begins as safetensors do: the header's length, then the header."""
    return len(start) > 8 and start[8:9] == b"{" and 0 < int.from_bytes(start[:8], "little") < 2**32


def first_sentence(error: Exception) -> str:
    """The first sentence of an error's text."""
    said = next(iter(str(error).strip().splitlines()), "")
    return re.split(r"(?<=[.!?]) ", said)[0]
