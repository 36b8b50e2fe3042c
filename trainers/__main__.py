"""``ppap train …``, ``ppap evaluate …``: all commands under one name."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Sequence
from importlib import import_module

from trainers.command import WRONG, as_command, say

COMMANDS = {
    "train": "train from a recipe, resume a run, list recipes and settings",
    "evaluate": "score a run or a checkpoint on a split of a data set",
    "segment": "segment a folder of images, and write them as a data set",
    "study": "measure how far PPAP's sets can be trusted on your images",
    "compare": "train several rules with several seeds, and print the table",
    "ablation": "train a grid of settings through the queue",
    "crops": "write the five crops of every image of a data set",
}


def usage() -> str:
    """What there is to type."""
    lines = [f"  {name:10} {text}" for name, text in COMMANDS.items()]
    return "\n".join(
        ["usage: ppap COMMAND …", "", *lines, "", "ppap COMMAND --help explains each."]
    )


@as_command
def main(given: Sequence[str] | None = None) -> int:
    """Run one of the commands; returns the exit status."""
    words = list(sys.argv[1:] if given is None else given)
    if not words or words[0] in ("-h", "--help"):
        print(usage())
        return 0 if words else WRONG
    if words[0] == "--version":
        from ppap import __version__

        print(__version__)
        return 0
    if words[0] not in COMMANDS:
        near = difflib.get_close_matches(words[0], COMMANDS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"choose one of {', '.join(COMMANDS)}."
        say(f"There is no command {words[0]!r}: {hint}")
        return WRONG
    run = import_module(f"trainers.{words[0]}").main
    status: int = run(words[1:])
    return status


if __name__ == "__main__":
    sys.exit(main())
