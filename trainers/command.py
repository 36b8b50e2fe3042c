"""What all commands share: how they refuse, speak, and end."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any, NoReturn

DONE, FAILED, WRONG, INTERRUPTED = 0, 1, 2, 130


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one sentence, without the usage.

    Commands are called by the name they were started with: ``ppap train`` or
    ``python -m trainers.train``.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.prog = as_started(self.prog)

    def format_help(self) -> str:
        """See the base class."""
        return as_started(super().format_help())

    def error(self, message: str) -> NoReturn:
        """See the base class."""
        self.exit(WRONG, f"{message} (all options: {self.prog} --help)\n")


def as_started(text: str) -> str:
    """``text``, with the commands called as the one that runs was."""
    short = Path(sys.argv[0]).stem == "ppap"
    return text.replace("python -m trainers.", "ppap ") if short else text


def say(text: str) -> None:
    """A line for whoever watches."""
    print(text, file=sys.stderr, flush=True)


def whole_number(least: int, most: int) -> type[int]:
    """A type of argument: a whole number from ``least`` to ``most``."""

    def read(text: str) -> int:
        number = int(text[:9]) if text.isascii() and text.isdigit() else least - 1
        if not least <= number <= most:
            raise argparse.ArgumentTypeError(
                f"must be a whole number from {least} to {most}, not {text!r}"
            )
        return number

    return read  # type: ignore[return-value]


def expanded(path: Path) -> Path:
    """The shell leaves ``~`` alone in ``--data=~/photos``."""
    return Path(os.path.expanduser(path))  # noqa: PTH111  (leaves an unknown user's as it is)


def default_cache() -> Path:
    """PPAP_CACHE, or a folder where programs keep what they can make again."""
    if os.environ.get("PPAP_CACHE"):
        return Path(os.environ["PPAP_CACHE"])
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "ppap-studio" / "features"
