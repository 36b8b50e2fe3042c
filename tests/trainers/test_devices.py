"""Devices by name; GPUs that PyTorch finds but has no code for."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from ppap.settings import SettingError
from trainers import devices
from trainers.devices import choose_device
from trainers.training.distributed import device_of

NO_CODE = "CUDA error: no kernel image is available for execution on the device\nCUDA kernel errors"
Fakes = Callable[..., None]


@pytest.fixture
def fakes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Fakes]:
    """GPUs that are not there: what each raises when it is computed on."""
    plain = torch.ones

    def install(*errors: Exception | None, capability: tuple[int, int] = (3, 7)) -> None:
        def ones(*size: int, device: str = "cpu") -> torch.Tensor:
            if device.startswith("cuda"):
                warnings.warn("Found GPU0 which is too old", stacklevel=1)
                error = errors[int(device.partition(":")[2] or 0)]
                if error is not None:
                    raise error
            return plain(*size)

        monkeypatch.setattr(torch, "ones", ones)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: len(errors))
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda gpu: "Tesla K80")
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda gpu: capability)
        monkeypatch.setattr(
            torch.cuda, "get_arch_list", lambda: ["sm_75", "sm_80", "sm_90a", "compute_120"]
        )

    def forget() -> None:
        devices.why_unfit.cache_clear()
        devices.tell.cache_clear()

    forget()
    yield install
    forget()


def test_names(fakes: Fakes) -> None:
    fakes(None, None)
    assert choose_device("cpu") == torch.device("cpu")
    assert choose_device("auto") == torch.device("cuda")
    assert choose_device("cuda:1") == torch.device("cuda:1")
    for name in ("gpu", "cuda:2", "mps", "meta", ""):
        with pytest.raises(SettingError, match=f"one of auto, cpu, cuda:0, .* here, not '{name}'"):
            choose_device(name)


def test_a_gpu_that_is_too_old_is_passed_by_and_told_once(
    fakes: Fakes, caplog: pytest.LogCaptureFixture
) -> None:
    fakes(RuntimeError(NO_CODE))
    for _ in range(3):
        assert choose_device("auto") == torch.device("cpu")
    (said,) = [record.getMessage() for record in caplog.records]
    assert said.startswith("cuda:0 (Tesla K80) cannot be used: its compute capability is 3.7, and ")
    assert "needs 7.5 or newer" in said
    assert said.endswith("It is skipped.")


def test_the_first_gpu_that_can_be_used_is_taken(fakes: Fakes) -> None:
    fakes(RuntimeError(NO_CODE), None)
    assert choose_device("auto") == torch.device("cuda:1")
    assert device_of("auto", 0, several=False) == torch.device("cuda:1")


def test_a_gpu_that_is_named_is_refused_with_the_reason(fakes: Fakes) -> None:
    fakes(RuntimeError(NO_CODE))
    asked: list[Callable[[str], Any]] = [
        choose_device,
        lambda name: device_of(name, 0, several=False),
    ]
    for name in ("cuda", "cuda:0"):
        for ask in asked:
            with pytest.raises(SettingError, match=r"capability is 3\.7.* Use device=cpu") as found:
                ask(name)
            assert found.value.field == "device"


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (RuntimeError("CUDA error: device kernel image is invalid\nmore"), "kernel image is inval"),
        (RuntimeError("The NVIDIA driver on your system is too old (found version 11040)."), "dri"),
        (AssertionError("Torch not compiled with CUDA enabled"), "not compiled with CUDA"),
        (RuntimeError(""), "RuntimeError"),
    ],
)
def test_another_reason_is_told_as_it_is(
    error: Exception, told: str, fakes: Fakes, caplog: pytest.LogCaptureFixture
) -> None:
    fakes(error, capability=(8, 0))
    assert choose_device("auto") == torch.device("cpu")
    assert told in caplog.text
    assert "capability" not in caplog.text
    assert "more" not in caplog.text


def test_a_gpu_that_is_full_right_now_is_fit(fakes: Fakes) -> None:
    fakes(torch.OutOfMemoryError("CUDA out of memory"))
    assert choose_device("auto") == torch.device("cuda")
    assert choose_device("cuda") == torch.device("cuda")


def test_several_processes_take_a_gpu_each_or_none(fakes: Fakes) -> None:
    fakes(None, None)
    assert device_of("auto", 1, several=True) == torch.device("cuda:1")
    fakes(RuntimeError(NO_CODE), RuntimeError(NO_CODE))
    devices.why_unfit.cache_clear()
    assert device_of("auto", 1, several=True) == torch.device("cpu")
