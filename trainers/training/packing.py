"""Batches on their way from one process to another, as plain numbers through a pipe.

PyTorch hands tensors over in shared memory. A container usually has 64 MB of it; where that is
full, the batch is lost in the process that read it, and whoever waits for it waits for ever.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor


class Numbers(NamedTuple):
    """A tensor's numbers in the order in which they lie in memory."""

    array: np.ndarray
    order: tuple[int, ...]
    """Which dimension of the tensor each of the array's is."""
    dtype: torch.dtype
    """The tensor's; label maps travel as smaller numbers."""

    def tensor(self, *, pin: bool = False) -> Tensor:
        """The tensor again, laid out in memory as it was."""
        flat = torch.from_numpy(self.array).to(self.dtype)
        flat = flat.pin_memory() if pin else flat
        return flat.permute(tuple(np.argsort(self.order)))


def numbers_of(tensor: Tensor) -> Numbers:
    """A tensor as numbers; int64 as int16 where they fit."""
    # Results depend, in their last bits, on how images lie in memory.
    strides = tensor.stride()
    order = tuple(sorted(range(tensor.ndim), key=lambda i: -strides[i]))
    flat = tensor.permute(order)
    if tensor.dtype == torch.int64 and tensor.numel():
        low, high = torch.aminmax(flat)
        if low >= -(2**15) and high < 2**15:
            flat = flat.to(torch.int16)
    return Numbers(flat.contiguous().numpy(), order, tensor.dtype)


class Packed:
    """A named tuple of tensors and other values, without tensors. Tuples in it are packed, too."""

    def __init__(self, batch: Any) -> None:
        self.batch = _packed(batch)

    def unpacked(self) -> Any:
        """The tuple as it was."""
        return _unpacked(self.batch, pin=False)

    def pin_memory(self) -> Any:
        """The tuple as it was, in memory that a GPU can read; PyTorch calls this in a thread."""
        return _unpacked(self.batch, pin=True)


def _packed(value: Any) -> Any:
    if isinstance(value, Tensor):
        return numbers_of(value)
    if isinstance(value, tuple):
        return _like(value, [_packed(one) for one in value])
    return value


def _unpacked(value: Any, *, pin: bool) -> Any:
    if isinstance(value, Numbers):
        return value.tensor(pin=pin)
    if isinstance(value, tuple):
        return _like(value, [_unpacked(one, pin=pin) for one in value])
    return value


def _like(value: Any, parts: list[Any]) -> Any:
    return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
