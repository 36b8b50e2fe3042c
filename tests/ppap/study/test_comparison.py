from __future__ import annotations

import math

import pytest
import torch

from ppap.evaluation.trust import Trust, trust
from ppap.propagation import propagate, unit
from ppap.rivals import Choice, hidden_positives, k_nearest
from ppap.rivals.pool import seeded
from ppap.settings import Settings
from ppap.study.comparison import (
    by_class,
    compare,
    curve,
    f1_of,
    measure,
    summary,
)
from ppap.study.matching import match, mean_size
from ppap.study.patches import Patches, sample_anchors

FIVE = Settings(0.5, 0.2, 3, 4, 2)
CLASSES = ("sky", "tree", "road")


def batch(seed: int = 0, images: int = 4, each: int = 50) -> Patches:
    chance = torch.Generator().manual_seed(seed)
    centres = unit(torch.randn(3, 16, generator=chance))
    labels = torch.randint(-1, 3, (images * each,), generator=chance)
    noise = unit(torch.randn(images * each, 16, generator=chance))
    f = unit(centres[labels] + 0.9 * noise)
    return Patches(f, labels, images, sample_anchors(labels, 60, seed))


def made(positives: list[int], precision: list[float], recall: list[float]) -> Trust:
    n = len(positives)
    nothing = torch.zeros(n)
    return Trust(
        torch.ones(n, dtype=torch.bool),
        torch.tensor(positives),
        torch.tensor(precision, dtype=torch.float64),
        torch.tensor(recall, dtype=torch.float64),
        nothing,
        nothing,
        nothing,
        nothing,
    )


def test_the_curve_by_hand() -> None:
    # Ten anchors with 10 … 1 positives; precision 0.1 for the one with 10, up to 1.0.
    found = curve(made(list(range(10, 0, -1)), [i / 10 for i in range(1, 11)], [0.5] * 10))
    assert [point.first for point in found] == list(range(10, 101, 10))
    assert found[0].positives == 1
    assert found[0].precision == pytest.approx(1.0)
    assert found[4].positives == pytest.approx(3)  # 1 … 5
    assert found[4].precision == pytest.approx(0.8)  # 1.0 … 0.6
    assert found[-1].positives == pytest.approx(5.5)


def test_f1_by_hand() -> None:
    nan = math.nan
    # 2·0.5·1/1.5 = 2/3; an empty P is 0; nothing right is 0; alone in its class counts not at all.
    found = f1_of(made([2, 0, 3, 0], [0.5, nan, 0.0, nan], [1.0, 0.0, 0.0, nan]))
    assert found[:3].tolist() == pytest.approx([2 / 3, 0, 0])
    assert math.isnan(found[3])


def test_measures_are_those_of_the_rules_themselves() -> None:
    one = batch()
    wanted = trust(propagate(one.f, one.anchors, **FIVE.as_dict()), one.anchors, one.labels)  # type: ignore[arg-type]
    found = measure(Choice("ppap", FIVE), [one]).trust
    assert found.mean() == wanted.mean()
    wanted = trust(k_nearest(one.f, one.anchors, k=20), one.anchors, one.labels)
    choice = Choice("knn", FIVE, k=20)
    mean = summary(choice, measure(choice, [one]), CLASSES).mean
    assert mean.precision == wanted.mean().precision
    assert mean.false_negatives == wanted.mean().false_negatives


def test_batches_are_put_together_anchor_by_anchor() -> None:
    one, two = batch(0), batch(1, images=3)
    both = measure(Choice("ppap", FIVE), [one, two])
    means = [measure(Choice("ppap", FIVE), [each]).trust.mean() for each in (one, two)]
    counts = [mean.anchors for mean in means]
    assert both.trust.mean().anchors == sum(counts)
    total = sum(n * mean.positives for n, mean in zip(counts, means, strict=True))
    assert both.trust.mean().positives == pytest.approx(total / sum(counts))
    # The second batch's images are others than the first's.
    assert both.images.tolist() == [
        *(one.anchors // 50).tolist(),
        *(4 + two.anchors // 50).tolist(),
    ]
    assert torch.equal(both.labels, torch.cat([b.labels[b.anchors] for b in (one, two)]))


def test_anchors_know_their_images_where_these_differ_in_size() -> None:
    one, two = batch(0)._replace(images=(20, 150, 30)), batch(1)
    both = measure(Choice("ppap", FIVE), [one, two])
    owner = [0] * 20 + [1] * 150 + [2] * 30
    first = [owner[anchor] for anchor in one.anchors.tolist()]
    assert both.images.tolist() == [*first, *(3 + two.anchors // 50).tolist()]


def test_classes_hold_their_own_anchors() -> None:
    one = batch()
    sets = propagate(one.f, one.anchors, **FIVE.as_dict())  # type: ignore[arg-type]
    whole = trust(sets, one.anchors, one.labels)
    found = by_class(whole, one.labels[one.anchors], (*CLASSES, "absent"))
    assert [each.name for each in found] == list(CLASSES)
    for index, each in enumerate(found):
        own = one.anchors[one.labels[one.anchors] == index]
        sets = propagate(one.f, own, **FIVE.as_dict())  # type: ignore[arg-type]
        assert each.mean.anchors == len(own)
        assert each.mean.precision == pytest.approx(trust(sets, own, one.labels).mean().precision)


@pytest.mark.parametrize("rule", ["baseline", "hp", "knn", "kmeans"])
def test_rivals_reach_the_wanted_number_of_positives(rule: str) -> None:
    one = batch(each=100)
    target = mean_size(Choice("ppap", FIVE), one)
    found = mean_size(match(Choice(rule, FIVE, rho=1), one, target), one)
    # HP and k-means cannot be set more finely than by one pool patch or cluster.
    assert found == pytest.approx(target, rel=0.02 if rule in ("baseline", "knn") else 0.35)


def test_everything_that_hp_does_not_take_is_negative() -> None:
    one = batch()
    hp = next(r for r in compare([one], FIVE, CLASSES, matched=False) if r.choice.rule == "hp")
    assert hp.mean.ambiguous == 0
    sets = hidden_positives(one.f, one.anchors, pool=one.f[:1], rho=1, generator=seeded(0))
    assert bool((sets.positive | sets.negative).sum(1).eq(len(one.f) - 1).all())


def test_the_order_of_a_comparison_and_its_clusters() -> None:
    said: list[float] = []
    rows = compare([batch()], FIVE, (*CLASSES, "absent"), progress=lambda text, s: said.append(s))
    assert [(row.choice.rule, row.matched) for row in rows] == [
        ("ppap", False),
        ("baseline", False),
        ("hp", False),
        ("knn", False),
        ("kmeans", False),
        ("baseline", True),
        ("hp", True),
        ("knn", True),
        ("kmeans", True),
    ]
    assert rows[4].choice.clusters == 3  # of four names, the batch has three
    assert rows[3].choice.k == 100
    assert said == sorted(said)
    assert len(compare([batch()], FIVE, CLASSES, matched=False)) == 5


def test_anchors_have_a_class_and_the_seed_decides() -> None:
    labels = torch.tensor([-1, 0, 1, -1, 2, 0])
    assert sample_anchors(labels, 10, 0).tolist() == [1, 2, 4, 5]
    many = torch.zeros(1000)
    assert sample_anchors(many, 10, 1).tolist() == sample_anchors(many, 10, 1).tolist()
    assert sample_anchors(many, 10, 1).tolist() != sample_anchors(many, 10, 2).tolist()
