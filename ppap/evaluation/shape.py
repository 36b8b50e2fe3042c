"""Whether a report on disk has the form that this version writes: anybody may have edited it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ppap.data import DataError

NUMBER, WHOLE, TEXT, SIDE = "number", "whole", "text", "side"
MOST_SIDE = 65_536
"""Of a square, in pixels: the command line takes no larger one."""


class Maybe:
    """What may be None, too."""

    def __init__(self, shape: object) -> None:
        self.shape = shape


class Open:
    """An object that may lack any of these names."""

    def __init__(self, shape: dict[str, Any]) -> None:
        self.shape = shape


# An object must have these names and may have others; a list with one shape is a list of such, a
# tuple one of as many.
MEASURES = {"accuracy": Maybe(NUMBER), "miou": Maybe(NUMBER)}
BOTH = {"cluster": MEASURES, "linear": MEASURES}
INTERVAL = {"difference": Maybe(NUMBER), "low": Maybe(NUMBER), "high": Maybe(NUMBER)}
GAIN = {"accuracy": INTERVAL, "miou": INTERVAL}
PART = {**MEASURES, "pixels": WHOLE}
APART = Maybe({"border": PART, "interior": PART})
SHAPE: dict[str, Any] = {
    "checkpoint": TEXT,
    "digest": TEXT,
    "step": Maybe(WHOLE),
    "rule": TEXT,
    "recipe": TEXT,
    "selection": {"sentence": TEXT},
    "backbone": {"name": TEXT, "title": TEXT, "note": TEXT},
    "dataset": {"kind": TEXT, "title": TEXT, "folder": TEXT, "split": TEXT, "notes": [TEXT]},
    "size": SIDE,
    "inference": Maybe(Open({"scales": [NUMBER], "window": WHOLE, "shifts": WHOLE})),
    "protocol": [TEXT],
    "classes": [TEXT],
    "colours": [(WHOLE, WHOLE, WHOLE)],
    "cluster": Maybe(MEASURES),
    "linear": Maybe(MEASURES),
    "crf": BOTH,
    "pamr": BOTH,
    "retrieval": {
        "split": TEXT,
        "trained": {**MEASURES, "memory": WHOLE, "neighbours": WHOLE},
        "frozen": {**MEASURES, "memory": WHOLE, "neighbours": WHOLE},
    },
    "clusterings": {
        "split": TEXT,
        "images": WHOLE,
        "features": TEXT,
        "seed": WHOLE,
        "rows": [
            {
                "method": TEXT,
                "clusters": WHOLE,
                "learnt": MEASURES,
                "hungarian": MEASURES,
                "optimistic": MEASURES,
                "purity": Maybe(NUMBER),
                "nmi": Maybe(NUMBER),
                "ari": Maybe(NUMBER),
                "unused": WHOLE,
                "missed": WHOLE,
            }
        ],
    },
    "starts": {
        "split": TEXT,
        "images": WHOLE,
        "seed": WHOLE,
        "rows": [
            {
                **MEASURES,
                "start": TEXT,
                "features": TEXT,
                "chosen": WHOLE,
                "losses": [NUMBER],
                "accuracies": [Maybe(NUMBER)],
                "mious": [Maybe(NUMBER)],
            }
        ],
        "gains": dict.fromkeys(("noise", "spread", "merged", "linkage"), GAIN),
    },
    "images": [{"index": WHOLE, "name": TEXT, **BOTH}],
    "per_image": {"stamp": TEXT},
    "borders": {"width": WHOLE, "cluster": APART, "linear": APART},
    "paper": [{"method": TEXT}],
    "later": [
        {
            "system": TEXT,
            "backbone": TEXT,
            "accuracy": NUMBER,
            "miou": NUMBER,
            "protocol": TEXT,
            "source": TEXT,
        }
    ],
    "predictions": {
        "holding": TEXT,
        "map": TEXT,
        "clusters": WHOLE,
        "values": [WHOLE],
        "ignore": Maybe(WHOLE),
    },
    "notes": [TEXT],
    "seconds": Maybe(NUMBER),
}
MOST_KNOWN = 65_536
"""Clusters or classes that a report has, at most; numbers of files are below it."""
NEEDED = ("checkpoint", "step", "dataset", "backbone", "cluster")


def misfit(report: Mapping[str, Any]) -> str | None:
    """The first part of a report that is not what it must be; None where all is."""
    for name in NEEDED:
        if name not in report:
            return name
    for name, shape in SHAPE.items():
        if name in report:
            found = _misfit(report[name], shape, name)
            if found is not None:
                return found
    return None


def _misfit(value: object, shape: Any, at: str) -> str | None:
    if isinstance(shape, Maybe):
        return None if value is None else _misfit(value, shape.shape, at)
    if isinstance(shape, Open):
        if not isinstance(value, Mapping):
            return at
        shape = {name: inner for name, inner in shape.shape.items() if name in value}
    if isinstance(shape, dict):
        if not isinstance(value, Mapping):
            return at
        for name in shape:
            if name not in value:
                return f"{at}.{name}"
        places = ((f"{at}.{name}", value[name], inner) for name, inner in shape.items())
        return next(
            (bad for place in places if (bad := _misfit(place[1], place[2], place[0]))), None
        )
    if isinstance(shape, list):
        if not isinstance(value, list):
            return at
        return next((bad for one in value if (bad := _misfit(one, shape[0], at))), None)
    if isinstance(shape, tuple):
        if not isinstance(value, list) or len(value) != len(shape):
            return at
        pairs = zip(value, shape, strict=True)
        return next((bad for one, inner in pairs if (bad := _misfit(one, inner, at))), None)
    return None if _plain(value, shape) else at


def _plain(value: object, shape: str) -> bool:
    if shape == TEXT:
        return isinstance(value, str) and not any("\ud800" <= one <= "\udfff" for one in value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    if not (abs(value) < 2**63 and math.isfinite(value)):
        return False
    if shape == SIDE and not 1 <= value <= MOST_SIDE:
        return False
    return shape == NUMBER or isinstance(value, int)


def table_of(report: Mapping[str, Any], scores: Mapping[str, Any], length: int) -> np.ndarray:
    """The class of each prediction, as a report's scores have them: int64 ``(length,)``, −1: none.

    Args:
        report: that they are of.
        scores: ``report["cluster"]``, or those of a refinement.
        length: how many predictions there are.

    Raises:
        DataError: there is no such table in it.
    """
    found, classes = scores.get("assignment"), len(report["classes"])
    listed = found if isinstance(found, list) else []
    sound = all(type(one) is int and -1 <= one < classes for one in listed)
    if sound and len(listed) == length:
        return np.array(listed, np.int64)
    raise DataError(
        "The report", "does not say which class each cluster is matched with: evaluate again"
    )


def values_of(report: Mapping[str, Any]) -> list[int]:
    """The numbers of a report on files; DataError where no file can hold them."""
    values: list[int] = report["predictions"]["values"]
    if len(set(values)) != len(values) or not all(0 <= one < MOST_KNOWN for one in values):
        raise DataError("The report", "mentions numbers that no file contains: evaluate again")
    return values
