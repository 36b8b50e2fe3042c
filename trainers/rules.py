"""Which rule reads which setting: what a rule does not read is neither shown nor compared.

What the rules themselves read is said in ``ppap.rivals.registry``; here is what training adds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ppap.rivals import RULES
from ppap.settings import RANGES
from trainers.config import FROZEN, STEGO, TRAINING_RULES, Config

# A parameter of a rule, where training has another setting for it.
NAMED = {"k": "k_share"}
STEGO_SETTINGS = (
    "self_weight",
    "self_shift",
    "near_weight",
    "near_shift",
    "far_weight",
    "far_shift",
    "near_images",
    "far_images",
)
# Of Eq. 8, for every rule that gives sets.
LOSS = ("temperature", "published_scale", "anchors", "candidates")
# Of the network, which the frozen backbone alone does not train.
NETWORK = ("optimizer", "lr", "weight_decay", "schedule", "clip")


def _readers() -> dict[str, tuple[str, ...]]:
    found = {
        name: tuple(k for k, rule in RULES.items() if name in rule.settings) for name in RANGES
    }
    for key, rule in RULES.items():
        for parameter in rule.parameters:
            name = NAMED.get(parameter.name, parameter.name)
            if name != "seed":  # of a run, decides much else
                found[name] = (*found.get(name, ()), key)
    return {
        **found,
        **dict.fromkeys(STEGO_SETTINGS, (STEGO,)),
        **dict.fromkeys(LOSS, tuple(RULES)),
        "exchange": ("ppap",),
        **dict.fromkeys(NETWORK, tuple(key for key in TRAINING_RULES if key != FROZEN)),
    }


# By setting, the rules that read it; a setting that is not here is read whatever the rule is.
READERS: Mapping[str, tuple[str, ...]] = _readers()


def reads(rule: object, name: str) -> bool:
    """Whether runs of a rule depend on a setting; a rule that nobody knows reads everything."""
    return rule not in TRAINING_RULES or name not in READERS or rule in READERS[name]


def unread(rule: object) -> frozenset[str]:
    """The settings that runs of a rule do not depend on."""
    return frozenset(name for name in READERS if not reads(rule, name))


def read_only(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings without those that their rule does not read."""
    rule = settings.get("rule", Config.rule)
    return {name: value for name, value in settings.items() if reads(rule, name)}
