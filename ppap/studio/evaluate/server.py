"""What the Evaluate page asks of the server: plain functions on JSON-like values.

An evaluation is the command ``python -m trainers.evaluate`` in a process of its own; its report on
disk is what pages show, whoever made it. Single images are predicted again when they are looked at.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ppap.evaluation.files import JSON, PAGE
from ppap.evaluation.foreign_report import SOURCE as PREDICTIONS
from ppap.evaluation.later import later_reply
from ppap.evaluation.markdown import key as columns_in_words
from ppap.evaluation.markdown import no_paper_row, score_rows, subject
from ppap.evaluation.report import REFINEMENTS
from ppap.settings import excerpt
from ppap.studio import sample
from ppap.studio.answers import answering
from ppap.studio.checkpoints import Checkpoints, Chosen, CrfProcesses
from ppap.studio.evaluate import requests as evaluations
from ppap.studio.evaluate.beside import MOST as MOST_BESIDE
from ppap.studio.evaluate.beside import Intervals, differences, headings, notes, same_images
from ppap.studio.evaluate.drawing import Drawing, checkpoint_of
from ppap.studio.evaluate.exploring import explore_request
from ppap.studio.evaluate.fitting import Fitting
from ppap.studio.evaluate.foreign import Foreign, choose, require_as_they_are
from ppap.studio.evaluate.measures import read_measures
from ppap.studio.evaluate.pixels import CountsOfReports, pixels_reply
from ppap.studio.evaluate.reports import FOLDER, Reports
from ppap.studio.evaluate.requests import Wanted, own_data, own_split
from ppap.studio.evaluate.shown import sample_image
from ppap.studio.evaluate.thumbnails import Thumbnails
from ppap.studio.jobs import Job, OneAtATime, begin, new_folder
from ppap.studio.requests import Mistakes, RequestError, mapping, require_allowed
from ppap.studio.sources import is_folder

_SPLIT = re.compile(r"\w[\w.-]{0,59}")


class Evaluating:
    """The state behind all Evaluate pages.

    Args:
        checkpoints: that the pages may choose.
        crf: processes for the CRF.
        folders: data folders the studio was started with.
        allowed: whether pages may start evaluations; reports can be read all the same.
    """

    def __init__(
        self,
        checkpoints: Checkpoints,
        crf: CrfProcesses,
        *,
        folders: list[str],
        allowed: bool = True,
    ) -> None:
        self.checkpoints, self.crf, self.folders = checkpoints, crf, folders
        self.allowed = allowed
        self.reports = Reports(checkpoints.runs, checkpoints.ownership)
        self._drawing = Drawing(checkpoints, crf)
        self._counting = threading.Lock()
        self._counts = CountsOfReports()
        self._intervals = Intervals()
        self._thumbnails = Thumbnails()
        self._fitting = Fitting(checkpoints.sources)
        self._jobs = OneAtATime()

    def calls(self) -> list[Callable[[Any], Any]]:
        """What the page may call, by its name."""
        return [
            self.hello,
            self.check,
            self.start,
            self.status,
            self.cancel,
            self.report,
            self.image,
            self.pixels,
            self.beside,
            self.explore,
            self.remove,
        ]

    @answering
    def hello(self, _: Any) -> dict[str, Any]:
        """Lists that the page needs before anything else, and what is under way."""
        runs = self.checkpoints.listed()
        known = [*self.folders, *(run["data"] for run in runs)]
        return {
            "checkpoints": runs,
            "data": [one for one in dict.fromkeys(known) if one],
            "files": self.checkpoints.sources.any_folder,
            "crf": self.crf.why_not(),
            "reports": self.reports.listed(),
            "sample": self.reports.sample(),
            "current": self._jobs.told(),
        }

    @answering
    def check(self, request: Any) -> dict[str, Any]:
        """What is wrong with a request, by field."""
        return self._read(mapping(request), to_start=True)[1].reply()

    @answering
    def start(self, request: Any) -> dict[str, Any]:
        """Begin an evaluation; refused while another is under way."""
        require_allowed(self.allowed, "start evaluations")
        wanted, mistakes = self._read(mapping(request), to_start=True)
        mistakes.raise_first()
        assert wanted is not None
        return self._jobs.begin(
            lambda: self._begin(wanted),
            lambda job: f"{job.title} is being evaluated. Wait for it to finish, or cancel it.",
        )

    @answering
    def status(self, _: Any) -> dict[str, Any]:
        """How far the evaluation is; its report's id when it is done."""
        return {"current": self._jobs.told()}

    @answering
    def cancel(self, _: Any) -> dict[str, Any]:
        """End the evaluation that is under way."""
        self._jobs.cancel()
        return {"current": self._jobs.told()}

    @answering
    def report(self, key: Any) -> dict[str, Any]:
        """A report, with what the page shows of it in words."""
        found = self.reports.read(key)
        scores = None if found["cluster"] is None else score_rows(found)
        page = self.reports.folder_of(key) / PAGE
        return {
            "key": key,
            "report": found,
            "subject": subject(found),
            "scores": scores,
            "explanation": columns_in_words(found),
            "later": later_reply(found),
            "no_paper": no_paper_row(found) if scores else None,
            "page": page.is_file() or (page.parent / "report" / PAGE).is_file(),
        }

    @answering
    def remove(self, key: Any) -> dict[str, Any]:
        """Delete a report that was asked for in a page."""
        require_allowed(self.allowed, "delete reports")
        self.reports.remove(key)
        return {"reports": self.reports.listed()}

    @answering
    def explore(self, key: Any) -> dict[str, Any]:
        """The request that shows a report's images in Explore, with its checkpoint's features."""
        report, folder = self.reports.read(key), self.reports.folder_of(key)
        if report.get("source") == PREDICTIONS:
            raise RequestError(
                "These predictions come from files, so there are no features to explore."
            )
        file = checkpoint_of(report, folder)
        return {"request": explore_request(report, folder.name, file, self.checkpoints)}

    @answering
    def image(self, request: Any) -> dict[str, Any]:
        """One image of a report: the photo, its truth, and every prediction, by class."""
        request = mapping(request)
        key = request.get("report")
        report = self.reports.read(key)
        index = request.get("index")
        measured = {one["index"]: one for one in report.get("images") or ()}
        if isinstance(index, bool) or not isinstance(index, int) or index not in measured:
            raise RequestError(f"The report has no image {excerpt(index)}.")
        refine, whole = request.get("refine") or "none", request.get("whole") is True
        if refine != "none" and (not isinstance(refine, str) or refine not in REFINEMENTS):
            raise RequestError(f"There is no refinement {excerpt(refine)}.")
        if refine != "none" and refine not in report:
            raise RequestError(f"This report was made without {REFINEMENTS[refine]}.")
        if key == sample.KEY:
            found = sample_image(index, whole)
        else:
            found = self._drawing.image(report, self.reports.folder_of(key), index, refine, whole)
        return {"name": measured[index]["name"], **found}

    @answering
    def pixels(self, request: Any) -> dict[str, Any]:
        """How many pixels of a cell of the confusion, or of a class, each image of a report has."""
        return self.counted(mapping(request))

    @answering
    def beside(self, keys: Any) -> dict[str, Any]:
        """What tells several reports apart, and whether they are of the same images."""
        return self.compared(keys)

    # What the page's calls share with the scripts' endpoints.

    def read(self, raw: Any) -> Wanted:
        """Check a request; RequestError says which part is wrong."""
        wanted, mistakes = self._read(mapping(raw))
        mistakes.raise_first()
        assert wanted is not None
        return wanted

    def counted(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """As ``pixels``; RequestError where the report has no counts, or there is no such cell."""
        report = self.reports.read(request.get("report"))
        file = self._file(request.get("report"))
        with self._counting:
            return pixels_reply(self._counts.of(report, file), request)

    def compared(self, keys: object) -> dict[str, Any]:
        """As ``beside``; RequestError where a report is missing, or there are too many."""
        if not isinstance(keys, list) or not 2 <= len(keys) <= MOST_BESIDE:
            raise RequestError(f"Choose two to {MOST_BESIDE} reports.")
        reports = [self.reports.read(key) for key in keys]
        titles = [self.reports.title(key) for key in keys]
        named = headings(reports, titles)
        titles = [one["title"] for one in named]
        same = [same_images(reports[0], one) for one in reports]
        alike = [i for i, one in enumerate(same) if one]
        with self._counting:
            counts = [self._counts.any_of(reports[i], self._file(keys[i])) for i in alike]
        return {
            "headings": named,
            "notes": notes(reports, titles),
            "same": same,
            "differences": differences(
                [reports[i] for i in alike],
                counts,
                [titles[i] for i in alike],
                self._intervals,
            ),
        }

    def _file(self, key: object) -> Path:
        return self.reports.folder_of(key) / JSON

    def thumbnail(self, key: str, index: int) -> bytes:
        """A report's image as a small JPEG; RequestError or DataError where there is none."""
        report = self.reports.read(key)
        if not any(one["index"] == index for one in report.get("images") or ()):
            raise RequestError(f"The report has no image {index}.")
        dataset = sample.photos() if key == sample.KEY else self._drawing.dataset(report)
        return self._thumbnails.of(dataset, index)

    def wait(self) -> Job:
        """The evaluation that was begun last, when it has ended (scripts)."""
        return self._jobs.wait()

    def close(self) -> None:
        """End what is under way."""
        self._jobs.close()

    def _read(
        self, raw: Mapping[str, Any], *, to_start: bool = False
    ) -> tuple[Wanted | None, Mistakes]:
        """A request, or all that is wrong with it; ``to_start``: the data must be there, too."""
        mistakes = Mistakes()
        chosen: Chosen | None = None
        foreign: Foreign | None = None
        data, split, kind = raw.get("data") or "", raw.get("split") or "", ""
        with mistakes.at("checkpoint"):
            chosen, foreign = choose(raw.get("checkpoint"), self.checkpoints)
        with mistakes.at("split"):
            split = read_split(split)
        with mistakes.at("data"):
            data, kind = self._data(data, chosen)
            if to_start:
                self._check_data(data, kind, split, chosen)
        measures = read_measures(raw, mistakes, self.crf.why_not())
        with mistakes.at("checkpoint"):
            if foreign is not None:
                require_as_they_are(measures)
        if to_start and not {"data", "split", "checkpoint"} & set(mistakes.found):
            self._fitting.check(measures, data, kind, split or own_split(chosen), mistakes)
        if chosen is None or mistakes.found:
            return None, mistakes
        return Wanted(chosen, data, split, kind, measures, foreign), mistakes

    def _data(self, data: object, chosen: Chosen | None) -> tuple[str, str]:
        """Folder and kind of the data set, empty where nothing says which; RequestError."""
        if not isinstance(data, str):
            raise RequestError("The data set must be a folder on this server.")
        data = data.strip()
        if data == "samples":
            return data, ""
        if data:
            return str(self.checkpoints.sources.folder(data)), ""
        return ("", "") if chosen is None else own_data(chosen)

    def _check_data(self, data: str, kind: str, split: object, chosen: Chosen | None) -> None:
        """RequestError, from names alone, where there is no such data set or it lacks the split."""
        if data in ("", "samples"):
            return
        if not is_folder(Path(data)):  # the run's own, of which nobody typed the name
            assert chosen is not None
            raise RequestError(
                f"The data set of {chosen.title} is no longer at {data}. Enter its folder."
            )
        named = split if isinstance(split, str) and _SPLIT.fullmatch(split) else ""
        self.checkpoints.sources.check_split(Path(data), named, kind or None)

    # The work itself.

    def _begin(self, wanted: Wanted) -> Job:
        folder = new_folder(self.reports.folder, wanted.chosen.title, "evaluation")
        made = Job(f"{FOLDER}/{folder.name}", wanted.chosen.title, folder, JSON)
        begin(made, [*evaluations.COMMAND, *wanted.arguments(folder)])
        return made


def read_split(split: object) -> str:
    """The name of a split, empty for the usual one; RequestError for what is none."""
    if not isinstance(split, str) or (split.strip() and not _SPLIT.fullmatch(split.strip())):
        raise RequestError("The split must be a name such as train or val.")
    return split.strip()
