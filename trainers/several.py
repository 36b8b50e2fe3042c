"""Several devices as they are asked for in words: ``2``, ``all``, or GPUs by number, ``0,2``.

Nothing heavy is imported: what waits for devices must stay small.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ppap.settings import SettingError, excerpt

ALL = "all"
# Processes of one machine.
MOST = 64
# ``cuda:`` may stand before each number of a list.
_COUNT = re.compile(r"[0-9]{1,4}")
_LIST = re.compile(r"(?:cuda:)?[0-9]{1,4}(?:\s*,\s*(?:cuda:)?[0-9]{1,4})+")


@dataclass(frozen=True)
class Asked:
    """What ``devices`` says."""

    count: int
    """How many; 0: all there are."""
    gpus: tuple[int, ...] = ()
    """Which GPUs, where they are named."""

    @property
    def several(self) -> bool:
        """Whether there may be more than one."""
        return self.count != 1


def read_devices(text: str) -> Asked:
    """``text`` understood; SettingError, at ``devices``, where it is none of the three."""
    if text == ALL:
        return Asked(0)
    if _COUNT.fullmatch(text) and 1 <= int(text) <= MOST:
        return Asked(int(text))
    if _LIST.fullmatch(text):
        gpus = tuple(int(one) for one in re.findall(r"[0-9]+", text))
        if len(set(gpus)) == len(gpus) <= MOST:
            return Asked(len(gpus), gpus)
    raise SettingError(
        "devices",
        f"devices must be a number from 1 to {MOST}, all, or different GPUs such as 0,2, not "
        f"{excerpt(text)!r}.",
    )


def check_devices(device: str, devices: str) -> None:
    """SettingError, at ``devices``, where ``device`` and ``devices`` contradict each other."""
    asked = read_devices(devices)
    if not asked.several:
        return
    if device.startswith("cuda:"):
        raise SettingError(
            "devices",
            f"device={excerpt(device)} is a single device, but devices={devices} asks for "
            "several: use device=cuda, or devices=1.",
        )
    if device == "cpu" and asked.gpus:
        raise SettingError(
            "devices",
            f"devices={devices} names GPUs, but device=cpu is not a GPU: use device=cuda, or a "
            "number of processes.",
        )
