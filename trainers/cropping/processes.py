"""Crops written by several processes side by side.

Each is started as ``python -m trainers.cropping.processes WHICH OF`` and gets the plan on its
stdin; it says a line of JSON after every image. When nobody listens any more, it ends.
"""

from __future__ import annotations

import json
import os
import pickle
import queue
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import BinaryIO, NamedTuple, cast

from ppap.data import DataError
from ppap.places import ROOT
from trainers.cropping.writing import Plan, WritingError, write_crops

PATIENCE_SECONDS = 10.0
# Wakes up this often, because waiting for a queue cannot be interrupted on every system.
POLL_SECONDS = 0.5

Report = Callable[[int], None]
"""Is told how many bytes the crops of one more image have."""


class Said(NamedTuple):
    """A line of a process; None when it has ended."""

    process: subprocess.Popen[bytes]
    line: bytes | None


def write_all(plan: Plan, workers: int, report: Report) -> None:
    """Write all pending crops of a plan that has ``begun``.

    Args:
        plan: what to write.
        workers: how many processes, 1 or more; 1 is this one.
        report: called after every image, here.

    Raises:
        DataError: an image cannot be read; others may have been written meanwhile.
        WritingError: a file cannot be written, or a process ended.
    """
    if min(workers, len(plan.pending)) <= 1:
        for image in plan.pending:
            report(write_crops(plan, image))
        return
    payload = pickle.dumps(plan)
    said: queue.SimpleQueue[Said] = queue.SimpleQueue()
    processes: list[subprocess.Popen[bytes]] = []
    threads: list[threading.Thread] = []
    count = min(workers, len(plan.pending))
    try:
        for which in range(count):
            processes.append(started(which, count))
            thread = threading.Thread(target=listen, args=(processes[-1], payload, said))
            thread.start()
            threads.append(thread)
        gather(said, count, report)
    finally:
        stop(processes)
        for thread in threads:
            thread.join()


def started(which: int, of: int) -> subprocess.Popen[bytes]:
    """Process ``which`` of ``of``."""
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return subprocess.Popen(
        [sys.executable, "-m", "trainers.cropping.processes", str(which), str(of)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        # Ctrl+C in a terminal reaches a whole session; these are stopped by the first process.
        start_new_session=True,
        env=os.environ
        | {
            "PYTHONPATH": os.pathsep.join(paths),
            # Not the folder that the command was given in.
            "PYTHONSAFEPATH": "1",
            # One thread each: the processes together fill the cores already.
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
        },
    )


def listen(process: subprocess.Popen[bytes], payload: bytes, said: queue.SimpleQueue[Said]) -> None:
    """Hand the plan over, then pass on what the process says."""
    stdin, stdout = cast(BinaryIO, process.stdin), cast(BinaryIO, process.stdout)
    with suppress(OSError), stdin:  # it may have ended already
        stdin.write(payload)
    with stdout:
        for line in stdout:
            said.put(Said(process, line))
    said.put(Said(process, None))


def gather(said: queue.SimpleQueue[Said], count: int, report: Report) -> None:
    """Report what ``count`` processes do until all have ended."""
    while count:
        try:
            process, line = said.get(timeout=POLL_SECONDS)
        except queue.Empty:
            continue
        if line is not None:
            message = json.loads(line)
            if "unreadable" in message:
                raise DataError(*message["unreadable"])
            if "failed" in message:
                raise WritingError(message["failed"])
            report(message["bytes"])
            continue
        count -= 1
        if code := process.wait():
            raise WritingError(
                f"A process ended unexpectedly (exit status {code}). Perhaps memory ran out: run "
                "the same command again with fewer --workers; it continues from there."
            )


def stop(processes: list[subprocess.Popen[bytes]]) -> None:
    """End all; an image at hand is dropped."""
    for process in processes:
        process.terminate()
    for process in processes:
        try:
            process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def work(plan: Plan, which: int, of: int) -> None:
    """Write every ``of``-th pending image from ``which`` on, and say so on stdout."""
    for image in plan.pending[which::of]:
        message: dict[str, object]
        try:
            message = {"bytes": write_crops(plan, image)}
        except DataError as error:
            message = {"unreadable": [error.name, error.reason]}
        except WritingError as error:
            message = {"failed": str(error)}
        try:
            os.write(sys.stdout.fileno(), json.dumps(message).encode() + b"\n")
        except BrokenPipeError:  # whoever started this one is gone
            return
        if "bytes" not in message:
            return


def main() -> None:
    """One of the processes."""
    try:
        plan = pickle.load(sys.stdin.buffer)
    except EOFError:  # stopped before it began
        return
    work(plan, int(sys.argv[1]), int(sys.argv[2]))


if __name__ == "__main__":
    main()
