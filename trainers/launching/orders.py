"""What somebody asks to have trained: untrusted texts in, a checked order out.

An order is what the command line would say: a recipe, a data set, a name, and changes of settings.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ppap.backbones.naming import absolute
from ppap.data import printable
from ppap.settings import SettingError, excerpt
from trainers.config import KIND, Config, checked, limits, unknown
from trainers.recipes import find
from trainers.training.splits import SAMPLES

# No folder but the runs' own can be meant, and no option of a command.
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")
LONGEST_TEXT = 4096
# The recipe is chosen beside the settings; where a run is kept, by its name.
NOT_CHANGED = ("recipe",)


@dataclass(frozen=True)
class Order:
    """A run to be."""

    name: str
    recipe: str
    data: Path | None
    """None for the sample photos."""
    changes: dict[str, str]
    """Settings that differ from the recipe's, as texts."""
    config: Config

    def about(self) -> dict[str, Any]:
        """What asks for the same again, for JSON."""
        data = None if self.data is None else str(self.data)
        return {"recipe": self.recipe, "data": data, "settings": dict(self.changes)}


def run_name(text: object, field: str = "name") -> str:
    """A name for a run.

    Raises:
        SettingError: it is none; names the field.
    """
    if not isinstance(text, str) or not text:
        raise SettingError(field, "Give the run a name.")
    if not NAME.fullmatch(text):
        raise SettingError(
            field,
            f"{printable(excerpt(text))!r} cannot be a run's name: use up to 100 letters, digits, "
            "-, _ and ., with a letter or digit first.",
        )
    return text


def plain_text(field: str, value: object) -> str:
    """A text that a file's name or a command can hold; SettingError otherwise."""
    if value is None:
        return ""
    if not isinstance(value, str | int | float | bool):
        raise SettingError(field, f"{field} must be a text.")
    try:
        text = (str(value).lower() if isinstance(value, bool) else str(value)).strip()
    except ValueError:  # Python writes no whole number of more than 4,300 digits
        raise SettingError(field, f"{field} must not be a number that long.") from None
    if len(text) > LONGEST_TEXT:
        raise SettingError(field, f"{field} must be a text of at most {LONGEST_TEXT} characters.")
    if not text.isprintable() or "\ud800" <= max(text, default=" ") <= "\udfff":
        raise SettingError(field, f"{field} holds characters that no name can have.")
    return text


def any_folder(text: str) -> Path:
    """A folder of this machine; SettingError where there is none."""
    try:
        path = Path(text).expanduser().resolve()
        if path.is_dir():
            return path
    except (OSError, RuntimeError, ValueError):
        pass
    raise SettingError("data", f"There is no folder {text}.")


def settings_errors(base: Config, changes: Mapping[str, object]) -> dict[str, str]:
    """What is wrong with each changed setting, by its name; together only if each is fine."""
    errors: dict[str, str] = {}
    for name, value in changes.items():
        try:
            if name in NOT_CHANGED:
                raise SettingError(
                    name, f"{name} is no setting to be changed: choose it by itself."
                )
            if name not in KIND:
                raise unknown(name)
            checked(name, plain_text(name, value), KIND[name], limits(name))
        except SettingError as error:
            errors[excerpt(name)] = str(error)
    if not errors:
        try:
            base.with_({name: plain_text(name, value) for name, value in changes.items()})
        except SettingError as error:
            errors[error.field] = str(error)
    return errors


def read_order(
    raw: Mapping[str, Any],
    *,
    folder: Callable[[str], Path] = any_folder,
) -> tuple[Order | None, dict[str, str]]:
    """An order, or what is wrong with it, a sentence for each field.

    Args:
        raw: ``recipe``, ``data``, ``name``, and ``settings`` by name; untrusted.
        folder: finds the data set's folder; its errors are told at ``data``.
    """
    errors: dict[str, str] = {}
    name, data, changes = "", None, {}
    try:
        recipe = find(plain_text("recipe", raw.get("recipe")))
    except SettingError as error:
        return None, {"recipe": str(error)}
    try:
        name = run_name(raw.get("name"))
    except SettingError as error:
        errors["name"] = str(error)
    given = raw.get("settings") or {}
    if not isinstance(given, Mapping):
        return None, {"settings": "The settings must be an object with named fields."}
    errors |= settings_errors(recipe.config, given)
    config = recipe.config
    if not set(errors) - {"name"}:
        changes = differing(recipe.config, given)
        config = recipe.config.with_(changes)
        # The trainer is started in another folder than the one that this was typed in.
        if absolute(config.backbone) != config.backbone:
            changes["backbone"] = absolute(config.backbone)
            config = recipe.config.with_(changes)
    try:
        text = plain_text("data", raw.get("data"))
        if text and config.dataset == SAMPLES:
            raise SettingError("data", "The sample photos come with the project: name no folder.")
        if not text and config.dataset != SAMPLES:
            raise SettingError("data", "Say in which folder the data set is.")
        data = folder(text) if text else None
    except Exception as error:  # whatever ``folder`` says
        errors["data"] = str(error)
    if errors:
        return None, errors
    return Order(name, recipe.name, data, changes, config), {}


def differing(base: Config, given: Mapping[str, object]) -> dict[str, str]:
    """The changes that change anything, as texts."""
    usual = base.as_dict()
    changes = {}
    for name, value in given.items():
        text = plain_text(name, value)
        if checked(name, text, KIND[name], limits(name)) != usual[name]:
            changes[name] = text
    return changes


def arguments(about: Mapping[str, Any], out: Path | str, cache: Path | None = None) -> list[str]:
    """The words after ``python -m trainers.train`` that begin such a run."""
    words = [about["recipe"]]
    # Written as one word, so that no folder's name can be taken for an option.
    words += [f"--data={about['data']}"] if about["data"] else []
    words += [f"--out={out}"]
    words += [f"--cache={cache}"] if cache is not None else []
    changes = about["settings"]
    words += ["--set", *(f"{name}={value}" for name, value in changes.items())] if changes else []
    return words


def command_line(about: Mapping[str, Any], out: Path) -> str:
    """The command for people: what they would type in the project's folder."""
    here = os.path.relpath(out)
    shown = str(out) if here.startswith("..") else here
    words = ["python", "-m", "trainers.train", *arguments(about, shown)]
    return shlex.join(words)
