"""One of several processes of a run: it ends with those that lead it, and leaves its last word."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
import time
from pathlib import Path

# The process that leads a run's others on this machine, by its number.
LEADER = "PPAP_LEADER"
# Where torchrun looks for a process's last word.
WORD = "TORCHELASTIC_ERROR_FILE"
LOOK_SECONDS = 0.5


def is_worker() -> bool:
    """Whether torchrun started this process."""
    return "TORCHELASTIC_RUN_ID" in os.environ or os.environ.get("WORLD_SIZE", "1") not in ("", "1")


def follow_leader() -> None:
    """From now on end where the leader is gone; nothing happens in a process without one.

    Torchrun gives each process a session of its own, so that one who kills the leader with all of
    its session does not reach them.
    """
    leader = os.environ.get(LEADER, "")
    if leader.isdigit() and is_worker():
        threading.Thread(target=_follow, args=(int(leader),), daemon=True).start()


def _follow(leader: int) -> None:
    while os.getppid() == leader:
        time.sleep(LOOK_SECONDS)
    os.kill(os.getpid(), signal.SIGKILL)


def leave_word(sentence: str) -> None:
    """Say why this process ends, for whoever leads it."""
    file = os.environ.get(WORD)
    if file:
        with contextlib.suppress(OSError):
            text = json.dumps({"message": sentence, "timestamp": int(time.time())})
            Path(file).write_text(text, encoding="utf-8")
