"""A runner whose runs only pretend to train."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.trainers.launching.test_runner import PRETENDER, Pretending
from trainers.launching import runner


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pretending]:
    monkeypatch.setattr(runner, "PROGRAM", (str(PRETENDER),))
    made = Pretending(tmp_path / "runs", patience=30)
    yield made
    made.end_all()
