"""What pages and scripts ask for: untrusted values in, typed ones out, refusals as sentences."""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unicodedata import category

from ppap.backbones import BackboneError
from ppap.batches import BatchError, PatchError, Picture
from ppap.checkpoints.features import OUTPUTS
from ppap.data import KINDS, DataError, printable
from ppap.settings import SettingError, excerpt
from ppap.studio.store import BatchGone, Upload
from trainers.cache import CacheError
from trainers.runs.folder import RunError

log = logging.getLogger(__name__)

SIZES = (224, 320, 448)
# In Explore others, too, from the least to the most.
EXPLORE_SIZES = (*SIZES, 640, 896)
LEAST_SIZE, MOST_SIZE = 64, 2048
PICTURES: tuple[Picture, ...] = ("square", "whole")
# Where images come from; OWN: with features of their own.
OWN = ("npz", "memory")
SOURCES = ("samples", "files", "folder", *OWN)
# Backbones that are, or can be, the result of training.
TRAINED = ("run", "checkpoint")
MAX_IMAGES = 64
LONGEST_TEXT = 4096
# Of scripts and emoji that are written with them; they are not seen by themselves.
_JOINERS = frozenset("\u200b\u200c\u200d\u00ad")


class RequestError(ValueError):
    """A request that cannot be served.

    Args:
        text: for the person who made it.
        field: of the form that it is about, where it is about one.
        offers: what may have been meant instead; the text names it, too.
    """

    def __init__(self, text: str, *, field: str | None = None, offers: Sequence[str] = ()) -> None:
        super().__init__(text)
        self.field, self.offers = field, tuple(offers)


# Their texts are sentences for whoever asked. Everything else is a fault of the studio.
REFUSALS = (
    RequestError,
    SettingError,
    PatchError,
    BatchGone,
    BatchError,
    BackboneError,
    DataError,
    CacheError,
    RunError,
)

# What a disk, or this machine, answers where nothing is wrong with the studio.
DISK = frozenset(
    {
        errno.EACCES,
        errno.EDQUOT,
        errno.EFBIG,
        errno.EIO,
        errno.EISDIR,
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOSPC,
        errno.ENOTDIR,
        errno.EPERM,
        errno.EROFS,
        errno.ESTALE,
    }
)


def refusal(error: Exception) -> str:
    """What is said to whoever asked; faults of the studio go to its log, details and all."""
    if isinstance(error, REFUSALS):
        return sendable(str(error))
    log.error("a request failed", exc_info=error)
    if isinstance(error, OSError) and error.errno in DISK:
        # Which file it was is for whoever runs the studio.
        return (
            f"The studio could not read or write a file: {os.strerror(error.errno)}. See the "
            "terminal it was started in."
        )
    return f"The studio failed ({type(error).__name__}). See the terminal it was started in."


def refused(error: Exception) -> dict[str, Any]:
    """A refusal as pages get it: the sentence, the field it belongs to, and what may be meant."""
    field = getattr(error, "field", None)
    offers = getattr(error, "offers", ())
    return {
        "error": refusal(error),
        "field": sendable(field) if isinstance(field, str) else None,
        "offers": [sendable(one) for one in offers],
    }


@contextmanager
def at_field(field: str) -> Iterator[None]:
    """What is refused inside belongs to a field of the form, unless it says of itself to which."""
    try:
        yield
    except (RequestError, BackboneError, DataError) as error:
        if getattr(error, "field", None):
            raise
        offers = getattr(error, "offers", ())
        raise RequestError(str(error), field=field, offers=offers) from None


class Mistakes:
    """What is wrong with a form, field by field: one slip must not hide the others."""

    def __init__(self) -> None:
        self.found: dict[str, RequestError | SettingError] = {}

    @contextmanager
    def at(self, field: str) -> Iterator[None]:
        """What is refused inside is kept, for its own field or for this one."""
        try:
            with at_field(field):
                yield
        except (RequestError, SettingError) as error:
            self.found.setdefault(error.field or field, error)

    def raise_first(self) -> None:
        """Raise what was found first, if anything was."""
        for error in self.found.values():
            raise error

    def reply(self) -> dict[str, Any]:
        """As forms get it while they are filled in: sentences, and what may be meant, by field."""
        told = {sendable(field): refused(error) for field, error in self.found.items()}
        offers = {field: one["offers"] for field, one in told.items() if one["offers"]}
        errors = {field: one["error"] for field, one in told.items()}
        return {"errors": errors, **({"offers": offers} if offers else {})}


def sendable(text: str) -> str:
    """``text`` without the halves of surrogate pairs, which no reply can carry."""
    return text.encode("utf-8", "replace").decode()


@dataclass(frozen=True)
class Request:
    """What to load; the texts were checked for their kind, not yet for their meaning."""

    source: str
    size: int
    backbone: str
    checkpoint: str
    files: tuple[Upload, ...]
    folder: str
    split: str
    count: int
    seed: int
    picture: Picture = "square"
    images: tuple[int, ...] = ()
    """Which items of the folder; empty: the next ``count``."""
    kind: str = ""
    """Of the folder's data set; empty: found out."""
    run: str = ""
    """With the backbone "run": whose features."""
    at: int = 0
    """With a run: the step of a checkpoint that it has kept; 0 for the newest."""
    output: str = ""
    """Which features of a run, or of a checkpoint of training; empty for other backbones."""
    own: str = ""
    """Features of one's own: an NPZ's path on the server, or a batch that a script has given."""
    like: str = ""
    """A batch whose images these shall be."""
    whole: bool = False
    """Whether it says which images even where that batch is gone."""

    def recipe(self) -> dict[str, Any]:
        """What makes the same batch again; goes to the page and into links."""
        recipe: dict[str, Any] = {
            "source": self.source,
            "size": self.size,
            "picture": self.picture,
            "backbone": self.backbone,
            "checkpoint": self.checkpoint,
        }
        if self.backbone == "run":
            recipe.update(run=self.run, at=self.at)
        if self.output:
            recipe["output"] = self.output
        if self.own:
            recipe[self.source] = self.own
        if self.source in ("files", "npz") and self.files:
            recipe["files"] = [file.name for file in self.files]
        if self.source == "folder":
            recipe.update(folder=self.folder, split=self.split, count=self.count, seed=self.seed)
            if self.kind:
                recipe["kind"] = self.kind
            if self.images:
                recipe["images"] = list(self.images)
        return recipe


def read_request(raw: Any) -> Request:
    """Check a request from a page or a script; RequestError says which part is wrong."""
    raw = mapping(raw)
    source = raw.get("source", "samples")
    if source not in SOURCES:
        raise RequestError("The source must be samples, files, folder or npz.")
    picture = raw.get("picture") or "square"
    if picture not in PICTURES:
        raise RequestError("The picture must be square or whole.", field="picture")
    usual = source if source in OWN else "embedded"
    backbone = _text(raw, "backbone", "The backbone") or usual
    checkpoint = _text(raw, "checkpoint", "The checkpoint")
    return Request(
        source=source,
        size=_whole(raw.get("size", 448), LEAST_SIZE, MOST_SIZE, "The resolution", "size"),
        picture=picture,
        backbone=backbone,
        # Of no meaning for the others: two requests that differ in it alone are the same.
        checkpoint=checkpoint if backbone == "checkpoint" else "",
        files=_files(raw, source),
        folder=_text(raw, "folder", "The folder"),
        split=_text(raw, "split", "The split") or "train",
        count=_whole(raw.get("count", 8), 1, MAX_IMAGES, "The number of images", "count"),
        seed=_whole(raw.get("seed", 0), 0, 10**9, "The batch number"),
        images=_numbers(raw.get("images")) if source == "folder" else (),
        kind=_kind(raw) if source == "folder" else "",
        run=_run(raw) if backbone == "run" else "",
        at=_whole(raw.get("at") or 0, 0, 10**12, "The step", "at") if backbone == "run" else 0,
        output=_output(raw) if backbone in TRAINED else "",
        own=_text(raw, source, "The file") if source in OWN else "",
        like=_text(raw, "like", "The batch"),
        whole="source" in raw,
    )


def _run(raw: Mapping[str, Any]) -> str:
    name = _text(raw, "run", "The run")
    if not name:
        raise RequestError("Choose a run.", field="run")
    return name


def _kind(raw: Mapping[str, Any]) -> str:
    kind = _text(raw, "kind", "The kind of data set")
    if kind and kind not in KINDS:
        raise RequestError(f"There is no kind of data set called {excerpt(kind)}.", field="kind")
    return kind


def _output(raw: Mapping[str, Any]) -> str:
    output = raw.get("output") or OUTPUTS[0]
    if not isinstance(output, str) or output not in OUTPUTS:
        raise RequestError(f"The output must be {', '.join(OUTPUTS[:-1])} or {OUTPUTS[-1]}.")
    return output


def _files(raw: Mapping[str, Any], source: str) -> tuple[Upload, ...]:
    """The uploads of a request; features of one's own are a single file, or lie on the server."""
    if source == "files":
        return _uploads(raw.get("files"))
    if source != "npz" or raw.get("npz"):
        return ()
    if not raw.get("files"):
        raise RequestError(
            "Enter the path of an NPZ file on this server, or upload one.", field="npz"
        )
    return _uploads(raw["files"])[:1]


def _text(raw: Mapping[str, Any], name: str, what: str) -> str:
    value = raw.get(name)
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > LONGEST_TEXT:
        raise RequestError(f"{what} must be text of at most {LONGEST_TEXT} characters.", field=name)
    if "\0" in value or sendable(value) != value:
        raise RequestError(f"{what} contains characters that are not allowed.", field=name)
    return value


def _uploads(files: Any) -> tuple[Upload, ...]:
    if files is not None and not isinstance(files, list | tuple):
        raise RequestError("The images must be a list of uploaded files.")
    if not files:
        raise RequestError("Choose at least one image.")
    if len(files) > MAX_IMAGES:
        raise RequestError(f"A batch holds at most {MAX_IMAGES} images, not {len(files)}.")
    return tuple(_upload(file, i) for i, file in enumerate(files, 1))


def _numbers(images: Any) -> tuple[int, ...]:
    if images is None:
        return ()
    if not isinstance(images, list | tuple) or not 1 <= len(images) <= MAX_IMAGES:
        raise RequestError(f"The images must be a list of 1 to {MAX_IMAGES} numbers.")
    return tuple(_whole(number, 0, 10**9, "An image's number") for number in images)


def _upload(file: Any, number: int) -> Upload:
    # A link to uploads brings back their names only.
    if not isinstance(file, Mapping) or not isinstance(file.get("path"), str):
        raise RequestError(f"Image {number} is not an uploaded file. Choose the images again.")
    name = file.get("name")
    if not isinstance(name, str) or not name:
        name = f"image {number}"
    return Upload(file["path"], own_name(name[:255]))


def own_name(name: str) -> str:
    """What a file is called, with escapes for what is no text or turns it around.

    Spaces of every kind and joiners stay: macOS has "Screenshot at 10.00\u202fAM.png", and what
    belongs to them must be found by that.
    """
    return "".join(c if c in _JOINERS or category(c) == "Zs" else printable(c) for c in name)


def _whole(value: object, least: int, most: int, name: str, field: str | None = None) -> int:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    # NaN is in no range; infinity never gets to int().
    if not number or not least <= value <= most or value != int(value):  # type: ignore[operator,call-overload]
        said = "empty" if value in ("", None) else excerpt(value)
        raise RequestError(
            f"{name} must be a whole number from {least} to {most}, not {said}.",
            field=field,
        )
    return int(value)  # type: ignore[call-overload]


def mapping(value: Any) -> Mapping[str, Any]:
    """``value`` if it is an object with names; RequestError otherwise."""
    if not isinstance(value, Mapping):
        raise RequestError("The request must be an object with named fields.")
    return value


def require_allowed(allowed: bool, what: str) -> None:
    """RequestError where pages may only look, because other machines can reach them."""
    if not allowed:
        raise RequestError(f"This studio is open to other machines, so pages cannot {what}.")


CLOSED = (
    "This studio is open to other machines, so it trains only if it was started with --runs FOLDER."
)
