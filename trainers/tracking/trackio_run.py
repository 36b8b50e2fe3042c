"""trackio: a database in its own folder (``TRACKIO_DIR``), or a Space on Hugging Face."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from typing import Any

from trainers.tracking.about import FOLDER, REPORT, About, curves
from trainers.tracking.asked import Asked
from trainers.tracking.identity import Known

# With these in the environment trackio would send what nobody asked it to send.
SENDING = (
    "TRACKIO_SPACE_ID",
    "TRACKIO_SERVER_URL",
    "TRACKIO_WRITE_TOKEN",
    "TRACKIO_BUCKET_ID",
    "TRACKIO_DATASET_ID",
    "TRACKIO_WEBHOOK_URL",
)


# What trackio says where numbers are lost; it never raises.
LOST = ("could not be persisted", "may be dropped", "could not flush", "failed to process")


class TrackioError(RuntimeError):
    """Something that trackio only warns of."""


class TrackioRun:
    """A run in trackio.

    On this machine the run's rows are told anew by each process, so that steps that come again are
    there once. On a Space, what has been sent stays, and is not sent again.
    """

    def __init__(self, about: About, asked: Asked) -> None:
        quiet(local=not asked.place)
        import trackio

        self.trackio: Any = trackio
        self.warned: list[str] = []
        warnings.simplefilter("always")
        warnings.showwarning = self._warned
        self.known = known = Known.of(about.folder / FOLDER / "trackio.json")
        known.at(asked.place)
        # The name stays: trackio finds a run that goes on by it.
        known.name = known.name or about.name
        if not asked.place:
            self._forget(about.project_name)
        known.write()
        self.run: Any = trackio.init(
            project=about.project_name,
            name=known.name,
            config=about.config,
            space_id=asked.place or None,
            private=True,
            resume="allow" if asked.place else "never",
            embed=False,
            auto_log_cpu=False,
            auto_log_gpu=False,
        )
        if not asked.place:
            known.id = self.run.id
            known.write()
        self._look()

    def write(self, kind: str, step: int, numbers: Mapping[str, Any]) -> None:
        """Add what was not sent before.

        Raises:
            TrackioError: it could not keep it.
        """
        found = curves(kind, numbers)
        if found and not self.known.has(kind, step):
            self.run.log(found, step=step)
            self.known.sent(kind, step)
        self._look()

    def report(self, step: int, scores: Mapping[str, float]) -> None:
        """The scores at the end, as numbers of the last step: trackio knows no summary."""
        if not self.known.has(REPORT, step):
            self.run.log({f"{REPORT}/{name}": value for name, value in scores.items()}, step=step)
            self.known.sent(REPORT, step)

    def close(self, *, failed: bool) -> None:
        """Write what is left."""
        self.trackio.finish()
        self._look()

    def _forget(self, project: str) -> None:
        """Remove this run's rows; other runs of its name leave that name to themselves."""
        names = set()
        try:
            runs = list(self.trackio.Api().runs(project))
        except ValueError:  # no such project yet
            return
        for run in runs:
            if run.id == self.known.id:
                run.delete()
            else:
                names.add(run.name)
        if self.known.name in names:
            self.known.name = f"{self.known.name}-{self.known.id[:6]}"

    def _warned(self, message: object, *_: object, **__: object) -> None:
        said = str(message)
        print(said)
        # What a Space does not take now stays here, and is sent later.
        if not self.known.place and any(words in said.lower() for words in LOST):
            self.warned.append(said)

    def _look(self) -> None:
        if self.warned:
            raise TrackioError(self.warned[0])


def quiet(*, local: bool) -> None:
    """Nothing is asked of a network that need not be; before ``trackio`` is imported."""
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    for name in SENDING:
        os.environ.pop(name, None)
    if local:
        # trackio asks Hugging Face for the name of whoever is logged in, also where it stays here.
        os.environ["HF_HUB_OFFLINE"] = "1"
