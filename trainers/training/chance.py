"""Where chance comes from: every draw of a run is derived from its seed and from what it is for.

Nothing depends on what was drawn before, so a run that goes on in the middle draws what it would
have drawn anyway, and several processes draw the same.
"""

from __future__ import annotations

import hashlib

import torch


def derived(seed: int, *purpose: str | int) -> int:
    """A seed for one purpose: ``derived(7, "anchors", 120)``; 63 bits."""
    text = "\0".join(str(part) for part in (seed, *purpose))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(seed: int, *purpose: str | int) -> torch.Generator:
    """A source of chance for one purpose, on the CPU."""
    return torch.Generator().manual_seed(derived(seed, *purpose))


def seed_everything(seed: int, *purpose: str | int) -> None:
    """Seed what draws from torch's own source of chance, on every device."""
    torch.manual_seed(derived(seed, *purpose))
