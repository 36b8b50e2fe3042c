"""How far something is, and how long it will take, on stderr."""

from __future__ import annotations

import contextlib
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from types import TracebackType

# Seconds between lines where nobody watches, and between redrawings where somebody does.
QUIET_SECONDS = 15.0
DRAWN_SECONDS = 0.2


class Progress:
    """One line that is drawn again and again on a terminal; now and then a line elsewhere."""

    def __init__(
        self,
        title: str,
        total: int,
        unit: str,
        *,
        quiet: bool = False,
        every: float = QUIET_SECONDS,
    ) -> None:
        """``every``: seconds between lines where nobody watches."""
        self.title, self.total, self.unit = title, total, unit
        self.quiet, self.every = quiet, every
        self.terminal = sys.stderr.isatty()
        self.pace = Pace()
        self.done = 0
        self.shown = time.monotonic()
        self.drawn = False

    def at(self, done: int, total: int | None = None) -> None:
        """``done`` of ``total`` are."""
        self.total = self.total if total is None else total
        self.done = done
        self.pace.at(done)
        if not self.quiet:
            for listener in _LISTENERS:
                listener(self)
        now = time.monotonic()
        if self.quiet or now - self.shown < (DRAWN_SECONDS if self.terminal else self.every):
            return
        self.shown, self.drawn = now, True
        text = how_far(self.title, done, self.total, self.unit, self.left)
        sys.stderr.write(f"\r\x1b[K{text}" if self.terminal else f"{text}\n")
        sys.stderr.flush()

    @property
    def left(self) -> float | None:
        """Seconds until it is done; None where that is not known yet."""
        return self.pace.left(self.total - self.done)

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.drawn and self.terminal:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


_LISTENERS: list[Callable[[Progress], None]] = []


@contextlib.contextmanager
def heard(listener: Callable[[Progress], None]) -> Iterator[None]:
    """Meanwhile ``listener`` is told of whatever comes on in this process, each time it does."""
    _LISTENERS.append(listener)
    try:
        yield
    finally:
        _LISTENERS.remove(listener)


def how_far(title: str, done: int, total: int, unit: str, left: float | None) -> str:
    """``Caching features: 1,200 of 5,000 images, 12 min left``."""
    text = f"{title}: {done:,} of {total:,} {unit}"
    return text if left is None else f"{text}, {in_words(left)} left"


class Pace:
    """How fast something went lately."""

    def __init__(self, window: int = 50) -> None:
        self.times: deque[tuple[int, float]] = deque(maxlen=window)

    def at(self, done: int) -> None:
        """``done`` are, now."""
        self.times.append((done, time.monotonic()))

    def per_second(self) -> float | None:
        """How many a second; None before two times are known."""
        if len(self.times) < 2:
            return None
        (first, began), (last, ended) = self.times[0], self.times[-1]
        return (last - first) / (ended - began) if ended > began else None

    def left(self, remaining: int) -> float | None:
        """Seconds for ``remaining`` more; None where that is not known yet."""
        speed = self.per_second()
        return remaining / speed if speed else None


def in_words(seconds: float) -> str:
    """``95`` → ``1 min 35 s``."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if minutes < 10 and rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{hours // 24} days {hours % 24} h"
