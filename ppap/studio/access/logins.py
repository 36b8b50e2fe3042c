"""Logging in, through gradio's own page and sessions, but not as often as one likes."""

from __future__ import annotations

import math

import anyio
from fastapi import HTTPException

from ppap.studio.access.attempts import Attempts
from ppap.studio.access.passwords import Passwords
from ppap.studio.access.visitor import current

MESSAGE = "PPAP Studio. After five wrong passwords you have to wait 15 minutes."
LONGEST_NAME = 64


class Logins:
    """What gradio asks whether somebody may come in.

    Args:
        passwords: of the users.
    """

    def __init__(self, passwords: Passwords) -> None:
        self.passwords, self.attempts = passwords, Attempts()

    async def check(self, name: str, password: str) -> bool:
        """Whether the password is right; HTTP's 429 where too many were wrong."""
        name, address = name[: LONGEST_NAME + 1], current().address
        wait = self.attempts.begin(name, address)
        if wait:
            minutes = math.ceil(wait / 60)
            raise HTTPException(
                429,
                f"Too many wrong passwords. Try again in {minutes} "
                f"minute{'' if minutes == 1 else 's'}.",
                headers={"Retry-After": str(math.ceil(wait))},
            )
        right = await anyio.to_thread.run_sync(self.passwords.check, name, password)
        if right:
            self.attempts.succeeded(name, address)
        return right
