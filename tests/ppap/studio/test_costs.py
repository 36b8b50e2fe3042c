from __future__ import annotations

import pytest

from ppap.studio import costs
from ppap.studio.costs import Costs, Model, by_name, duration, fitting, gigabytes, needed, too_much
from ppap.studio.requests import Request, RequestError, read_request

PLENTY = 10**15
CNN = Model(16, 624, True)


def wanted(**changes: object) -> Request:
    return read_request({"source": "samples", **changes})


@pytest.mark.parametrize(
    ("name", "patch"),
    [
        ("dino_vits16", 16),
        ("dino_vitb8", 8),
        ("dinov2_vits14_reg", 14),
        ("vit_small_patch8_224.dino", 8),
        ("dinov3_vits16plus", 16),
        ("embedded", 16),
        ("checkpoint", 16),
        ("vit_small_patch9999", 16),
    ],
)
def test_names_tell_the_patch_size(name: str, patch: int) -> None:
    assert by_name(name).patch == patch


def test_a_cost_is_of_the_size_rounded_to_patches() -> None:
    found = Costs(lambda: PLENTY).of(wanted(size=450, backbone="dinov2_vits14"), 3)
    assert (found.size, found.patches) == (448, 3 * 32 * 32)
    assert found.seconds is None
    assert str(found) == "about 3,072 patches, 420 MB"


def test_seconds_are_those_that_the_backbone_took_before() -> None:
    known = Costs(lambda: PLENTY)
    known.learn(wanted(), CNN, (100, 300), (1.0, 4.0))
    cost = known.of(wanted(size=160), 5)
    # Half a second an image to read, 0.01 s a patch to embed.
    assert cost.patches == 500
    assert cost.seconds == pytest.approx(5 * 0.5 + 500 * 0.01)
    assert known.of(wanted(backbone="dino_vits16"), 5).seconds is None
    # Once slower is believed by half, faster in full.
    known.learn(wanted(), CNN, (100, 300), (10, 4.0))
    cost = known.of(wanted(size=160), 5)
    assert cost.seconds == pytest.approx(5 * 0.75 + 500 * 0.01)
    known.learn(wanted(), CNN, (100, 300), (0.2, 2.0))
    cost = known.of(wanted(size=160), 5)
    assert cost.seconds == pytest.approx(5 * 0.1 + 500 * 0.005)


def test_attention_takes_more_than_its_share() -> None:
    vit = Model(16, 384, False)
    known = Costs(lambda: PLENTY)
    known.learn(wanted(backbone="x"), vit, (400,), (0, 1))
    found = known.of(wanted(backbone="x", size=640), 1)
    # 1,600 patches: 4 times the products with weights, 16 times the attention.
    products, attention = 1 / (1 + 400 / 2304), (400 / 2304) / (1 + 400 / 2304)
    assert found.seconds == pytest.approx(4 * products + 16 * attention)


def test_too_many_patches_are_refused_with_what_fits() -> None:
    known = Costs(lambda: PLENTY)
    known.check(wanted(size=896), 64)  # 64 · 56²
    with pytest.raises(RequestError) as caught:
        known.check(wanted(size=2048), 64)
    assert caught.value.field == "size"
    assert str(caught.value) == (
        "64 images at 2048 px would make about 1,048,576 patches; a batch holds at most 250,000. "
        "What would fit: 64 images at 992 px or 15 images at 2048 px."
    )
    for images, size in ((64, 992), (15, 2048)):
        assert not too_much(images, size, by_name("embedded"), PLENTY)
    for images, size in ((64, 1008), (16, 2048)):
        assert too_much(images, size, by_name("embedded"), PLENTY)


def test_too_much_memory_is_refused_with_what_fits() -> None:
    free = needed(4, 448, CNN)
    assert not too_much(4, 448, CNN, free)
    assert "need about" in too_much(5, 448, CNN, free)
    assert fitting(5, 448, CNN, free).endswith("or 4 images at 448 px.")
    known = Costs(lambda: round(free / (1 - costs.SPARE)) + 1)
    known.check(wanted(), 4, CNN)
    with pytest.raises(RequestError, match="What would fit"):
        known.check(wanted(), 5, CNN)
    with pytest.raises(RequestError, match="Close other programs"):
        Costs(lambda: 0).check(wanted(), 1, CNN)


def test_memory_covers_what_is_kept() -> None:
    kept = 8 * (784 * 624 * 4 + 448 * 448 * (3 + 8))
    assert kept < needed(8, 448, CNN) < 20 * kept


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "less than 1 s"), (1.4, "1 s"), (14.2, "14 s"), (33, "30 s"), (91, "2 min")],
)
def test_durations_are_rounded(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_sizes_are_said_in_round_numbers() -> None:
    assert [gigabytes(n) for n in (10, 4.3e8, 1.26e9)] == ["1 MB", "430 MB", "1.3 GB"]
