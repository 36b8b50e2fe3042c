"""What the Explore page asks of the server: plain functions on JSON-like values.

The page's calls pass gradio's queue and its checks by, and anyone can make them with any
argument. So every argument is validated, and every refusal is a sentence.
"""

from __future__ import annotations

import base64
import secrets
import threading
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch

from ppap.embedding.service import MapService, MapStatus, pca_map
from ppap.propagation import PatchSets, initial_positives
from ppap.rivals import Choice, gather_unit, prepare
from ppap.settings import RANGES, SettingError, number, read_settings
from ppap.studio.answers import answering, jpeg
from ppap.studio.explore import views as explorer
from ppap.studio.explore.exports import File, Shown, export
from ppap.studio.explore.lists import lists, preset_for
from ppap.studio.explore.pictures import atlas
from ppap.studio.explore.requests import read_across, read_choice, read_format, read_look, read_step
from ppap.studio.loading import Loader
from ppap.studio.requests import Mistakes, RequestError, mapping, read_request, refusal
from ppap.studio.store import BatchStore, Held
from ppap.study.advice import Advice, advise_unit

# The cheetah's muzzle: (row, column) as shares of the first sample photo.
SAMPLES_START = (0.55, 0.45)
# What the work that a rule does once for a batch depends on.
PREPARED = {"hp": ("pool_size", "seed"), "kmeans": ("clusters", "seed")}
MAP_STATES = {
    "warming": "Getting UMAP ready",
    "queued": "UMAP is waiting",
    "fitting": "Fitting UMAP",
}


class Views(NamedTuple):
    """What is asked for: PPAP's view, a rival's beside it, or why there is none."""

    own: Shown
    rival: Shown | None = None
    rival_error: str | None = None


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
        # Torch spreads one product over all cores: two at once would only slow each other down.
        self._device = threading.Lock()

    def calls(self) -> list[Callable[[Any], Any]]:
        """What the page may call, by its name."""
        return [
            self.hello,
            self.check,
            self.load,
            self.progress,
            self.recall,
            self.gather,
            self.preview,
            self.suggest,
            self.map,
            self.take,
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
        """PPAP's sets for an anchor, and a rival's beside them."""
        request = mapping(request)
        held = self.store.get(request.get("batch"))
        own, rival, rival_error = self.shown(held, request)
        return {
            "view": explorer.view_reply(own.view),
            "rival": None if rival is None else explorer.view_reply(rival.view),
            "rival_error": rival_error,
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
    def suggest(self, key: Any) -> dict[str, Any]:
        """Settings that suit a batch, without a look at its labels, and why."""
        return self.suggestion(self.store.get(key))

    @answering
    def map(self, request: Any) -> dict[str, Any]:
        """The map as far as it is: the stand-in at once, UMAP when it is ready."""
        request = mapping(request)
        held = self.store.get(request.get("batch"))
        status = self.maps.status(held.key)
        # Asked for once: to submit again would move it before the others that wait. One that failed
        # is tried again where a page asks anew, not each time it looks again.
        anew = status.state == "failed" and request.get("have") is None
        if status.state == "unknown" or anew:
            self.maps.submit(held.key, held.batch.features.numpy())
            status = self.maps.status(held.key)
        fitted = self.maps.result(held.key)
        version = "pca" if fitted is None else "umap"
        reply: dict[str, Any] = {
            "version": version,
            "finished": status.state in ("ready", "failed"),
            "share": None if status.state in ("ready", "failed") else status.progress or 0.0,
            "text": map_text(status),
            "xy": None,
        }
        if request.get("have") != version:
            points = fitted
            if points is None:
                points = held.derive("pca", lambda: pca_map(held.batch.features.numpy()))
            reply["xy"] = base64.b64encode(points.astype("<f4").tobytes()).decode()
        return reply

    @answering
    def take(self, request: Any) -> dict[str, Any]:
        """One file of what is shown, as base64."""
        file = self.file(mapping(request))
        data = base64.b64encode(file.data).decode()
        return {"name": file.name, "type": file.type, "data": data}

    # What the above share with the scripts' endpoints.

    def suggestion(self, held: Held) -> dict[str, Any]:
        """Settings to try first on a batch, and the reasons."""

        def made() -> Advice:
            with self._device:
                return advise_unit(held.batch.features, images=len(held.batch))

        advice: Advice = held.derive("advice", made)
        return {"settings": advice.settings.as_dict(), "reasons": list(advice.reasons)}

    def file(self, request: Mapping[str, Any]) -> File:
        """The file that a request describes."""
        held = self.store.get(request.get("batch"))
        own, rival, rival_error = self.shown(held, request)
        if rival_error:
            raise RequestError(rival_error)
        step = read_step(request.get("step"), len(own.view.steps) - 1)
        across = read_across(request.get("across"), len(held.batch))
        look = read_look(request.get("look"))
        return export(held, read_format(request.get("format")), own, rival, step, look, across)

    def shown(self, held: Held, request: Mapping[str, Any]) -> Views:
        """PPAP's view, the rival's if one is asked for, and why the rival could not be run."""
        settings = read_settings(mapping(request.get("settings")))
        anchor = explorer.check_anchor(held.batch, request.get("anchor"))
        with self._device:
            own = Shown(Choice("ppap", settings), explorer.gather(held.batch, anchor, settings))
        rival = request.get("rival")
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
            return prepare(choice, batch.features, images=len(batch))

        ready = None
        if choice.rule in PREPARED:
            values = (getattr(choice, name) for name in PREPARED[choice.rule])
            ready = held.derive((choice.rule, *values), prepared)
        with self._device:
            return gather_unit(choice, batch.features, torch.tensor([anchor]), ready)

    def batch_reply(self, held: Held) -> dict[str, Any]:
        """What a page must know of a batch."""
        _, across = self.picture(held)
        return {
            **explorer.batch_reply(held),
            "picture": f"studio/batch/{held.key}.jpg",
            "atlas_columns": across,
            "preset": preset_for(held.batch.backbone.name, held.batch.size // held.batch.rows),
            "anchor": starting_anchor(held),
        }

    def picture(self, held: Held) -> tuple[bytes, int]:
        """All images of a batch in one JPEG, and how many stand in a row."""

        def make() -> tuple[bytes, int]:
            sheet, across = atlas(held.batch.images)
            return jpeg(sheet), across

        made: tuple[bytes, int] = held.derive("picture", make)
        return made


def starting_anchor(held: Held) -> int:
    """A patch worth looking at first: a face on the samples, else the first image's middle."""
    batch = held.batch
    row, column = SAMPLES_START if held.recipe["source"] == "samples" else (0.5, 0.5)
    return batch.index(0, int(row * batch.rows), int(column * batch.columns))


def map_text(status: MapStatus) -> str:
    """What the page says about the map."""
    if status.state == "ready":
        return status.note or "UMAP of all patches. Proxies stand among their nearest patches."
    if status.state == "failed":
        return f"UMAP failed, so this is a PCA map. {status.error or ''}".strip()
    doing = MAP_STATES.get(status.state, "Preparing UMAP")
    return f"{doing} ({status.seconds:.0f} s). Until then this is a PCA map."
