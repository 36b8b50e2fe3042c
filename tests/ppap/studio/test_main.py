from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ppap.studio import main
from tests.conftest import ROOT

OPTIONS = (
    *("--host", "--port", "--backbone", "--images", "--runs", "--help"),
    *("--auth-file", "--no-auth", "--private-runs", "--allowed-host", "--behind-proxy"),
)


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GRADIO_SERVER_NAME", raising=False)
    monkeypatch.delenv("GRADIO_SERVER_PORT", raising=False)
    monkeypatch.delenv("SPACE_ID", raising=False)


def test_help_names_every_option_and_imports_nothing_heavy() -> None:
    code = (
        "import sys, app\n"
        "sys.argv = ['app.py', '--help']\n"
        "try: app.main()\n"
        "except SystemExit as end: code = end.code\n"
        "heavy = ('torch', 'gradio', 'numpy', 'timm', 'PIL', 'ppap.data')\n"
        "print([m for m in heavy if m in sys.modules], code)"
    )
    done = run("-c", code)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[] 0"
    for option in OPTIONS:
        assert option in done.stdout
    assert done.stdout.count("(default:") == 4


def test_without_arguments_only_this_machine_is_served() -> None:
    args = main.arguments([])
    assert (args.host, args.port, args.backbone, args.images) == ("127.0.0.1", 7860, "embedded", [])


def test_folders_may_be_given_several_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    args = main.arguments(["--images", str(tmp_path), "--images=~/a"])
    assert args.images == [tmp_path, tmp_path / "a"]


@pytest.mark.parametrize(
    ("given", "part"),
    [
        (["--images", "/no/such/folder"], "--images: there is no folder /no/such/folder"),
        (["--images", __file__], "--images: there is no folder"),
        (["--images", ""], "--images: there is no folder"),
        (["--images", "~nobody-here/x"], "--images: there is no folder"),
        *(
            (["--port", port], "is not a whole number from 1 to 65535")
            for port in ("0", "65536", "-1", "7860.5", "many", "", "9" * 5000, "²")
        ),
        (["--colour", "blue"], "--colour"),
        (["--allowed-host", "https://a.example"], "'https://a.example' is not a host name such as"),
        (["--allowed-host", "*.example"], "'*.example' is not a host name"),
        (["--private-runs"], "--private-runs needs --auth-file FILE"),
        (["--auth-file", "users", "--no-auth"], "--auth-file and --no-auth contradict each other"),
    ],
)
def test_wrong_arguments_are_told_in_a_sentence(
    given: list[str], part: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        main.arguments(given)
    assert end.value.code == 2
    assert part in capsys.readouterr().err


def test_a_space_names_host_and_port(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GRADIO_SERVER_NAME", "0.0.0.0")
    monkeypatch.setenv("GRADIO_SERVER_PORT", "7861")
    args = main.arguments([])
    assert (args.host, args.port) == ("0.0.0.0", 7861)
    monkeypatch.setenv("GRADIO_SERVER_PORT", "nonsense")
    with pytest.raises(SystemExit):
        main.arguments([])
    assert "'nonsense' is not a whole number" in capsys.readouterr().err


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1", "127.9.9.9", "::1", "[::1]", "::ffff:127.0.0.1"]
)
def test_these_addresses_are_this_machine_s_only(host: str) -> None:
    assert main.is_local(host)


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "192.168.1.5", "", "example.com", "localhost.example.com", "127.1"]
)
def test_these_addresses_may_be_reached_by_others(host: str) -> None:
    assert not main.is_local(host)


@pytest.mark.parametrize(
    ("given", "flag"),
    [
        (["--host", "0.0.0.0"], "--host 0.0.0.0"),
        (["--host", "::"], "--host ::"),
        (["--host", "192.168.1.5"], "--host 192.168.1.5"),
        (["--host", "lab7"], "--host lab7"),
        (["--behind-proxy"], "--behind-proxy"),
        (["--host", "127.0.0.1", "--behind-proxy"], "--behind-proxy"),
    ],
)
def test_others_are_let_in_only_if_it_is_said_whom(given: list[str], flag: str) -> None:
    with pytest.raises(SystemExit) as end:
        main.require_known_visitors(main.arguments(given))
    said = str(end.value.code)
    assert said.startswith(f"{flag} lets other machines reach the studio. Say who may log in")
    assert "ppap-studio add-user FILE NAME" in said
    main.require_known_visitors(main.arguments([*given, "--no-auth"]))
    main.require_known_visitors(main.arguments([*given, "--auth-file", "users"]))


@pytest.mark.parametrize("given", [[], ["--host", "::1"], ["--allowed-host", "studio.example"]])
def test_nobody_has_to_log_in_where_only_this_machine_is_served(given: list[str]) -> None:
    main.require_known_visitors(main.arguments(given))


def test_a_space_lets_in_whom_it_wants(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADIO_SERVER_NAME", "0.0.0.0")
    # A container that sets the address is no Space.
    with pytest.raises(SystemExit):
        main.require_known_visitors(main.arguments([]))
    monkeypatch.setenv("SPACE_ID", "user/name")
    args = main.arguments([])
    assert args.space
    main.require_known_visitors(args)
    # Nor is somebody's own choice of an address one.
    with pytest.raises(SystemExit):
        main.require_known_visitors(main.arguments(["--host", "192.168.1.5"]))


def test_a_file_of_users_that_cannot_be_used_is_told_at_once(tmp_path: Path) -> None:
    done = run("app.py", "--auth-file", str(tmp_path / "users"))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"{tmp_path}/users cannot be read: No such file or directory.\n"


def test_a_port_in_use_is_told_in_a_sentence() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = run("app.py", "--port", port)
    assert done.returncode == 1
    assert f"Cannot listen on 127.0.0.1, port {port}" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("given", "name", "meant"),
    [
        (["--runs", "a"], "runs", "work/a"),
        (["--runs=~/a"], "runs", "home/a"),
        (["--runs", "../a"], "runs", "a"),
        (["--images", "."], "folders", "work"),
        (["--images=~"], "folders", "home"),
        (["--backbone", "x.pth"], "backbone", "work/x.pth"),
        (["--backbone=~/w/x.pth"], "backbone", "home/w/x.pth"),
        (["--backbone", "dinov2_vits14@./x.pth"], "backbone", "dinov2_vits14@work/x.pth"),
        (["--backbone", "dino_vits16"], "backbone", "dino_vits16"),
    ],
)
def test_folders_and_files_mean_what_they_mean_where_it_was_started(
    given: list[str], name: str, meant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ppap.studio import page

    class Built:
        def __init__(self, **what: Any) -> None:
            built.update(what)

        def launch(self, **_: Any) -> None:
            os.chdir("/")

    built: dict[str, Any] = {}
    monkeypatch.setattr(page, "Studio", Built)
    for folder in ("home", "work"):
        (tmp_path / folder).mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "work")
    main.serve(main.arguments(given), None)
    value = built[name][0] if name == "folders" else built[name]
    model, at, rest = meant.rpartition("@")
    wanted = meant if name == "backbone" and "/" not in rest else f"{model}{at}{tmp_path / rest}"
    assert str(value) == wanted


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_what_a_shared_studio_starts_follows_no_links_out_of_its_folders(
    host: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ppap.data.confining import VARIABLE
    from ppap.studio import page

    class Built:
        def __init__(self, **_: Any) -> None:
            code = "from ppap.data.confining import leads_out; print(leads_out('shown/out.jpg'))"
            words = [sys.executable, "-c", code]
            said.append(subprocess.run(words, capture_output=True, text=True).stdout.strip())

        def launch(self, **_: Any) -> None:
            pass

    said: list[str] = []
    monkeypatch.setattr(page, "Studio", Built)
    monkeypatch.setenv(VARIABLE, "[]")  # so that it goes again with this test
    monkeypatch.delenv(VARIABLE)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shown").mkdir()
    (tmp_path / "private.jpg").write_bytes(b"x")
    (tmp_path / "shown/out.jpg").symlink_to(tmp_path / "private.jpg")
    main.serve(main.arguments(["--images", "shown", "--host", host, "--no-auth"]), None)
    assert said == [str(host == "0.0.0.0")]


def test_a_signal_that_nohup_ignores_stays_ignored() -> None:
    code = (
        "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        "from ppap.studio.main import end_on_signals; end_on_signals()\n"
        "signal.raise_signal(signal.SIGHUP); print('goes on', flush=True)\n"
        "signal.raise_signal(signal.SIGTERM); print('never')\n"
    )
    done = run("-c", code)
    assert (done.returncode, done.stdout) == (0, "goes on\n")
