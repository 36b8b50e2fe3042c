"""What the Segment page asks of the server: plain functions on JSON-like values.

As in ``ppap.studio.server``, every argument is validated and every refusal is a sentence. Colours,
names and opacity are the page's own: the server hears of them when something is taken away.
"""

from __future__ import annotations

import io
import secrets
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ppap.backbones import Backbone, as_path
from ppap.clustering import Seen, clusters_of, find_clusters, see
from ppap.data import ClassList, DataError, palette, printable, read_image, samples_dataset
from ppap.evaluation.crf import CrfPool, CrfWorkerError
from ppap.label_files import Segmented, file_stems, merged_names, write_zip
from ppap.predictor import Predictor
from ppap.settings import SettingError, excerpt
from ppap.studio.checkpoints import Checkpoints, Chosen, CrfProcesses
from ppap.studio.lists import backbone_choices
from ppap.studio.loading import MAX_JOBS, Cancelled, Job, Loader
from ppap.studio.requests import MAX_IMAGES, SIZES, RequestError, mapping, read_request, refusal
from ppap.studio.segments import (
    MAX_PIXELS,
    Layer,
    Packed,
    Picture,
    PictureSet,
    Result,
    SegmentStore,
    packed,
    reduced_photo,
    shown_size,
)
from ppap.studio.server import answering
from ppap.studio.sources import Progress, resolved
from ppap.studio.store import Upload

# A byte a pixel, of which 255 stands for none.
MOST_CLUSTERS = 64
CLUSTERS = 8
LONGEST_NAME = 80
MAX_DOWNLOADS = 8
RECIPE = "samples"


@dataclass(frozen=True)
class Segmenter:
    """What shall segment."""

    chosen: Chosen | None
    """None for the frozen backbone."""
    backbone: str
    clusters: int
    size: int

    @property
    def title(self) -> str:
        """For the page."""
        if self.chosen is not None:
            return self.chosen.title
        return f"frozen backbone, {self.clusters} clusters"


class Wanted(NamedTuple):
    """A request once it is read."""

    files: tuple[Upload, ...]
    """Empty for the sample photos."""
    of: PictureSet | None
    """Pictures that are here already."""
    model: Segmenter
    crf: bool


class Taken(NamedTuple):
    """A ZIP that can be fetched."""

    file: Path
    name: str


class Segmenting:
    """The state behind all Segment pages.

    Args:
        loader: has the backbones, and says which the pages may use.
        checkpoints: that the pages may choose.
        crf: processes for the CRF.
        backbone: the one that the studio was started with.
        trains: whether pages may start runs.
    """

    def __init__(
        self,
        loader: Loader,
        checkpoints: Checkpoints,
        crf: CrfProcesses,
        *,
        backbone: str,
        trains: bool = True,
    ) -> None:
        self.loader, self.checkpoints, self.crf = loader, checkpoints, crf
        self.trains = trains
        self.first_backbone = backbone
        self.store = SegmentStore()
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="segmenting")
        self._closing = threading.Event()
        self._folder = tempfile.TemporaryDirectory(prefix="ppap-studio-")
        self._taken: OrderedDict[str, Taken] = OrderedDict()

    @property
    def folder(self) -> str:
        """A folder for files on their way out; it goes when the studio is closed."""
        return self._folder.name

    def calls(self) -> list[Callable[[Any], Any]]:
        """What the page may call, by its name."""
        return [self.hello, self.load, self.progress, self.take, self.make, self.making]

    @answering
    def hello(self, _: Any) -> dict[str, Any]:
        """Lists and limits that the page needs before anything else."""
        return {
            "page": secrets.token_urlsafe(9),
            "max_images": MAX_IMAGES,
            "sizes": SIZES,
            "clusters": CLUSTERS,
            "most_clusters": MOST_CLUSTERS,
            "backbone": self.first_backbone,
            "backbones": backbone_choices(self.first_backbone),
            "checkpoints": self.checkpoints.listed(),
            "files": self.checkpoints.sources.any_folder,
            "crf": self.crf.why_not(),
            "make": self.trains and can_make(),
        }

    @answering
    def load(self, request: Any) -> dict[str, Any]:
        """Begin to segment; the newest request of a page cancels its older one."""
        wanted = self.read(request)
        page = mapping(request).get("page")
        job = Job(page=page[:64] if isinstance(page, str) else "")
        job.text = "Waiting for other pictures"
        key = secrets.token_urlsafe(9)
        with self._lock:
            for other in self._jobs.values():
                if job.page and other.page == job.page:
                    other.cancelled.set()
            self._jobs[key] = job
            while len(self._jobs) > MAX_JOBS:
                self._jobs.popitem(last=False)[1].cancelled.set()
        self._pool.submit(self._run, job, wanted)
        return {"job": key}

    @answering
    def progress(self, job: Any) -> dict[str, Any]:
        """How far a job is, and what it found when it is done."""
        with self._lock:
            if not isinstance(job, str) or job not in self._jobs:
                raise RequestError("This request is no longer known. Segment again.")
            found = self._jobs[job]
        if found.state == "failed":
            return {"error": found.error}
        reply: dict[str, Any] = {"state": found.state, "text": found.text, "share": found.share}
        if found.state == "done":
            reply["result"] = result_reply(self.store.result(found.batch))
        return reply

    @answering
    def take(self, request: Any) -> dict[str, Any]:
        """Make a ZIP of a result, in the page's names and colours; where it can be fetched."""
        key = secrets.token_urlsafe(12)
        file = Path(self.folder) / f"{key}.zip"
        result = self.zip(mapping(request), file)
        stem = file_stems([one.name for one in result.pictures.pictures])[0]
        many = len(result.pictures.pictures) > 1
        taken = Taken(file, f"segments-{stem}{'-and-more' if many else ''}.zip")
        with self._lock:
            self._taken[key] = taken
            while len(self._taken) > MAX_DOWNLOADS:
                self._taken.popitem(last=False)[1].file.unlink(missing_ok=True)
        return {"url": f"studio/segment/{key}.zip", "name": taken.name}

    @answering
    def make(self, _: Any) -> dict[str, Any]:
        """Begin to train a small checkpoint on the sample photos."""
        if not self.trains:
            raise RequestError("This studio is open to other machines, so pages cannot start runs.")
        from trainers.orders import read_order
        from trainers.runner import Runner, free_name
        from trainers.runs import RunError

        runner = Runner(self.checkpoints.runs)
        runner.root.mkdir(parents=True, exist_ok=True)
        name = free_name(runner.root, RECIPE)
        order, errors = read_order({"recipe": RECIPE, "name": name, "settings": {}})
        if order is None:
            raise RequestError(" ".join(errors.values()))
        try:
            return making_reply(runner.start(order))
        except RunError as error:
            raise RequestError(str(error)) from None

    @answering
    def making(self, name: Any) -> dict[str, Any]:
        """How far that is."""
        from trainers.runner import Runner

        try:
            reply = making_reply(Runner(self.checkpoints.runs).standing(name))
        except SettingError as error:
            raise RequestError(str(error)) from None
        if reply["state"] == "finished":
            reply["checkpoints"] = self.checkpoints.listed()
        return reply

    # What the page's calls share with the scripts' endpoints and the addresses of pictures.

    def read(self, raw: Any) -> Wanted:
        """Check a request; RequestError says which part is wrong."""
        raw = mapping(raw)
        source = raw.get("source", "samples")
        if source not in ("samples", "files"):
            raise RequestError("The source must be samples or files.")
        kept = None if raw.get("of") is None else self.store.set(raw["of"])
        files: tuple[Upload, ...] = ()
        if source == "files" and kept is None:
            files = read_request({"source": "files", "files": raw.get("files")}).files
        model = self._model(raw)
        crf = raw.get("crf", False)
        if not isinstance(crf, bool):
            raise RequestError("CRF must be true or false.")
        if crf and (reason := self.crf.why_not()):
            raise RequestError(reason)
        return Wanted(files, kept, model, crf)

    def _model(self, raw: Mapping[str, Any]) -> Segmenter:
        checkpoint = raw.get("checkpoint")
        chosen = None if checkpoint is None else self.checkpoints.choose(checkpoint)
        backbone = raw.get("backbone") or self.first_backbone
        if not isinstance(backbone, str) or len(backbone) > 200:
            raise RequestError("The backbone must be a name.")
        if as_path(backbone) is not None and backbone != self.first_backbone:
            raise RequestError("Choose a backbone by its name.")
        clusters = raw.get("clusters", CLUSTERS)
        whole = isinstance(clusters, int) and not isinstance(clusters, bool)
        if not whole or not 2 <= clusters <= MOST_CLUSTERS:
            raise SettingError(
                "clusters",
                f"The number of clusters must be a whole number from 2 to {MOST_CLUSTERS}, "
                f"not {excerpt(clusters)}.",
            )
        size = raw.get("size", 448)
        if isinstance(size, bool) or size not in SIZES:
            raise RequestError(f"The resolution must be one of {', '.join(map(str, SIZES))}.")
        return Segmenter(chosen, backbone, clusters, int(size))

    def run(self, raw: Any) -> Result:
        """Segment to the end (scripts); RequestError where that fails."""
        job = Job(page="")
        self._pool.submit(self._run, job, self.read(raw)).result()
        if job.error:
            raise RequestError(job.error)
        return self.store.result(job.batch)

    def zip(self, request: Mapping[str, Any], file: Path) -> Result:
        """Write a result's ZIP; the result."""
        result = self.store.result(request.get("result"))
        layer = result.layer(request.get("kind", "clusters"))
        names, colours = read_names(request, layer), read_colours(request, layer)
        opacity = request.get("opacity", 0.6)
        if isinstance(opacity, bool) or not isinstance(opacity, int | float):
            raise RequestError("The opacity must be a number from 0 to 1.")
        if not 0 <= opacity <= 1:
            raise RequestError("The opacity must be a number from 0 to 1.")
        first = merged_names(names)
        # What is stored for no class stays that.
        table = np.concatenate([first, np.arange(len(first), 256)])
        classes = ClassList(tuple(names), tuple(colours))

        def pictures() -> Iterator[Segmented]:
            for one, map_ in zip(result.pictures.pictures, layer.maps, strict=True):
                yield Segmented(one.name, one.rgb, table[map_.ids()])

        with file.open("wb") as stream:
            write_zip(
                stream,
                pictures(),
                classes,
                names=[one.name for one in result.pictures.pictures],
                opacity=float(opacity),
                outline=bool(request.get("outline")),
            )
        return result

    def taken(self, key: str) -> Taken:
        """A ZIP by the id in its address; RequestError when it is gone."""
        with self._lock:
            if key not in self._taken:
                raise RequestError("This file is no longer here. Download it again.")
            return self._taken[key]

    def close(self) -> None:
        """Give up what is under way and what waits."""
        self._closing.set()
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._folder.cleanup()

    # The work itself, in a thread of its own.

    def _run(self, job: Job, wanted: Wanted) -> None:
        def progress(text: str, share: float) -> None:
            if job.cancelled.is_set() or self._closing.is_set():
                raise Cancelled
            job.text, job.share = text, share

        try:
            progress("Reading the pictures", 0)
            job.state = "running"
            result = self._segment(wanted, progress)
            job.batch = result.key
            job.state = "done"
        except Cancelled:
            job.state = "cancelled"
        except MemoryError:
            job.error = "These pictures need more memory than there is. Choose fewer."
            job.state = "failed"
        except CrfWorkerError as error:
            self.crf.renew()
            job.error, job.state = str(error), "failed"
        except Exception as error:  # the page must learn of anything that stops a job
            job.error, job.state = refusal(error), "failed"

    def _segment(self, wanted: Wanted, progress: Progress) -> Result:
        pictures = wanted.of
        if pictures is None:
            pictures = self._pictures(wanted.files, lambda text, share: progress(text, 0.2 * share))
            self.store.add_set(pictures)
        pool = self.crf.pool() if wanted.crf else None
        rest: Progress = lambda text, share: progress(text, 0.2 + 0.8 * share)  # noqa: E731
        if wanted.model.chosen is None:
            result = self._frozen(pictures, wanted.model, pool, rest)
        else:
            result = self._trained(pictures, wanted.model, wanted.model.chosen, pool, rest)
        result.notes += [f"{p.name}: {note}" for p in pictures.pictures for note in p.notes]
        self.store.add_result(result)
        return result

    def _pictures(self, files: tuple[Upload, ...], progress: Progress) -> PictureSet:
        """Read what was uploaded, or the sample photos; RequestError when nothing can be read."""
        readers = self._uploads(files) if files else sample_readers()
        found, problems, pixels = [], [], 0
        for i, (name, read) in enumerate(readers):
            progress(f"Reading picture {i + 1} of {len(readers)}", i / len(readers))
            try:
                photo = read()
            except DataError as error:
                problems.append(str(error))
                continue
            height, width = photo.rgb.shape[:2]
            one = Picture(name, partial(rgb_of, read), height, width, photo.notes)
            one.shown = shown_size(height, width, len(readers))
            one.photo = jpeg(photo.rgb, one.shown)
            pixels += height * width
            if pixels <= MAX_PIXELS:
                one.kept = photo.rgb
            found.append(one)
        if not found:
            raise RequestError("\n".join(problems) or "There is no picture to segment.")
        return PictureSet(found, problems)

    def _uploads(self, files: tuple[Upload, ...]) -> list[tuple[str, Callable[[], Any]]]:
        readers: list[tuple[str, Callable[[], Any]]] = []
        uploads = self.checkpoints.sources.uploads
        for file in files:
            path = resolved(file.path)
            if path is None or not path.is_relative_to(uploads):
                raise RequestError(f"{file.name} was not uploaded to this studio.")
            readers.append((file.name, partial(read_image, path, name=file.name)))
        return readers

    def _frozen(
        self, pictures: PictureSet, model: Segmenter, pool: CrfPool | None, progress: Progress
    ) -> Result:
        """Clusters of the frozen backbone's features."""
        backbone = self.loader.backbone(model.backbone, progress)
        patch = backbone.patch_size
        size = max(1, round(model.size / patch)) * patch
        seen = self._seen(pictures, backbone, size, progress)
        progress("Finding clusters", 0.5)
        patches = sum(one.features[..., 0].numel() for one in seen)
        if model.clusters > patches:
            raise RequestError(f"There are only {patches} patches: ask for fewer clusters.")
        centres = find_clusters(seen, model.clusters)
        maps: list[Packed] = []
        for i, one in enumerate(seen):
            progress(f"Segmenting picture {i + 1} of {len(seen)}", 0.6 + 0.4 * i / len(seen))
            maps.append(packed(clusters_of(one, centres, crf=pool is not None, pool=pool)))
        names = tuple(f"cluster {i + 1}" for i in range(model.clusters))
        layer = Layer("clusters", "Clusters", names, palette(model.clusters), maps)
        note = f"{backbone.info.title}, not trained further. {backbone.info.note}".strip()
        return Result(pictures, {"clusters": layer}, model.title, pool is not None, [note])

    def _seen(
        self, pictures: PictureSet, backbone: Backbone, size: int, progress: Progress
    ) -> list[Seen]:
        """The pictures' features, which another number of clusters needs again."""
        which = (backbone.info.name, size)
        if pictures.seen[0] == which:
            kept: list[Seen] = pictures.seen[1]
            return kept
        seen = []
        for i, one in enumerate(pictures.pictures):
            count = len(pictures.pictures)
            progress(f"Looking at picture {i + 1} of {count}", 0.5 * i / count)
            seen.append(see(backbone, one.rgb, size=size))
        pictures.seen = (which, seen)
        return seen

    def _trained(
        self,
        pictures: PictureSet,
        model: Segmenter,
        chosen: Chosen,
        pool: CrfPool | None,
        progress: Progress,
    ) -> Result:
        """What the probes of a checkpoint say."""
        loaded = self.checkpoints.load(chosen.file, progress)
        predictor = Predictor(loaded, pool=pool)
        assignment: tuple[int, ...] | None = None
        clusters: list[Packed] = []
        classes: list[Packed] = []
        for i, one in enumerate(pictures.pictures):
            count = len(pictures.pictures)
            progress(f"Segmenting picture {i + 1} of {count}", i / count)
            said = predictor.segment(one.rgb, crf=pool is not None)
            clusters.append(packed(said.clusters))
            classes.append(packed(said.classes))
            assignment = said.assignment
        known = loaded.class_list
        probe = loaded.segmenter.n_classes + loaded.segmenter.extra_clusters
        layers = {
            "clusters": cluster_layer(clusters, probe, assignment, known),
            "classes": Layer("classes", "Linear classes", known.names, known.colours, classes),
        }
        notes = []
        if assignment is None:
            notes.append(
                "This checkpoint was not evaluated, so that nothing says which class a cluster is."
            )
        return Result(pictures, layers, model.title, pool is not None, notes)


def cluster_layer(
    maps: list[Packed], count: int, assignment: tuple[int, ...] | None, known: ClassList
) -> Layer:
    """Clusters with the names and colours of the classes that they were matched with."""
    names, colours = [], []
    spare = iter([c for c in palette(count + len(known)) if c not in known.colours])
    for i in range(count):
        label = -1 if assignment is None else assignment[i]
        names.append(known.names[label] if label >= 0 else f"cluster {i + 1}")
        colours.append(known.colours[label] if label >= 0 else next(spare))
    return Layer("clusters", "Clusters", tuple(names), tuple(colours), maps)


def sample_readers() -> list[tuple[str, Callable[[], Any]]]:
    """The sample photos, by name."""
    photos = samples_dataset()

    def read(index: int) -> Any:
        return photos.load(index).photo

    return [(f"{item.name}.jpg", partial(read, i)) for i, item in enumerate(photos.items)]


def rgb_of(read: Callable[[], Any]) -> np.ndarray:
    """What a reader's photo shows."""
    rgb: np.ndarray = read().rgb
    return rgb


def jpeg(rgb: np.ndarray, size: Any) -> bytes:
    """A picture as the page draws it."""
    out = io.BytesIO()
    reduced_photo(rgb, size).save(out, "JPEG", quality=88)
    return out.getvalue()


def read_names(request: Mapping[str, Any], layer: Layer) -> list[str]:
    """The page's names, or the layer's own; RequestError for what cannot be any."""
    names = request.get("names")
    if names is None:
        return list(layer.names)
    if not isinstance(names, list) or len(names) != len(layer.names):
        raise RequestError(f"There must be {len(layer.names)} names, one for each.")
    read = []
    for name, usual in zip(names, layer.names, strict=True):
        if not isinstance(name, str) or len(name) > LONGEST_NAME:
            raise RequestError(f"A name must be a text of at most {LONGEST_NAME} characters.")
        read.append(printable(name.strip()) or usual)
    return read


def read_colours(request: Mapping[str, Any], layer: Layer) -> list[tuple[int, int, int]]:
    """The page's colours, or the layer's own; RequestError for what cannot be any."""
    colours = request.get("colours")
    if colours is None:
        return list(layer.colours)
    if not isinstance(colours, list) or len(colours) != len(layer.names):
        raise RequestError(f"There must be {len(layer.names)} colours, one for each.")
    for colour in colours:
        fine = isinstance(colour, list) and len(colour) == 3
        if not fine or any(type(c) is not int or not 0 <= c <= 255 for c in colour):
            raise RequestError("A colour must be three whole numbers from 0 to 255.")
    return [(r, g, b) for r, g, b in colours]


def result_reply(result: Result) -> dict[str, Any]:
    """What the page must know of a result; pictures and maps come by address."""
    pictures = result.pictures.pictures
    return {
        "set": result.pictures.key,
        "result": result.key,
        "title": result.title,
        "crf": result.crf,
        "problems": result.pictures.problems,
        "notes": result.notes,
        "pictures": [
            {
                "name": one.name,
                "width": one.width,
                "height": one.height,
                "shown": [one.shown.width, one.shown.height],
                "photo": f"studio/segment/{result.key}/{i}/photo",
            }
            for i, one in enumerate(pictures)
        ],
        "layers": [
            {
                "kind": layer.kind,
                "title": layer.title,
                "names": layer.names,
                "colours": layer.colours,
                "shares": layer.shares(),
                "maps": [
                    f"studio/segment/{result.key}/{i}/{layer.kind}" for i in range(len(pictures))
                ],
            }
            for layer in result.layers.values()
        ],
    }


def can_make() -> bool:
    """Whether the trainer can be started from here."""
    try:
        import trainers.runner  # noqa: F401
    except ImportError:
        return False
    return True


def making_reply(standing: Any) -> dict[str, Any]:
    """Where the training of the sample checkpoint stands."""
    return {
        "name": standing.name,
        "state": standing.state,
        "text": standing.text,
        "share": standing.step / standing.steps if standing.steps else 0.0,
        "time_left": standing.time_left,
    }
