"""Files that anybody may have put there, or put something else in their place."""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path

import pytest

from ppap.studio.evaluate.reports import read_json as read_report
from trainers.runs.owner import OWNER, owner_of
from trainers.runs.standing import last_lines
from trainers.runs.values import opened, read_json
from trainers.runs.watching import log_part, search_log


def test_whoever_opens_a_pipe_does_not_wait_for_its_other_end(tmp_path: Path) -> None:
    pipe = tmp_path / OWNER
    os.mkfifo(pipe)

    def write() -> None:
        with contextlib.suppress(OSError):  # nobody reads it
            pipe.write_text('{"a": 1}')

    # Whoever waits would be let go on by this one.
    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    assert read_json(pipe) == {}
    assert owner_of(tmp_path) == ""
    assert read_report(pipe) is None
    with pytest.raises(OSError, match="Not a file"):
        opened(pipe)
    with pytest.raises(OSError, match="Not a file"):
        opened(tmp_path)
    ours = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    writer.join(60)
    os.close(ours)


def test_a_file_that_is_too_long_says_nothing(tmp_path: Path) -> None:
    file = tmp_path / "long.json"
    file.write_text('{"a": 1}')
    assert read_json(file, 8) == {"a": 1}
    assert read_json(file, 7) == {}


def test_a_log_is_shown_only_where_it_lies_among_the_runs(tmp_path: Path) -> None:
    run, other = tmp_path / "runs/one", tmp_path / "runs/other"
    run.mkdir(parents=True)
    other.mkdir()
    for place in (tmp_path, other):
        (place / "said.txt").write_text(f"a line in {place.name}\n")
    log = run / "log.txt"
    log.symlink_to("../other/said.txt")
    assert log_part(run, -1).text == "a line in other\n"
    assert [found["text"] for found in search_log(run, "LINE")] == ["a line in other"]
    assert last_lines(run) == ["a line in other"]
    for target in (tmp_path / "said.txt", log, tmp_path / "nothing"):
        log.unlink()
        log.symlink_to(target)
        assert log_part(run, -1).text == ""
        assert search_log(run, "line") == []
        assert last_lines(run) == []
