"""Progressive proxy anchor propagation for unsupervised semantic segmentation, as a library."""

from ppap.evaluation.trust import Trust, TrustMean, trust
from ppap.propagation import PatchSets, propagate
from ppap.rivals import (
    ans_only,
    baseline,
    hidden_positives,
    k_nearest,
    kmeans,
    sample_pool,
    tps_only,
)

__all__ = [
    "PatchSets",
    "Trust",
    "TrustMean",
    "ans_only",
    "baseline",
    "hidden_positives",
    "k_nearest",
    "kmeans",
    "propagate",
    "sample_pool",
    "tps_only",
    "trust",
]
