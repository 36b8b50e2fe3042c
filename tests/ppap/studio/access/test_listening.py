from __future__ import annotations

import errno
import os
import socket
import urllib.request
from typing import Any

import pytest

from ppap.studio.access import listening
from ppap.studio.access.listening import CannotListen, bind, reason, require_free, serve_on, url_of
from tests.browser.driver import free_port

has_ipv6 = socket.has_ipv6
try:
    with socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::1", 0))
except OSError:
    has_ipv6 = False
needs_ipv6 = pytest.mark.skipif(not has_ipv6, reason="this machine has no IPv6")


async def hello(scope: Any, receive: Any, send: Any) -> None:
    """The smallest application."""
    if scope["type"] != "http":
        return
    start = {"type": "http.response.start", "status": 200, "headers": []}
    await send(start)
    await send({"type": "http.response.body", "body": b"hello"})


def answers(address: str, port: int) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://{address}:{port}/", timeout=20) as answer:
            return bool(answer.read() == b"hello")
    except OSError:
        return False


@pytest.mark.parametrize(
    ("host", "reached", "not_reached"),
    [
        ("127.0.0.1", ["127.0.0.1"], ["[::1]"]),
        ("localhost", ["127.0.0.1"], []),
        ("0.0.0.0", ["127.0.0.1"], ["[::1]"]),
        pytest.param("::1", ["[::1]"], ["127.0.0.1"], marks=needs_ipv6),
        pytest.param("[::1]", ["[::1]"], ["127.0.0.1"], marks=needs_ipv6),
        pytest.param("::", ["[::1]", "127.0.0.1"], [], marks=needs_ipv6),
    ],
)
def test_a_host_is_listened_on_and_no_other(
    host: str, reached: list[str], not_reached: list[str]
) -> None:
    port = free_port()
    sockets = bind(host, port)
    server = serve_on(sockets, hello)
    try:
        assert [answers(address, port) for address in reached] == [True] * len(reached)
        assert [answers(address, port) for address in not_reached] == [False] * len(not_reached)
    finally:
        server.close()
        for one in sockets:
            one.close()


@pytest.mark.parametrize("taken_by", ["127.0.0.1", pytest.param("::1", marks=needs_ipv6)])
@pytest.mark.parametrize("host", ["localhost", pytest.param("::", marks=needs_ipv6)])
def test_a_taken_port_is_told_whichever_address_it_is_taken_on(host: str, taken_by: str) -> None:
    with socket.socket(socket.AF_INET6 if ":" in taken_by else socket.AF_INET) as taken:
        taken.bind((taken_by, 0))
        taken.listen()
        port = taken.getsockname()[1]
        names = {found[4][0] for found in socket.getaddrinfo("localhost", port)}
        if host == "localhost" and taken_by not in names:
            pytest.skip("localhost has one address here")
        with pytest.raises(CannotListen, match=r"another program is using it.*--port") as error:
            require_free(host, port)
        assert str(error.value).startswith(f"Cannot listen on {host}, port {port}: ")


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ("192.0.2.1", "that is not an address of this machine"),
        pytest.param("2001:db8::1", "that is not an address of this machine", marks=needs_ipv6),
        ("no-such-host.invalid", "that name has no address"),
        ("a" * 300, "that name has no address"),
    ],
)
def test_an_address_that_is_not_here_is_told(host: str, said: str) -> None:
    with pytest.raises(CannotListen, match=said):
        require_free(host, free_port())


def test_a_free_port_stays_free() -> None:
    port = free_port()
    require_free("127.0.0.1", port)
    require_free("127.0.0.1", port)


@pytest.mark.parametrize(
    ("number", "port", "said"),
    [
        (errno.EACCES, 80, "only an administrator may use it. Choose one from 1024 on"),
        (errno.EACCES, 8080, "this user is not allowed to. Choose another port"),
        (errno.EAFNOSUPPORT, 8080, "this machine has no IPv6"),
        (errno.EMFILE, 8080, "Too many open files"),
    ],
)
def test_every_reason_is_told_as_what_it_is(number: int, port: int, said: str) -> None:
    assert said in reason("::1", port, OSError(number, os.strerror(number)))


def test_a_permission_that_is_missing_reaches_the_person(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(listening, "_bound", refused)
    with pytest.raises(CannotListen, match="only an administrator may use it"):
        require_free("127.0.0.1", 80)


def test_a_machine_without_ipv6_still_has_a_localhost(monkeypatch: pytest.MonkeyPatch) -> None:
    bound = listening._bound

    def without(family: int, kind: int, protocol: int, address: object) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(errno.EADDRNOTAVAIL, "no such address")
        return bound(family, kind, protocol, address)

    both = [
        (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", 0, 0, 0)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0)),
    ]
    monkeypatch.setattr(listening, "_bound", without)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: both)
    sockets = bind("localhost", 0)
    assert [one.family for one in sockets] == [socket.AF_INET]
    sockets[0].close()


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:7860/"),
        ("::1", "http://[::1]:7860/"),
        ("[::1]", "http://[::1]:7860/"),
        ("0.0.0.0", "http://localhost:7860/"),
        ("::", "http://localhost:7860/"),
        ("lab7", "http://lab7:7860/"),
    ],
)
def test_the_address_to_open_can_be_opened(host: str, url: str) -> None:
    assert url_of(host, 7860) == url
