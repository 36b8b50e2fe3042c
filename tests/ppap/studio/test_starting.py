"""The studio on a machine where little is as it should be, from its start to its end."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from gradio_client import Client, handle_file  # type: ignore[import-untyped]

from tests.conftest import ROOT
from tests.support.small_studio import draw

pytestmark = pytest.mark.slow


class Started(NamedTuple):
    process: subprocess.Popen[bytes]
    url: str
    log: Path
    temporary: Path


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Started]:
    """Odd proxies, a terminal of ASCII, no home, and uploads wanted where there can be none."""
    (tmp_path / "file").touch()
    (tmp_path / "tmp").mkdir()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        **os.environ,
        "ALL_PROXY": "socks://127.0.0.1:9/",
        "http_proxy": "http://127.0.0.1:9",
        "NO_PROXY": "::1/128,[fd00::]/8",
        "PYTHONIOENCODING": "ascii",
        "HOME": str(tmp_path / "file"),
        "XDG_CACHE_HOME": str(tmp_path / "file"),
        "GRADIO_TEMP_DIR": str(tmp_path / "file"),
        "TMPDIR": str(tmp_path / "tmp"),
    }
    log = tmp_path / "log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "app.py", "--port", str(port)],
            cwd=ROOT,
            env=environment,
            stdout=stream,
            stderr=subprocess.STDOUT,
        )
    try:
        deadline = time.monotonic() + 120
        while b"Open http" not in log.read_bytes():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        yield Started(process, f"http://127.0.0.1:{port}/", log, tmp_path / "tmp")
    finally:
        process.kill()
        process.wait()


def test_it_starts_takes_uploads_and_leaves_nothing(started: Started, tmp_path: Path) -> None:
    picture = draw(tmp_path / "a.png", 0)
    client = Client(started.url, verbose=False, download_files=False)
    try:
        client.predict([handle_file(picture)], size=224, clusters=2, api_name="/segment_images")
    finally:
        client.close()
    uploads = started.temporary / f"ppap-studio-{os.getuid()}" / "uploads"
    assert list(uploads.rglob("a.png")), "it went into the private folder"
    started.process.send_signal(signal.SIGTERM)
    assert started.process.wait(60) == 0
    said = started.log.read_text()
    assert said.isascii()
    assert "Traceback" not in said
    assert f"GRADIO_TEMP_DIR ({tmp_path}/file) cannot be written" in said
    assert said.count("caches are kept in") == 1
    assert list(uploads.iterdir()) == []
    assert [f for f in started.temporary.iterdir() if f.name != uploads.parent.name] == []
