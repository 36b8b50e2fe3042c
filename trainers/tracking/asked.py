"""Trackers as they are asked for in words: ``tensorboard,wandb:online,trackio:me/space``.

Nothing heavy is imported: this is read wherever a configuration is.
"""

from __future__ import annotations

import importlib.util
import netrc
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from ppap.settings import SettingError, excerpt

TENSORBOARD, WANDB, TRACKIO = "tensorboard", "wandb", "trackio"
TITLES = {TENSORBOARD: "TensorBoard", WANDB: "W&B", TRACKIO: "trackio"}
ONLINE, OFFLINE = "online", "offline"
PROJECT = "ppap"
# How one TensorBoard setting was spelt before there were several trackers.
FORMER = "tensorboard"
WANDB_SERVER = "https://api.wandb.ai"

# Hugging Face's names: an owner and a Space.
_SPACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95}")
_PROJECT = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9._-]{0,63}/)?[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
# Endings and a beginning that trackio keeps for its own files.
_TRACKIO_KEEPS = re.compile(
    r"registry-.*|.+_(?:system|configs|traces|artifacts?|artifact_[a-z_]+)", re.IGNORECASE
)
_WORDS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False, "": False}


@dataclass(frozen=True)
class Asked:
    """One tracker that was asked for."""

    name: str
    """``tensorboard``, ``wandb`` or ``trackio``."""
    place: str = ""
    """Where it sends what it is told: ``online``, or a Space; empty: nowhere."""

    @property
    def title(self) -> str:
        """Its name for people."""
        return TITLES[self.name]

    def __str__(self) -> str:
        return f"{self.name}:{self.place}" if self.place else self.name


def read_track(text: str) -> tuple[Asked, ...]:
    """``text`` understood, each tracker once; SettingError, at ``track``, where it is not."""
    found: list[Asked] = []
    for word in filter(None, (part.strip() for part in text.split(","))):
        name, _, place = word.partition(":")
        name, place = name.strip().lower(), place.strip()
        if name not in TITLES:
            raise SettingError(
                "track",
                f"track takes {', '.join(TITLES)}, separated by commas, not {excerpt(word)!r}.",
            )
        if any(one.name == name for one in found):
            raise SettingError("track", f"track names {name} twice.")
        found.append(Asked(name, _checked_place(name, place)))
    return tuple(found)


def _checked_place(name: str, place: str) -> str:
    if name == WANDB and place in ("", OFFLINE, ONLINE):
        return "" if place == OFFLINE else place
    if name == TRACKIO and (not place or _SPACE.fullmatch(place)):
        return place
    if name == TENSORBOARD and not place:
        return ""
    allowed = {
        WANDB: "wandb, which keeps everything on this machine, or wandb:online",
        TRACKIO: "trackio, which keeps everything on this machine, or trackio:OWNER/SPACE",
        TENSORBOARD: "tensorboard, which always writes to the run's folder",
    }
    raise SettingError("track", f"Write {allowed[name]}, not {excerpt(f'{name}:{place}')!r}.")


def check_project(track: str, project: str) -> None:
    """SettingError where a tracker is unknown, or cannot have a project of that name."""
    asked = read_track(track)
    if not _PROJECT.fullmatch(project):
        raise SettingError(
            "track_project",
            "track_project must be a name of at most 64 letters, digits, dots, hyphens and "
            f"underscores; ENTITY/NAME for a team on W&B. Not {excerpt(project)!r}.",
        )
    if any(one.name == TRACKIO for one in asked) and _TRACKIO_KEEPS.fullmatch(
        project.rpartition("/")[2]
    ):
        raise SettingError(
            "track_project",
            f"trackio reserves names such as {excerpt(project)!r} for its own files.",
        )


def current(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as they are spelt today: ``tensorboard=true`` used to say ``track=tensorboard``.

    What is neither true nor false stays, and is refused as any unknown setting.
    """
    found = dict(raw)
    if FORMER not in found:
        return found
    wanted = _WORDS.get(str(found[FORMER]).strip().lower())
    if wanted is None:
        return found
    del found[FORMER]
    given = str(found.get("track", ""))
    names = [part.strip() for part in given.split(",") if part.strip()]
    if wanted and FORMER not in names:
        names.append(FORMER)
    found["track"] = ",".join(names)
    return found


def require_trackers(track: str) -> None:
    """SettingError, at ``track``, where one is not installed, or nobody is logged in to it."""
    for asked in read_track(track):
        if not _installed(asked.name):
            raise SettingError(
                "track",
                f"{asked.title} is not installed: pip install {asked.name}, or leave "
                f"{asked.name} out of track.",
            )
        if asked.name == WANDB and asked.place == ONLINE and not _knows_wandb():
            raise SettingError(
                "track",
                "wandb:online needs a login: run wandb login first, or use track=wandb, which "
                "keeps everything on this machine.",
            )
        if asked.name == TRACKIO and asked.place and not _knows_hugging_face():
            raise SettingError(
                "track",
                "A Space needs a Hugging Face login: run hf auth login first, or use "
                "track=trackio, which keeps everything on this machine.",
            )


def _installed(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):  # half removed, or shut out
        return False


def _knows_wandb() -> bool:
    """Whether there is a key for W&B's server, in the environment or in ``~/.netrc``."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    host = urlsplit(os.environ.get("WANDB_BASE_URL") or WANDB_SERVER).hostname or ""
    try:
        return netrc.netrc(os.environ.get("NETRC") or None).authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False


def _knows_hugging_face() -> bool:
    from huggingface_hub import get_token

    return bool(get_token())
