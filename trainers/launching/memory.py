"""The memory that a run takes, by what takes it, and what to change where it is too much."""

from __future__ import annotations

from typing import NamedTuple

from trainers.cache.plan import in_words
from trainers.config import Config

# Python with torch, before anything is loaded; and each process that reads images.
BASE_BYTES, WORKER_BYTES = 600 * 2**20, 200 * 2**20


class Parts(NamedTuple):
    """Bytes that each process of a run takes, about."""

    network: int
    """Weights, gradients, and what the optimizer keeps."""
    images: int
    """What a step keeps of its images."""
    loss: int
    """Comparing the patches of a batch."""
    program: int = BASE_BYTES
    readers: int = 0
    """Processes that read images for it."""

    @property
    def device(self) -> int:
        """What lies in the memory of its device."""
        return self.network + self.images + self.loss

    @property
    def on_gpu(self) -> int:
        """The same where that is a GPU, whose own libraries lie there, too."""
        return self.device + self.program

    @property
    def main(self) -> int:
        """What lies in the machine's own memory, whatever the device is."""
        return self.program + self.readers * WORKER_BYTES


def too_much(
    parts: Parts,
    config: Config,
    *,
    count: int,
    on_gpus: bool,
    free_device: float,
    free_main: float,
    device: str,
) -> str:
    """Why a run does not fit into memory, and what to change; empty where it does.

    Args:
        parts: of each process.
        config: of the run.
        count: processes.
        on_gpus: whether each has a GPU; else all share the machine's memory.
        free_device: bytes on each GPU, the least.
        free_main: bytes of the machine.
        device: its name, for people.
    """
    main = count * (parts.main if on_gpus else parts.main + parts.device)
    if on_gpus and parts.on_gpu > free_device:
        return told(parts.on_gpu, free_device, device, of_step(parts, config))
    if main <= free_main:
        return ""
    where = "this machine" if on_gpus else device
    without = main - count * parts.readers * WORKER_BYTES
    largest = parts.readers * WORKER_BYTES >= max(parts.program, 0 if on_gpus else parts.device)
    if parts.readers and (without <= free_main or largest):
        fitting = max(0, int((free_main - without) // (count * WORKER_BYTES)))
        of = "" if count == 1 else f" for each of {count} processes"
        change = (
            f"{parts.readers} processes that read images{of} take "
            f"{in_words(count * parts.readers * WORKER_BYTES)} of it: use "
            + (f"workers={fitting} or fewer." if fitting else "workers=0.")
        )
        return told(main, free_main, where, change)
    if on_gpus or parts.program > parts.device:
        change = "Close other programs" + (f", or use fewer than {count} processes." * (count > 1))
        return told(main, free_main, where, change if change.endswith(".") else f"{change}.")
    return told(main, free_main, where, of_step(parts, config))


def told(taken: int, free: float, where: str, change: str) -> str:
    """The refusal as sentences."""
    return (
        f"It needs about {in_words(taken)} of memory, but only {in_words(int(free))} is free on "
        f"{where}. {change}"
    )


def of_step(parts: Parts, config: Config) -> str:
    """What to change where a step itself is too large."""
    largest = max(parts.network, parts.images, parts.loss)
    if largest == parts.loss:
        return "Most of it compares patches: use a smaller batch, fewer anchors, or candidates."
    if largest == parts.images:
        smaller = "a smaller batch, or smaller images" if config.batch > 1 else "smaller images"
        return f"Use {smaller}."
    return "Most of it is the network itself: use a smaller backbone."
