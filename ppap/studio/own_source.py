"""Features of one's own as a source of batches: an NPZ, or what a script of this process gave."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ppap.backbones import BackboneInfo
from ppap.batches import Batch
from ppap.own_features.batch import INFO, own_batch
from ppap.own_features.files import read_npz
from ppap.studio.requests import Request, RequestError, at_field
from ppap.studio.sources import Sources


class Own(NamedTuple):
    """A batch of features of one's own."""

    batch: Batch
    pictures: bool
    """Whether its pictures are real ones, which a network could see."""


def own_source(request: Request, sources: Sources, given: Mapping[str, Own]) -> Own:
    """The batch that a request names.

    Raises:
        RequestError, BatchError, DataError: there is none, or it may not be read.
    """
    if request.source == "memory":
        if request.own not in given:
            raise RequestError("The script that provided these features has ended or closed them.")
        return given[request.own]
    with at_field("npz"):
        if request.files:
            file, name = sources.upload(request.files[0]), request.files[0].name
        else:
            file = sources.file(request.own)
            name = file.name
        own = read_npz(file, name=name)
        info = BackboneInfo("npz", f"Own features ({name})", INFO.note, needs_download=False)
        return Own(own_batch(own, info), own.images is not None)
