"""The batches that pages look at: a bounded cache, keyed by an id that cannot be guessed."""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, NamedTuple

from ppap.batches import Batch
from ppap.settings import Preset
from ppap.studio.access.shares import Shares
from ppap.studio.access.visitor import current

MAX_BYTES = 2 * 2**30
# Of one user, or where nobody logs in, of one page; and of all together.
MAX_BATCHES, MAX_ALL_BATCHES = 32, 128
# A rival's setting moved by hand gives new clusters with every move.
MAX_DERIVED = 16


class BatchGone(LookupError):
    """The batch was dropped from the cache, or never existed here."""

    def __init__(self) -> None:
        super().__init__("This batch is no longer in memory. Load it again.")


class Derived:
    """One thing made from a batch, once it is made."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.made = False
        self.value: Any = None


class Upload(NamedTuple):
    """A file on this server, and what its owner calls it."""

    path: str
    name: str


class Held:
    """A batch with what was derived from it (clusters, pools, pictures), by key."""

    def __init__(
        self,
        key: str,
        batch: Batch,
        recipe: dict[str, Any],
        uploads: tuple[Upload, ...] = (),
        owner: str = "",
    ) -> None:
        self.key, self.batch, self.recipe = key, batch, recipe
        self.owner = owner  # the user whose it is; empty: everybody's
        self.uploads = uploads  # paths of this server: they stay here
        self.training: Preset | None = None  # the thresholds that its features were trained with
        self._derived: OrderedDict[object, Derived] = OrderedDict()
        self._lock = threading.Lock()

    def derive(self, name: object, make: Callable[[], Any]) -> Any:
        """``make()`` the first time ``name`` is asked for, the kept result later.

        Others who ask for the same wait for it; whoever asks for something else does not. What
        was unused for longest is let go beyond MAX_DERIVED, and made again when it is missed.
        """
        with self._lock:
            derived = self._derived.setdefault(name, Derived())
            self._derived.move_to_end(name)
            while len(self._derived) > MAX_DERIVED:
                self._derived.popitem(last=False)
        with derived.lock:
            if not derived.made:
                derived.value = make()
                derived.made = True
            return derived.value

    @property
    def bytes(self) -> int:
        """Memory of the large arrays."""
        batch = self.batch
        arrays = (*batch.images, *(batch.pixel_labels or ()))
        return sum(one.nbytes for one in arrays) + batch.features.nbytes


class BatchStore:
    """Keeps the batches used last, within limits that everybody has a share of. Safe for many
    threads.

    Whoever logs in finds their own batches, and those that are everybody's, as the samples are.
    """

    def __init__(self, max_bytes: int = MAX_BYTES, max_batches: int = MAX_BATCHES) -> None:
        # What is made of a batch is not counted, so that even small ones take up some room.
        least = max_bytes / MAX_ALL_BATCHES
        self._held: Shares[Held] = Shares(
            max_batches, max_bytes, lambda held: max(held.bytes, least)
        )
        self._lock = threading.Lock()

    def add(
        self,
        batch: Batch,
        recipe: dict[str, Any],
        uploads: tuple[Upload, ...] = (),
        *,
        shared: bool = False,
    ) -> Held:
        """Keep a batch under a new id, for whoever asks right now; older ones make room.

        ``shared``: it is everybody's.
        """
        who = current()
        owner = "" if shared else who.user
        held = Held(secrets.token_urlsafe(12), batch, recipe, uploads, owner)
        with self._lock:
            self._held.put(held.key, held, "shared" if shared else who.share)
        return held

    def get(self, key: object) -> Held:
        """The batch with this id; BatchGone when it is not here."""
        with self._lock:
            held = self._held.get(key)
        # Whose it is, is not told either.
        if held is None or not current().owns(held.owner):
            raise BatchGone
        return held

    def find(self, recipe: dict[str, Any]) -> Held | None:
        """A kept batch that was made the same way, so that it need not be made again."""
        with self._lock:
            for held in self._held.values():
                same = {name: held.recipe.get(name) for name in recipe} == recipe
                if same and current().owns(held.owner):
                    return self._held.get(held.key)
        return None
