from __future__ import annotations

import sys

import pytest

from trainers import progress as module
from trainers.progress import Pace, Progress, in_words


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(module, "time", made)
    return made


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(-3, "0 s"), (0.4, "0 s"), (59.4, "59 s"), (59.6, "1 min"), (95, "1 min 35 s"),
     (600, "10 min"), (635, "10 min"), (3599, "59 min"), (3600, "1 h"), (5400, "1 h 30 min"),
     (47 * 3600, "47 h"), (50 * 3600, "2 days 2 h")],
)  # fmt: skip
def test_seconds_in_words(seconds: float, words: str) -> None:
    assert in_words(seconds) == words


def test_the_pace_of_late(clock: Clock) -> None:
    pace = Pace(window=3)
    assert pace.per_second() is None
    pace.at(0)
    assert pace.per_second() is None
    assert pace.left(5) is None
    clock.now += 10
    pace.at(10)
    assert pace.per_second() == 1
    assert pace.left(5) == 5
    for done in (20, 30):  # ten times as fast, and the slow ones forgotten
        clock.now += 1
        pace.at(done)
    assert pace.per_second() == 10
    assert pace.left(5) == 0.5


def test_no_pace_without_time(clock: Clock) -> None:
    pace = Pace()
    pace.at(1)
    pace.at(2)
    assert pace.per_second() is None


def test_lines_where_nobody_watches(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with Progress("Caching", 4000, "images") as progress:
        progress.at(0)
        clock.now += 10
        progress.at(1000)
        assert capsys.readouterr().err == ""
        clock.now += 10
        progress.at(2000)
        assert capsys.readouterr().err == "Caching: 2,000 of 4,000 images, 20 s left\n"
        clock.now += 10
        progress.at(2500)
        clock.now += 10
        progress.at(3000, 5000)
        assert capsys.readouterr().err == "Caching: 3,000 of 5,000 images, 27 s left\n"
    assert capsys.readouterr().err == ""


def test_one_line_on_a_terminal(
    clock: Clock, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with Progress("Caching", 4, "images") as progress:
        clock.now += 1
        progress.at(1)
        assert capsys.readouterr().err == "\r\x1b[KCaching: 1 of 4 images"
        clock.now += 0.15
        progress.at(2)
        assert capsys.readouterr().err == ""
        clock.now += 0.15
        progress.at(3)
        assert capsys.readouterr().err == "\r\x1b[KCaching: 3 of 4 images, 0 s left"
    assert capsys.readouterr().err == "\r\x1b[K"


def test_quiet(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with Progress("Caching", 4, "images", quiet=True) as progress:
        clock.now += 100
        progress.at(1)
    assert capsys.readouterr().err == ""
