from __future__ import annotations

import importlib.util
import math
import sys
from pathlib import Path

import pytest

from ppap.settings import SettingError
from trainers.runs.boards import Board, require_tensorboard

MISSING = importlib.util.find_spec("tensorboard") is None
needs_tensorboard = pytest.mark.skipif(MISSING, reason="TensorBoard is not installed")


def test_without_tensorboard_it_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    said = r"TensorBoard is not installed: pip install tensorboard, or set tensorboard=false\."
    for attempt in (require_tensorboard, lambda: Board(tmp_path, from_step=0)):
        with pytest.raises(SettingError, match=said) as found:
            attempt()
        assert found.value.field == "tensorboard"


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """What TensorBoard reads there."""
    from tensorboard.backend.event_processing.event_accumulator import (  # type: ignore[import-not-found,unused-ignore]
        EventAccumulator,
    )

    found = EventAccumulator(str(folder))
    found.Reload()
    return {
        tag: [(event.step, event.value) for event in found.Scalars(tag)]
        for tag in found.Tags()["scalars"]
    }


@needs_tensorboard
def test_numbers_are_written_and_later_steps_come_again(tmp_path: Path) -> None:
    board = Board(tmp_path, from_step=0)
    for step in (1, 2, 3):
        board.write("step", step, {"loss": step / 2, "split": "val", "empty": math.nan, "no": None})
    board.close()
    assert scalars(tmp_path) == {"step/loss": [(1, 0.5), (2, 1.0), (3, 1.5)]}
    again = Board(tmp_path, from_step=1)
    again.write("step", 2, {"loss": 7.0})
    again.close()
    assert scalars(tmp_path) == {"step/loss": [(1, 0.5), (2, 7.0)]}
