"""STEGO's loss against hand-computed numbers, plain loops, finite differences and symmetries."""

from __future__ import annotations

import math
from dataclasses import fields
from typing import Any

import pytest
import torch
from torch import Tensor

from ppap.contrast import (
    StegoSettings,
    correspondence,
    nearest_images,
    pair_loss,
    sample_at,
    sampled_positions,
    stego_loss,
)
from ppap.contrast.correspondence import centred
from ppap.contrast.sampling import other_images
from ppap.settings import SettingError

PARTS = ("self_", "neighbour", "random")


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(seed: int, *shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(*shape, generator=seeded(seed), dtype=dtype)


def maps(images: int = 4, size: int = 3, wide: int = 5, narrow: int = 3) -> tuple[Tensor, ...]:
    """Features, codes and those of neighbours, float64."""
    return (
        normal(1, images, size, size + 1, wide),
        normal(2, images, size, size + 1, narrow),
        normal(3, images, size, size + 1, wide),
        normal(4, images, size, size + 1, narrow),
    )


def cosine(a: Tensor, b: Tensor) -> float:
    return float(a @ b / (a.norm() * b.norm()))


def pair_loss_in_loops(
    features_a: Tensor, features_b: Tensor, codes_a: Tensor, codes_b: Tensor, shift: float
) -> float:
    """Eq. 1, 3 and 4 written out for lists of positions ``(B, P, D)`` and ``(B, Q, D)``."""
    pairs, rows, columns = len(features_a), features_a.shape[1], features_b.shape[1]
    f = [
        [[cosine(features_a[n, p], features_b[n, q]) for q in range(columns)] for p in range(rows)]
        for n in range(pairs)
    ]
    overall = sum(sum(sum(row) for row in image) for image in f) / (pairs * rows * columns)
    total = 0.0
    for n in range(pairs):
        for p in range(rows):
            own = sum(f[n][p]) / columns
            for q in range(columns):
                s = max(cosine(codes_a[n, p], codes_b[n, q]), 0)
                total -= s * (f[n][p][q] - own + overall - shift)
    return total / (pairs * rows * columns)


def read_by_hand(image: Tensor, x: float, y: float) -> Tensor:
    """Bilinear reading of ``(h, w, D)``; −1 and 1 are the middles of the outermost patches."""
    height, width = image.shape[:2]
    column = min(max((x + 1) / 2 * (width - 1), 0), width - 1)
    row = min(max((y + 1) / 2 * (height - 1), 0), height - 1)
    left, top = min(int(column), width - 2), min(int(row), height - 2)
    right, down = column - left, row - top
    upper = image[top, left] * (1 - right) + image[top, left + 1] * right
    lower = image[top + 1, left] * (1 - right) + image[top + 1, left + 1] * right
    return upper * (1 - down) + lower * down


def test_pair_loss_by_hand() -> None:
    # Two positions against two: F = [[1, 0], [0.6, 0.8]], S = [[1, −1], [0, 0.6]].
    features_a = torch.tensor([[1.0, 0], [0.6, 0.8]]).view(1, 1, 2, 2)
    features_b = torch.tensor([[2.0, 0], [0, 5]]).view(1, 2, 1, 2)
    codes_a = torch.tensor([[3.0, 0], [0, 1]]).view(1, 1, 2, 2)
    codes_b = torch.tensor([[1.0, 0], [-0.8, 0.6]]).view(1, 2, 1, 2)
    # Means over b are 0.5 and 0.7, of all 0.6: F becomes [[1.1, 0.1], [0.5, 0.7]].
    f = correspondence(features_a, features_b)
    assert f.shape == (1, 1, 2, 2, 1)
    assert torch.allclose(centred(f).view(2, 2), torch.tensor([[1.1, 0.1], [0.5, 0.7]]))
    # S = [[1, 0 (−0.8 clamped)], [0, 0.6]]; with b = 0.2: −(1 · 0.9 + 0.6 · 0.5) / 4.
    loss = pair_loss(features_a, features_b, codes_a, codes_b, 0.2)
    assert loss.item() == pytest.approx(-(0.9 + 0.3) / 4, abs=1e-6)
    assert pair_loss(features_a, features_b, codes_a, codes_b, 2).item() == pytest.approx(
        (0.9 + 0.6 * 1.3) / 4, abs=1e-6
    )


@pytest.mark.parametrize("shift", [-0.3, 0.08, 0.66])
def test_pair_loss_in_plain_loops(shift: float) -> None:
    features_a, codes_a = normal(5, 3, 2, 3, 6), normal(6, 3, 2, 3, 4)
    features_b, codes_b = normal(7, 3, 4, 1, 6), normal(8, 3, 4, 1, 4)
    found = pair_loss(features_a, features_b, codes_a, codes_b, shift)
    f_a, f_b, c_a, c_b = (m.flatten(1, 2) for m in (features_a, features_b, codes_a, codes_b))
    expected = pair_loss_in_loops(f_a, f_b, c_a, c_b, shift)
    assert found.item() == pytest.approx(expected, abs=1e-12)


def test_sampling_by_hand() -> None:
    image = normal(9, 1, 3, 4, 2)
    # Corners, the middle of the picture, between patches, and beyond the border.
    points = [(-1, -1), (1, -1), (-1, 1), (1, 1), (0, 0), (0.3, -0.7), (1.4, 0.2), (-3, 5)]
    read = sample_at(image, torch.tensor(points, dtype=torch.float64).view(1, 2, 4, 2))
    assert read.shape == (1, 2, 4, 2)
    for (x, y), value in zip(points, read.view(8, 2), strict=True):
        assert torch.allclose(value, read_by_hand(image[0], x, y), atol=1e-12)
    assert torch.equal(read[0, 0, 0], image[0, 0, 0])
    assert torch.allclose(read[0, 0, 1], image[0, 0, 3])  # x goes across


def test_positions() -> None:
    positions = sampled_positions(50, generator=seeded(0))
    assert positions.shape == (50, 11, 11, 2)
    assert positions.dtype == torch.float32
    assert positions.min() >= -1
    assert positions.max() <= 1
    # Even in all four quarters of the picture, each image with its own.
    quarters = (positions > 0).flatten(0, 2).float()
    assert (quarters.mean(dim=0) - 0.5).abs().max() < 0.03
    assert abs(float((quarters[:, 0] * quarters[:, 1]).mean()) - 0.25) < 0.03
    assert not torch.equal(positions[0], positions[1])
    assert torch.equal(positions, sampled_positions(50, generator=seeded(0)))
    assert not torch.equal(positions, sampled_positions(50, generator=seeded(1)))


@pytest.mark.parametrize("count", [2, 3, 8])
def test_no_image_is_its_own_other(count: int) -> None:
    chance = seeded(0)
    seen = torch.zeros(count, count)
    for _ in range(200):
        others = other_images(count, generator=chance)
        assert (others != torch.arange(count)).all()
        assert torch.equal(others.sort().values, torch.arange(count))
        seen[torch.arange(count), others] += 1
    # Every other image comes up about equally often.
    assert (seen[~torch.eye(count, dtype=torch.bool)] > 200 / (count - 1) / 3).all()


def test_whole_loss_in_plain_loops() -> None:
    given = maps()
    settings = StegoSettings(0.5, 0.1, 0.3, 0.2, 0.7, 0.4)
    result = stego_loss(*given, settings=settings, negatives=2, samples=2, generator=seeded(3))
    chance = seeded(3)
    first = sampled_positions(4, 2, generator=chance)
    second = sampled_positions(4, 2, generator=chance)

    def read(of: Tensor, where: Tensor) -> Tensor:
        return torch.stack(
            [
                torch.stack([read_by_hand(image, *xy) for xy in at.view(-1, 2).tolist()])
                for image, at in zip(of, where, strict=True)
            ]
        )

    features, codes, near_features, near_codes = given
    here = read(features, first), read(codes, first)
    there = read(features, second), read(codes, second)
    near = read(near_features, second), read(near_codes, second)
    with_itself = pair_loss_in_loops(here[0], here[0], here[1], here[1], 0.1)
    with_near = pair_loss_in_loops(here[0], near[0], here[1], near[1], 0.2)
    rounds = []
    for _ in range(2):
        others = other_images(4, generator=chance)
        rounds.append(pair_loss_in_loops(here[0], there[0][others], here[1], there[1][others], 0.4))
    parts = (with_itself, with_near, sum(rounds) / 2)
    for name, expected in zip(PARTS, parts, strict=True):
        assert getattr(result, name).item() == pytest.approx(expected, abs=1e-7), name
    total = 0.5 * parts[0] + 0.3 * parts[1] + 0.7 * parts[2]
    assert result.loss.item() == pytest.approx(total, abs=1e-7)


def test_published_settings() -> None:
    settings = StegoSettings()
    assert [getattr(settings, field.name) for field in fields(settings)] == [
        0.67,
        0.08,
        0.25,
        0.02,
        0.63,
        0.66,
    ]
    given = maps()
    published = stego_loss(*given, generator=seeded(0))
    assert torch.equal(published.loss, stego_loss(*given, generator=seeded(0)).loss)
    weighted = 0.67 * published.self_ + 0.25 * published.neighbour + 0.63 * published.random
    assert torch.allclose(published.loss, weighted)


def test_gradient_by_finite_differences() -> None:
    features_a, features_b = normal(10, 2, 2, 2, 5), normal(11, 2, 2, 2, 5)
    codes_a = normal(12, 2, 2, 2, 4).requires_grad_()
    codes_b = normal(13, 2, 2, 2, 4).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda a, b: pair_loss(features_a, features_b, a, b, 0.1), (codes_a, codes_b)
    )
    features, codes, near_features, near_codes = maps(3)
    settings = StegoSettings(1, -0.2, 1, 0.1, 1, 0.3)

    def whole(own: Tensor, near: Tensor) -> Tensor:
        return stego_loss(
            features,
            own,
            near_features,
            near,
            settings=settings,
            negatives=2,
            samples=3,
            generator=seeded(5),
        ).loss

    assert torch.autograd.gradcheck(whole, (codes.requires_grad_(), near_codes.requires_grad_()))


def test_features_get_no_gradient() -> None:
    given = [m.requires_grad_() for m in maps()]
    result = stego_loss(*given, generator=seeded(0))
    assert not any(getattr(result, name).requires_grad for name in PARTS)
    result.loss.backward()
    assert given[0].grad is None
    assert given[2].grad is None
    for codes in (given[1], given[3]):
        assert codes.grad is not None
        assert codes.grad.abs().sum() > 0
    a, b = normal(1, 2, 2, 2, 3).requires_grad_(), normal(2, 2, 2, 2, 3).requires_grad_()
    pair_loss(a, a, b, b, 0.1).backward()
    assert a.grad is None
    assert b.grad is not None


def test_codes_follow_the_features() -> None:
    """A few steps on free codes: the two halves of every image come apart."""
    kind = (torch.arange(6) > 2).long().expand(4, 6, 6)
    features = torch.nn.functional.one_hot(kind, 2).double() + 0.05 * normal(1, 4, 6, 6, 2)
    codes = normal(2, 4, 6, 6, 6).requires_grad_()
    optimizer = torch.optim.Adam([codes], lr=0.05)
    chance = seeded(0)
    settings = StegoSettings(self_shift=0.4, neighbour_shift=0.4, random_shift=0.5)
    near = torch.arange(4).roll(1)
    losses = []
    for _ in range(100):
        loss = stego_loss(
            features, codes, features[near], codes[near], settings=settings, generator=chance
        ).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert sum(losses[-10:]) < sum(losses[:10])
    unit = torch.nn.functional.normalize(codes.detach(), dim=-1).view(-1, 6)
    same = kind.flatten().unsqueeze(0) == kind.flatten().unsqueeze(1)
    alike = unit @ unit.T
    assert alike[same].mean() > 0.8
    assert alike[~same].mean() < 0.2


def test_length_does_not_matter() -> None:
    a, b = normal(1, 2, 3, 3, 4), normal(2, 2, 3, 3, 4)
    c, d = normal(3, 2, 3, 3, 2), normal(4, 2, 3, 3, 2)
    plain = pair_loss(a, b, c, d, 0.3)
    assert torch.allclose(plain, pair_loss(7 * a, b / 9, c * 0.01, 1e4 * d, 0.3))
    # Turning all codes, or all features, changes no cosine.
    turn = torch.linalg.qr(normal(5, 2, 2)).Q
    assert torch.allclose(plain, pair_loss(a, b, c @ turn, d @ turn, 0.3))
    # Codes are normalised where they are read, not before: between patches that differs.
    codes = torch.tensor([[[[10.0, 0], [0, 1]]]])
    middle = sample_at(codes, torch.zeros(1, 1, 1, 2))
    near_ten = correspondence(middle, torch.tensor([[[[1.0, 0]]]]))
    assert near_ten.item() == pytest.approx(10 / math.hypot(10, 1))


def test_order_of_positions_does_not_matter() -> None:
    a, b, c, d = (normal(i, 2, 3, 3, 4) for i in range(4))
    plain = pair_loss(a, b, c, d, 0.2)
    assert torch.allclose(plain, pair_loss(a.flip(1, 2), b, c.flip(1, 2), d, 0.2))
    assert torch.allclose(plain, pair_loss(a, b.transpose(1, 2), c, d.transpose(1, 2), 0.2))
    # Each position of the first image is centred over the second, so the sides are not alike.
    assert not torch.allclose(plain, pair_loss(b, a, d, c, 0.2))


def test_zero_vectors_stay_harmless() -> None:
    features, codes, near_features, near_codes = maps()
    codes[0] = 0
    features[1] = 0
    codes.requires_grad_()
    loss = stego_loss(features, codes, near_features, near_codes, generator=seeded(0)).loss
    loss.backward()
    assert torch.isfinite(loss)
    assert codes.grad is not None
    assert torch.isfinite(codes.grad).all()
    zero = torch.zeros(1, 1, 1, 4, dtype=torch.float64, requires_grad=True)
    cosines = correspondence(zero, normal(5, 1, 2, 2, 4))
    assert cosines.abs().sum() == 0
    cosines.sum().backward()
    assert zero.grad is not None
    assert zero.grad.abs().max() < 10


def test_nan_gives_a_nan_loss() -> None:
    features, codes, near_features, near_codes = maps()
    codes[0] = math.nan
    result = stego_loss(features, codes, near_features, near_codes, generator=seeded(0))
    assert torch.isnan(result.loss)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_and_autocast_are_computed_in_single(dtype: torch.dtype) -> None:
    half = [m.to(dtype) for m in maps()]
    single = [m.float() for m in half]
    exact = stego_loss(*single, generator=seeded(0)).loss
    for given in (half, single):
        with torch.autocast("cpu", torch.bfloat16):
            under = stego_loss(*given, generator=seeded(0)).loss
        assert under.dtype == torch.float32
        assert torch.equal(under, exact)
    assert torch.equal(stego_loss(*half, generator=seeded(0)).loss, exact)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(correspondence(single[0], single[2]), correspondence(*half[::2]).float())
        assert torch.equal(
            pair_loss(single[0], single[2], single[1], single[3], 0.1),
            pair_loss(half[0], half[2], half[1], half[3], 0.1),
        )


def test_without_a_generator_every_call_draws_anew() -> None:
    given = maps()
    torch.manual_seed(0)
    first, second = stego_loss(*given).loss, stego_loss(*given).loss
    torch.manual_seed(0)
    assert torch.equal(stego_loss(*given).loss, first)
    assert not torch.equal(first, second)


def test_codes_may_have_a_grid_of_their_own() -> None:
    features, _, near_features, _ = maps()
    codes, near_codes = normal(2, 4, 7, 2, 3), normal(4, 4, 7, 2, 3)
    assert torch.isfinite(stego_loss(features, codes, near_features, near_codes).loss)


A = torch.ones(2, 3, 3, 4)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: stego_loss(A.long(), A, A, A), TypeError, "features must be a floating-point"),
        (lambda: stego_loss(A, A[0], A, A), ValueError, r"codes must have the shape \(B, h, w, D"),
        (lambda: stego_loss(A, A, A[:1], A), ValueError, "neighbour_features must be of as many"),
        (lambda: stego_loss(A, A, A, A[..., :2]), ValueError, "4, not 2 and 2"),
        (lambda: stego_loss(A, A[:1], A, A[:1]), ValueError, "of 2 images, but codes of 1"),
        (lambda: stego_loss(A[:1], A[:1], A[:1], A[:1]), ValueError, "images must be .* 2 or more"),
        (lambda: stego_loss(A, A, A, A, negatives=0), ValueError, "negatives must be"),
        (lambda: stego_loss(A, A, A, A, samples=0), ValueError, "count must be"),
        (lambda: pair_loss(A, A, A[:, :2], A, 0.1), ValueError, "codes_a must be at the positions"),
        (lambda: pair_loss(A, A, A, A[:, :2], 0.1), ValueError, "codes_b must be at the positions"),
        (lambda: correspondence(A, A[..., :0]), ValueError, "b must have the shape"),
        (lambda: sampled_positions(0), ValueError, "images must be a whole number, 1 or more"),
        (lambda: sample_at(A, A), ValueError, r"positions must have the shape \(B, s, t, 2\)"),
        (lambda: sample_at(A, A[:1, ..., :2]), ValueError, "with B = 2"),
        (lambda: sample_at(A.long(), A), TypeError, "maps must be a floating-point tensor"),
    ],
)
def test_errors_name_the_argument(call: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        call()


@pytest.mark.parametrize(
    ("name", "value"),
    [("self_weight", -0.1), ("random_shift", 1.5), ("neighbour_shift", math.nan)],
)
def test_settings_out_of_range(name: str, value: float) -> None:
    with pytest.raises(SettingError, match=f"{name} must be a number from") as caught:
        StegoSettings(**{name: value})
    assert caught.value.field == name


def test_nearest_images_in_plain_loops(monkeypatch: pytest.MonkeyPatch) -> None:
    pooled = normal(20, 30, 6)
    expected = []
    for i in range(30):
        others = [j for j in range(30) if j != i]
        expected.append(sorted(others, key=lambda j, i=i: -cosine(pooled[i], pooled[j]))[:7])  # type: ignore[misc]
    found = nearest_images(pooled)
    assert found.dtype == torch.int64
    assert found.tolist() == expected
    # Chunks of four images give the same.
    monkeypatch.setattr("ppap.propagation.CHUNK_BYTES", 4 * 30 * 8)
    assert nearest_images(pooled * normal(21, 30, 1).abs()).tolist() == expected


def test_nearest_images_of_few_and_of_copies() -> None:
    pooled = normal(22, 3, 4)
    found = nearest_images(pooled)
    assert found.shape == (3, 2)
    assert [sorted(row) for row in found.tolist()] == [[1, 2], [0, 2], [0, 1]]
    # A copy of an image is its nearest neighbour; the image itself never is.
    twins = nearest_images(torch.cat([pooled, pooled]), k=1)
    assert twins.flatten().tolist() == [3, 4, 5, 0, 1, 2]
    for wrong, text in (
        (lambda: nearest_images(pooled[:1]), "need at least 2 images"),
        (lambda: nearest_images(pooled, k=0), "k must be"),
        (lambda: nearest_images(pooled * math.nan), "pooled hold NaN"),
    ):
        with pytest.raises(ValueError, match=text):
            wrong()
