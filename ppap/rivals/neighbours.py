"""k nearest patches and k-means clusters as positive sets."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor

from ppap.checks import check_count, check_features, check_labels, check_vectors
from ppap.propagation import PatchSets, unit
from ppap.rivals.collect import Chosen, collect

# On 50,000 patches in which there is no cluster to find, 30 of Lloyd's steps take 2 seconds and
# end within 0.05 % of the distances that 200 to 300 reach in 7 to 9.
LLOYD_STEPS = 30


def k_nearest(features: Tensor, anchors: Tensor, *, k: int) -> PatchSets:
    """Positives are the anchor's k nearest patches, itself not counted; all others are negative.

    Args:
        features: patch features ``(N, D)``, floating point, any scale.
        anchors: indices into ``features``, int64 ``(A,)``.
        k: from 1 to N − 1. Which of equally near patches come in is left to chance of order.

    Returns:
        Sets without steps (T = 0); Φ = Ψ = the similarity of the farthest positive.

    Raises:
        TypeError, ValueError, IndexError: as ``propagate``, or for ``k``.
    """
    check_features(features, anchors)
    if len(features) == 1:
        raise ValueError("k nearest needs at least 2 patches: a single one has no neighbour")
    check_count("k", k, 1, len(features) - 1)
    f = unit(features.detach())
    return k_nearest_unit(f, anchors.to(f.device, torch.int64), k=k)


def k_nearest_unit(f: Tensor, anchors: Tensor, *, k: int) -> PatchSets:
    """``k_nearest`` for unit features and a k known to be in range: no checks."""

    def choose(similarity: Tensor, own: Tensor) -> Chosen:
        others = similarity.scatter(1, own.unsqueeze(1), -torch.inf)
        nearest = others.topk(k, dim=1, sorted=False).indices
        return Chosen(torch.zeros_like(similarity, dtype=torch.bool).scatter_(1, nearest, True))

    return collect(f, anchors, choose)


def kmeans(features: Tensor, anchors: Tensor, *, clusters: int, seed: int = 0) -> PatchSets:
    """Positives are all patches in the anchor's k-means cluster; all others are negative.

    To ask for more anchors of the same features, keep the labels of ``cluster_patches`` and call
    ``same_cluster``. Arguments, result and errors are those two's.
    """
    check_features(features, anchors)
    return same_cluster(features, anchors, cluster_patches(features, clusters, seed))


def cluster_patches(features: Tensor, clusters: int, seed: int = 0) -> Tensor:
    """k-means on L2-normalised features: one start from k-means++, then up to 30 of Lloyd's steps.

    Between unit vectors the nearest by distance is the nearest by cosine; the centres are plain
    means, as Eq. 2's before it is normalised.

    Args:
        features: patch features ``(N, D)``, floating point, any scale.
        clusters: from 1 to N. Fewer different patches than this leave some clusters empty.
        seed: 0 to 2³² − 1; the same seed gives the same clusters.

    Returns:
        Cluster of every patch, int64 ``(N,)``, on the device of ``features``.

    Raises:
        TypeError: features are not floating point.
        ValueError: a wrong shape, empty or non-finite features, clusters or seed out of range.
    """
    check_vectors("features", features, "N")
    check_count("clusters", clusters, 1, len(features))
    check_count("seed", seed, 0, 2**32 - 1)
    return cluster_patches_unit(unit(features.detach()), clusters, seed)


def cluster_patches_unit(f: Tensor, clusters: int, seed: int) -> Tensor:
    """``cluster_patches`` for unit features and settings known to be in range: no checks."""
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        # Raised where there are fewer different patches than clusters; the result is still right.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = KMeans(clusters, n_init=1, max_iter=LLOYD_STEPS, random_state=seed)
        labels = model.fit_predict(f.cpu().numpy())
    return torch.from_numpy(labels).to(f.device, torch.int64)


def same_cluster(features: Tensor, anchors: Tensor, labels: Tensor) -> PatchSets:
    """Positives are all patches with the anchor's label; all others are negative.

    Args:
        features: patch features ``(N, D)``, floating point, any scale.
        anchors: indices into ``features``, int64 ``(A,)``.
        labels: a whole number for every patch, int64 ``(N,)``.

    Returns:
        Sets without steps (T = 0); Φ = Ψ = the similarity of the farthest positive, 1 where none.

    Raises:
        TypeError, ValueError, IndexError: as ``propagate``, or for ``labels``.
    """
    check_features(features, anchors)
    check_labels(labels, len(features))
    f = unit(features.detach())
    return same_cluster_unit(f, anchors.to(f.device, torch.int64), labels=labels.to(f.device))


def same_cluster_unit(f: Tensor, anchors: Tensor, *, labels: Tensor) -> PatchSets:
    """``same_cluster`` for unit features: no checks."""
    return collect(f, anchors, lambda _, own: Chosen(labels[own].unsqueeze(1) == labels))
