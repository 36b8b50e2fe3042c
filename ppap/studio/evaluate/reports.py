"""The reports that pages can open: those of runs, and of the evaluations asked for in pages."""

from __future__ import annotations

import json
import shutil
import threading
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ppap.evaluation.files import JSON, PAGE
from ppap.evaluation.report import FORMAT, Report, refinements
from ppap.evaluation.shape import misfit
from ppap.segmenter.inference import in_words
from ppap.settings import excerpt
from ppap.studio import sample
from ppap.studio.access.owners import EVERYBODYS, Ownership
from ppap.studio.jobs import folders_in, named
from ppap.studio.requests import RequestError
from trainers.runs.values import opened

# Evaluations asked for here; runs have their own reports. Hidden, so that it is taken for no run.
FOLDER = ".evaluations"
# Reports in memory: as many as one page shows, and one more.
MOST_KEPT = 5


class Reports:
    """Reports on disk, by their ids.

    Args:
        runs: the folder of all runs.
        ownership: says who may see which.
    """

    def __init__(self, runs: Path, ownership: Ownership = EVERYBODYS) -> None:
        self.runs, self.folder, self.ownership = runs, runs / FOLDER, ownership
        self._kept: OrderedDict[Path, tuple[tuple[int, int, int], Report]] = OrderedDict()
        self._reading = threading.Lock()

    def listed(self) -> list[dict[str, Any]]:
        """All reports that can be opened, the newest first."""
        found = []
        for file in (folder / JSON for folder in (*self._runs(), *self._evaluations())):
            report = read_json(file)
            try:
                time = file.stat().st_mtime
            except OSError:  # another page has deleted it meanwhile
                continue
            if report is None:
                continue
            inside = file.parent.parent == self.folder
            refined, scores = next(iter(refinements(report).items()), ("", report))
            cluster = scores.get("cluster") or {}
            found.append(
                {
                    "key": f"{FOLDER}/{file.parent.name}" if inside else file.parent.name,
                    "title": title_of(report, file.parent, inside),
                    "data": f"{report['dataset']['title']}, {report['dataset']['split']}",
                    "folder": report["dataset"]["folder"],
                    "split": report["dataset"]["split"],
                    "accuracy": cluster.get("accuracy"),
                    "miou": cluster.get("miou"),
                    "crf": "crf" in report,
                    "refined": refined,
                    "looks": in_words(report.get("inference") or {}),
                    "own": inside,
                    "time": time,
                }
            )
        return sorted(found, key=lambda one: -one["time"])

    def sample(self) -> dict[str, Any] | None:
        """The report that comes with the project, as ``listed`` has others, in short."""
        report = read_json(sample.RUN / JSON) if sample.there() else None
        if report is None:
            return None
        scores = report["cluster"]
        measured = f"U-Acc {scores['accuracy']:.1f}, U-mIoU {scores['miou']:.1f}"
        return sample.listed("Sample photos", measured)

    def _runs(self) -> list[Path]:
        return list(filter(self.ownership.sees_run, folders_in(self.runs)))

    def _evaluations(self) -> list[Path]:
        return list(filter(self.ownership.sees, folders_in(self.folder)))

    def folder_of(self, key: object) -> Path:
        """The folder of a report; RequestError where there is none of that id."""
        if key == sample.KEY and sample.there():
            return sample.RUN
        name = key.removeprefix(f"{FOLDER}/") if isinstance(key, str) else ""
        inside = isinstance(key, str) and key != name
        found = named(self._evaluations() if inside else self._runs(), name, JSON)
        if found is None:
            raise RequestError(f"There is no report {excerpt(key)}.")
        return found

    def read(self, key: object) -> Report:
        """A report by its id; RequestError where there is none."""
        folder = self.folder_of(key)
        report = self._kept_or_read(folder / JSON)
        if report is None:
            raise RequestError(f"The report of {folder.name} cannot be read.")
        return report

    def _kept_or_read(self, file: Path) -> Report | None:
        """Pages ask for the same few again and again; one of 919 classes has megabytes."""
        try:
            found = file.stat()
        except OSError:
            return None
        stamp = (found.st_mtime_ns, found.st_ino, found.st_size)
        with self._reading:
            kept = self._kept.pop(file, None)
            if kept is None or kept[0] != stamp:
                report = read_json(file)
                if report is None:
                    return None
                kept = (stamp, report)
            self._kept[file] = kept
            while len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
        return kept[1]

    def title(self, key: object) -> str:
        """What a report is called in lists; RequestError where there is none."""
        folder = self.folder_of(key)
        if key == sample.KEY:
            return "Sample"
        return title_of(self.read(key), folder, folder.parent == self.folder)

    def remove(self, key: object) -> None:
        """Delete a report that was asked for in a page; a run's own goes with the run.

        RequestError where there is none of that id.
        """
        sample.refuse(key)
        folder = self.folder_of(key)
        if folder.parent != self.folder:
            raise RequestError("This is the run's own report; it is deleted together with the run.")
        try:
            shutil.rmtree(folder)
        except FileNotFoundError:  # another page was quicker
            return
        except OSError as error:
            raise RequestError(
                f"The report cannot be deleted: {error.strerror or error}."
            ) from None

    def page(self, key: str) -> Path:
        """The report as a page that stands alone; RequestError where there is none."""
        folder = self.folder_of(key)
        for file in (folder / PAGE, folder / "report" / PAGE):
            if file.is_file():
                return file
        raise RequestError("This report has no page of its own.")


def read_json(file: Path) -> Report | None:
    """A report; None where there is none that this version reads."""
    try:
        with opened(file) as stream:
            report = json.loads(stream.read().decode("utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(report, Mapping) or report.get("format") != FORMAT:
        return None
    return None if misfit(report) else dict(report)


def title_of(report: Report, folder: Path, inside: bool) -> str:
    """What a report is about: the run, and which checkpoint if it was asked for; or the file."""
    if not inside:
        return folder.name
    file = Path(report["checkpoint"].replace("\\", "/"))
    if file.parent.name != "checkpoints":
        return file.name
    step = "" if report["step"] is None else f", step {report['step']:,}"
    return f"{file.parent.parent.name} ({file.stem}{step})"
