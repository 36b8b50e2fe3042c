from __future__ import annotations

from typing import Any

import pytest

from ppap.studio.access.forwarding import PROXIED, header, straightened


def scope(client: str = "127.0.0.1", **headers: str) -> dict[str, Any]:
    named = {"host": "127.0.0.1:7860", **headers}
    raw = [(k.replace("_", "-").encode(), v.encode()) for k, v in named.items()]
    return {"type": "http", "scheme": "http", "client": (client, 5), "headers": raw}


SPOOFED = {
    "x_forwarded_for": "127.0.0.1",
    "x_forwarded_host": "evil.example",
    "x_forwarded_proto": "https",
    "x_real_ip": "127.0.0.1",
    "x_gradio_server": "http://evil.example",
    "forwarded": "for=127.0.0.1",
}


def test_without_a_proxy_nothing_of_it_is_believed_or_left() -> None:
    found = straightened(scope("10.0.0.9", **SPOOFED), behind_proxy=False)
    assert found["client"][0] == "10.0.0.9"
    assert found["scheme"] == "http"
    assert found["headers"] == [(b"host", b"127.0.0.1:7860")]


def test_a_proxy_says_who_asks_and_for_what() -> None:
    told = {"x_forwarded_for": "203.0.113.7", "x_forwarded_host": "studio.example.org"}
    found = straightened(scope(**told, x_forwarded_proto="https"), behind_proxy=True)
    assert found["client"][0] == "203.0.113.7"
    assert found["scheme"] == "https"
    assert header(found["headers"], b"host") == "studio.example.org"
    assert PROXIED not in found


@pytest.mark.parametrize(
    ("told", "address"),
    [
        ("127.0.0.1, 203.0.113.7", "203.0.113.7"),
        ("203.0.113.7:4711", "203.0.113.7"),
        ("[2001:db8::1]:4711", "2001:db8::1"),
        ("2001:db8::1", "2001:db8::1"),
        ("nonsense", "127.0.0.1"),
        ("", "127.0.0.1"),
    ],
)
def test_only_what_the_nearest_proxy_added_counts(told: str, address: str) -> None:
    found = straightened(scope(x_forwarded_for=told), behind_proxy=True)
    assert found["client"][0] == address


def test_the_nearest_proxy_s_word_counts_over_several_headers() -> None:
    given = scope()
    for value in (b"127.0.0.1", b"203.0.113.7"):
        given["headers"].append((b"x-forwarded-for", value))
    assert straightened(given, behind_proxy=True)["client"][0] == "203.0.113.7"


def test_odd_schemes_are_no_schemes() -> None:
    found = straightened(scope(x_forwarded_proto="javascript"), behind_proxy=True)
    assert found["scheme"] == "http"


@pytest.mark.parametrize(
    ("client", "told", "proxied"),
    [
        ("127.0.0.1", "203.0.113.7", True),
        ("::1", "203.0.113.7", True),
        ("127.0.0.1", "nonsense", True),
        ("127.0.0.1", "127.0.0.1", False),
        ("127.0.0.1", "", False),
        ("10.0.0.9", "203.0.113.7", False),
    ],
)
def test_a_proxy_nobody_spoke_of_is_noticed(client: str, told: str, proxied: bool) -> None:
    headers = {"x_forwarded_for": told} if told else {}
    found = straightened(scope(client, **headers), behind_proxy=False)
    assert found[PROXIED] is proxied
