"""The CRF cleans predictions along colours, and any number of processes gives the same."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from ppap.evaluation import crf
from ppap.evaluation.crf import (
    CrfInput,
    CrfPool,
    CrfSettings,
    CrfUnavailableError,
    CrfWorkerError,
    smooth,
    why_unavailable,
)
from ppap.machine import Memory
from tests.conftest import ROOT

needs_crf = pytest.mark.skipif(why_unavailable() is not None, reason="pydensecrf is not installed")
SIZE = 48


def scene(seed: int, height: int = SIZE, width: int = SIZE) -> tuple[CrfInput, Tensor]:
    """A blue disc on a yellow ground; predictions that are wrong in a fifth of the pixels."""
    g = torch.Generator().manual_seed(seed)
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    disc = (y - height / 2) ** 2 + (x - width / 2) ** 2 < (min(height, width) / 3) ** 2
    truth = disc.long()
    rgb = torch.tensor([[220, 200, 40], [30, 60, 210]], dtype=torch.uint8)[truth].numpy()
    wrong = torch.rand(height, width, generator=g) < 0.2
    said = torch.where(wrong, torch.randint(3, (height, width), generator=g), truth)
    logits = 1.5 * torch.nn.functional.one_hot(said, 3).permute(2, 0, 1).float()
    return CrfInput(rgb, logits.log_softmax(dim=0)), truth


@pytest.fixture(scope="module")
def pool() -> Iterator[CrfPool]:
    with CrfPool(2) as made:
        yield made


@needs_crf
def test_noise_goes_and_the_edge_stays() -> None:
    given, truth = scene(0)
    before = (given.log_probabilities.argmax(dim=0) != truth).float().mean()
    refined = smooth(*given)
    assert refined.shape == (3, SIZE, SIZE)
    assert refined.dtype == torch.float32
    assert before > 0.1
    assert (refined.argmax(dim=0) != truth).float().mean() < 0.002


@needs_crf
def test_probabilities_sum_to_one() -> None:
    refined = smooth(*scene(1, 20, 31)[0])
    assert refined.shape == (3, 20, 31)
    assert (refined >= 0).all()
    torch.testing.assert_close(refined.sum(dim=0), torch.ones(20, 31))


@needs_crf
def test_without_neighbours_nothing_changes_but_the_smallest_probabilities() -> None:
    given, _ = scene(2)
    alone = CrfSettings(smoothness_weight=0, bilateral_weight=0)
    expected = given.log_probabilities.exp()
    torch.testing.assert_close(smooth(*given, alone), expected, rtol=1e-4, atol=1e-6)
    certain = torch.tensor([0.0, -torch.inf]).view(2, 1, 1).expand(2, 4, 4)
    refined = smooth(np.zeros((4, 4, 3), np.uint8), certain, alone)
    torch.testing.assert_close(refined[1], torch.full((4, 4), 1e-5), rtol=1e-3, atol=0)


@needs_crf
def test_logits_and_half_precision_are_normalised() -> None:
    given, _ = scene(3)
    logits = given.log_probabilities + 7
    torch.testing.assert_close(smooth(given.rgb, logits), smooth(*given), rtol=1e-3, atol=1e-4)
    half = smooth(given.rgb, given.log_probabilities.half())
    assert half.dtype == torch.float32


@needs_crf
def test_the_published_settings_reach_pydensecrf(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[str, dict[str, Any]]] = []

    class Recorder:
        def __init__(self, width: int, height: int, classes: int) -> None:
            self.shape = (classes, height * width)
            calls.append(("size", {"width": width, "height": height, "classes": classes}))

        def setUnaryEnergy(self, energy: np.ndarray) -> None:
            self.energy = energy

        def addPairwiseGaussian(self, **given: Any) -> None:
            calls.append(("gaussian", given))

        def addPairwiseBilateral(self, rgbim: np.ndarray, **given: Any) -> None:
            calls.append(("bilateral", {**given, "colour": rgbim[0, 0].tolist()}))

        def inference(self, iterations: int) -> np.ndarray:
            calls.append(("inference", {"iterations": iterations}))
            return np.exp(-self.energy)

    monkeypatch.setattr("pydensecrf.densecrf.DenseCRF2D", Recorder)
    given, _ = scene(0, 6, 9)
    torch.testing.assert_close(smooth(*given), given.log_probabilities.exp())
    assert calls == [
        ("size", {"width": 9, "height": 6, "classes": 3}),
        ("gaussian", {"sxy": 1, "compat": 3}),
        ("bilateral", {"sxy": 67, "srgb": 3, "compat": 4, "colour": [40, 200, 220]}),
        ("inference", {"iterations": 10}),
    ]
    smooth(*given, CrfSettings(bgr=False))
    assert calls[-2][1]["colour"] == [220, 200, 40]


@needs_crf
def test_any_number_of_processes_gives_the_same_in_order(pool: CrfPool) -> None:
    # Of different sizes, so that results out of order would not even fit.
    inputs = [scene(seed, 16 + 5 * seed, 40 - 4 * seed)[0] for seed in range(6)]
    here = [smooth(*given) for given in inputs]
    with CrfPool(1) as one:
        alone = list(one.map(inputs))
    for expected, single, double in zip(here, alone, pool.map(inputs), strict=True):
        assert torch.equal(single, expected)
        assert torch.equal(double, expected)


@needs_crf
def test_settings_reach_the_processes() -> None:
    given, _ = scene(4)
    settings = CrfSettings(iterations=2, bilateral_srgb=13, bgr=False)
    with CrfPool(1, settings) as one:
        (there,) = one.map([given])
    assert torch.equal(there, smooth(*given, settings))
    assert not torch.equal(there, smooth(*given))


@needs_crf
def test_inputs_are_taken_as_the_work_proceeds(pool: CrfPool) -> None:
    taken = []

    def source() -> Iterator[CrfInput]:
        for seed in range(8):
            taken.append(seed)
            yield scene(seed, 8, 8)[0]

    results = pool.map(source())
    next(results)
    assert len(taken) <= pool.workers + 1
    results.close()
    assert len(list(pool.map([scene(0, 8, 8)[0]]))) == 1, "the pool is still of use"


@needs_crf
def test_a_wrong_input_does_not_spoil_the_next(pool: CrfPool) -> None:
    good = scene(0, 8, 8)[0]
    with pytest.raises(ValueError, match=r"\(C, 8, 8\), not \(3, 8, 9\)"):
        list(pool.map([good, CrfInput(good.rgb, scene(0, 8, 9)[0].log_probabilities), good]))
    assert torch.equal(next(pool.map([good])), smooth(*good))


@needs_crf
def test_a_failure_in_a_process_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with CrfPool(1) as one:
        monkeypatch.setattr(one, "settings", ("ten",))
        with pytest.raises(CrfWorkerError, match="the CRF failed: TypeError"):
            list(one.map([scene(0, 8, 8)[0]]))


@needs_crf
def test_a_process_that_ends_is_told() -> None:
    with CrfPool(1) as one:
        list(one.map([scene(0, 8, 8)[0]]))
        os.kill(one._all[0].process.pid, signal.SIGKILL)
        one._all[0].process.wait()
        with pytest.raises(CrfWorkerError, match="ended unexpectedly"):
            list(one.map([scene(0)[0]]))


@needs_crf
def test_closing_ends_the_processes() -> None:
    one = CrfPool(1)
    list(one.map([scene(0, 8, 8)[0]]))
    one.close()
    assert one._all[0].process.returncode == 0


def test_without_pydensecrf_a_sentence_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pydensecrf.densecrf", None)
    reason = why_unavailable()
    assert reason is not None
    assert "pip install pydensecrf2" in reason
    assert "Everything else works" in reason
    with pytest.raises(CrfUnavailableError, match="CRF is not available"):
        smooth(*scene(0, 8, 8)[0])
    with pytest.raises(CrfUnavailableError, match="CRF is not available"):
        CrfPool(1)


def test_importing_the_evaluation_needs_neither_pydensecrf_nor_scipy() -> None:
    code = (
        "import sys; sys.modules['pydensecrf'] = None; sys.modules['scipy.optimize'] = None; "
        "import ppap.evaluation.crf, ppap.evaluation.distance, ppap.evaluation.metrics"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr


RGB, LOGS = np.zeros((4, 5, 3), np.uint8), torch.zeros(2, 4, 5)


@pytest.mark.parametrize(
    ("rgb", "logs", "error", "sentence"),
    [
        (RGB.astype(np.float32), LOGS, TypeError, "rgb must be a uint8 array.*not float32"),
        ([0], LOGS, TypeError, "rgb must be a uint8 array.*not list"),
        (RGB[..., 0], LOGS, ValueError, r"rgb must have the shape \(H, W, 3\), not \(4, 5\)"),
        (RGB[:0], LOGS[:, :0], ValueError, "rgb must have the shape"),
        (RGB, LOGS.long(), TypeError, "log_probabilities must be a floating-point tensor"),
        (RGB, LOGS.numpy(), TypeError, "log_probabilities must be a floating-point tensor"),
        (RGB, LOGS.transpose(1, 2), ValueError, r"\(C, 4, 5\), not \(2, 5, 4\)"),
        (RGB, LOGS[0], ValueError, r"\(C, 4, 5\), not \(4, 5\)"),
        (RGB, LOGS[:0], ValueError, r"\(C, 4, 5\), not \(0, 4, 5\)"),
        (RGB, LOGS / 0, ValueError, "hold NaN"),
        (RGB, LOGS - torch.inf, ValueError, "only −infinity"),
    ],
)
def test_wrong_inputs(rgb: Any, logs: Any, error: type[Exception], sentence: str) -> None:
    with pytest.raises(error, match=sentence):
        crf.probabilities_of(CrfInput(rgb, logs))


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"iterations": -1}, "iterations must be a whole number, 0 or more"),
        ({"smoothness_sxy": 0.0}, "smoothness_sxy must be a number above 0, not 0.0"),
        ({"bilateral_srgb": float("nan")}, "bilateral_srgb must be a number above 0"),
        ({"bilateral_weight": -1.0}, "bilateral_weight must be 0 or more"),
        ({"least_probability": 0.0}, "least_probability must be between 0 and 1"),
    ],
)
def test_wrong_settings(changed: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        crf.check_crf_settings(CrfSettings(**changed))


@needs_crf
@needs_crf
def test_processes_are_started_when_there_is_work_for_them() -> None:
    with CrfPool(64) as many:
        assert many._all == []
        for seed in range(3):  # one after another: the same process does it all
            list(many.map([scene(seed, 8, 8)[0]]))
        assert len(many._all) == 1


@needs_crf
@pytest.mark.parametrize(
    ("cores", "free", "workers"),
    [(2, 2**40, 2), (64, 2**40, 64), (64, 4 * crf.WORKER_BYTES, 4), (64, 0, 1)],
)
def test_processes_are_no_more_than_cores_and_memory_allow(
    monkeypatch: pytest.MonkeyPatch, cores: int, free: int, workers: int
) -> None:
    monkeypatch.setattr(crf, "cores", lambda: cores)
    monkeypatch.setattr(crf, "memory", lambda: Memory(2**40, free))
    with CrfPool() as pool:
        assert pool.workers == workers


def test_workers_are_at_least_one() -> None:
    with pytest.raises(ValueError, match="workers must be a whole number, 1 or more"):
        CrfPool(0)
