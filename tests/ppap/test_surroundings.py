"""Caches without a home, folders of other users, and proxies in the forms that people have."""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from ppap import surroundings
from ppap.surroundings import (
    cache_home,
    can_write,
    find_caches,
    find_place_for_compiled,
    mend_proxies,
    private_folder,
)

CACHES = ("XDG_CACHE_HOME", "MPLCONFIGDIR", "TRITON_CACHE_DIR", "HF_HOME", "TORCH_HOME")
NOT_OWN = pytest.mark.skipif(
    not hasattr(os, "getuid") or os.getuid() != 0, reason="needs root, to make others' files"
)


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """No caches, no proxies, and temporary files of this test alone; put back afterwards."""
    before = dict(os.environ)
    for name in list(os.environ):
        if name in (*CACHES, "NUMBA_CACHE_DIR") or name.lower().endswith("_proxy"):
            del os.environ[name]
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    private_folder.cache_clear()
    yield
    private_folder.cache_clear()
    os.environ.clear()
    os.environ.update(before)


def test_the_private_folder_is_nobody_elses() -> None:
    folder = private_folder()
    assert folder == Path(tempfile.gettempdir()) / f"ppap-studio-{os.getuid()}"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_private_folder_that_others_can_open_is_closed() -> None:
    folder = Path(tempfile.gettempdir()) / f"ppap-studio-{os.getuid()}"
    folder.mkdir()
    folder.chmod(0o777)
    assert private_folder() == folder
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@NOT_OWN
def test_another_users_folder_of_that_name_is_not_used() -> None:
    theirs = Path(tempfile.gettempdir()) / f"ppap-studio-{os.getuid()}"
    theirs.mkdir()
    os.chown(theirs, 54321, 54321)
    own = private_folder()
    assert own != theirs
    assert own.lstat().st_uid == os.getuid()
    assert stat.S_IMODE(own.stat().st_mode) == 0o700


@pytest.mark.parametrize("what", ["link", "file"])
def test_neither_a_link_nor_a_file_of_that_name_is_used(what: str, tmp_path: Path) -> None:
    there = Path(tempfile.gettempdir()) / f"ppap-studio-{os.getuid()}"
    (tmp_path / "elsewhere").mkdir(mode=0o755)
    if what == "link":
        there.symlink_to(tmp_path / "elsewhere")
    else:
        there.touch()
    assert private_folder() != there
    assert stat.S_IMODE((tmp_path / "elsewhere").stat().st_mode) == 0o755


def test_a_home_that_can_be_written_stays_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert find_caches() is None
    assert not set(CACHES) & set(os.environ)
    assert cache_home() == tmp_path / ".cache"


@pytest.mark.parametrize("home", ["file", "file/below", "/proc/none", "/dev/null"])
def test_caches_without_a_home_are_private(
    home: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("HOME", str(tmp_path / home))
    said = find_caches()
    assert said is not None
    assert f"{tmp_path / home}/.cache cannot be written" in said
    place = cache_home()
    assert place == private_folder() / "cache"
    assert can_write(place)
    assert os.environ["MPLCONFIGDIR"] == str(place / "matplotlib")
    assert find_caches() is None, "said once"


def test_a_user_whom_the_system_does_not_know(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(_: object) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", classmethod(unknown))
    assert cache_home() is None
    said = find_caches()
    assert said is not None
    assert said.startswith("There is no home folder, so caches are kept in ")
    assert cache_home() == private_folder() / "cache"


def test_a_cache_that_was_named_but_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    os.environ["XDG_CACHE_HOME"] = str(tmp_path / "file")
    os.environ["MPLCONFIGDIR"] = str(tmp_path / "mine")
    assert find_caches() is not None
    assert cache_home() == private_folder() / "cache"
    assert os.environ["MPLCONFIGDIR"] == str(tmp_path / "mine")


@pytest.mark.skipif(sys.platform != "linux", reason="needs a folder that nobody can write")
def test_downloads_are_still_found_in_a_home_that_can_only_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "huggingface").mkdir()
    os.environ["XDG_CACHE_HOME"] = str(tmp_path)
    tried = surroundings.can_write
    monkeypatch.setattr(
        surroundings, "can_write", lambda folder: folder != tmp_path and tried(folder)
    )
    assert find_caches() is not None
    assert os.environ["HF_HOME"] == str(tmp_path / "huggingface")
    assert "TORCH_HOME" not in os.environ, "there is none to be read"


def test_compiled_code_is_kept_wherever_it_can_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("made_up", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    os.environ["XDG_CACHE_HOME"] = str(tmp_path / "cache")
    refused: list[Path] = []
    tried = surroundings.can_write
    monkeypatch.setattr(
        surroundings, "can_write", lambda folder: folder not in refused and tried(folder)
    )
    find_place_for_compiled("made_up", "other")
    refused.append(tmp_path / "other" / "__pycache__")
    find_place_for_compiled("made_up", "other")
    assert "NUMBA_CACHE_DIR" not in os.environ, "numba finds one of these itself"
    refused.append(tmp_path / "cache")
    find_place_for_compiled("made_up", "other")
    assert os.environ["NUMBA_CACHE_DIR"] == str(private_folder() / "cache" / "numba")
    os.environ["NUMBA_CACHE_DIR"] = "/chosen"
    find_place_for_compiled("made_up", "other")
    assert os.environ["NUMBA_CACHE_DIR"] == "/chosen"


# --- proxies


def proxied(url: str) -> bool:
    """Whether httpx would send a request for this through a proxy."""
    with httpx.Client() as client:
        return client._transport_for_url(httpx.URL(url)) is not client._transport


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ({"ALL_PROXY": "socks://127.0.0.1:9/"}, "socks5://127.0.0.1:9/"),
        ({"all_proxy": "SOCKS://127.0.0.1:9"}, "socks5://127.0.0.1:9"),
        ({"all_proxy": "socks5a://127.0.0.1:9"}, "socks5h://127.0.0.1:9"),
        ({"ALL_PROXY": "socks5h://127.0.0.1:9"}, "socks5h://127.0.0.1:9"),
        ({"http_proxy": " http://127.0.0.1:9"}, "http://127.0.0.1:9"),
        ({"HTTP_PROXY": "proxy.example:3128"}, "proxy.example:3128"),
    ],
)
def test_proxies_are_understood_and_this_machine_needs_none(
    given: dict[str, str], meant: str
) -> None:
    os.environ.update(given)
    assert mend_proxies(["192.0.2.7"]) == []
    assert os.environ[next(iter(given))] == meant
    assert proxied("http://hub.example/")
    for host in ("localhost", "127.0.0.1", "[::1]", "192.0.2.7"):
        assert not proxied(f"http://{host}:7860/"), host


@pytest.mark.parametrize(
    "value", ["socks4://127.0.0.1:9", "direct://", "ftp://a:1", "pac+http://a"]
)
def test_a_proxy_that_cannot_be_used_is_ignored_and_told(value: str) -> None:
    os.environ["ALL_PROXY"] = value
    said = mend_proxies()
    assert said == [f"ALL_PROXY={value} is not a usable proxy, so it is ignored."]
    assert "ALL_PROXY" not in os.environ
    assert not proxied("http://hub.example/")


def test_no_password_is_told() -> None:
    os.environ["ALL_PROXY"] = "socks4://me:geheim@127.0.0.1:9"
    (said,) = mend_proxies()
    assert "geheim" not in said
    assert "socks4://me:…@127.0.0.1:9" in said


@pytest.mark.parametrize(
    "value",
    [
        "localhost,127.0.0.1,::1/128",
        "fd00::/8, .corp.example",
        "[::1]:80;*.corp.example",
        "<local> a:b:c .corp.example",
        "https://,127.0.0.1:,.corp.example",
    ],
)
def test_odd_exceptions_fail_no_request(value: str) -> None:
    os.environ.update(NO_PROXY=value, http_proxy="http://127.0.0.1:9")
    assert mend_proxies() == []
    assert not proxied("http://127.0.0.1:7860/")
    assert proxied("http://hub.example/")
    if "corp" in value:
        assert not proxied("http://git.corp.example/")


def test_odd_exceptions_fail_nothing_without_a_proxy_either() -> None:
    os.environ["no_proxy"] = "::1/128,fe80::/10"
    assert mend_proxies() == []
    assert not proxied("http://127.0.0.1/")
    assert not proxied("http://hub.example/")


def test_no_proxy_at_all_stays_no_proxy_at_all() -> None:
    os.environ.update(NO_PROXY="*", all_proxy="socks5://127.0.0.1:9")
    assert mend_proxies() == []
    assert os.environ["NO_PROXY"] == "*"
    assert not proxied("http://hub.example/")


def test_exceptions_that_still_cannot_be_understood_are_ignored(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    os.environ["NO_PROXY"] = "::1/128"
    monkeypatch.setattr(surroundings, "understood", lambda entry: True)
    monkeypatch.setattr(surroundings, "plain_entry", lambda entry: entry)
    assert mend_proxies() == ["NO_PROXY cannot be understood, so it is ignored."]
    assert not proxied("http://127.0.0.1/")


def test_nothing_is_set_where_nothing_was() -> None:
    assert mend_proxies() == []
    assert not [name for name in os.environ if name.lower().endswith("_proxy")]
