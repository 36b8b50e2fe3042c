"""What a run will need is held against what this process may use, not against the whole machine."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ppap.machine import Memory
from trainers.launching import estimates
from trainers.launching.estimates import estimate, memory_free
from trainers.launching.orders import read_order


def test_memory_that_a_container_leaves_is_what_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = {"recipe": "samples", "name": "a", "settings": {"device": "cpu", "cache": "off"}}
    order, errors = read_order(raw)
    assert order is not None, errors
    monkeypatch.setattr(estimates, "free_bytes", lambda folder: 10**12)
    monkeypatch.setattr(estimates, "main_memory", lambda: Memory(2**40, 2**40))
    needs = estimate(order, cache=tmp_path, out=tmp_path)
    assert needs.refusal == ""
    assert memory_free(torch.device("cpu")) == 2**40
    monkeypatch.setattr(estimates, "main_memory", lambda: Memory(2**29, 2**28))
    needs = estimate(order, cache=tmp_path, out=tmp_path)
    assert "of memory, but 0.3 GB are free on cpu" in needs.refusal, needs.refusal
