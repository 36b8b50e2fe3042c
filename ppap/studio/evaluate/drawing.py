"""The images of a report, predicted again when they are looked at, or read from files."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path
from typing import Any

from ppap.data import Dataset, open_dataset
from ppap.evaluation.foreign_report import SOURCE as PREDICTIONS
from ppap.evaluation.foreign_report import maps_of
from ppap.evaluation.pamr import Pamr
from ppap.evaluation.published import AsPublished
from ppap.evaluation.report import Report
from ppap.evaluation.shape import table_of
from ppap.evaluation.source import batches_of
from ppap.evaluation.split import Refiner, examined
from ppap.places import ROOT
from ppap.protocol import Protocol
from ppap.segmenter.inference import Inference
from ppap.studio.checkpoints import Checkpoints, CrfProcesses
from ppap.studio.evaluate.shown import image_reply
from ppap.studio.requests import RequestError
from ppap.studio.sources import resolved

MAX_DATASETS = 4


class Drawing:
    """Draws images of reports, one at a time. Safe for many threads.

    Args:
        checkpoints: says what may be looked into, and keeps those used last.
        crf: processes for the CRF.
    """

    def __init__(self, checkpoints: Checkpoints, crf: CrfProcesses) -> None:
        self.checkpoints, self.crf = checkpoints, crf
        self._device = threading.Lock()
        self._opening = threading.Lock()
        self._datasets: OrderedDict[tuple[str, str, str], Dataset] = OrderedDict()

    def image(
        self, report: Report, folder: Path, index: int, refine: str, whole: bool
    ) -> dict[str, Any]:
        """The photo and label maps of one image, as ``image_reply`` has them.

        Args:
            report: as it was read.
            folder: where it lies.
            index: one of its images.
            refine: "none", or a refinement that it was made with.
            whole: as of ``image_reply``.

        Raises:
            RequestError, DataError, BackboneError: checkpoint or images are gone, or have changed.
        """
        if report.get("source") == PREDICTIONS:
            root = self.checkpoints.sources.folder(str(ROOT / report["checkpoint"]))
            self._require_inside(root, report, index)
            example, truth, maps = maps_of(report, root, self.dataset(report), index)
            return image_reply(example, truth, maps, whole=whole)
        with self._device:
            return self._predicted(report, folder, index, refine, whole)

    def _require_inside(self, root: Path, report: Report, index: int) -> None:
        """RequestError where an image's prediction is a link to what may not be looked into."""
        names = [str(one.get("file", "")) for one in report["images"] if one["index"] == index]
        for name in names:
            real = resolved(str(root / name))
            if real is None or not self.checkpoints.sources.shows(real):
                raise RequestError(f"{name} lies outside the folders that may be shown.")

    def dataset(self, report: Report) -> Dataset:
        """The split that a report is of; RequestError where it may not be looked into."""
        with self._opening:
            found = self._opened(report)
        resizing = Protocol.of(report.get("protocol", [])).resizing
        return found if found.resizing == resizing else replace(found, resizing=resizing)

    def _predicted(
        self, report: Report, folder: Path, index: int, refine: str, whole: bool
    ) -> dict[str, Any]:
        file = checkpoint_of(report, folder)
        loaded = self.checkpoints.load(file, lambda text, share: None)
        if loaded.digest != report["digest"]:
            raise RequestError(
                f"{file.name} has changed since this report was made. Evaluate again to see its "
                "images."
            )
        dataset = self.dataset(report)
        batches = batches_of(dataset, [index], size=report["size"], batch=1, workers=0)
        how = Inference.of(report.get("inference", {}))
        refiners = self._refiners(report, refine)
        one, refined = next(iter(examined(loaded.segmenter, batches, refiners, how)))
        clusters = loaded.segmenter.n_classes + loaded.segmenter.extra_clusters
        table = table_of(report, report["cluster"], clusters)
        maps = {
            "cluster": table[one.clusters.cpu().numpy()],
            "linear": one.classes.cpu().numpy(),
        }
        for name, better in refined.items():
            after = table_of(report, report[name]["cluster"], clusters)
            maps[f"cluster_{name}"] = after[better.clusters.cpu().numpy()]
            maps[f"linear_{name}"] = better.classes.cpu().numpy()
        return image_reply(dataset.load(index), one.labels.cpu().numpy(), maps, whole=whole)

    def _refiners(self, report: Report, refine: str) -> list[Refiner]:
        if refine == "none":
            return []
        if refine == "pamr":
            return [Pamr()]
        pool = self.crf.pool()
        as_published = Protocol.of(report.get("protocol", [])).crf_bytes
        return [AsPublished(pool) if as_published else pool]

    def _opened(self, report: Report) -> Dataset:
        about = report["dataset"]
        key = (about["kind"], about["folder"], about["split"])
        if key not in self._datasets:
            root = None
            if about["kind"] != "samples":
                # Pages see pictures only of folders that they may look into.
                root = self.checkpoints.sources.folder(str(ROOT / about["folder"]))
            with self.checkpoints.sources.links():
                dataset = open_dataset(root, kind=about["kind"], split=about["split"])
            self._datasets[key] = dataset
        self._datasets.move_to_end(key)
        while len(self._datasets) > MAX_DATASETS:
            self._datasets.popitem(last=False)
        return self._datasets[key]


def checkpoint_of(report: Report, folder: Path) -> Path:
    """The file that a report is about; runs may have been moved since.

    Raises:
        RequestError: it is no longer there.
    """
    named = Path(report["checkpoint"])
    for file in (folder / "checkpoints" / named.name, ROOT / named):
        if file.is_file():
            return file
    raise RequestError(f"This report's checkpoint {named.name} no longer exists.")
