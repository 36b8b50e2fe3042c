"""On which devices of this machine the processes of a run work."""

from __future__ import annotations

import os
from dataclasses import dataclass

from ppap.settings import SettingError
from trainers.config import Config
from trainers.devices import automatic, choose_device, gpus, why_unfit
from trainers.runs.launch import GIVEN
from trainers.several import read_devices


@dataclass(frozen=True)
class Share:
    """The devices that a run asks for."""

    count: int
    """Processes, each on a device of its own; those on a CPU share it."""
    among: tuple[str, ...]
    """The devices they may be on, ``count`` of them or more, or the CPU alone."""

    @property
    def on_gpus(self) -> bool:
        """Whether each has a GPU of its own."""
        return self.among != ("cpu",)

    @property
    def needed(self) -> int:
        """How many of ``among`` it needs."""
        return self.count if self.on_gpus else 1

    @property
    def title(self) -> str:
        """For people, before it is known which they are."""
        return f"{self.count} GPUs" if self.needed > 1 else self.among[0]


def wanted(config: Config) -> Share:
    """The devices that a run asks for, as there are here.

    Raises:
        SettingError: there are not so many, the batch does not divide among them, or one cannot be
            used.
    """
    asked = read_devices(config.devices)
    if not asked.several:
        device = str(choose_device(config.device))
        return Share(1, ("cuda:0" if device == "cuda" else device,))
    share = _share(config)
    if config.batch % share.count:
        fitting = max(n for n in range(1, share.count) if config.batch % n == 0)
        raise SettingError(
            "devices",
            f"A batch of {config.batch} does not divide among {share.count} devices: use "
            f"devices={fitting}, or batch={-(-config.batch // share.count) * share.count}.",
        )
    return share


def _share(config: Config) -> Share:
    asked = read_devices(config.devices)
    device = automatic() if config.device == "auto" else config.device
    if device == "cpu":
        if asked.gpus:
            raise SettingError("devices", f"There is no GPU here for devices={config.devices}.")
        return Share(asked.count or 1, ("cpu",))
    there = gpus()
    if asked.gpus:
        among = [f"cuda:{number}" for number in asked.gpus]
        for one in among:
            if one not in there:
                raise SettingError(
                    "devices",
                    f"There is no {one} here; available: {', '.join(there) or 'no GPUs'}.",
                )
            if (reason := why_unfit(one)) is not None:
                raise SettingError("devices", reason)
        return Share(len(among), tuple(among))
    fit = tuple(one for one in there if why_unfit(one) is None)
    if not fit or asked.count > len(fit):
        count = {0: "no GPU", 1: "one GPU"}.get(len(fit), f"{len(fit)} GPUs")
        raise SettingError(
            "devices",
            f"devices={config.devices}, but there {'are' if len(fit) > 1 else 'is'} {count} here "
            "that can be used.",
        )
    return Share(asked.count or len(fit), fit)


def given(share: Share) -> tuple[str, ...]:
    """The very devices, one for each process: those that the queue gave, or the first there are."""
    from_queue = tuple(one for one in os.environ.get(GIVEN, "").split(",") if one)
    if share.on_gpus and len(from_queue) == share.count and set(from_queue) <= set(share.among):
        return from_queue
    return share.among[: share.count] if share.on_gpus else ("cpu",) * share.count


def visible(devices: tuple[str, ...]) -> dict[str, str]:
    """The environment in which these GPUs are 0, 1, … and there are no others."""
    if not devices or devices[0] == "cpu":
        return {}
    seen = [one for one in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if one.strip()]
    numbers = [int(one.partition(":")[2]) for one in devices]
    # Those that are seen here may be some of the machine's only.
    names = [seen[n].strip() if n < len(seen) else str(n) for n in numbers]
    return {"CUDA_VISIBLE_DEVICES": ",".join(names)}
