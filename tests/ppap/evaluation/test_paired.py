"""Paired intervals against a loop over redraws, and how often they hold what is true."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from ppap.evaluation.metrics import match
from ppap.evaluation.paired import (
    LEAST,
    Interval,
    NotPairedError,
    Redrawn,
    Side,
    in_words,
    paired,
    title_of,
    widened,
)
from ppap.evaluation.per_image import Gathering, Kind, PerImage
from ppap.evaluation.tally import Tally

CLASSES = 4
NAMES = [f"class {i}" for i in range(CLASSES)]
Maps = list[tuple[np.ndarray, np.ndarray]]


def truths(images: int) -> list[Tensor]:
    """Class 3 is in the first two alone; some pixels are void."""
    chance = torch.Generator().manual_seed(1)
    made = []
    for place in range(images):
        truth = torch.randint(-1, CLASSES - 1, (7, 9), generator=chance)
        if place < 2:
            truth[:2] = CLASSES - 1
        made.append(truth)
    return made


def side(images: int, skill: float, seed: int) -> tuple[Side, Maps]:
    """A report with its counts, and true and predicted classes of every pixel that counts."""
    chance = torch.Generator().manual_seed(seed)
    tally = Tally(CLASSES, CLASSES + 1)
    kept = []
    for truth in truths(images):
        right = torch.rand(truth.shape, generator=chance) < skill
        noise = torch.randint(0, CLASSES + 1, truth.shape, generator=chance)
        said = torch.where(right & (truth >= 0), (truth + 1) % CLASSES, noise)
        tally.add(truth, said)
        kept.append((truth, said))
    assignment = match(tally.whole)
    counts = PerImage(np.arange(images), {"cluster": tally.kind(assignment)})
    maps = [(t[t >= 0].numpy(), assignment[s[t >= 0]].numpy()) for t, s in kept]
    return Side(report_of(images), counts), maps


def report_of(count: int, **changed: Any) -> dict[str, Any]:
    about = [{"index": i, "name": f"p{i}"} for i in range(count)]
    return {"classes": NAMES, "size": 9, "images": about, **changed}


def score(maps: Maps, drawn: np.ndarray) -> list[float]:
    """Accuracy, mIoU and IoU by class of some images, from their pixels."""
    t, p = (np.concatenate([maps[i][part] for i in drawn]) for part in (0, 1))
    found: list[float] = []
    for c in range(CLASSES):
        right, union = ((t == c) & (p == c)).sum(), ((t == c) | (p == c)).sum()
        found.append(100 * right / union if union else math.nan)
    return [100 * (t == p).mean(), float(np.nanmean(found)), *found]


@pytest.mark.filterwarnings("ignore:All-NaN")
def test_intervals_are_those_of_a_loop_over_redraws() -> None:
    images, redraws = 6, 100
    sides = [side(images, skill, seed) for skill, seed in ((0.5, 2), (0.5, 3), (0.7, 4))]
    (one, a), (other, b), (better, c) = sides
    found = paired([one, other], [better], redraws=redraws, seed=7)["cluster"]

    def difference(drawn: np.ndarray) -> np.ndarray:
        seeds = np.mean([score(a, drawn), score(b, drawn)], axis=0)
        return np.array(score(c, drawn)) - seeds

    whole = difference(np.arange(images))
    chance = np.random.default_rng(7)
    times = chance.multinomial(images, np.full(images, 1 / images), size=redraws)
    loop = np.array([difference(np.repeat(np.arange(images), one)) for one in times])
    tail = widened(images)
    for place, interval in enumerate((found.accuracy, found.miou, *found.iou[: CLASSES - 1])):
        assert interval.difference == pytest.approx(whole[place])
        ends = np.nanquantile(loop[:, place], [tail, 1 - tail])
        assert (interval.low, interval.high) == pytest.approx(tuple(ends))
    # What is in two images says nothing on others. (All predict it somewhere, truly or not.)
    rare = found.iou[-1]
    assert rare.difference == pytest.approx(whole[-1])


def test_too_few_images_give_no_interval() -> None:
    (one, _), (other, _) = side(LEAST - 1, 0.5, 2), side(LEAST - 1, 0.7, 3)
    found = paired([one], [other])["cluster"]
    assert found.accuracy.difference is not None
    assert found.accuracy.low is found.accuracy.high is None
    assert not found.accuracy.apart


def simulated(
    chance: np.random.Generator, images: int, gain: float, pixels: int = 200
) -> tuple[Kind, Kind]:
    """Two methods on images that are hard or easy for both; the second is ``gain`` better."""
    skill = chance.uniform(0.3, 0.8, images)
    more = gain + chance.uniform(-0.15, 0.15, images)
    kinds = []
    for p in (skill, skill + more):
        gathering = Gathering(2)
        for right in chance.binomial(pixels, p):
            gathering.add(np.array([0, 1]), np.array([right, pixels - right]))
        kinds.append(gathering.kind(2, np.arange(2)))
    return kinds[0], kinds[1]


@pytest.mark.parametrize("images", [6, 30])
def test_nineteen_of_twenty_intervals_hold_what_is_true(images: int) -> None:
    chance = np.random.default_rng(0)
    gain, tries = 0.05, 200
    held = apart = 0
    report = report_of(images, classes=["a", "b"])
    for _ in range(tries):
        first, second = (
            Side(report, PerImage(np.arange(images), {"linear": kind}))
            for kind in simulated(chance, images, gain)
        )
        found = paired([first], [second], redraws=400)["linear"].accuracy
        assert found.low is not None
        assert found.high is not None
        held += found.low <= 100 * gain <= found.high
        apart += found.apart
    assert 0.92 <= held / tries <= 0.985
    assert apart < tries if images == 6 else apart > tries / 2


def test_pairing_takes_out_what_is_hard_for_both() -> None:
    """Unpaired, the interval of images whose skill is 30 to 80 % would be far wider."""
    first, second = simulated(np.random.default_rng(1), 30, 0.05)
    report = report_of(30, classes=["a", "b"])
    sides = [Side(report, PerImage(np.arange(30), {"linear": one})) for one in (first, second)]
    found = paired(sides[:1], sides[1:])["linear"].accuracy
    assert found.low is not None
    assert found.high is not None
    alone = np.std(first.accuracy(), ddof=1) / math.sqrt(30)
    assert found.high - found.low < 2 * 1.96 * math.sqrt(2) * alone / 1.5


def test_the_same_seed_gives_the_same_interval_and_turning_round_its_mirror() -> None:
    (one, _), (other, _) = side(8, 0.5, 2), side(8, 0.7, 3)
    found = paired([one], [other])["cluster"]
    assert found == paired([one], [other])["cluster"]
    assert found != paired([one], [other], seed=1)["cluster"]
    assert found.accuracy.apart
    back = paired([other], [one])["cluster"].miou
    assert back.difference == pytest.approx(-(found.miou.difference or 0))
    assert (back.low, back.high) == pytest.approx((-(found.miou.high or 0), -(found.miou.low or 0)))
    same = paired([one], [one])["cluster"].accuracy
    assert (same.difference, same.low, same.high) == (0, 0, 0)
    assert not same.apart


def test_scores_of_all_images_are_the_reports() -> None:
    one, maps = side(6, 0.6, 5)
    kind = one.counts.kinds["cluster"]
    found = Redrawn([kind]).scores(np.ones((1, 6)))[0]
    assert found.tolist() == pytest.approx(score(maps, np.arange(6)))
    assert found[0] == pytest.approx(100 * np.trace(kind.confusion()) / kind.confusion().sum())


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"classes": NAMES[::-1]}, "The reports have different classes."),
        ({"size": 8}, "squares of different sizes: 9 and 8 pixels"),
        ({"images": [{"index": i, "name": "x"} for i in range(6)]}, "about different images"),
    ],
)
def test_what_cannot_be_paired_is_refused(changed: dict[str, Any], sentence: str) -> None:
    one, _ = side(6, 0.6, 5)
    with pytest.raises(NotPairedError, match=sentence):
        paired([one], [Side(report_of(6, **changed), one.counts)])


def test_other_label_maps_and_other_kinds_are_refused() -> None:
    one, _ = side(6, 0.6, 5)
    kind = one.counts.kinds["cluster"]
    odd = PerImage(one.counts.indices, {"linear": kind})
    with pytest.raises(NotPairedError, match="no kind of prediction in common"):
        paired([one], [one._replace(counts=odd)])
    changed = Kind(kind.classes, kind.assignment, kind.starts, kind.pairs, kind.counts + 1)
    other = one._replace(counts=PerImage(one.counts.indices, {"cluster": changed}))
    with pytest.raises(NotPairedError, match="label maps changed between"):
        paired([one], [other])
    with pytest.raises(ValueError, match="both sides need a report"):
        paired([one], [])


def test_in_words() -> None:
    assert str(Interval(1.24, -0.31, 2.0)) == "+1.2 (−0.3 to +2.0)"
    assert str(Interval(-1.24, None, None)) == "−1.2"
    assert str(Interval(-0.04, None, None)) == "+0.0"
    assert str(Interval(None, None, None)) == "–"
    assert "Seeds" not in in_words()
    assert in_words(3).endswith("Seeds are averaged in every resampling, not resampled.")
    assert [title_of(kind) for kind in ("cluster", "linear_pamr")] == ["U", "L, PAMR"]
