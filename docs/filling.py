"""What `make docs` fills into pages from the code: recipes, settings, and the help of commands."""

from __future__ import annotations

import importlib
import os
from pathlib import Path

from trainers import recipes
from trainers.__main__ import COMMANDS
from trainers.config import KIND, Config, limits
from trainers.training.showing import as_word

os.environ["COLUMNS"] = "96"  # of the help


def filled(text: str) -> str:
    """A page with its marks replaced."""
    for name, make in {"recipes": list_of_recipes, "settings": settings, "help": helps}.items():
        mark = f"<!-- filled: {name} -->"
        if mark in text:
            text = text.replace(mark, make())
    return text


def list_of_recipes() -> str:
    """Every recipe with its title."""
    found = [recipes.find(name) for name in recipes.names()]
    rows = [f"| `{one.name}` | {cell(one.title)} |" for one in found]
    return "\n".join(["## Recipes", "", "| name | what it is |", "| --- | --- |", *rows])


def settings() -> str:
    """Every setting with its meaning, what it may be, and its default."""
    usual = Config().as_dict()
    rows = []
    for name, kind in KIND.items():
        allowed = limits(name)
        default = f"`{as_word(usual[name])}`" if as_word(usual[name]) else ""
        meaning, value = cell(allowed.meaning), cell(allowed.sentence(kind))
        rows.append(f"| `{name}` | {meaning} | {value} | {default} |")
    head = ["| setting | meaning | value | default |", "| --- | --- | --- | --- |"]
    return "\n".join(["## Settings of a run", "", *head, *rows])


def helps() -> str:
    """What each command prints for --help."""
    parts = ["## The help of each command"]
    for name in COMMANDS:
        parser = importlib.import_module(f"trainers.{name}").parser()
        usual = f"python -m trainers.{name}"
        said = parser.format_help().replace(usual, f"ppap {name}").replace(str(Path.home()), "~")
        parts += [f"### ppap {name}", f"```\n{said}```"]
    return "\n\n".join(parts)


def cell(text: str) -> str:
    """A text inside a table."""
    return " ".join(text.split()).replace("|", "\\|")
