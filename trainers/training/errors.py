"""What may go wrong in a run without being a mistake of ours, and how it is told."""

from __future__ import annotations

import os
import sys

import torch

from ppap.backbones import BackboneError
from ppap.data import DataError
from ppap.evaluation.crf import CrfUnavailableError
from ppap.settings import SettingError
from trainers.cache import CacheError
from trainers.runs.folder import RunError
from trainers.training.distributed import DistributedError
from trainers.training.updating import TrainingError

# What is told as a sentence; everything else is a mistake of ours, and shows where it happened.
EXPECTED = (
    BackboneError,
    CacheError,
    CrfUnavailableError,
    DataError,
    DistributedError,
    OSError,
    RunError,
    SettingError,
    TrainingError,
    torch.OutOfMemoryError,
)


def complain(error: Exception) -> None:
    """One sentence on stderr; of several processes, the first says it."""
    if os.environ.get("RANK", "0") == "0":
        sys.stderr.write(f"{sentence(error)}\n")


def sentence(error: Exception) -> str:
    """What went wrong, in words."""
    if isinstance(error, torch.OutOfMemoryError):
        return "The GPU's memory ran out: use a smaller batch, or fewer anchors."
    if isinstance(error, OSError):
        return f"{error.filename or 'A file'} cannot be used: {error.strerror or error}."
    return str(error) or type(error).__name__
