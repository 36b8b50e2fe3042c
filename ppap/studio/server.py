"""What the Explore page asks of the server: plain functions on JSON-like values.

The page's calls pass gradio's queue and its checks by, and anyone can make them with any
argument. So every argument is validated here, and every refusal is a sentence.
"""

from __future__ import annotations

import base64
import io
import logging
import secrets
import threading
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

import torch
from PIL import Image

from ppap.embedding import MapService, pca_map
from ppap.propagation import PatchSets
from ppap.rivals import RULES, Choice, gather_unit, prepare, sample_pool
from ppap.settings import EMBEDDED_PRESET, PRESETS, RANGES, SettingError, read_settings
from ppap.studio import explorer
from ppap.studio.exports import File, Shown, export
from ppap.studio.loading import MAX_IMAGES, SAMPLES_START, SIZES, Loader, RequestError, backbone_choices
from ppap.studio.pictures import Look, atlas
from ppap.studio.store import BatchGone, BatchStore, Held

log = logging.getLogger(__name__)

REFUSALS = (SettingError, RequestError, BatchGone, IndexError, ValueError, TypeError, KeyError)


def answering(function: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """Turn refusals into ``{"error": sentence}`` replies; anything else is logged as well."""

    @wraps(function)
    def reply(self: Server, argument: Any = None) -> dict[str, Any]:
        try:
            return function(self, argument)
        except REFUSALS as error:
            text = error.args[0] if isinstance(error, KeyError) else str(error)
            field = getattr(error, "field", None)
            return {"error": str(text), "field": field, "gone": isinstance(error, BatchGone)}
        except Exception as error:  # a page must never wait for an answer that does not come
            log.exception("a request of the page failed")
            return {"error": f"The studio failed: {type(error).__name__}: {error}"}

    return reply


class Server:
    """The state behind all pages: batches, jobs and maps."""

    def __init__(
        self, store: BatchStore, loader: Loader, maps: MapService, *, backbone: str, folders: list[str]
    ) -> None:
        self.store, self.loader, self.maps = store, loader, maps
        self.first_backbone, self.folders = backbone, folders
        # Torch spreads one product over all cores: two at once would only slow each other down.
        self._device = threading.Lock()

    def calls(self) -> list[Callable[[Any], Any]]:
        """What the page may call, by its name."""
        return [
            self.hello,
            self.load,
            self.progress,
            self.recall,
            self.gather,
            self.preview,
            self.map,
            self.take,
        ]

    @answering
    def hello(self, _: Any) -> dict[str, Any]:
        """Lists and limits that the page needs before anything else."""
        presets = [(p, True) for p in PRESETS] + [(EMBEDDED_PRESET, False)]
        backbones = backbone_choices()
        if self.first_backbone not in {b["name"] for b in backbones}:
            backbones.append({"name": self.first_backbone, "title": self.first_backbone, "note": ""})
        return {
            "page": secrets.token_urlsafe(9),
            "sizes": SIZES,
            "max_images": MAX_IMAGES,
            "backbone": self.first_backbone,
            "backbones": backbones,
            "folders": self.folders,
            "ranges": [{"name": name, **range_._asdict()} for name, range_ in RANGES.items()],
            "presets": [
                {"key": p.key, "title": p.title, "settings": p.settings.as_dict(), "paper": paper}
                for p, paper in presets
            ],
            "default_preset": preset_for(self.first_backbone),
            "rules": [rule_reply(key) for key in RULES if key != "ppap"],
        }

    @answering
    def load(self, request: Any) -> dict[str, Any]:
        """Begin loading a batch."""
        return {"job": self.loader.start(mapping(request))}

    @answering
    def progress(self, job: Any) -> dict[str, Any]:
        """How far a job is, and its batch when it is done."""
        found = self.loader.job(job)
        if found.state == "failed":
            return {"error": found.error}
        reply: dict[str, Any] = {"state": found.state, "text": found.text, "share": found.share}
        if found.state == "done" and found.held:
            reply["result"] = {**self.batch_reply(found.held), "problems": found.problems}
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
        own, rival, refusal = self.shown(held, request)
        reply = {"view": explorer.view_reply(own.view), "rival": None, "rival_error": refusal}
        if rival:
            reply["rival"] = explorer.view_reply(rival.view)
        return reply

    @answering
    def preview(self, request: Any) -> dict[str, Any]:
        """Similarities of all patches to one patch."""
        request = mapping(request)
        batch = self.store.get(request.get("batch")).batch
        anchor = explorer.check_anchor(batch, request.get("anchor"))
        with self._device:
            similarity = batch.features @ batch.features[anchor]
        return {"similarity": explorer.quantise(similarity.numpy())}

    @answering
    def map(self, request: Any) -> dict[str, Any]:
        """The map as far as it is: the stand-in at once, UMAP when it is ready."""
        request = mapping(request)
        held = self.store.get(request.get("batch"))
        self.maps.submit(held.key, held.batch.features.numpy())
        status = self.maps.status(held.key)
        fitted = self.maps.result(held.key)
        version = "pca" if fitted is None else "umap"
        reply: dict[str, Any] = {
            "version": version,
            "finished": status.state in ("ready", "failed"),
            "share": None if status.state in ("ready", "failed") else status.progress or 0.0,
            "text": map_text(status.state, status.seconds, status.error),
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

    def file(self, request: Mapping[str, Any]) -> File:
        """The file that a request describes."""
        held = self.store.get(request.get("batch"))
        own, rival, refusal = self.shown(held, request)
        if refusal:
            raise RequestError(refusal)
        step = request.get("step")
        last = len(own.view.steps) - 1
        if isinstance(step, bool) or not isinstance(step, int) or not 0 <= step <= last:
            raise RequestError(f"The step must be a whole number from 0 to {last}.")
        across = request.get("across")
        across = across if isinstance(across, int) and across > 0 else round(len(held.batch) ** 0.5)
        format_ = str(request.get("format"))
        return export(held, format_, own, rival, step, read_look(request.get("look")), across)

    def shown(self, held: Held, request: Mapping[str, Any]) -> tuple[Shown, Shown | None, str | None]:
        """PPAP's view, the rival's if one is asked for, and why the rival could not be run."""
        settings = read_settings(mapping(request.get("settings")))
        anchor = explorer.check_anchor(held.batch, request.get("anchor"))
        with self._device:
            own = Shown(Choice("ppap", settings), explorer.gather(held.batch, anchor, settings))
        rival = request.get("rival")
        if not rival:
            return own, None, None
        try:
            choice = read_choice(mapping(rival), own.choice)
            return own, Shown(choice, explorer.look(held.batch, self.rule(held, choice, anchor))), None
        except (SettingError, ValueError) as error:
            return own, None, str(error)

    def rule(self, held: Held, choice: Choice, anchor: int) -> PatchSets:
        """Run a rule for one anchor; what it prepares for the batch is kept."""
        batch = held.batch
        own = tuple(getattr(choice, p.name) for p in RULES[choice.rule].parameters)

        def prepared() -> Any:
            pool = None
            if choice.rule == "hp":
                grid = batch.features.unflatten(0, (len(batch), batch.rows, batch.columns))
                seed = torch.Generator().manual_seed(choice.seed)
                pool = sample_pool(grid, size=choice.pool_size, generator=seed)
            return prepare(choice, batch.features, pool=pool)

        ready = held.derive((choice.rule, *own), prepared)
        with self._device:
            return gather_unit(choice, batch.features, torch.tensor([anchor]), ready)

    def batch_reply(self, held: Held) -> dict[str, Any]:
        """What a page must know of a batch."""
        _, across = self.picture(held)
        return {
            **explorer.batch_reply(held),
            "picture": f"studio/batch/{held.key}.jpg",
            "atlas_columns": across,
            "preset": preset_for(held.batch.backbone.name),
            "anchor": starting_anchor(held),
        }

    def picture(self, held: Held) -> tuple[bytes, int]:
        """All images of a batch in one JPEG, and how many stand in a row."""

        def make() -> tuple[bytes, int]:
            sheet, across = atlas(held.batch.images)
            return jpeg(sheet), across

        made: tuple[bytes, int] = held.derive("picture", make)
        return made


def jpeg(image: Image.Image) -> bytes:
    """An image as JPEG bytes."""
    out = io.BytesIO()
    image.save(out, "JPEG", quality=90)
    return out.getvalue()


def mapping(value: Any) -> Mapping[str, Any]:
    """``value`` if it is an object with names; RequestError otherwise."""
    if not isinstance(value, Mapping):
        raise RequestError("The request must be an object with named fields.")
    return value


def starting_anchor(held: Held) -> int:
    """A patch worth looking at first: a face on the samples, else the first image's middle."""
    batch = held.batch
    row, column = SAMPLES_START if held.recipe["source"] == "samples" else (0.5, 0.5)
    return batch.index(0, int(row * batch.rows), int(column * batch.columns))


def preset_for(backbone: str) -> str:
    """The preset to begin with: thresholds that suit DINO do not suit the embedded backbone."""
    if backbone == EMBEDDED_PRESET.key:
        return EMBEDDED_PRESET.key
    return "coco_vits8" if backbone.endswith("8") else "coco_vits16"


def rule_reply(key: str) -> dict[str, Any]:
    """A rule for the page's list."""
    rule = RULES[key]
    parameters = [
        {
            "name": p.name,
            "title": p.allowed.symbol,
            "default": p.default,
            "least": p.allowed.least,
            "most": p.allowed.most,
            "step": p.allowed.step,
            "text": p.allowed.meaning,
        }
        for p in rule.parameters
    ]
    return {"key": key, "title": rule.title, "text": rule.explanation, "parameters": parameters}


def read_choice(raw: Mapping[str, Any], own: Choice) -> Choice:
    """A rival from untrusted values; it reads the same five settings as PPAP."""
    key = str(raw.get("rule"))
    given = mapping(raw.get("parameters") or {})
    known = {p.name for p in RULES[key].parameters} if key in RULES else set()
    for name in given:
        if name not in known:
            raise SettingError(str(name)[:40], f"{key[:40]} has no setting {str(name)[:40]!r}.")
    return Choice(key, own.settings, **given)


def read_look(raw: Any) -> Look:
    """How to draw, from untrusted values; what makes no sense falls back to the usual look."""
    raw = raw if isinstance(raw, Mapping) else {}
    shown = raw.get("show")
    shown = shown if isinstance(shown, Mapping) else {}
    opacity = raw.get("opacity", 0.6)
    fine = isinstance(opacity, int | float) and 0 <= opacity <= 1
    style = raw.get("style")
    return Look(
        style=style if style in ("sets", "boxes", "similarity", "labels") else "sets",
        opacity=float(opacity) if fine else 0.6,
        grid=bool(raw.get("grid")),
        **{name: bool(shown.get(name, True)) for name in ("positive", "ambiguous", "negative")},
    )


def map_text(state: str, seconds: float, error: str | None) -> str:
    """What the page says about the map."""
    if state == "ready":
        return error or "UMAP of all patches. Proxies stand among their nearest patches."
    if state == "failed":
        return f"UMAP failed, so this is a PCA map. {error or ''}".strip()
    waiting = {"warming": "Getting UMAP ready", "queued": "UMAP is waiting", "fitting": "Fitting UMAP"}
    doing = waiting.get(state, "Preparing UMAP")
    return f"{doing} ({seconds:.0f} s). Until then this is a PCA map."
