"""TensorBoard files, for those who watch their runs there."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from ppap.settings import SettingError


def require_tensorboard() -> None:
    """SettingError unless TensorBoard is installed."""
    try:
        import torch.utils.tensorboard  # noqa: F401
    except ImportError:
        raise SettingError(
            "tensorboard",
            "TensorBoard is not installed: pip install tensorboard, or set tensorboard=false.",
        ) from None


class Board:
    """Writes the numbers of ``metrics.jsonl`` as TensorBoard reads them, too."""

    def __init__(self, folder: Path, *, from_step: int) -> None:
        """Go on after ``from_step``.

        Raises:
            SettingError: TensorBoard is not installed.
        """
        require_tensorboard()
        from torch.utils.tensorboard import SummaryWriter

        self.writer: Any = SummaryWriter(
            str(folder), purge_step=from_step + 1 if from_step else None
        )

    def write(self, kind: str, step: int, numbers: dict[str, Any]) -> None:
        """Add all that are numbers."""
        for name, value in numbers.items():
            if isinstance(value, int | float) and math.isfinite(value):
                self.writer.add_scalar(f"{kind}/{name}", value, step)

    def close(self) -> None:
        """Write what is left."""
        self.writer.close()
