"""What a job is asked for: partition, account, time, nodes, GPUs and so on, checked when made.

Defaults stand in a small file, ``slurm.toml``, whose path is in PPAP_SLURM, or which lies in
``ppap-studio`` where programs keep their settings (``~/.config``)::

    enabled = true                      # without it: where sbatch is on the path
    partition = "gpu"
    time = "12:00:00"
    gpus = 4                            # of each node
    extra = ["--constraint=a100"]       # more options of sbatch
    setup = ["module load cuda/12.4"]   # shell before the training; only here
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, NamedTuple

from ppap.settings import SettingError, excerpt

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

VARIABLE, FILE = "PPAP_SLURM", "slurm.toml"
LONGEST_FILE = 100_000
# Options that may be added. None of them runs a program, writes a file, or undoes what the script
# needs.
EXTRA = (
    "begin", "comment", "constraint", "contiguous", "cpus-per-gpu", "deadline", "dependency",
    "exclude", "exclusive", "gpu-freq", "gres", "hint", "licenses", "mail-type", "mail-user",
    "mem-per-cpu", "mem-per-gpu", "mincpus", "nice", "nodelist", "prefer", "priority",
    "reservation", "switches", "threads-per-core", "tmp", "wckey",
)  # fmt: skip
MOST_EXTRA, MOST_SETUP = 20, 50
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.,+-]{0,199}")
_TIME = re.compile(
    r"(?P<m>\d{1,6})(:(?P<s>\d{2}))?"
    r"|(?P<h2>\d{1,4}):(?P<m2>\d{2}):(?P<s2>\d{2})"
    r"|(?P<d3>\d{1,3})-(?P<h3>\d{1,2})(:(?P<m3>\d{2})(:(?P<s3>\d{2}))?)?"
)
_MEMORY = re.compile(r"[1-9][0-9]{0,8}[KMGT]?")
_EXTRA = re.compile(r"--([a-z][a-z-]{1,30})(?:=([A-Za-z0-9_.,:@/+*&|()\[\]-]{1,200}))?")


class Allowed(NamedTuple):
    """What an option may be, and what it means."""

    meaning: str
    pattern: re.Pattern[str] | None = None
    words: str = ""
    """The pattern for people."""
    least: int = 0
    most: int = 0


def option(default: Any, meaning: str, *more: Any, **limits: Any) -> Any:
    """A field of the options."""
    return field(default=default, metadata={"allowed": Allowed(meaning, *more, **limits)})


_WORD = (_NAME, "a name of letters, digits, and . , _ + -")


@dataclass(frozen=True)
class Options:
    """All that is asked of SLURM; a value out of range raises SettingError at ``slurm.NAME``."""

    partition: str = option("", "Partition to run in; empty: SLURM's default.", *_WORD)
    account: str = option("", "Account that is charged.", *_WORD)
    qos: str = option("", "Quality of service.", *_WORD)
    time: str = option(
        "",
        "Time limit; when it is reached, the run writes a checkpoint, is queued again, and "
        "continues.",
        _TIME,
        "minutes, hours:minutes:seconds, or days-hours",
    )
    nodes: int = option(1, "Nodes that share each batch.", least=1, most=1024)
    gpus: int = option(0, "GPUs per node, one process on each; 0: none.", least=0, most=64)
    cpus: int = option(0, "Cores per node; 0: SLURM's default.", least=0, most=4096)
    memory: str = option("", "Memory per node.", _MEMORY, "a size such as 64G")
    warning: int = option(
        120,
        "Seconds before the time limit at which the run writes a checkpoint.",
        least=10,
        most=65_535,
    )
    extra: tuple[str, ...] = option((), "Other sbatch options, such as --constraint=a100.")

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            object.__setattr__(self, each.name, _checked(each.name, value))
        limit = seconds(self.time)
        if limit is not None and limit <= self.warning:
            raise SettingError(
                "slurm.warning",
                f"The warning comes {self.warning} s before the time limit, which is only {limit} "
                "s: ask for more time, or a later warning.",
            )

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {**asdict(self), "extra": list(self.extra)}

    def with_(self, changes: Mapping[str, Any]) -> Options:
        """The same with other values; SettingError for a name that does not exist."""
        for name in changes:
            if name not in ALLOWED:
                raise SettingError(
                    "slurm",
                    f"The options for SLURM are {', '.join(ALLOWED)}, not {excerpt(name)!r}.",
                )
        return replace(self, **changes)


ALLOWED: dict[str, Allowed] = {each.name: each.metadata["allowed"] for each in fields(Options)}


def seconds(time: str) -> int | None:
    """A time limit in seconds; None for none."""
    found = _TIME.fullmatch(time)
    if found is None:
        return None
    part = {name[0]: int(value) for name, value in found.groupdict().items() if value is not None}
    days, hours = part.get("d", 0), part.get("h", 0)
    return ((days * 24 + hours) * 60 + part.get("m", 0)) * 60 + part.get("s", 0)


def _checked(name: str, value: object) -> Any:
    allowed, where = ALLOWED[name], f"slurm.{name}"
    if name == "extra":
        return _checked_extra(value)
    if allowed.pattern is None:
        text = str(value).strip() if isinstance(value, int | str) else ""
        number = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else -1
        if isinstance(value, bool) or not allowed.least <= number <= allowed.most:
            raise SettingError(
                where, f"{name} must be a whole number from {allowed.least} to {allowed.most}."
            )
        return number
    text = str(value).strip() if isinstance(value, int | str) else " "
    if text and not allowed.pattern.fullmatch(text):
        raise SettingError(where, f"{name} must be {allowed.words}, not {excerpt(value)!r}.")
    return text


def _checked_extra(value: object) -> tuple[str, ...]:
    words = value.split() if isinstance(value, str) else value
    if not isinstance(words, list | tuple) or len(words) > MOST_EXTRA:
        raise SettingError("slurm.extra", f"extra must be at most {MOST_EXTRA} options of sbatch.")
    for word in words:
        found = _EXTRA.fullmatch(word) if isinstance(word, str) else None
        if found is None or found[1] not in EXTRA:
            raise SettingError(
                "slurm.extra",
                f"{excerpt(word)!r} cannot be added: allowed are --{', --'.join(EXTRA)}, each as "
                "--NAME or --NAME=VALUE.",
            )
    return tuple(words)


class Defaults(NamedTuple):
    """What the file says."""

    options: Options
    setup: tuple[str, ...] = ()
    """Lines of shell before the training. Whoever can write the file can run anything anyway;
    nobody else is let."""
    enabled: bool | None = None


def defaults_file() -> Path:
    """Where the defaults are looked for."""
    named = os.environ.get(VARIABLE)
    if named:
        return Path(named).expanduser()
    home = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(home).expanduser() / "ppap-studio" / FILE


def read_defaults() -> Defaults:
    """The defaults; SettingError, which names the file, where it makes no sense."""
    file = defaults_file()
    try:
        with file.open("rb") as stream:
            raw: dict[str, Any] = tomllib.loads(stream.read(LONGEST_FILE).decode("utf-8"))
    except FileNotFoundError:
        return Defaults(Options())
    except OSError as error:
        raise SettingError("slurm", f"{file} cannot be read: {error.strerror or error}.") from None
    except ValueError as error:
        raise SettingError("slurm", f"{file} cannot be read: {error}.") from None
    enabled, setup = raw.pop("enabled", None), raw.pop("setup", [])
    if enabled is not None and not isinstance(enabled, bool):
        raise SettingError("slurm", f"{file}: enabled must be true or false.")
    if not isinstance(setup, list) or len(setup) > MOST_SETUP or not all(map(_is_line, setup)):
        raise SettingError("slurm", f"{file}: setup must be a list of lines of shell.")
    try:
        return Defaults(Options().with_(raw), tuple(setup), enabled)
    except SettingError as error:
        raise SettingError("slurm", f"{file}: {error}") from None


def _is_line(value: object) -> bool:
    return isinstance(value, str) and "\n" not in value and "\0" not in value


def why_absent() -> str:
    """Why no run can be sent to SLURM from here, in a sentence; empty where one can."""
    enabled = read_defaults().enabled
    if enabled is False:
        return f"SLURM is switched off in {defaults_file()}."
    if shutil.which("sbatch") is None:
        return "SLURM is not installed here: sbatch is not on the PATH."
    return ""
