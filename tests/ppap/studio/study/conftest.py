"""Ablations as pages ask for them; what they started ends with the test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ppap.studio.study.test_ablations import Place


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    yield made
    for process in made.ablating._processes.values():
        process.kill()
        process.wait()
