"""Recipes: one module for each row of results, its docstring being command, time and score.

``CONFIG`` is everything a run of it needs but the data. A recipe is found by its module's name.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from dataclasses import dataclass, replace

from ppap.settings import SettingError, excerpt
from trainers.config import Config


@dataclass(frozen=True)
class Recipe:
    """A named configuration."""

    name: str
    title: str
    """The first line of its docstring."""
    text: str
    """The whole docstring."""
    config: Config


def names() -> list[str]:
    """All recipes, in alphabetic order."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def find(name: str) -> Recipe:
    """The recipe called ``name``.

    Raises:
        SettingError: there is none; suggests the nearest.
    """
    known = names()
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
        hint = f"Did you mean {near[0]}? " if near else ""
        raise SettingError(
            "recipe",
            f"There is no recipe called {excerpt(name)!r}. {hint}There are: {', '.join(known)}.",
        )
    module = importlib.import_module(f"{__name__}.{name}")
    text = (module.__doc__ or "").strip()
    return Recipe(name, text.splitlines()[0], text, replace(module.CONFIG, recipe=name))
