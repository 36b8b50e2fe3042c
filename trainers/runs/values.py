"""Values out of a run's files, which anybody may have edited: of the kind that is wanted, or None.

What passes here can be sent as JSON, compared and shown, whatever stands in the file.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

# What 64 bits hold: nothing that reads JSON fails on it.
LARGEST = 2**63 - 1
LONGEST = 10_000


def read_json(file: Path) -> dict[str, Any]:
    """An object in a file; empty where there is none."""
    try:
        found = json.loads(file.read_text(encoding="utf-8", errors="replace"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def number(value: object) -> float | None:
    """A finite number of a size that things have."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # Not float first: a whole number may be larger than any.
    return float(value) if abs(value) <= LARGEST and math.isfinite(value) else None


def whole(value: object) -> int | None:
    """A whole number, 0 or more."""
    return value if type(value) is int and 0 <= value <= LARGEST else None


def text(value: object) -> str | None:
    """A text, without what no encoding can hold, and not endless."""
    if not isinstance(value, str):
        return None
    return value[:LONGEST].encode("utf-8", "replace").decode("utf-8")


def texts(value: object) -> dict[str, str] | None:
    """An object whose values are texts."""
    if not isinstance(value, dict) or not all(isinstance(one, str) for one in value.values()):
        return None
    return {text(name) or "": text(one) or "" for name, one in value.items()}
