"""Clusters of frozen features, on pictures whose parts are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from ppap import clustering
from ppap.clustering import Seen, clusters_of, find_clusters, see
from ppap.evaluation.crf import CrfPool, smooth
from tests.support.small_studio import TinyBackbone

PATCH = 32
COLOURS = np.array([(250, 30, 20), (20, 40, 240), (30, 230, 60)], np.uint8)


def blocks(ids: list[list[int]], side: int = PATCH) -> np.ndarray:
    """Blocks of ``side`` pixels in three colours."""
    return COLOURS[np.kron(np.array(ids), np.ones((side, side), int))]


@pytest.fixture(scope="module")
def backbone() -> TinyBackbone:
    made = TinyBackbone()
    made.frozen()
    return made


FIRST = [[0, 0, 0, 1], [0, 0, 0, 1], [0, 0, 2, 2], [0, 0, 2, 2]]
SECOND = [[2, 2, 2], [1, 2, 2], [0, 0, 0]]


def test_parts_are_found_across_pictures(backbone: TinyBackbone) -> None:
    seen = [see(backbone, blocks(FIRST), size=128), see(backbone, blocks(SECOND), size=96)]
    found = find_clusters(seen, 3)
    assert found.shape == (3, 6)
    assert torch.allclose(found.norm(dim=1), torch.ones(3), atol=1e-5)
    ids = [clusters_of(one, found) for one in seen]
    # Away from where two colours meet, every colour is one cluster, and the same in both pictures.
    for label, rank in ((0, 0), (2, 1), (1, 2)):  # most patches first
        for one, layout in zip(ids, (FIRST, SECOND), strict=True):
            for row, column in np.argwhere(np.array(layout) == label):
                middle = one[row * PATCH + PATCH // 2, column * PATCH + PATCH // 2]
                assert middle == rank


def test_every_pixel_has_its_most_similar_cluster(backbone: TinyBackbone) -> None:
    draw = np.random.default_rng(0).integers(0, 256, (70, 133, 3), np.uint8)
    seen = see(backbone, draw, size=64)
    assert seen.rgb.shape == (64, 128, 3)
    assert seen.features.shape == (1, 2, 4, 6)
    clusters = find_clusters([seen], 4)
    found = clusters_of(seen, clusters)
    assert found.shape == (70, 133)
    maps = F.interpolate(seen.features.permute(0, 3, 1, 2), (70, 133), mode="bilinear")
    cosines = F.normalize(maps[0], dim=0).permute(1, 2, 0) @ clusters.T
    assert np.array_equal(found, cosines.argmax(dim=2).numpy())


def test_the_cluster_with_the_most_patches_comes_first(backbone: TinyBackbone) -> None:
    draw = np.random.default_rng(5).integers(0, 256, (320, 320, 3), np.uint8)
    seen = see(backbone, draw, size=320)
    patches = F.normalize(seen.features.flatten(0, 2), dim=1)
    for seed in range(4):
        nearest = (patches @ find_clusters([seen], 6, seed).T).argmax(dim=1)
        counts = torch.bincount(nearest, minlength=6).tolist()
        assert counts == sorted(counts, reverse=True)
        assert counts[0] > counts[-1]


def test_with_a_crf(backbone: TinyBackbone) -> None:
    draw = np.random.default_rng(1).integers(0, 256, (64, 96, 3), np.uint8)
    seen = see(backbone, draw, size=64)
    clusters = find_clusters([seen], 3)
    maps = F.interpolate(seen.features.permute(0, 3, 1, 2), (64, 96), mode="bilinear")
    cosines = torch.einsum("dhw,kd->khw", F.normalize(maps[0], dim=0), clusters)
    wanted = smooth(draw, (2 * cosines).log_softmax(dim=0)).argmax(dim=0).numpy()
    found = clusters_of(seen, clusters, crf=True)
    assert (found == wanted).mean() > 0.999
    with CrfPool(1) as pool:
        assert np.array_equal(clusters_of(seen, clusters, crf=True, pool=pool), found)
    assert not np.array_equal(found, clusters_of(seen, clusters))


def test_the_same_seed_finds_the_same(
    backbone: TinyBackbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw = np.random.default_rng(2).integers(0, 256, (320, 320, 3), np.uint8)
    seen = see(backbone, draw, size=320)
    whole = find_clusters([seen], 5, seed=3)
    assert torch.equal(whole, find_clusters([seen], 5, seed=3))
    monkeypatch.setattr(clustering, "MOST_PATCHES", 20)
    some = find_clusters([seen], 5, seed=3)
    assert some.shape == whole.shape
    with pytest.raises(ValueError, match="count must be a whole number, from 1 to 20"):
        find_clusters([seen], 21)


def test_what_makes_no_sense(backbone: TinyBackbone) -> None:
    seen = see(backbone, blocks(SECOND), size=96)
    with pytest.raises(ValueError, match="no images"):
        find_clusters([], 2)
    with pytest.raises(ValueError, match="different backbones"):
        find_clusters([seen, Seen(seen.rgb, torch.ones(1, 1, 1, 5), 1, 1)], 2)
    with pytest.raises(ValueError, match="from 1 to 9, not 10"):
        find_clusters([seen], 10)
    with pytest.raises(ValueError, match=r"\(K, 6\), not \(2, 5\)"):
        clusters_of(seen, torch.ones(2, 5))
    with pytest.raises(ValueError, match="size must be"):
        see(backbone, blocks(SECOND), size=31)
