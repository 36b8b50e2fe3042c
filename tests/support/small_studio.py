"""A studio small enough for tests: a backbone of one convolution, drawn photos, no UMAP."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from ppap.backbones import Backbone, BackboneError, BackboneInfo, Grid, TrunkOutput
from ppap.batches import Batch, make_batch
from ppap.data import Example, Photo
from ppap.embedding.service import MapStatus
from ppap.studio.checkpoints import Checkpoints
from ppap.studio.explore.server import Server
from ppap.studio.loading import Job, Loader
from ppap.studio.sources import Sources
from ppap.studio.stages import Stages
from ppap.studio.store import BatchStore


class TinyBackbone(Backbone):
    """Patches of 32 pixels → 6 numbers, by one convolution with fixed weights."""

    def __init__(self, name: str = "tiny", patch_size: int = 32) -> None:
        super().__init__(
            BackboneInfo(name, "Tiny", "For tests.", False), dim=6, patch_size=patch_size
        )
        self.patches = nn.Conv2d(3, 6, patch_size, patch_size)
        self.last_block = nn.Identity()
        chance = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=chance))

    def trunk(self, images: Tensor) -> TrunkOutput:
        maps = self.patches(self.normalised(images))
        return TrunkOutput(maps.permute(0, 2, 3, 1), None, Grid(*maps.shape[2:]))

    def finish(self, trunk_output: TrunkOutput, last_block: nn.Module | None = None) -> Tensor:
        return trunk_output.tokens


def load_tiny(name: str | Path, **_: Any) -> Backbone:
    """Stands in for ``load_backbone``: knows "embedded", "nan", and files that exist."""
    if name == "nan":
        backbone = TinyBackbone("nan")
        torch.nn.init.constant_(backbone.patches.weight, torch.nan)
        return backbone.frozen()
    if name not in ("embedded", "tiny14") and not (isinstance(name, Path) and name.is_file()):
        raise BackboneError(f"there is no backbone {name}")
    return TinyBackbone(str(name), 14 if name == "tiny14" else 32).frozen()


def picture(seed: int, side: int = 64) -> np.ndarray:
    """A soft pattern of two colours, another for every seed; uint8 ``(side, side, 3)``."""
    chance = np.random.default_rng(seed)
    first, second = chance.integers(0, 256, (2, 3))
    y, x = np.mgrid[:side, :side] / side
    share = (0.5 + 0.5 * np.sin(6 * x + chance.random() * 6) * np.cos(5 * y))[..., None]
    return np.rint(first * share + second * (1 - share)).astype(np.uint8)


def draw(path: Path, seed: int, side: int = 64) -> Path:
    """A picture as a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture(seed, side)).save(path)
    return path


def small_batch(images: int = 3, *, labelled: bool = True, names: tuple[str, ...] = ()) -> Batch:
    """``images`` × 4 × 4 patches; a class for the left half, another for the right, void below."""
    examples = []
    for i in range(images):
        labels = np.zeros((128, 128), np.int64)
        labels[:, 64:] = 1
        labels[96:] = -1
        name = names[i] if names else f"photo {i}"
        photo = Photo(name, picture(i, 128))
        examples.append(Example(photo, labels if labelled else None))
    classes = ("left", "right") if labelled else ()
    colours = ((200, 10, 20), (30, 220, 40)) if labelled else ()
    return make_batch(examples, TinyBackbone(), size=128, classes=classes, colours=colours)


# Height and width: 3:1, 1:3, a square, a panorama, and a second square.
SHAPES = ((96, 288), (288, 96), (160, 160), (30, 400), (200, 200))


def mixed_batch(size: int = 128) -> Batch:
    """Whole pictures whose label maps tell the image in every patch but the last, which is void."""
    examples = []
    for i, (height, width) in enumerate(SHAPES):
        rgb = np.full((height, width, 3), 40 * i, np.uint8)
        rgb[:, : width // 2, 0] = 250
        labels = np.full((height, width), i, np.int64)
        labels[-height // 8 :, -width // 8 :] = -1
        examples.append(Example(Photo(str(i), rgb), labels))
    names = tuple("abcde")
    colours = ((1, 2, 3),) * 5
    return make_batch(
        examples, TinyBackbone(), size=size, picture="whole", classes=names, colours=colours
    )


class StillMaps:
    """Stands in for the map service: says what the test tells it to say."""

    def __init__(self) -> None:
        self.said = MapStatus("unknown")
        self.points: np.ndarray | None = None
        self.submitted: list[str] = []

    def submit(self, key: str, features: np.ndarray, start: np.ndarray | None = None) -> None:
        self.submitted.append(key)
        if self.said.state in ("unknown", "failed"):
            self.said = MapStatus("queued", seconds=2.0)

    def status(self, key: str) -> MapStatus:
        return self.said

    def result(self, key: str) -> np.ndarray | None:
        return self.points


class SmallStudio:
    """A server with everything behind it, in a folder of its own."""

    def __init__(self, root: Path, *, local: bool = True, backbone: str = "embedded") -> None:
        self.root, self.uploads = root, root / "uploads"
        self.offered = root / "offered"
        for folder in (self.uploads, self.offered):
            folder.mkdir(parents=True)
        self.store = BatchStore()
        sources = Sources([self.offered], uploads=self.uploads, any_folder=local)
        self.runs = root / "runs"
        stages = Stages(Checkpoints(self.runs, sources))
        self.loader = Loader(self.store, sources, backbone=backbone, stages=stages)
        self.maps = StillMaps()
        self.server = Server(
            self.store,
            self.loader,
            self.maps,  # type: ignore[arg-type]
            backbone=backbone,
            folders=[str(self.offered)],
        )

    def upload(self, name: str, seed: int = 0) -> dict[str, str]:
        """A picture as the page would have uploaded it."""
        path = draw(self.uploads / f"{seed}" / "photo.png", seed)
        return {"path": str(path), "name": name}

    def ask(self, name: str, argument: Any) -> dict[str, Any]:
        """Call the server as the page does."""
        calls = {call.__name__: call for call in self.server.calls()}
        return calls[name](argument)

    def load(self, **request: Any) -> dict[str, Any]:
        """Load a batch to its end; the page's last reply."""
        started = self.ask("load", {"size": 224, **request})
        if "error" in started:
            return started
        job = self.loader.job(started["job"])
        wait_until(lambda: job.state not in ("waiting", "running"))
        reply = self.ask("progress", started["job"])
        result: dict[str, Any] = reply.get("result", reply)
        return result

    def job(self, **request: Any) -> Job:
        """Load a batch to its end; the job."""
        return self.loader.load({"size": 224, **request})


def wait_until(true: Callable[[], bool], seconds: float = 20) -> None:
    """Return when ``true()`` holds; an AssertionError after many seconds."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.005)
