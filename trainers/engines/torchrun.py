"""A run in several processes through PyTorch's own torchrun, led by one that computes nothing.

The leader starts torchrun on a thread of its own and keeps the signals for itself: torchrun would
end its processes on SIGTERM, within half a minute and whatever they are doing; the leader hands
the signal on to each, and they write a checkpoint together and end. When one is lost, torchrun
ends the others, and the leader tells which it was and why.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

import psutil
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure
from torch.distributed.run import parse_args
from torch.distributed.run import run as torchrun

from ppap.machine import cores
from trainers.command import DONE, FAILED, WRONG
from trainers.config import Config
from trainers.engines.devices import Share, given, visible, wanted
from trainers.engines.nodes import Nodes, from_environment
from trainers.engines.worker import LEADER, is_worker
from trainers.processes import ending, taking_signals
from trainers.runs.folder import Run

LOOK_SECONDS = 0.1
# How long another machine's leader waits for what the first process writes about the same failure.
AFTER_SECONDS = 20.0
AFTER = "Continue with --resume."
LOST = "has lost the others"
PROGRAM = "trainers.train"
# What torchrun says of a failure that left no word.
_SAYS_NOTHING = "To enable traceback"


@dataclass(frozen=True)
class Failure:
    """How a run of several processes broke off."""

    rank: int
    code: int
    """Exit status, or minus the signal."""
    said: str
    """The process's own last word; may be empty."""

    def sentence(self, size: int, where: str) -> str:
        """What went wrong, in words."""
        who = f"Process {self.rank} of {size}, on {where},"
        if self.code < 0:
            how = ending(self.code)
            return f"{who} {how[3].lower()}{how[4:]}. {AFTER}"
        if self.said:
            return f"{who} failed: {self.said}"
        return f"{who} ended with exit status {self.code}; its last lines may say why. {AFTER}"


def to_lead(config: Config) -> Share | None:
    """The devices among which this process is to share a run; None where it trains itself.

    Raises:
        SettingError: as ``trainers.engines.devices.wanted``.
    """
    if is_worker():
        return None
    several = from_environment().count > 1
    if config.devices == "1" and not several:
        return None
    share = wanted(config)
    return share if share.count > 1 or several else None


def lead(words: Sequence[str], run: Run, share: Share) -> int:
    """Train in several processes, as ``words`` after ``python -m trainers.train`` say.

    Returns:
        The exit status that one process would have.
    """
    return Leader(words, run, given(share), from_environment()).whole()


@dataclass
class Leader:
    """The process that starts the others of one machine and waits for them."""

    words: Sequence[str]
    run: Run
    devices: tuple[str, ...]
    nodes: Nodes = field(default_factory=Nodes)
    error: BaseException | None = None
    asked: signal.Signals | None = None
    """The signal that asked to stop."""

    @property
    def size(self) -> int:
        """All processes of the run."""
        return len(self.devices) * self.nodes.count

    def whole(self) -> int:
        """Start them, wait, and tell how it went; the exit status."""
        began = time.time()
        os.environ.update(self.environment())
        with taking_signals(self._take):
            thread = threading.Thread(target=self._torchrun, daemon=True)
            thread.start()
            told: set[int] = set()
            while thread.is_alive():
                thread.join(LOOK_SECONDS)
                if self.asked is not None:  # also those that begin only now
                    told |= self.signal_all(self.asked, but=told)
        return self.outcome(began)

    def environment(self) -> Mapping[str, str]:
        """What the processes find in their environment beside what torchrun tells them."""
        found = {LEADER: str(os.getpid()), **visible(self.devices)}
        if "OMP_NUM_THREADS" not in os.environ:
            found["OMP_NUM_THREADS"] = str(max(1, cores() // len(self.devices)))
        if self.nodes.count == 1 and sys.platform == "linux":
            found["GLOO_SOCKET_IFNAME"] = os.environ.get("GLOO_SOCKET_IFNAME", "lo")
        return found

    def _torchrun(self) -> None:
        # It warns that it does not listen to signals, which is what is wanted here.
        logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)
        logging.getLogger("torch.distributed.elastic.multiprocessing.api").setLevel(
            logging.CRITICAL
        )
        words = [*self.nodes.words(), f"--nproc-per-node={len(self.devices)}"]
        try:
            torchrun(parse_args([*words, "-m", PROGRAM, *self.words]))
        except BaseException as error:
            self.error = error

    # --- signals

    def _take(self, number: int, frame: FrameType | None) -> None:
        again, self.asked = self.asked is not None, signal.Signals(number)
        if again:  # they know what a second one means
            self.signal_all(self.asked)

    def signal_all(self, number: signal.Signals, but: Collection[int] = ()) -> set[int]:
        """Send a signal to this machine's processes of the run; the numbers of those."""
        sent = set()
        for child in psutil.Process().children():
            with contextlib.suppress(psutil.Error):
                if child.pid not in but and PROGRAM in child.cmdline():
                    child.send_signal(number)
                    sent.add(child.pid)
        return sent

    # --- how it went

    def outcome(self, began: float) -> int:
        """The exit status; what is to be said of a failure is said and written down."""
        if self.error is None:
            return DONE
        if not isinstance(self.error, ChildFailedError):
            reason = first_line(self.error)
            self._tell(f"The processes cannot connect to each other: {reason}. {AFTER}", began)
            return FAILED
        failure = root_of(self.error.failures)
        if self.asked is not None and failure.code == -self.asked:
            return 128 + self.asked  # before anything had begun
        if failure.code == WRONG and failure.said:
            if failure.rank:  # the first has said it itself
                sys.stderr.write(f"{failure.said}\n")
            return WRONG
        own_word = failure.rank == 0 and failure.code > 0 and failure.said
        if not own_word:
            self._tell(failure.sentence(self.size, self.where(failure.rank)), began)
        return failure.code if failure.code > 0 else FAILED

    def where(self, rank: int) -> str:
        """The device of a process."""
        device = self.devices[rank % len(self.devices)]
        return device if self.nodes.count == 1 else f"{device} of {os.uname().nodename}"

    def _tell(self, sentence: str, began: float) -> None:
        """Say what went wrong, also in the run's folder."""
        sys.stderr.write(f"{sentence}\n")
        sys.stderr.flush()
        if self.nodes.this:
            end = time.monotonic() + AFTER_SECONDS
            while self.run.state().get("state") == "running" and time.monotonic() < end:
                time.sleep(LOOK_SECONDS)
        state = self.run.state()
        written = state.get("time")
        fresh = isinstance(written, int | float) and written >= began
        if self.run.exists() and fresh and state.get("state") in ("running", "failed"):
            with contextlib.suppress(OSError):
                self.run.write_state("failed", reason=sentence)
                with self.run.log_file.open("a", encoding="utf-8") as log:
                    log.write(f"failed: {sentence}\n")


def root_of(failures: Mapping[int, ProcessFailure]) -> Failure:
    """The failure that the others came of: those that only lost the others do not count."""
    found = [Failure(rank, one.exitcode, word_of(one)) for rank, one in sorted(failures.items())]
    causes = [one for one in found if LOST not in one.said]
    times = {rank: one.timestamp for rank, one in failures.items()}
    return min(causes or found, key=lambda one: (times[one.rank], one.rank))


def word_of(failure: ProcessFailure) -> str:
    """A process's own last word; empty where it left none."""
    said: Any = failure.message
    if failure.exitcode < 0 or not isinstance(said, str) or said.startswith(_SAYS_NOTHING):
        return ""
    return said


def first_line(error: BaseException) -> str:
    """The beginning of what an error says."""
    return (next(iter(str(error).strip().splitlines()), "") or type(error).__name__).rstrip(".")
