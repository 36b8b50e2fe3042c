"""Locks between processes, where the system has them and where the disk refuses them."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from tests.conftest import ROOT
from trainers import locks
from trainers.cache.errors import CacheError
from trainers.cache.locks import wait_for as wait_for_cache
from trainers.launching import queue
from trainers.launching.queue import held
from trainers.locks import Owner, mark_of, owner_of, try_lock, wait_for
from trainers.processes import Identity, identity
from trainers.runs.folder import Run, RunError, locked

REFUSALS = [errno.ENOLCK, errno.EOPNOTSUPP, errno.EIO, errno.ENOSYS, errno.EINVAL, errno.EBADF]


def refuse(code: int = errno.ENOLCK) -> object:
    def flock(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    return flock


@pytest.fixture(params=["with flock", "without"])
def either(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether the disk has locks."""
    if request.param == "without":
        monkeypatch.setattr(fcntl, "flock", refuse())
    return bool(request.param == "with flock")


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fcntl, "flock", refuse())


def test_alone_or_with_others(either: bool, tmp_path: Path) -> None:
    file = tmp_path / "lock"
    alone = try_lock(file, exclusive=True)
    assert alone is not None
    assert try_lock(file, exclusive=True) is None
    assert try_lock(file, exclusive=False) is None
    alone.release()
    alone.release()  # which changes nothing
    one, other = (try_lock(file, exclusive=False) for _ in range(2))
    assert one is not None
    assert other is not None
    assert try_lock(file, exclusive=True) is None
    one.release()
    assert try_lock(file, exclusive=True) is None
    other.release()
    again = try_lock(file, exclusive=True)
    assert again is not None
    again.release()
    assert [one.name for one in tmp_path.iterdir()] == ["lock"]


def test_a_folder_that_is_gone(either: bool, tmp_path: Path) -> None:
    assert try_lock(tmp_path / "gone/lock", exclusive=True) is None
    assert try_lock(tmp_path / "gone/lock", exclusive=False) is None
    lock = wait_for(tmp_path / "made/lock", exclusive=False, meanwhile=lambda: None)
    lock.touch()
    lock.release()


@pytest.mark.parametrize("code", REFUSALS)
def test_whatever_a_disk_says_instead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    monkeypatch.setattr(fcntl, "flock", refuse(code))
    run = Run(tmp_path / "run")
    with locked(run), pytest.raises(RunError, match=rf"another process \({os.getpid()}\)"):
        locked(run).__enter__()
    with locked(run), held(tmp_path):
        pass
    assert not list(tmp_path.rglob("*.held"))


def owner(**changes: object) -> Owner:
    me = identity(os.getpid())
    usual = Owner(locks.machine(), me.pid, me.started, me.boot, "token")
    return replace(usual, **changes)  # type: ignore[arg-type]


def leave(file: Path, by: Owner) -> None:
    mark_of(file).write_text(json.dumps(asdict(by)))


GONE = [
    {"pid": 2**22 + 5},  # no such process
    {"started": 1.0},  # its number is used again
    {"boot": "before the power cut"},
]


@pytest.mark.parametrize("gone", GONE)
def test_what_a_killed_process_left_counts_for_nothing(
    without: None, tmp_path: Path, gone: dict[str, object]
) -> None:
    file = tmp_path / "lock"
    leave(file, owner(**gone))
    mark_of(file).rename(tmp_path / "lock.reader-a")
    leave(file, owner(**gone))
    lock = try_lock(file, exclusive=True)
    assert lock is not None
    assert owner_of(file) == replace(owner(), token=owner_of(file).token)  # type: ignore[union-attr]
    lock.release()
    assert [one.name for one in tmp_path.iterdir()] == ["lock"]


def test_of_another_machine_nobody_can_tell(without: None, tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    run.folder.mkdir()
    leave(run.folder / "lock", owner(machine="node7", pid=123))
    with pytest.raises(RunError) as found:
        locked(run).__enter__()
    mark = run.folder / "lock.held"
    assert str(found.value) == (
        f"{run.folder} is being trained by process 123 on node7. Wait for it to finish, or stop "
        f"it; if it is gone, delete {mark}."
    )
    mark.unlink()  # as it says
    with locked(run):
        pass


def test_a_lock_of_a_moment_is_not_waited_for_for_ever(
    without: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave(tmp_path / ".lock", owner(machine="node7"))
    now = time.monotonic()
    clock = iter(now + seconds for seconds in range(0, 10_000, 7))
    monkeypatch.setattr(locks.time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(locks.time, "sleep", lambda _: None)
    with held(tmp_path):
        assert next(clock) - now > queue.MOMENT
        assert owner_of(tmp_path / ".lock").pid == os.getpid()  # type: ignore[union-attr]


def test_who_was_taken_for_gone_does_not_let_go_of_another_s(without: None, tmp_path: Path) -> None:
    """It was stopped for minutes, and somebody on another machine took the lock over."""
    lock = try_lock(tmp_path / "lock", exclusive=True)
    assert lock is not None
    leave(tmp_path / "lock", owner(machine="node7", pid=123))
    lock.release()
    assert owner_of(tmp_path / "lock") == owner(machine="node7", pid=123)
    assert try_lock(tmp_path / "lock", exclusive=True) is None


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"\xff", b'{"pid": "x"}', b'{"pid": 1e9, "started": 1}',
     json.dumps({**asdict(Owner("m", 1, 1.0, "", "t")), "pid": 10**400}).encode()],
)  # fmt: skip
def test_a_file_that_says_nothing_counts_for_a_minute(
    without: None, tmp_path: Path, content: bytes
) -> None:
    """Its maker may be about to write it; or he was killed there."""
    mark = mark_of(tmp_path / "lock")
    mark.write_bytes(content)
    assert try_lock(tmp_path / "lock", exclusive=True) is None
    os.utime(mark, (time.time() - 100,) * 2)
    lock = try_lock(tmp_path / "lock", exclusive=True)
    assert lock is not None
    lock.release()


def test_a_turn_that_was_left_behind(without: None, tmp_path: Path) -> None:
    file = tmp_path / "lock"
    leave(file, owner(started=1.0))
    turn = mark_of(file).with_name("lock.held.turn")
    turn.write_text(json.dumps(asdict(owner(started=1.0))))
    lock = try_lock(file, exclusive=True)
    assert lock is not None
    lock.release()
    leave(file, owner(started=1.0))
    turn.write_text(json.dumps(asdict(owner())))  # somebody looks right now
    assert try_lock(file, exclusive=True) is None


def test_readers_of_a_killed_process_do_not_keep_a_cache_for_ever(
    without: None, tmp_path: Path
) -> None:
    (tmp_path / "lock.reader-gone").write_text(json.dumps(asdict(owner(started=1.0))))
    lock = try_lock(tmp_path / "lock", exclusive=True)
    assert lock is not None
    lock.release()
    (tmp_path / "lock.reader-alive").write_text(json.dumps(asdict(owner())))
    assert try_lock(tmp_path / "lock", exclusive=True) is None


COUNTS = """
    import errno, fcntl, sys
    from pathlib import Path
    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")
    fcntl.flock = refuse
    from trainers.locks import wait_for
    file = Path(sys.argv[1])
    for _ in range(25):
        lock = wait_for(file, exclusive=True, meanwhile=lambda: None, every=0.001)
        number = file.with_name("number")
        count = int(number.read_text())
        number.write_text(str(count + 1))
        lock.release()
    print("counted", flush=True)
    input()
    lock = wait_for(file, exclusive=False, meanwhile=lambda: None, every=0.001)
    print("reads", flush=True)
    input()
"""


def another(*words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(COUNTS), *words],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_several_processes_never_hold_it_at_once(without: None, tmp_path: Path) -> None:
    file = tmp_path / "lock"
    (tmp_path / "number").write_text("0")
    leave(file, owner(started=1.0))  # all find what a killed one left
    processes = [another(str(file)) for _ in range(3)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "counted\n"
    assert (tmp_path / "number").read_text() == "75"
    for process in processes:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline() == "reads\n"
    assert try_lock(file, exclusive=True) is None  # they read together now
    for process in processes:
        process.kill()
        process.wait()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.close()
        process.stdout.close()
    lock = try_lock(file, exclusive=True)
    assert lock is not None
    lock.release()


@pytest.mark.parametrize("fallback", [False, True])
def test_a_forked_child_lets_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fallback: bool
) -> None:
    if fallback:
        monkeypatch.setattr(fcntl, "flock", refuse())
    lock = try_lock(tmp_path / "lock", exclusive=True)
    assert lock is not None
    child = os.fork()
    if child == 0:
        lock.release()  # not its own
        os._exit(0)
    os.waitpid(child, 0)
    assert try_lock(tmp_path / "lock", exclusive=True) is None
    lock.release()


def test_a_cache_that_cannot_be_locked_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CacheError, match=r"file.* Choose another folder for them, or switch"):
        wait_for_cache(tmp_path / "file/lock", exclusive=True, meanwhile=lambda: None)


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def test_processes_are_told_apart_without_proc(
    sleeper: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on macOS, where psutil asks the system."""
    monkeypatch.setattr(sys, "platform", "darwin")
    one = identity(sleeper.pid)
    assert one.started is not None
    assert one.alive()
    assert not one._replace(started=one.started - 1).alive()
    os.kill(sleeper.pid, signal.SIGKILL)
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)
    assert not one.alive()  # a zombie still has its number
    sleeper.wait()
    assert not one.alive()
    assert not Identity(10**30, None).alive()
    assert not Identity(-1, None).alive()
