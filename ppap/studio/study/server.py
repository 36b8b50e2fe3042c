"""What the Study page asks of the server: plain functions on JSON-like values.

A study is the command ``python -m trainers.study`` in a process of its own; its files on disk are
what pages show, so that both give the same figures.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ppap.backbones import as_path
from ppap.settings import RANGES, Range, SettingError, excerpt, number, read_settings
from ppap.studio import sample
from ppap.studio.answers import answering
from ppap.studio.checkpoints import Checkpoints
from ppap.studio.choices import backbone_choices
from ppap.studio.jobs import EVERY, Job, OneAtATime, begin, new_folder
from ppap.studio.requests import (
    SIZES,
    Mistakes,
    RequestError,
    at_field,
    mapping,
    require_allowed,
)
from ppap.studio.sources import Sources
from ppap.studio.study import studies
from ppap.studio.study.studies import Studies, WantedStudy, explore_request
from ppap.study.columns import plainly
from ppap.study.conclusions import conclusions
from ppap.study.grid import Axis, evenly
from ppap.study.run import DEFAULT_X, DEFAULT_Y
from ppap.study.saved import PAGE, VALUES
from ppap.study.stage_tables import told
from ppap.study.tables import KEY, PROOF_KEY, paper_rows, proof_table, rule_table, subject

_SPLIT = re.compile(r"\w[\w.-]{0,59}")
IMAGES = Range("Images", 1, 256, 1, (2, 64), True, "How many images are in a batch.")
BATCHES = Range("Batches", 1, 20, 1, (1, 4), True, "Batches to measure the rules on.")
SEED = Range("Seed", 0, 2**32 - 1, 1, (0, 9), True, "Seed for drawing images and anchors.")
ANCHORS = Range("Anchors", 1, 20_000, 1, (100, 2000), True, "Random anchors in each batch.")
SIZE = Range("Size", 32, 1024, 1, (224, 448), True, "Side of the images in pixels.")
COUNT = Range("Number of values", 1, 40, 1, (1, 40), True, "Values along an axis of the sweep.")


class Studying:
    """The state behind all Study pages.

    Args:
        studies: that there are.
        sources: which folders and files may be looked into.
        folders: data folders the studio was started with.
        backbone: the one the studio was started with.
        allowed: whether pages may start studies; they can be read all the same.
        checkpoints: the runs whose features may be studied.
    """

    def __init__(
        self,
        found: Studies,
        sources: Sources,
        *,
        folders: list[str],
        backbone: str,
        allowed: bool = True,
        checkpoints: Checkpoints | None = None,
    ) -> None:
        self.studies, self.sources, self.folders = found, sources, folders
        self.checkpoints = checkpoints
        self.backbone, self.allowed = backbone, allowed
        self._jobs = OneAtATime()

    def calls(self) -> list[Callable[[Any], Any]]:
        """What the page may call, by its name."""
        return [
            self.hello,
            self.start,
            self.status,
            self.cancel,
            self.check,
            self.study,
            self.remove,
        ]

    @answering
    def hello(self, _: Any) -> dict[str, Any]:
        """Lists that the page needs before anything else, and what is under way."""
        return {
            "studies": self.studies.listed(),
            "sample": self.studies.sample(),
            "data": self.folders,
            "backbone": self.backbone,
            "backbones": backbone_choices(self.backbone),
            "runs": [] if self.checkpoints is None else self.checkpoints.listed(),
            "sizes": list(SIZES),
            "ranges": [{"name": name, **range_._asdict()} for name, range_ in RANGES.items()],
            "axes": {
                name: {"setting": axis.setting, "values": list(axis.values)}
                for name, axis in (("x", DEFAULT_X), ("y", DEFAULT_Y))
            },
            "current": self._jobs.told(),
        }

    @answering
    def start(self, request: Any) -> dict[str, Any]:
        """Begin a study; refused while another is under way."""
        require_allowed(self.allowed, "start studies")
        wanted, mistakes = self._read(mapping(request), to_start=True)
        mistakes.raise_first()
        assert wanted is not None
        return self._jobs.begin(
            lambda: self._begin(wanted),
            lambda job: "A study is already running. Wait for it to finish, or cancel it.",
        )

    @answering
    def check(self, request: Any) -> dict[str, Any]:
        """What is wrong with a request, by field, and the command that would do the same."""
        wanted, mistakes = self._read(mapping(request), to_start=True)
        return {**mistakes.reply(), "command": "" if wanted is None else wanted.command()}

    @answering
    def status(self, _: Any) -> dict[str, Any]:
        """How far the study is; its name when it is done."""
        return {"current": self._jobs.told()}

    @answering
    def cancel(self, _: Any) -> dict[str, Any]:
        """End the study that is under way."""
        self._jobs.cancel()
        return {"current": self._jobs.told()}

    @answering
    def study(self, key: Any) -> dict[str, Any]:
        """A study, with what the page shows of it in words."""
        found = self.studies.read(key)
        proof = proof_table(found) if found["proof"] else None
        rules = rule_table(found)
        return {
            "key": key,
            "study": found,
            "subject": subject(found),
            "said": conclusions(found),
            "headings": plainly(rules.headings),
            "rows": [
                [rule["title"], rule["matched"], cells]
                for rule, (_, *cells) in zip(found["rules"], rules.rows, strict=True)
            ],
            "explore": explore_request(found),
            "proof": proof.rows if proof else [],
            "proof_headings": plainly(proof.headings) if proof else [],
            "proof_key": PROOF_KEY,
            "key_text": KEY,
            "stages": told(found.get("stages") or ()),  # studies of earlier versions have none
            "paper": paper_rows(found),
            "files": self.studies.files(key),
            "page": PAGE,
        }

    @answering
    def remove(self, key: Any) -> dict[str, Any]:
        """Delete a study."""
        require_allowed(self.allowed, "delete studies")
        sample.refuse(key)
        shutil.rmtree(self.studies.folder_of(key))
        return {"studies": self.studies.listed()}

    # What the page's calls share with the scripts' endpoints.

    def read(self, raw: Any) -> WantedStudy:
        """Check a request; RequestError or SettingError says which part is wrong."""
        wanted, mistakes = self._read(mapping(raw))
        mistakes.raise_first()
        assert wanted is not None
        return wanted

    def wait(self) -> Job:
        """The study that was begun last, when it has ended (scripts)."""
        return self._jobs.wait()

    def close(self) -> None:
        """End what is under way."""
        self._jobs.close()

    def _read(
        self, raw: Mapping[str, Any], *, to_start: bool = False
    ) -> tuple[WantedStudy | None, Mistakes]:
        """A request, or all that is wrong with it; ``to_start``: the data must be there, too."""
        swept, settings = raw.get("sweep", True), raw.get("settings")
        if not isinstance(swept, bool):
            raise RequestError("sweep must be true or false.")
        mistakes = Mistakes()
        given: dict[str, Any] = {}

        def whole(name: str, usual: int, allowed: Range) -> None:
            with mistakes.at(name):
                given[name] = int(number(name, raw.get(name, usual), allowed))

        with mistakes.at("split"):
            given["split"] = read_split(raw)
        with mistakes.at("data"):
            given["data"] = data = self._data(raw.get("data"))
            if to_start and data != "samples":
                self.sources.check_split(Path(data), given.get("split", ""))
        with mistakes.at("x"):
            given["x"] = read_axis("x", raw.get("x"), DEFAULT_X)
        with mistakes.at("y"):
            given["y"] = read_axis("y", raw.get("y"), DEFAULT_Y)
            if "x" in given and given["x"].setting == given["y"].setting:
                raise RequestError(f"Choose two different axes; both are {given['y'].symbol}.")
        with mistakes.at("backbone"):
            given["backbone"] = self._backbone(raw.get("backbone"))
        with mistakes.at("run"):
            given["checkpoint"] = self._checkpoint(raw.get("run"), raw.get("checkpoint"))
        whole("images", 32, IMAGES)
        whole("batches", 1, BATCHES)
        whole("anchors", 1000, ANCHORS)
        whole("size", 320, SIZE)
        whole("seed", 0, SEED)
        with mistakes.at("settings"):
            given["settings"] = None if settings is None else read_settings(mapping(settings))
        if mistakes.found:
            return None, mistakes
        if not swept:
            given |= {"x": None, "y": None}
        return WantedStudy(**given), mistakes

    def _data(self, data: object) -> str:
        """A folder, or "samples"; RequestError for anything else."""
        if not isinstance(data, str) or not data.strip():
            raise RequestError("Enter a folder on this server, or samples.")
        return "samples" if data.strip() == "samples" else str(self.sources.folder(data.strip()))

    def _backbone(self, raw: Any) -> str:
        if not raw:
            return self.backbone
        known = {choice["name"] for choice in backbone_choices(self.backbone)}
        if isinstance(raw, str) and raw in known:
            return raw
        if not isinstance(raw, str):
            raise SettingError("backbone", "The backbone must be a name or a file.")
        with at_field("backbone"):
            if as_path(raw) is None:
                return str(self.sources.file(raw))
            return self.sources.weights(raw)

    def _checkpoint(self, run: Any, file: Any) -> str:
        """The checkpoint of a run, or a file; empty where neither is named."""
        if not run and not file:
            return ""
        if self.checkpoints is None:
            raise RequestError("There are no runs here.")
        with at_field("run"):
            return str(self.checkpoints.choose({"run": run, "file": file}).file)

    def _begin(self, wanted: WantedStudy) -> Job:
        title = wanted.data.rstrip("/").rsplit("/", 1)[-1]
        folder = new_folder(self.studies.folder, title, "study")
        made = Job(folder.name, title, folder, VALUES)
        begin(made, [*studies.COMMAND, f"--progress-every={EVERY}", *wanted.arguments(folder)])
        return made


def read_split(raw: Mapping[str, Any]) -> str:
    """The name of a split, empty for the usual one; RequestError for what is none."""
    split = raw.get("split") or ""
    if isinstance(raw.get("data"), str) and raw["data"].strip() == "samples" and split:
        raise RequestError("The sample photos have no splits; leave this empty.")
    if not isinstance(split, str) or (split.strip() and not _SPLIT.fullmatch(split.strip())):
        raise RequestError("The split must be a name such as train or val.")
    return split.strip()


def read_axis(name: str, raw: Any, default: Axis) -> Axis:
    """``{"setting", "first", "last", "count"}`` or ``{"setting", "values"}`` as an axis.

    SettingError with the axis's name where it cannot be used.
    """
    if raw is None:
        return default
    try:
        return _axis(name, mapping(raw))
    except SettingError as error:
        raise SettingError(name, str(error)) from None


def _axis(name: str, raw: Mapping[str, Any]) -> Axis:
    setting = raw.get("setting")
    if setting not in RANGES:
        raise SettingError(name, f"There is no setting called {excerpt(setting)}.")
    allowed = RANGES[setting]
    values = raw.get("values")
    if values is not None:
        if not isinstance(values, list):
            raise SettingError(name, "The values of an axis must be a list.")
        return Axis(setting, tuple(number(name, value, allowed) for value in values[:41]))
    count = int(number(name, raw.get("count", 10), COUNT))
    first = number(name, raw.get("first"), allowed)
    last = number(name, raw.get("last"), allowed)
    return evenly(setting, first, last, count)
