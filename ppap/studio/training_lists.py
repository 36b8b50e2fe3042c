"""Recipes and settings as the forms of runs and of ablations need them."""

from __future__ import annotations

import math
from typing import Any

from ppap.backbones import known_backbones
from ppap.backbones.embedded import is_embedded
from ppap.rivals import RULES
from ppap.settings import RANGES, SettingError
from ppap.studio.choices import listed_title
from trainers.config import FROZEN, KIND, STEGO, TRAINING_RULES, Config, limits
from trainers.recipes import find, names
from trainers.rules import LOSS, READERS, STEGO_SETTINGS
from trainers.slurm.options import ALLOWED, Options, read_defaults, why_absent
from trainers.training.splits import SAMPLES

# Those that stand at the head of the form, beside the recipe.
HEAD = ("rule", "backbone")
# Every other setting.
GROUPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Rule", (*RANGES, "k_share", "clusters", "pool_size", "rho")),
    ("STEGO", STEGO_SETTINGS),
    ("Loss", (*LOSS, "exchange")),
    (
        "Training",
        (
            "batch",
            "epochs",
            "max_steps",
            "optimizer",
            "lr",
            "weight_decay",
            "schedule",
            "clip",
            "protocol",
        ),
    ),
    (
        "Probes",
        (
            "probe_epochs",
            "cluster_lr",
            "linear_lr",
            "extra_clusters",
            "unnamed_classes",
            "cluster_start",
            "cluster_starts",
        ),
    ),
    (
        "Data",
        (
            "dataset",
            "train_split",
            "eval_split",
            "size",
            "eval_size",
            "crops",
            "crop_ratio",
            "on_error",
        ),
    ),
    (
        "Validation and checkpoints",
        (
            "selection",
            "held_out",
            "validate_every",
            "checkpoint_every",
            "keep",
            "log_every",
            "crf",
            "report_starts",
            "track",
            "track_project",
        ),
    ),
    (
        "Machine",
        ("device", "devices", "precision", "compile", "workers", "cache", "cache_gb", "seed"),
    ),
)
RULE_TITLES = {FROZEN: "Frozen backbone, probes only", STEGO: "STEGO"}


def training_lists() -> dict[str, Any]:
    """All of them."""
    return {
        "recipes": [recipe_reply(name) for name in sorted(names(), key=first_those_of_a_cpu)],
        "groups": [
            {"title": title, "settings": [setting_reply(name) for name in members]}
            for title, members in GROUPS
        ],
        "head": [setting_reply(name) for name in HEAD],
        "rules": [{"key": key, "title": rule_title(key)} for key in TRAINING_RULES],
        "backbones": [{"name": b.name, "title": listed_title(b)} for b in known_backbones()],
        "samples": SAMPLES,
        "propagation": list(RANGES),
        "slurm": slurm_reply(),
    }


def slurm_reply() -> dict[str, Any]:
    """What SLURM can be asked for; and why it cannot be asked at all, empty where it can."""
    try:
        absent, usual = why_absent(), read_defaults().options.as_dict()
    except SettingError as error:
        absent, usual = str(error), Options().as_dict()
    options = [
        {"name": name, "meaning": allowed.meaning, "usual": as_text(usual[name])}
        for name, allowed in ALLOWED.items()
    ]
    return {"absent": absent, "options": options}


def as_text(value: object) -> str:
    """One of SLURM's options as it is typed."""
    return " ".join(value) if isinstance(value, list) else str(value)


def first_those_of_a_cpu(name: str) -> tuple[bool, bool, bool, str]:
    """Recipes that need neither a data set nor a download come first, then that for any folder."""
    config = find(name).config
    return (
        config.dataset != SAMPLES,
        config.dataset != "",
        not is_embedded(config.backbone),
        name,
    )


def recipe_reply(name: str) -> dict[str, Any]:
    """A recipe, and all its settings."""
    recipe = find(name)
    return {
        "name": name,
        "title": recipe.title,
        "text": recipe.text,
        "settings": recipe.config.as_dict(),
    }


def rule_title(key: str) -> str:
    """A rule's name for people."""
    return RULES[key].title if key in RULES else RULE_TITLES[key]


def setting_reply(name: str) -> dict[str, Any]:
    """A setting: what it means, may be, and who reads it."""
    allowed, kind = limits(name), KIND[name]
    return {
        "name": name,
        "kind": kind.__name__,
        "meaning": allowed.meaning,
        "range": allowed.sentence(kind),
        "choices": list(allowed.choices),
        "least": finite(allowed.least),
        "most": finite(allowed.most),
        "rules": list(READERS[name]) if name in READERS else None,
        "usual": Config().as_dict()[name],
    }


def finite(value: float) -> float | None:
    """None for no limit: JSON knows no infinity."""
    return value if math.isfinite(value) else None
