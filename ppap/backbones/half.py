"""Half precision as a GPU's autocast has it, bearable on a CPU, too."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode


@contextmanager
def half_precision(device: torch.device) -> Iterator[None]:
    """Within it, networks compute in float16 where autocast does.

    PyTorch convolves halves on a CPU ten times as slowly as floats. There, factors are rounded to
    halves, convolved in float32 and the result is rounded, which is what a GPU does, up to the
    order of the additions.
    """
    with torch.autocast(device.type, torch.float16):
        if device.type != "cpu":
            yield
            return
        with _RoundedConvolutions():
            yield


class _RoundedConvolutions(TorchFunctionMode):
    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func is not torch.conv2d:
            return func(*args, **(kwargs or {}))
        with torch.autocast("cpu", enabled=False):
            found = func(
                *map(_rounded, args), **{k: _rounded(v) for k, v in (kwargs or {}).items()}
            )
        return found.half()


def _rounded(value: Any) -> Any:
    is_number = isinstance(value, Tensor) and value.is_floating_point()
    return value.half().float() if is_number else value
