"""Locks between processes, on every kind of disk.

They are the system's own (``flock``) where it has them, so they end with the process that holds
them, however it ends. Some disks have none (NFS without its lock daemon, Lustre, some that are
mounted from the cloud). There a file says who holds the lock: machine, process number and when the
process began. It is made in a way that only one can succeed with, and counts for nothing once that
process is gone; only of a process on another machine nobody here can tell whether it is.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import time
import weakref
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from trainers.processes import LARGEST_PID, Identity, identity, machine

POLL_SECONDS = 0.2
# Beside the lock's own file: who holds it alone, who holds it with others, whose turn it is to look
# whether the one before is gone.
HELD, READER, TURN = ".held", ".reader-", ".turn"
# Seconds after which a file counts for nothing whose maker was killed before it was written.
EMPTY_SECONDS = 60.0


@dataclass(frozen=True)
class Owner:
    """The process that holds a lock, as a file beside it says."""

    machine: str
    pid: int
    started: float | None
    boot: str
    token: str
    """Another for every lock that is taken."""

    def gone(self) -> bool:
        """Whether it has ended, as far as this machine can know."""
        return self.machine == machine() and not self.identity().alive()

    def elsewhere(self) -> bool:
        """Whether it is, or was, a process of another machine."""
        return self.machine != machine()

    def identity(self) -> Identity:
        """The process."""
        return Identity(self.pid, self.started, self.boot)


def _this_process() -> Owner:
    me = identity(os.getpid())
    return Owner(machine(), me.pid, me.started, me.boot, secrets.token_hex(8))


class Lock:
    """A lock that is held until ``release``."""

    def __init__(self, file: Path, descriptor: int, mark: Path | None = None) -> None:
        self.file = file
        self._descriptor: int | None = descriptor
        self._mark = mark
        _HELD.add(self)

    def touch(self) -> None:
        """Set the file's time of change to now."""
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
                os.utime(self._descriptor)

    def release(self) -> None:
        """Let go; a second time does nothing."""
        if self._descriptor is None:
            return
        if self._mark is None:
            # Aloud, in case a child was forked just now that shares the descriptor.
            with contextlib.suppress(OSError):
                fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        else:
            owner = _read(self._mark)
            # Somebody who waited for long may have taken it over: that one is not ours to remove.
            if owner is None or owner.identity() == _this_process().identity():
                with contextlib.suppress(OSError):
                    self._mark.unlink(missing_ok=True)
        self.forget()

    def forget(self) -> None:
        """Close the file without letting go for others."""
        if self._descriptor is not None:
            os.close(self._descriptor)
        self._descriptor = self._mark = None


# Locks of this process. A loader process that outlives it must not hold on to them, or what they
# guard could not be used at once.
_HELD: weakref.WeakSet[Lock] = weakref.WeakSet()


def _let_go() -> None:
    for lock in list(_HELD):
        lock.forget()


os.register_at_fork(after_in_child=_let_go)


def try_lock(file: Path, *, exclusive: bool, forced: str = "") -> Lock | None:
    """A lock on ``file``, which is made if need be.

    Args:
        file: in a folder that is there.
        exclusive: whether nobody else may hold one meanwhile; otherwise others may, but not alone.
        forced: the token of an owner that counts as gone.

    Returns:
        None while others hold one against it, or if its folder is not there (any more).

    Raises:
        OSError: the file cannot be made.
    """
    kind = fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH
    while True:
        try:
            descriptor = _opened(file)
        except FileNotFoundError:
            return None
        mark: Path | None = None
        try:
            try:
                fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                return None
            except OSError:  # the disk has no such locks
                mark = _marked(file, exclusive=exclusive, forced=forced)
                if mark is None:
                    os.close(descriptor)
                    return None
        except BaseException:
            with contextlib.suppress(OSError):
                os.close(descriptor)
            raise
        if is_file_of(file, descriptor):
            return Lock(file, descriptor, mark)
        # Somebody removed the folder in between: this lock is on a file that nobody else sees.
        os.close(descriptor)
        if mark is not None:
            mark.unlink(missing_ok=True)


def _opened(file: Path) -> int:
    # Not to be handed to the programs that are started meanwhile: they would hold it, too.
    try:
        return os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except PermissionError:  # somebody else's, which can be locked all the same
        return os.open(file, os.O_RDONLY | os.O_CLOEXEC)


def is_file_of(file: Path, descriptor: int) -> bool:
    """Whether the file of that name is still the one that was opened."""
    try:
        return os.path.samestat(file.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def wait_for(
    file: Path,
    *,
    exclusive: bool,
    meanwhile: Callable[[], None],
    patience: float | None = None,
    every: float = POLL_SECONDS,
) -> Lock:
    """As ``try_lock``, but wait, in a folder that is made if need be.

    Args:
        file: as in ``try_lock``.
        exclusive: as in ``try_lock``.
        meanwhile: called again and again; what it raises ends the waiting.
        patience: seconds after which an owner on another machine counts as gone, for locks that are
            only ever held for a moment; None: never.
        every: seconds between tries.

    Raises:
        OSError: as ``try_lock``, or the folder cannot be made.
    """
    seen, since = "", time.monotonic()
    while True:
        file.parent.mkdir(parents=True, exist_ok=True)
        owner = None if patience is None else owner_of(file)
        token = owner.token if owner is not None and owner.elsewhere() else ""
        if token != seen:
            seen, since = token, time.monotonic()
        late = patience is not None and time.monotonic() - since > patience
        lock = try_lock(file, exclusive=exclusive, forced=seen if late else "")
        if lock is not None:
            return lock
        meanwhile()
        time.sleep(every)


# --- where the system has no locks


def mark_of(file: Path) -> Path:
    """The file that says who holds the lock alone, where the system has no locks."""
    return file.with_name(f"{file.name}{HELD}")


def owner_of(file: Path) -> Owner | None:
    """Who holds the lock alone, where a file says so."""
    return _read(mark_of(file))


def _marked(file: Path, *, exclusive: bool, forced: str) -> Path | None:
    """The file that says that this process holds the lock; None where another does."""
    mine, alone = _this_process(), mark_of(file)
    try:
        if not exclusive:
            mark = file.with_name(f"{file.name}{READER}{mine.token}")
            _made(mark, mine)
            # Whoever wants it alone makes his file first and then looks for readers.
            if _counts(alone, forced):
                mark.unlink(missing_ok=True)
                return None
            return mark
        if not _taken(alone, mine, forced):
            return None
        for reader in file.parent.glob(f"{file.name}{READER}*"):
            if _counts(reader, forced):
                alone.unlink(missing_ok=True)
                return None
            reader.unlink(missing_ok=True)
    except FileNotFoundError:  # the folder is gone
        return None
    return alone


def _taken(mark: Path, mine: Owner, forced: str) -> bool:
    """Make the file, or take it over from a process that is gone."""
    for _ in range(2):
        if _made(mark, mine):
            return True
        if _counts(mark, forced):
            return False
        # One at a time, or a second would remove what the first has just made.
        turn = mark.with_name(f"{mark.name}{TURN}")
        if not _made(turn, mine):
            if _counts(turn, ""):
                return False
            turn.unlink(missing_ok=True)
            continue
        try:
            if _counts(mark, forced):
                return False
            mark.unlink(missing_ok=True)
            return _made(mark, mine)
        finally:
            turn.unlink(missing_ok=True)
    return False


def _made(mark: Path, owner: Owner) -> bool:
    """Make a file that is not there yet; of several who try, one succeeds."""
    try:
        descriptor = os.open(mark, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    except FileExistsError:
        return False
    try:
        os.write(descriptor, json.dumps(asdict(owner)).encode())
    except OSError:
        mark.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)
    return True


def _counts(mark: Path, forced: str) -> bool:
    """Whether the file is there, and of a process that may still run."""
    owner = _read(mark)
    if owner is not None:
        return not owner.gone() and owner.token != (forced or None)
    try:
        return time.time() - mark.stat().st_mtime < EMPTY_SECONDS
    except OSError:
        return False


def _read(mark: Path) -> Owner | None:
    """Who made the file; None where it does not say."""
    try:
        raw = json.loads(mark.read_bytes())
        pid, started = raw["pid"], raw["started"]
        if type(pid) is not int or not 0 < pid <= LARGEST_PID:
            return None
        return Owner(
            str(raw["machine"]),
            pid,
            None if started is None else float(started),
            str(raw["boot"]),
            str(raw["token"]),
        )
    except (OSError, ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return None
