"""What the README says must be so."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from ppap.settings import RANGES

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def test_the_library_example_runs_as_written() -> None:
    (lines,) = re.findall(r"```python\n(import torch.*?)```", README, re.DOTALL)
    done = subprocess.run(
        [sys.executable, "-c", lines], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    counts = [int(n) for n in re.findall(r"tensor\((\d+)\)", done.stdout)]
    assert sum(counts) == 6 * 28 * 28 - 1
    assert counts[0] > 100


def test_every_setting_is_explained_in_the_words_of_the_page() -> None:
    for setting in RANGES.values():
        assert setting.meaning in README


def test_every_file_it_points_to_is_there() -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / target).is_file(), target


def test_every_make_target_it_names_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z-]+)", README)) <= targets
