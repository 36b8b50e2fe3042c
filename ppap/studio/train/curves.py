"""What the Train page asks of curves: how long it waits for them, and which part it wants."""

from __future__ import annotations

import math

from ppap.studio.requests import RequestError

# For how long one call reads the metrics of all runs that are watched.
READING_SECONDS = 0.4


def read_range(first: object, last: object) -> tuple[float, float]:
    """Two steps from untrusted values, the first not above the last.

    Raises:
        RequestError: they are no such numbers.
    """
    found = []
    for value in (first, last):
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise RequestError("A range needs two steps.")
        try:
            found.append(float(value))
        except OverflowError:
            raise RequestError("There are no steps that large.") from None
    if not all(map(math.isfinite, found)) or found[0] > found[1]:
        raise RequestError("A range needs two steps, the first not above the last.")
    return found[0], found[1]
