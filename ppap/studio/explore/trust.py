"""What the Explore page asks about every anchor at once: an overlay's values, and a list."""

from __future__ import annotations

import base64
import io
import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ppap.batches import Batch
from ppap.settings import Settings, excerpt, read_settings
from ppap.studio.access.visitor import current, on_page
from ppap.studio.answers import answering
from ppap.studio.explore.surveys import COLUMNS, Shot, Survey, Surveys
from ppap.studio.explore.worth import listed, read_filter
from ppap.studio.requests import RequestError, mapping, refused
from ppap.studio.store import BatchStore, Held
from ppap.study.every_anchor import MEASURES

FLAGS = ("emptied", "crossed")
FORMATS = ("npz", "json")


def usual_measure(batch: Batch) -> str:
    """What is shown first: precision, or its stand-in where there are no labels."""
    return "cohesion" if batch.labels is None else "precision"


def read_measure(value: Any, batch: Batch) -> str:
    """A measure of MEASURES that the batch has; RequestError for any other, the usual for None."""
    if value is None:
        return usual_measure(batch)
    if not isinstance(value, str) or value not in MEASURES:
        known = ", ".join(MEASURES)
        raise RequestError(f"The measure must be one of {known}, not {excerpt(value)}.")
    if MEASURES[value].labels and batch.labels is None:
        raise RequestError(f"{MEASURES[value].title} needs label maps, which these images lack.")
    return value


def measures_of(batch: Batch) -> list[dict[str, Any]]:
    """What can be chosen for a batch."""
    return [
        {"key": key, "title": one.title, "meaning": one.meaning, "good": one.good}
        for key, one in MEASURES.items()
        if batch.labels is not None or not one.labels
    ]


def scale(measure: str, values: np.ndarray) -> tuple[float, float]:
    """Ends of a measure's colours: fixed for shares, as far as the values go for others."""
    low, high = MEASURES[measure].low, MEASURES[measure].high
    known = values[np.isfinite(values)]
    if math.isnan(low):
        low = float(known.min()) if len(known) else 0.0
    if math.isnan(high):
        high = float(known.max()) if len(known) else 1.0
    return low, max(high, low + 1e-6)


def coverage(survey: Survey) -> str:
    """Of which patches the values are, in words."""
    total, stride = survey.patches, survey.stride
    if survey.level == stride:
        if stride == 1:
            return f"All {total:,} patches."
        return (
            f"A sample: {survey.planned:,} of {total:,} patches, every {nth(stride)} row and "
            "column. The others show the value of the nearest one."
        )
    if survey.level:
        return f"Every {nth(survey.level)} row and column so far; the rest is in progress."
    return "Measuring." if survey.state == "running" else "Waiting for another batch."


def nth(number: int) -> str:
    """A stride, a power of two, as an ordinal: 2 → "2nd", 32 → "32nd"."""
    return f"{number}{'nd' if number % 10 == 2 and number % 100 != 12 else 'th'}"


class Trusting:
    """Every anchor at once, for the page, its exports and scripts.

    Args:
        store: has the batches.
        surveys: does the work.
    """

    def __init__(self, store: BatchStore, surveys: Surveys) -> None:
        self.store, self.surveys = store, surveys

    def calls(self) -> list[Callable[[Any], Any]]:
        """What the page may call, by its name."""
        return [self.survey, self.leave_survey]

    @answering
    def survey(self, request: Any) -> dict[str, Any]:
        """The survey of a batch under these settings as far as it is; the first call begins it.

        The page asks again until ``finished``. ``have`` is the ``version`` that it has.
        """
        request = mapping(request)
        held = self.store.get(request.get("batch"))
        settings = read_settings(mapping(request.get("settings")))
        measure = read_measure(request.get("measure"), held.batch)
        wanted = read_filter(request.get("worth"), held.batch)
        survey = self.surveys.watched(held, settings, watcher(request.get("page")))
        if survey.state == "failed" and survey.error:
            return refused(survey.error)
        reply: dict[str, Any] = {
            "finished": survey.finished,
            "share": survey.done / max(1, survey.planned),
            "text": coverage(survey),
            "measure": measure,
            "measures": measures_of(held.batch),
            "version": f"{survey.version} {measure} {wanted}",
        }
        if request.get("have") != reply["version"] and survey.level:
            shot = survey.shot()
            values = shot.values[measure][shot.fill]
            low, high = scale(measure, values)
            reply |= {
                "values": base64.b64encode(values.astype("<f4").tobytes()).decode(),
                "low": low,
                "high": high,
                "title": MEASURES[measure].title,
                "meaning": MEASURES[measure].meaning,
                "worth": listed(held.batch, survey.grids, shot, wanted),
            }
        return reply

    @answering
    def leave_survey(self, request: Any) -> dict[str, Any]:
        """The page no longer shows anything of every anchor."""
        self.surveys.leave(watcher(mapping(request).get("page")))
        return {}

    # What exports and scripts share with the above.

    def shown(
        self, held: Held, settings: Settings, measure: str
    ) -> tuple[np.ndarray, float, float, str]:
        """What pages show of a measure, or all of it where none does: values float32 ``(N,)``, the
        ends of their scale, and of which patches they are."""
        survey = self.surveys.known(held, settings)
        if survey is None or not survey.level:
            survey = self.surveys.whole(held, settings)
        shot = survey.shot()
        values: np.ndarray = shot.values[measure][shot.fill]
        return (values, *scale(measure, values), coverage(survey))

    def file(self, held: Held, settings: Settings, stride: int, format: str) -> bytes:
        """Every anchor's row as a file; RequestError for another format."""
        if format not in FORMATS:
            raise RequestError(f"The format must be one of {', '.join(FORMATS)}.")
        survey = self.surveys.whole(held, settings, stride)
        return as_file(held.batch, survey, format)


def watcher(page: object) -> str:
    """Who watches: a page, by what it says of itself, of whoever asks."""
    who = on_page(page)
    return f"{current().user} {who.page}"


def as_file(batch: Batch, survey: Survey, format: str) -> bytes:
    """The rows of all anchors that were looked at."""
    shot = survey.shot()
    anchors = np.flatnonzero(shot.seen)
    table = columns(shot, anchors, labelled=batch.labels is not None)
    if format == "npz":
        out = io.BytesIO()
        about = {
            "images": np.array(batch.names),
            "settings": np.array(json.dumps(as_given(survey))),
        }
        np.savez_compressed(out, anchors=anchors, grids=np.array(survey.grids), **about, **table)  # type: ignore[arg-type]
        return out.getvalue()
    whole = {
        "format": "ppap-studio anchors 1",
        "images": list(batch.names),
        "grids": survey.grids,
        "settings": as_given(survey),
        "patches": survey.patches,
        "every": survey.stride,
        "anchors": anchors.tolist(),
        **{
            name: [None if value != value else value for value in values.tolist()]
            for name, values in table.items()
        },
    }
    return json.dumps(whole, ensure_ascii=False).encode()


def as_given(survey: Survey) -> dict[str, float | int]:
    """The settings of a survey by name."""
    return dict(survey.settings.as_dict())


def columns(shot: Shot, anchors: np.ndarray, *, labelled: bool) -> dict[str, np.ndarray]:
    """The table's columns for some anchors: counts as int64, flags as bool, shares as float32."""
    kinds: dict[str, type] = dict.fromkeys(("positives", "ambiguous", "negatives"), np.int64)
    kinds |= dict.fromkeys(FLAGS, np.bool_)
    needs = {name for name in COLUMNS if name in MEASURES and MEASURES[name].labels}
    return {
        name: shot.values[name][anchors].astype(kinds.get(name, np.float32))
        for name in COLUMNS
        if labelled or name not in needs
    }
