"""A GPU that is none: tensors on it lie in main memory, and all that would wait for it is noted.

A step of training must not wait for the card, since the card would then wait for the next order.
Without a card nobody sees such waits. Here the device ``meta`` plays one: its tensors have values,
operations work on them, and reading a value, copying without ``non_blocking``, a result whose size
depends on values, or an operation across both devices leaves a note of where that was.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

from tests.conftest import ROOT

GPU = torch.device("meta")
CPU = torch.device("cpu")
# What waits for values, wherever they are.
WAITING = {
    "_local_scalar_dense": "reads a value",
    "nonzero": "has a size that depends on values",
    "masked_select": "has a size that depends on values",
    "_unique2": "has a size that depends on values",
    "unique_consecutive": "has a size that depends on values",
    "unique_dim": "has a size that depends on values",
    "repeat_interleave": "has a size that depends on values",
    "equal": "compares values",
}
COPIES = ("_to_copy", "copy_")


class OnGpu(Tensor):
    """A tensor that says it is on the GPU; ``inside`` are its numbers."""

    inside: Tensor

    @staticmethod
    def __new__(cls, inside: Tensor) -> OnGpu:
        made = Tensor._make_wrapper_subclass(
            cls,
            inside.size(),
            strides=inside.stride(),
            storage_offset=inside.storage_offset(),
            dtype=inside.dtype,
            device=GPU,
        )
        made.inside = inside
        found: OnGpu = made
        return found

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        raise RuntimeError(f"{function} of a pretended GPU outside of pretend_gpu()")


class _Noting(TorchDispatchMode):
    def __init__(self, waits: list[str]) -> None:
        super().__init__()
        self.waits = waits

    def __torch_dispatch__(
        self,
        function: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        given = list(tensors_in((args, kwargs)))
        away = any(isinstance(one, OnGpu) for one in given)
        named = (kwargs or {}).get("device")
        there = (torch.device(named) == GPU) if named is not None else away
        reason = why_it_waits(function, args, kwargs or {}, given, there)
        if reason:
            self.waits.append(f"{place()}: {function.__name__} {reason}")
        plain, named_plain = tree_map(unwrapped, (args, dict(kwargs or {})))
        if named is not None:
            named_plain["device"] = CPU
        found = function(*plain, **named_plain)
        return tree_map(wrapped, found) if there else found


class _Making(TorchFunctionMode):
    """Notes ``torch.tensor(…, device=…)``, which copies and waits before it can be dispatched."""

    def __init__(self, waits: list[str]) -> None:
        super().__init__()
        self.waits = waits

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        named = dict(kwargs or {})
        if func is torch.tensor and str(named.get("device")) == str(GPU):
            self.waits.append(f"{place()}: torch.tensor copies without non_blocking")
            return on_gpu(func(*args, **{**named, "device": CPU}))
        return func(*args, **named)


def why_it_waits(
    function: Any,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    given: list[Tensor],
    there: bool,
) -> str | None:
    """What of an operation waits for the GPU; None where nothing does."""
    name = function.__name__.partition(".")[0]
    away = [one for one in given if isinstance(one, OnGpu)]
    here = [one for one in given if not isinstance(one, OnGpu)]
    if name in COPIES:
        crosses = bool(away) != there if name == "_to_copy" else bool(away) and bool(here)
        # The third argument of copy_ may stand without its name.
        free = kwargs.get("non_blocking", args[2] if len(args) > 2 else False)
        return "copies without non_blocking" if crosses and not free else None
    if not away:
        return None
    if any(one.ndim for one in here):
        return "works across both devices"
    if name in ("index", "index_put_", "index_put") and any(
        one.dtype in (torch.bool, torch.uint8) for one in tensors_in(args[1])
    ):
        return "picks by a mask"
    return WAITING.get(name)


def tensors_in(value: Any) -> Iterator[Tensor]:
    """All tensors in nested lists, tuples and dicts."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from tensors_in(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from tensors_in(one)


def unwrapped(value: Any) -> Any:
    return value.inside if isinstance(value, OnGpu) else value


def wrapped(value: Any) -> Any:
    return OnGpu(value) if isinstance(value, Tensor) else value


def place() -> str:
    """The line of ours that is being run."""
    for frame in reversed(traceback.extract_stack()):
        if frame.filename.startswith((str(ROOT / "ppap"), str(ROOT / "trainers"))):
            return f"{Path(frame.filename).relative_to(ROOT)}:{frame.lineno}"
    return "elsewhere"


@contextmanager
def pretend_gpu() -> Iterator[list[str]]:
    """Meanwhile ``meta`` is a GPU; what waits for it is added to the list.

    Nothing can go backward through it: use it under ``torch.no_grad``.
    """
    waits: list[str] = []
    whole: Callable[..., Any] = torch.autocast.__init__

    def autocast(self: Any, device_type: str, *args: Any, **kwargs: Any) -> None:
        whole(self, "cpu" if device_type == GPU.type else device_type, *args, **kwargs)

    torch.autocast.__init__ = autocast  # type: ignore[method-assign]
    try:
        with torch.no_grad(), _Making(waits), _Noting(waits):
            yield waits
    finally:
        torch.autocast.__init__ = whole  # type: ignore[method-assign]


def on_gpu(tensor: Tensor) -> Tensor:
    """The same numbers on the pretended GPU."""
    return tensor if isinstance(tensor, OnGpu) else OnGpu(tensor.detach().clone())


def off_gpu(tensor: Tensor) -> Tensor:
    """The numbers of a tensor on the pretended GPU, to look at afterwards."""
    found: Tensor = unwrapped(tensor)
    return found
