"""Weights & Biases: files in ``tracking/wandb/`` for ``wandb sync``, or sent at once.

Only numbers and settings are told. Of the machine, the code, packages and what is printed W&B
would like to know more; all that is switched off.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trainers.tracking.about import FOLDER, REPORT, About, curves
from trainers.tracking.asked import Asked
from trainers.tracking.identity import Known

# Seconds after which what was told stands in the file, where W&B's own process is killed, too.
FLUSHED = 1.0


class WandbRun:
    """A run on W&B.

    Offline, each process writes a folder of its own that holds the whole run, and then removes its
    predecessors': W&B cannot go on with an offline run, and ``wandb sync`` of two halves with the
    same steps would count those twice.
    """

    def __init__(self, about: About, asked: Asked) -> None:
        quiet()
        import wandb

        self.known = Known.of(about.folder / FOLDER / "wandb.json")
        self.known.at(asked.place)
        self.known.name = about.name
        self.known.write()
        self.folder = about.folder / FOLDER
        self.before = self._folders() if not asked.place else []
        self.run: Any = wandb.init(
            project=about.project_name,
            entity=about.entity,
            id=self.known.id,
            name=about.name,
            dir=str(self.folder),
            config=about.config,
            mode="online" if asked.place else "offline",
            resume="allow" if asked.place else None,
            settings=wandb.Settings(**SETTINGS),
        )

    def write(self, kind: str, step: int, numbers: Mapping[str, Any]) -> None:
        """Add what was not sent before."""
        found = curves(kind, numbers)
        if found and not self.known.has(kind, step):
            self.run.log(found, step=step)
            self.known.sent(kind, step)

    def caught_up(self) -> None:
        """All that came before has been told: older folders hold nothing more."""
        for folder in self.before:
            shutil.rmtree(folder, ignore_errors=True)

    def report(self, step: int, scores: Mapping[str, float]) -> None:
        """The scores at the end, in the run's summary."""
        self.run.summary.update({f"{REPORT}/{name}": value for name, value in scores.items()})

    def close(self, *, failed: bool) -> None:
        """Write what is left; online this takes as long as it takes."""
        self.run.finish(exit_code=int(failed))

    def _folders(self) -> list[Path]:
        return sorted((self.folder / "wandb").glob(f"offline-run-*-{self.known.id}"))


SETTINGS: dict[str, Any] = {
    "console": "off",
    # Told with the run otherwise: the machine's name.
    "host": "-",
    "disable_code": True,
    "disable_git": True,
    "disable_job_creation": True,
    "save_code": False,
    "silent": True,
    "x_disable_machine_info": True,
    "x_disable_meta": True,
    "x_disable_stats": True,
    "x_disable_viewer": True,
    "x_save_requirements": False,
    "x_transaction_log_flush_interval": FLUSHED,
}


def quiet() -> None:
    """No reports of errors to W&B's makers, and nothing printed; before ``wandb`` is imported."""
    os.environ["WANDB_ERROR_REPORTING"] = "false"
    os.environ["WANDB_SILENT"] = "true"
    os.environ["WANDB_CONSOLE"] = "off"
    for name in ("WANDB_RUN_ID", "WANDB_RESUME", "WANDB_SERVICE", "WANDB_NAME", "WANDB_NOTES"):
        os.environ.pop(name, None)
