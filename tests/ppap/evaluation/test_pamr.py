"""PAMR against a loop over pixels, and against what it is for."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ppap.evaluation.crf import CrfInput
from ppap.evaluation.pamr import NEIGHBOURS, Pamr, PamrSettings, affinity, pamr

CHANCE = np.random.default_rng(0)
SMALL = PamrSettings(iterations=3, dilations=(1, 3))


def by_hand(rgb: np.ndarray, logs: torch.Tensor, settings: PamrSettings) -> np.ndarray:
    """Pixel by pixel, in float64."""
    x = rgb.astype(np.float64) / 255
    height, width = x.shape[:2]
    found = logs.double().softmax(dim=0).numpy()

    def inside(i: int, j: int) -> tuple[int, int]:
        return min(max(i, 0), height - 1), min(max(j, 0), width - 1)

    for _ in range(settings.iterations):
        after = np.zeros_like(found)
        for i in range(height):
            for j in range(width):
                near = [
                    inside(i + dy * far, j + dx * far)
                    for far in settings.dilations
                    for dy, dx in NEIGHBOURS
                ]
                # Each distance's window has nine pixels, of which the middle is the pixel itself.
                window = [x[at] for at in near] + [x[i, j]] * len(settings.dilations)
                deviation = np.std(window, axis=0, ddof=1)
                alike = [
                    -np.mean(np.abs(x[at] - x[i, j]) / (0.1 * deviation + 1e-8)) for at in near
                ]
                weights = np.exp(np.array(alike) - max(alike))
                weights /= weights.sum()
                after[:, i, j] = sum(
                    w * found[:, at[0], at[1]] for w, at in zip(weights, near, strict=True)
                )
        found = after
    return found


def test_every_pixel_is_as_a_loop_over_its_neighbours_makes_it() -> None:
    rgb = CHANCE.integers(0, 256, (9, 12, 3)).astype(np.uint8)
    logs = torch.from_numpy(CHANCE.normal(size=(4, 9, 12))).float()
    found = pamr(rgb, logs, SMALL)
    assert np.abs(found.numpy() - by_hand(rgb, logs, SMALL)).max() < 1e-5
    assert found.sum(dim=0).numpy() == pytest.approx(np.ones((9, 12)), abs=1e-5)


def test_a_border_moves_to_where_the_colours_change() -> None:
    rgb = np.full((32, 32, 3), 30, np.uint8)
    rgb[:, 16:] = 220
    rgb = np.clip(rgb + CHANCE.normal(0, 4, rgb.shape), 0, 255).astype(np.uint8)
    logs = torch.zeros(2, 32, 32)
    logs[0, :, :13], logs[1, :, 13:] = 2, 2  # three columns too early
    found = pamr(rgb, logs).argmax(dim=0).numpy()
    truth = np.repeat((np.arange(32) >= 16)[None], 32, axis=0)
    before = (logs.argmax(dim=0).numpy() == truth).mean()
    assert before == pytest.approx(29 / 32)
    assert (found == truth).mean() > 0.98


def test_a_flat_image_spreads_evenly_and_no_iteration_changes_nothing() -> None:
    weights = affinity(torch.full((3, 8, 8), 0.5), (1, 2))
    assert weights.numpy() == pytest.approx(np.full((16, 8, 8), 1 / 16))
    logs = torch.randn(3, 8, 8)
    still = pamr(np.zeros((8, 8, 3), np.uint8), logs, PamrSettings(iterations=0))
    assert torch.equal(still, logs.softmax(dim=0))


def test_many_images_are_refined_in_their_order() -> None:
    images = [CHANCE.integers(0, 256, (6, 7, 3)).astype(np.uint8) for _ in range(3)]
    logs = [torch.randn(2, 6, 7) for _ in images]
    found = list(Pamr(SMALL).map(CrfInput(*pair) for pair in zip(images, logs, strict=True)))
    for one, rgb, log in zip(found, images, logs, strict=True):
        assert torch.equal(one, pamr(rgb, log, SMALL))


@pytest.mark.parametrize(
    ("rgb", "logs", "said"),
    [
        (np.zeros((4, 4, 3)), torch.zeros(2, 4, 4), "uint8"),
        (np.zeros((4, 4), np.uint8), torch.zeros(2, 4, 4), r"\(H, W, 3\)"),
        (np.zeros((4, 4, 3), np.uint8), torch.zeros(2, 4, 5), r"\(C, 4, 4\)"),
        (np.zeros((4, 4, 3), np.uint8), torch.zeros(2, 4, 4, dtype=torch.int64), "floating"),
        (np.zeros((4, 4, 3), np.uint8), torch.full((2, 4, 4), torch.nan), "NaN"),
    ],
)
def test_other_arguments_are_refused(rgb: np.ndarray, logs: torch.Tensor, said: str) -> None:
    with pytest.raises((TypeError, ValueError), match=said):
        pamr(rgb, logs)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (PamrSettings(iterations=-1), "iterations"),
        (PamrSettings(dilations=()), "dilations"),
        (PamrSettings(dilations=(0,)), "dilations"),
    ],
)
def test_settings_without_a_meaning_are_refused(settings: PamrSettings, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Pamr(settings)
