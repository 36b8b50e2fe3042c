"""The worked examples of docs/add-a-….md, applied to a copy of the project and run there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from ppap.propagation import propagate
from tests.conftest import ROOT
from tests.support.layouts import write_image, write_labels

PAGES = ("add-a-data-set", "add-a-rule", "add-a-backbone", "add-a-page")
# Of a new file, of a change, and of what is tried in the end.
NEW = re.compile(r"^New file `(\S+)`:\n\n```\w+\n(.*?)^```", re.MULTILINE | re.DOTALL)
CHANGE = re.compile(r"^Change `(\S+)`:\n\n```diff\n(.*?)^```", re.MULTILINE | re.DOTALL)
TRIED = re.compile(r"^\*\*\d\. Try it.*?^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
MOST_LINES = 120


def page(name: str) -> str:
    return (ROOT / "docs" / f"{name}.md").read_text()


def hunks(diff: str) -> Iterator[tuple[str, str]]:
    """A diff's texts before and after, part by part; a line of @@ parts them."""
    for part in re.split(r"^@@\n", diff, flags=re.MULTILINE):
        lines = part.splitlines(keepends=True)
        assert all(line[0] in " +-" for line in lines), part
        before = "".join(line[1:] for line in lines if line[0] != "+")
        yield before, "".join(line[1:] for line in lines if line[0] != "-")


def apply(text: str, root: Path) -> None:
    """Write a page's new files below ``root``, and make its changes there."""
    for name, body in NEW.findall(text):
        file = root / name
        assert not (ROOT / name).exists()
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(body)
    for name, diff in CHANGE.findall(text):
        file = root / name
        for before, after in hunks(diff):
            whole = file.read_text()
            assert whole.count(before) == 1, f"{name} has no such lines, or several:\n{before}"
            file.write_text(whole.replace(before, after))


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What the four examples print, tried in one process on one copy."""
    copy = tmp_path_factory.mktemp("copy")
    for part in ("ppap", "trainers", "assets"):
        leave = shutil.ignore_patterns("__pycache__", "figures")
        shutil.copytree(ROOT / part, copy / part, ignore=leave)
    flights = copy / "flights"
    write_image(flights / "train/7.jpg", 120)
    write_labels(flights / "truth/train/7.png", (0, 1, 2, 3, 4))
    script = f"DRONE = {str(flights)!r}\n"
    for name in PAGES:
        text = page(name)
        apply(text, copy)
        script += "".join(TRIED.findall(text))
    environment = {**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=copy,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("name", PAGES)
def test_it_is_short_and_has_something_to_try(name: str) -> None:
    text = page(name)
    assert len(text.splitlines()) <= MOST_LINES
    assert NEW.findall(text)
    assert CHANGE.findall(text)
    assert len(TRIED.findall(text)) == 1


def test_a_data_set(said: list[str]) -> None:
    classes = "('vegetation', 'road', 'roof', 'water')"
    assert said[0] == f"Drone flights, 4 classes {classes} (6, 8, 3) 3"


def test_a_rule(said: list[str]) -> None:
    counts = [int(n) for n in re.findall(r"tensor\((\d+)\)", said[1])]
    features = torch.randn(200, 16, generator=torch.Generator().manual_seed(0))
    still = propagate(features, torch.tensor([3, 4]), phi0=0.55, psi0=0.15, steps=0)
    assert counts == [int(one.sum()) for one in still.at(0)]
    assert all(counts)


def test_a_backbone(said: list[str]) -> None:
    assert said[2] == "Pixels torch.Size([16, 768])"


def test_a_page(said: list[str]) -> None:
    assert said[3] == "True There is no folder /no/such/folder on this server."
