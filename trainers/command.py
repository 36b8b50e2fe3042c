"""What all commands share: how they refuse, speak, and end."""

from __future__ import annotations

import argparse
import sys
from typing import NoReturn

DONE, FAILED, WRONG, INTERRUPTED = 0, 1, 2, 130


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one sentence, without the usage."""

    def error(self, message: str) -> NoReturn:
        """See the base class."""
        self.exit(WRONG, f"{message} (all options: {self.prog} --help)\n")


def say(text: str) -> None:
    """A line for whoever watches."""
    print(text, file=sys.stderr, flush=True)
