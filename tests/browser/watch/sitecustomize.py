"""Python runs this before a program when this folder is on its path: it notes down every host
that the program asks for outside this machine, in the file that PPAP_WATCH names."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

LOCAL = ("127.0.0.1", "localhost", "::1", "0.0.0.0", "", None)
LOG = Path(os.environ["PPAP_WATCH"])


def note(how: str, host: Any) -> None:
    host = host.decode() if isinstance(host, bytes) else host
    if host not in LOCAL:
        with LOG.open("a") as log:
            log.write(f"{how} {host}\n")


class Watched(socket.socket):
    def connect(self, address: Any) -> None:
        if isinstance(address, tuple):  # not a socket file of this machine
            note("connect", address[0])
        return super().connect(address)

    def connect_ex(self, address: Any) -> int:
        if isinstance(address, tuple):
            note("connect", address[0])
        return super().connect_ex(address)


look_up = socket.getaddrinfo


def watched_look_up(host: Any, *args: Any, **kwargs: Any) -> Any:
    note("look up", host)
    return look_up(host, *args, **kwargs)


socket.socket = Watched  # type: ignore[misc]
socket.getaddrinfo = watched_look_up
with LOG.with_suffix(".started").open("a") as started:
    started.write(f"{os.getpid()}\n")
