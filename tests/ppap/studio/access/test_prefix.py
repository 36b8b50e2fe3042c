from __future__ import annotations

import pytest

from ppap.studio.access.prefix import at, meant, path_of, root_path

OWN = ("/studio/static/explore/page.js", "/studio/report")
KNOWN = (*OWN, "/", "/static/img/x.svg", "/static/explore/page.js", "/config", "/gradio_api/info")


@pytest.mark.parametrize("prefix", ["/studio", "/ppap", "/a/b", "/gradio_api", "/static", ""])
@pytest.mark.parametrize("strips", [True, False])
@pytest.mark.parametrize("path", [*OWN, "/", "/static/img/x.svg", "/config", "/gradio_api/info"])
def test_a_path_means_the_same_behind_either_kind_of_proxy(
    prefix: str, strips: bool, path: str
) -> None:
    sent = path if strips else f"{prefix}{path}"
    assert meant(sent, prefix, OWN.__contains__, KNOWN.__contains__) == path


def test_what_nobody_answers_stays_what_it_is() -> None:
    for path in ("/studio", "/studiox", "/other/config"):
        known = meant(path, "/studio", OWN.__contains__, KNOWN.__contains__)
        assert known == ("/" if path == "/studio" else path)


@pytest.mark.parametrize(
    ("given", "root", "path"),
    [
        ("", "", ""),
        ("/", "", ""),
        ("studio", "/studio", "/studio"),
        (" /studio/ ", "/studio", "/studio"),
        ("/a/b/", "/a/b", "/a/b"),
        ("https://example.org/studio/", "https://example.org/studio", "/studio"),
        ("https://example.org", "https://example.org", ""),
    ],
)
def test_a_root_path_is_read_as_people_write_it(given: str, root: str, path: str) -> None:
    assert root_path(given) == root
    assert path_of(root) == path


def test_a_request_moves_whole() -> None:
    moved = at({"path": "/x", "raw_path": b"/x", "method": "GET"}, "/studio/é a%")
    assert moved == {"path": "/studio/é a%", "raw_path": b"/studio/%C3%A9%20a%25", "method": "GET"}
