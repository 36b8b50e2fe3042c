"""The device that a name means."""

from __future__ import annotations

import torch

from ppap.settings import SettingError


def choose_device(name: str) -> torch.device:
    """The device that ``name`` means; SettingError where it does not exist here."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        if device.type not in ("cpu", "cuda"):
            raise RuntimeError
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError):
        known = ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
        raise SettingError(
            "device", f"device must be one of auto, {', '.join(known)} here, not {name!r}."
        ) from None
    return device
