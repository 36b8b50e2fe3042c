"""The wheel, installed where nothing but it and what it needs is seen, and used from elsewhere."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import urllib.request
import venv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from zipfile import ZipFile

import pytest

import ppap
from tests.browser.driver import served
from tests.conftest import ROOT

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Installed:
    """An environment with the wheel, and a folder to work in."""

    wheel: Path
    bin: Path
    elsewhere: Path

    def run(self, *words: str | Path) -> subprocess.CompletedProcess[str]:
        """One of its programs, in a folder that is not the checkout."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
        return subprocess.run(
            [str(self.bin / words[0]), *map(str, words[1:])],
            cwd=self.elsewhere,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
        )


def pip(*words: str | Path) -> None:
    command: Sequence[str] = [sys.executable, "-m", "pip", "--quiet", *map(str, words)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    place = tmp_path_factory.mktemp("installed")
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", place, ".")
    (wheel,) = place.glob("*.whl")
    venv.create(place / "venv", with_pip=False, symlinks=True)
    python = place / "venv" / "bin" / "python"
    pip("--python", python, "install", "--no-deps", "--no-index", wheel)
    (site,) = (place / "venv" / "lib").glob("python*/site-packages")
    # What the project needs, but not the project: a path in a .pth is not searched for others.
    (site / "needed.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    elsewhere = place / "elsewhere"
    elsewhere.mkdir()
    return Installed(wheel, python.parent, elsewhere)


def test_what_is_in_the_wheel(installed: Installed) -> None:
    assert installed.wheel.name == f"ppap_studio-{ppap.__version__}-py3-none-any.whl"
    with ZipFile(installed.wheel) as archive:
        names = set(archive.namelist())
        (metadata,) = (name for name in names if name.endswith("/METADATA"))
        text = archive.read(metadata).decode()
    tops = {name.split("/")[0] for name in names}
    assert tops == {"ppap", "trainers", metadata.split("/")[0]}
    for tree in ("ppap", "trainers"):
        ours = {path.relative_to(ROOT).as_posix() for path in (ROOT / tree).rglob("*.py")}
        assert ours <= names
        assert f"{tree}/py.typed" in names
    assets = [p for part in ("studio", "samples") for p in (ROOT / "assets" / part).rglob("*.*")]
    for asset in [*assets, ROOT / "assets" / "report.css"]:
        assert f"ppap/{asset.relative_to(ROOT).as_posix()}" in names
    needed = [line for line in text.splitlines() if line.startswith("Requires-Dist: ")]
    assert any(line.startswith("Requires-Dist: torch<") for line in needed)
    # Compiled from source, so nobody must have it.
    (crf,) = (line for line in needed if "pydensecrf2" in line)
    assert crf.endswith("extra == 'crf'")
    for extra in ("crf", "docs", "formats", "test", "track"):
        assert f"Provides-Extra: {extra}" in text


def test_the_version_stands_in_the_changelog() -> None:
    assert f"\n## {ppap.__version__}" in (ROOT / "CHANGELOG.md").read_text()


def test_the_library_in_a_script(installed: Installed) -> None:
    script = installed.elsewhere / "script.py"
    script.write_text(
        "import torch, ppap\n"
        "sets = ppap.propagate(torch.eye(3).repeat(2, 1), torch.tensor([0]))\n"
        "print(ppap.__file__, ppap.__version__, *sets.positive[0].nonzero().flatten().tolist())\n"
    )
    done = installed.run("python", script)
    assert done.returncode == 0, done.stderr
    file, version, *positives = done.stdout.split()
    assert Path(file).is_relative_to(installed.bin.parent)
    assert (version, positives) == (ppap.__version__, ["3"])


def test_two_steps_of_training(installed: Installed) -> None:
    words = ["--no-report", "--cache", "cache", "--set", "max_steps=2"]
    small = ["crops=none", "size=64", "eval_size=64", "batch=2", "probe_epochs=0", "cache=off"]
    done = installed.run("ppap", "train", "samples", "--out", "runs/two", *words, *small)
    assert done.returncode == 0, done.stderr
    state = json.loads((installed.elsewhere / "runs/two/state.json").read_text())
    assert (state["state"], state["step"]) == ("finished", 2)


def test_commands_are_called_as_they_were_typed(installed: Installed) -> None:
    assert installed.run("ppap", "--version").stdout == f"{ppap.__version__}\n"
    for name in ("train", "evaluate", "segment", "study", "compare", "ablation", "crops"):
        assert f"\n  {name} " in installed.run("ppap").stdout
        shown = installed.run("ppap", name, "--help").stdout
        assert shown.startswith(f"usage: ppap {name} ")
        assert "python -m" not in shown
    wrong = installed.run("ppap", "trian")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr == "There is no command 'trian': did you mean train?\n"
    assert installed.run("ppap", "sing").stderr == (
        "There is no command 'sing': choose one of train, evaluate, segment, study, compare, "
        "ablation, crops.\n"
    )


def test_the_studio_from_another_folder(installed: Installed) -> None:
    environment = {"PYTHONPATH": "", "HOME": str(installed.elsewhere)}
    command = [str(installed.bin / "ppap-studio")]
    with served(command, cwd=installed.elsewhere, environment=environment) as running:
        for part in ("", "studio/static/explore/page.js", "studio/static/train/page.css"):
            with urllib.request.urlopen(running.url + part, timeout=30) as answer:
                assert answer.status == 200
        lines = running.log.read_text()
    assert "Traceback" not in lines
