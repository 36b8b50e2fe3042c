"""What somebody asks to have trained: untrusted texts in, a checked order out.

An order is what the command line would say: a recipe, a data set, a name, and changes of settings.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ppap.backbones.naming import absolute
from ppap.data import printable
from ppap.settings import SettingError, excerpt
from trainers.config import KIND, Config, checked, limits, unknown
from trainers.recipes import find
from trainers.rules import reads
from trainers.several import ALL, read_devices
from trainers.slurm.line import HERE, SLURM
from trainers.slurm.options import Options, read_defaults, why_absent
from trainers.tracking.asked import current, require_trackers
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
    slurm: Options | None = None
    """What SLURM is asked for; None: it runs on this machine."""

    def about(self) -> dict[str, Any]:
        """What asks for the same again, for JSON."""
        data = None if self.data is None else str(self.data)
        about = {"recipe": self.recipe, "data": data, "settings": dict(self.changes)}
        return about if self.slurm is None else {**about, "slurm": self.slurm.as_dict()}


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
        raise SettingError(field, f"{field} must be text.")
    try:
        text = (str(value).lower() if isinstance(value, bool) else str(value)).strip()
    except ValueError:  # Python writes no whole number of more than 4,300 digits
        raise SettingError(field, f"{field} has too many digits.") from None
    if len(text) > LONGEST_TEXT:
        raise SettingError(field, f"{field} must be at most {LONGEST_TEXT} characters long.")
    if not text.isprintable() or "\ud800" <= max(text, default=" ") <= "\udfff":
        raise SettingError(field, f"{field} contains characters that are not allowed.")
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
                raise SettingError(name, f"{name} cannot be changed here: it has its own field.")
            if name not in KIND:
                raise unknown(name)
            checked(name, plain_text(name, value), KIND[name], limits(name))
        except SettingError as error:
            errors[excerpt(name)] = str(error)
    if not errors:
        try:
            texts = {name: plain_text(name, value) for name, value in changes.items()}
            require_trackers(base.with_(texts).track)
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
    given = current(given)
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
            raise SettingError(
                "data", "The sample photos come with the project: leave the folder empty."
            )
        if not text and config.dataset != SAMPLES:
            raise SettingError("data", "Enter the data set folder.")
        data = folder(text) if text else None
    except Exception as error:  # whatever ``folder`` says
        errors["data"] = str(error)
    try:
        slurm = read_place(raw)
    except SettingError as error:
        errors[error.field] = str(error)
    if errors:
        return None, errors
    order = Order(name, recipe.name, data, changes, config)
    if slurm is None:
        return order, {}
    try:
        return sent_to(order, slurm), {}
    except SettingError as error:
        return None, {error.field: str(error)}


def read_place(raw: Mapping[str, Any]) -> Options | None:
    """Where an order is to run: what SLURM is asked for, or None for this machine.

    Raises:
        SettingError: at ``on``, or at ``slurm.NAME`` for one of the options.
    """
    on = plain_text("on", raw.get("on")) or HERE
    if on == HERE:
        return None
    if on != SLURM:
        raise SettingError("on", f"A run can be on {HERE} or {SLURM}, not {excerpt(on)!r}.")
    if said := why_absent():
        raise SettingError("on", said)
    given = raw.get("slurm") or {}
    if not isinstance(given, Mapping):
        raise SettingError("slurm", "The options for SLURM must be an object with named fields.")
    # What is left empty is as the file of defaults says.
    return read_defaults().options.with_({n: v for n, v in given.items() if v not in (None, "")})


def sent_to(order: Order, slurm: Options) -> Order:
    """The order for SLURM: with GPUs there is a process on each, if nothing else is said.

    Raises:
        SettingError: the batch does not divide among the processes, or the device is none of a
            job's.
    """
    config, changes = order.config, dict(order.changes)
    if config.device.startswith("cuda:"):
        raise SettingError("device", "SLURM decides which GPU to use: set device=auto or cuda.")
    if slurm.gpus and config.device == "cpu":
        raise SettingError(
            "slurm.gpus", f"device=cpu uses none of {slurm.gpus} GPUs: use device=auto, or gpus=0."
        )
    if slurm.gpus > 1 and config.devices == "1":
        changes["devices"] = ALL
        config = config.with_({"devices": ALL})
    each = read_devices(config.devices).count or max(1, slurm.gpus)
    if slurm.gpus and each > slurm.gpus:
        own = "1 GPU" if slurm.gpus == 1 else f"{slurm.gpus} GPUs"
        raise SettingError(
            "devices",
            f"devices={config.devices}, but the job requests only {own} per node.",
        )
    processes = each * slurm.nodes
    if config.batch % processes:
        raise SettingError(
            "batch",
            f"A batch of {config.batch} does not divide among {processes} processes ({each} on "
            f"each of {slurm.nodes} nodes): use batch={-(-config.batch // processes) * processes}.",
        )
    return replace(order, config=config, changes=changes, slurm=slurm)


def differing(base: Config, given: Mapping[str, object]) -> dict[str, str]:
    """The changes that change anything, as texts: not those of settings that the rule ignores."""
    usual = base.as_dict()
    rule = plain_text("rule", given.get("rule", base.rule))
    changes = {}
    for name, value in given.items():
        if not reads(rule, name):
            continue
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


def resuming(out: Path, cache: Path | None = None, changes: Sequence[str] = ()) -> list[str]:
    """The words after ``python -m trainers.train`` that go on with a run."""
    words = [f"--out={out}", "--resume"]
    words += [] if cache is None else [f"--cache={cache}"]
    return [*words, *(["--set", *changes] if changes else [])]


def command_line(about: Mapping[str, Any], out: Path) -> str:
    """The command for people: what they would type in the project's folder."""
    here = os.path.relpath(out)
    shown = str(out) if here.startswith("..") else here
    words = ["python", "-m", "trainers.train", *arguments(about, shown)]
    words += slurm_words(about.get("slurm"))
    return shlex.join(words)


def slurm_words(slurm: Mapping[str, Any] | None) -> list[str]:
    """The words that send a run to SLURM; none for a run on this machine."""
    if slurm is None:
        return []
    usual = Options().as_dict()
    said = {name: value for name, value in slurm.items() if value != usual.get(name)}
    extra = said.pop("extra", [])
    named = [f"{name}={value}" for name, value in said.items()]
    named += [f"extra={' '.join(extra)}"] if extra else []
    return ["--on", SLURM, *(["--slurm", *named] if named else [])]
