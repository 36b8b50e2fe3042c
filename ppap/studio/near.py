"""What somebody may have meant by a path that is not there."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from urllib.parse import unquote, urlsplit

MOST = 3
CLOSE = 0.6
# Names of one folder that are looked at: it may be anything on the machine.
LOOKED_AT = 5_000
# Parts of a path that may be wrong.
SLIPS = 2


def near_paths(text: str, fits: Callable[[Path], bool]) -> list[str]:
    """Paths like ``text`` that exist, the likeliest first; at most MOST.

    Args:
        text: as it was typed.
        fits: whether a path is there, is of the right kind, and may be told of.
    """
    found: dict[str, None] = {}
    for plain in unquoted(text):
        path = absolute(plain)
        if path is None:
            continue
        if plain != text and fits(path):
            return [as_typed(path, plain)]
        for other in alike(path, fits, SLIPS):
            found.setdefault(as_typed(other, plain))
    found.pop(text, None)
    return list(found)[:MOST]


def unquoted(text: str) -> Iterator[str]:
    """The text, and what it is without what terminals and browsers put around paths."""
    yield text
    bare = text.strip().strip("\"'").strip()
    if bare.lower().startswith("file:"):
        bare = unquote(urlsplit(bare).path)
    bare = bare.replace("\\ ", " ")
    if bare and bare != text:
        yield bare


def absolute(text: str) -> Path | None:
    """The path, with ``~`` put in; None for what can be no path."""
    try:
        return Path(os.path.abspath(Path(text).expanduser()))  # noqa: PTH100  (links stay links)
    except (OSError, RuntimeError, ValueError):
        return None


def as_typed(path: Path, text: str) -> str:
    """A path in the way in which the other was typed."""
    if text.startswith("~"):
        home = absolute("~")
        if home is not None and path.is_relative_to(home):
            return str(Path("~") / path.relative_to(home))
    return str(path)


def alike(path: Path, fits: Callable[[Path], bool], slips: int) -> Iterator[Path]:
    """Paths that differ from ``path`` in the names of at most ``slips`` parts."""
    parts = path.parts
    here = Path(parts[0])
    for place, name in enumerate(parts[1:], 1):
        if exists(here / name):
            here /= name
            continue
        for other in close_names(here, name):
            whole = Path(here / other, *parts[place + 1 :])
            if fits(whole):
                yield whole
            elif slips > 1 and place + 1 < len(parts):
                yield from alike(whole, fits, slips - 1)
        return
    # It is there, but not of the right kind: a file in the folder that was meant, as a rule.
    if fits(path.parent):
        yield path.parent


def close_names(folder: Path, name: str) -> list[str]:
    """Names in a folder that are nearly ``name``, or that begin with it."""
    by_case: dict[str, str] = {}
    try:
        with os.scandir(folder) as entries:
            for _, entry in zip(range(LOOKED_AT), entries, strict=False):
                if entry.name.startswith(".") == name.startswith("."):
                    by_case.setdefault(entry.name.casefold(), entry.name)
    except (OSError, ValueError):
        return []
    return [by_case[one] for one in close(name.casefold(), sorted(by_case))]


def close(name: str, known: Sequence[str]) -> list[str]:
    """Which of the known names are nearly ``name``, or begin with it; the likeliest first."""
    found = get_close_matches(name, known, MOST, CLOSE)
    if len(name) > 1:
        found += [one for one in known if one.startswith(name) and one not in found]
    return found[:MOST]


def exists(path: Path) -> bool:
    """Whether something is there, as far as can be seen."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def did_you_mean(offers: Sequence[str]) -> str:
    """The question that ends a refusal; empty without offers."""
    if not offers:
        return ""
    *most, last = offers
    return f" Did you mean {', '.join(most)}{' or ' if most else ''}{last}?"
