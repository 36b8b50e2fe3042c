"""Whose gradio's sessions and events are: their ids stand in addresses that all could ask for."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import HTTPException

from ppap.studio.access.shares import Shares

EACH, ALL = 4_000, 100_000
LONGEST = 200
# Calls of one user's scripts that wait for their turn.
WAITING = 64


class Sessions:
    """Remembers which user an id belongs to. Safe for many threads."""

    def __init__(self) -> None:
        self._owners: Shares[tuple[str, str]] = Shares(EACH, ALL)
        self._lock = threading.Lock()

    def claim(self, id: str, user: str) -> bool:
        """Let an id be the user's; whether it is, which it is not where another came first."""
        with self._lock:
            known = self._owners.get(id)
            if known is None:
                self._owners.put(id, (id, user), user)
                return True
            return known[1] == user

    def follow(self, queue: Any) -> None:
        """Remember the events of gradio's queue, too: it makes up their ids itself."""
        push: Callable[..., Awaitable[tuple[bool, Any, str]]] = queue.push

        async def pushed(body: Any, request: Any, username: str | None) -> tuple[bool, Any, str]:
            session = body.session_hash
            if username and session and not self.claim(str(session)[:LONGEST], username):
                raise HTTPException(403, "This session is another user's.")
            if username and waiting_of(queue, username) >= WAITING:
                raise HTTPException(
                    429, f"{WAITING} of your requests are waiting. Try again later."
                )
            done = await push(body=body, request=request, username=username)
            if username and done[0]:
                self.claim(str(done[1]), username)
                self.claim(str(body.session_hash)[:LONGEST], username)
            return done

        queue.push = pushed


def waiting_of(queue: Any, user: str) -> int:
    """How many of a user's calls wait in gradio's queue, which refuses everybody's once it is full.

    Args:
        queue: gradio's.
        user: whose.
    """
    lines = queue.event_queue_per_concurrency_id.values()
    return sum(event.username == user for line in lines for event in line.queue)
