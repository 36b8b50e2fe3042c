"""The lengths of features before they are normalised, and which of them stand out.

Large ViTs write what concerns the whole image into a few patches of little content, whose features
become several times as long as all others ("Vision Transformers Need Registers", Darcet et al.,
2024). Such a feature tells nothing of its patch: as an anchor it gathers its like, from anywhere.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

# Spreads above the median from which a length stands out. Of lengths that are distributed normally
# one in a thousand million does.
SPREADS = 6.0
# What the median absolute deviation of a normal distribution is to its standard deviation.
AS_DEVIATION = 1.4826
# Of the median: what counts as a spread where more than half of the lengths are the same.
LEAST_SPREAD = 1e-3


class Outliers(NamedTuple):
    """Features that are far longer than the others."""

    patches: np.ndarray
    """Their indices, int64 ``(M,)``, ascending."""
    threshold: float
    """The length above which a feature is one."""
    median: float
    """Of all lengths."""
    spread: float
    """Median absolute deviation, as a standard deviation."""


def outliers(lengths: np.ndarray, spreads: float = SPREADS) -> Outliers:
    """Which lengths are more than ``spreads`` robust deviations above the median.

    Args:
        lengths: float ``(N,)``, N at least 1.
        spreads: above 0.

    Raises:
        ValueError: no lengths, or one that is no finite number.
    """
    lengths = np.asarray(lengths, np.float64)
    if lengths.ndim != 1 or not len(lengths) or not np.isfinite(lengths).all():
        raise ValueError("lengths must be finite numbers, (N,)")
    if not spreads > 0:
        raise ValueError(f"spreads must be above 0, not {spreads}")
    median = float(np.median(lengths))
    spread = AS_DEVIATION * float(np.median(np.abs(lengths - median)))
    threshold = median + spreads * max(spread, LEAST_SPREAD * abs(median))
    return Outliers(np.flatnonzero(lengths > threshold), threshold, median, spread)
