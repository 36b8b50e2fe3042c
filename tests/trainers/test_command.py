"""Commands on anybody's terminal, in anybody's folder, without a home."""

from __future__ import annotations

import argparse
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from trainers import ablation, compare, crops, evaluate, segment, study, train
from trainers.command import as_command, default_cache, expanded, say, steady_output

NEEDED = {
    compare: ["camvid", "--out=there"],
    ablation: ["camvid", "--name=a"],
    crops: ["camvid", "--data=there"],
    evaluate: ["runs/a"],
    segment: ["photos", "--out=there"],
    study: ["--out=there"],
    train: [],
}
PATHS = [
    (compare, "data"),
    (compare, "out"),
    (compare, "cache"),
    (ablation, "data"),
    (ablation, "runs"),
    (ablation, "cache"),
    (crops, "data"),
    (crops, "out"),
    (evaluate, "data"),
    (evaluate, "json"),
    (evaluate, "pictures"),
    (evaluate, "predictions"),
    (evaluate, "write_predictions"),
    (segment, "out"),
    (segment, "checkpoint"),
    (study, "data"),
    (study, "out"),
    (train, "data"),
    (train, "out"),
    (train, "cache"),
]


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with another as home."""
    (tmp_path / "home").mkdir()
    (tmp_path / "work").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("a/b", "work/a/b"),
        ("./a", "work/a"),
        ("../a", "a"),
        ("~/a", "home/a"),
        ("~", "home"),
        (".", "work"),
        ("~no-such-user/a", "work/~no-such-user/a"),
    ],
)
def test_a_path_means_the_same_everywhere(folders: Path, typed: str, meant: str) -> None:
    path = expanded(Path(typed))
    os.chdir("/")
    assert path == folders / meant
    assert expanded(path) == path
    assert expanded("/x/y") == Path("/x/y")


def test_the_name_of_a_link_stays(folders: Path) -> None:
    (folders / "run-17").mkdir()
    Path("latest").symlink_to(folders / "run-17")
    assert expanded(Path("latest")).name == "latest"


@pytest.mark.parametrize(("command", "name"), PATHS, ids=lambda x: getattr(x, "__name__", x))
def test_every_flag_that_is_a_path_is_read_alike(command: object, name: str, folders: Path) -> None:
    flag = f"--{name.replace('_', '-')}"
    given = command.parser().parse_args([*NEEDED[command], f"{flag}=~/a"])  # type: ignore
    assert getattr(given, name) == folders / "home" / "a"
    given = command.parser().parse_args([*NEEDED[command], flag, "a"])  # type: ignore
    assert getattr(given, name) == folders / "work" / "a"


def test_no_flag_that_is_a_path_is_missed() -> None:
    for command, needed in NEEDED.items():
        made: argparse.ArgumentParser = command.parser()
        named = {name for one, name in PATHS if one is command}
        for action in made._actions:
            if action.metavar in ("DIR", "FOLDER", "RUN", "RUNS") or action.type is Path:
                named_one = action.dest in named or not action.option_strings
                assert named_one, f"{command.__name__} {needed} {action.dest}"
                assert action.type is expanded


def test_the_cache_is_absolute(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("PPAP_CACHE", raising=False)
    assert default_cache() == folders / "home/.cache/ppap-studio/features"
    monkeypatch.setenv("PPAP_CACHE", "~/kept")
    assert default_cache() == folders / "home/kept"
    monkeypatch.setenv("PPAP_CACHE", "kept")
    assert default_cache() == folders / "work/kept"


# --- terminals


@pytest.mark.parametrize(
    ("encoding", "text", "written"),
    [
        ("ascii", "Φ⁰ ≤ 0.6 …", b"Phi0 <= 0.6 ..."),
        ("ascii", "−1 × 2 ± 3 →", b"-1 x 2 +/- 3 ->"),
        ("ascii", "Prüfung 하늘", rb"Pr\xfcfung \ud558\ub298"),
        ("latin-1", "Prüfung …", b"Pr\xfcfung ..."),
        ("cp1252", "Φ… 道路", rb"Phi" + b"\x85" + rb" \u9053\u8def"),
        ("utf-8", "Φ… 道路", "Φ… 道路".encode()),
        ("utf-8", "name\udcfc", rb"name\udcfc"),
        ("gbk", "道路 Ψ −", "道路 Ψ ".encode("gbk") + b"-"),
    ],
)
def test_what_an_encoding_lacks_is_written_otherwise(
    encoding: str, text: str, written: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding))
    with steady_output():
        print(text, end="")
    assert raw.getvalue() == written


def closed_early(code: str, stream: str, lines: int) -> tuple[int, bytes]:
    """Read so many lines of a stream, close it, let the process go on; its status and the other."""
    with subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        read = getattr(process, stream)
        for _ in range(lines):
            assert read.readline()
        read.close()
        assert process.stdin is not None
        process.stdin.write(b"go\n")
        process.stdin.close()
        kept: bytes = getattr(process, "stderr" if stream == "stdout" else "stdout").read()
        return process.wait(60), kept


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_reader_that_goes_ends_nothing(stream: str) -> None:
    other = "stderr" if stream == "stdout" else "stdout"
    code = f"""
import sys
from trainers.command import as_command
@as_command
def main():
    print("first", file=sys.{stream}, flush=True)
    sys.stdin.readline()
    for number in range(50_000):
        print("a line", file=sys.{stream})
    print("last words", file=sys.{stream}, flush=True)
    print("done", file=sys.{other})
    return 7
sys.exit(main())
"""
    assert closed_early(code, stream, 1) == (7, b"done\n")


def test_the_help_into_a_closed_pipe_ends_quietly() -> None:
    code = "import sys; from trainers.train import main; sys.stdin.readline(); main(['--help'])"
    assert closed_early(code, "stdout", 0) == (0, b"")


def test_the_streams_are_put_back(capsys: pytest.CaptureFixture[str]) -> None:
    before = sys.stdout, sys.stderr

    @as_command
    def main(text: str) -> int:
        with steady_output():
            print(text)
        say("twice")
        return 3

    assert main("once") == 3
    assert (sys.stdout, sys.stderr) == before
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("once\n", "twice\n")


def test_without_any_output_there_is_nothing_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    with steady_output():
        print("nobody sees this")
    assert sys.stdout is None


# --- homes


@pytest.mark.parametrize("home", ["", "file"])
def test_commands_work_without_a_home(home: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path / home) if home else ""}
    environment |= {"TMPDIR": str(tmp_path)}
    if not home:
        del environment["HOME"]
    # As for a user whom the system does not know.
    code = """
import os, pathlib, pwd, sys
def unknown(*_):
    raise KeyError("uid not found")
pwd.getpwuid = unknown
from trainers.train import main
sys.exit(main(["--list"]))
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "camvid" in done.stdout
    assert done.stderr.count("caches are kept in") == 1
    assert len(done.stderr.splitlines()) == 1
