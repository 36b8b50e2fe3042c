"""What the README and getting started say must be so."""

from __future__ import annotations

import re
import subprocess
import sys

from tests.conftest import ROOT

README = (ROOT / "README.md").read_text()
STARTED = (ROOT / "docs" / "getting-started.md").read_text()
MOST_LINES = 150


def test_it_is_short() -> None:
    assert len(README.splitlines()) <= MOST_LINES


def test_the_library_examples_run_as_written() -> None:
    (five,) = re.findall(r"```python\n(import torch.*?)```", README, re.DOTALL)
    (longer,) = re.findall(r"```python\n(import torch.*?)```", STARTED, re.DOTALL)
    assert len(five.replace("\n\n", "\n").splitlines()) == 5
    done = subprocess.run(
        [sys.executable, "-c", five + longer], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    counts = [int(n) for n in re.findall(r"tensor\((\d+)\)", done.stdout)]
    for example in (counts[:3], counts[3:]):
        assert sum(example) == 6 * 28 * 28 - 1
        assert example[0] > 100
