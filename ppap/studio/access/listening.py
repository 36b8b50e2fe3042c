"""Where the studio listens: the sockets, what to say where there can be none, and the server."""

from __future__ import annotations

import contextlib
import errno
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from ppap.studio.access.hosts import bare, is_wildcard

BACKLOG = 2048
START_SECONDS = 60.0


class CannotListen(OSError):
    """Nothing can listen there; the text says why, and what to do."""


def bind(host: str, port: int) -> list[socket.socket]:
    """Sockets for every address that a host stands for: ``localhost`` often has two.

    ``::`` takes IPv4 as well, as it does in other programs.

    Raises:
        CannotListen: none can be had.
    """
    name = bare(host)
    try:
        found = socket.getaddrinfo(
            name, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE, family=_family(name)
        )
    except (OSError, UnicodeError):
        raise CannotListen(
            f"Cannot listen on {host}, port {port}: that name has no address. "
            "Choose another with --host."
        ) from None
    sockets: list[socket.socket] = []
    problem: OSError | None = None
    for family, kind, protocol, _, address in dict.fromkeys(found):
        try:
            sockets.append(_bound(family, kind, protocol, address))
        except OSError as error:
            # A machine without IPv6 may still call its IPv6 address localhost.
            if problem is None or error.errno not in MISSING:
                problem = error
    if problem is not None and (not sockets or problem.errno not in MISSING):
        for one in sockets:
            one.close()
        raise CannotListen(reason(host, port, problem)) from None
    return sockets


MISSING = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


def _family(name: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in name else socket.AF_UNSPEC


def _bound(family: int, kind: int, protocol: int, address: Any) -> socket.socket:
    one = socket.socket(family, kind, protocol)
    try:
        if sys.platform != "win32":
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            both = address[0] == "::"
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if both else 1)
        one.bind(address)
        one.listen(BACKLOG)
        one.setblocking(False)
    except BaseException:
        one.close()
        raise
    return one


def reason(host: str, port: int, error: OSError) -> str:
    """Why nothing can listen there, and what to do."""
    if error.errno == errno.EADDRINUSE:
        why = "another program is using it. Choose another port with --port."
    elif error.errno in (errno.EACCES, errno.EPERM):
        why = (
            "only an administrator may use it. Choose one from 1024 on with --port."
            if port < 1024
            else "this user is not allowed to. Choose another port with --port."
        )
    elif error.errno == errno.EADDRNOTAVAIL:
        why = "that is not an address of this machine. Choose one with --host, such as 127.0.0.1."
    elif error.errno == errno.EAFNOSUPPORT:
        why = "this machine has no IPv6. Choose an IPv4 address with --host, such as 127.0.0.1."
    else:
        why = f"{error.strerror or error}. Choose others with --port and --host."
    return f"Cannot listen on {host}, port {port}: {why}"


def require_free(host: str, port: int) -> None:
    """CannotListen where nothing could listen there now: before minutes go into anything else."""
    for one in bind(host, port):
        one.close()


def free_port(host: str) -> int:
    """A port on which nobody listens right now."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def url_of(host: str, port: int) -> str:
    """The address to open in a browser on this machine."""
    name = "localhost" if is_wildcard(host) else bare(host)
    return f"http://[{name}]:{port}/" if ":" in name else f"http://{name}:{port}/"


def serve_on(sockets: list[socket.socket], app: Any) -> Any:
    """A server in a thread of its own, on sockets that listen already; with ``close()``."""
    import uvicorn
    from gradio.http_server import Server

    class Serving(Server):
        def run_in_thread(self) -> None:
            self.thread = threading.Thread(target=self.run, args=(sockets,), daemon=True)
            self.thread.start()
            until = time.monotonic() + START_SECONDS
            while not self.started:
                if not self.thread.is_alive() or time.monotonic() > until:
                    raise CannotListen("The studio's web server did not start.")
                time.sleep(0.002)

    # Forwarding headers are the guard's business: it knows whether there is a proxy.
    config = uvicorn.Config(app, log_level="warning", proxy_headers=False, server_header=False)
    server = Serving(config)
    server.run_in_thread()
    return server


@contextlib.contextmanager
def gradio_listens(
    sockets: list[socket.socket], host: str, port: int, guarded: Callable[[Any], Any]
) -> Iterator[None]:
    """While gradio launches inside, it serves on these sockets, behind a guard.

    gradio's own start tries IPv4's loopback alone, tells no reason, and leaves nothing outside its
    application, where requests must be looked at before anything answers them.
    """
    from gradio import http_server

    def start(app: Any, *_: Any, **__: Any) -> tuple[str, int, str, Any]:
        return host, port, url_of(host, port), serve_on(sockets, guarded(app))

    usual = http_server.start_server
    http_server.start_server = start
    try:
        yield
    finally:
        http_server.start_server = usual
