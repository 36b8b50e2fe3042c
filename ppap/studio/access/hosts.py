"""Names and addresses: which mean this machine, and which of them a request may be addressed to.

A page of somebody else's can make its own name point to this machine (DNS rebinding). Its requests
still carry that name, so whatever is addressed to a name that is not the studio's is refused.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import urlsplit

_HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.%\w]+\]|[^\[\]:/@\s?#\\,]+)(?::(?P<port>[0-9]{1,5}))?")
_NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*")
PORTS = {"http": 80, "https": 443}


class Authority(NamedTuple):
    """What stands between ``//`` and the path of an address."""

    name: str
    """Lower case; an address in its shortest form, without brackets."""
    port: int | None
    """None where none is given."""


def bare(host: str) -> str:
    """A name or address in one form: without brackets, in lower case, the shortest there is."""
    name = host.strip().lower().removesuffix(".")
    if name.startswith("[") and name.endswith("]"):
        name = name[1:-1]
    address = as_address(name)
    return name if address is None else str(address)


def as_address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """An IP address; None for names. An IPv4 address inside an IPv6 one is the IPv4 address."""
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address."""
    name = bare(host)
    address = as_address(name)
    return name == "localhost" if address is None else address.is_loopback


def is_wildcard(host: str) -> bool:
    """Whether it stands for every address of this machine."""
    address = as_address(bare(host))
    return address is not None and address.is_unspecified


def authority(text: str) -> Authority | None:
    """``localhost:7860`` in its parts; None for what no browser sends."""
    found = _HOST.fullmatch(text)
    if not found:
        return None
    port = found["port"]
    return Authority(bare(found["name"]), None if port is None else int(port))


def same_origin(origin: str, host: Authority) -> bool:
    """Whether ``https://name:port`` is the page's own address, whatever stands before a proxy."""
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    own = authority(parts.netloc)
    usual = PORTS.get(parts.scheme)
    if own is None or usual is None or parts.path.strip("/") or parts.query or parts.fragment:
        return False
    return (own.name, own.port or usual) == (host.name, host.port or usual)


def origin_of(url: str) -> str:
    """``http://name:port/a/b`` → ``http://name:port``; empty where there is none."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return f"{parts.scheme}://{parts.netloc}"


def allowed_host(text: str) -> str:
    """One name of ``--allowed-host``; ValueError where it is none."""
    found = authority(text.strip())
    if found is None or (as_address(found.name) is None and not _NAME.fullmatch(found.name)):
        raise ValueError(f"{text!r} is not a host name such as studio.example.org")
    return found.name


class Hosts:
    """The names and addresses that requests may be addressed to.

    Args:
        listening: what the studio listens on.
        named: further ones, as ``--allowed-host`` gives them.
    """

    def __init__(self, listening: str, named: Iterable[str] = ()) -> None:
        self._any_address = is_wildcard(listening)
        self._names = {bare(listening), *(bare(name) for name in named)}
        if not is_loopback(listening):
            self._names |= own_names()

    def __contains__(self, name: str) -> bool:
        if is_loopback(name) or name in self._names:
            return True
        # An address is no name that somebody could make point here.
        return self._any_address and as_address(name) is not None


def own_names() -> set[str]:
    """What this machine is called."""
    name = socket.gethostname().lower()
    short = name.partition(".")[0]
    return {name, short, f"{short}.local"} - {"", ".local"}
