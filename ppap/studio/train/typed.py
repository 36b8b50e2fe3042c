"""The command line for what stands in the form, whether it would be taken or not."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ppap.settings import SettingError
from trainers.launching.orders import NOT_CHANGED, command_line, plain_text, run_name
from trainers.recipes import find
from trainers.rules import reads
from trainers.slurm.line import HERE
from trainers.training.splits import SAMPLES

# What stands for a name or a folder that nobody has typed yet.
NAME, DATA = "NAME", "DIR"
PLACEHOLDERS = {"name": NAME, "data": DATA}


class Typed(NamedTuple):
    """A command, and what is to be said of it."""

    command: str
    """Empty where nothing can be written."""
    said: str


def as_typed(raw: Mapping[str, Any], root: Path, errors: Mapping[str, str]) -> Typed:
    """What is typed, as a command.

    Args:
        raw: the order; untrusted.
        root: the folder of all runs.
        errors: what is wrong with the order, by field; at least one.
    """
    try:
        about, name = _about(raw)
    except SettingError as error:
        return Typed("", f"There is no command: {error}")
    lacking = {field: word for field, word in PLACEHOLDERS.items() if word in (name, about["data"])}
    said = f"Replace {' and '.join(lacking.values())} with your own." if lacking else ""
    others = [text for field, text in errors.items() if field not in lacking]
    if others:
        said = f"{said} It would be refused: {others[0]}".strip()
    return Typed(command_line(about, root / name), said)


def _about(raw: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """What asks for a run, and its name; SettingError where no command can say it."""
    recipe = find(plain_text("recipe", raw.get("recipe")))
    name = raw.get("name")
    try:
        name = run_name(name)
    except SettingError:
        name = NAME
    given = raw.get("settings") or {}
    if not isinstance(given, Mapping):
        raise SettingError("settings", "The settings must be an object with named fields.")
    usual = recipe.config.as_dict()
    texts = {key: plain_text(key, value) for key, value in given.items() if _known(key, usual)}
    rule, dataset = texts.get("rule", usual["rule"]), texts.get("dataset", usual["dataset"])
    settings = {key: value for key, value in texts.items() if reads(rule, key)}
    data = plain_text("data", raw.get("data"))
    about: dict[str, Any] = {
        "recipe": recipe.name,
        "data": data or (None if dataset == SAMPLES else DATA),
        "settings": settings,
    }
    slurm = raw.get("slurm")
    if (plain_text("on", raw.get("on")) or HERE) != HERE:
        asked = slurm if isinstance(slurm, Mapping) else {}
        said = {str(key): plain_text("slurm", value) for key, value in asked.items() if value}
        about["slurm"] = said | ({"extra": [said["extra"]]} if "extra" in said else {})
    return about, name


def _known(key: object, usual: Mapping[str, Any]) -> bool:
    return key in usual and key not in NOT_CHANGED
