"""The rules that propagation is compared with: same inputs, same ``PatchSets``.

``ablations`` are Table 5's, ``pool`` is hidden positives, ``neighbours`` holds k nearest and
k-means; ``registry`` lists all of them, and runs the one that was chosen.
"""

from ppap.rivals.ablations import ans_only, baseline, tps_only
from ppap.rivals.neighbours import cluster_patches, k_nearest, kmeans, same_cluster
from ppap.rivals.pool import (
    hidden_positives,
    pool_similarity,
    sample_pool,
)
from ppap.rivals.registry import RULES, Choice, Parameter, Rule, gather_unit, prepare

__all__ = [
    "RULES",
    "Choice",
    "Parameter",
    "Rule",
    "ans_only",
    "baseline",
    "cluster_patches",
    "gather_unit",
    "hidden_positives",
    "k_nearest",
    "kmeans",
    "pool_similarity",
    "prepare",
    "same_cluster",
    "sample_pool",
    "tps_only",
]
