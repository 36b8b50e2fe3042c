"""The five settings of the method, their ranges, and the values of the paper's Table 7."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import NamedTuple


class SettingError(ValueError):
    """A setting that cannot be used; ``field`` names it."""

    def __init__(self, field: str, text: str) -> None:
        super().__init__(text)
        self.field = field


class Range(NamedTuple):
    """What a setting may be, what it is called and what it does."""

    symbol: str
    least: float
    most: float
    step: float
    slider: tuple[float, float]
    whole: bool
    meaning: str


RANGES: dict[str, Range] = {
    "phi0": Range(
        "Φ⁰",
        -1,
        1,
        0.01,
        (0, 1),
        False,
        "Patches more similar to the anchor than this are its first positives. Higher is stricter.",
    ),
    "psi0": Range(
        "Ψ⁰",
        -1,
        1,
        0.01,
        (0, 1),
        False,
        "Patches less similar than this are negatives; between Ψ and Φ lies the ambiguous zone.",
    ),
    "sigma_pos": Range(
        "σ_pos",
        0.01,
        1000,
        0.1,
        (0.5, 10),
        False,
        "Divides how far Φ falls when the proxy moves. Larger keeps Φ higher.",
    ),
    "sigma_amb": Range(
        "σ_amb",
        0.01,
        1000,
        0.1,
        (0.5, 10),
        False,
        "Divides how far Ψ rises when the proxy moves. Larger keeps Ψ lower.",
    ),
    "steps": Range(
        "T",
        0,
        20,
        1,
        (0, 20),
        True,
        "How many times the proxy moves to the mean of its positives.",
    ),
}


def excerpt(value: object, most: int = 40) -> str:
    """The beginning of ``value`` as text, for an error about it."""
    try:
        text = str(value)
    except ValueError:  # Python writes no whole number of more than 4,300 digits
        return "a number that long"
    return text if len(text) <= most else f"{text[:most]}…"


def number(field: str, value: object, allowed: Range) -> float:
    """``value`` as a number inside its range; SettingError names the field and the range."""
    kind = "a whole number" if allowed.whole else "a number"
    sentence = f"{allowed.symbol} must be {kind} from {allowed.least:,.10g} to {allowed.most:,.10g}"
    try:
        parsed = math.nan if isinstance(value, bool) else float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        parsed = math.nan
    whole = not allowed.whole or (math.isfinite(parsed) and parsed == int(parsed))
    if not (math.isfinite(parsed) and allowed.least <= parsed <= allowed.most and whole):
        raise SettingError(field, f"{sentence}, not {excerpt(value)}.")
    return int(parsed) if allowed.whole else parsed


@dataclass(frozen=True)
class Settings:
    """Φ⁰, Ψ⁰, σ_pos, σ_amb and T; a value out of range raises SettingError."""

    phi0: float
    psi0: float
    sigma_pos: float
    sigma_amb: float
    steps: int

    def __post_init__(self) -> None:
        for name, allowed in RANGES.items():
            # number() turns 2.0 and "2" into 2; a frozen field is set this way only.
            object.__setattr__(self, name, number(name, getattr(self, name), allowed))

    def as_dict(self) -> dict[str, float]:
        """The keyword arguments of ``ppap.propagate``."""
        return asdict(self)


class Preset(NamedTuple):
    """A named set of settings."""

    key: str
    title: str
    settings: Settings


# Table 7 with the published configurations' T; ImageNet-S uses COCO-Stuff's.
PRESETS = (
    Preset("coco_vits8", "COCO-Stuff ViT-S/8", Settings(0.55, 0.20, 3, 3, 2)),
    Preset("coco_vits16", "COCO-Stuff ViT-S/16", Settings(0.55, 0.15, 3, 4, 2)),
    Preset("cityscapes_vits8", "Cityscapes ViT-S/8", Settings(0.60, 0.20, 3, 3, 3)),
    Preset("cityscapes_vitb8", "Cityscapes ViT-B/8", Settings(0.60, 0.20, 3, 2, 3)),
    Preset("potsdam_vitb8", "Potsdam-3 ViT-B/8", Settings(0.55, 0.15, 5, 3, 1)),
)
# Not from the paper: its thresholds suit DINO. Found by eye on the sample photos.
EMBEDDED_PRESET = Preset("embedded", "Embedded backbone", Settings(0.60, 0.30, 3, 4, 3))


def read_settings(raw: Mapping[str, object]) -> Settings:
    """Settings from untrusted values; an unknown or missing name is a SettingError too."""
    for name in raw:
        if name not in RANGES:
            raise SettingError(excerpt(name), f"There is no setting called {excerpt(name)!r}.")
    for name, allowed in RANGES.items():
        if name not in raw:
            raise SettingError(name, f"{allowed.symbol} is missing.")
    return Settings(**raw)  # type: ignore[arg-type]
