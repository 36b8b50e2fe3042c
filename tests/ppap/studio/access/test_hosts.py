from __future__ import annotations

import pytest

from ppap.studio.access import hosts
from ppap.studio.access.hosts import Hosts, allowed_host, authority, is_loopback, same_origin

LOCAL = ("localhost", "LOCALHOST", "localhost.", "127.0.0.1", "127.9.9.9", "::1", "[::1]")
FOREIGN = ("evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "127.1", "0.0.0.0")


@pytest.mark.parametrize("host", [*LOCAL, "::ffff:127.0.0.1"])
def test_loopback_in_all_its_forms(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", [*FOREIGN, "", "::", "192.168.1.5", "::ffff:8.8.8.8", "2130706433"]
)
def test_what_looks_like_loopback_is_not(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize(
    ("text", "name", "port"),
    [
        ("localhost:7860", "localhost", 7860),
        ("LocalHost", "localhost", None),
        ("[0:0:0:0:0:0:0:1]:80", "::1", 80),
        ("[::ffff:127.0.0.1]", "127.0.0.1", None),
        ("studio.example.org.", "studio.example.org", None),
    ],
)
def test_an_authority_in_one_form(text: str, name: str, port: int | None) -> None:
    found = authority(text)
    assert found is not None
    assert found == (name, port)


@pytest.mark.parametrize(
    "text",
    ["", ":7860", "a@localhost", "localhost:7860@evil.example", "a b", "::1", "localhost:",
     "localhost:x", "localhost:123456", "localhost/evil", "localhost#x", "[::1", "localhost,evil"],
)  # fmt: skip
def test_what_no_browser_sends_is_no_authority(text: str) -> None:
    assert authority(text) is None


@pytest.mark.parametrize("listening", ["127.0.0.1", "::1", "localhost", "192.168.1.5"])
def test_a_studio_is_known_by_loopback_names_and_its_own_address(listening: str) -> None:
    known = Hosts(listening)
    for host in (*(hosts.bare(name) for name in LOCAL), listening):
        assert host in known
    for host in (*FOREIGN, "10.0.0.1", "fe80::1"):
        assert host not in known


def test_one_that_listens_on_all_addresses_is_known_by_each_but_by_no_foreign_name() -> None:
    for listening in ("0.0.0.0", "::"):
        known = Hosts(listening)
        for host in ("10.0.0.1", "fe80::1", "127.0.0.1", "localhost"):
            assert host in known
        assert "evil.example" not in known
        assert "127.0.0.1.evil.example" not in known


def test_the_machine_s_own_names_count_where_others_can_reach_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "Lab7.example.org")
    known = Hosts("0.0.0.0")
    for host in ("lab7.example.org", "lab7", "lab7.local"):
        assert host in known
        assert host not in Hosts("127.0.0.1")


def test_further_names_are_allowed_as_they_are_given() -> None:
    known = Hosts("127.0.0.1", [allowed_host("Studio.Example.org:8443")])
    assert "studio.example.org" in known
    assert "other.example.org" not in known
    assert "evil.studio.example.org" not in known


@pytest.mark.parametrize(
    "text", ["", "https://studio.example.org", "a/b", "*.example.org", "a b", "-x", "user@x"]
)
def test_what_is_no_name_cannot_be_allowed(text: str) -> None:
    with pytest.raises(ValueError, match="is not a host name such as"):
        allowed_host(text)


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://localhost:7860", "localhost:7860"),
        ("http://127.0.0.1", "127.0.0.1:80"),
        ("https://studio.example.org", "studio.example.org"),
        ("https://studio.example.org", "studio.example.org:443"),
        ("http://[::1]:7860", "[0::1]:7860"),
    ],
)
def test_the_studio_s_own_pages(origin: str, host: str) -> None:
    known = authority(host)
    assert known is not None
    assert same_origin(origin, known)


@pytest.mark.parametrize(
    "origin",
    ["null", "", "http://localhost", "http://localhost:7861", "http://127.0.0.1:7860",
     "https://localhost", "http://evil.example:7860", "http://localhost:7860.evil.example",
     "http://localhost:7860@evil.example", "file://", "chrome-extension://localhost:7860",
     "http://localhost:7860/x", "http://localhost:7860?x", "http://[localhost:7860",
     "//localhost:7860"],
)  # fmt: skip
def test_any_other_page_is_foreign(origin: str) -> None:
    known = authority("localhost:7860")
    assert known is not None
    assert not same_origin(origin, known)
