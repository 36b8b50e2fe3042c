"""The device that a name means, and whether anything can be computed there."""

from __future__ import annotations

import functools
import logging
import warnings

import torch

from ppap.settings import SettingError

logger = logging.getLogger("trainers")


def choose_device(name: str) -> torch.device:
    """The device that ``name`` means; SettingError where it does not exist here, or is of no use.

    ``auto`` is the first GPU that can be used, or the CPU; why one cannot is told in the log.
    """
    if name == "auto":
        return torch.device(automatic())
    try:
        device = torch.device(name)
        if device.type not in ("cpu", "cuda"):
            raise RuntimeError
        if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
            raise RuntimeError
    except RuntimeError:
        known = ["cpu", *gpus()]
        raise SettingError(
            "device", f"device must be one of auto, {', '.join(known)} here, not {name!r}."
        ) from None
    require_fit(device)
    return device


def automatic() -> str:
    """``cuda``, another GPU where that cannot be used, or ``cpu``."""
    for place, gpu in enumerate(gpus()):
        reason = why_unfit(gpu)
        if reason is None:
            return gpu if place else "cuda"
        tell(f"{reason} It is skipped.")
    return "cpu"


def gpus() -> list[str]:
    """The GPUs that there are, fit or not."""
    return [f"cuda:{i}" for i in range(torch.cuda.device_count())]


def require_fit(device: torch.device) -> None:
    """SettingError, with the reason, for a GPU that cannot be used."""
    reason = why_unfit(str(device)) if device.type == "cuda" else None
    if reason is not None:
        raise SettingError("device", f"{reason} Use device=cpu, or another GPU.")


@functools.cache
def why_unfit(gpu: str) -> str | None:
    """Why nothing can be computed on a GPU, in a sentence; None where something can.

    Tried, since PyTorch finds and names GPUs that it has no code for. One whose memory is full is
    fit: others may only be using it right now.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what is said here, at length
            (torch.ones(2, 2, device=gpu) @ torch.ones(2, 2, device=gpu)).sum().item()
    except torch.OutOfMemoryError:
        return None
    except (RuntimeError, AssertionError) as error:
        said = next(iter(str(error).strip().splitlines()), "") or type(error).__name__
        return f"{described(gpu)} cannot be used: {too_old(gpu) or said.rstrip('.')}."
    return None


def described(gpu: str) -> str:
    """``cuda:0 (Tesla K80)``."""
    try:
        return f"{gpu} ({torch.cuda.get_device_name(gpu)})"
    except (RuntimeError, AssertionError):
        return gpu


def too_old(gpu: str) -> str:
    """What to do for a GPU that this build of PyTorch has no code for; empty for another."""
    try:
        own = torch.cuda.get_device_capability(gpu)
        built = [name.partition("_")[2].rstrip("af") for name in torch.cuda.get_arch_list()]
    except (RuntimeError, AssertionError):
        return ""
    least = min((divmod(int(one), 10) for one in built if one.isdigit()), default=own)
    if own >= least:
        return ""
    return (
        f"its compute capability is {own[0]}.{own[1]}, and PyTorch {torch.__version__} needs "
        f"{least[0]}.{least[1]} or newer. An older PyTorch may still have code for it "
        "(pytorch.org/get-started/previous-versions)"
    )


@functools.cache
def tell(sentence: str) -> None:
    """Put it into the log, once."""
    logger.warning("%s", sentence)
