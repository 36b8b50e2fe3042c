"""The process that lays patches out with UMAP: both its sides and the messages between them.

Importing UMAP takes seconds, and compiling it, once on a machine, some more, so one process does it
once and then takes one map after another. It is a plain child process that talks over its own stdin
and stdout. That is preferred to ``multiprocessing``, whose spawned children import the main module
again: this one works alike from a script, a notebook and a test, and imports nothing of the studio.
Messages are a length, a JSON header and raw float32 numbers; no pickles.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import queue
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any, BinaryIO, Literal, NamedTuple, cast

import numpy as np
import torch

from ppap.embedding.layout import NEIGHBOURS, fit_map
from ppap.places import ROOT
from ppap.surroundings import find_place_for_compiled

# Who the parent is must be known before the imports, which take seconds: it may end meanwhile.
START = "import os; parent = os.getppid(); from ppap.embedding.worker import main; main(parent)"
PARENT_CHECK_SECONDS = 2.0
# How long an ending process may take before it is killed.
PATIENCE_SECONDS = 5.0

Kind = Literal["fit", "warm", "progress", "ready", "failed"]


class Message(NamedTuple):
    """One message: ``fit`` goes to the worker, the other kinds come from it."""

    kind: Kind
    progress: float = 0.0
    """With ``progress``: the share of the map that is done, 0 to 1."""
    text: str = ""
    """With ``failed``: the reason; with ``ready``: why the map is only the stand-in, if so."""
    array: np.ndarray | None = None
    """With ``fit``: features ``(N, D)``; with ``ready``: points ``(N, 2)``; float32."""
    start: np.ndarray | None = None
    """With ``fit``: places ``(N, 2)`` to start from, float32; None: the principal components."""


def write_message(stream: BinaryIO, message: Message) -> None:
    """Write one message and flush; raises OSError when the other side is gone."""
    arrays = (message.array, message.start)
    shapes = [None if array is None else array.shape for array in arrays]
    header = json.dumps([message.kind, message.progress, message.text, shapes]).encode()
    stream.write(struct.pack("<I", len(header)) + header)
    for array in arrays:
        if array is not None:
            stream.write(np.ascontiguousarray(array, dtype=np.float32).data.cast("B"))
    stream.flush()


def read_message(stream: BinaryIO) -> Message:
    """Read one message; raises EOFError when the other side is gone."""
    (length,) = struct.unpack("<I", read_exactly(stream, 4))
    kind, progress, text, shapes = json.loads(read_exactly(stream, length))
    array, start = (None if shape is None else read_array(stream, shape) for shape in shapes)
    return Message(kind, progress, text, array, start)


def read_array(stream: BinaryIO, shape: list[int]) -> np.ndarray:
    """A float32 array of this shape."""
    raw = read_exactly(stream, 4 * int(np.prod(shape)))
    return np.frombuffer(raw, dtype=np.float32).reshape(shape)


def read_exactly(stream: BinaryIO, size: int) -> bytearray:
    """``size`` bytes, writable so that torch can wrap them; EOFError when fewer come."""
    data = bytearray(size)
    rest = memoryview(data)
    while rest:
        count = stream.readinto(rest)  # type: ignore[attr-defined]
        if not count:
            raise EOFError("the other side has closed the pipe")
        rest = rest[count:]
    return data


class WorkerEndedError(Exception):
    """The worker cannot go on; the message is for the reader."""


class Worker:
    """The worker as its owner sees it.

    Args:
        threads: for its matrix products; the layout always runs in one.
        niceness: how far it stands back for other processes, 0 to 19.
    """

    def __init__(self, threads: int, niceness: int) -> None:
        # What the libraries in there print is kept for the day it crashes.
        self.printed = tempfile.TemporaryFile()  # noqa: SIM115 (closed in stop)
        limits = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(threads))
        # In our session: Linux compares the priorities of processes only within one.
        command = [sys.executable, "-W", "ignore", "-c", START]
        self.process = subprocess.Popen(
            [*command, f"--threads={threads}", f"--niceness={niceness}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.printed,
            cwd=ROOT,
            env=os.environ | limits | {"NUMBA_NUM_THREADS": "1"},
        )
        self.stdin = cast(BinaryIO, self.process.stdin)
        self.stdout = cast(BinaryIO, self.process.stdout)

    def alive(self) -> bool:
        """Whether the process still runs."""
        return self.process.poll() is None

    def send(self, message: Message) -> None:
        """Send one message; WorkerEndedError when nobody is there."""
        try:
            write_message(self.stdin, message)
        except (OSError, ValueError):
            raise WorkerEndedError(self.epitaph()) from None

    def receive(self) -> Message:
        """Wait for one message; WorkerEndedError when none will come."""
        try:
            return read_message(self.stdout)
        except (EOFError, OSError, ValueError):
            raise WorkerEndedError(self.epitaph()) from None

    def epitaph(self) -> str:
        """Why the process ended, as far as can be told."""
        try:
            code = self.process.wait(timeout=PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        how = f"exit code {code}" if code >= 0 else signal.Signals(-code).name
        if how == "SIGKILL":
            how += ", perhaps because memory ran out"
        self.printed.seek(0)
        lines = self.printed.read().decode(errors="replace").splitlines()
        last = next((line for line in reversed(lines) if line.strip()), "")
        return (
            f"The process that computes the maps ended ({how}). Asking for the map again "
            f"starts a new one. {last}"
        ).rstrip()

    def stop(self) -> None:
        """End the process; it holds nothing worth keeping."""
        self.process.kill()
        self.process.wait()
        for stream in (self.stdin, self.stdout, self.printed):
            # Bytes that were still to be sent have nobody to go to.
            with contextlib.suppress(OSError):
                stream.close()


def keep_compiled(*packages: str) -> None:
    """Make numba keep on disk what is compiled from now on; to be called before UMAP is imported.

    Args:
        packages: that are compiled; what numba makes of them needs a place that can be written.

    It does so where a function asks for it, and UMAP's do not. The decorators are replaced, which
    only a process that does nothing else may do. Numba tells code of another processor, version or
    source file apart, and falls back to the user's cache where it may not write beside the source.
    """
    find_place_for_compiled(*packages)
    import numba

    def kept(decorator: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *given, **options: decorator(*given, **{"cache": True, **options})

    numba.njit, numba.jit = kept(numba.njit), kept(numba.jit)


def compile_umap() -> None:
    """Lay out a few points, which compiles everything that maps of any size run through, or loads
    what was compiled before."""
    keep_compiled("umap", "pynndescent")
    points = np.random.default_rng(0).normal(size=(4 * NEIGHBOURS, 8)).astype(np.float32)
    fit_map(points, report=lambda share: None)


def listen(incoming: BinaryIO, jobs: queue.SimpleQueue[Message]) -> None:
    """Queue what arrives; end the whole process, whatever it is doing, when the pipe closes."""
    try:
        while True:
            message = read_message(incoming)
            if message.array is not None:
                jobs.put(message)
    except EOFError:
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        os._exit(1)


def end_with_parent(parent: int) -> None:
    """End the process once its parent is gone.

    The closed pipe tells it sooner, unless a forked process still holds the other end open.
    """
    while os.getppid() == parent:
        time.sleep(PARENT_CHECK_SECONDS)
    os._exit(0)


def serve(outgoing: BinaryIO, jobs: queue.SimpleQueue[Message]) -> None:
    """Compile, say so, then answer every job with progress and one ``ready`` or ``failed``."""

    def report(share: float) -> None:
        write_message(outgoing, Message("progress", progress=min(share, 1.0)))

    try:
        compile_umap()
    except Exception as error:
        write_message(outgoing, Message("failed", text=f"{type(error).__name__}: {error}"))
        return
    write_message(outgoing, Message("warm"))
    while True:
        job = jobs.get()
        try:
            fitted = fit_map(cast(np.ndarray, job.array), report, job.start)
        except Exception as error:
            reason = f"UMAP could not lay out these patches: {type(error).__name__}: {error}"
            answer = Message("failed", text=reason)
        else:
            answer = Message("ready", text=fitted.note, array=fitted.points)
        write_message(outgoing, answer)


def main(parent: int) -> None:
    """Run the worker until its parent, a process id, closes the pipe or ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1, help="for the matrix products")
    parser.add_argument("--niceness", type=int, default=5, help="0 (normal) to 19 (lowest)")
    arguments = parser.parse_args()
    # Ctrl+C in the terminal reaches every process; this one ends with its parent.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(os, "nice"):
        os.nice(arguments.niceness)
    torch.set_num_threads(arguments.threads)
    # What a library prints must not end up between the messages.
    outgoing = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    jobs: queue.SimpleQueue[Message] = queue.SimpleQueue()
    threading.Thread(target=listen, args=(sys.stdin.buffer, jobs), daemon=True).start()
    threading.Thread(target=end_with_parent, args=(parent,), daemon=True).start()
    serve(outgoing, jobs)
