"""What a proxy says about the request that it passes on; believed only where there is one."""

from __future__ import annotations

from collections.abc import Iterable, MutableMapping
from typing import Any

from ppap.studio.access.hosts import PORTS, as_address, authority, is_loopback

Scope = MutableMapping[str, Any]
Headers = list[tuple[bytes, bytes]]
# In a scope: a proxy that nobody spoke of passes on what somebody elsewhere asks.
PROXIED = "ppap.proxied"
_OTHERS = frozenset({b"forwarded", b"x-real-ip", b"x-gradio-server"})


def _forwards(name: bytes) -> bool:
    return name.startswith(b"x-forwarded-") or name in _OTHERS


def header(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> str | None:
    """The first value of a header; None where it is missing."""
    return next((value.decode("latin-1") for key, value in headers if key == name), None)


def _last(headers: Headers, name: bytes) -> str:
    """What the nearest proxy added: whatever stands before it may come from anybody."""
    values = [value.decode("latin-1") for key, value in headers if key == name]
    return ",".join(values).rpartition(",")[2].strip()


def straightened(scope: Scope, *, behind_proxy: bool) -> Scope:
    """The request as the visitor sent it, with no word left of the proxies on the way.

    Args:
        scope: of ASGI.
        behind_proxy: whether all requests come through a proxy, which then is believed.
    """
    headers: Headers = list(scope["headers"])
    kept = [(name, value) for name, value in headers if not _forwards(name)]
    made: dict[str, Any] = {**scope, "headers": kept}
    if not behind_proxy:
        made[PROXIED] = _through_proxy(scope)
        return made
    if host := _last(headers, b"x-forwarded-host"):
        made["headers"] = [(name, value) for name, value in kept if name != b"host"]
        made["headers"].append((b"host", host.encode("latin-1")))
    scheme = _last(headers, b"x-forwarded-proto").lower()
    if scheme in PORTS:
        made["scheme"] = scheme
    if client := _address(_last(headers, b"x-forwarded-for") or _last(headers, b"x-real-ip")):
        made["client"] = (client, 0)
    return made


def _address(text: str) -> str:
    """``1.2.3.4``, ``1.2.3.4:567``, ``[::1]:567`` or ``::1`` as an address; empty for others."""
    for candidate in (text, getattr(authority(text), "name", "")):
        if address := as_address(candidate.strip("[]")):
            return str(address)
    return ""


def _through_proxy(scope: Scope) -> bool:
    """Whether a proxy on this machine passes on what somebody elsewhere asks."""
    client = scope.get("client")
    if client is None or not is_loopback(str(client[0])):
        return False
    text = _last(scope["headers"], b"x-forwarded-for")
    return bool(text) and not is_loopback(_address(text) or text)
