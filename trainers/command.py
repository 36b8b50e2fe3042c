"""What all commands share: how they refuse, speak, and end."""

from __future__ import annotations

import argparse
import codecs
import contextlib
import functools
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NoReturn, ParamSpec, TextIO, TypeVar, cast

from ppap.machine import limit_threads
from ppap.surroundings import cache_home, find_caches, mend_proxies

DONE, FAILED, WRONG, INTERRUPTED = 0, 1, 2, 130
# Of a number on the command line that has no other bound.
MOST = 65_536
# For terminals that lack them; any other character is written as its number.
PLAIN = {
    "…": "...", "–": "-", "−": "-", "×": "x", "·": "*", "±": "+/-", "→": "->", "≤": "<=", "≥": ">=",
    "‘": "'", "’": "'", "“": '"', "”": '"', "⁰": "0", "\u00a0": " ", "\u202f": " ",
    "Φ": "Phi", "Ψ": "Psi", "σ": "sigma", "τ": "tau", "λ": "lambda", "ρ": "rho",
}  # fmt: skip
READABLE = "ppap.readable"

Given = ParamSpec("Given")
Result = TypeVar("Result")


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


# --- what every command begins and ends with


def as_command(main: Callable[Given, Result]) -> Callable[Given, Result]:
    """A command's ``main``, on anybody's machine: see ``make_ready`` and ``steady_output``."""

    @functools.wraps(main)
    def run(*given: Given.args, **named: Given.kwargs) -> Result:
        with steady_output():
            make_ready()
            return main(*given, **named)

    return run


def make_ready(own: Iterable[str] = ()) -> None:
    """Make the surroundings fit to work in, before anything heavy is imported; says what changed.

    Args:
        own: hosts that are this machine, for ``mend_proxies``.
    """
    limit_threads()
    try:
        where = find_caches()
    except OSError as error:
        sys.exit(f"No temporary files can be made: {error.strerror or error}.")
    for sentence in [*([where] if where else []), *mend_proxies(own)]:
        say(sentence)


@contextlib.contextmanager
def steady_output() -> Iterator[None]:
    """Meanwhile no output fails: neither in an encoding that lacks a character, nor into a pipe
    that nobody reads any more.
    """
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = steady(sys.stdout), steady(sys.stderr)
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
        sys.stdout, sys.stderr = before


def steady(stream: TextIO) -> TextIO:
    """``stream``, whose writing cannot fail."""
    if stream is None or isinstance(stream, Steady):
        return stream
    if hasattr(stream, "reconfigure"):
        codecs.register_error(READABLE, _readable)
        stream.reconfigure(errors=READABLE)
    return cast(TextIO, Steady(stream))


class Steady:
    """An output that goes on when nobody takes it any more, as with ``| head -1``, into nothing."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """See ``TextIO``."""
        with self._going_on():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """See ``TextIO``."""
        with self._going_on():
            self._stream.flush()

    @contextlib.contextmanager
    def _going_on(self) -> Iterator[None]:
        try:
            yield
        except OSError:  # nobody reads any more, the terminal is gone, or the disk is full
            # What still waits to be written goes nowhere, too, when Python ends.
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)


def _readable(error: UnicodeError) -> tuple[str, int]:
    """What stands for characters that an encoding lacks."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    plain = (PLAIN.get(one) or one.encode("ascii", "backslashreplace").decode() for one in lacking)
    return "".join(plain), error.end


def say(text: str) -> None:
    """A line for whoever watches."""
    print(text, file=sys.stderr, flush=True)


def add_looks(made: argparse.ArgumentParser, about: str) -> None:
    """Options on how images are looked at; none is part of PPAP. ``about``: said above them."""
    looks = made.add_argument_group("more than one pass", about)
    looks.add_argument("--mirror", action="store_true", help="average with the mirror image")
    looks.add_argument(
        "--scales",
        metavar="X",
        type=float,
        nargs="+",
        default=[1.0],
        help="average over the image at these scales, such as 0.75 1 1.25",
    )
    looks.add_argument(
        "--window",
        metavar="N",
        type=whole_number(0, MOST),
        default=0,
        help="use sliding windows of N × N pixels; neighbouring windows overlap by at least half",
    )
    looks.add_argument(
        "--shifts",
        metavar="N",
        type=whole_number(1, MOST),
        default=1,
        help="shift the image by fractions of a patch, N along each side, for an N times finer "
        "grid",
    )


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


def expanded(path: Path | str) -> Path:
    """A path as it was meant where it was typed, for everybody who works elsewhere.

    The shell leaves ``~`` alone in ``--data=~/photos``. Links keep their names.
    """
    full = Path(os.path.expanduser(path)).absolute()  # noqa: PTH111  (leaves an unknown user's as it is)
    return full.resolve() if ".." in full.parts else full


def default_cache() -> Path:
    """PPAP_CACHE, or a folder where programs keep what they can make again."""
    if os.environ.get("PPAP_CACHE"):
        return expanded(os.environ["PPAP_CACHE"])
    home = cache_home()
    if home is None:
        find_caches()
        home = cache_home()
    assert home is not None
    return expanded(home) / "ppap-studio" / "features"
