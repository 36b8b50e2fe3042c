"""Continuous colours, the same as in assets/studio/explore/styles/scales.js."""

from __future__ import annotations

import numpy as np

# Every eighth colour of matplotlib's cividis, which is read alike with and without colour vision.
CIVIDIS = (
    "00224e00285b002e6a0433711a386f273e6e32436d3b496c434e6c4b546c52596d5a5f6e61656f686a716f7073"
    "7576767c7b788481798b8778938d789b9376a39a75aba072b3a670bbad6cc3b469ccba64d4c15fddc958e6d051"
    "efd748f8df3cfee838"
)
STOPS = np.frombuffer(bytes.fromhex(CIVIDIS), np.uint8).reshape(-1, 3).astype(float)


# How bright each channel is; a canvas that takes colours away weighs them so.
LIGHT = np.array([0.3, 0.59, 0.11])


def grey(rgb: np.ndarray) -> np.ndarray:
    """uint8 ``(H, W, 3)`` without its colours: what a continuous scale is drawn over."""
    return np.rint(rgb @ LIGHT).astype(np.uint8)[..., None].repeat(3, -1)


def cividis(x: np.ndarray) -> np.ndarray:
    """Numbers 0 to 1 ``(…)`` → uint8 ``(…, 3)``, dark blue to yellow; beyond, the nearer end."""
    at = np.clip(x, 0, 1) * (len(STOPS) - 1)
    below = np.minimum(len(STOPS) - 2, np.floor(at)).astype(int)
    share = (at - below)[..., None]
    mixed = STOPS[below] * (1 - share) + STOPS[below + 1] * share
    # As JavaScript rounds: halves go up.
    return np.floor(mixed + 0.5).astype(np.uint8)
