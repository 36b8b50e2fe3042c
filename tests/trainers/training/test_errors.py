"""What goes wrong outside of the program is told in a sentence, not in PyTorch's words."""

from __future__ import annotations

import errno
import os
import signal
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from ppap.backbones import BackboneError
from ppap.checkpoints.own import CheckpointError
from ppap.data import DataError, ImageError, LabelError
from ppap.data.labels import NO_CLASS
from tests.conftest import ROOT
from trainers.training.distributed import DistributedError
from trainers.training.errors import complain, is_expected, sentence
from trainers.training.loading import DecodedSource, TrainingBatch, load

MEMORY, READER, SHARED = (
    "This machine ran out of memory",
    "A process that reads",
    "The shared memory",
)
LOST, GPU = "has lost the others", "The GPU ran out of memory"
KERNEL = "does not support this machine's GPU"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            "[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate "
            "memory: you tried to allocate 34359738368 bytes. Error code 12 (Cannot allocate "
            "memory)",
            MEMORY,
        ),
        ("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes.", MEMORY),
        ("std::bad_alloc", MEMORY),
        ("DataLoader worker (pid 4711) is killed by signal: Killed. ", READER),
        ("DataLoader worker (pid(s) 4711, 4712) exited unexpectedly", READER),
        (
            "DataLoader worker (pid 5) is killed by signal: Bus error. It is possible that "
            "dataloader's workers are out of shared memory. Please try to raise your shared "
            "memory limit.",
            SHARED,
        ),
        ("unable to mmap 4816896 bytes from file </torch_81_3_1>: Cannot allocate memory (12)",
         SHARED),
        ("unable to write to file </torch_81_3_1>: No space left on device (28)", SHARED),
        (
            "[../third_party/gloo/gloo/transport/tcp/pair.cc:534] Connection closed by peer "
            "[127.0.0.1]:29500. This may indicate a possible application crash. GLHF!",
            LOST,
        ),
        ("[pair.cc:598] Read error [10.0.0.1]:1: Connection reset by peer", LOST),
        ("Timed out waiting 1800000ms for recv operation to complete", LOST),
        ("NCCL error in: ProcessGroupNCCL.cpp:1970, ncclRemoteError: A call failed possibly due "
         "to a network error or a remote process exiting prematurely.", LOST),
        ("CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has a total capacity of", GPU),
        ("CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported", GPU),
        ("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`", GPU),
        ("CUDA error: no kernel image is available for execution on the device", KERNEL),
    ],
)  # fmt: skip
def test_pytorchs_words(said: str, told: str) -> None:
    error = RuntimeError(said)
    found = sentence(error)
    assert told in found
    assert is_expected(error)
    for raw in ("enforce fail", "GLHF", "pid", ".cc", ".cpp", "/torch_", "bytes", "\n"):
        assert raw not in found
    assert found.endswith(".")


# What each fault's sentence advises, and what it must not: another fault's remedy.
ADVICE: list[tuple[BaseException, tuple[str, ...], tuple[str, ...]]] = [
    (
        RuntimeError("unable to open shared memory object </torch_1_2> in read-write mode: Too "
                     "many open files (24)"),
        ("Too many files are open", "ulimit -n", "--set workers=2"),
        ("batch", "/dev/shm", "disk"),
    ),
    (RuntimeError("received 0 items of ancdata"), ("ulimit -n", "workers"), ("batch",)),
    (OSError(errno.EMFILE, "Too many open files", "a.png"), ("ulimit -n", "workers"), ("a.png",)),
    (
        RuntimeError("DataLoader worker (pid 5) exited unexpectedly: Too many open files"),
        ("ulimit -n",),
        ("memory", "batch"),
    ),
    (RuntimeError("can't start new thread"), ("ulimit -u", "workers=0"), ("batch", "memory")),
    (
        BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"),
        ("ulimit -u", "workers=0"),
        ("batch", "cannot be used"),
    ),
    (
        RuntimeError("unable to write to file </torch_81_3_1>: No space left on device (28)"),
        ("/dev/shm", "--shm-size", "workers=0"),
        ("batch", "Free some space"),
    ),
    (RuntimeError("Bus error"), ("/dev/shm", "workers=0"), ("batch",)),
    (
        RuntimeError("DataLoader worker (pid 4711) is killed by signal: Killed. "),
        ("workers=1", "memory ran out"),
        ("batch", "/dev/shm"),
    ),
    # The batch cannot change in the middle of a run.
    (
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes."),
        ("workers=0", "smaller batch in a new run", "--resume"),
        ("GPU", "--set batch"),
    ),
    (MemoryError(), ("workers=0", "smaller batch in a new run"), ("GPU",)),
    (
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB."),
        ("The GPU ran out of memory", "smaller batch", "in a new run"),
        ("workers", "/dev/shm", "disk"),
    ),
    (RuntimeError("CUDA error: out of memory"), ("The GPU ran out of memory",), ("workers",)),
    (
        OSError(errno.ENOSPC, "No space left on device", "a/b.pt"),
        ("the disk is full", "Free some space", "--resume"),
        ("batch", "workers"),
    ),
    (
        RuntimeError("[enforce fail at inline_container.cc:664] . unexpected pos 64 vs 0; "
                     "PytorchStreamWriter failed writing file data/1: file write failed"),
        ("the disk is full", "Free some space"),
        ("batch", "memory"),
    ),
    (ImageError("a.png", "is cut short"), ("a.png is cut short. ", "on_error=skip"), ("batch",)),
    (LabelError("a.png", "cannot be read"), ("on_error=skip", "--resume"), ("classes",)),
    # Leaving those out would leave most out.
    (
        LabelError("a.png", f"holds 9, but {NO_CLASS} 0 to 2: name nine classes"),
        ("name nine classes",),
        ("on_error", "--resume"),
    ),
    (
        BackboneError("dino_vits16 is not on this machine yet, and … cannot be reached"),
        ("cannot be reached",),
        ("batch", "workers", "memory"),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("error", "wanted", "others"), ADVICE)
def test_advice_fits_the_fault(
    error: BaseException, wanted: tuple[str, ...], others: tuple[str, ...]
) -> None:
    found = sentence(error)
    assert is_expected(error)
    for words in wanted:
        assert words in found
    for words in others:
        assert words not in found


def test_a_checkpoint_for_which_there_is_no_room() -> None:
    full = OSError(errno.ENOSPC, "No space left on device")
    error = CheckpointError("a/step.pt cannot be written: No space left on device")
    error.__cause__ = full
    assert sentence(error).endswith("Free some space. Continue with --resume.")
    error.__cause__ = OSError(errno.EACCES, "Permission denied")
    assert "Free some space" not in sentence(error)
    error = CheckpointError("a/step.pt cannot be written: is the disk full? (…)")
    error.__cause__ = RuntimeError("…")
    assert "Free some space" in sentence(error)
    assert "Free some space" not in sentence(CheckpointError("a/step.pt cannot be read"))


def test_how_much_memory_was_wanted() -> None:
    error = RuntimeError("DefaultCPUAllocator: you tried to allocate 34359738368 bytes.")
    assert "(34.4 GB more were needed)" in sentence(error)


def test_memory_that_really_runs_out() -> None:
    with pytest.raises(RuntimeError) as found:
        torch.empty(2**50, dtype=torch.uint8)
    assert MEMORY in sentence(found.value)
    with pytest.raises(MemoryError) as other:
        np.empty(2**50, np.uint8)
    assert MEMORY in sentence(other.value)
    assert is_expected(other.value)
    assert MEMORY in sentence(OSError(errno.ENOMEM, "Cannot allocate memory"))


@dataclass(frozen=True, eq=False)
class Dying(DecodedSource):
    """Its reader is killed, as the system does when memory runs out."""

    dataset: object = None  # type: ignore[assignment]
    size: int = 8

    def __len__(self) -> int:
        return 4

    def batch(self, indices: object) -> TrainingBatch:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError


def test_a_reader_that_is_really_killed() -> None:
    with pytest.raises(RuntimeError) as found:
        list(load(Dying(), [[0], [1]], workers=1))
    assert READER in sentence(found.value)
    assert "--set workers=1" in sentence(found.value)


def test_a_process_of_a_pool_that_is_really_killed() -> None:
    with ProcessPoolExecutor(1) as pool, pytest.raises(BrokenProcessPool) as found:
        pool.submit(os._exit, 9).result()
    assert is_expected(found.value)
    assert "was killed from outside" in sentence(found.value)


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (errno.ENOSPC, "a/b.pt cannot be written, because the disk is full."),
        (errno.EDQUOT, "a/b.pt cannot be written, because your quota on this disk is used up."),
        (errno.EFBIG, "a/b.pt cannot be written, because this file has reached the size limit"),
        (errno.EACCES, "a/b.pt cannot be used: Permission denied."),
        (errno.EROFS, "a/b.pt cannot be used: Read-only file system."),
    ],
)
def test_errors_of_disks_name_the_file(code: int, told: str) -> None:
    assert sentence(OSError(code, os.strerror(code), "a/b.pt")).startswith(told)


@pytest.mark.parametrize("error", [RuntimeError("mat1 and mat2 shapes"), ValueError("no"),
                                   ZeroDivisionError("x")])  # fmt: skip
def test_our_own_mistakes_stay_what_they_are(error: Exception) -> None:
    assert not is_expected(error)
    assert sentence(error) == str(error)


def test_who_of_several_says_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def said(error: Exception, **environment: str) -> bool:
        for name in ("RANK", "WORLD_SIZE"):
            monkeypatch.delenv(name, raising=False)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        complain(error)
        return bool(capsys.readouterr().err)

    common, own = DataError(ROOT, "is empty"), DistributedError("Process 1 of 2 is alone.")
    assert said(common)
    assert said(common, WORLD_SIZE="2", RANK="0")
    assert not said(common, WORLD_SIZE="2", RANK="1")
    assert said(common, RANK="1")  # left behind: it is alone all the same
    assert said(own, WORLD_SIZE="2", RANK="1")
    assert said(MemoryError(), WORLD_SIZE="2", RANK="1")
