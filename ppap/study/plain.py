"""Measurements as values that JSON can hold."""

from __future__ import annotations

import math
from typing import Any

from ppap.study.sweeping import Measured


def plain(value: Any) -> Any:
    """NaN as None, tuples as lists."""
    if isinstance(value, float):
        return None if math.isnan(value) else value
    return [plain(one) for one in value] if isinstance(value, tuple) else value


def cell(one: Measured) -> dict[str, Any]:
    """What one choice of settings gives, with the settings."""
    kept = {name: plain(value) for name, value in one._asdict().items() if name != "settings"}
    return {"settings": one.settings.as_dict(), **kept}
