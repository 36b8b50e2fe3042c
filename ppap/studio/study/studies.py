"""Studies on disk that pages can open, and what the command ``trainers.study`` is told."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any, NamedTuple

from ppap.backbones import as_path, with_file
from ppap.settings import RANGES, Settings, excerpt
from ppap.studio import sample
from ppap.studio.access.owners import EVERYBODYS, Ownership
from ppap.studio.jobs import command, folders_in, named
from ppap.studio.requests import LEAST_SIZE, MAX_IMAGES, MOST_SIZE, RequestError
from ppap.study.figures import Study
from ppap.study.grid import Axis
from ppap.study.saved import VALUES, StudyError, read_study
from ppap.study.tables import subject

# Hidden, so that it is taken for no run.
FOLDER = ".studies"
COMMAND = command("trainers.study")
KINDS = {
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".csv": "text/csv",
    ".html": "text/html",
    ".json": "application/json",
}


NUMBERS = ("images", "batches", "anchors", "size", "seed")


class WantedStudy(NamedTuple):
    """A study that was asked for, checked."""

    data: str
    """A folder, or "samples"."""
    split: str
    backbone: str
    images: int
    batches: int
    anchors: int
    size: int
    seed: int
    settings: Settings | None
    x: Axis | None
    y: Axis | None
    checkpoint: str = ""
    """Of a training, whose features stand beside its frozen backbone's; then ``backbone`` is not
    looked at."""

    def arguments(self, folder: Path) -> list[str]:
        """Of the command; every value stays in one word with its name, so that none is a name."""
        network = f"--checkpoint={self.checkpoint}" if self.checkpoint else None
        words = [f"--out={folder}", network or f"--backbone={self.backbone}"]
        words.append("--kind=samples" if self.data == "samples" else f"--data={self.data}")
        words += [f"--split={self.split}"] if self.split else []
        words += [f"--{name}={getattr(self, name)}" for name in NUMBERS]
        if self.settings is not None:
            words.append("--set")
            words += [f"{name}={value}" for name, value in self.settings.as_dict().items()]
        if self.x is None or self.y is None:
            return [*words, "--no-sweep"]
        return [*words, f"--x={written(self.x)}", f"--y={written(self.y)}"]

    def command(self) -> str:
        """The same for a terminal."""
        return shlex.join(["python", "-m", "trainers.study", *self.arguments(Path("studies/new"))])


def written(axis: Axis) -> str:
    """An axis as the command takes it."""
    whole = RANGES[axis.setting].whole
    return f"{axis.setting}={','.join(str(int(v) if whole else v) for v in axis.values)}"


def explore_request(study: Study) -> dict[str, Any] | None:
    """What Explore loads to show a study's first batch, as far as it goes; None where it cannot.

    Studies of earlier versions do not say which images they drew.
    """
    size = study["plan"]["size"]
    if "indices" not in study or not LEAST_SIZE <= size <= MOST_SIZE:
        return None
    name = study["backbone_name"]
    file = as_path(name)
    request = {
        "size": size,
        "picture": "square",
        "backbone": name if file is None else "checkpoint",
        "checkpoint": "" if file is None else with_file(name, file),
    }
    dataset, images = study["dataset"], study["indices"][0][:MAX_IMAGES]
    if dataset["kind"] == "samples":
        return {"source": "samples", **request}
    return {
        "source": "folder",
        "folder": dataset["folder"],
        "split": dataset["split"],
        "images": images,
        "count": len(images),
        **request,
    }


class Studies:
    """Studies by their names.

    Args:
        runs: the folder of all runs.
        ownership: says who may see which.
    """

    def __init__(self, runs: Path, ownership: Ownership = EVERYBODYS) -> None:
        self.folder, self.ownership = runs / FOLDER, ownership

    def _folders(self) -> list[Path]:
        return list(filter(self.ownership.sees, folders_in(self.folder)))

    def listed(self) -> list[dict[str, Any]]:
        """All that can be opened, the newest first."""
        found = []
        for folder in self._folders():
            try:
                study = read_study(folder)
                found.append(
                    {
                        "key": folder.name,
                        "title": f"{study['dataset']['title']} {study['dataset']['split']}",
                        "text": subject(study),
                        "time": (folder / VALUES).stat().st_mtime,
                    }
                )
            except (StudyError, OSError, KeyError, TypeError):
                continue  # being made, or no longer readable
        return sorted(found, key=lambda one: (-one["time"], one["key"]))

    def sample(self) -> dict[str, Any] | None:
        """The study that comes with the project, as ``listed`` has others."""
        if not sample.there():
            return None
        return sample.listed("Sample photos", subject(read_study(sample.STUDY)))

    def folder_of(self, key: object) -> Path:
        """Where a study is; RequestError where there is none of that name."""
        if key == sample.KEY and sample.there():
            return sample.study_folder()
        found = named(self._folders(), key, VALUES)
        if found is None:
            raise RequestError(f"There is no study {excerpt(key)}.")
        return found

    def read(self, key: object) -> Study:
        """A study by its name; RequestError where there is none."""
        try:
            if key == sample.KEY and sample.there():
                return read_study(sample.STUDY)
            return read_study(self.folder_of(key))
        except StudyError as error:
            raise RequestError(str(error)) from None

    def file(self, key: object, name: object) -> Path:
        """One of a study's files; RequestError where there is none."""
        if key == sample.KEY and sample.there():
            return sample.study_file(name)
        folder = self.folder_of(key)
        for file in folder.iterdir():
            if file.name == name and file.suffix in KINDS and not file.name.startswith("."):
                return file
        raise RequestError(f"This study has no file {excerpt(name)}.")

    def files(self, key: object) -> list[str]:
        """The names of a study's files."""
        if key == sample.KEY and sample.there():
            return sample.study_files()
        return sorted(f.name for f in self.folder_of(key).iterdir() if f.suffix in KINDS)
