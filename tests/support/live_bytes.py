"""How many bytes of tensors are alive at most while something is done: what a GPU would hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class LiveBytes(TorchDispatchMode):
    """Counts what operations make; what was there before does not count, nor what an operation
    needs for itself alone."""

    def __init__(self) -> None:
        super().__init__()
        self.known: dict[int, tuple[StorageWeakRef, int]] = {}
        # Weak references, which keep an address from being used again by what is made later.
        self.before: dict[int, StorageWeakRef] = {}
        self.most = 0
        self.at = ""
        """The operation at which it was most."""

    def __torch_dispatch__(
        self,
        function: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        for given in tree_leaves((args, kwargs)):
            if isinstance(given, Tensor) and address(given) not in self.known:
                self.before.setdefault(address(given), StorageWeakRef(given.untyped_storage()))
        found = function(*args, **(kwargs or {}))
        for made in tree_leaves(found):
            if isinstance(made, Tensor) and made.numel():
                self._made(made)
        gone = [key for key, (reference, _) in self.known.items() if reference.expired()]
        for key in gone:
            del self.known[key]
        alive = sum(size for _, size in self.known.values())
        if alive > self.most:
            self.most, self.at = alive, str(function)
        return found

    def _made(self, tensor: Tensor) -> None:
        key = address(tensor)
        if key in self.before and key not in self.known:
            return  # a view of what was there
        reference = StorageWeakRef(tensor.untyped_storage())
        self.known[key] = (reference, tensor.untyped_storage().nbytes())


def address(tensor: Tensor) -> int:
    """What tells a storage from others that are alive."""
    return tensor.untyped_storage()._cdata


@contextmanager
def live_bytes() -> Iterator[LiveBytes]:
    """Count meanwhile."""
    counting = LiveBytes()
    with counting:
        yield counting
