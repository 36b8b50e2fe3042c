"""The train command, in processes that end exactly where a test wants them to.

``python -m tests.support.killable`` imports everything once and then runs the command in forks of
itself, which takes a tenth of a second instead of several. A fork sends itself a signal when a
certain function is called for the n-th time: SIGKILL leaves no time for anything, like a power cut.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

from tests.conftest import ROOT

LARGEST = 50_000


class At(NamedTuple):
    """When a process gets a signal: at the ``nth`` call of a function, or of any of ours."""

    function: str | None
    nth: int
    signal: int = signal.SIGKILL


class Killable:
    """Runs the command, in a process that may be told where to end.

    ``first`` is a command that is run before, so that everything is imported by then.
    """

    def __init__(self, log: Path, first: list[str]) -> None:
        self.log = log
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.killable", str(log)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            # A fork of a process that has seen a GPU cannot train.
            env={**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        )
        assert self(first) == 0, self.log.read_text(encoding="utf-8")

    def __call__(
        self, words: list[str], *ats: At, after: float | None = None, limited: float | None = None
    ) -> int:
        """The exit status of the command; of a process that was killed, minus the signal.

        Args:
            words: of the command.
            ats: when it gets a signal.
            after: seconds after which it is killed, wherever it is.
            limited: seconds after which no file may become larger than LARGEST bytes.
        """
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        asked = {"words": words, "ats": ats, "after": after, "limited": limited}
        self.process.stdin.write(json.dumps(asked) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer, self.log.read_text(encoding="utf-8")
        code: int = json.loads(answer)
        return code

    def close(self) -> None:
        """End it."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(30)
        self.process.stdout.close()


@contextlib.contextmanager
def killable(log: Path, first: list[str]) -> Iterator[Killable]:
    """A ``Killable`` for a while."""
    made = Killable(log, first)
    try:
        yield made
    finally:
        made.close()


def listen_for(ats: list[At]) -> None:
    """Send this process the signals when it is time."""
    calls = [0] * len(ats)

    def called(frame: FrameType, event: str, _: object) -> None:
        if event != "call":
            return
        code = frame.f_code
        for place, at in enumerate(ats):
            if at.function is None:
                counts = f"{os.sep}trainers{os.sep}" in code.co_filename
            else:
                counts = code.co_name == at.function
            if counts:
                calls[place] += 1
                if calls[place] == at.nth:
                    os.kill(os.getpid(), at.signal)

    sys.setprofile(called)


def begin_after(seconds: float, do: Callable[..., object], *arguments: object) -> None:
    """Call something in a while, whatever the process does then."""
    timer = threading.Timer(seconds, do, arguments)
    timer.daemon = True
    timer.start()


def command(asked: dict[str, Any]) -> int:
    """Run the command in this process."""
    from trainers import train

    if asked["ats"]:
        listen_for([At(*at) for at in asked["ats"]])
    if asked["limited"] is not None:
        limits = (resource.RLIMIT_FSIZE, (LARGEST, resource.RLIM_INFINITY))
        begin_after(asked["limited"], resource.setrlimit, *limits)
    if asked["after"] is not None:
        begin_after(asked["after"], os.kill, os.getpid(), signal.SIGKILL)
    return train.main(asked["words"])


def fork_and_run(asked: dict[str, Any]) -> int:
    """Run it in a fork; its exit status."""
    child = os.fork()
    if child == 0:
        code = 99
        try:
            code = command(asked)
        except SystemExit as error:
            code = int(error.code or 0)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def serve(log: Path) -> None:
    """Answer one line of JSON with another, until there are no more; the first without a fork."""
    import torch

    torch.set_num_threads(1)
    with os.fdopen(os.dup(1), "w") as answers, log.open("a") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        run = command
        for line in sys.stdin:
            print(run(json.loads(line)), file=answers, flush=True)
            run = fork_and_run


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
