"""TensorBoard's files: ``tensorboard/`` in the run's folder."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from typing import Any

from trainers.tracking.about import REPORT, About, curves


class Board:
    """Writes the numbers of ``metrics.jsonl`` as TensorBoard reads them."""

    def __init__(self, about: About) -> None:
        """Go on after ``about.from_step``: later numbers come again."""
        from torch.utils.tensorboard import SummaryWriter

        self.folder, self.config = about.folder / "tensorboard", about.config
        step = about.from_step
        self.empty = not any(self.folder.glob("events.out.*"))
        self.since = 0 if self.empty else step
        """The first step that is told anew: of it, only a part may be there."""
        self.writer: Any = SummaryWriter(str(self.folder), purge_step=None if self.empty else step)

    def write(self, kind: str, step: int, numbers: Mapping[str, Any]) -> None:
        """Add all that are numbers; a run that is killed leaves them."""
        for name, value in curves(kind, numbers).items():
            self.writer.add_scalar(name, value, step)
        self.writer.flush()

    def report(self, step: int, scores: Mapping[str, float]) -> None:
        """The settings and the scores, as TensorBoard's page of hyperparameters shows them."""
        shutil.rmtree(self.folder / REPORT, ignore_errors=True)
        self.writer.add_hparams(
            {name: value for name, value in self.config.items() if value is not None},
            {f"{REPORT}/{name}": value for name, value in scores.items()},
            run_name=REPORT,
            global_step=step,
        )

    def close(self, *, failed: bool) -> None:
        """Write what is left."""
        self.writer.close()
