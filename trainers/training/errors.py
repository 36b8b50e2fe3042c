"""What may go wrong in a run without being a mistake of ours, and how it is told."""

from __future__ import annotations

import errno
import os
import re
import resource
import sys
from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from typing import NamedTuple

import torch

from ppap.backbones import BackboneError
from ppap.checkpoints.own import CheckpointError
from ppap.data import DataError, ImageError, LabelError
from ppap.data.labels import NO_CLASS
from ppap.evaluation.crf import CrfUnavailableError, CrfWorkerError
from ppap.settings import SettingError
from ppap.writing import is_full
from trainers.cache import CacheError
from trainers.runs.folder import RunError
from trainers.training.distributed import DistributedError
from trainers.training.updating import TrainingError

# What is told as a sentence; everything else is a mistake of ours, and shows where it happened.
EXPECTED = (
    BackboneError,
    CacheError,
    CrfUnavailableError,
    CrfWorkerError,
    DataError,
    DistributedError,
    OSError,
    RunError,
    SettingError,
    TrainingError,
    MemoryError,
    BrokenProcessPool,
    torch.OutOfMemoryError,
)
AFTER = "Continue with --resume."
# Of one file: others may be no better.
SKIPPING = (
    "Repair it and continue with --resume; or start a new run with on_error=skip, which leaves "
    "out unreadable files."
)
GPU_MEMORY = (
    "The GPU ran out of memory: use a smaller batch, or fewer anchors, in a new run; or continue "
    "this one with --resume on a GPU with more memory, or one that nobody else is using."
)


class Known(NamedTuple):
    """A message of PyTorch's, and what it means."""

    pattern: re.Pattern[str]
    told: Callable[[str], str]


def _memory(said: str) -> str:
    asked = re.search(r"allocate (\d+) bytes", said)
    what = f" ({in_gigabytes(int(asked[1]))} more were needed)" if asked else ""
    return (
        f"This machine ran out of memory{what}: close other programs or use fewer workers (--set "
        "workers=0), then continue with --resume; or use a smaller batch in a new run."
    )


def _open_files(_: str) -> str:
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return (
        "Too many files are open: raise the limit (ulimit -n, here "
        f"{'unlimited' if limit == resource.RLIM_INFINITY else f'{limit:,}'}), or use fewer "
        f"processes that read images (--set workers=2). {AFTER}"
    )


def _processes(_: str) -> str:
    return (
        "No more processes or threads can be started here (ulimit -u, or the container's limit): "
        f"use fewer that read images (--set workers=0), or end other programs. {AFTER}"
    )


def _no_room_for_checkpoint(_: str) -> str:
    return f"A file cannot be written, because the disk is full. Free some space. {AFTER}"


def _reader(said: str) -> str:
    if re.search(r"[Bb]us error|shared memory|/dev/shm|/torch_", said):
        return _shared(said)
    killed = "killed" in said.lower()
    why = ", most likely by the system, because memory ran out" if killed else ""
    return (
        f"A process that reads images was killed from outside{why}: use fewer of them (--set "
        f"workers=1), or 0. {AFTER}"
    )


def _shared(_: str) -> str:
    return (
        "The shared memory in /dev/shm, through which the processes that read images pass them "
        f"on, is full: use --set workers=0, or make it larger (docker run --shm-size=2g). {AFTER}"
    )


def _lost(_: str) -> str:
    rank, size = os.environ.get("RANK", "0"), os.environ.get("WORLD_SIZE", "?")
    return (
        f"Process {rank} of {size} has lost the others: one of them has ended, or the network "
        f"between them is down. Their last lines may say why. {AFTER}"
    )


def _kernel(_: str) -> str:
    return (
        "This version of PyTorch does not support this machine's GPU: install one that does "
        "(https://pytorch.org), or use device=cpu."
    )


KNOWN = tuple(
    Known(re.compile(pattern, re.DOTALL), told)
    for pattern, told in (
        # Before all others: it comes up in words about the readers and their memory, too.
        (r"Too many open files|received 0 items of ancdata", _open_files),
        (r"can't start new thread|Resource temporarily unavailable", _processes),
        (r"DataLoader worker.*(killed|exited unexpectedly)|Bus error", _reader),
        (r"(unable to|could not) (mmap|write to|open|resize) .*(/torch_|shared memory)", _shared),
        (
            r"CUDA out of memory|CUDA error: out of memory|CUBLAS_STATUS_ALLOC_FAILED"
            r"|CUDNN_STATUS_ALLOC_FAILED|cudaErrorMemoryAllocation",
            lambda _: GPU_MEMORY,
        ),
        (r"no kernel image is available|is not compatible with the current PyTorch", _kernel),
        (
            r"DefaultCPUAllocator|not enough memory|[Cc]annot allocate memory"
            r"|enforce fail at .*alloc|bad_alloc|[Uu]nable to allocate",
            _memory,
        ),
        (
            r"gloo.transport|Connection (closed|reset) by peer|Connection refused|Broken pipe"
            r"|NCCL|ncclRemoteError|Socket [Tt]imeout|Timed out (waiting|after)|c10d"
            r"|GLHF|TCPStore|recvValue|Application timeout|failed to connect|HeartbeatMonitor",
            _lost,
        ),
        (r"PytorchStreamWriter failed writing|iostream error", _no_room_for_checkpoint),
    )
)


def told_of(error: BaseException) -> str | None:
    """What a message of PyTorch's means; None where it is none that is known."""
    if isinstance(error, torch.OutOfMemoryError):
        return GPU_MEMORY
    if isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM:
        return _memory(str(error))
    if isinstance(error, BrokenProcessPool):
        return _reader("killed")
    if getattr(error, "errno", None) in (errno.EMFILE, errno.ENFILE):
        return _open_files(str(error))
    if isinstance(error, BlockingIOError):
        return _processes(str(error))
    # Ours is a subclass each; PyTorch raises the plain one, and several of its own for the network.
    if isinstance(error, RuntimeError) and not isinstance(error, EXPECTED):
        for known in KNOWN:
            if known.pattern.search(str(error)):
                return known.told(str(error))
    return None


def is_expected(error: BaseException) -> bool:
    """Whether a sentence says all there is to know of it."""
    return isinstance(error, EXPECTED) or told_of(error) is not None


def complain(error: BaseException) -> None:
    """One sentence on stderr; of several processes, the first says what all know."""
    alone = os.environ.get("WORLD_SIZE", "1") == "1" or os.environ.get("RANK", "0") == "0"
    if alone or isinstance(error, DistributedError) or told_of(error) is not None:
        sys.stderr.write(f"{sentence(error)}\n")


def sentence(error: BaseException) -> str:
    """What went wrong, in words."""
    told = told_of(error)
    if told is not None:
        return told
    if isinstance(error, OSError):
        file = error.filename or "A file"
        if is_full(error):
            return (
                f"{file} cannot be written, because {no_room(error)}. Free some space, then "
                "continue with --resume."
            )
        return f"{file} cannot be used: {error.strerror or error}."
    if isinstance(error, ImageError | LabelError) and NO_CLASS not in str(error):
        return f"{error}. {SKIPPING}"
    if isinstance(error, CheckpointError) and error.__cause__ is not None and is_no_room(error):
        return f"{error}. Free some space. {AFTER}"
    return str(error) or type(error).__name__


def is_no_room(error: CheckpointError) -> bool:
    """Whether a checkpoint could not be written for want of room."""
    cause = error.__cause__
    return is_full(cause) if isinstance(cause, OSError) else "disk full" in str(error)


def no_room(error: OSError) -> str:
    """Why nothing more can be written."""
    if error.errno == errno.EDQUOT:
        return "your quota on this disk is used up"
    if error.errno == errno.EFBIG:
        return "this file has reached the size limit (ulimit -f)"
    return "the disk is full"


def in_gigabytes(count: int) -> str:
    """A number of bytes for people."""
    return f"{count / 10**9:.1f} GB" if count >= 10**8 else f"{count / 10**6:.1f} MB"
