"""Who asks right now: set for every request, carried into the threads that work for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace

LONGEST_PAGE = 64


@dataclass(frozen=True)
class Visitor:
    """Somebody who asks."""

    user: str = ""
    """Who logged in; empty where nobody has to, and for the studio itself."""
    page: str = ""
    """Which of the open pages asks, as it says itself: good for sharing room, not for secrets."""
    address: str = ""
    """Where the request came from."""

    @property
    def share(self) -> str:
        """Whose room is taken up: the user's, or where nobody logs in, the page's."""
        return f"user {self.user}" if self.user else f"page {self.page}"

    def owns(self, owner: str) -> bool:
        """Whether something that belongs to ``owner`` may be seen; empty: it is everybody's."""
        return owner in ("", self.user)


_CURRENT: ContextVar[Visitor] = ContextVar("visitor")
_NOBODY = Visitor()


def current() -> Visitor:
    """Who asks right now."""
    return _CURRENT.get(_NOBODY)


@contextmanager
def asking(visitor: Visitor) -> Iterator[Visitor]:
    """Everything inside is done for ``visitor``."""
    token = _CURRENT.set(visitor)
    try:
        yield visitor
    finally:
        _CURRENT.reset(token)


def on_page(page: object) -> Visitor:
    """Who asks right now, on the page that a request names; anything can stand there."""
    if not isinstance(page, str):
        return current()
    return replace(current(), page=page[:LONGEST_PAGE])
