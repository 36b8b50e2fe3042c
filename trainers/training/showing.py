"""What there is to choose from: recipes and settings, printed for people."""

from __future__ import annotations

import argparse
import sys
import textwrap

from ppap.settings import SettingError
from trainers.command import DONE, WRONG
from trainers.config import KIND, Config, limits
from trainers.recipes import find, names

WIDTH = 100
INDENT = " " * 18


def show(given: argparse.Namespace) -> int:
    """What --list, --show and --settings ask for; returns the exit status."""
    if given.list:
        print("\n".join(f"{name:24} {find(name).title}" for name in names()))
    if given.show:
        try:
            print(recipe_text(given.show))
        except SettingError as error:
            print(error, file=sys.stderr)
            return WRONG
    if given.settings:
        print(settings_text())
    return DONE


def recipe_text(name: str) -> str:
    """A recipe's docstring, and how its settings differ from the usual ones.

    Raises:
        SettingError: there is no such recipe.
    """
    recipe = find(name)
    usual = Config(recipe=name).as_dict()
    chosen = recipe.config.as_dict()
    changed = [f"{name}={as_word(v)}" for name, v in chosen.items() if v != usual[name]]
    return f"{recipe.text}\n\nSettings that differ from the defaults:\n" + textwrap.fill(
        "  ".join(changed) or "none",
        WIDTH,
        initial_indent="    ",
        subsequent_indent="    ",
        break_on_hyphens=False,
        break_long_words=False,
    )


def settings_text() -> str:
    """All settings: meaning, range and usual value."""
    usual = Config().as_dict()
    lines = []
    for name, kind in KIND.items():
        allowed = limits(name)
        meaning = f"{name:{len(INDENT) - 1}} {allowed.meaning}"
        lines += textwrap.wrap(meaning, WIDTH, subsequent_indent=INDENT)
        span = f"{allowed.sentence(kind)}; default {as_word(usual[name]) or '(empty)'}"
        lines += textwrap.wrap(span, WIDTH, initial_indent=INDENT, subsequent_indent=INDENT)
    return "\n".join(lines)


def as_word(value: object) -> str:
    """A setting's value as a command line gives it."""
    if isinstance(value, float):
        return f"{value:.10g}"
    return str(value).lower() if isinstance(value, bool) else str(value)
