"""The lists and limits from which the page builds its controls."""

from __future__ import annotations

from typing import Any

from ppap.backbones.embedded import is_embedded
from ppap.rivals import RULES
from ppap.settings import EMBEDDED_PRESET, PRESETS, RANGES
from ppap.studio.choices import backbone_choices
from ppap.studio.requests import EXPLORE_SIZES, LEAST_SIZE, MAX_IMAGES, MOST_SIZE
from ppap.study.every_anchor import MEASURES


def lists(backbone: str) -> dict[str, Any]:
    """All of them, for a studio that was started with ``backbone``."""
    presets = [(p, True) for p in PRESETS] + [(EMBEDDED_PRESET, False)]
    return {
        "sizes": EXPLORE_SIZES,
        "size_range": (LEAST_SIZE, MOST_SIZE),
        "max_images": MAX_IMAGES,
        "backbone": backbone,
        "backbones": backbone_choices(backbone),
        "ranges": [{"name": name, **range_._asdict()} for name, range_ in RANGES.items()],
        "presets": [
            {"key": p.key, "title": p.title, "settings": p.settings.as_dict(), "paper": paper}
            for p, paper in presets
        ],
        "default_preset": preset_for(backbone),
        "measures": [{"key": key, "labels": one.labels} for key, one in MEASURES.items()],
        "rules": [rule_reply(key) for key in RULES if key != "ppap"],
    }


def preset_for(backbone: str, patch_size: int | None = None) -> str:
    """The preset to begin with: thresholds that suit DINO do not suit the embedded backbone."""
    if is_embedded(backbone):
        return EMBEDDED_PRESET.key
    fine = backbone.endswith("8") if patch_size is None else patch_size == 8
    return "coco_vits8" if fine else "coco_vits16"


def rule_reply(key: str) -> dict[str, Any]:
    """A rule for the page's list."""
    rule = RULES[key]
    parameters = [
        {
            "name": p.name,
            "title": p.allowed.symbol,
            "default": p.default,
            "least": p.allowed.least,
            "most": p.allowed.most,
            "step": p.allowed.step,
            "text": p.allowed.meaning,
        }
        for p in rule.parameters
    ]
    return {"key": key, "title": rule.title, "text": rule.explanation, "parameters": parameters}
