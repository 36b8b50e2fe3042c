"""Clusters against classes, with scikit-learn as the oracle."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from ppap.evaluation.clusterings import agreement, majority
from ppap.evaluation.metrics import Confusion, scores


def confusion(truth: np.ndarray, clusters: np.ndarray, classes: int, count: int) -> Confusion:
    made = Confusion(classes, count)
    made.update(torch.from_numpy(truth), torch.from_numpy(clusters))
    return made


@pytest.mark.parametrize(("classes", "count"), [(3, 3), (4, 9), (2, 30), (5, 1), (1, 4)])
def test_measures_are_scikit_learns(classes: int, count: int) -> None:
    chance = np.random.default_rng(classes * count)
    truth = chance.integers(-1, classes, 2000)
    clusters = np.where(
        chance.random(2000) < 0.6, (truth * 7) % count, chance.integers(0, count, 2000)
    )
    found = agreement(confusion(truth, clusters, classes, count))
    known = truth >= 0
    t, c = truth[known], clusters[known]
    assert found.nmi == pytest.approx(normalized_mutual_info_score(t, c), abs=1e-9)
    assert found.ari == pytest.approx(adjusted_rand_score(t, c), abs=1e-9)
    pure = sum(np.bincount(t[c == k]).max() for k in np.unique(c))
    assert found.purity == pytest.approx(100 * pure / known.sum())
    assert found.unused == count - len(np.unique(c))


def test_classes_that_nobody_found_and_clusters_that_nobody_used() -> None:
    # Class 2 is a minority everywhere, class 3 does not occur; cluster 3 is empty.
    truth = np.array([0] * 5 + [2] + [1] * 4 + [2])
    clusters = np.array([0] * 5 + [0] + [1] * 4 + [1])
    found = agreement(confusion(truth, clusters, 4, 4))
    assert (found.unused, found.missed) == (2, 1)
    assert found.purity == pytest.approx(100 * 9 / 11)


def test_a_map_is_learnt_on_one_split_and_scored_on_another() -> None:
    train = confusion(np.array([0, 0, 1, 1, 1]), np.array([0, 0, 0, 1, 1]), 2, 4)
    mapped = majority(train)
    assert mapped.tolist() == [0, 1, -1, -1]
    split = confusion(np.array([0, 1, 0, 1]), np.array([0, 0, 1, 2]), 2, 4)
    learnt, optimistic = scores(split, "ab", mapped), scores(split, "ab", majority(split))
    assert learnt.accuracy == pytest.approx(25)  # cluster 2 was never seen: wrong
    assert optimistic.accuracy == pytest.approx(75)
    assert optimistic.accuracy == pytest.approx(agreement(split).purity)


def test_no_pixels_measure_nothing() -> None:
    found = agreement(Confusion(3, 5))
    assert math.isnan(found.purity)
    assert math.isnan(found.nmi)
    assert math.isnan(found.ari)
    assert found.unused == 5
