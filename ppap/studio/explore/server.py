"""What the Explore page asks of the server: plain functions on JSON-like values.

The page's calls pass gradio's queue and its checks by, and anyone can make them with any
argument. So every argument is validated, and every refusal is a sentence.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch

from ppap.embedding.service import MapService
from ppap.propagation import PatchSets, initial_positives
from ppap.rivals import Choice, gather_unit, prepare
from ppap.settings import RANGES, SettingError, number, read_settings
from ppap.studio.answers import answering, jpeg
from ppap.studio.explore import views as explorer
from ppap.studio.explore.advising import read_aim, suggestion
from ppap.studio.explore.beside import Second, attempt, beside_reply, gather_beside
from ppap.studio.explore.beside_files import export_pair, with_difference
from ppap.studio.explore.cost import Costing
from ppap.studio.explore.describing import Describing
from ppap.studio.explore.device import Device
from ppap.studio.explore.exports import File, Shown, export
from ppap.studio.explore.extras import read_extras
from ppap.studio.explore.inspecting import Inspector
from ppap.studio.explore.lasso import Lasso
from ppap.studio.explore.layout import sheet_of
from ppap.studio.explore.lists import lists, preset_for
from ppap.studio.explore.looks.base import Look, Wanted
from ppap.studio.explore.looks.labels import LABELS
from ppap.studio.explore.looks.registry import STYLES
from ppap.studio.explore.looks.sets import SETS
from ppap.studio.explore.maps import Maps
from ppap.studio.explore.requests import read_choice, read_format, read_lines, read_look, read_step
from ppap.studio.explore.several import Several
from ppap.studio.explore.stages import StageCalls
from ppap.studio.explore.surveys import Surveys
from ppap.studio.explore.trust import Trusting
from ppap.studio.loading import Loader
from ppap.studio.requests import Mistakes, RequestError, mapping, read_request, refusal
from ppap.studio.store import BatchStore, Held

# The cheetah's muzzle: (row, column) as shares of the first sample photo.
SAMPLES_START = (0.55, 0.45)
# Files that show an overlay.
DRAWN = ("png", "svg")
# What the work that a rule does once for a batch depends on.
PREPARED = {"hp": ("pool_size", "seed"), "kmeans": ("clusters", "seed")}


class Views(NamedTuple):
    """What is asked for: PPAP's view; beside it a rival's or other features', or why not."""

    own: Shown
    rival: Shown | None = None
    rival_error: str | None = None
    second: Second | None = None
    second_refused: dict[str, Any] | None = None


class Picture(NamedTuple):
    """The sheet of a batch's images as a JPEG."""

    data: bytes
    corners: tuple[tuple[int, int], ...]
    """x and y of each image in it."""
    patch: int
    """Side of a patch in its pixels."""


class Server:
    """The state behind all pages: batches, jobs and maps."""

    def __init__(
        self,
        store: BatchStore,
        loader: Loader,
        maps: MapService,
        *,
        backbone: str,
        folders: list[str],
    ) -> None:
        self.store, self.loader, self.maps = store, loader, maps
        self.first_backbone, self.folders = backbone, folders
        self._device = Device()
        self.inspector = Inspector(loader, self._device)
        self.surveys = Surveys(self._device)
        self.trusting = Trusting(store, self.surveys)
        self.stages = StageCalls(loader.networks.stages)
        self._parts = (
            self.stages,
            Costing(loader),
            Maps(store, maps),
            Several(store, self._device),
            Lasso(store),
            self.trusting,
            Describing(store, self.inspector),
        )

    def calls(self) -> list[Callable[[Any], Any]]:
        """What the page may call, by its name."""
        return [
            self.hello,
            self.check,
            self.load,
            self.progress,
            self.recall,
            self._device.urgent(self.gather),
            self._device.urgent(self.preview),
            self.suggest,
            self.take,
            *(call for part in self._parts for call in part.calls()),
        ]

    @answering
    def hello(self, _: Any) -> dict[str, Any]:
        """Lists and limits that the page needs before anything else."""
        page = secrets.token_urlsafe(9)
        return {"page": page, "folders": self.folders, **lists(self.first_backbone)}

    @answering
    def check(self, request: Any) -> dict[str, Any]:
        """What is wrong with a request for a folder, by field; from names alone."""
        mistakes = Mistakes()
        with mistakes.at("folder"):
            wanted = read_request(request)
            if wanted.source == "folder":
                sources = self.loader.sources
                sources.check_split(sources.folder(wanted.folder), wanted.split)
        return mistakes.reply()

    @answering
    def load(self, request: Any) -> dict[str, Any]:
        """Begin loading a batch."""
        return {"job": self.loader.start(request)}

    @answering
    def progress(self, job: Any) -> dict[str, Any]:
        """How far a job is, and its batch when it is done."""
        found = self.loader.job(job)
        if found.state == "failed":
            return found.refused or {"error": found.error}
        reply: dict[str, Any] = {"state": found.state, "text": found.text, "share": found.share}
        if found.state == "done":
            held = self.store.get(found.batch)
            reply["result"] = {**self.batch_reply(held), "problems": found.problems}
        return reply

    @answering
    def recall(self, key: Any) -> dict[str, Any]:
        """A batch that is still in memory, by its id."""
        return {**self.batch_reply(self.store.get(key)), "problems": []}

    @answering
    def gather(self, request: Any) -> dict[str, Any]:
        """PPAP's sets for an anchor, and beside them a rival's or those of other features."""
        request = mapping(request)
        held = self.store.get(request.get("batch"))
        shown = self.shown(held, request)
        rival, second = shown.rival, shown.second
        return {
            "view": explorer.view_reply(shown.own.view),
            "rival": None if rival is None else explorer.view_reply(rival.view),
            "rival_error": shown.rival_error,
            "beside": None if second is None else beside_reply(second),
            "beside_refused": shown.second_refused,
        }

    @answering
    def preview(self, request: Any) -> dict[str, Any]:
        """What a click on a patch would gather first: P⁰, packed as ``gather`` packs its sets."""
        request = mapping(request)
        batch = self.store.get(request.get("batch")).batch
        anchor = explorer.check_anchor(batch, request.get("anchor"))
        phi0 = number("phi0", request.get("phi0"), RANGES["phi0"])
        with self._device:
            found = initial_positives(batch.features, torch.tensor([anchor]), torch.tensor([phi0]))
        codes = found[0].numpy() * np.uint8(explorer.POSITIVE)
        codes[anchor] = explorer.ANCHOR
        return {"codes": explorer.pack(codes), "count": int(found.sum()) - int(found[0, anchor])}

    @answering
    def suggest(self, request: Any) -> dict[str, Any]:
        """Settings that suit a batch, without a look at its labels, and why."""
        request = mapping(request)
        return self.suggestion(self.store.get(request.get("batch")), request.get("aim"))

    @answering
    def take(self, request: Any) -> dict[str, Any]:
        """One file of what is shown, as base64."""
        file = self.file(mapping(request))
        data = base64.b64encode(file.data).decode()
        return {"name": file.name, "type": file.type, "data": data}

    # What the above share with the scripts' endpoints.

    def suggestion(self, held: Held, aim: object) -> dict[str, Any]:
        """Settings to try first on a batch, what they should give, and the reasons."""
        return suggestion(held, read_aim(aim), self._device)

    def file(self, request: Mapping[str, Any]) -> File:
        """The file that a request describes."""
        held = self.store.get(request.get("batch"))
        shown = self.shown(held, request)
        if shown.rival_error:
            raise RequestError(shown.rival_error)
        if shown.second_refused:
            raise RequestError(shown.second_refused["error"])
        own, rival, second = shown.own, shown.rival, shown.second
        step = read_step(request.get("step"), len(own.view.steps) - 1)
        lines = read_lines(request.get("across"), len(held.batch))
        format = read_format(request.get("format"))
        # What an overlay is made of may take seconds; other files do not show it.
        look = read_look(request.get("look")) if format in DRAWN else Look()
        here = with_difference(self.with_data(look, held, request), held, own, rival, step)
        extras = read_extras(request, held.batch, self._device)
        if second is None:
            return export(held, format, own, rival, step, here, lines, extras)
        there = self.look_beside(look, second.held, {**request, **second.request()})
        return export_pair(held, format, own, second, step, (here, there), lines, extras)

    def with_data(self, look: Look, held: Held, request: Mapping[str, Any]) -> Look:
        """A look with what its style draws beside the sets, for this batch."""
        style = STYLES[look.style]
        if style.data is None:
            return look
        anchor = explorer.check_anchor(held.batch, request.get("anchor"))
        wanted = Wanted(self, held, anchor, look.options, request)
        return replace(look, data=style.data(wanted))

    def look_beside(self, look: Look, held: Held, request: Mapping[str, Any]) -> Look:
        """The look of the second features: their sets where there is nothing of them to draw."""
        labels = look.style == LABELS.key and held.batch.labels is None
        if not STYLES[look.style].first_only and not labels:
            with suppress(RequestError):
                return self.with_data(look, held, request)
        return replace(look, style=SETS.key, options={})

    def shown(self, held: Held, request: Mapping[str, Any]) -> Views:
        """PPAP's view, the rival's if one is asked for, and why the rival could not be run."""
        settings = read_settings(mapping(request.get("settings")))
        anchor = explorer.check_anchor(held.batch, request.get("anchor"))
        with self._device:
            own = Shown(Choice("ppap", settings), explorer.gather(held.batch, anchor, settings))
        rival, beside = request.get("rival"), request.get("beside")
        if rival and beside:
            raise RequestError("Compare PPAP with a rule or with other features, not both.")
        if beside:
            args = (self.store, self._device, held, anchor, beside)
            second, refused = attempt(lambda: gather_beside(*args))
            return Views(own, second=second, second_refused=refused)
        if not rival:
            return Views(own)
        try:
            choice = read_choice(rival, own.choice)
            view = explorer.look(held.batch, self.rule(held, choice, anchor))
        except (SettingError, RequestError) as error:
            return Views(own, rival_error=refusal(error))
        return Views(own, Shown(choice, view))

    def rule(self, held: Held, choice: Choice, anchor: int) -> PatchSets:
        """Run a rule for one anchor; what it prepares for the batch is kept."""
        batch = held.batch

        def prepared() -> Any:
            return prepare(choice, batch.features, images=batch.counts)

        ready = None
        if choice.rule in PREPARED:
            values = (getattr(choice, name) for name in PREPARED[choice.rule])
            ready = held.derive((choice.rule, *values), prepared)
        with self._device:
            return gather_unit(choice, batch.features, torch.tensor([anchor]), ready)

    def batch_reply(self, held: Held) -> dict[str, Any]:
        """What a page must know of a batch."""
        sheet = self.picture(held)
        return {
            **explorer.batch_reply(held),
            **self.stages.of_batch(held),
            "picture": f"studio/batch/{held.key}.jpg",
            "atlas": [list(corner) for corner in sheet.corners],
            "atlas_patch": sheet.patch,
            "preset": "training"
            if held.training
            else preset_for(held.batch.backbone.name, held.batch.patch),
            "anchor": starting_anchor(held),
        }

    def picture(self, held: Held) -> Picture:
        """All images of a batch in one JPEG, and where each is in it."""

        def make() -> Picture:
            sheet = sheet_of(held.batch)
            return Picture(jpeg(sheet.image), sheet.corners, sheet.patch)

        made: Picture = held.derive("picture", make)
        return made


def starting_anchor(held: Held) -> int:
    """A patch worth looking at first: a face on the samples, else the first image's middle."""
    batch = held.batch
    down, across = SAMPLES_START if held.recipe["source"] == "samples" else (0.5, 0.5)
    rows, columns = batch.grids[0]
    return batch.index(0, int(down * rows), int(across * columns))
