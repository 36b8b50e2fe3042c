"""What is said of a command that did not end well."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

from ppap.studio.jobs import LOG_LINES, Job, begin, reason, told
from tests.support.small_studio import wait_until

LOG = ["Reading the images", "warnings.warn("]
TRACEBACK = ["Traceback (most recent call last):", 'File "x.py", line 1', "KeyError: 'a'"]


@pytest.mark.parametrize(
    ("lines", "code", "said"),
    [
        ([*LOG, "/data has no split vall."], 2, "/data has no split vall."),
        ([*LOG, "The disk is full."], 1, "The disk is full."),
        ([*LOG, *TRACEBACK], 1, "It failed because of a bug in the program: KeyError: 'a'"),
        (LOG, -signal.SIGKILL, "It was killed, most likely because the machine ran out of memory."),
        (LOG, -signal.SIGSEGV, "It was stopped from outside (SIGSEGV)."),
        (LOG, -99, "It was stopped from outside (signal 99)."),
        (LOG, 7, "It ended with exit status 7."),
        ([], 1, "It ended with exit status 1."),
    ],
)
def test_the_reason_is_a_sentence_and_no_line_of_the_log(
    lines: list[str], code: int, said: str
) -> None:
    assert reason(lines, code) == said


def test_the_log_is_beside_the_reason(tmp_path: Path) -> None:
    script = (
        "import sys\n"
        "for i in range(40): print('line', i, file=sys.stderr)\n"
        "sys.exit('There is no memory left.')"
    )
    job = Job("key", "title", tmp_path / "made", "result")
    job.folder.mkdir()
    begin(job, [sys.executable, "-c", script])
    wait_until(lambda: job.state != "running")
    about = told(job)
    assert (about["state"], about["text"]) == ("failed", "There is no memory left.")
    assert about["lines"] == [f"line {i}" for i in range(40 - LOG_LINES, 40)]
