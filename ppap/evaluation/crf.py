"""Dense CRF: predictions that follow the colours of their image, on all cores.

Needs pydensecrf (the package pydensecrf2); without it everything else works.
"""

from __future__ import annotations

import contextlib
import math
import os
import queue
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor

from ppap.checks import check_count
from ppap.evaluation import crf_worker
from ppap.evaluation.crf_worker import CrfSettings, mean_field
from ppap.machine import cores, memory

# The cluster probe's logits are its cosines times this, before the logarithm of the softmax.
CLUSTER_SCALE = 2.0
# Run by its path: as a module of ppap it would import torch first, which takes seconds and memory.
START = "import runpy, sys; runpy.run_path(sys.argv[1], run_name='__main__')"
PATIENCE_SECONDS = 10.0
# Python with numpy, and an image of 320 pixels with 27 classes, generously.
WORKER_BYTES = 300 * 2**20
ENVIRONMENT = {
    # One thread each: the processes together fill the cores already.
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    # pydensecrf takes and frees the same large blocks in every iteration. glibc would give them
    # back to the system each time, which took 30 % of the time; other systems ignore these names.
    "MALLOC_MMAP_THRESHOLD_": str(2**30),
    "MALLOC_TRIM_THRESHOLD_": str(2**32),
}


class CrfUnavailableError(RuntimeError):
    """pydensecrf cannot be imported."""


class CrfWorkerError(RuntimeError):
    """A process of the pool failed or ended."""


class CrfInput(NamedTuple):
    """One image and what a probe says about it."""

    rgb: np.ndarray
    """uint8 ``(H, W, 3)``, red first, not normalised."""
    log_probabilities: Tensor
    """Log-probabilities ``(C, H, W)``, or logits: they are normalised over the classes."""


def why_unavailable() -> str | None:
    """A sentence on why there is no CRF and what to do; None when there is."""
    try:
        import pydensecrf.densecrf  # noqa: F401
    except ImportError as error:
        return (
            f"CRF is not available, because pydensecrf cannot be imported ({error}). Install it "
            "with: pip install pydensecrf2==1.1 (it needs a C++ compiler). Everything else works "
            "without it."
        )
    return None


def require_crf() -> None:
    """Raise CrfUnavailableError unless pydensecrf can be imported."""
    reason = why_unavailable()
    if reason:
        raise CrfUnavailableError(reason)


def check_crf_settings(settings: CrfSettings) -> None:
    """Raise ValueError, naming the setting and its range, for one that has no meaning."""
    check_count("iterations", settings.iterations, 0)
    for name in ("smoothness_sxy", "bilateral_sxy", "bilateral_srgb"):
        value = getattr(settings, name)
        if not (math.isfinite(value) and value > 0):
            raise ValueError(f"{name} must be a number above 0, not {value!r}")
    for name in ("smoothness_weight", "bilateral_weight"):
        value = getattr(settings, name)
        if not (math.isfinite(value) and value >= 0):
            raise ValueError(f"{name} must be 0 or more, not {value!r}")
    if not 0 < settings.least_probability < 1:
        raise ValueError(
            f"least_probability must be between 0 and 1, not {settings.least_probability!r}"
        )


def probabilities_of(given: CrfInput) -> np.ndarray:
    """Check one input; its probabilities, float32 ``(C, H, W)``."""
    rgb, logs = given
    if not isinstance(rgb, np.ndarray) or rgb.dtype != np.uint8:
        kind = rgb.dtype if isinstance(rgb, np.ndarray) else type(rgb).__name__
        raise TypeError(f"rgb must be a uint8 array (H, W, 3), not {kind}")
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.size == 0:
        raise ValueError(f"rgb must have the shape (H, W, 3), not {rgb.shape}")
    if not isinstance(logs, Tensor) or not logs.is_floating_point():
        raise TypeError("log_probabilities must be a floating-point tensor (C, H, W)")
    if logs.ndim != 3 or len(logs) == 0 or tuple(logs.shape[1:]) != rgb.shape[:2]:
        raise ValueError(
            f"log_probabilities must have the shape (C, H, W) of their image, "
            f"(C, {rgb.shape[0]}, {rgb.shape[1]}), not {tuple(logs.shape)}"
        )
    probabilities = logs.detach().cpu().float().softmax(dim=0)
    if not torch.isfinite(probabilities).all():
        raise ValueError("log_probabilities hold NaN, +infinity, or a pixel with only −infinity")
    return probabilities.numpy()


def smooth(
    rgb: np.ndarray, log_probabilities: Tensor, settings: CrfSettings | None = None
) -> Tensor:
    """Refine one image in this process. Other threads stand still meanwhile: ``CrfPool`` is kinder.

    Args:
        rgb: uint8 ``(H, W, 3)``, red first, not normalised.
        log_probabilities: ``(C, H, W)``; of the cluster probe those of its softmax with
            CLUSTER_SCALE.
        settings: left out, the published ones.

    Returns:
        Probabilities, float32 ``(C, H, W)`` on the CPU, summing to 1 over the classes.

    Raises:
        CrfUnavailableError: pydensecrf cannot be imported.
        TypeError: not a uint8 image, or not a floating-point tensor.
        ValueError: shapes, numbers that are not finite, or a setting outside its range.
    """
    require_crf()
    settings = settings or CrfSettings()
    check_crf_settings(settings)
    probabilities = probabilities_of(CrfInput(rgb, log_probabilities))
    return torch.from_numpy(mean_field(rgb, probabilities, settings))


def usual_workers() -> int:
    """One process for every core, as far as memory goes."""
    return max(1, min(cores(), memory().available // WORKER_BYTES))


class Worker:
    """One ``crf_worker`` process, asked by one thread at a time."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", START, crf_worker.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=Path(crf_worker.__file__).parent.parent.parent,
            env=os.environ | ENVIRONMENT,
        )
        self.stdin = cast(BinaryIO, self.process.stdin)
        self.stdout = cast(BinaryIO, self.process.stdout)

    def refine(self, rgb: np.ndarray, probabilities: np.ndarray, settings: CrfSettings) -> Tensor:
        """``mean_field`` over there; CrfWorkerError when that fails or nobody is there."""
        try:
            header = [probabilities.shape, settings]
            crf_worker.write_message(self.stdin, header, rgb, probabilities)
            (failure,) = crf_worker.read_header(self.stdout)
            if failure:
                raise CrfWorkerError(f"the CRF failed: {failure}")
            refined = crf_worker.read_array(self.stdout, probabilities.shape, np.float32)
        except (OSError, EOFError, ValueError):
            code = self.process.poll()
            raise CrfWorkerError(
                f"a CRF process ended unexpectedly (exit status {code}). Perhaps memory ran out: "
                "try fewer workers."
            ) from None
        return torch.from_numpy(refined)

    def stop(self) -> None:
        """End the process; it may finish the image it has at hand."""
        for stream in (self.stdin, self.stdout):
            with contextlib.suppress(OSError):  # it may have gone already
                stream.close()
        try:
            self.process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class CrfPool:
    """Processes that refine images side by side; close it, or use it with ``with``.

    Raises:
        CrfUnavailableError: pydensecrf cannot be imported.
        ValueError: a setting outside its range.
    """

    name = "crf"

    def __init__(self, workers: int | None = None, settings: CrfSettings | None = None) -> None:
        """``workers``: how many processes at most; left out, ``usual_workers()``.

        Each is started when there is work for it.
        """
        require_crf()
        self.workers = usual_workers() if workers is None else workers
        check_count("workers", self.workers, 1)
        self.settings = settings or CrfSettings()
        check_crf_settings(self.settings)
        self._all: list[Worker] = []
        self._idle: queue.SimpleQueue[Worker] = queue.SimpleQueue()
        self._starting = threading.Lock()
        self._threads = ThreadPoolExecutor(self.workers, thread_name_prefix="crf")

    def map(self, inputs: Iterable[CrfInput]) -> Generator[Tensor, None, None]:
        """Refine images, in their order; results as of ``smooth``.

        Inputs are taken as the work proceeds, one more than there are workers, so that a whole
        split can stream through.

        Raises:
            TypeError, ValueError: as ``smooth``, when the result of that input is due.
            CrfWorkerError: a process failed or ended.
        """
        waiting: deque[Future[Tensor]] = deque()
        try:
            for given in inputs:
                waiting.append(self._threads.submit(self._refine, given))
                if len(waiting) > self.workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()

    def _refine(self, given: CrfInput) -> Tensor:
        probabilities = probabilities_of(given)
        worker = self._free()
        try:
            return worker.refine(given.rgb, probabilities, self.settings)
        finally:
            self._idle.put(worker)

    def _free(self) -> Worker:
        """A process that has nothing to do, started if need be: there are as many as threads."""
        with contextlib.suppress(queue.Empty):
            return self._idle.get_nowait()
        with self._starting:
            if len(self._all) < self.workers:
                self._all.append(Worker())
                return self._all[-1]
        return self._idle.get()

    def close(self) -> None:
        """End the processes; what is not begun is dropped."""
        self._threads.shutdown(wait=True, cancel_futures=True)
        for worker in self._all:
            worker.stop()

    def __enter__(self) -> CrfPool:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
