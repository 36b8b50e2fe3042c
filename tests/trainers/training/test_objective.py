from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ppap import ppap_loss
from ppap.contrast import StegoSettings, chunked_loss, stego_loss
from ppap.propagation import PatchSets, propagate, unit
from ppap.rivals import hidden_positives, k_nearest
from ppap.rivals.ablations import ans_only, baseline, tps_only
from ppap.rivals.neighbours import cluster_patches_unit, same_cluster_unit
from ppap.segmenter import TrainingFeatures
from tests.support.small_runs import ALONE
from trainers.config import Config
from trainers.training.chance import derived, generator
from trainers.training.objective import Objective, StepLoss, anchors_of, candidates_of

IMAGES, ROWS, COLUMNS, DIM = 3, 4, 5, 12
PATCHES = ROWS * COLUMNS


def features(seed: int) -> Tensor:
    """Patches in few groups, so that there are positives, ambiguous ones and negatives."""
    source = torch.Generator().manual_seed(seed)
    owner = torch.randint(0, 5, (IMAGES, ROWS, COLUMNS), generator=source)
    centres = torch.randn(5, DIM, generator=source)
    return 3 * (centres[owner] + 0.8 * torch.randn(IMAGES, ROWS, COLUMNS, DIM, generator=source))


def streams(seed: int = 0) -> TrainingFeatures:
    tuned = features(seed + 50).requires_grad_()
    projected = F.normalize(tuned.flatten(0, 2), dim=1)
    return TrainingFeatures(features(seed), tuned, projected)


def config(**changes: Any) -> Config:
    return Config(phi0=0.6, psi0=0.2, sigma_pos=3, sigma_amb=3, steps=2, temperature=0.3).with_(
        changes
    )


def objective(settings: Config, **options: Any) -> Objective:
    return Objective(settings, classes=4, world=ALONE, **options)


def chosen(settings: Config, step: int) -> Tensor:
    return anchors_of(IMAGES, PATCHES, settings.anchors, settings.seed, step).flatten()


def gradient(loss: Tensor, tuned: Tensor) -> Tensor:
    (found,) = torch.autograd.grad(loss, tuned)
    assert found.norm() > 0
    return found


# --- the loss


@pytest.mark.parametrize("published", [False, True])
def test_ppap_is_ppap_loss(published: bool) -> None:
    settings = config(published_scale=published)
    given, again = streams(), streams()
    found = objective(settings)(given, 4)
    anchors = chosen(settings, 4)
    wanted = ppap_loss(
        again.guidance.flatten(0, 2),
        again.projected,
        anchors,
        **settings.settings.as_dict(),  # type: ignore[arg-type]
        temperature=0.3,
        images=anchors // PATCHES,
        published_scale=published,
    )
    assert torch.equal(found.loss, wanted.loss)
    assert torch.equal(gradient(found.loss, given.tuned), gradient(wanted.loss, again.tuned))
    assert found.counted == wanted.counted == IMAGES
    for name in ("positives", "ambiguous", "negatives"):
        assert getattr(found, name) == getattr(wanted, name) > 0
    assert float(found.empty) == pytest.approx(float(wanted.empty) / len(anchors))
    assert math.isnan(float(found.precision))


def sets_by_hand(
    rule: str, settings: Config, anchors: Tensor, step: int, pool: Tensor
) -> PatchSets:
    """Each rule's sets, asked of its own function."""
    f = features(0).flatten(0, 2)
    five: Any = settings.settings.as_dict()
    if rule == "tps":
        return tps_only(f, anchors, **{n: five[n] for n in ("phi0", "sigma_pos", "steps")})
    if rule == "ans":
        return ans_only(f, anchors, **five)
    if rule == "baseline":
        return baseline(f, anchors, phi0=five["phi0"])
    if rule == "knn":
        return k_nearest(f, anchors, k=6)
    if rule == "kmeans":
        seed = derived(settings.seed, "rule", step) % 2**32
        return same_cluster_unit(unit(f), anchors, labels=cluster_patches_unit(unit(f), 4, seed))
    if rule == "hp":
        chance = generator(settings.seed, "negatives", step, 0)
        return hidden_positives(f, anchors, pool=pool, rho=0.4, generator=chance)
    return propagate(f, anchors, **five)


@pytest.mark.parametrize("rule", ["ppap", "tps", "ans", "baseline", "knn", "kmeans", "hp"])
def test_every_rule_gives_its_own_sets(rule: str) -> None:
    settings = config(rule=rule, k_share=0.1, rho=0.4)
    pool = unit(features(9).flatten(0, 2)[::3])
    given, again = streams(), streams()
    anchors = chosen(settings, 2)
    sets = sets_by_hand(rule, settings, anchors, 2, pool)
    place = {int(anchor): row for row, anchor in enumerate(anchors)}

    def rows(some: Tensor) -> PatchSets:
        index = torch.tensor([place[int(anchor)] for anchor in some])
        return replace(
            sets,
            anchors=some,
            positive=sets.positive[index],
            ambiguous=sets.ambiguous[index],
            negative=sets.negative[index],
        )

    wanted = chunked_loss(
        rows, again.projected, anchors, temperature=0.3, images=anchors // PATCHES
    )
    found = objective(settings, pool=pool)(given, 2)
    assert found.loss.item() == pytest.approx(wanted.loss.item(), rel=1e-6)
    assert float(found.positives) == float(wanted.positives) > 0
    assert float(found.negatives) == float(wanted.negatives) > 0
    torch.testing.assert_close(
        gradient(found.loss, given.tuned), gradient(wanted.loss, again.tuned)
    )


def test_stego_is_stego_loss() -> None:
    weights = {"self_weight": 0.5, "self_shift": 0.1, "near_weight": 0.2, "near_shift": 0.3,
               "far_weight": 0.7, "far_shift": 0.4}  # fmt: skip
    settings = config(rule="stego", far_images=2, **weights)
    given, near = streams(), streams(7)
    found = objective(settings)(given, 3, near=near)
    wanted = stego_loss(
        given.guidance,
        given.tuned,
        near.guidance,
        near.tuned,
        settings=StegoSettings(0.5, 0.1, 0.2, 0.3, 0.7, 0.4),
        negatives=2,
        generator=generator(0, "positions", 3, 0),
    )
    assert torch.equal(found.loss, wanted.loss)
    assert found.counted == IMAGES
    assert math.isnan(float(found.positives))


@pytest.mark.parametrize("rule", ["ppap", "hp", "kmeans", "stego"])
def test_a_step_draws_the_same_whatever_came_before(rule: str) -> None:
    settings = config(rule=rule, rho=0.4)
    pool = unit(features(9).flatten(0, 2)[::3])

    def at(made: Objective, step: int) -> float:
        return made(streams(), step, near=streams(7)).loss.item()

    first = objective(settings, pool=pool)
    earlier = [at(first, step) for step in range(3)]
    late = objective(settings, pool=pool)
    assert [at(late, step) for step in (2, 0, 2)] == [earlier[2], earlier[0], earlier[2]]
    assert len(set(earlier)) == 3
    other = objective(settings.with_({"seed": 1}), pool=pool)
    assert at(other, 0) != earlier[0]


def test_k_is_a_share_of_the_batch_and_never_all_of_it() -> None:
    sizes = []
    for share in (1e-6, 0.1, 1):
        found = objective(config(rule="knn", k_share=share))(streams(), 0)
        sizes.append(float(found.positives))
    assert sizes == [1, 6, IMAGES * PATCHES - 1]


def test_clusters_are_as_many_as_classes_unless_they_are_said() -> None:
    def positives(clusters: int) -> float:
        return float(objective(config(rule="kmeans", clusters=clusters))(streams(), 0).positives)

    assert positives(0) == positives(4)
    assert positives(1) == IMAGES * PATCHES - 1
    assert positives(10_000) == 0  # each patch its own


# --- precision


def test_precision_equals_counting() -> None:
    settings = config(anchors=0.5)
    source = torch.Generator().manual_seed(1)
    labels = torch.randint(-1, 3, (IMAGES * PATCHES,), generator=source)
    found = objective(settings)(streams(), 1, patch_labels=labels)
    anchors = chosen(settings, 1)
    sets = propagate(features(0).flatten(0, 2), anchors, **settings.settings.as_dict())  # type: ignore[arg-type]
    right = whole = 0
    for row, anchor in enumerate(anchors.tolist()):
        for patch in sets.positive[row].nonzero().flatten().tolist():
            if labels[anchor] != -1 and labels[patch] != -1:
                whole += 1
                right += int(labels[anchor] == labels[patch])
    assert 0 < right < whole
    assert float(found.precision) == pytest.approx(right / whole)


def test_precision_where_nothing_is_known() -> None:
    labels = torch.full((IMAGES * PATCHES,), -1)
    found: StepLoss = objective(config())(streams(), 1, patch_labels=labels)
    assert math.isnan(float(found.precision))
    all_right = objective(config())(streams(), 1, patch_labels=torch.zeros_like(labels))
    assert float(all_right.precision) == 1


# --- precision of numbers


def test_inside_autocast_sets_and_loss_stay_exact() -> None:
    plain = objective(config())(streams(), 0)
    with torch.autocast("cpu", torch.bfloat16):
        found = objective(config())(streams(), 0)
    assert torch.equal(found.loss, plain.loss)
    assert float(found.positives) == float(plain.positives)


# --- anchors


@pytest.mark.parametrize(
    ("patches", "share", "count"),
    [(16, 0.25, 4), (196, 0.25, 49), (784, 0.0625, 49), (400, 0.125, 50), (10, 0.01, 1),
     (10, 1.0, 10), (100, 0.57, 57), (100, 0.29, 29), (10, 0.19, 1), (1, 0.5, 1)],
)  # fmt: skip
def test_as_many_anchors_of_every_image(patches: int, share: float, count: int) -> None:
    anchors = anchors_of(5, patches, share, seed=0, step=3)
    assert (anchors.shape, anchors.dtype) == ((5, count), torch.int64)
    for image, own in enumerate(anchors):
        assert len(own.unique()) == count
        assert ((own >= image * patches) & (own < (image + 1) * patches)).all()


def test_anchors_are_drawn_evenly_and_anew_in_every_step() -> None:
    drawn = torch.stack([anchors_of(4, 10, 0.2, 0, step) for step in range(2000)])
    counts = torch.bincount(drawn.flatten(), minlength=40)
    assert (counts - 400).abs().max() < 100  # 5.6 standard deviations
    assert not torch.equal(drawn[0], drawn[1])
    assert torch.equal(anchors_of(4, 10, 0.2, 0, 7), drawn[7])
    assert not torch.equal(anchors_of(4, 10, 0.2, 1, 7), drawn[7])
    # The images of a batch do not share theirs.
    assert not torch.equal(drawn[:, 0], drawn[:, 1] - 10)


# --- a cap on candidates


def test_few_candidates_are_a_smaller_batch() -> None:
    """Sets and loss are those of the chosen patches alone, and only they get a gradient."""
    settings = config(candidates=IMAGES * 9, anchors=0.2)
    given = streams()
    found = objective(settings)(given, 4)
    few = candidates_of(IMAGES, PATCHES, IMAGES * 9, settings.seed, 4)
    assert few is not None
    rows = (few + PATCHES * torch.arange(IMAGES).unsqueeze(1)).flatten()
    again = streams()
    # 4 of 20 patches are anchors, and 4 of 9.
    anchors = anchors_of(IMAGES, 9, 4 / 9, settings.seed, 4).flatten()
    assert len(anchors) == IMAGES * 4
    wanted = ppap_loss(
        again.guidance.flatten(0, 2)[rows],
        again.projected[rows],
        anchors,
        **settings.settings.as_dict(),  # type: ignore[arg-type]
        temperature=0.3,
        images=anchors // 9,
    )
    assert torch.equal(found.loss, wanted.loss)
    slope = gradient(found.loss, given.tuned).flatten(0, 2)
    assert (slope[rows].abs().sum(dim=1) > 0).any()
    others = torch.ones(IMAGES * PATCHES, dtype=torch.bool)
    others[rows] = False
    assert (slope[others] == 0).all()


@pytest.mark.parametrize("most", [0, IMAGES * PATCHES, 10**9])
def test_without_a_cap_nothing_changes(most: int) -> None:
    plain, capped = (
        objective(config())(streams(), 4),
        objective(config(candidates=most))(streams(), 4),
    )
    assert torch.equal(plain.loss, capped.loss)


def test_more_anchors_than_candidates_are_all_of_them() -> None:
    found = objective(config(candidates=IMAGES * 3, anchors=1))(streams(), 4)
    sizes = found.positives + found.ambiguous + found.negatives
    assert float(sizes) == IMAGES * 3 - 1


def test_candidates_are_drawn_evenly_over_images_and_anew_in_every_step() -> None:
    drawn = []
    for step in range(1000):
        few = candidates_of(4, 10, 23, 0, step)
        assert few is not None
        assert few.shape == (4, 5)  # 23 are 5 of every image, and 3 that do not divide
        assert (few.diff(dim=1) > 0).all()
        drawn.append(few + 10 * torch.arange(4).unsqueeze(1))
    counts = torch.bincount(torch.stack(drawn).flatten(), minlength=40)
    assert (counts - 500).abs().max() < 90  # 5.7 standard deviations
    assert not torch.equal(drawn[0], drawn[1])
    few = candidates_of(4, 10, 23, 1, 7)
    assert few is not None
    assert not torch.equal(few + 10 * torch.arange(4).unsqueeze(1), drawn[7])


def test_precision_is_that_of_the_candidates() -> None:
    labels = torch.randint(0, 2, (IMAGES * PATCHES,), generator=torch.Generator().manual_seed(3))
    settings = config(candidates=IMAGES * 9)
    found = objective(settings)(streams(), 4, patch_labels=labels)
    other = objective(config())(streams(), 4, patch_labels=labels)
    assert 0 < float(found.precision) < 1
    assert float(found.precision) != float(other.precision)
