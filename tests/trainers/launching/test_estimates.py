"""What a run will need is held against what this process may use, not against the whole machine."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ppap.machine import Memory
from trainers.launching import estimates
from trainers.launching.estimates import estimate, memory_free
from trainers.launching.orders import read_order
from trainers.launching.scaling import Step, loss_memory
from trainers.recipes import find


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


def test_comparing_patches_takes_memory_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That of the loss, as ``scaling`` has it: less with fewer candidates, none where none are."""
    monkeypatch.setattr(estimates, "free_bytes", lambda folder: 10**12)

    def memory(**settings: str) -> int:
        usual = {"device": "cpu", "cache": "off"}
        order, errors = read_order({"recipe": "samples", "name": "a", "settings": usual | settings})
        assert order is not None, errors
        return estimate(order, cache=tmp_path, out=tmp_path).memory

    without = memory(rule="frozen")
    config = find("samples").config
    side = config.size // 16  # patches of the embedded backbone
    for candidates in (0, 500):
        step = Step(
            config.batch, 1, side**2, 624, config.steps, config.anchors, candidates=candidates
        )
        found = memory(candidates=str(candidates))
        assert found - without == pytest.approx(loss_memory(step), rel=1e-3)
