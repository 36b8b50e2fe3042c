"""Which runs differ only in their seed: lists show them as one, with a mean and a deviation."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from trainers.config import Config
from trainers.rules import read_only

# Settings that do not change what a run computes: the machine, what is kept and told, and what the
# report measures beside the probes' own scores.
NO_MATTER = (
    "seed",
    "device",
    "devices",
    "workers",
    "cache",
    "cache_gb",
    "keep",
    "checkpoint_every",
    "log_every",
    "crf",
    "report_starts",
    "tensorboard",
    "track",
    "track_project",
)


def fold_of(config: Mapping[str, Any], data: str | None) -> str:
    """A text that is the same for runs that differ only in the seed, and in what does not matter.

    Args:
        config: settings that make sense; those that are missing are as usual.
        data: the data set's folder; None for the sample photos.

    Returns:
        Empty where nothing is known of the run.
    """
    if not config:
        return ""
    settings = read_only({**Config().as_dict(), **config})
    told = {name: value for name, value in settings.items() if name not in NO_MATTER}
    content = json.dumps([told, data], sort_keys=True, default=str)
    return hashlib.blake2b(content.encode("utf-8", "replace"), digest_size=8).hexdigest()


def seed_of(config: Mapping[str, Any]) -> int | None:
    """A run's seed; None where nothing is known of the run."""
    return int(config.get("seed", Config.seed)) if config else None
